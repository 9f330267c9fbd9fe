"""What genai-prices computes for the usage of model calls, as the SDKs reported it: JSON lines {"api", "model", "usage"} on standard input,
a decimal number of dollars for each on standard output."""
import json
import sys

from genai_prices import calc_price, extract_usage

FLAVORS = {"chat": ("openai", "chat"), "responses": ("openai", "responses"), "messages": ("anthropic", "default")}

for line in sys.stdin:
    call = json.loads(line)
    provider, flavor = FLAVORS[call["api"]]
    usage = extract_usage({"model": call["model"], "usage": call["usage"]}, provider_id=provider, api_flavor=flavor)
    print(calc_price(usage.usage, call["model"], provider_id=provider).total_price)
