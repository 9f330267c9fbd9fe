"""Answers questions for names over UDP and TCP. Arguments: address, port. The first label decides: `missing` does not exist, `broken` fails, `silent`
has no answer, `slow` takes 300 ms, `once` has no answer the first time, `large` does not fit a datagram; every other name has the address
127.0.0.1 and none of IPv6. A label after it may tell names apart. Prints a line for each question that came: udp or tcp, the name, the type.
"""
import socket
import struct
import sys
import threading
import time

HEADER = struct.Struct(">HHHHHH")
lock = threading.Lock()
asked = set()


def question(message):
    labels, at = [], HEADER.size
    while message[at]:
        labels.append(message[at + 1 : at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(labels).lower(), struct.unpack_from(">H", message, at + 1)[0], message[HEADER.size : at + 5]


def answer(message, transport):
    name, qtype, repeated = question(message)
    with lock:
        print(transport, name, qtype, flush=True)
        is_first = (name, qtype) not in asked
        asked.add((name, qtype))
    kind = name.split(".")[0].split("-")[0]
    if kind == "silent" or (kind == "once" and is_first):
        return None
    if kind == "slow":
        time.sleep(0.3)
    flags = 0x8180 | {"missing": 3, "broken": 2}.get(kind, 0)
    if kind == "large" and transport == "udp":
        flags |= 0x0200
    is_address = qtype == 1 and not flags & 0x020F
    record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + bytes([127, 0, 0, 1]) if is_address else b""
    return message[:2] + HEADER.pack(0, flags, 1, int(is_address), 0, 0)[2:] + repeated + record


def datagrams(udp):
    def one(message, peer):
        if reply := answer(message, "udp"):
            udp.sendto(reply, peer)

    while True:
        threading.Thread(target=one, args=udp.recvfrom(4096), daemon=True).start()


def connections(tcp):
    def one(connection):
        with connection, connection.makefile("rb") as stream:
            while length := stream.read(2):
                if reply := answer(stream.read(struct.unpack(">H", length)[0]), "tcp"):
                    connection.sendall(struct.pack(">H", len(reply)) + reply)

    while True:
        threading.Thread(target=one, args=(tcp.accept()[0],), daemon=True).start()


place = (sys.argv[1], int(sys.argv[2]))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(place)
threading.Thread(target=connections, args=(socket.create_server(place),), daemon=True).start()
datagrams(udp)
