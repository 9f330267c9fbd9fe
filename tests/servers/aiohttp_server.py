"""aiohttp server with the tests' routes. Argument: port."""
import asyncio
import sys

from aiohttp import web


async def hello(_):
    return web.Response(text="hello world\n")


async def some_bytes(request):
    return web.Response(body=b"x" * int(request.match_info["count"]))


async def sleep(request):
    await asyncio.sleep(int(request.match_info["ms"]) / 1000)
    return web.Response(text="slept\n")


async def echo(request):
    return web.Response(body=await request.read())


async def status(request):
    return web.Response(status=int(request.match_info["code"]))


async def stream(request):
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(int(request.match_info["count"])):
        await response.write(b"0123456789")
        await asyncio.sleep(0.002)
    await response.write_eof()
    return response


app = web.Application(client_max_size=1 << 24)
app.add_routes(
    [
        web.get("/hello", hello),
        web.get("/bytes/{count}", some_bytes),
        web.get("/sleep/{ms}", sleep),
        web.post("/echo", echo),
        web.get("/status/{code}", status),
        web.get("/stream/{count}", stream),
    ]
)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
