"""Makes TLS requests until SIGTERM, then prints {"done", "failed"}. Arguments: library, port, certificate, milliseconds between requests.
`requests`: a session, renewed every 20 requests. `gevent`: the same in ten greenlets of a patched Python, whose stacks are switched inside
reads and writes."""
import json
import signal
import sys
import time

library, port, certificate, pause = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]) / 1000
if library == "gevent":
    from gevent import monkey

    monkey.patch_all()
    import gevent
import requests

URL = f"https://127.0.0.1:{port}"
count = {"done": 0, "failed": 0}
ending = False


def end(*_):
    global ending
    ending = True


def ask():
    while not ending:
        with requests.Session() as session:
            session.trust_env, session.verify = False, certificate
            for number in range(20):
                if ending:
                    break
                try:
                    answer = session.get(URL + ("/hello" if number % 2 else "/bytes/1000"), timeout=20)
                    good = answer.status_code == 200 and len(answer.content) == (12 if number % 2 else 1000)
                except requests.RequestException as error:
                    print(error, file=sys.stderr)
                    good = False
                count["done" if good else "failed"] += 1
                time.sleep(pause)


signal.signal(signal.SIGTERM, end)
if library == "gevent":
    gevent.joinall([gevent.spawn(ask) for _ in range(10)])
else:
    ask()
print(json.dumps(count), flush=True)
