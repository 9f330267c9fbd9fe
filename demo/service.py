"""The service that the demo watches: a small shop (FastAPI, uvicorn, TLS, SQLite, Redis as its cache) with an agent that answers questions
about it.

It is written as such services are and knows nothing of perfmon. `POST /ask` asks a model through the official SDKs of OpenAI or
Anthropic, executes the tools that the model asks for, and goes on until the model answers. Its answer tells the usage that the SDK
reported, so that a test can compare."""

import argparse
import asyncio
import json
import os
import pathlib
import sqlite3
import subprocess

import uvicorn
from anthropic import AsyncAnthropic
from cache import Cache, NoCache
from fastapi import FastAPI, HTTPException
from openai import AsyncOpenAI
from pydantic import BaseModel

PRODUCTS = ["table", "chair", "lamp", "shelf", "desk", "mirror", "carpet", "sofa", "clock", "vase"]
SYSTEM = "You are the assistant of a furniture shop. Use the tools to look things up, then answer briefly. " * 8
TOOLS = {
    "find_product": ("Find a product by its name.", {"name": {"type": "string"}}),
    "stock_of": ("How many of a product are in stock.", {"product_id": {"type": "integer"}}),
    "order_status": ("Where an order is.", {"order_id": {"type": "integer"}}),
}

app = FastAPI()
base = ""  # folder of the database, set by main
asked = 0


def database():
    connection = sqlite3.connect(pathlib.Path(base, "shop.db"))
    connection.row_factory = sqlite3.Row
    return connection


def fill():
    with database() as db:
        db.execute("CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT, price REAL, stock INTEGER)")
        db.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, product_id INTEGER, amount INTEGER, status TEXT)")
        rows = [(n + 1, PRODUCTS[n % 10] + ("" if n < 10 else f" {n // 10}"), 10 + n % 90, n % 17) for n in range(2_000)]
        db.executemany("INSERT INTO products VALUES (?, ?, ?, ?)", rows)
        orders = [(n + 1, n % 2_000 + 1, n % 4 + 1, ("packed", "sent", "delivered")[n % 3]) for n in range(5_000)]
        db.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", orders)


def one(query, *values):
    row = database().execute(query, values).fetchone()
    if row is None:
        raise HTTPException(404, "not found")
    return dict(row)


@app.get("/products")
async def products(page: int = 0):
    """Asks for the views one by one, where one command could ask for all: perfmon finds it (`n_plus_one`)."""

    def load():
        return [dict(row) for row in database().execute("SELECT * FROM products LIMIT 50 OFFSET ?", (page * 50,))]

    rows = await app.state.cache.remember(f"page:{page}", load)
    for row in rows:
        (row["views"],) = await app.state.cache.run(("GET", f"views:{row['id']}"))
    return rows


@app.get("/products/{product_id}")
async def product(product_id: int):
    await app.state.cache.run(("INCR", f"views:{product_id}"), ("ZINCRBY", "popular", 1, product_id))
    return await app.state.cache.remember(f"product:{product_id}", lambda: one("SELECT * FROM products WHERE id = ?", product_id))


@app.get("/orders/{order_id}")
async def order(order_id: int):
    return await app.state.cache.remember(f"order:{order_id}", lambda: one("SELECT * FROM orders WHERE id = ?", order_id))


class NewOrder(BaseModel):
    product_id: int
    amount: int = 1


@app.post("/orders", status_code=201)
async def new_order(order: NewOrder):
    with database() as db:
        values = (order.product_id, order.amount)
        id = db.execute("INSERT INTO orders (product_id, amount, status) VALUES (?, ?, 'new')", values).lastrowid
    await app.state.cache.run(("DEL", f"product:{order.product_id}"), ("LPUSH", "orders:latest", id), ("LTRIM", "orders:latest", 0, 99))
    return {"id": id}


@app.get("/reports/sales")
async def sales():
    """Slow: it waits for something else."""
    await asyncio.sleep(0.6)
    query = "SELECT name, sum(amount * price) AS sales FROM orders JOIN products ON products.id = product_id GROUP BY name LIMIT 20"
    return [dict(row) for row in database().execute(query)]


@app.get("/delivery-dates")
async def delivery_dates():
    """Fails sometimes: every fifth time the carrier does not answer."""
    global asked
    asked += 1
    if asked % 5 == 0:
        raise HTTPException(503, "the carrier does not answer")
    return {"next": "Monday"}


def run_tool(name, arguments):
    """The tool's result as text, and whether it failed."""
    try:
        match name:
            case "find_product":
                result = one("SELECT id, name, price FROM products WHERE name = ?", arguments["name"])
            case "stock_of":
                result = one("SELECT id, stock FROM products WHERE id = ?", arguments["product_id"])
            case "order_status":
                result = one("SELECT id, status FROM orders WHERE id = ?", arguments["order_id"])
            case _:
                return f"Error: there is no tool {name}", True
    except HTTPException as error:
        return f"Error: {error.detail}", True
    return json.dumps(result), False


def schema(properties):
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


