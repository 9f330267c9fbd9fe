"""Asks the server `linked.py`: port, route, connections at once, requests on each. Names and numbers of calls change with every request."""
import http.client
import sys
import threading

port, route, connections, requests = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
databases_only = route in ["sqlalchemy", "asyncpg"]
failed = []


def run(number):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for step in range(requests):
        name = "abcdefgh"[(number + step) % 8]
        connection.request("GET", f"/{route}/{name}/{1 + (number + step) % 4}/{0 if databases_only else step % 2}")
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            failed.append(answer.status)


threads = [threading.Thread(target=run, args=(number,)) for number in range(connections)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
sys.exit(f"{len(failed)} requests failed" if failed else 0)
