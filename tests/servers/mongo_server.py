"""A small MongoDB server for tests: OP_MSG, OP_QUERY for the first message of a connection, zlib's OP_COMPRESSED; documents in memory. It answers as
mongod 7.0 does: batches and cursors, n and nModified, errors with their numbers, and a `hello` that waits for news and is followed by more.
Arguments: a port, or the path of a unix socket. Each connection has a thread, which reads a message's header and then the rest."""
import itertools
import os
import socket
import struct
import sys
import threading
import time
import zlib

import bson
from bson import Int64, ObjectId

MORE_TO_COME, EXHAUST_ALLOWED = 2, 1 << 16
QUERY, REPLY, COMPRESSED, MSG = 2004, 1, 2012, 2013
PROCESS = {"processId": ObjectId(), "counter": Int64(0)}
numbers, cursors, collections, lock = itertools.count(1), {}, {}, threading.Lock()


class Failure(Exception):
    def __init__(self, code, name, text):
        super().__init__(text)
        self.answer = {"ok": 0.0, "errmsg": text, "code": code, "codeName": name}


def fits(document, wanted):
    tests = {"$gt": lambda a, b: a > b, "$gte": lambda a, b: a >= b, "$lt": lambda a, b: a < b, "$in": lambda a, b: a in b}
    for name, value in wanted.items():
        if name == "$or":
            if not any(fits(document, one) for one in value):
                return False
        elif isinstance(value, dict):
            if not all(name in document and tests[test](document[name], limit) for test, limit in value.items()):
                return False
        elif document.get(name) != value:
            return False
    return True


def found(documents, wanted):
    return [document for document in documents.values() if fits(document, wanted)]


def batch(command, name, documents):
    size = command.get("batchSize", command.get("cursor", {}).get("batchSize", 101))
    number = Int64(next(numbers) + (1 << 40)) if len(documents) > size and not command.get("singleBatch") else Int64(0)
    if number:
        cursors[number] = (name, documents[size:])
    return {"cursor": {"firstBatch": documents[:size], "id": number, "ns": name}, "ok": 1.0}


def next_batch(command, database):
    name, documents = cursors.pop(command["getMore"], (None, []))
    if name is None:
        raise Failure(43, "CursorNotFound", f"cursor id {command['getMore']} not found")
    size = command.get("batchSize", 101)
    number = command["getMore"] if len(documents) > size else Int64(0)
    if number:
        cursors[number] = (name, documents[size:])
    return {"cursor": {"nextBatch": documents[:size], "id": number, "ns": name}, "ok": 1.0}


def insert(documents, added):
    errors, n = [], 0
    for index, document in enumerate(added):
        if document["_id"] in documents:
            key = {"index": index, "code": 11000, "errmsg": f"E11000 duplicate key error: {document['_id']}", "keyPattern": {"_id": 1}}
            errors.append({**key, "keyValue": {"_id": document["_id"]}})
            break
        documents[document["_id"]] = document
        n += 1
    return {"n": n, **({"writeErrors": errors} if errors else {}), "ok": 1.0}


def update(documents, updates):
    n, changed, upserted = 0, 0, []
    for index, one in enumerate(updates):
        hits = found(documents, one["q"])[: None if one.get("multi") else 1]
        n += len(hits)
        for document in hits:
            before = dict(document)
            document.update(one["u"].get("$set", {}))
            for name, step in one["u"].get("$inc", {}).items():
                document[name] = document.get(name, 0) + step
            changed += before != document
        if not hits and one.get("upsert"):
            document = {"_id": ObjectId(), **one["q"], **one["u"].get("$set", {})}
            documents[document["_id"]] = document
            upserted.append({"index": index, "_id": document["_id"]})
    return {"n": n + len(upserted), **({"upserted": upserted} if upserted else {}), "nModified": changed, "ok": 1.0}


def remove(documents, deletes):
    n = 0
    for one in deletes:
        for document in found(documents, one["q"])[: one["limit"] or None]:
            del documents[document["_id"]]
            n += 1
    return {"n": n, "ok": 1.0}


def aggregate(command, name, documents):
    result = list(documents.values())
    for stage in command["pipeline"]:
        if "$match" in stage:
            result = [document for document in result if fits(document, stage["$match"])]
        elif "$group" in stage:
            result = [{"_id": stage["$group"]["_id"], "n": len(result)}] if result else []
        elif "$sleep" in stage:
            time.sleep(stage["$sleep"] / 1_000)
        elif "$limit" in stage:
            result = result[: stage["$limit"]]
        else:
            raise Failure(40324, "Location40324", f"Unrecognized pipeline stage name: '{next(iter(stage))}'")
    return batch(command, name, result)


def find_and_modify(documents, command):
    hits = found(documents, command["query"])[:1]
    for document in hits:
        document.update(command["update"].get("$set", {}))
    return {"lastErrorObject": {"n": len(hits), "updatedExisting": bool(hits)}, "value": hits[0] if hits else None, "ok": 1.0}


