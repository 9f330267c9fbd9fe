"""What model APIs say, as bytes of bodies: each API as a class with `plain` and `events` (the pieces of its stream), and its error.
Token counts and ids are fixed; the tests know them. `text` and `arguments` are content, of which perfmon must keep nothing."""
import json

TOOLS = [("call_a1", "get_weather"), ("call_b2", "search_docs")]


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def sse(value, event=None):
    name = f"event: {event}\n".encode() if event else b""
    return name + b"data: " + compact(value) + b"\n\n"


class Chat:
    media = "text/event-stream"
    usage = {"prompt_tokens": 1200, "completion_tokens": 20, "total_tokens": 1220,
             "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
             "completion_tokens_details": {"reasoning_tokens": 8, "audio_tokens": 0}}
    base = {"id": "chatcmpl-77", "created": 1790000000, "model": "gpt-5-2025-08-07"}

    @classmethod
    def plain(cls, text, tools, arguments='{"q":1}'):
        calls = [{"id": i, "type": "function", "function": {"name": n, "arguments": arguments}} for i, n in tools]
        message = {"role": "assistant", "content": None if tools else text, "refusal": None, "annotations": []}
        choice = {"index": 0, "message": message | ({"tool_calls": calls} if tools else {}),
                  "finish_reason": "tool_calls" if tools else "stop", "logprobs": None}
        return compact(cls.base | {"object": "chat.completion", "choices": [choice], "usage": cls.usage})

    @classmethod
    def events(cls, count, text, tools, arguments='{"q":1}', usage=True):
        def chunk(delta, finish=None):
            choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
            return sse(cls.base | {"object": "chat.completion.chunk", "choices": [choice], "usage": None, "obfuscation": "x" * 7})

        yield chunk({"role": "assistant", "content": ""})
        for at, (tool, name) in enumerate(tools):
            begin = {"index": at, "id": tool, "type": "function", "function": {"name": name, "arguments": ""}}
            yield chunk({"tool_calls": [begin]})
            for piece in pieces(arguments, count - 1):
                yield chunk({"tool_calls": [{"index": at, "function": {"arguments": piece}}]})
        if not tools:
            for at in range(count):
                yield chunk({"content": f"{text} {at} "})
        yield chunk({}, "tool_calls" if tools else "stop")
        if usage:
            yield sse(cls.base | {"object": "chat.completion.chunk", "choices": [], "usage": cls.usage})
        yield b"data: [DONE]\n\n"

    @staticmethod
    def error(status):
        kind = {429: "rate_limit_exceeded", 401: "invalid_request_error"}.get(status, "server_error")
        return compact({"error": {"message": "no", "type": kind, "param": None, "code": None}})


class Responses:
    media = "text/event-stream"
    usage = {"input_tokens": 1200, "input_tokens_details": {"cached_tokens": 1024}, "output_tokens": 20,
             "output_tokens_details": {"reasoning_tokens": 8}, "total_tokens": 1220}

    @classmethod
    def body(cls, status, output, usage):
        return {"id": "resp_77", "object": "response", "created_at": 1790000000, "status": status, "error": None,
                "incomplete_details": None, "instructions": None, "model": "gpt-5-2025-08-07", "output": output,
                "parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0,
                "metadata": {}, "usage": usage}

    @classmethod
    def output(cls, text, tools, arguments):
        calls = [{"type": "function_call", "id": f"fc_{i}", "call_id": i, "name": n, "arguments": arguments, "status": "completed"}
                 for i, n in tools]
        words = {"type": "output_text", "text": text, "annotations": []}
        return calls or [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [words]}]

    @classmethod
    def plain(cls, text, tools, arguments='{"q":1}'):
        return compact(cls.body("completed", cls.output(text, tools, arguments), cls.usage))

    @classmethod
    def events(cls, count, text, tools, arguments='{"q":1}', usage=True):
        number = iter(range(10**6))

        def event(kind, **fields):
            return sse({"type": kind, "sequence_number": next(number)} | fields, kind)

        yield event("response.created", response=cls.body("in_progress", [], None))
        yield event("response.in_progress", response=cls.body("in_progress", [], None))
        whole = cls.output(text * count, tools, arguments)
        for at, item in enumerate(whole):
            empty = item | ({"arguments": "", "status": "in_progress"} if tools else {"content": [], "status": "in_progress"})
            yield event("response.output_item.added", output_index=at, item=empty)
            if tools:
                for piece in pieces(arguments, count):
                    yield event("response.function_call_arguments.delta", item_id=item["id"], output_index=at, delta=piece)
                yield event("response.function_call_arguments.done", item_id=item["id"], output_index=at, name=item["name"],
                            arguments=arguments)
            else:
                where = {"item_id": "msg_1", "output_index": at, "content_index": 0}
                yield event("response.content_part.added", part={"type": "output_text", "text": "", "annotations": []}, **where)
                for _ in range(count):
                    yield event("response.output_text.delta", delta=text, logprobs=[], **where)
                yield event("response.output_text.done", text=text * count, logprobs=[], **where)
                yield event("response.content_part.done", part=item["content"][0], **where)
            yield event("response.output_item.done", output_index=at, item=item)
        yield event("response.completed", response=cls.body("completed", whole, cls.usage if usage else None))

    error = Chat.error


