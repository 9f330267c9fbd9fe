"""Stops or ends one thread of another process from outside (ptrace(2)), as root: `ptrace.py stop|exit TID`. Prints `ready` when it is done and
holds a stopped thread until standard input ends. `exit` makes the thread call exit(2), on x86-64 alone."""
import ctypes
import os
import sys

SEIZE, INTERRUPT, DETACH, GETREGS, SETREGS = 0x4206, 0x4207, 17, 12, 13
WALL = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, tid, data=None):
    if libc.ptrace(request, tid, None, data) < 0:
        error = ctypes.get_errno()
        sys.exit(f"ptrace {request:#x} of {tid}: {os.strerror(error)}")


what, tid = sys.argv[1], int(sys.argv[2])
ptrace(SEIZE, tid)
ptrace(INTERRUPT, tid)
os.waitpid(tid, WALL)
if what == "exit":
    registers = (ctypes.c_ulonglong * 27)()
    ptrace(GETREGS, tid, registers)
    # struct user_regs_struct: rax, rdi, orig_rax, rip. The thread stands behind a `syscall` instruction, which is run again as exit(0).
    registers[10], registers[14], registers[15] = 60, 0, ctypes.c_ulonglong(-1).value
    registers[16] -= 2
    ptrace(SETREGS, tid, registers)
    ptrace(DETACH, tid)
print("ready", flush=True)
if what == "stop":
    sys.stdin.read()
    ptrace(DETACH, tid)
