"""Two requests of three sends and two answers of three sends, each send received before the next."""
import socket, sys

sys.stdin.readline()
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
for _ in range(2):
    for a, b in ((client, server), (server, client)):
        for _ in range(3):
            a.sendall(b"x" * 100)
            assert len(b.recv(100)) == 100
