#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Publishes made-up prices, with nothing but redis-py; prices.html shows them as a table.

usage: prices.py [REDIS_URL]
"""

import json
import random
import sys
import time

import redis

SYMBOLS = {"BROOK": 12.5, "CANAL": 48.0, "DELTA": 7.25, "FJORD": 130.0, "LAGOON": 22.75, "MARSH": 3.5, "RAPID": 61.0,
           "SOURCE": 95.5}


def publish(server, symbol, price):
    # The key is the row: of events with one key only the newest matters. The log (here of the newest 1,000 events) must
    # reach back to each row's newest event, so publish rows again that have not changed for long.
    server.fcall("sluice_publish", 1, "sluice:topic:prices", json.dumps({"symbol": symbol, "price": price}),
                 "event", "price", "key", symbol, "maxlen", 1000)


def main():
    server = redis.Redis.from_url(sys.argv[1] if len(sys.argv) > 1 else "redis://127.0.0.1:6390")
    prices = dict(SYMBOLS)
    for symbol, price in prices.items():
        publish(server, symbol, price)
    while True:
        symbol = random.choice(list(prices))
        prices[symbol] = round(prices[symbol] * random.uniform(0.98, 1.02), 2)
        publish(server, symbol, prices[symbol])
        time.sleep(0.2)


if __name__ == "__main__":
    main()
