"""Makes streamed model calls at once and logs each as it saw it: arguments are library, base URL, API (`chat` or `messages`), number of
calls and, for TLS, the certificate. Out, a JSON line a call: {"name", "ttft_ms", "ms", "chunks", "input", "output"}.
The last line is {"lag_ms"}: how late the event loop was at most.
A call's clock starts when its request is written and stops at its last byte; `ttft_ms` is when the first content was in the library's hands.
Calls begin some milliseconds apart, as calls of users do; two before them warm up what a library loads at first use."""
import asyncio
import json
import ssl
import sys
import time

library, url, api, count, *certificate = sys.argv[1:]
context = ssl.create_default_context(cafile=certificate[0]) if certificate else None
PATH = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}[api]
CONTENT = {"chat": b'"delta":{"content":"S', "messages": b'"text_delta"'}[api]
BODY = {"model": "gpt-5" if api == "chat" else "claude-sonnet-4-5", "stream": True, "max_tokens": 100,
        "messages": [{"role": "system" if api == "chat" else "user", "content": "be brief " * 100}, {"role": "user", "content": "hi"}]}
if api == "chat":
    BODY["stream_options"] = {"include_usage": True}


class Call:
    def __init__(self, name):
        self.name, self.start, self.first, self.chunks = name, time.perf_counter(), None, 0
        self.usage = [None, None]

    def content(self, chunks):
        if chunks and self.first is None:
            self.first = time.perf_counter()
        self.chunks += chunks

    def log(self):
        end = time.perf_counter()
        return {"name": self.name, "ttft_ms": (self.first - self.start) * 1000, "ms": (end - self.start) * 1000, "chunks": self.chunks,
                "input": self.usage[0], "output": self.usage[1]}

    def piece(self, data):
        """Bytes of the body as they came; of the usage only the last words are read."""
        self.content(data.count(CONTENT))
        for name, at in (b'"prompt_tokens":', 0), (b'"completion_tokens":', 1), (b'"output_tokens":', 1):
            if name in data:
                self.usage[at] = int(data.rsplit(name, 1)[1].split(b",")[0].split(b"}")[0])


class Raw(asyncio.Protocol):
    """No library: what the socket gives, when it gives it."""

    def __init__(self, call, request):
        self.call, self.request, self.done = call, request, asyncio.get_running_loop().create_future()
        self.tail = b""

    def connection_made(self, transport):
        self.transport, self.call.start = transport, time.perf_counter()
        transport.write(self.request)

    def data_received(self, data):
        self.call.piece(data)
        self.tail = (self.tail + data)[-7:]
        if self.tail.endswith(b"\r\n0\r\n\r\n"):
            self.done.set_result(self.call.log())
            self.transport.close()


async def with_raw():
    host, port = url.split("//")[1].split(":")
    body = json.dumps(BODY).encode()

    async def one(call):
        head = f"POST /s/{call.name}{PATH} HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        request = head.encode() + body
        _, protocol = await asyncio.get_running_loop().create_connection(lambda: Raw(call, request), host, int(port), ssl=context)
        return await protocol.done

    return await at_once(one)


async def with_httpx():
    import httpx

    async with httpx.AsyncClient(verify=context or True, trust_env=False, timeout=60, limits=httpx.Limits(max_connections=None)) as client:
        async def one(call):
            async def trace(event, info):
                if event == "http11.send_request_headers.started":
                    call.start = time.perf_counter()

            async with client.stream("POST", f"{url}/s/{call.name}{PATH}", json=BODY, extensions={"trace": trace}) as answer:
                async for data in answer.aiter_raw():
                    call.piece(data)
            return call.log()

        return await at_once(one)


async def with_aiohttp():
    import aiohttp

    async def sent(session, trace, params):
        trace.trace_request_ctx.start = time.perf_counter()

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(sent)
    connector = aiohttp.TCPConnector(limit=0, ssl=context or True)
    async with aiohttp.ClientSession(connector=connector, trace_configs=[trace]) as session:
        async def one(call):
            async with session.post(f"{url}/s/{call.name}{PATH}", json=BODY, trace_request_ctx=call) as answer:
                async for data in answer.content.iter_any():
                    call.piece(data)
            return call.log()

        return await at_once(one)


async def with_sdk():
    if api == "chat":
        import httpx
        from openai import AsyncOpenAI as Client
    else:
        import httpx2 as httpx
        from anthropic import AsyncAnthropic as Client

    class Timed(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request):
            async def trace(event, info):
                if event == "http11.send_request_headers.started":
                    under_way[request.url.path.split("/")[2]].start = time.perf_counter()

            request.extensions["trace"] = trace
            return await super().handle_async_request(request)

    under_way = {}
    transport = Timed(verify=context or True, trust_env=False, limits=httpx.Limits(max_connections=None))
    http = httpx.AsyncClient(transport=transport, timeout=60)
    client = Client(api_key="none", http_client=http, max_retries=0)

    async def one(call):
        mine = client.with_options(base_url=f"{url}/s/{call.name}" + ("/v1" if api == "chat" else ""))
        under_way[call.name] = call
        if api == "chat":
            async for chunk in await mine.chat.completions.create(**BODY):
                call.content(sum(bool(choice.delta.content) for choice in chunk.choices))
                if chunk.usage:
                    call.usage = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens]
        else:
            async for event in await mine.messages.create(**BODY):
                call.content(event.type == "content_block_delta")
                if event.type == "message_delta":
                    call.usage = [None, event.usage.output_tokens]
        return call.log()

    return await at_once(one)


async def at_once(one):
    for at in range(2):
        await one(Call(f"ok-{at}"))

    async def later(at):
        await asyncio.sleep(at * (0.016 if library == "sdk" else 0.007))  # an SDK needs 10 ms of CPU for a call
        return await one(Call(f"stream-{at}"))

    lags = []
    watch = asyncio.create_task(lag(lags))
    log = await asyncio.gather(*map(later, range(int(count))))
    watch.cancel()
    return log + [{"lag_ms": max(lags)}]


async def lag(lags):
    """How late the event loop is: a clock read by a task is as much behind what the socket had."""
    while True:
        start = time.perf_counter()
        await asyncio.sleep(0.005)
        lags.append((time.perf_counter() - start) * 1000 - 5)


for entry in asyncio.run({"raw": with_raw, "httpx": with_httpx, "aiohttp": with_aiohttp, "sdk": with_sdk}[library]()):
    print(json.dumps(entry))