class Run:
    """What an agent run used, as its SDK told."""

    def __init__(self):
        self.calls, self.tools, self.answer = [], 0, ""

    def call(self, api, model, usage):
        self.calls.append({"api": api, "model": model, "usage": usage.model_dump(mode="json")})

    def tool(self, name, arguments):
        self.tools += 1
        return run_tool(name, json.loads(arguments) if isinstance(arguments, str) else arguments)


async def chat(run, question, model, stream):
    """OpenAI's chat completions."""
    functions = [
        {"type": "function", "function": {"name": name, "description": about, "parameters": schema(properties)}}
        for name, (about, properties) in TOOLS.items()
    ]
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
    while True:
        if stream:
            async with app.state.openai.chat.completions.stream(
                model=model, messages=messages, tools=functions, stream_options={"include_usage": True}
            ) as events:
                answer = await events.get_final_completion()
        else:
            answer = await app.state.openai.chat.completions.create(model=model, messages=messages, tools=functions)
        run.call("chat", answer.model, answer.usage)
        message = answer.choices[0].message
        if not message.tool_calls:
            return message.content
        calls = [
            {"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": call.function.arguments}}
            for call in message.tool_calls
        ]
        messages.append({"role": "assistant", "content": message.content, "tool_calls": calls})
        for call in message.tool_calls:
            result, _ = run.tool(call.function.name, call.function.arguments)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


async def responses(run, question, model, stream):
    """OpenAI's responses."""
    functions = [
        {"type": "function", "name": name, "description": about, "parameters": schema(properties), "strict": True}
        for name, (about, properties) in TOOLS.items()
    ]
    items = [{"role": "user", "content": question}]
    while True:
        options = {"model": model, "instructions": SYSTEM, "input": items, "tools": functions}
        if stream:
            async with app.state.openai.responses.stream(**options) as events:
                async for _ in events:
                    pass
                answer = await events.get_final_response()
        else:
            answer = await app.state.openai.responses.create(**options)
        run.call("responses", answer.model, answer.usage)
        calls = [item for item in answer.output if item.type == "function_call"]
        if not calls:
            return answer.output_text
        for call in calls:
            items.append({"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments})
        for call in calls:
            result, _ = run.tool(call.name, call.arguments)
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": result})


async def messages(run, question, model, stream):
    """Anthropic's messages."""
    functions = [{"name": name, "description": about, "input_schema": schema(properties)} for name, (about, properties) in TOOLS.items()]
    history = [{"role": "user", "content": question}]
    while True:
        options = {"model": model, "max_tokens": 1_024, "system": SYSTEM, "messages": history, "tools": functions}
        if stream:
            async with app.state.anthropic.messages.stream(**options) as events:
                answer = await events.get_final_message()
        else:
            answer = await app.state.anthropic.messages.create(**options)
        run.call("messages", answer.model, answer.usage)
        uses = [block for block in answer.content if block.type == "tool_use"]
        if not uses:
            return "".join(block.text for block in answer.content)
        history.append({"role": "assistant", "content": [{"type": "tool_use", "id": u.id, "name": u.name, "input": u.input} for u in uses]})
        results = [(use.id, *run.tool(use.name, use.input)) for use in uses]
        history.append(
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": id, "content": text, "is_error": bad} for id, text, bad in results],
            }
        )


class Question(BaseModel):
    question: str
    api: str = "chat"
    model: str = "gpt-4o-mini"
    stream: bool = False


@app.post("/ask")
async def ask(question: Question):
    run = Run()
    agent = {"chat": chat, "responses": responses, "messages": messages}[question.api]
    answer = await agent(run, question.question, question.model, question.stream)
    return {"answer": answer, "tools": run.tools, "calls": run.calls}


def certificate(folder):
    """A certificate for 127.0.0.1 that signs itself."""
    paths = [pathlib.Path(folder, name) for name in ("cert.pem", "key.pem")]
    if not all(path.is_file() for path in paths):
        command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
        subprocess.run([*command.split(), "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True)
    return [str(path) for path in paths]


def main():
    global base
    parser = argparse.ArgumentParser(description="The demo's shop, over TLS on 127.0.0.1.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model-url", required=True, help="where the model server listens, e.g. http://127.0.0.1:8001")
    parser.add_argument("--folder", required=True, help="for the certificate (cert.pem) and the database")
    parser.add_argument("--redis-port", type=int, help="where Redis listens on 127.0.0.1 (default: no cache)")
    parser.add_argument("--http", default="auto", choices=["auto", "h11", "httptools"])
    parser.add_argument("--loop", default="auto", choices=["auto", "asyncio", "uvloop"])
    args = parser.parse_args()
    base = args.folder
    fill()
    for name in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"):  # the model server is on this machine
        os.environ.pop(name, None), os.environ.pop(name.lower(), None)
    app.state.cache = Cache(args.redis_port) if args.redis_port else NoCache()
    app.state.openai = AsyncOpenAI(base_url=f"{args.model_url}/v1", api_key="sk-demo", max_retries=3)
    app.state.anthropic = AsyncAnthropic(base_url=args.model_url, api_key="sk-ant-demo", max_retries=3)
    cert, key = certificate(args.folder)
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=args.port,
        http=args.http,
        loop=args.loop,
        ssl_certfile=cert,
        ssl_keyfile=key,
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main()
