"""A server whose requests call Redis and another HTTP server. Arguments: `threads` (a thread a connection) or `fastapi` (one event loop, and
its pool of threads), port, Redis' port, the other server's port; `orm`: the same with PostgreSQL's port and the password of its user `shop`.
Routes, by how they work on a request (`threads` has the first only): /threads/NAME/D/H, /loop/NAME/D/H, /pool/NAME/D/H: D times GET of the key
NAME:D, then H requests to the other server. `orm` has /sqlalchemy/NAME/D/0 (in the pool of threads) and /asyncpg/NAME/D/0 (in the event loop): D times
a row of the table NAME.
"""
import asyncio
import http.client
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

mode, port, redis_port, other_port = sys.argv[1], *map(int, sys.argv[2:5])
own = threading.local()


def command(key):
    return b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (len(key), key.encode())


def work(name, commands, requests):
    if not hasattr(own, "redis"):
        own.redis = socket.create_connection(("127.0.0.1", redis_port))
        own.other = http.client.HTTPConnection("127.0.0.1", other_port)
    for number in range(commands):
        own.redis.sendall(command(f"{name}:{number}"))
        own.redis.recv(4096)
        time.sleep(0.001)
    for _ in range(requests):
        own.other.request("GET", "/hello")
        own.other.getresponse().read()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        _, _, name, commands, requests = self.path.split("/")
        work(name, int(commands), int(requests))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


def fastapi():
    import uvicorn
    from fastapi import FastAPI

    app = FastAPI()
    idle = []

    async def ask(name, commands, requests):
        reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", redis_port)
        for number in range(commands):
            writer.write(command(f"{name}:{number}"))
            await reader.readline()
            await asyncio.sleep(0.001)
        idle.append((reader, writer))
        for _ in range(requests):
            reader, writer = await asyncio.open_connection("127.0.0.1", other_port)
            writer.write(b"GET /hello HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n")
            await reader.read()
            writer.close()

    @app.get("/loop/{name}/{commands}/{requests}")
    async def loop(name: str, commands: int, requests: int):
        await ask(name, commands, requests)
        return "ok"

    @app.get("/pool/{name}/{commands}/{requests}")
    def pool(name: str, commands: int, requests: int):
        work(name, commands, requests)
        return "ok"

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")


def orm():
    import asyncpg
    import uvicorn
    from fastapi import FastAPI
    from sqlalchemy import create_engine, text

    place = {"host": "127.0.0.1", "port": int(sys.argv[5]), "user": "shop", "password": sys.argv[6], "database": "shop"}
    url = f"postgresql+psycopg://shop:{place['password']}@127.0.0.1:{place['port']}/shop"
    engine = create_engine(url, pool_size=5, max_overflow=0, isolation_level="AUTOCOMMIT")
    # The first connection asks for the server's version and settings.
    engine.connect().close()
    app = FastAPI()
    idle = []

    @app.get("/sqlalchemy/{name}/{commands}/{requests}")
    def sqlalchemy(name: str, commands: int, requests: int):
        with engine.connect() as db:
            for _ in range(commands):
                db.execute(text(f"SELECT n FROM {name}")).all()
        return "ok"

    @app.get("/asyncpg/{name}/{commands}/{requests}")
    async def with_asyncpg(name: str, commands: int, requests: int):
        # Without a pool, which resets a connection each time that it is given back.
        db = idle.pop() if idle else await asyncpg.connect(**place)
        for _ in range(commands):
            await db.fetch(f"SELECT n FROM {name}")
        idle.append(db)
        return "ok"

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")


if mode == "threads":
    Server(("127.0.0.1", port), Handler).serve_forever()
elif mode == "orm":
    orm()
else:
    fastapi()
