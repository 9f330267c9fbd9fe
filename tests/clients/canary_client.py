"""Makes the requests that stand on standard input, a JSON object a line with `method`, `target`, `headers` and `body`, one after another on
one connection to a port of this host, and prints each status. Arguments: port, `plain` or `tls`; others are ignored."""

import http.client
import json
import ssl
import sys

port = int(sys.argv[1])
if sys.argv[2] == "tls":
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context)
else:
    connection = http.client.HTTPConnection("127.0.0.1", port)
for line in sys.stdin:
    asked = json.loads(line)
    body = asked.get("body", "").encode()
    connection.putrequest(asked["method"], asked["target"], skip_host="Host" in asked["headers"], skip_accept_encoding=True)
    for name, value in asked["headers"].items():
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    answer.read()
    print(answer.status, flush=True)
connection.close()
