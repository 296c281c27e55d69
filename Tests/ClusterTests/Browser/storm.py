#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A plain EventSource in a real browser, while the nodes behind the load balancer, or the masters of a cluster, are
killed in turn: the page shows of each topic the numbers from 1 on, each once, in order.

usage: storm.py chromium|firefox|webkit REDIS_URL GATEWAY_URL COUNT SECONDS [TOPICS]

Prints "open" when the page listens: from then on COUNT logged events are published over SECONDS, to the topics (1) in
turn. REDIS_URL may be that of a cluster.
"""

import pathlib
import sys
import threading
import time
from urllib.parse import quote

import redis
import redis.cluster

import engines
from front import Front

sys.path.append(str(pathlib.Path(__file__).parents[3] / "deploy/examples/partitions"))
from names import sluice_names  # noqa: E402

PATIENCE = 20  # seconds in which a cluster has a new master

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


class Server:
    """One server."""

    def __init__(self, url):
        self.client = redis.Redis.from_url(url)

    def publish(self, topic, text):
        self.client.fcall("sluice_publish", 1, f"sluice:topic:{topic}", text)


class Cluster:
    """Its masters die: what has no answer is published again, with the same token."""

    def __init__(self, url):
        hosts = [address.split(":") for address in url.split("//")[1].split(",")]
        self.seeds = [redis.cluster.ClusterNode(host, int(port)) for host, port in hosts]
        self.connect()

    def connect(self):
        self.client = redis.RedisCluster(startup_nodes=self.seeds, socket_timeout=2, socket_connect_timeout=2)

    def publish(self, topic, text):
        keys = sluice_names(f"topic:{topic}", once=text)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.client.fcall("sluice_publish", len(keys), *keys, text, "once", text)
            except redis.RedisError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)


def publish(url, topics, count, seconds, failures):
    try:
        server = Cluster(url) if "+cluster:" in url else Server(url)
        start = time.monotonic()
        for number in range(count):
            time.sleep(max(0, start + (number + 1) * seconds / count - time.monotonic()))
            topic = number % len(topics)
            server.publish(topics[topic], f"{topic} {number // len(topics) + 1}")
    except Exception as error:
        failures.append(error)


def main():
    engine, redis_url, gateway, count, seconds = sys.argv[1], *sys.argv[2:4], int(sys.argv[4]), float(sys.argv[5])
    topics = [f"storm{number}" for number in range(int(sys.argv[6]) if len(sys.argv) > 6 else 1)]
    failures = []
    with engines.start(engine) as browser:
        stream = quote(f"{gateway}/events?" + "&".join(f"topic={topic}" for topic in topics))
        page = browser.page(f"{Front(pages={'/': PAGE}).url}/?url={stream}")
        page.wait("opened === 1")
        print("open", flush=True)
        publisher = threading.Thread(target=publish, args=(redis_url, topics, count, seconds, failures))
        publisher.start()
        deadline = time.monotonic() + seconds + PATIENCE + 30
        while page.value("document.querySelectorAll('li').length") < count and time.monotonic() < deadline:
            time.sleep(0.2)
        publisher.join()
        time.sleep(1)  # a duplicate would come late
        shown = page.value("[...document.querySelectorAll('li')].map(item => item.textContent)")
        opened, gaps, state = page.value("[opened, gaps, source.readyState]")
    print(f"{len(shown)} of {count} events, {opened} connections, gaps {gaps}, readyState {state}", flush=True)
    assert not failures, failures
    for topic in range(len(topics)):
        numbers = [int(text.split()[1]) for text in shown if text.split()[0] == str(topic)]
        expected = list(range(1, len(range(topic, count, len(topics))) + 1))
        assert numbers == expected, f"topic {topic}: missing {sorted(set(expected) - set(numbers))}, shown {numbers}"
    assert opened > 1, "no connection was broken: that proves nothing"
    assert not gaps and state != 2, (gaps, state)


main()
