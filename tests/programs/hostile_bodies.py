"""A client of one server that sends what costs its observer most; the standard library alone.

`hostile_bodies.py MODE PORT`: begins at SIGUSR1, writes `sent`, and closes its connections at the next SIGUSR1. Modes:
  bombs     100 connections, each with a call of a model whose body is 63 blocks of zstd, 8 MiB plain, and not over
  members   a call with 8 MB of gzip members, each with a long name
  nothing   a call with 4 MB of deflate blocks that hold a byte each
  plain     a call with 8 MB of JSON
  pipeline  100 connections with 1,024 requests each and no answer
  calls     100 calls in gzip, one after the other, each answered
"""
import gzip
import signal
import socket
import struct
import sys
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


def blocks_of_a_byte():
    """Blocks of deflate with the fixed code: begin, a letter, end; 18 bits each, four of them in nine bytes."""
    bits, count = 0, 0
    for _ in range(4):
        for value, width in ((0b010, 3), (int(f"{ord('{') + 0x30:08b}"[::-1], 2), 8), (0, 7)):
            bits |= value << count
            count += width
    return bits.to_bytes(9, "little") * (SIZE // 2 // 9)


def connect():
    connection = socket.create_connection(("127.0.0.1", PORT))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def one(body, coding):
    connection = connect()
    connection.sendall(head(len(body), coding))
    for at in range(0, len(body), 16_384):
        connection.sendall(body[at : at + 16_384])
    return [connection]


def bombs():
    connections = [connect() for _ in range(100)]
    bomb = zstd_bomb()
    for connection in connections:
        connection.sendall(head(len(bomb) + 1_000, "zstd") + bomb)
    return connections


def pipeline():
    connections = [connect() for _ in range(100)]
    for number in range(1_024):
        path = f"/{number}/" + "long/" * 200
        for connection in connections:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    return connections


def calls():
    connection = connect()
    body = gzip.compress(b'{"model":"m","messages":[{"role":"user","content":"hi"}]}')
    for _ in range(100):
        connection.sendall(head(len(body), "gzip", answer=True) + body)
        answer = b""
        while not answer.endswith(b"}\n"):
            answer += connection.recv(65_536)
    return [connection]


MODES = {
    "bombs": bombs,
    "members": lambda: one(members(), "gzip"),
    "nothing": lambda: one(blocks_of_a_byte(), "deflate"),
    "plain": lambda: one(b'{"model":"m","messages":["' + b"x" * SIZE + b'"]}', None),
    "pipeline": pipeline,
    "calls": calls,
}

signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
print("ready", flush=True)
signal.sigwait([signal.SIGUSR1])
connections = MODES[MODE]()
print("sent", flush=True)
signal.sigwait([signal.SIGUSR1])
