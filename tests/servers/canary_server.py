"""Answers whatever it is asked with the secrets of its environment in headers, cookies and bodies; `/v1/chat/completions` as a model does.
Arguments: port, and over TLS a certificate and its key; others are ignored."""

import json
import os
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRETS = json.loads(os.environ["CANARIES"])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        asked = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path.endswith("/chat/completions"):
            status, body = self.model(json.loads(asked))
        elif "fail" in self.path:
            status, body = 500, {"error": SECRETS["error body"]}
        else:
            status, body = 200, {"secret": SECRETS["answer body"], "mail": SECRETS["answer mail"]}
        body = json.dumps(body).encode()
        self.send_response(status, SECRETS["reason phrase"])
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Set-Cookie", f"session={SECRETS['answer cookie']}; HttpOnly")
        self.send_header("X-Api-Key", SECRETS["answer header"])
        self.send_header("Location", f"/next?token={SECRETS['answer location']}")
        self.end_headers()
        self.wfile.write(body)

    def model(self, asked):
        if asked["messages"][-1]["content"] == "fail":
            kind = f"invalid_key_{SECRETS['error type']}"
            return 401, {"error": {"message": f"Incorrect key: {SECRETS['error message']}", "type": kind, "code": SECRETS["error code"]}}
        message = {"role": "assistant", "content": SECRETS["model answer"]}
        finish = "stop"
        if asked["messages"][-1]["role"] == "user":
            arguments = json.dumps({"password": SECRETS["tool arguments"]})
            names = [SECRETS["tool name"], f"use_{SECRETS['key in tool name']}"]
            calls = [{"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": arguments}} for n, name in enumerate(names)]
            message, finish = {**message, "tool_calls": calls}, "tool_calls"
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        choices = [{"index": 0, "message": message, "finish_reason": finish}]
        return 200, {"id": SECRETS["answer id"], "object": "chat.completion", "model": asked["model"], "choices": choices, "usage": usage}

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
if len(sys.argv) > 3 and sys.argv[2].endswith(".pem"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
