"""Clients of two destinations that ask the kernel what TCP did (TCP_INFO), and their servers. `short.example`: a connection for each request.
`kept.example`: one connection, whose first packet is dropped and sent again, which stays open until standard input ends.
Out, a line each: {"short": {"segments": …, "retransmits": …, "round_trip_ms": mean}, "kept": {…}} before and after the end of the kept one.
What a connection sends with its end is not among the segments: one to three each."""
import json
import socket
import struct
import sys
import threading
import time

CONNECTIONS = 20
REQUESTS = 30


def serve(listener, delay=0):
    time.sleep(delay)
    while True:
        threading.Thread(target=answer, args=[listener.accept()[0]], daemon=True).start()


def answer(peer):
    with peer:
        while peer.recv(4_096):
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def ask(connection, host):
    connection.sendall(f"GET /tcp HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    connection.recv(4_096)


def figures(connection):
    """struct tcp_info (include/uapi/linux/tcp.h): tcpi_rtt, tcpi_total_retrans, tcpi_segs_out."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    number = lambda place: struct.unpack_from("I", info, place)[0]
    return number(136), number(100), number(68) / 1_000


def total(read):
    segments, retransmits, times = zip(*read)
    return {"segments": sum(segments), "retransmits": sum(retransmits), "round_trip_ms": sum(times) / len(times)}


listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=serve, args=[listener], daemon=True).start()
short = []
for _ in range(CONNECTIONS):
    with socket.create_connection(listener.getsockname()) as connection:
        ask(connection, "short.example")
        short.append(figures(connection))
# One connection waits in its queue: the kernel drops the first packet of the next one, which is sent again after a second.
full = socket.create_server(("127.0.0.1", 0), backlog=0)
waiting = socket.create_connection(full.getsockname())
threading.Thread(target=serve, args=[full, 0.3], daemon=True).start()
kept = socket.create_connection(full.getsockname())
for _ in range(REQUESTS):
    ask(kept, "kept.example")
print(json.dumps({"short": total(short), "kept": total([figures(kept)])}), flush=True)
sys.stdin.read()
kept.close()
# The end of a connection comes after its close().
time.sleep(0.5)
