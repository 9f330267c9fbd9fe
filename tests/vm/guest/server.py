"""HTTP server of the guest: plain on PORT, TLS on PORT + 1, with one thread (a queue forms) on PORT + 2, a unix socket. Argument: PORT.
Paths: /bytes/NAME/N answers N bytes, /file/NAME/N the same out of a file by sendfile(2), /status/NAME/CODE that status, /slow/NAME after 0.1 s; a
POST answers 201. A server of names too, which knows those that begin with `known`."""
import http.server
import os
import socket
import ssl
import sys
import tempfile
import threading
import time

PORT = int(sys.argv[1])
UNIX = "/tmp/server.sock"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        _, what, _, *more = self.path.split("/")
        if what == "slow":
            time.sleep(0.1)
        if what == "file":
            return self.answer_file(int(more[0]))
        status = int(more[0]) if what == "status" else 200
        self.answer(status, b"b" * int(more[0]) if what == "bytes" else b"ok")

    def answer_file(self, size):
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        with tempfile.TemporaryFile() as file:
            file.truncate(size)
            self.connection.sendfile(file)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(201, b"taken")

    def address_string(self):
        return "client"

    def log_message(self, *_):
        pass


class Threads(http.server.ThreadingHTTPServer):
    request_queue_size = 128


class OneThread(http.server.HTTPServer):
    request_queue_size = 128


class OnUnix(Threads):
    address_family = socket.AF_UNIX

    def server_bind(self):
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "unix", 0


class OnUnixHandler(Handler):
    disable_nagle_algorithm = False


class OneRequest(Handler):
    protocol_version = "HTTP/1.0"


def answer_names(names):
    while True:
        question, peer = names.recvfrom(512)
        is_known = question[13:].startswith(b"known")
        names.sendto(question[:2] + (b"\x81\x80" if is_known else b"\x81\x83") + question[4:], peer)


if os.path.exists(UNIX):
    os.unlink(UNIX)
tls = Threads(("127.0.0.1", PORT + 1), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/t/cert.pem", "/t/key.pem")
tls.socket = context.wrap_socket(tls.socket, server_side=True, do_handshake_on_connect=False)
servers = [Threads(("127.0.0.1", PORT), Handler), tls, OneThread(("127.0.0.1", PORT + 2), OneRequest), OnUnix(UNIX, OnUnixHandler)]
for server in servers:
    threading.Thread(target=server.serve_forever, daemon=True).start()
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    names = socket.socket(family, socket.SOCK_DGRAM)
    names.bind((address, 53))
    threading.Thread(target=answer_names, args=[names], daemon=True).start()
print("ready", flush=True)
threading.Event().wait()
