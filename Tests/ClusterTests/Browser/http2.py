#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""100 EventSources of one page at one node with TLS, in a real Chromium: over HTTP/2 all of them are open and one that
is not read makes no other late; over HTTP/1.1 the browser opens six.

usage: http2.py hundred|six REDIS_URL GATEWAY_URL ADMIN_URL
"""

import base64
import hashlib
import ssl
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import redis
from playwright.sync_api import sync_playwright

STREAMS, EVENTS, PERIOD = 100, 20, 0.1
# More than the page's window for a stream, which Chromium makes 6 MB large, all buffers on the way, and the ring.
BULK_EVENTS, BULK_BYTES = 256, 64 * 1024

OPEN = """count => {
  window.opened = 0;
  window.lists = Array.from({ length: count }, () => []);
  window.late = [];
  window.gaps = 0;
  window.sources = lists.map((list, number) => {
    const source = new EventSource('/events?topic=news&topic=own.' + number);
    source.onopen = () => { opened += 1; };
    source.onmessage = event => {
      const [number, sent] = event.data.split(' ');
      list.push(Number(number));
      late.push(performance.timeOrigin + performance.now() - Number(sent));
    };
    source.addEventListener('gap', () => { gaps += 1; });
    return source;
  });
}"""

# EventSource reads all by itself; fetch leaves it to the page, and this one never reads.
STALL = """async () => {
  const response = await fetch('/events?topic=bulk');
  window.stalled = response.body.getReader();
  return response.status;
}"""

# How much the page had taken when it stopped, and that the stream goes on from there.
RESUME = """async bytes => {
  let count = 0;
  while (count < bytes) {
    const { value, done } = await stalled.read();
    if (done) return -1;
    count += value.length;
  }
  return count;
}"""


def metric(admin, name):
    """The sum over all labels."""
    with urllib.request.urlopen(admin + "/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith((f"sluice_{name} ", f"sluice_{name}{{")))


def key_hash(gateway):
    """Of the node's public key: Chromium takes this one key as if an authority had signed it."""
    address = urllib.parse.urlsplit(gateway)
    certificate = ssl.get_server_certificate((address.hostname, address.port)).encode()
    key = subprocess.check_output(["openssl", "x509", "-pubkey", "-noout"], input=certificate)
    der = subprocess.check_output(["openssl", "pkey", "-pubin", "-outform", "der"], input=key)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def wait(page, condition, seconds=20):
    page.wait_for_function(condition, timeout=seconds * 1000)


def publish(page, server, first, more=lambda: None):
    """EVENTS to all streams, and the latencies that the page saw. `more` is done after each."""
    page.evaluate("late = []")
    begin = time.monotonic()
    for number in range(first, first + EVENTS):
        time.sleep(max(0, begin + (number - first) * PERIOD - time.monotonic()))
        server.fcall("sluice_publish", 1, "sluice:topic:news", f"{number} {time.time() * 1000}")
        more()
    wait(page, f"lists.every(list => list.at(-1) === {first + EVENTS - 1})")
    return sorted(page.evaluate("late"))


def shown(name, values):
    quantiles = ", ".join(f"p{share} {values[min(len(values) - 1, len(values) * share // 100)]:.1f}"
                          for share in (50, 90, 99))
    print(f"{name}: {len(values)} deliveries, {quantiles}, max {values[-1]:.1f} ms", flush=True)


def hundred(page, server, admin):
    page.evaluate(OPEN, STREAMS)
    wait(page, f"opened === {STREAMS}")
    protocols = page.evaluate(
        "[...new Set(performance.getEntriesByType('navigation').map(entry => entry.nextHopProtocol))]")
    assert protocols == ["h2"], protocols
    assert metric(admin, "streams") == STREAMS
    # All on one connection, which is what makes the stalled one interesting.
    assert metric(admin, "connections") == 1, metric(admin, "connections")
    publish(page, server, 1)  # so that both runs are warm
    shown("none is stalled", publish(page, server, 1 + EVENTS))

    def bulk(bytes=BULK_BYTES):
        server.fcall("sluice_publish", 1, "sluice:topic:bulk", "x" * bytes)

    assert page.evaluate(STALL) == 200
    for _ in range(BULK_EVENTS):
        bulk()
    while metric(admin, "events_received_total") < BULK_EVENTS + 2 * EVENTS:
        time.sleep(0.05)  # how fast the node takes that in is another question
    shown("one is stalled", publish(page, server, 1 + 2 * EVENTS))
    shown("one is stalled, and there is more for it", publish(page, server, 1 + 3 * EVENTS, lambda: bulk(4096)))

    # Its window is closed: most of what came for it has never been sent.
    deliveries = metric(admin, "events_delivered_total") - 4 * EVENTS * STREAMS
    assert 0 < deliveries < BULK_EVENTS, f"{deliveries} large events were sent: the stream was not stalled"
    assert metric(admin, "streams") == STREAMS + 1 and metric(admin, "connections") == 1
    expected = list(range(1, 1 + 4 * EVENTS))
    lists = page.evaluate("lists")
    for number, one in enumerate(lists):
        assert one == expected, f"stream {number}: {one}"
    assert page.evaluate("[opened, gaps]") == [STREAMS, 0], page.evaluate("[opened, gaps]")
    # Once it is read it goes on, from the log.
    assert page.evaluate(RESUME, BULK_EVENTS * BULK_BYTES) > 0, "the stalled stream has ended"
    # On a busy machine the ring passes others, too, which then go on as well.
    assert metric(admin, "streams_overrun_total") >= 1
    print(f"{deliveries} large events had been sent to the one that was not read", flush=True)


def six(page, server, admin):
    page.evaluate(OPEN, STREAMS)
    wait(page, "opened >= 6")
    page.wait_for_timeout(2000)  # a seventh would come now
    states = page.evaluate("sources.map(source => source.readyState)")
    assert page.evaluate("opened") == 6 and states.count(1) == 6 and states.count(0) == STREAMS - 6, states
    assert metric(admin, "streams") == 6
    server.fcall("sluice_publish", 1, "sluice:topic:news", "1 0")
    wait(page, "late.length >= 6")
    assert page.evaluate("lists.filter(list => list.length).length") == 6
    # One that is closed makes room for one that waits.
    page.evaluate("sources[states = sources.findIndex(source => source.readyState === 1)].close()")
    wait(page, "opened === 7")
    print(f"six of {STREAMS} open over HTTP/1.1", flush=True)


def main():
    scenario, redis_url, gateway, admin = sys.argv[1:]
    options = ["--no-sandbox", f"--ignore-certificate-errors-spki-list={key_hash(gateway)}"]
    options += ["--disable-http2"] if scenario == "six" else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=options)
        try:
            page = browser.new_page()
            page.goto(gateway + "/healthz")
            {"hundred": hundred, "six": six}[scenario](page, redis.Redis.from_url(redis_url), admin)
        finally:
            browser.close()


main()
