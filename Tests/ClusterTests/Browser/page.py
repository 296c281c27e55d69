#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drives a real Chromium against a running cluster; exits with 0 if everything is as promised.

usage: page.py page|articles|reconnect BALANCER_URL NODE_URL...
"""

import json
import sys
import urllib.request

from playwright.sync_api import expect, sync_playwright

SECONDS = 20_000


def publish(url, **event):
    body = json.dumps(event).encode()
    request = urllib.request.Request(url + "/publish", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def rows(page):
    """What the page shows, oldest first."""
    shown = page.locator("#events li.event").evaluate_all(
        "rows => rows.map(row => [row.dataset.type, row.querySelector('.data').textContent, row.dataset.id])")
    return [tuple(row) for row in reversed(shown)]


def wait_for_count(page, count):
    expect(page.locator("#count")).to_have_text(str(count), timeout=SECONDS)


def opened(context, url):
    page = context.new_page()
    page.goto(url)
    expect(page.locator("#state")).to_have_attribute("data-state", "open", timeout=SECONDS)
    return page


def check_page(context, balancer, nodes):
    mine = opened(context, balancer + "/?client=browser-1&topic=news")
    other = opened(context, balancer + "/?client=browser-2&topic=sport")
    dialogs, problems = [], []
    mine.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    mine.on("pageerror", lambda error: problems.append(str(error)))
    expect(mine.locator("#state")).to_have_text("open")
    expect(mine.locator("#client")).to_have_value("browser-1")
    assert mine.locator("#topics li").evaluate_all("list => list.map(item => item.dataset.value)") == ["news"]

    # From every node: to its client, to its topic, to everybody.
    expected = []
    for number, node in enumerate(nodes):
        publish(node, client="browser-1", data=f"client {number}")
        publish(node, topic="news", data=f"topic {number}")
        publish(node, all=True, data=f"all {number}")
        expected += [f"client {number}", f"topic {number}", f"all {number}"]
    wait_for_count(mine, len(expected))
    assert [row[1] for row in rows(mine)] == expected, rows(mine)
    ids = [row[2] for row in rows(mine)]
    assert len(set(ids)) == len(ids) and all("-" in id for id in ids), ids
    wait_for_count(other, len(nodes))
    assert [row[1] for row in rows(other)] == [f"all {number}" for number in range(len(nodes))], rows(other)

    # Data is text, whatever it looks like.
    hostile = "<img src=x onerror=\"alert(1)\"><script>alert(2)</script>\n<b>bold</b>"
    publish(balancer, client="browser-1", data=hostile)
    wait_for_count(mine, len(expected) + 1)
    assert rows(mine)[-1][1] == hostile, rows(mine)[-1]
    assert mine.locator("#events img, #events script, #events b").count() == 0

    # The page itself publishes: to itself, a client, a topic, everybody; and says whether anybody heard it.
    form = mine.locator("#publish")

    def push(kind, data, name=None, event=None):
        form.locator(f"input[name=kind][value={kind}]").check()
        if name is not None:
            form.locator("[name=name]").fill(name)
        form.locator("[name=data]").fill(data)
        form.locator("[name=event]").fill(event or "")
        form.locator("button.main").click()

    receipt = mine.locator("#receipt")
    push("self", "to myself")
    expect(receipt).to_have_attribute("data-kind", "ok", timeout=SECONDS)
    wait_for_count(mine, len(expected) + 2)
    push("client", "to the other", "browser-2")
    wait_for_count(other, len(nodes) + 1)
    assert rows(other)[-1][1] == "to the other"
    push("topic", "typed", "news", event="price")
    wait_for_count(mine, len(expected) + 3)
    assert rows(mine)[-1][:2] == ("price", "typed"), rows(mine)[-1]
    push("all", "to all")
    wait_for_count(mine, len(expected) + 4)
    wait_for_count(other, len(nodes) + 2)
    push("topic", "nobody", "empty-topic")
    expect(receipt).to_have_attribute("data-kind", "none", timeout=SECONDS)

    # Another topic, without a reload.
    mine.locator("#topic-add").fill("weather")
    mine.locator("#topic-add").press("Enter")
    expect(mine.locator("#topics li[data-value=weather]")).to_have_count(1)
    expect(mine.locator("#state")).to_have_attribute("data-state", "open", timeout=SECONDS)
    mine.wait_for_timeout(500)
    publish(balancer, topic="weather", data="rain")
    expect(mine.locator("#events li.event .data").first).to_have_text("rain", timeout=SECONDS)
    assert not dialogs and not problems, (dialogs, problems)


ARTICLE = """client => {
  const list = document.createElement('ul');
  document.body.replaceChildren(list);
  window.source = new EventSource('/sse?client_id=' + client);
  window.source.onmessage = event => {
    const item = document.createElement('li');
    item.textContent = event.data;
    list.append(item);
  };
  return new Promise(resolve => { window.source.onopen = () => resolve(true); });
}"""


def check_articles(context, balancer, nodes):
    def tab(client):
        page = context.new_page()
        page.goto(balancer + "/healthz")
        page.evaluate(ARTICLE, client)
        return page

    first, second = tab("A"), tab("B")
    third = context.new_page()
    for number in range(3):
        third.goto(f"{balancer}/push?client_id=A&message=Hello+{number}")
        assert third.locator("body").inner_text() == "success"
    expect(first.locator("li")).to_have_text(["Hello 0", "Hello 1", "Hello 2"], timeout=SECONDS)
    third.goto(f"{balancer}/push?client_id=B&message=for%20B")
    expect(second.locator("li")).to_have_text(["for B"], timeout=SECONDS)
    third.goto(f"{balancer}/push?client_id=A&message=last")
    expect(first.locator("li")).to_have_text(["Hello 0", "Hello 1", "Hello 2", "last"], timeout=SECONDS)
    expect(second.locator("li")).to_have_text(["for B"])


def check_reconnect(context, balancer, nodes):
    page = opened(context, balancer + "/?client=browser-1&topic=news")
    # The test now kills the node that holds this stream.
    expect(page.locator("#state")).not_to_have_attribute("data-state", "open", timeout=60_000)
    expect(page.locator("#state")).to_have_attribute("data-state", "open", timeout=60_000)
    publish(balancer, client="browser-1", data="after")
    expect(page.locator("#events li.event .data").first).to_have_text("after", timeout=SECONDS)


def main():
    scenario, balancer, nodes = sys.argv[1], sys.argv[2], sys.argv[3:]
    check = {"page": check_page, "articles": check_articles, "reconnect": check_reconnect}[scenario]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        try:
            check(browser.new_context(), balancer, nodes)
        finally:
            browser.close()


main()
