"""Moves bytes over stream sockets in every way that Linux knows, and writes down what it did: one JSON object a line, in order,
{"inode", "direction", "call", "len", "data" (hex), "seen"}; seen = payload | count (no user buffer) | cut (more vectors than are walked).
It starts on a line on standard input, so that whoever watches is ready."""
import ctypes, json, os, socket, sys, tempfile, threading, time

libc = ctypes.CDLL(None, use_errno=True)


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class Header(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint), ("vectors", ctypes.POINTER(Vector)), ("count", ctypes.c_size_t),
                ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t), ("flags", ctypes.c_int)]


class Message(ctypes.Structure):
    _fields_ = [("header", Header), ("len", ctypes.c_uint)]


def log(sock, direction, call, data, seen="payload"):
    print(json.dumps({"inode": os.fstat(sock.fileno()).st_ino, "direction": direction, "call": call, "len": len(data), "data": data.hex(), "seen": seen}), flush=True)


def body(n, seed):
    return bytes((i * 7 + seed + i // 251) % 256 for i in range(n))


def exactly(sock, n):
    """Receives n bytes, logs each call."""
    while n > 0:
        data = sock.recv(n)
        log(sock, "in", "recv", data)
        n -= len(data)


def messages(buffers):
    array = (Message * len(buffers))()
    keep = []
    for message, buffer in zip(array, buffers):
        vector = (Vector * 1)(Vector(ctypes.addressof(buffer), len(buffer)))
        keep.append(vector)
        message.header.vectors, message.header.count = ctypes.cast(vector, ctypes.POINTER(Vector)), 1
    return array, keep


def sends(a, b):
    for call, send in [("send", a.send), ("write", lambda d: os.write(a.fileno(), d)), ("sendto", lambda d: a.send(d, socket.MSG_NOSIGNAL))]:
        data = body(100, len(call))
        assert send(data) == 100
        log(a, "out", call, data)
        exactly(b, 100)
    for count in (1, 3, 8, 12):
        parts = [body(10 + i, i) for i in range(count)]
        seen = "cut" if count > 8 else "payload"
        os.writev(a.fileno(), parts)
        log(a, "out", "writev", b"".join(parts), seen)
        a.sendmsg(parts)
        log(a, "out", "sendmsg", b"".join(parts), seen)
        exactly(b, 2 * len(b"".join(parts)))
    # An empty vector between others moves nothing.
    os.writev(a.fileno(), [b"", b"head", b"", b"tail"])
    log(a, "out", "writev", b"headtail")
    exactly(b, 8)


def receives(a, b):
    def feed(n, seed):
        data = body(n, seed)
        a.sendall(data)
        log(a, "out", "sendall", data)
        return data

    data = feed(90, 1)
    assert b.recv(90, socket.MSG_PEEK) == data
    exactly(b, 90)
    data = feed(60, 2)
    log(b, "in", "read", os.read(b.fileno(), 1000))
    feed(60, 3)
    first, second = bytearray(25), bytearray(1000)
    n = os.readv(b.fileno(), [first, second])
    log(b, "in", "readv", bytes(first + second)[:n])
    feed(60, 4)
    buffers = [bytearray(7), bytearray(9), bytearray(500)]
    n = b.recvmsg_into(buffers)[0]
    log(b, "in", "recvmsg", b"".join(buffers)[:n])
    # The buffer is larger than what came; then it is filled and something is left.
    feed(200, 5)
    exactly(b, 150)
    exactly(b, 50)
    # Nothing waits: an error, which is no operation.
    b.setblocking(False)
    try:
        b.recv(10)
        raise SystemExit("bytes from nowhere")
    except BlockingIOError:
        pass
    b.setblocking(True)


def many(a, b):
    """One message a call, then several; in tier 3 several are counted as one."""
    buffer = ctypes.create_string_buffer(body(40, 9), 40)
    array, keep = messages([buffer])
    assert libc.sendmmsg(a.fileno(), array, 1, 0) == 1
    log(a, "out", "sendmmsg", buffer.raw)
    into = ctypes.create_string_buffer(40)
    array, keep = messages([into])
    assert libc.recvmmsg(b.fileno(), array, 1, 0, None) == 1
    log(b, "in", "recvmmsg", into.raw)
    for _ in range(2):
        buffers = [ctypes.create_string_buffer(body(20 + i, i), 20 + i) for i in range(3)]
        array, keep = messages(buffers)
        assert libc.sendmmsg(a.fileno(), array, 3, 0) == 3
        for each in buffers:
            log(a, "out", "sendmmsg", each.raw, "many")
        exactly(b, 63)


def files(a, b):
    data = body(5000, 3)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        assert os.sendfile(a.fileno(), file.fileno(), 0, 5000) == 5000
    log(a, "out", "sendfile", data, "count")
    exactly(b, 5000)


def waits(a, b):
    """Bytes that wait for their reader: twice, so that the second wait is not that of the first."""
    for n in (70, 80):
        a.sendall(body(n, n))
        log(a, "out", "sendall", body(n, n))
        time.sleep(0.05)
        log(b, "in", "recv", b.recv(1000), "late")


def large(a, b):
    data = body(100_000, 1)
    writer = threading.Thread(target=lambda: a.sendall(data))
    writer.start()
    got = 0
    while got < len(data):
        part = b.recv(30_000)
        log(b, "in", "recv", part)
        got += len(part)
    writer.join()
    log(a, "out", "sendall", data, "split")


def tcp_only(a, b):
    a.sendall(body(30, 8))
    log(a, "out", "sendall", body(30, 8))
    n = b.recv_into(bytearray(30), 30, socket.MSG_TRUNC)
    log(b, "in", "recv", body(n, 8), "count")


def ends(a, b):
    a.shutdown(socket.SHUT_WR)
    assert b.recv(100) == b""
    log(b, "in", "recv", b"", "eof")
    b.sendall(b"last words")
    log(b, "out", "sendall", b"last words")
    exactly(a, 10)
    b.close()
    a.close()


def pair(family, address):
    listener = socket.socket(family)
    listener.bind(address)
    listener.listen()
    a = socket.socket(family)
    a.connect(listener.getsockname())
    b, _ = listener.accept()
    listener.close()
    return a, b


def main():
    sys.stdin.readline()
    folder = tempfile.TemporaryDirectory()
    for name, (a, b) in [
        ("tcp4", pair(socket.AF_INET, ("127.0.0.1", 0))),
        ("tcp6", pair(socket.AF_INET6, ("::1", 0))),
        ("unix", pair(socket.AF_UNIX, folder.name + "/s")),
        ("abstract", pair(socket.AF_UNIX, "\0perfmon-test-%d" % os.getpid())),
        ("socketpair", socket.socketpair()),
    ]:
        print(json.dumps({"pair": name, "a": os.fstat(a.fileno()).st_ino, "b": os.fstat(b.fileno()).st_ino}), flush=True)
        for part in (sends, receives, many, files, waits, large) + ((tcp_only,) if name.startswith("tcp") else ()):
            part(a, b)
        ends(a, b)
    # Not streams: not reported.
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.sendto(b"datagram", ("127.0.0.1", 9))
    x, y = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    x.send(b"datagram")
    y.recv(100)


main()
