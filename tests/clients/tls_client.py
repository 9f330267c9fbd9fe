"""Makes the calls that come as JSON lines on standard input over TLS and logs each as it saw it, in their order.
Arguments: library, base URL, User-Agent, certificate. Libraries on asyncio keep ten calls under way.
In: {"method", "path", "body"} (body = number of bytes). Out: {"status", "size", "ms"}."""
import asyncio
import json
import ssl
import sys
import time

library, url, agent, certificate = sys.argv[1:]
calls = [json.loads(line) for line in sys.stdin]
headers = {"User-Agent": agent, "Accept-Encoding": "identity"}
context = ssl.create_default_context(cafile=certificate)


def body_of(call):
    return b"b" * call["body"] if call["method"] == "POST" else None


def logged(status, content, start):
    return {"status": status, "size": len(content), "ms": (time.perf_counter() - start) * 1000}


def with_requests():
    import requests

    with requests.Session() as session:
        session.trust_env, session.verify = False, certificate
        session.headers.update(headers)
        for call in calls:
            start = time.perf_counter()
            answer = session.request(call["method"], url + call["path"], data=body_of(call))
            yield logged(answer.status_code, answer.content, start)


def with_httpx():
    import httpx

    with httpx.Client(verify=context, trust_env=False, headers=headers) as client:
        for call in calls:
            start = time.perf_counter()
            answer = client.request(call["method"], url + call["path"], content=body_of(call))
            yield logged(answer.status_code, answer.content, start)


async def at_once(one):
    limit = asyncio.Semaphore(10)

    async def bounded(call):
        async with limit:
            return await one(call)

    return await asyncio.gather(*map(bounded, calls))


async def with_httpx_async():
    import httpx

    async with httpx.AsyncClient(verify=context, trust_env=False, headers=headers) as client:
        async def one(call):
            start = time.perf_counter()
            answer = await client.request(call["method"], url + call["path"], content=body_of(call))
            return logged(answer.status_code, answer.content, start)

        return await at_once(one)


async def with_aiohttp():
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), headers=headers) as session:
        async def one(call):
            start = time.perf_counter()
            async with session.request(call["method"], url + call["path"], data=body_of(call)) as answer:
                return logged(answer.status, await answer.read(), start)

        return await at_once(one)


if library in ("requests", "httpx"):
    log = list(with_requests() if library == "requests" else with_httpx())
else:
    log = asyncio.run(with_httpx_async() if library == "httpx-async" else with_aiohttp())
for entry in log:
    print(json.dumps(entry))