class Messages:
    media = "text/event-stream"
    usage = {"input_tokens": 12, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 5000, "output_tokens": 50,
             "service_tier": "standard"}
    base = {"id": "msg_77", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929"}

    @classmethod
    def plain(cls, text, tools, arguments='{"q":1}'):
        calls = [{"type": "tool_use", "id": i, "name": n, "input": json.loads(arguments)} for i, n in tools]
        return compact(cls.base | {"content": calls or [{"type": "text", "text": text}], "usage": cls.usage,
                                   "stop_reason": "tool_use" if tools else "end_turn", "stop_sequence": None})

    @classmethod
    def events(cls, count, text, tools, arguments='{"q":1}', usage=True):
        first = cls.base | {"content": [], "stop_reason": None, "stop_sequence": None, "usage": cls.usage | {"output_tokens": 1}}
        yield sse({"type": "message_start", "message": first}, "message_start")
        blocks = [({"type": "tool_use", "id": i, "name": n, "input": {}}, pieces(arguments, count)) for i, n in tools]
        for at, (block, parts) in enumerate(blocks or [({"type": "text", "text": ""}, [text] * count)]):
            yield sse({"type": "content_block_start", "index": at, "content_block": block}, "content_block_start")
            yield sse({"type": "ping"}, "ping")
            for part in parts:
                delta = {"type": "input_json_delta", "partial_json": part} if tools else {"type": "text_delta", "text": part}
                yield sse({"type": "content_block_delta", "index": at, "delta": delta}, "content_block_delta")
            yield sse({"type": "content_block_stop", "index": at}, "content_block_stop")
        end = {"stop_reason": "tool_use" if tools else "end_turn", "stop_sequence": None}
        yield sse({"type": "message_delta", "delta": end, "usage": {"output_tokens": 50} if usage else {}}, "message_delta")
        yield sse({"type": "message_stop"}, "message_stop")

    @staticmethod
    def error(status):
        kind = {429: "rate_limit_error", 529: "overloaded_error", 401: "authentication_error"}.get(status, "api_error")
        return compact({"type": "error", "error": {"type": kind, "message": "no"}, "request_id": "req_body"})


class Ollama:
    media = "application/x-ndjson"
    base = {"model": "llama3.2", "created_at": "2026-11-23T10:00:00Z"}
    end = {"done_reason": "stop", "done": True, "total_duration": 5, "load_duration": 1, "prompt_eval_count": 26,
           "prompt_eval_duration": 1, "eval_count": 298, "eval_duration": 3}

    @classmethod
    def message(cls, text, tools):
        calls = [{"function": {"name": n, "arguments": {"q": 1}}} for _, n in tools]
        return {"role": "assistant", "content": "" if tools else text} | ({"tool_calls": calls} if tools else {})

    @classmethod
    def plain(cls, text, tools, arguments=""):
        return compact(cls.base | {"message": cls.message(text, tools)} | cls.end)

    @classmethod
    def events(cls, count, text, tools, arguments="", usage=True):
        for _ in range(1 if tools else count):
            yield compact(cls.base | {"message": cls.message(text, tools), "done": False}) + b"\n"
        yield compact(cls.base | {"message": {"role": "assistant", "content": ""}} | (cls.end if usage else {"done": True})) + b"\n"

    @staticmethod
    def error(status):
        return compact({"error": "no such model"})


class Embeddings:
    media = "application/json"

    @classmethod
    def plain(cls, text, tools, arguments=""):
        data = [{"object": "embedding", "index": 0, "embedding": "AACAPwAAAEAAAEBA"}]
        return compact({"object": "list", "data": data, "model": "text-embedding-3-small", "usage": {"prompt_tokens": 8, "total_tokens": 8}})

    error = Chat.error


APIS = {"/chat/completions": Chat, "/responses": Responses, "/messages": Messages, "/api/chat": Ollama, "/embeddings": Embeddings}


def at_path(path):
    return next((api for end, api in APIS.items() if path.endswith(end)), None)


def pieces(text, count):
    """`text` in `count` pieces."""
    size = max(1, -(-len(text) // max(1, count)))
    return [text[at:at + size] for at in range(0, len(text), size)]
