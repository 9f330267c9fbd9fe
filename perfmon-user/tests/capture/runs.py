"""Requests of three sends and answers of three sends, each send received before the next: two of each, or as many as the argument
says; with "fork" in a child process. It says when it is there, which is after any wrapper that `python3` may be, and starts on a line."""
import os, socket, sys

print("ready", flush=True)
sys.stdin.readline()
if "fork" in sys.argv and os.fork() != 0:
    os.wait()
    sys.exit()
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
for sock in (client, server):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
count = [int(argument) for argument in sys.argv[1:] if argument.isdigit()]
for _ in range(count[0] if count else 2):
    for a, b in ((client, server), (server, client)):
        for _ in range(3):
            a.sendall(b"x" * 100)
            assert len(b.recv(100)) == 100
