#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A plain EventSource in a real browser, while the nodes behind the load balancer are killed in turn: the page shows
the numbers from 1 on, each once, in order.

usage: storm.py chromium|firefox|webkit REDIS_URL GATEWAY_URL COUNT SECONDS

Prints "open" when the page listens: from then on COUNT logged events are published over SECONDS.
"""

import sys
import threading
import time

import redis

import engines
from front import Front

TOPIC = "storm"

# What every page does: nothing but `onmessage`; the rest is counted to see that the storm was one.
PAGE = """<!doctype html><ol></ol><script>
window.opened = 0;
window.gaps = [];
window.source = new EventSource(new URLSearchParams(location.search).get('url'));
source.onmessage = event => {
  const item = document.createElement('li');
  item.textContent = event.data;
  document.querySelector('ol').append(item);
};
source.addEventListener('gap', event => { gaps.push(event.data); });
source.onopen = () => { opened += 1; };
</script>"""


def publish(url, count, seconds, failures):
    try:
        server = redis.Redis.from_url(url)
        start = time.monotonic()
        for number in range(1, count + 1):
            time.sleep(max(0, start + number * seconds / count - time.monotonic()))
            server.fcall("sluice_publish", 1, f"sluice:topic:{TOPIC}", number)
    except Exception as error:
        failures.append(error)


def main():
    engine, redis_url, gateway, count, seconds = sys.argv[1], *sys.argv[2:4], int(sys.argv[4]), float(sys.argv[5])
    failures = []
    with engines.start(engine) as browser:
        page = browser.page(f"{Front(pages={'/': PAGE}).url}/?url={gateway}/events?topic={TOPIC}")
        page.wait("opened === 1")
        print("open", flush=True)
        publisher = threading.Thread(target=publish, args=(redis_url, count, seconds, failures))
        publisher.start()
        deadline = time.monotonic() + seconds + 30
        while page.value("document.querySelectorAll('li').length") < count and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(1)  # a duplicate would come late
        publisher.join()
        shown = page.value("[...document.querySelectorAll('li')].map(item => Number(item.textContent))")
        opened, gaps, state = page.value("[opened, gaps, source.readyState]")
    print(f"{len(shown)} of {count} events, {opened} connections, gaps {gaps}, readyState {state}", flush=True)
    assert not failures, failures
    missing = sorted(set(range(1, count + 1)) - set(shown))
    assert shown == list(range(1, count + 1)), f"missing {missing[:20]}, shown {shown}"
    assert opened > 1, "no connection was broken: that proves nothing"
    assert not gaps and state != 2, (gaps, state)


main()
