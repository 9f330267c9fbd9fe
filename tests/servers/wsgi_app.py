"""WSGI application with the tests' routes; run by gunicorn."""
import time


def app(environ, start_response):
    path = environ["PATH_INFO"]
    name, _, value = path.lstrip("/").partition("/")
    if name == "hello":
        return answer(start_response, "200 OK", b"hello world\n")
    if name == "bytes":
        return answer(start_response, "200 OK", b"x" * int(value))
    if name == "sleep":
        time.sleep(int(value) / 1000)
        return answer(start_response, "200 OK", b"slept\n")
    if name == "echo":
        return answer(start_response, "200 OK", environ["wsgi.input"].read())
    if name == "status":
        start_response(f"{value} Tested", [] if value == "204" else [("Content-Length", "0")])
        return []
    if name == "stream":
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return pieces(int(value))
    return answer(start_response, "404 Not Found", b"no such page\n")


def answer(start_response, status, body):
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def pieces(count):
    for _ in range(count):
        yield b"0123456789"
        time.sleep(0.002)
