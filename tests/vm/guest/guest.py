"""The suite that runs in a guest: on each capture tier that its kernel can do, what perfmon tells equals what the client saw. Out: lines `@ ` with
JSON, of the kernel, of each tier's programs (with the instructions that the verifier walked) and of each check; then PASS, or FAIL."""
import ctypes
import json
import os
import platform
import signal
import struct
import subprocess
import sys
import time
import urllib.request
from collections import Counter

from client import Client

PERFMON, PORT, LISTEN = "/bin/perfmon", 8_000, 9_911
# Commands of bpf(2) that walk through ids.
PROGRAMS, MAPS, LINKS = 11, 12, 31
SYSCALL_BPF = 321
# The kernel gives `tiers=1,2` of its command line to init as a variable.
WANTED = [int(tier) for tier in os.environ.get("tiers", "1,2,3").split(",")]
failed = 0


def tell(**what):
    print("@", json.dumps(what), flush=True)


def check(tier, name, problems):
    global failed
    failed += bool(problems)
    tell(tier=tier, check=name, problems=[str(problem)[:300] for problem in problems[:5]])


def left():
    """Programs, maps and links in the kernel; the guest has none of its own."""
    libc, left = ctypes.CDLL(None), Counter()
    for command in (PROGRAMS, MAPS, LINKS):
        attributes, last = ctypes.create_string_buffer(128), 0
        while True:
            struct.pack_into("I", attributes, 0, last)
            if libc.syscall(SYSCALL_BPF, command, attributes, 128) != 0:
                break
            last = struct.unpack_from("I", attributes, 4)[0]
            left[command] += 1
    return sum(left.values())


def api(path):
    with urllib.request.urlopen(f"http://127.0.0.1:{LISTEN}{path}", timeout=20) as answer:
        return json.load(answer)


def waited(seconds, condition):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition():
                return True
        except OSError:
            pass
        time.sleep(0.1)
    return False


def tiers():
    """Those that this kernel can do; tells what each one's programs cost the verifier."""
    able = []
    for tier in WANTED:
        answer = subprocess.run([PERFMON, "check", "--json", "--capture-tier", str(tier)], stdout=subprocess.PIPE).stdout
        report = json.loads(answer[answer.index(b"{") :])
        if not report["can_run"]:
            tell(tier=tier, able=False, reasons=report["problems"])
            continue
        able.append(tier)
        instructions = {probe["name"]: probe["verified_instructions"] for probe in report["probes"] if probe["verified_instructions"]}
        tell(tier=tier, able=True, instructions=instructions)
        check(tier, "programs load", [f"{probe['name']}: {probe['reason']}" for probe in report["probes"] if probe["state"] == "failed"])
    return able


def records(file):
    with open(file) as lines:
        return [json.loads(line) for line in lines]


def compare(tier, client, all_records, skipped):
    """Each request is told once by each side, as the client saw it. Runs of programs that the kernel skipped may each cost a record, and make
    others inferred: never one that says it is exact."""
    told, may_be_inferred = {}, skipped > 0
    for record in all_records:
        if record["kind"] == "request":
            told.setdefault((record["path"], record["side"]), []).append(record)
    problems = {}
    for path, (name, seen) in client.seen.items():
        for side in ("server", "client"):
            of_check = problems.setdefault(name, [])
            found = told.get((path, side), [])
            if not found and skipped > 0:
                skipped -= 1
                continue
            if may_be_inferred and [record["quality"] for record in found] == ["inferred"]:
                continue
            if len(found) != 1:
                of_check.append(f"{side} side of {path}: told {len(found)} times")
                continue
            wrong = {field: found[0][field] for field, value in seen.items() if found[0][field] != value}
            if wrong:
                of_check.append(f"{side} side of {path}: {wrong}")
    for name, of_check in problems.items():
        check(tier, name, of_check)
    waits = [record["queue_time_ms"] or 0 for record in all_records if (record.get("path") or "").startswith("/slow/") and record["side"] == "server"]
    in_line = sum(wait > 50 for wait in waits)
    check(tier, "queue times", [] if in_line == 3 else [f"{in_line} of 4 waited in line, not 3: {waits}"])


