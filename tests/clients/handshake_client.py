"""A TLS client that times its handshakes, and its server, which makes them slow: it reads a connection late. Arguments: certificate, key. For each
version of TLS: a handshake, a pause, then three requests on the connection.
Out: {"TLSv1.2": milliseconds, "TLSv1.3": milliseconds}; the host of the requests is the version in small letters."""
import http.client
import json
import socket
import ssl
import sys
import threading
import time

CERTIFICATE, KEY = sys.argv[1:3]
DELAY = 0.15
REQUESTS = 3


def serve(listener):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    while True:
        bare, _ = listener.accept()
        time.sleep(DELAY)
        with context.wrap_socket(bare, server_side=True) as tls:
            for _ in range(REQUESTS):
                tls.recv(4_096)
                tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=serve, args=[listener], daemon=True).start()
took = {}
for version in [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]:
    context = ssl.create_default_context(cafile=CERTIFICATE)
    context.check_hostname = False
    context.minimum_version = context.maximum_version = version
    bare = socket.create_connection(listener.getsockname())
    began = time.perf_counter()
    tls = context.wrap_socket(bare)
    name = tls.version()
    took[name] = (time.perf_counter() - began) * 1_000
    # What a program does between its handshake and its first request is no part of it.
    time.sleep(DELAY)
    client = http.client.HTTPConnection(name.lower())
    client.sock = tls
    for _ in range(REQUESTS):
        client.request("GET", "/handshake")
        client.getresponse().read()
    client.close()
print(json.dumps(took))
