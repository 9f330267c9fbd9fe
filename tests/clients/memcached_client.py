"""Sends commands to a memcached: by pymemcache, by pymemcache with noreply, pipelined and as meta commands over a bare socket, or some that fail.
Arguments: port, what, rounds. Out: what was sent, as JSON: commands by name, keys that were asked for, and commands without an answer.
`steady` makes one round, says `ready`, and makes the others for a line on standard input."""
import json
import socket
import sys
from collections import Counter

from pymemcache.client.base import Client

PORT, WHAT, ROUNDS = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
VALUE = b"canary7Q" * 5
sent, keys, unanswered = Counter(), 0, 0


def library():
    client = Client(("127.0.0.1", PORT), default_noreply=False)
    global keys
    for number in range(ROUNDS):
        name = f"user:{number}-canary7Q"
        client.set(name, VALUE)
        client.get(name)
        client.get("none")
        _, token = client.gets(name)
        client.cas(name, b"x" * 5_000, token)
        client.set_many({f"item:{number}:{item}": VALUE for item in range(3)})
        client.get_many([f"item:{number}:{item}" for item in range(5)])
        client.set("n", b"1")
        client.incr("n", 5)
        client.decr("none", 1)
        client.touch(name, 60)
        client.delete(name)
        client.delete("none")
        keys += 1 + 1 + 1 + 5
        sent.update({"set": 5, "get": 3, "gets": 1, "cas": 1, "incr": 1, "decr": 1, "touch": 1, "delete": 2})


def noreply():
    client = Client(("127.0.0.1", PORT), default_noreply=True)
    global keys, unanswered
    for number in range(ROUNDS):
        client.set("basket:" + "k" * 60, VALUE)
        client.add(f"basket:{number}", VALUE)
        client.delete("none")
        client.get(f"basket:{number}")
        keys += 1
        unanswered += 3
        sent.update(["set", "add", "delete", "get"])


def talk(connection, commands, end):
    connection.sendall(commands)
    answer = b""
    while not answer.endswith(end):
        answer += connection.recv(1 << 16)


def pipelined():
    connection = socket.create_connection(("127.0.0.1", PORT))
    global keys
    length = str(len(VALUE)).encode()
    for _ in range(ROUNDS):
        commands = b"".join(b"set p:%d 0 0 %s\r\n%s\r\nget p:%d\r\nget none\r\n" % (item, length, VALUE, item) for item in range(16))
        talk(connection, commands + b"delete last\r\n", b"NOT_FOUND\r\n")
        keys += 32
        sent.update({"set": 16, "get": 32, "delete": 1})


def meta():
    connection = socket.create_connection(("127.0.0.1", PORT))
    global keys, unanswered
    # A counter that it makes is told even when it is asked quietly.
    talk(connection, b"ma c N0 J1 q O1\r\nmn\r\n", b"MN\r\n")
    sent.update(["ma", "mn"])
    for _ in range(ROUNDS):
        commands = b"ms m:1 40 q\r\n%s\r\nmg m:1 v q k\r\nmg none v q k\r\nmg m:1 v\r\nma c N0 J1 q O1\r\nmd none k\r\nmn\r\n" % VALUE
        talk(connection, commands, b"MN\r\n")
        keys += 3
        unanswered += 3
        sent.update({"ms": 1, "mg": 3, "ma": 1, "md": 1, "mn": 1})


def failing():
    connection = socket.create_connection(("127.0.0.1", PORT))
    for _ in range(ROUNDS):
        talk(connection, b"set user:canary7Q 0 0 8\r\ncanary7Q\r\n", b"STORED\r\n")
        talk(connection, b"incr user:canary7Q 1\r\n", b"non-numeric value\r\n")
        talk(connection, b"set big 0 0 2000000\r\n" + b"x" * 2_000_000 + b"\r\n", b"for cache\r\n")
        talk(connection, b"canary7Q\r\n", b"ERROR\r\n")


def steady():
    client = Client(("127.0.0.1", PORT), default_noreply=False)
    client.set("s:1", VALUE)
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(ROUNDS):
        client.set("s:1", VALUE)
        client.get("s:1")
        sent.update(["set", "get"])
    client.close()


def binary():
    connection = socket.create_connection(("127.0.0.1", PORT))
    key = b"Hello"
    connection.sendall(bytes([0x80, 0, 0, len(key), 0, 0, 0, 0]) + len(key).to_bytes(4, "big") + bytes(12) + key)
    assert connection.recv(100)[0] == 0x81


globals()[WHAT]()
print(json.dumps({"sent": sent, "keys": keys, "unanswered": unanswered}))