def names(tier, client, all_records, skipped):
    """Each question is told once, with what it was answered. Skipped runs may each cost one: never is it told with another's answer."""
    told = {name: [] for name in client.names}
    for record in all_records:
        if record["kind"] == "dns" and record["name"] in told:
            told[record["name"]].append((record["rcode"], record["attempts"]))
    missing = [f"{name} is not told" for name in client.names if not told[name]]
    wrong = [f"{name}: {told[name]}, not {rcode}" for name, rcode in client.names.items() if told[name] not in ([], [(rcode, 1)])]
    check(tier, "names over UDP", wrong + (missing if len(missing) > skipped else []))


def processes(tier, pids, all_records):
    """These processes have samples."""
    told = {record["pid"] for record in all_records if record["kind"] == "process"}
    check(tier, "process samples", [] if pids <= told else [f"{pids - told} of {pids} are not told"])


def session(tier):
    server = subprocess.Popen([sys.executable, "/t/server.py", str(PORT)], stdout=subprocess.PIPE)
    server.stdout.readline()
    client = Client(PORT, f"t{tier}")
    late, late_tls = client.plain(), client.tls()
    for number, connection in enumerate((late, late_tls)):
        connection.request("GET", f"/bytes/before-{number}/5")
        connection.getresponse().read()
    file = f"/tmp/tier{tier}.jsonl"
    arguments = ["run", "--all", "--ui", "none", "--no-store", "--listen", f"127.0.0.1:{LISTEN}", "--jsonl", file, "--capture-tier", str(tier)]
    log = open("/tmp/perfmon.log", "w+")
    perfmon = subprocess.Popen([PERFMON, *arguments], stdout=log, stderr=log)
    # The verifier of Linux 6.1 takes a minute for one program, emulated.
    ready = waited(300, lambda: perfmon.poll() is None and urllib.request.urlopen(f"http://127.0.0.1:{LISTEN}/readyz", timeout=2))
    log.seek(0)
    check(tier, "starts", [] if ready else [log.read()[-300:]])
    if ready:
        # The server waits inside SSL_read, and with tier 2 inside the kernel's function: of a call that began before the attach nothing is told.
        for connection in (late_tls, late) if tier == 2 else (late_tls,):
            connection.request("GET", "/bytes/after/5")
            connection.getresponse().read()
        client.many("late", late, 5)
        client.many("late TLS", late_tls, 5)
        client.all()
        time.sleep(2)
        report, health = api("/api/v1/self"), api("/health/performance")
        lost = {reason: count for reason, count in report["events_lost"]["by_reason"].items() if count}
        if lost.get("tls_call_unpaired") == 1:
            del lost["tls_call_unpaired"]
        skipped = lost.pop("program_skipped", 0)
        tell(tier=tier, skipped=skipped)
        check(tier, "nothing lost", [lost] if lost else [])
        check(tier, "health", [] if health["performance_metrics"]["requests_per_minute"] else [health])
    perfmon.send_signal(signal.SIGTERM)
    try:
        code = perfmon.wait(30)
    except subprocess.TimeoutExpired:
        perfmon.kill()
        code = "killed after 30 s"
    # The kernel frees them after a grace period.
    gone = waited(10, lambda: left() == 0)
    check(tier, "ends", ([] if code == 0 else [code]) + ([] if gone else [f"{left()} programs, maps and links stay"]))
    if ready:
        all_records = records(file)
        compare(tier, client, all_records, skipped)
        names(tier, client, all_records, skipped)
        processes(tier, {server.pid}, all_records)
    server.kill()
    server.wait()


tell(kernel=platform.release())
for tier in tiers():
    session(tier)
complaints = subprocess.run("dmesg | grep -cE 'BUG:|WARNING:|Oops|lockup|stall'", shell=True, stdout=subprocess.PIPE).stdout.strip()
check(None, "kernel log", [] if complaints == b"0" else [f"{complaints.decode()} complaints"])
print(f"FAIL {failed} checks" if failed else "PASS", flush=True)
