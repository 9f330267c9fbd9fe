"""Customers of the demo's shop: asks it over HTTPS (httpx) until it is stopped, or for so many rounds, and writes down what it did.

A round is one request of each kind and one question to the agent; questions and SDKs take turns, so the same number of rounds always does
the same. The log (`--log`, JSON, written at the end) has a count for each method, path template and status, and every agent run with the
usage that the service's SDK reported."""

import argparse
import asyncio
import collections
import itertools
import json
import signal
import ssl
import time

import httpx

QUESTIONS = [
    "Is the lamp in stock?",
    "Please compare the chair with the desk.",
    "Where is my order 7?",
    "Do we have to restock the shelf?",
    "My parcel is lost, where is number 999999?",
    "Hello, who are you?",
    "This is urgent: where is order 7?",
]
APIS = [
    {"api": "chat", "model": "gpt-4o-mini", "stream": False},
    {"api": "messages", "model": "claude-sonnet-5", "stream": False},
    {"api": "chat", "model": "gpt-5-mini", "stream": True},
    {"api": "messages", "model": "claude-haiku-4-5", "stream": True},
    {"api": "responses", "model": "gpt-5", "stream": False},
    {"api": "responses", "model": "gpt-5", "stream": True},
]


class Load:
    def __init__(self, client):
        self.client, self.counts, self.runs = client, collections.Counter(), []
        self.started = None

    async def request(self, method, path, template, **options):
        self.started = self.started or time.time()
        try:
            answer = await self.client.request(method, path, **options)
        except httpx.TransportError as error:
            raise SystemExit(f"{method} {path}: {type(error).__name__} {error}") from None
        self.counts[f"{method} {template} {answer.status_code}"] += 1
        return answer

    async def ask(self, number):
        question = {"question": QUESTIONS[number % len(QUESTIONS)]} | APIS[number % len(APIS)]
        answer = await self.request("POST", "/ask", "/ask", json=question)
        answer.raise_for_status()
        told = answer.json()
        self.runs.append(question | {"tools": told["tools"], "calls": told["calls"]})

    async def burst(self, size):
        """The same question so many times at once, for each SDK."""
        for number in range(len(APIS)):
            await asyncio.gather(*(self.ask(number) for _ in range(size)))

    async def round(self, number, pause):
        await self.request("GET", f"/products?page={number % 40}", "/products")
        asks = asyncio.create_task(self.ask(number))
        steps = [
            ("GET", f"/products/{number * 37 % 2_000 + 1}", "/products/{id}", {}),
            ("GET", f"/products/{number * 61 % 2_000 + 1}", "/products/{id}", {}),
            ("GET", f"/orders/{number * 13 % 5_000 + 1}", "/orders/{id}", {}),
            ("GET", f"/orders/{900_000 + number}", "/orders/{id}", {}) if number % 10 == 9 else None,
            ("POST", "/orders", "/orders", {"json": {"product_id": number % 2_000 + 1}}),
            ("GET", "/delivery-dates", "/delivery-dates", {}),
            ("GET", "/reports/sales", "/reports/sales", {}) if number % 4 == 0 else None,
        ]
        for method, path, template, options in filter(None, steps):
            await self.request(method, path, template, **options)
            await asyncio.sleep(pause)
        await asks


async def run(args):
    context = ssl.create_default_context(cafile=args.certificate)
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    numbers = iter(range(args.rounds)) if args.rounds else itertools.count()
    async with httpx.AsyncClient(base_url=args.url, verify=context, trust_env=False, timeout=30) as client:
        load = Load(client)

        async def customer():
            for number in numbers:
                if stop.is_set():
                    break
                await load.round(number, args.pause_ms / 1_000)

        if args.burst:
            await load.burst(args.burst)
        await asyncio.gather(*(customer() for _ in range(args.customers)))
    log = {"started": load.started, "ended": time.time(), "counts": dict(sorted(load.counts.items())), "runs": load.runs}
    if args.log:
        with open(args.log, "w") as file:
            json.dump(log, file, indent=1)


def main():
    parser = argparse.ArgumentParser(description="Asks the demo's shop.")
    parser.add_argument("--url", required=True)
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--log", help="JSON file for what was done")
    parser.add_argument("--rounds", type=int, help="stop after so many (default: when told to)")
    parser.add_argument("--burst", type=int, help="first ask the same question so many times at once, for each SDK")
    parser.add_argument("--customers", type=int, default=4, help="rounds under way at once")
    parser.add_argument("--pause-ms", type=int, default=100, help="between two requests of a customer")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
