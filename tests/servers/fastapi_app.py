"""FastAPI application with the tests' routes; run by uvicorn (h11 or httptools + uvloop). /block holds the event loop."""
import asyncio
import time

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

app = FastAPI()


@app.get("/hello")
async def hello():
    return PlainTextResponse("hello world\n")


@app.get("/bytes/{count}")
async def some_bytes(count: int):
    return Response(b"x" * count, media_type="application/octet-stream")


@app.get("/sleep/{ms}")
async def sleep(ms: int):
    await asyncio.sleep(ms / 1000)
    return PlainTextResponse("slept\n")


@app.get("/block/{ms}")
async def block(ms: int):
    time.sleep(ms / 1000)
    return PlainTextResponse("blocked\n")


@app.post("/echo")
async def echo(request: Request):
    return Response(await request.body(), media_type="application/octet-stream")


@app.get("/status/{code}")
async def status(code: int):
    return Response(status_code=code)


@app.get("/stream/{count}")
async def stream(count: int):
    async def pieces():
        for _ in range(count):
            yield b"0123456789"
            await asyncio.sleep(0.002)

    return StreamingResponse(pieces(), media_type="application/octet-stream")
