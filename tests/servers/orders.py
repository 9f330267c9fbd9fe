"""A shop that takes orders, standard library only: POST /orders?fail=1&wait=MS&size=N answers 201, or 500 with fail, after MS milliseconds
with N bytes; GET / is its page. The port is the only argument."""

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Orders(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one write

    def do_GET(self):
        self.answer(200, b"the shop\n")

    def do_POST(self):
        asked = {name: int(values[0]) for name, values in parse_qs(urlsplit(self.path).query).items()}
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(asked.get("wait", 0) / 1000)
        self.answer(500 if asked.get("fail") else 201, b"x" * asked.get("size", 10))

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 64


Server(("127.0.0.1", int(sys.argv[1])), Orders).serve_forever()
