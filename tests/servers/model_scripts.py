"""Scripts of the model server: lists of what is written when. A script is a function of the API asked and the request's body; its name
in the path is that of the function."""
import collections
import gzip
import random

from model_words import TOOLS, at_path, compact, sse

TEXT = "Sonne über Zürich"
attempts = collections.Counter()


def head(status=200, media="application/json", length=None, **more):
    framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    fields = {"content-type": media, "x-request-id": "req_head_77", "request-id": "req_head_77"} | {k.replace("_", "-"): v for k, v in more.items()}
    lines = [f"HTTP/1.1 {status} X", framing] + [f"{name}: {value}" for name, value in fields.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


END = b"0\r\n\r\n"


def whole(body, status=200, media="application/json", **more):
    return [head(status, media, len(body), **more) + body]


def framed(api, events, gap=0.004, end=True, **more):
    """Events in a chunk each, with pauses between them."""
    yield head(media=api.media, **more)
    for event in events:
        yield gap() if callable(gap) else gap
        yield chunk(event)
    if end:
        yield END


def wants_stream(api, body):
    return body.get("stream", api.__name__ == "Ollama")


def ok(api, body, text=TEXT, tools=(), count=5, **how):
    if wants_stream(api, body):
        return framed(api, api.events(count, text, tools), **how)
    return [0.02] + whole(api.plain(text, tools))


def tools(api, body):
    return ok(api, body, tools=TOOLS)


def stream(api, body):
    """50 chunks, 20–40 ms apart."""
    return ok(api, body, count=50, gap=lambda: random.uniform(0.020, 0.040))


def slow(api, body):
    """A stream that goes on for seconds."""
    return ok(api, body, count=100, gap=0.05)


def hang(api, body):
    return [30]


def refused(status):
    return lambda api, body: whole(api.error(status), status, retry_after_ms="20")


def flaky(status):
    """Refuses twice."""
    def answer(api, body, name):
        attempts[name] += 1
        return refused(status)(api, body) if attempts[name] <= 2 else ok(api, body)
    return answer


def halved(api, events):
    events = list(events)
    return events[:len(events) // 2]


def cut(api, body):
    """Closes in the middle of the stream."""
    yield from framed(api, halved(api, api.events(20, TEXT, ())), end=False)
    yield "close"


def cutreset(api, body):
    yield from framed(api, halved(api, api.events(20, TEXT, ())), end=False)
    yield "reset"


def cutpolite(api, body):
    """HTTP comes to its end, the stream of events does not."""
    return framed(api, halved(api, api.events(20, TEXT, ())))


def cutplain(api, body):
    answer = api.plain(TEXT, ())
    return [head(length=len(answer)) + answer[:len(answer) // 2], 0.01, "close"]


def nothing(api, body):
    return ["close"]


def zipped(api, body):
    answer = gzip.compress(api.plain(TEXT, ()) + b" " * 500)
    return [head(length=len(answer), content_encoding="gzip"), answer[:40], 0.005, answer[40:]]


def big(api, body):
    """5 MB of stream before the usage."""
    return framed(api, api.events(1000, "x" * 5000, ()), gap=0)


def fast(api, body):
    """All in as few writes as it goes."""
    return [b"".join(step for step in ok(api, body, count=200) if isinstance(step, bytes))]


def agent(api, body):
    """Asks for two tools, then for one, then answers."""
    turns = body.get("messages") or body.get("input")
    asked = sum("tool_use_id" in str(turn) or "tool_call_id" in turn or turn.get("type") == "function_call_output" for turn in turns)
    return ok(api, body, tools=[[(f"{i}_{asked}", n) for i, n in TOOLS], [("call_c3", "get_weather")], ()][min(asked, 2)])


def errorevent(api, body):
    """An error in the middle of a stream whose status was 200."""
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "no"}}
    return framed(api, halved(api, api.events(20, TEXT, ())) + [sse(error, "error")])


# Bad input

def brokenjson(api, body):
    return whole(api.plain(TEXT, ()).replace(b":", b";", 3))


def brokenevents(api, body):
    """Every other event is no JSON."""
    events = [event.replace(b"{", b"<", 1) if at % 2 else event for at, event in enumerate(api.events(20, TEXT, ()))]
    return framed(api, events)


def gzipgarbage(api, body):
    garbage = b"\x1f\x8b\x08" + bytes(random.Random(7).randbytes(5000))
    return whole(garbage, content_encoding="gzip")


def bomb(api, body):
    return whole(gzip.compress(b" " * 100_000_000, 9), content_encoding="gzip")


def huge(api, body, usage=True):
    """50 MB of JSON; its usage stands at the end."""
    answer = api.plain("@", ())
    before, after = answer.split(b"@")
    if not usage:
        after = after[:after.index(b'"usage"')].rstrip(b",") + b"}"
    yield head(length=len(before) + 50_000_000 + len(after)) + before
    for _ in range(500):
        yield b"y" * 100_000
    yield after


def hugebare(api, body):
    return huge(api, body, usage=False)


def liesjson(api, body):
    """A stream of events that calls itself JSON."""
    return [head()] + [chunk(event) for event in api.events(5, TEXT, ())] + [END]


def liesevents(api, body):
    """JSON that calls itself a stream of events."""
    return whole(api.plain(TEXT, ()), media="text/event-stream; charset=utf-8")


def crlf(api, body):
    return framed(api, [b": hello\r\n\r\n"] + [event.replace(b"\n", b"\r\n") for event in api.events(5, TEXT, ())])


def comments(api, body):
    """Comments, ids and retries between the lines, data in several lines."""
    def odd(event):
        return b": ping\n\n: x\nid: 7\nretry: 100\n" + event.replace(b'data: {"', b'data: {\ndata:  "').replace(b'","', b'",\ndata: "', 1)
    return framed(api, map(odd, api.events(5, TEXT, ())))


def bytewise(api, body):
    """Chunks that end anywhere, in the middle of a character too."""
    data = b"".join(api.events(8, "üöä€😀", ()))
    return framed(api, [data[at:at + 7] for at in range(0, len(data), 7)], gap=0)


def deltas(api, body):
    """Arguments in hundreds of pieces."""
    return framed(api, api.events(400, "", TOOLS, compact({"q": "ä" * 2000}).decode()), gap=0)


SCRIPTS = {f.__name__: f for f in (ok, tools, stream, slow, hang, cut, cutreset, cutpolite, cutplain, nothing, zipped, big, fast, agent,
                                   errorevent, brokenjson, brokenevents, gzipgarbage, bomb, huge, hugebare, liesjson, liesevents, crlf,
                                   comments, bytewise, deltas)}
SCRIPTS |= {f"e{status}": refused(status) for status in (401, 429, 500, 529)}
FLAKY = {f"flaky{status}": flaky(status) for status in (429, 500)}


def script(name, path, headers, body):
    kind = name.split("-")[0]
    api = at_path(path)
    return FLAKY[kind](api, body, name) if kind in FLAKY else SCRIPTS[kind](api, body)
