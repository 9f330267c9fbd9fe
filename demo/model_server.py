"""A scripted model server on loopback: OpenAI's chat completions and responses and Anthropic's messages, streamed and not.

What it answers depends on the request alone. The question chooses a script (`SCRIPTS`): the tools of each turn, then the answer. Tokens
follow from the turn (`usage_of`), so whoever knows the questions knows every sum. `GET /ledger` tells what was answered so far.
No model runs here and no key is looked at."""

import argparse
import asyncio
import itertools
import json

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse

# A word of the question: the tools of each turn. Any other question is answered at once.
SCRIPTS = {
    "stock": [[("find_product", {"name": "lamp"})], [("stock_of", {"product_id": 3})]],
    "compare": [[("find_product", {"name": "chair"}), ("find_product", {"name": "desk"})]],
    "order": [[("order_status", {"order_id": 7})]],
    "lost": [[("order_status", {"order_id": 999_999})]],
    "restock": [
        [("find_product", {"name": "shelf"})],
        [("stock_of", {"product_id": 4}), ("stock_of", {"product_id": 5})],
        [("order_status", {"order_id": 12})],
    ],
}
# A question with this word is refused at its first attempt of each turn, as a busy provider does.
BUSY = "urgent"
ANSWER = "Here is what I found in the shop's records: everything is in order, and it can be sent out on Monday."

app = FastAPI()
ledger = []
numbers = itertools.count(1)
settings = argparse.Namespace(first_ms=80, chunk_ms=4)


class Turn:
    """What the model says next, given the question and how many turns it has had since."""

    def __init__(self, question, turn, reasons):
        words = question.lower()
        script = next((steps for word, steps in SCRIPTS.items() if word in words), [])
        self.tools = script[turn] if turn < len(script) else []
        self.tool_ids = [f"{next(numbers):08x}" for _ in self.tools]
        self.text = "" if self.tools else ANSWER
        self.turn, self.busy = turn, BUSY in words
        # All tokens of the prompt, of those from the cache and into the cache, of the answer, and of those for reasoning.
        self.input = 1_310 + 97 * turn
        self.cached = 1_024 if turn else 0
        self.written = 0 if turn else 1_024
        self.reasoning = 64 if reasons else 0
        self.output = (19 * len(self.tools) or 31) + self.reasoning

    def pieces(self):
        """The text in pieces of a few characters, as a model generates it."""
        return [self.text[at : at + 6] for at in range(0, len(self.text), 6)]


def text_of(content):
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content or [] if isinstance(part, dict))


def place(items, is_answer):
    """The last question of a history, and how many turns the model has had since."""
    question, turns, answering = "", 0, False
    for item in items:
        is_user = item.get("role") == "user"
        results = isinstance(item.get("content"), list) and any(part.get("type") == "tool_result" for part in item["content"])
        if is_user and not results:
            question, turns, answering = text_of(item.get("content")), 0, False
        elif is_answer(item):
            turns += not answering
            answering = True
        else:
            answering = False
    return question, turns


def record(api, model, turn, stream, usage):
    ledger.append({"api": api, "model": model, "stream": stream, "tools": len(turn.tools), "usage": usage})


async def think():
    await asyncio.sleep(settings.first_ms / 1_000)


def refused(request, turn, body):
    """A 429 for the first attempt; the SDKs count their attempts in a header."""
    if not turn.busy or request.headers.get("x-stainless-retry-count", "0") != "0":
        return None
    ledger.append({"api": request.url.path, "model": body["model"], "error": 429})
    error = {"type": "rate_limit_error", "message": "Too many requests.", "code": "rate_limit_exceeded"}
    return JSONResponse({"type": "error", "error": error}, 429, headers={"retry-after-ms": "50"})


def events(source):
    """Server-sent events out of (name or None, data) pairs."""

    async def lines():
        async for name, data in source:
            text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
            yield (f"event: {name}\n" if name else "") + f"data: {text}\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream", headers={"x-request-id": f"req_{next(numbers):08x}"})


@app.get("/ledger")
async def read_ledger():
    return ledger


@app.post("/v1/chat/completions")
async def chat(request: Request):
    body = await request.json()
    question, turns = place(body["messages"], lambda item: item.get("role") == "assistant")
    reasons = body["model"].startswith(("gpt-5", "o"))
    turn = Turn(question, turns, reasons)
    if refusal := refused(request, turn, body):
        return refusal
    usage = {
        "prompt_tokens": turn.input,
        "completion_tokens": turn.output,
        "total_tokens": turn.input + turn.output,
        "prompt_tokens_details": {"cached_tokens": turn.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": turn.reasoning, "audio_tokens": 0},
    }
    finish = "tool_calls" if turn.tools else "stop"
    calls = [
        {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for number, (name, arguments) in zip(turn.tool_ids, turn.tools)
    ]
    base = {"id": f"chatcmpl-{next(numbers):08x}", "created": 1_764_000_000, "model": body["model"]}
    stream = bool(body.get("stream"))
    record("chat", body["model"], turn, stream, usage)
    await think()
    if not stream:
        message = {"role": "assistant", "content": turn.text or None, "tool_calls": calls or None}
        choice = {"index": 0, "message": {k: v for k, v in message.items() if v}, "finish_reason": finish}
        return base | {"object": "chat.completion", "choices": [choice], "usage": usage}

    async def chunks():
        def chunk(delta, finish_reason=None):
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
            return None, base | {"object": "chat.completion.chunk", "choices": [choice], "usage": None}

        yield chunk({"role": "assistant", "content": "" if turn.text else None})
        for piece in turn.pieces():
            await asyncio.sleep(settings.chunk_ms / 1_000)
            yield chunk({"content": piece})
        for index, call in enumerate(calls):
            arguments = call["function"]["arguments"]
            yield chunk({"tool_calls": [call | {"index": index, "function": {"name": call["function"]["name"], "arguments": ""}}]})
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})
        yield chunk({}, finish)
        if (body.get("stream_options") or {}).get("include_usage"):
            yield None, base | {"object": "chat.completion.chunk", "choices": [], "usage": usage}
        yield None, "[DONE]"

    return events(chunks())


