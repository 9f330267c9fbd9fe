"""Asks for names in the ways in which resolvers do. Arguments: address and port of the server, rounds. Prints what it asked as JSON: a list of name,
type, code (or TIMEOUT), attempts. `system` asks for the names that follow through getaddrinfo(), `dnspython` through that library (which pymongo
brings).
"""
import json
import os
import random
import socket
import struct
import sys

CODES = {0: "NOERROR", 2: "SERVFAIL", 3: "NXDOMAIN"}
told = []


def message(name, qtype, options=False):
    number = random.randrange(65536)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    text = struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, int(options)) + labels + b"\0" + struct.pack(">HH", qtype, 1)
    return text + (b"\0\0\x29\x04\xd0\0\0\0\0\0\0" if options else b"")


def tell(name, qtype, reply, attempts=1):
    told.append([name.lower(), {1: "A", 28: "AAAA", 16: "TXT"}[qtype], CODES[reply[3] & 15] if reply else "TIMEOUT", attempts])


def datagram():
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.settimeout(1.2)
    return udp


def unconnected(name):
    """sendto() and recvfrom(), as c-ares and dnspython."""
    with datagram() as udp:
        udp.sendto(message(name, 1), server)
        tell(name, 1, udp.recvfrom(4096)[0])


def connected(name):
    """connect(), write() and read(), as Go."""
    with datagram() as udp:
        udp.connect(server)
        os.write(udp.fileno(), message(name, 28))
        tell(name, 28, udp.recv(4096))


def messages(name):
    """sendmsg() with several buffers' worth of options, recvmsg(), both types on one socket, answered in any order."""
    with datagram() as udp:
        wanted = {}
        for qtype in (1, 28):
            text = message(name, qtype, options=True)
            udp.sendmsg([text], [], 0, server)
            wanted[text[:2]] = qtype
        while wanted:
            reply = udp.recvmsg(4096)[0]
            tell(name, wanted.pop(reply[:2]), reply)


def again(name):
    """A second attempt, with the same id from another socket."""
    text = message(name, 1)
    for attempt in (1, 2):
        with datagram() as udp:
            udp.sendto(text, server)
            try:
                return tell(name, 1, udp.recv(4096), attempt)
            except TimeoutError:
                pass
    return tell(name, 1, None, 2)


def stream(names):
    """One connection, all questions before the first answer."""
    with socket.create_connection(server) as tcp, tcp.makefile("rb") as replies:
        texts = [message(name, 16) for name in names]
        tcp.sendall(b"".join(struct.pack(">H", len(text)) + text for text in texts))
        for name in names:
            tell(name, 16, replies.read(struct.unpack(">H", replies.read(2))[0]))


def cut(name):
    """The answer does not fit: the question is asked again over TCP."""
    text = message(name, 1)
    with datagram() as udp:
        udp.sendto(text, server)
        udp.recv(4096)
    with socket.create_connection(server) as tcp, tcp.makefile("rb") as replies:
        tcp.sendall(struct.pack(">H", len(text)) + text)
        tell(name, 1, replies.read(struct.unpack(">H", replies.read(2))[0]), 2)


if sys.argv[1] == "system":
    for name in sys.argv[2:]:
        try:
            socket.getaddrinfo(name, 80, proto=socket.IPPROTO_TCP)
        except OSError:
            pass
    sys.exit()

if sys.argv[1] == "dnspython":
    import dns.exception
    import dns.resolver

    for name in sys.argv[2:]:
        for qtype in ("A", "AAAA"):
            try:
                dns.resolver.resolve(name, qtype, lifetime=3, raise_on_no_answer=False)
            except dns.exception.DNSException:
                pass
    sys.exit()

server = (sys.argv[1], int(sys.argv[2]))
for number in range(int(sys.argv[3])):
    for kind in ("plain", "missing", "broken"):
        unconnected(f"{kind}-{number}.Sendto.example")
        connected(f"{kind}-{number}.connected.example")
        messages(f"{kind}-{number}.messages.example")
    stream([f"{kind}-{number}.stream.example" for kind in ("plain", "missing", "broken")])
    cut(f"large-{number}.example")
unconnected("slow.example")
again("once.example")
again("silent.example")
print(json.dumps(told))
