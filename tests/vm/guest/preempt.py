"""The suite `preempt`: processes that preempt one another on one processor, also inside perfmon's programs. No event (of a recording) may have another
process's bytes, no record (of a run) another message's size and say that it is exact; what the kernel skipped is counted. Sizes and names as in
preempt.c."""
import json
import os
import platform
import re
import signal
import struct
import subprocess
import time
from collections import Counter

from told import PERFMON, Perfmon, api, check, tell, tiers, verdict

SECONDS, WORKERS, RECORDING, RECORDS = 6, 4, "/tmp/preempt.recording", "/tmp/preempt.jsonl"
DATA, TLS = 1, 7
# DataHeader and TlsHeader of perfmon-common: kind, captured_len, …, total_len, piece_offset, tgid, thread, …
HEADERS = {DATA: struct.Struct("<IIQQQQIIIIIHBB"), TLS: struct.Struct("<IIQQQQIIIIIBBH")}
BLOCK = re.compile(rb"([0-9a-f]{7}):([0-9a-f]{7})\|")
PATH = re.compile(rb"POST /p/(\d+)/(\d+) ")


def size(number, is_answer):
    return 16 * (20 + number % 23 if is_answer else 30 + number % 17)


def events():
    """Kind, process, bytes of the whole operation, captured ones."""
    with open(RECORDING, "rb") as file:
        file.read(8)
        while frame := file.read(13):
            length, what, _ = struct.unpack("<IBQ", frame)
            body = file.read(length - 9)
            kind = struct.unpack_from("<I", body)[0] if what == 1 else None
            if kind in HEADERS:
                header = HEADERS[kind].unpack_from(body)
                tgid, total = (header[8], header[6]) if kind == DATA else (header[7], header[9])
                yield kind, tgid, total, body[64 : 64 + header[1]]


def wrong_events(done):
    """Those whose bytes are not of one message of their process, or whose length is another's; how many there were."""
    wrong, seen = [], Counter()
    for kind, tgid, total, captured in events():
        if tgid not in done or not captured.startswith((b"POST /p/", b"HTTP/1.1 200")):
            continue
        seen["plain" if kind == DATA else "tls"] += 1
        senders = {(int(owner, 16), int(number, 16)) for owner, number in BLOCK.findall(captured)}
        path = PATH.match(captured)
        senders |= {(int(path[1]), int(path[2]))} if path else set()
        head = captured.find(b"\r\n\r\n") + 4
        number = min(senders)[1] if senders else -1
        expected = head + size(number, captured.startswith(b"HTTP"))
        if len(senders) != 1 or min(senders)[0] != tgid or total != expected:
            wrong.append(f"kind {kind} of {tgid}: {total} bytes, not {expected}, of {sorted(senders)[:4]}")
    return wrong, seen


def wrong_records(done):
    """Those that say they are exact and are not; how many there were of each quality; exchanges that a side does not tell as exact."""
    wrong, seen, exact = [], Counter(), Counter()
    with open(RECORDS) as lines:
        for line in lines:
            record = json.loads(line)
            path = re.fullmatch(r"/p/(\d+)/(\d+)", record.get("path") or "") if record["kind"] == "request" else None
            if not path:
                continue
            seen[record["quality"]] += 1
            pid, number = int(path[1]), int(path[2])
            told = [record["pid"], record["status_code"], record["request_size"], record["response_size"]]
            if record["pid"] != pid:
                wrong.append(f"{path[0]} is told of process {record['pid']}")
            elif record["quality"] == "exact":
                exact[path[0], record["side"]] += 1
                if told != [pid, 200, size(number, False), size(number, True)]:
                    wrong.append(f"{record['side']} side of {path[0]}: {told}")
    wrong += [f"{side} side of {path}: told {count} times" for (path, side), count in exact.items() if count != 1]
    return wrong, seen, 2 * sum(done.values()) - len(exact)


def under_load(tier, shape, *words):
    """A perfmon sees the load: exchanges by process, what it counted as lost."""
    perfmon = Perfmon(*words, "--all", "--capture-tier", str(tier))
    # It shall see them, not wait with them.
    os.sched_setaffinity(perfmon.process.pid, {0})
    if not perfmon.ready(tier):
        return {}, {}
    time.sleep(1)
    load = subprocess.run(["/t/preempt", shape, "1", str(WORKERS), str(SECONDS)], stdout=subprocess.PIPE)
    done = {int(pid): int(count) for pid, count in (line.split("=") for line in load.stdout.decode().split())}
    time.sleep(3)
    lost = {reason: count for reason, count in api("/api/v1/self")["events_lost"]["by_reason"].items() if count}
    perfmon.end(tier, signal.SIGINT)
    check(tier, f"{shape}: load", [] if load.returncode == 0 and len(done) == WORKERS and all(done.values()) else [f"{load.returncode}, {done}"])
    return done, lost


def session(tier, shape):
    done, lost = under_load(tier, shape, "record", "-o", RECORDING)
    wrong, seen = wrong_events(done)
    check(tier, f"{shape}: no other process's bytes", wrong)
    tell(tier=tier, shape=shape, exchanges=done, events=seen, lost=lost)
    os.remove(RECORDING)
    done, lost = under_load(tier, shape, "run", "--ui", "none", "--no-store", "--jsonl", RECORDS)
    wrong, qualities, rest = wrong_records(done)
    check(tier, f"{shape}: what is exact is right", ([f"{len(wrong)} are wrong"] if wrong else []) + wrong)
    counted = rest == 0 or bool(lost)
    check(tier, f"{shape}: what is missed is counted", [] if counted else [f"{rest} sides of {sum(done.values())} exchanges, {qualities}"])
    tell(tier=tier, shape=shape, exchanges=done, records=qualities, not_exact=rest, lost=lost)
    os.remove(RECORDS)


tell(kernel=platform.release())
for tier in tiers():
    for shape in os.environ.get("shapes", "unix,tcp,tls").split(","):
        session(tier, shape)
verdict()
