"""A client of one server that sends what costs its observer most; the standard library alone.

`hostile_bodies.py MODE PORT`: begins at SIGUSR1, writes `sent`, and closes its connections at the next SIGUSR1. Modes:
  bombs     100 connections, each with a call of a model whose body is 63 blocks of zstd, 8 MiB plain, and not over
  members   eight calls with 8 MB of gzip members each, every member with a long name
  plain     eight calls with 8 MB of JSON each, a long conversation
  pipeline  100 connections with 1,024 requests each and no answer
  calls     100 calls in gzip, one after the other, each on its own connection and answered
"""
import gzip
import signal
import socket
import struct
import sys
import time
import zlib

MODE, PORT = sys.argv[1], int(sys.argv[2])
SIZE = 8_000_000


def head(length, coding=None, answer=False):
    lines = ["POST /v1/chat/completions HTTP/1.1", "Host: api.openai.com", "Content-Type: application/json", f"Content-Length: {length}"]
    lines += [f"Content-Encoding: {coding}"] if coding else []
    lines += ["X-Answer: yes"] if answer else []
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def zstd_bomb():
    """A frame with a window of 8 MiB and 63 blocks of 128 KiB that repeat a byte."""
    block = struct.pack("<I", 1 << 1 | (128 * 1024) << 3)[:3] + b" "
    return b"\x28\xb5\x2f\xfd\x00\x68" + block * 63


def members():
    name = b"n" * 1_000
    data = b"{}"
    deflated = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = deflated.compress(data) + deflated.flush()
    member = b"\x1f\x8b\x08\x08\0\0\0\0\0\x03" + name + b"\0" + body + struct.pack("<II", zlib.crc32(data), len(data))
    return member * (SIZE // len(member))


def connect():
    connection = socket.create_connection(("127.0.0.1", PORT))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def conversation():
    message = b'{"role":"user","content":"' + b"Some words of a question. " * 4 + b'"},'
    return b'{"model":"m","messages":[' + message * (SIZE // len(message)) + b"{}]}"


def eight(body, coding):
    """Slowly enough that nothing is lost."""
    connections = [connect() for _ in range(8)]
    for connection in connections:
        connection.sendall(head(len(body), coding))
        for at in range(0, len(body), 16_384):
            connection.sendall(body[at : at + 16_384])
            time.sleep(0.0005)
    return connections


def bombs():
    connections = [connect() for _ in range(100)]
    bomb = zstd_bomb()
    for connection in connections:
        connection.sendall(head(len(bomb) + 1_000, "zstd") + bomb)
    return connections


def pipeline():
    """Each connection's requests stay below the 64 KiB that are captured of a run of them."""
    connections = [connect() for _ in range(100)]
    for first in range(0, 1_024, 64):
        requests = "".join(f"GET /{number} HTTP/1.1\r\nHost: host\r\n\r\n" for number in range(first, first + 64)).encode()
        for connection in connections:
            connection.sendall(requests)
        time.sleep(0.25)
    return connections


def calls():
    body = gzip.compress(b'{"model":"m","messages":[{"role":"user","content":"hi"}]}')
    for _ in range(100):
        with connect() as connection:
            connection.sendall(head(len(body), "gzip", answer=True) + body)
            answer = b""
            while not answer.endswith(b"}\n"):
                answer += connection.recv(65_536)
    return []


MODES = {
    "bombs": bombs,
    "members": lambda: eight(members(), "gzip"),
    "plain": lambda: eight(conversation(), None),
    "pipeline": pipeline,
    "calls": calls,
}

signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
print("ready", flush=True)
signal.sigwait([signal.SIGUSR1])
connections = MODES[MODE]()
print("sent", flush=True)
signal.sigwait([signal.SIGUSR1])
