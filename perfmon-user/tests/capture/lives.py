"""Connections that begin before anyone watches, end badly, or come so fast that the kernel reuses their memory."""
import json, os, socket, struct, sys


def inode(sock):
    return os.fstat(sock.fileno()).st_ino


listener = socket.create_server(("127.0.0.1", 0))


def pair():
    client = socket.create_connection(listener.getsockname())
    return client, listener.accept()[0]


early, early_peer = pair()
early.sendall(b"not seen")
early_peer.recv(100)
print(json.dumps({"early": inode(early), "early_peer": inode(early_peer)}), flush=True)
sys.stdin.readline()
early.sendall(b"seen")
early_peer.recv(100)

# Closed with SO_LINGER 0: a reset, while the other end has unread bytes, which it reads afterwards.
client, server = pair()
client.sendall(b"to be read")
server.recv(3)
reset = {"reset": inode(client), "reset_peer": inode(server)}
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
client.close()
reset["left"] = len(server.recv(100))
server.close()
print(json.dumps(reset), flush=True)

short = []
for number in range(500):
    client, server = pair()
    client.sendall(b"%09d" % number)
    server.recv(100)
    server.sendall(b"answer")
    client.recv(100)
    short.append([inode(client), inode(server)])
    server.close()
    client.close()
print(json.dumps({"short": short}), flush=True)
