"""Two (or as many as the argument says) requests of three sends and answers of three sends, each send received before the next."""
import socket, sys

sys.stdin.readline()
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
for sock in (client, server):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for _ in range(int((sys.argv + ["2"])[1])):
    for a, b in ((client, server), (server, client)):
        for _ in range(3):
            a.sendall(b"x" * 100)
            assert len(b.recv(100)) == 100
