#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The finite stream of deploy/examples in a real Chromium: reloaded half-way, whole at the end, over by itself.

usage: tokens.py REDIS_URL GATEWAY_URL
"""

import functools
import http.server
import pathlib
import runpy
import subprocess
import sys
import threading
import urllib.parse

import redis
from playwright.sync_api import expect, sync_playwright

EXAMPLES = pathlib.Path(__file__).resolve().parents[3] / "deploy" / "examples"
ANSWER = runpy.run_path(str(EXAMPLES / "tokens.py"))["ANSWER"]
SECONDS = 30_000


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def shown(page):
    return page.locator("#text").evaluate("text => text.textContent")


def expect_end(page):
    """The whole answer, once; and the browser has stopped for good, because it was told so with a 204."""
    expect(page.locator("#state")).to_have_text("finished", timeout=SECONDS)
    assert page.evaluate("source.readyState") == 2, "readyState is not CLOSED"
    assert shown(page) == ANSWER, shown(page)
    assert page.locator("#text *").count() == 0, "data became elements"


def check(page, url, statuses):
    page.goto(url)
    for part, action in ((0.25, lambda: None), (0.5, page.reload)):
        page.wait_for_function(f"text.textContent.length > {int(len(ANSWER) * part)}", timeout=SECONDS)
        before = shown(page)
        assert len(before) < len(ANSWER) and ANSWER.startswith(before), before
        action()
    expect_end(page)
    assert statuses[-1] == 204 and statuses.count(200) == 2, statuses

    # Nobody knocks again, for longer than any "retry" of this test.
    asked = len(statuses)
    page.wait_for_timeout(1500)
    assert len(statuses) == asked, statuses

    # Whoever comes late gets it whole, too.
    page.reload()
    expect_end(page)
    assert statuses[asked:] == [200, 204], statuses


def main():
    redis_url, gateway = sys.argv[1:]
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(EXAMPLES)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # On every stream, this one included; it is no part of the answer.
    redis.Redis.from_url(redis_url).fcall("sluice_publish", 1, "sluice:all", "for everybody")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        problems, statuses = [], []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("response", lambda answer: statuses.append(answer.status) if "/events?" in answer.url else None)
        backend = subprocess.Popen(
            [sys.executable, str(EXAMPLES / "tokens.py"), redis_url], stdout=subprocess.PIPE, text=True)
        try:
            query = urllib.parse.urlencode({"topic": backend.stdout.readline().strip(), "gateway": gateway})
            check(page, f"http://127.0.0.1:{server.server_port}/tokens.html?{query}", statuses)
            assert backend.wait(10) == 0 and not problems, problems
        finally:
            backend.kill()
            browser.close()


main()
