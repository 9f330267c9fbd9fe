"""A WebSocket server by `websockets` or `aiohttp`. Arguments: library, port, `deflate` or `plain`, certificate and key for TLS.
The path says what it does with each message: `/echo` sends it back, `/fragments` the same in three frames (`websockets` only), `/ping`
pings first, `/close/CODE` closes with that code, `/abort` drops the connection. At the end of a connection it prints what it sent and
received: {"path", "sent", "received", "sent_bytes", "received_bytes"}."""
import asyncio
import json
import ssl
import sys

library, port, compression, *certificate = sys.argv[1:]
context = None
if certificate:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)


class Log:
    def __init__(self, path):
        self.counts = {"path": path, "sent": 0, "received": 0, "sent_bytes": 0, "received_bytes": 0}

    def add(self, way, data):
        self.counts[way] += 1
        self.counts[way + "_bytes"] += len(data.encode() if isinstance(data, str) else data)

    def print(self):
        print(json.dumps(self.counts), flush=True)


def thirds(data):
    third = len(data) // 3
    return [data[:third], data[third : 2 * third], data[2 * third :]]


async def with_websockets():
    from websockets.asyncio.server import serve
    from websockets.exceptions import ConnectionClosed

    async def handle(connection):
        path = connection.request.path
        log = Log(path)
        try:
            async for data in connection:
                log.add("received", data)
                if path.startswith("/close/"):
                    return await connection.close(int(path.split("/")[2]), "asked for")
                if path == "/abort":
                    return connection.transport.abort()
                if path == "/ping":
                    await (await connection.ping(b"are you there"))
                await connection.send(thirds(data) if path == "/fragments" else data)
                log.add("sent", data)
        except ConnectionClosed:
            pass
        finally:
            log.print()

    deflate = "deflate" if compression == "deflate" else None
    async with serve(handle, "127.0.0.1", int(port), ssl=context, compression=deflate, max_size=None, ping_interval=None):
        await asyncio.Future()


async def with_aiohttp():
    from aiohttp import WSMsgType, web

    async def handle(request):
        path = request.path
        log = Log(path)
        socket = web.WebSocketResponse(compress=compression == "deflate", max_msg_size=0)
        await socket.prepare(request)
        async for message in socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                break
            log.add("received", message.data)
            if path.startswith("/close/"):
                await socket.close(code=int(path.split("/")[2]), message=b"asked for")
                break
            if path == "/abort":
                request.transport.abort()
                break
            if path == "/ping":
                await socket.ping(b"are you there")
            await (socket.send_str if message.type == WSMsgType.TEXT else socket.send_bytes)(message.data)
            log.add("sent", message.data)
        log.print()
        return socket

    app = web.Application()
    app.add_routes([web.get("/{path:.*}", handle)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(port), ssl_context=context).start()
    await asyncio.Future()


asyncio.run(with_websockets() if library == "websockets" else with_aiohttp())
