"""Answers questions for names over UDP and TCP. Arguments: address, port. The first label decides: `missing` does not exist, `broken` fails, `silent`
has no answer, `slow` takes 300 ms, `once` has no answer the first time, `large` does not fit a datagram, `many` is another name's alias with
several addresses of both families; every other name has the address 127.0.0.1 and none of IPv6. A label after it may tell names apart. Who
asks with EDNS gets it back. Prints a line for each question that came: udp or tcp, the name, the type.
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


def record(name, rtype, data):
    return name + struct.pack(">HHIH", rtype, 1, 60, len(data)) + data


def answers(kind, qtype):
    if kind == "many":
        alias = b"\x05alias\x07example\0"
        numbers = {1: [bytes([127, 0, 0, host]) for host in range(1, 5)], 28: [bytes(15) + bytes([host]) for host in range(1, 4)]}
        return [record(b"\xc0\x0c", 5, alias)] + [record(alias, qtype, data) for data in numbers.get(qtype, [])]
    return [record(b"\xc0\x0c", 1, bytes([127, 0, 0, 1]))] if qtype == 1 else []


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
    records = [] if flags & 0x020F else answers(kind, qtype)
    edns = b"\0\0\x29\x04\xd0\0\0\0\0\0\0" if HEADER.unpack_from(message)[5] else b""
    head = message[:2] + HEADER.pack(0, flags, 1, len(records), 0, int(bool(edns)))[2:]
    return head + repeated + b"".join(records) + edns


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
