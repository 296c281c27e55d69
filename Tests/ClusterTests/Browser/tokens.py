#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The finite stream of deploy/examples in a real browser: reloaded half-way, whole at the end, over by itself. And
where its log has lost the beginning, the page says so.

usage: tokens.py chromium|firefox|webkit REDIS_URL GATEWAY_URL
"""

import pathlib
import runpy
import subprocess
import sys
import time
import urllib.parse

import redis

import engines
from front import Front

EXAMPLES = pathlib.Path(__file__).resolve().parents[3] / "deploy" / "examples"
ANSWER = runpy.run_path(str(EXAMPLES / "tokens.py"))["ANSWER"]


def shown(page):
    return page.value("document.getElementById('text').textContent")


def state(page, text):
    page.wait(f"document.getElementById('state').textContent === {text!r}")


def expect_end(page):
    """The whole answer, once; "finished" is shown when the browser has stopped for good, because of a 204."""
    state(page, "finished")
    assert shown(page) == ANSWER, shown(page)
    assert page.value("document.querySelectorAll('#text *').length") == 0, "data became elements"


def check_whole(page, url, front):
    def statuses():
        return [request.status for request in front.asked("/events")]

    page.goto(url)
    for part, action in ((0.25, lambda: None), (0.5, page.reload)):
        page.wait(f"document.getElementById('text').textContent.length > {int(len(ANSWER) * part)}")
        before = shown(page)
        assert len(before) < len(ANSWER) and ANSWER.startswith(before), before
        action()
    expect_end(page)
    assert statuses() == [200, 200, 204], statuses()

    # Nobody knocks again, for longer than any "retry" of this test.
    time.sleep(1)
    assert len(statuses()) == 3, statuses()

    # Whoever comes late gets it whole, too.
    page.reload()
    expect_end(page)
    assert statuses()[3:] == [200, 204], statuses()


def check_trimmed(page, url, server):
    words = ["one ", "two ", "three ", "four"]
    for number, word in enumerate(words, start=1):
        options = ["event", "token", "maxlen", 2, *(["end", 1] if number == len(words) else [])]
        server.fcall("sluice_publish", 1, "sluice:topic:trimmed", word, *options)
    page.goto(url)
    state(page, "finished, but not whole")
    assert shown(page) == "[the beginning is lost] three four", shown(page)
    assert page.value("document.querySelector('#text mark').textContent") == "[the beginning is lost] "


def main():
    engine, redis_url, gateway = sys.argv[1:]
    # The page is of another origin than the gateway.
    pages = Front(pages={"/tokens.html": (EXAMPLES / "tokens.html").read_text()})
    front, server = Front(gateway), redis.Redis.from_url(redis_url)

    def url(topic):
        return f"{pages.url}/tokens.html?{urllib.parse.urlencode({'topic': topic, 'gateway': front.url})}"

    # On every stream, this one included; it is no part of the answer.
    server.fcall("sluice_publish", 1, "sluice:all", "for everybody")
    with engines.start(engine) as browser:
        page = browser.page(pages.url)
        backend = subprocess.Popen(
            [sys.executable, str(EXAMPLES / "tokens.py"), redis_url], stdout=subprocess.PIPE, text=True)
        try:
            check_whole(page, url(backend.stdout.readline().strip()), front)
            assert backend.wait(10) == 0
        finally:
            backend.kill()
        check_trimmed(page, url("trimmed"), server)


main()
