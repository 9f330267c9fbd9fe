"""The guest's client: each method makes the requests of one check and remembers what it saw of each, by path."""
import http.client
import socket
import ssl
import threading


class UnixConnection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/tmp/server.sock")


class Client:
    def __init__(self, port, tag):
        self.port, self.tag, self.seen, self.names = port, tag, {}, {}

    def plain(self, offset=0):
        return http.client.HTTPConnection("127.0.0.1", self.port + offset, timeout=60)

    def tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", self.port + 1, context=context, timeout=60)

    def ask(self, check, connection, path, body=None):
        connection.request("GET" if body is None else "POST", path, body=body)
        answer = connection.getresponse()
        size = len(answer.read())
        tls = isinstance(connection, http.client.HTTPSConnection)
        self.remember(check, path, answer.status, size, len(body or b""), tls)

    def remember(self, check, path, status, size, request_size, tls):
        seen = {"status_code": status, "response_size": size, "request_size": request_size, "tls": tls, "quality": "exact", "error": None}
        self.seen[path] = (check, seen)

    def path(self, check, number, size=None):
        return f"/bytes/{self.tag}-{check.replace(' ', '-')}-{number}/{number if size is None else size}"

    def many(self, check, connection, count, closes=False):
        for number in range(count):
            self.ask(check, connection, self.path(check, number))
            if closes:
                connection.close()
        connection.close()

    def keep_alive(self):
        connection = self.plain()
        for number in range(100):
            path = self.path("keep-alive", number)
            self.ask("keep-alive", connection, f"/status/{self.tag}-{number}/503" if number % 20 == 19 else path)
        connection.close()

    def new_connections(self):
        self.many("new connections", self.plain(), 30, closes=True)

    def pipelined(self):
        paths = [self.path("pipelined", number, 11 * number) for number in range(20)]
        with socket.create_connection(("127.0.0.1", self.port), 60) as connection:
            connection.sendall(b"".join(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode() for path in paths))
            answers = connection.makefile("rb")
            for path in paths:
                status, size = int(answers.readline().split()[1]), 0
                while line := answers.readline().strip():
                    if line.lower().startswith(b"content-length:"):
                        size = int(line.split(b":")[1])
                self.remember("pipelined", path, status, len(answers.read(size)), 0, False)

    def large_bodies(self):
        connection = self.plain()
        self.ask("large bodies", connection, self.path("large bodies", 0, 1 << 20))
        self.ask("large bodies", connection, f"/post/{self.tag}-large", b"u" * (1 << 20))
        connection.close()

    def sendfile(self):
        connection = self.plain()
        for number in range(10):
            size = 30_000 * number
            self.ask("sendfile", connection, f"/file/{self.tag}-{number}/{size}")
        connection.close()

    def names_over_udp(self):
        """Questions on sockets that are connected and that are not, over IPv4 and IPv6."""
        for family, server in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            for number in range(10):
                name = f"{'known' if number % 3 else 'other'}-{number}.{self.tag}-v{4 if family == socket.AF_INET else 6}.test"
                labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
                question = bytes([7, number, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + labels + b"\0\0\1\0\1"
                with socket.socket(family, socket.SOCK_DGRAM) as asking:
                    asking.settimeout(20)
                    if number % 2:
                        asking.connect((server, 53))
                        asking.send(question)
                    else:
                        asking.sendto(question, (server, 53))
                    asking.recvfrom(512)
                self.names[name] = "NOERROR" if number % 3 else "NXDOMAIN"

    def unix_socket(self):
        self.many("unix socket", UnixConnection("unix"), 10)

    def tls_keep_alive(self):
        self.many("TLS keep-alive", self.tls(), 30)

    def tls_new_connections(self):
        self.many("TLS new connections", self.tls(), 12, closes=True)

    def tls_large(self):
        connection = self.tls()
        self.ask("TLS large bodies", connection, self.path("TLS large bodies", 0, 1 << 20))
        self.ask("TLS large bodies", connection, f"/post/{self.tag}-tls-large", b"u" * 300_000)
        connection.close()

    def queue(self):
        """Four at once to a server that does one after the other, each for 0.1 s."""
        asking = [threading.Thread(target=self.wait_in_line, args=[number]) for number in range(4)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()

    def wait_in_line(self, number):
        connection = self.plain(2)
        self.ask("queue", connection, f"/slow/{self.tag}-{number}")
        connection.close()

    def all(self):
        self.keep_alive()
        self.new_connections()
        self.pipelined()
        self.large_bodies()
        self.sendfile()
        self.names_over_udp()
        self.unix_socket()
        self.tls_keep_alive()
        self.tls_new_connections()
        self.tls_large()
        self.queue()
