#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table of prices of deploy/examples in a real browser: complete at once, from one event a row; then it follows the
changes, also those that came while the connection was away.

usage: snapshot.py chromium|firefox|webkit REDIS_URL GATEWAY_URL
"""

import json
import pathlib
import runpy
import sys
import urllib.parse

import redis

import engines
from front import Front

EXAMPLES = pathlib.Path(__file__).resolve().parents[3] / "deploy" / "examples"
PRICES = runpy.run_path(str(EXAMPLES / "prices.py"))
SYMBOLS, ROUNDS = PRICES["SYMBOLS"], 40

# The table as the page shows it: the symbol's row and its price.
TABLE = """Object.fromEntries([...document.querySelectorAll('#prices tr')].map(
  row => [row.dataset.symbol, row.querySelector('.price').textContent]))"""
RECEIVED = "Number(document.getElementById('received').textContent)"


def main():
    engine, redis_url, gateway = sys.argv[1:]
    front, server, newest = Front(gateway), redis.Redis.from_url(redis_url), {}

    def publish(number, symbols=SYMBOLS):
        for symbol in symbols:
            price = SYMBOLS[symbol] + number
            PRICES["publish"](server, symbol, price)
            newest[symbol] = f"{price:.2f}"

    def expect(page, received):
        page.wait(f"{RECEIVED} >= {received}")
        assert page.value(TABLE) == newest, (page.value(TABLE), newest)
        assert page.value(RECEIVED) == received, page.value(RECEIVED)

    for number in range(ROUNDS):
        publish(number)
    pages = Front(pages={"/prices.html": (EXAMPLES / "prices.html").read_text()})
    with engines.start(engine) as browser:
        page = browser.page(f"{pages.url}/prices.html?{urllib.parse.urlencode({'gateway': front.url})}")
        # The log has forty times as many.
        expect(page, len(SYMBOLS))

        publish(ROUNDS, list(SYMBOLS)[:3])
        expect(page, len(SYMBOLS) + 3)

        # While the connection is away two rows change many times; one event of each comes.
        front.cut()
        for number in range(ROUNDS):
            publish(ROUNDS + number, list(SYMBOLS)[:2])
        page.wait(f"JSON.stringify({TABLE}) === {json.dumps(json.dumps(newest, separators=(',', ':')))}")
        first, second = front.asked("/events")
        assert first.last_event_id is None and second.last_event_id, front.requests
        print(f"{page.value(RECEIVED)} events for {len(SYMBOLS) * ROUNDS + 3 + 2 * ROUNDS} in the log", flush=True)


main()
