"""A server whose handler asks a dependency and asks again when that fails, and its customers. Arguments: requests for each path. A request to
`/N/…` is answered after N failed attempts (503, 429 or a cut connection in turn) of the dependency's `/job`, and one that succeeds.
Out: {"attempts": …, "failed": …, "retries": …}, as the dependency counted them."""
import http.client
import http.server
import json
import sys
import threading

FAILURES = [0, 1, 2, 3]
lock = threading.Lock()
failures, seen = {}, {"attempts": 0, "failed": 0, "retries": 0}


class Dependency(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        job = self.headers["X-Job"]
        with lock:
            done, wanted = failures.setdefault(job, [0, int(self.headers["X-Failures"])])
            failures[job][0] += 1
            seen["attempts"] += 1
            seen["retries"] += done > 0
            seen["failed"] += done < wanted
        if done < wanted and done % 3 == 2:
            self.close_connection = True
            return
        self.send_response(200 if done >= wanted else [503, 429][done % 3])
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        _, wanted, job = self.path.split("/")
        while True:
            connection = http.client.HTTPConnection(*dependency.server_address)
            try:
                connection.request("GET", "/job", headers={"Host": "jobs.example", "X-Job": job, "X-Failures": wanted})
                answer = connection.getresponse()
                answer.read()
                if answer.status == 200:
                    break
            except http.client.HTTPException:
                pass
            finally:
                connection.close()
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def serve(handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def customers(of):
    for number in range(int(sys.argv[1])):
        for wanted in FAILURES:
            connection = http.client.HTTPConnection(*shop.server_address)
            connection.request("GET", f"/{wanted}/{of}-{number}-{wanted}")
            connection.getresponse().read()
            connection.close()


dependency, shop = serve(Dependency), serve(Shop)
threads = [threading.Thread(target=customers, args=[of]) for of in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(seen))
