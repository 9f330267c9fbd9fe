"""As many connections as the argument says, all open at once: a request on each, then another one on each. Starts on a line."""
import socket, sys

sys.stdin.readline()
listener = socket.create_server(("127.0.0.1", 0))
pairs = []
for _ in range(int(sys.argv[1])):
    client = socket.create_connection(listener.getsockname())
    pairs.append((client, listener.accept()[0]))
for _ in range(2):
    for client, server in pairs:
        client.sendall(b"x" * 10)
        assert len(server.recv(100)) == 10
