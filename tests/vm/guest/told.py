"""What the suites of a guest share: lines for the report, what is left in the kernel, a perfmon from its start to its end."""
import ctypes
import json
import signal
import struct
import subprocess
import time
import urllib.request

PERFMON, LISTEN = "/bin/perfmon", 9_911
# Commands of bpf(2) that walk through ids: of programs, maps, links.
WALKS = (11, 12, 31)
SYSCALL_BPF = 321
COMPLAINTS = "dmesg | grep -cE 'BUG:|WARNING:|Oops|lockup|stall'"
failed = 0


def tell(**what):
    print("@", json.dumps(what), flush=True)


def check(tier, name, problems):
    global failed
    failed += bool(problems)
    tell(tier=tier, check=name, problems=[str(problem)[:300] for problem in problems[:5]])


def left(command):
    """Ids in the kernel; the guest has none of its own."""
    libc, attributes, last, found = ctypes.CDLL(None), ctypes.create_string_buffer(128), 0, 0
    while True:
        struct.pack_into("I", attributes, 0, last)
        if libc.syscall(SYSCALL_BPF, command, attributes, 128) != 0:
            return found
        last, found = struct.unpack_from("I", attributes, 4)[0], found + 1


def get(path):
    with urllib.request.urlopen(f"http://127.0.0.1:{LISTEN}{path}", timeout=20) as answer:
        return answer.status, answer.headers["Content-Type"], answer.read()


def api(path):
    return json.loads(get(path)[2])


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
    """Those that this kernel can do; the reasons against the others."""
    able = []
    for tier in (1, 3):
        answer = subprocess.run([PERFMON, "check", "--json", "--capture-tier", str(tier)], stdout=subprocess.PIPE).stdout
        report = json.loads(answer[answer.index(b"{") :])
        tell(tier=tier, able=report["can_run"], reasons=[] if report["can_run"] else report["problems"])
        able += [tier] if report["can_run"] else []
    return able


class Perfmon:
    """A run of it that answers HTTP."""

    def __init__(self, *words):
        self.log = open("/tmp/perfmon.log", "w+")
        self.process = subprocess.Popen([PERFMON, *words, "--listen", f"127.0.0.1:{LISTEN}"], stdout=self.log, stderr=self.log)

    def ready(self, tier):
        # The verifier of Linux 6.1 takes a minute for one program, emulated.
        ready = waited(300, lambda: self.process.poll() is not None or get("/readyz")) and self.process.poll() is None
        self.log.seek(0)
        check(tier, "starts", [] if ready else [self.log.read()[-300:]])
        return ready

    def end(self, tier, by=signal.SIGTERM):
        self.process.send_signal(by)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = "killed after 60 s"
        # The kernel frees them after a grace period.
        gone = waited(10, lambda: sum(map(left, WALKS)) == 0)
        check(tier, "ends", ([] if code == 0 else [code]) + ([] if gone else [f"{sum(map(left, WALKS))} programs, maps and links stay"]))


def verdict():
    complaints = subprocess.run(COMPLAINTS, shell=True, stdout=subprocess.PIPE).stdout.decode().strip()
    check(None, "kernel log", [] if complaints == "0" else [f"{complaints} complaints"])
    print(f"FAIL {failed} checks" if failed else "PASS", flush=True)
