#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The gateway's own page in a real browser, at a running cluster.

usage: page.py chromium|firefox|webkit page|reconnect BALANCER_URL NODE_URL...
"""

import sys

import engines
from gateway import Gateway

# What the page shows, oldest first.
ROWS = """[...document.querySelectorAll('#events li.event')].reverse().map(
  row => [row.dataset.type, row.querySelector('.data').textContent, row.dataset.id])"""
COUNT = "Number(document.getElementById('count').textContent)"
STATE = "document.getElementById('state').dataset.state"


def opened(browser, url):
    page = browser.page(url)
    page.wait(f"{STATE} === 'open'")
    return page


def data(page):
    return [row[1] for row in page.value(ROWS)]


def check_page(browser, balancer, nodes):
    gateway = Gateway(balancer)
    mine = opened(browser, balancer + "/?client=browser-1&topic=news")
    other = opened(browser, balancer + "/?client=browser-2&topic=sport")
    mine.run("""() => {
        window.problems = [];
        window.addEventListener('error', event => problems.push(event.message));
        window.addEventListener('unhandledrejection', event => problems.push(String(event.reason)));
        window.alert = text => problems.push(text);
    }""")
    assert mine.value("document.getElementById('state').textContent") == "open"
    assert mine.value("document.getElementById('client').value") == "browser-1"
    assert mine.value("[...document.querySelectorAll('#topics li')].map(item => item.dataset.value)") == ["news"]

    # From every node: to its client, to its topic, to everybody.
    expected = []
    for number, node in enumerate(nodes):
        gateway.publish(node, client="browser-1", data=f"client {number}")
        gateway.publish(node, topic="news", data=f"topic {number}")
        gateway.publish(node, all=True, data=f"all {number}")
        expected += [f"client {number}", f"topic {number}", f"all {number}"]
    mine.wait(f"{COUNT} === {len(expected)}")
    assert data(mine) == expected, mine.value(ROWS)
    ids = [row[2] for row in mine.value(ROWS)]
    assert len(set(ids)) == len(ids) and all("-" in id for id in ids), ids
    other.wait(f"{COUNT} === {len(nodes)}")
    assert data(other) == [f"all {number}" for number in range(len(nodes))], other.value(ROWS)

    # Data is text, whatever it looks like.
    hostile = "<img src=x onerror=\"alert(1)\"><script>alert(2)</script>\n<b>bold</b>"
    gateway.publish(client="browser-1", data=hostile)
    mine.wait(f"{COUNT} === {len(expected) + 1}")
    assert data(mine)[-1] == hostile, mine.value(ROWS)[-1]
    assert mine.value("document.querySelectorAll('#events img, #events script, #events b').length") == 0
    check_form(mine, other, len(expected) + 1, len(nodes))

    # Another topic, without a reload.
    mine.run("() => { document.getElementById('state').dataset.state = 'to be opened anew'; }")
    mine.fill("#topic-add", "weather")
    mine.click("#topic-form .add button")
    mine.wait(f"document.querySelectorAll('#topics li[data-value=weather]').length === 1 && {STATE} === 'open'")
    gateway.publish(topic="weather", data="rain")
    mine.wait(f"({ROWS}).at(-1)[1] === 'rain'")
    assert mine.value("problems") == [], mine.value("problems")


def check_form(mine, other, count, all_count):
    """The page itself publishes: to itself, a client, a topic, everybody; and says whether anybody heard it."""
    def push(kind, data, name=None, event=""):
        mine.click(f"#publish input[name=kind][value={kind}]")
        if name is not None:
            mine.fill("#name", name)
        mine.fill("#data", data)
        mine.fill("#event", event)
        mine.click("#publish button.main")

    def receipt(kind):
        mine.wait(f"document.getElementById('receipt').dataset.kind === '{kind}'")

    push("self", "to myself")
    receipt("ok")
    mine.wait(f"{COUNT} === {count + 1}")
    push("client", "to the other", "browser-2")
    other.wait(f"{COUNT} === {all_count + 1}")
    assert data(other)[-1] == "to the other"
    push("topic", "typed", "news", event="price")
    mine.wait(f"{COUNT} === {count + 2}")
    assert mine.value(ROWS)[-1][:2] == ["price", "typed"], mine.value(ROWS)[-1]
    push("all", "to all")
    mine.wait(f"{COUNT} === {count + 3}")
    other.wait(f"{COUNT} === {all_count + 2}")
    push("topic", "nobody", "empty-topic")
    receipt("none")


def check_reconnect(browser, balancer, nodes):
    page = opened(browser, balancer + "/?client=browser-1&topic=news")
    # The test now kills the node that holds this stream.
    print("open", flush=True)
    page.wait(f"{STATE} !== 'open'", 60)
    page.wait(f"{STATE} === 'open'", 60)
    Gateway(balancer).publish(client="browser-1", data="after")
    page.wait(f"({ROWS}).at(-1)?.[1] === 'after'")


def main():
    engine, scenario, balancer, *nodes = sys.argv[1:]
    with engines.start(engine) as browser:
        {"page": check_page, "reconnect": check_reconnect}[scenario](browser, balancer, nodes)


main()
