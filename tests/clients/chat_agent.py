"""An agent on the OpenAI chat completions API: waits until a file is there, then asks a model, runs the tool that it wants, asks again, and
asks once more with a stream. Arguments: port of the model server, the file."""
import http.client
import json
import pathlib
import sys
import time

PORT, GATE = int(sys.argv[1]), pathlib.Path(sys.argv[2])
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]


def ask(messages, stream=False, tools=TOOLS):
    connection = http.client.HTTPConnection("127.0.0.1", PORT)
    body = {"model": "gpt-4o-mini", "messages": messages, "stream": stream, **({"tools": tools} if tools else {})}
    if stream:
        body["stream_options"] = {"include_usage": True}
    headers = {"Content-Type": "application/json", "Host": "api.openai.com"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse().read()
    connection.close()
    return None if stream else json.loads(answer)["choices"][0]["message"]


while not GATE.exists():
    time.sleep(0.02)
messages = [{"role": "user", "content": "What is 2 + 3?"}]
messages.append(ask(messages))
time.sleep(0.05)
messages.append({"role": "tool", "tool_call_id": messages[-1]["tool_calls"][0]["id"], "content": "5"})
ask(messages)
ask([{"role": "user", "content": "And now in words."}], stream=True, tools=None)
print("done", flush=True)
time.sleep(60)
