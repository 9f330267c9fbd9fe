"""The shop's cache: Redis over plain sockets, with a small pool of connections.

It speaks as much of the protocol (RESP2) as the shop needs: commands as arrays of strings, answers that are a status, a number, a string or
nothing. The commands of one call are sent together, as a pipeline."""

import asyncio
import json

# Connections; with all of them in use the next call waits.
POOL = 4


def encoded(command):
    parts = [str(part).encode() for part in command]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


async def answer(reader):
    line = (await reader.readline()).removesuffix(b"\r\n")
    if not line:
        raise ConnectionError("Redis closed the connection")
    kind, rest = line[:1], line[1:]
    match kind:
        case b"+":
            return rest.decode()
        case b":":
            return int(rest)
        case b"$" if rest == b"-1":
            return None
        case b"$":
            return (await reader.readexactly(int(rest) + 2))[:-2].decode()
        case _:
            raise ValueError(f"Redis says {line.decode()}")


class Cache:
    def __init__(self, port):
        self.port, self.idle, self.free = port, [], asyncio.Semaphore(POOL)

    async def run(self, *commands):
        """The answers to some commands."""
        async with self.free:
            reader, writer = self.idle.pop() if self.idle else await asyncio.open_connection("127.0.0.1", self.port)
            try:
                writer.write(b"".join(map(encoded, commands)))
                answers = [await answer(reader) for _ in commands]
            except BaseException:
                writer.close()  # what is left of the answers belongs to nobody
                raise
            self.idle.append((reader, writer))
            return answers

    async def remember(self, key, load):
        """What the key holds; for a minute what `load` returns, where it holds nothing."""
        (known,) = await self.run(("GET", key))
        if known is not None:
            return json.loads(known)
        value = load()
        await self.run(("SET", key, json.dumps(value), "EX", 60))
        return value


class NoCache:
    """Where no Redis is installed."""

    async def run(self, *commands):
        return [None for _ in commands]

    async def remember(self, _key, load):
        return load()
