"""Makes the calls that come as JSON lines on standard input, one after another on one session, and logs each as it saw it.
Arguments: base URL, User-Agent. In: {"method", "path", "body"} (body = number of bytes). Out: {"status", "size", "ms"}."""
import json
import sys
import time

import requests

session = requests.Session()
session.trust_env = False
session.headers["Accept-Encoding"] = "identity"
session.headers["User-Agent"] = sys.argv[2]
calls = [json.loads(line) for line in sys.stdin]
log = []
for call in calls:
    body = b"b" * call["body"] if call["method"] == "POST" else None
    prepared = session.prepare_request(requests.Request(call["method"], sys.argv[1] + call["path"], data=body))
    start = time.perf_counter()
    response = session.send(prepared, allow_redirects=False)
    size = len(response.content)
    log.append({"status": response.status_code, "size": size, "ms": (time.perf_counter() - start) * 1000})
for entry in log:
    print(json.dumps(entry))
