"""A model server that follows scripts to the byte: which piece in which write, when, how framed and how it ends.
`/s/SCRIPT-N/…` plays a script of `model_scripts.py`; N tells calls apart. Arguments: port, and for TLS certificate and key."""
import asyncio
import json
import socket
import ssl
import struct
import sys

from model_scripts import script



async def read_request(reader):
    """The next request as (path, headers, body), or None at the connection's end."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:size]
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return first.split(" ")[1], headers, body


async def play(steps, writer):
    """Bytes are written, numbers waited for in seconds; `close` and `reset` end the connection. True: it stays open."""
    for step in steps:
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
        elif isinstance(step, (int, float)):
            await asyncio.sleep(step)
        elif step == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return False
        else:
            return False
    return True


async def serve(reader, writer):
    try:
        while request := await read_request(reader):
            path, headers, body = request
            name, rest = path.split("?")[0].removeprefix("/s/").split("/", 1)
            if not await play(script(name, "/" + rest, headers, json.loads(body)), writer):
                break
    except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def main(port, *certificate):
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    server = await asyncio.start_server(serve, "127.0.0.1", int(port), ssl=context, backlog=1024, limit=1 << 20)
    async with server:
        await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
