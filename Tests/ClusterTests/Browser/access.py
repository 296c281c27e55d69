#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""EventSources of pages elsewhere, with a token in the query, at a node that asks for one; in a real Chromium.

usage: access.py origins|expiry|disconnect|page REDIS_URL GATEWAY_URL PAGE_PORT SECRET_FILE

"page" is the node's own page, the others are pages elsewhere. The node lets in pages of http://localhost:PAGE_PORT, and of no other origin.
"""

import http.server
import pathlib
import sys
import threading
import time

import redis
from playwright.sync_api import expect, sync_playwright

from gateway import Gateway

OPEN = """url => {
  window.seen = [];
  window.ends = [];
  window.source = new EventSource(url);
  source.onmessage = event => { seen.push(event.data); };
  source.onerror = () => { ends.push([Date.now(), source.readyState]); };
}"""


class Blank(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, *arguments):
        pass


def stream(gateway, query, **claims):
    return f"{gateway.url}/events?{query}&access_token={gateway.token(**claims)}"


class Tab:
    """A page, and what it asked the gateway and was answered."""

    def __init__(self, browser, url):
        self.page, self.requests, self.answers = browser.new_page(), 0, []
        self.page.on("request", self.asked)
        self.page.on("response", self.answered)
        self.page.goto(url)
        self.origin = url

    def asked(self, request):
        self.requests += "/events?" in request.url

    def answered(self, answer):
        if "/events?" in answer.url:
            self.answers.append((answer.status, answer.headers.get("access-control-allow-origin")))

    def expect(self, name, text):
        """Our page forbids what wait_for_function does."""
        expect(self.page.locator("#" + name)).to_contain_text(text, timeout=20_000)

    def open(self, url):
        self.page.evaluate(OPEN, url)

    def wait(self, condition):
        self.page.wait_for_function(condition, timeout=20_000)

    def expect_end(self):
        """The EventSource has given up, and nobody knocks again, for longer than any `retry`."""
        self.wait("source.readyState === 2")
        requests = self.requests
        self.page.wait_for_timeout(1000)
        assert self.requests == requests, f"{self.requests - requests} requests more"


def origins(tabs, gateway, server):
    url = stream(gateway, "topic=news", sluice={"subscribe": ["news"]})
    good, bad = tabs("localhost"), tabs("127.0.0.1")
    for tab in (good, bad):
        tab.open(url)
    good.wait("source.readyState === 1")
    bad.expect_end()
    server.fcall("sluice_publish", 1, "sluice:topic:news", "for those who may")
    good.wait("seen.length === 1")
    assert good.answers == [(200, good.origin)], good.answers
    # The browser is told no more than that it is not for this page.
    assert bad.requests == 1 and bad.page.evaluate("seen") == [], bad.answers
    assert [origin for _, origin in bad.answers] in ([], [None]), bad.answers
    # And so is a token that is nobody's, on the page that may.
    good.open(gateway.url + "/events?topic=news&access_token=a.b.c")
    good.expect_end()
    assert good.answers[1:] == [(401, good.origin)], good.answers


def expiry(tabs, gateway, server):
    tab, end = tabs("localhost"), time.time() + 3
    tab.open(stream(gateway, "topic=news", sluice={"subscribe": ["news"]}, exp=end))
    tab.wait("source.readyState === 1")
    server.fcall("sluice_publish", 1, "sluice:topic:news", "in time")
    tab.wait("ends.length")
    first, state = tab.page.evaluate("ends[0]")
    # In the last tenth of what its token had left, and as a clean end, after which it would come back.
    assert end - 0.5 < first / 1000 < end + 0.5 and state == 0, (first / 1000 - end, state)
    tab.expect_end()
    last, state = tab.page.evaluate("ends.at(-1)")
    assert last / 1000 >= end and state == 2, (last / 1000 - end, state)
    statuses = [status for status, _ in tab.answers]
    assert statuses[-1] == 401 and set(statuses[:-1]) == {200}, statuses
    assert all(origin == tab.origin for _, origin in tab.answers), tab.answers
    assert tab.page.evaluate("seen") == ["in time"]


def disconnect(tabs, gateway, server):
    alice, bob = tabs("localhost"), tabs("localhost")
    for tab, name in ((alice, "alice"), (bob, "bob")):
        tab.open(stream(gateway, f"client={name}", sub=name))
        tab.wait("source.readyState === 1")
    gateway.disconnect("alice")
    alice.wait("ends.length === 1 && source.readyState === 1")
    server.fcall("sluice_publish", 1, "sluice:client:alice", "back again")
    alice.wait("seen.length === 1")
    gateway.disconnect("alice", "?reconnect=false")
    alice.expect_end()
    assert alice.answers == [(200, alice.origin), (200, alice.origin), (204, alice.origin)], alice.answers
    assert bob.page.evaluate("[source.readyState, ends.length]") == [1, 0] and bob.requests == 1


def page(tabs, gateway, server):
    token = gateway.token(sub="alice", sluice={"subscribe": ["news"]})
    good, bad = (tabs(f"{gateway.url}/?topic={topic}#token={token}") for topic in ("news", "secret"))
    good.expect("state", "open")
    # It asks for the client that the token is of, and for no other's events.
    assert good.page.input_value("#client") == "alice"
    for target in ("topic:news", "client:alice"):
        server.fcall("sluice_publish", 1, f"sluice:{target}", "for those who may")
    good.expect("count", "2")
    bad.expect("detail", "(403, forbidden)")
    bad.expect("state", "ended")
    bad.expect("count", "0")
    assert token not in bad.page.text_content("#detail")


def main():
    scenario, redis_url, url, port, secret = sys.argv[1:]
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Blank)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    gateway = Gateway(url, pathlib.Path(secret).read_bytes())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])

        def tabs(place):
            return Tab(browser, place if "/" in place else f"http://{place}:{port}")

        try:
            {"origins": origins, "expiry": expiry, "disconnect": disconnect, "page": page}[scenario](
                tabs, gateway, redis.Redis.from_url(redis_url))
        finally:
            browser.close()


main()
