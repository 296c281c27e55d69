#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A plain EventSource in a real Chromium, while the nodes behind the load balancer are killed in turn: the page shows
the numbers from 1 on, each once, in order.

usage: storm.py REDIS_URL GATEWAY_URL COUNT SECONDS

Prints "open" when the page listens: from then on COUNT logged events are published over SECONDS.
"""

import sys
import threading
import time

import redis
from playwright.sync_api import sync_playwright

TOPIC = "storm"

# What every page does: nothing but `onmessage`; the rest is counted to see that the storm was one.
PAGE = """topic => {
  document.body.replaceChildren(document.createElement('ol'));
  window.opened = 0;
  window.gaps = [];
  window.source = new EventSource('/events?topic=' + topic);
  source.onmessage = event => {
    const item = document.createElement('li');
    item.textContent = event.data;
    document.querySelector('ol').append(item);
  };
  source.addEventListener('gap', event => { gaps.push(event.data); });
  return new Promise(resolve => { source.onopen = () => { opened += 1; resolve(true); }; });
}"""


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
    redis_url, gateway, count, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    failures = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(gateway + "/healthz")
        page.evaluate(PAGE, TOPIC)
        print("open", flush=True)
        publisher = threading.Thread(target=publish, args=(redis_url, count, seconds, failures))
        publisher.start()
        deadline = time.monotonic() + seconds + 30
        while page.locator("li").count() < count and time.monotonic() < deadline:
            page.wait_for_timeout(200)
        page.wait_for_timeout(1000)  # a duplicate would come late
        publisher.join()
        shown = [int(text) for text in page.locator("li").all_inner_texts()]
        opened, gaps, state = page.evaluate("[opened, gaps, source.readyState]")
        browser.close()
    print(f"{len(shown)} of {count} events, {opened} connections, gaps {gaps}, readyState {state}", flush=True)
    assert not failures, failures
    missing = sorted(set(range(1, count + 1)) - set(shown))
    assert shown == list(range(1, count + 1)), f"missing {missing[:20]}, shown {shown}"
    assert opened > 1, "no connection was broken: that proves nothing"
    assert not gaps and state != 2, (gaps, state)


main()
