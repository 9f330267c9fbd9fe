"""The suite `package`: the program of the unpacked tarball on a system that has nothing else of perfmon: `check`, a request that is seen, health, page."""
import json
import os
import platform
import subprocess
import sys
import time

from client import Client
from told import PERFMON, Perfmon, api, check, get, tell, verdict

PORT, RECORDS = 8_000, "/tmp/package.jsonl"


def seen(client):
    """Each request is told by both sides as the client saw it."""
    with open(RECORDS) as lines:
        told = [record for record in map(json.loads, lines) if record["kind"] == "request"]
    problems = []
    for path, (_, expected) in client.seen.items():
        for side in ("server", "client"):
            found = [record for record in told if (record["path"], record["side"]) == (path, side)]
            wrong = {field for record in found for field, value in expected.items() if record[field] != value}
            if len(found) != 1 or wrong:
                problems.append(f"{side} side of {path}: told {len(found)} times, wrong {wrong}")
    return problems


def session(tier):
    server = subprocess.Popen([sys.executable, "/t/server.py", str(PORT)], stdout=subprocess.PIPE)
    server.stdout.readline()
    client = Client(PORT, "package")
    perfmon = Perfmon("run", "--ui", "none", "--jsonl", RECORDS)
    if perfmon.ready(tier):
        client.many("plain", client.plain(), 3)
        client.many("TLS", client.tls(), 3)
        time.sleep(3)
        health = api("/health/performance")
        check(tier, "health", [] if health["performance_metrics"]["requests_per_minute"] else [health])
        status, kind, page = get("/")
        is_page = status == 200 and kind.startswith("text/html") and b"<title>" in page
        check(tier, "page", [] if is_page else [status, kind, page[:100]])
    perfmon.end(tier)
    check(tier, "requests", seen(client))
    server.kill()
    server.wait()


tell(kernel=platform.release(), program=os.path.realpath(PERFMON))
checked = subprocess.run([PERFMON, "check"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
report = json.loads(subprocess.run([PERFMON, "check", "--json"], stdout=subprocess.PIPE).stdout)
tier = report["capture_tier"]
tell(tier=tier, able=report["can_run"], reasons=report["problems"])
check(tier, "check", [] if checked.returncode == 0 else [checked.stdout.decode()[-300:]])
if report["can_run"]:
    session(tier)
verdict()