def hello(command):
    answer = {"helloOk": True, "isWritablePrimary": True, "ismaster": True, "topologyVersion": PROCESS}
    sizes = {"maxBsonObjectSize": 16_777_216, "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000}
    versions = {"minWireVersion": 0, "maxWireVersion": 21, "readOnly": False, "logicalSessionTimeoutMinutes": 30}
    if "zlib" in command.get("compression", []):
        answer["compression"] = ["zlib"]
    return {**answer, **sizes, "localTime": bson.datetime.datetime.now(bson.datetime.timezone.utc), **versions, "ok": 1.0}


def run(command):
    name, value = next(iter(command.items()))
    database = command.get("$db", "admin")
    if name in ("hello", "isMaster", "ismaster"):
        return hello(command)
    if name in ("ping", "endSessions", "createIndexes", "create", "drop"):
        return {"ok": 1.0}
    if name == "saslStart":
        raise Failure(18, "AuthenticationFailed", "Authentication failed.")
    if name == "getMore":
        return next_batch(command, database)
    if name == "killCursors":
        return {"cursorsKilled": [number for number in command["cursors"] if cursors.pop(number, None)], "ok": 1.0}
    documents = collections.setdefault((database, value), {})
    full = f"{database}.{value}"
    if name == "find":
        hits = found(documents, command["filter"])[command.get("skip", 0) :]
        return batch(command, full, hits[: command.get("limit", 0) or None])
    commands = {
        "insert": lambda: insert(documents, command["documents"]),
        "update": lambda: update(documents, command["updates"]),
        "delete": lambda: remove(documents, command["deletes"]),
        "aggregate": lambda: aggregate(command, full, documents),
        "count": lambda: {"n": len(found(documents, command.get("query", {}))), "ok": 1.0},
        "distinct": lambda: {"values": sorted({one[command["key"]] for one in found(documents, command["query"])}), "ok": 1.0},
        "findAndModify": lambda: find_and_modify(documents, command),
    }
    if name not in commands:
        raise Failure(59, "CommandNotFound", f"no such command: '{name}'")
    return commands[name]()


def answer_to(command):
    with lock:
        try:
            return run(command)
        except Failure as failure:
            return failure.answer


def document_of(body):
    """The command of an OP_MSG: its body with its sequences."""
    flags, at, command, end = struct.unpack_from("<I", body)[0], 4, {}, len(body)
    while at < end - (4 if flags & 1 else 0):
        kind, size = struct.unpack_from("<Bi", body, at)
        if kind == 0:
            command = {**bson.decode(body[at + 1 : at + 1 + size]), **command}
        else:
            name, documents = body[at + 5 : at + 1 + size].split(b"\0", 1)
            command[name.decode()] = bson.decode_all(documents)
        at += 1 + size
    return flags, command


class Connection:
    def __init__(self, peer):
        self.peer, self.is_compressed = peer, False

    def read(self, size):
        parts = b""
        while len(parts) < size:
            part = self.peer.recv(size - len(parts))
            if not part:
                raise EOFError
            parts += part
        return parts

    def send(self, opcode, answers, body):
        if self.is_compressed and opcode == MSG:
            opcode, body = COMPRESSED, struct.pack("<iiB", MSG, len(body), 2) + zlib.compress(body)
        number = next(numbers)
        self.peer.sendall(struct.pack("<iiii", 16 + len(body), number, answers, opcode) + body)
        return number

    def answer(self, number, document, flags=0):
        return self.send(MSG, number, struct.pack("<IB", flags, 0) + bson.encode(document))

    def wait_for_news(self, number, command, flags):
        """Nothing ever happens: an answer comes when the time is over, and then again."""
        while True:
            time.sleep(command["maxAwaitTimeMS"] / 1_000)
            more = MORE_TO_COME if flags & EXHAUST_ALLOWED else 0
            number = self.answer(number, hello(command), more)
            if not more:
                return

    def stream(self, number, command):
        """All batches of a cursor for one question."""
        while True:
            document = answer_to(command)
            more = document.get("cursor", {}).get("id", 0) != 0
            number = self.answer(number, document, MORE_TO_COME if more else 0)
            if not more:
                return

    def serve(self):
        while True:
            length, number, _, opcode = struct.unpack("<iiii", self.read(16))
            body = self.read(length - 16)
            self.is_compressed = opcode == COMPRESSED
            if opcode == COMPRESSED:
                opcode, body = struct.unpack_from("<i", body)[0], zlib.decompress(body[9:])
            if opcode == QUERY:
                end = body.index(b"\0", 4)
                command = bson.decode(body[end + 9 :])
                self.send(REPLY, number, struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(answer_to(command)))
                continue
            flags, command = document_of(body)
            if "maxAwaitTimeMS" in command:
                self.wait_for_news(number, command, flags)
            elif flags & MORE_TO_COME:
                answer_to(command)
            elif flags & EXHAUST_ALLOWED and "getMore" in command:
                self.stream(number, command)
            else:
                self.answer(number, answer_to(command))


def accepted(peer):
    try:
        Connection(peer).serve()
    except (EOFError, OSError):
        peer.close()


def main():
    where = sys.argv[1]
    listener = socket.create_server(("127.0.0.1", int(where))) if where.isdigit() else socket.socket(socket.AF_UNIX)
    if not where.isdigit():
        listener.bind(where)
        os.chmod(where, 0o777)
        listener.listen()
    while True:
        peer, _ = listener.accept()
        if where.isdigit():
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=accepted, args=(peer,), daemon=True).start()


if __name__ == "__main__":
    main()
