"""A service as the page shows one: quick, slow and failing routes, and an agent that asks a model on the port given by MODEL_PORT.
Run with `--model` it is that model: OpenAI's chat completions, first a tool call, then an answer, with usage; never a real one."""
import asyncio
import os
import sys

import httpx
from aiohttp import web

MODEL = "http://127.0.0.1:" + os.environ.get("MODEL_PORT", "0") + "/v1/chat/completions"
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}]


async def user(request):
    return web.json_response({"id": request.match_info["id"]})


async def checkout(_):
    await asyncio.sleep(0.6)
    return web.Response(status=201)


async def broken(_):
    return web.Response(status=503)


async def ask(_):
    messages = [{"role": "user", "content": "how many are left?"}]
    async with httpx.AsyncClient(timeout=20) as client:
        for _ in range(2):
            body = {"model": "gpt-4o-mini", "messages": messages, "tools": TOOLS}
            message = (await client.post(MODEL, json=body)).json()["choices"][0]["message"]
            messages.append(message)
            for call in message.get("tool_calls") or []:
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": "42"})
    return web.json_response({"answer": message["content"]})


async def complete(request):
    body = await request.json()
    await asyncio.sleep(0.05)
    used = {"prompt_tokens": 1200, "completion_tokens": 85, "total_tokens": 1285, "prompt_tokens_details": {"cached_tokens": 400}}
    message, reason = {"role": "assistant", "content": "42 are left"}, "stop"
    if body["messages"][-1]["role"] == "user":
        call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
        message, reason = {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return web.json_response({"id": "c1", "object": "chat.completion", "model": body["model"], "choices": [choice], "usage": used})


app = web.Application()
if "--model" in sys.argv:
    app.add_routes([web.post("/v1/chat/completions", complete)])
else:
    app.add_routes([web.get("/users/{id}", user), web.post("/checkout", checkout), web.get("/broken", broken), web.post("/ask", ask)])
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