@app.post("/v1/responses")
async def responses(request: Request):
    body = await request.json()
    items = [{"role": "user", "content": body["input"]}] if isinstance(body["input"], str) else body["input"]
    said = ("function_call", "reasoning")
    question, turns = place(items, lambda item: item.get("type") in said or item.get("role") == "assistant")
    turn = Turn(question, turns, True)
    if refusal := refused(request, turn, body):
        return refusal
    usage = {
        "input_tokens": turn.input,
        "input_tokens_details": {"cached_tokens": turn.cached},
        "output_tokens": turn.output,
        "output_tokens_details": {"reasoning_tokens": turn.reasoning},
        "total_tokens": turn.input + turn.output,
    }
    output = [
        {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}", "name": name, "status": "completed"}
        | {"arguments": json.dumps(arguments)}
        for number, (name, arguments) in zip(turn.tool_ids, turn.tools)
    ]
    if turn.text:
        content = [{"type": "output_text", "text": turn.text, "annotations": []}]
        output.append({"type": "message", "id": f"msg_{next(numbers):08x}", "role": "assistant", "status": "completed", "content": content})
    whole = {
        "id": f"resp_{next(numbers):08x}",
        "object": "response",
        "created_at": 1_764_000_000,
        "model": body["model"],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    done = whole | {"status": "completed", "output": output, "usage": usage}
    stream = bool(body.get("stream"))
    record("responses", body["model"], turn, stream, usage)
    await think()
    if not stream:
        return done

    async def typed():
        order = itertools.count()

        def event(kind, **fields):
            return kind, {"type": kind, "sequence_number": next(order)} | fields

        yield event("response.created", response=whole | {"status": "in_progress", "output": [], "usage": None})
        for index, item in enumerate(output):
            begun = item | {"status": "in_progress"} | ({"content": []} if item["type"] == "message" else {"arguments": ""})
            yield event("response.output_item.added", output_index=index, item=begun)
            if item["type"] == "message":
                at = {"item_id": item["id"], "output_index": index, "content_index": 0}
                yield event("response.content_part.added", part=item["content"][0] | {"text": ""}, **at)
                for piece in turn.pieces():
                    await asyncio.sleep(settings.chunk_ms / 1_000)
                    yield event("response.output_text.delta", delta=piece, logprobs=[], **at)
                yield event("response.output_text.done", text=turn.text, logprobs=[], **at)
                yield event("response.content_part.done", part=item["content"][0], **at)
            else:
                at = {"item_id": item["id"], "output_index": index}
                yield event("response.function_call_arguments.delta", delta=item["arguments"], **at)
                yield event("response.function_call_arguments.done", arguments=item["arguments"], name=item["name"], **at)
            yield event("response.output_item.done", output_index=index, item=item)
        yield event("response.completed", response=done)

    return events(typed())


@app.post("/v1/messages")
async def messages(request: Request):
    body = await request.json()
    question, turns = place(body["messages"], lambda item: item.get("role") == "assistant")
    turn = Turn(question, turns, False)
    if refusal := refused(request, turn, body):
        return refusal
    usage = {
        "input_tokens": turn.input - turn.cached - turn.written,
        "cache_creation_input_tokens": turn.written,
        "cache_read_input_tokens": turn.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": turn.written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": turn.output,
        "service_tier": "standard",
    }
    stop = "tool_use" if turn.tools else "end_turn"
    blocks = [
        {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": arguments}
        for number, (name, arguments) in zip(turn.tool_ids, turn.tools)
    ] or [{"type": "text", "text": turn.text}]
    whole = {"id": f"msg_{next(numbers):08x}", "type": "message", "role": "assistant", "model": body["model"], "stop_sequence": None}
    stream = bool(body.get("stream"))
    record("messages", body["model"], turn, stream, usage)
    await think()
    if not stream:
        return whole | {"content": blocks, "stop_reason": stop, "usage": usage}

    async def typed():
        def event(kind, **fields):
            return kind, {"type": kind} | fields

        yield event("message_start", message=whole | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}})
        yield event("ping")
        for index, block in enumerate(blocks):
            if block["type"] == "text":
                yield event("content_block_start", index=index, content_block=block | {"text": ""})
                for piece in turn.pieces():
                    await asyncio.sleep(settings.chunk_ms / 1_000)
                    yield event("content_block_delta", index=index, delta={"type": "text_delta", "text": piece})
            else:
                yield event("content_block_start", index=index, content_block=block | {"input": {}})
                delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
                yield event("content_block_delta", index=index, delta=delta)
            yield event("content_block_stop", index=index)
        yield event("message_delta", delta={"stop_reason": stop, "stop_sequence": None}, usage={"output_tokens": turn.output})
        yield event("message_stop")

    return events(typed())


def main():
    parser = argparse.ArgumentParser(description="A scripted model server on 127.0.0.1.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--first-ms", type=int, default=80, help="time before the first token")
    parser.add_argument("--chunk-ms", type=int, default=4, help="time between two pieces of a streamed answer")
    parser.parse_args(namespace=settings)
    uvicorn.run(app, host="127.0.0.1", port=settings.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
