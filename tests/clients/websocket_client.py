"""A WebSocket client by `websockets` or `aiohttp`: a connection for each scenario, one after another. Arguments: library, base URL
(`ws:` or `wss:`), `deflate` or `plain`, certificate (or `-`), scenarios. For each it prints what it sent and received:
{"scenario", "sent", "received", "sent_bytes", "received_bytes", "code"}."""
import asyncio
import json
import ssl
import sys

library, url, compression, certificate, *scenarios = sys.argv[1:]
context = ssl.create_default_context(cafile=certificate) if certificate != "-" else None
SIZES = [0, 1, 125, 126, 127, 1000, 65535, 65536]


def text(size):
    return ("wörter " * (size // 8 + 1)).encode()[:size].decode(errors="replace").replace("\ufffd", "?")


def binary(size):
    return bytes((7 * i + i // 251) % 256 for i in range(size))


def plan(scenario):
    """Path and messages; a list is a message in fragments."""
    if scenario == "text":
        return "/echo", [text(size) for size in SIZES]
    if scenario == "binary":
        return "/echo", [binary(size) for size in SIZES]
    if scenario == "big":
        return "/echo", [binary(1 << 20) * 10]
    if scenario == "fragments":
        return "/fragments", [["one ", "two ", "three"], [binary(100), b"", binary(70000)], [text(300), text(5)]]
    if scenario == "ping":
        return "/ping", [text(10)] * 3
    if scenario.startswith("close-"):
        return "/close/" + scenario[6:], [text(20)]
    return "/abort" if scenario == "abort" else "/echo", [text(20)]


def joined(message):
    return message[0][:0].join(message) if isinstance(message, list) else message


def size_of(data):
    return len(data.encode() if isinstance(data, str) else data)


class Log:
    def __init__(self, scenario):
        self.counts = {"scenario": scenario, "sent": 0, "received": 0, "sent_bytes": 0, "received_bytes": 0, "code": None}

    def add(self, way, data):
        self.counts[way] += 1
        self.counts[way + "_bytes"] += size_of(data)

    def print(self, code):
        self.counts["code"] = code
        print(json.dumps(self.counts), flush=True)


async def with_websockets(scenario):
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    path, messages = plan(scenario)
    log = Log(scenario)
    deflate = "deflate" if compression == "deflate" else None
    connection = await connect(url + path, ssl=context, compression=deflate, max_size=None, ping_interval=None, proxy=None)
    try:
        for message in messages:
            if scenario == "ping":
                await (await connection.ping(b"hello"))
            await connection.send(message)
            log.add("sent", joined(message))
            data = await connection.recv()
            log.add("received", data)
            assert data == joined(message), scenario
        if scenario == "cut":
            connection.transport.abort()
        else:
            await connection.close()
    except ConnectionClosed:
        pass
    await connection.wait_closed()
    log.print(connection.close_code)


async def with_aiohttp(scenario):
    import aiohttp

    path, messages = plan(scenario)
    log = Log(scenario)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context or True)) as session:
        compress = 15 if compression == "deflate" else 0
        socket = await session.ws_connect(url + path, compress=compress, max_msg_size=0, autoclose=True)
        for message in map(joined, messages):
            if scenario == "ping":
                await socket.ping(b"hello")
            await (socket.send_str if isinstance(message, str) else socket.send_bytes)(message)
            log.add("sent", message)
            answer = await socket.receive()
            if answer.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                break
            log.add("received", answer.data)
            assert answer.data == message, scenario
        if scenario == "cut":
            socket._response.connection.transport.abort()
        else:
            await socket.close()
        log.print(socket.close_code)


for name in scenarios:
    asyncio.run(with_websockets(name) if library == "websockets" else with_aiohttp(name))
