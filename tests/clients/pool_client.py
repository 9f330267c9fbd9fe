"""Holds a pool of connections to Redis and uses it. Arguments: port, connections, threads, seconds. Each use waits 20 ms for an answer; with no
thread at all, each connection is used three times and then rests.
"""
import queue
import socket
import sys
import threading
import time

port, connections, threads, seconds = map(int, sys.argv[1:5])
pool = queue.Queue()
for _ in range(connections):
    pool.put(socket.create_connection(("127.0.0.1", port)))


def use():
    connection = pool.get()
    connection.sendall(b"*3\r\n$5\r\nBLPOP\r\n$4\r\nnone\r\n$4\r\n0.02\r\n")
    connection.recv(4096)
    pool.put(connection)
    time.sleep(0.002)  # so that it is another thread's turn


def work(end):
    while time.monotonic() < end:
        use()


workers = [threading.Thread(target=work, args=(time.monotonic() + seconds,)) for _ in range(threads)]
for worker in workers:
    worker.start()
if not workers:
    for _ in range(3 * connections):
        use()
    time.sleep(seconds)
