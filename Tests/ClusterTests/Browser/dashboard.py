#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The pages that a node serves, in Chromium: the dashboard of its operator's listener, and the page to try it with as a phone
shows it.

usage: dashboard.py functions|deployment|away|phone ADMIN_URL PUBLIC_URL
"""

import json
import re
import sys
import time

from playwright.sync_api import sync_playwright

PROBLEMS = """
window.problems = [];
addEventListener('securitypolicyviolation', event => problems.push(`${event.violatedDirective}: ${event.blockedURI}`));
addEventListener('error', event => problems.push(event.message));
addEventListener('unhandledrejection', event => problems.push(String(event.reason)));
"""
GROUNDS = ("bg", "raised", "warn-tint", "bad-tint")
HEADLINE = "document.getElementById('headline').textContent"
ANNOUNCED = "document.getElementById('announcement').textContent"


class Tab:
    def __init__(self, browser, **options):
        self.page = browser.new_context(**options).new_page()
        self.page.add_init_script(PROBLEMS)
        self.value, self.route = self.page.evaluate, self.page.route

    def goto(self, url):
        assert self.page.goto(url).status == 200, url
        return self

    def wait(self, expression, seconds=30):
        """Our pages forbid what Playwright's own function for this does."""
        end = time.monotonic() + seconds
        while not (value := self.value(expression)):
            assert time.monotonic() < end, f"not within {seconds} s: {expression}; the page shows: {self.text()}"
            time.sleep(0.05)
        return value

    def text(self):
        return self.value("document.body.innerText")

    def close(self):
        problems = self.value("problems")
        assert problems == [], problems
        self.page.context.close()


def node(name, **changes):
    return {
        "node": name, "version": "1.0.0", "started": 1_700_000_000_000, "listen": "127.0.0.1:8080", "streams": 4000, "ready": True,
        "draining": False, "answered": True, "problem": None, "partitions_down": [], "silent": 0.4, "behind": 0, "gaps": 0, "shed": 0,
        "events_in": 100, "events_out": 400_000, "memory": 64 << 20, "descriptors": 4100, "descriptors_max": 10_240, **changes}


# What is asked of the page's own functions, and what they are to answer.
FUNCTIONS = [
    ("[...parseMetrics('# HELP a b\\na 1\\na_b{x=\"1\",y=\"\\\\\"}\\\\n{\"} 2.5e3 1700\\n\\nc +Inf # {t=\"1\"} 2\\r\\n')]",
     [["a", [{"labels": {}, "value": 1}]], ["a_b", [{"labels": {"x": "1", "y": '"}\n{'}, "value": 2500}]],
      ["c", [{"labels": {}, "value": float("inf")}]]]),
    ("total(parseMetrics('a{p=\"1\"} 1\\na{p=\"2\"} 2'), 'a')", 3),
    ("total(parseMetrics(''), 'a')", None),
    # Both partitions together; in any order; one reading less than the other.
    ("histogram(parseMetrics('t_bucket{p=\"1\",le=\"+Inf\"} 4\\nt_bucket{p=\"1\",le=\"0.1\"} 3\\nt_bucket{p=\"2\",le=\"0.1\"} 1\\n"
     "t_bucket{p=\"2\",le=\"+Inf\"} 1'), 't')", [[0.1, 4], [float("inf"), 5]]),
    ("between([[1, 1], [2, 5]], [[1, 3], [2, 9]])", [[1, 2], [2, 4]]),
    ("between([[1, 1], [2, 5]], [[1, 1], [2, 5]])", None),   # nothing came
    ("between([[1, 1], [2, 5]], [[1, 0], [2, 2]])", None),   # the node has restarted
    ("between(null, [[1, 0], [2, 2]])", None),
    ("quantile(0.5, [[0.001, 0], [0.01, 10], [Infinity, 10]])", 0.0055),
    ("quantile(0.99, [[0.001, 98], [0.01, 100], [Infinity, 100]])", 0.0055),
    ("quantile(0.99, [[0.001, 50], [0.01, 50], [Infinity, 100]])", float("inf")),
    ("quantile(0.5, [[0.001, 50], [0.01, 50], [Infinity, 100]])", 0.001),
    ("quantile(0.5, null)", None),
    ("[rise(1, 3), rise(3, 1), rise(null, 1), rise(1, undefined)]", [2, None, None, None]),
    ("rate([{ time: 0, run: 1, a: 10 }, { time: 4000, run: 1, a: 50 }], 'a')", 10),
    ("rate([{ time: 0, run: 1, a: 10 }, { time: 4000, run: 2, a: 50 }], 'a')", None),
    # A node that begins anew, and one that was not asked for a while: no rate, and a line that is broken.
    ("(() => { const samples = []; for (const [time, run, n] of [[0, 1, 10], [2000, 1, 30], [4000, 2, 5], [6000, 2, 9], [60000, 2, 99]])"
     " keep(samples, { time, run, events_in: n }); return samples.map(s => [s.inRate, s.isBroken, s.isRestart]); })()",
     [[None, True, False], [10, False, False], [None, True, True], [2, False, False], [None, True, False]]),
    ("[0.00031, 0.031, 1.26, 42, 700, null].map(seconds)", ["0.31 ms", "31 ms", "1.3 s", "42 s", "12 min", "–"]),
    ("[0, 7.25, 12304, 2500000, null].map(count)", ["0", "7.3", "12,304", "2.5M", "–"]),
    ("list(['a', 'b', 'c'])", "a, b and c"),
    # Who is gone, or not known now, does not count.
    ("living({ nodes: [{ name: 'a' }, { name: 'b', gone: 9 }, { name: 'c', isStale: true }] }).map(n => n.name)", ["a"]),
    ("versions({ nodes: [{ version: '2' }, { version: '1' }, { version: '2' }, { version: '3', gone: 9 }, {}] })", ["1", "2"]),
    ("examine({ nodes: [1, 2, 3].map(n => ({ name: `n${n}`, version: `v${n}`, gone: n === 3 ? 9 : 0 })) }).map(f => f.text)",
     ["Node n3 has been gone for 9 s, without having drained.", "Two versions run side by side: v1 and v2."]),
    # A node that has gone while others could not be asked, or had gone before, is gone, and not also unknown. Others are unknown.
    ("(() => { const before = seen.nodes, entry = { started: 1 }, of = (...names) => ({ nodes: names.map(node => ({ node, ...entry })) });"
     " const now = Date.now(), told = () => ['b', 'c'].map(name => seen.nodes.get(name)).map(known => known && [known.goneSince > 0, known.isStale]);"
     " seen.nodes = new Map(); takeNodes(of('a', 'b', 'c'), now); const all = [told()]; takeSelf('', ''); all.push(told());"
     " takeNodes(of('a', 'c'), now); all.push(told()); takeSelf('', ''); all.push(told()); seen.nodes.get('b').goneSince -= 301000;"
     " takeSelf('', ''); all.push(told()); seen.nodes = before; return all; })()",
     [[[False, False], [False, False]], [[False, True], [False, True]], [[True, False], [False, False]],
      [[True, False], [False, True]], [None, [False, True]]]),
]
# Deployments, and what is said first about them.
VERDICTS = [
    ([{}, {}, {}], "fine", "All three nodes are fine: 12,000 streams, events arrive within 3 ms."),
    ([{}], "fine", "Node a is fine: 4,000 streams, events arrive within 3 ms."),
    ([{}, {"silent": 12.2}, {}], "bad", "Node b has not heard Redis for 12 s."),
    ([{"silent": 9}, {"silent": 12}], "bad", "Both nodes have not heard Redis for 12 s."),
    ([{}, {"silent": 5.9}], "fine", "Both nodes are fine: 8,000 streams, events arrive within 3 ms."),
    ([{}, {"answered": False, "mute": 4}, {}], "bad", "Node b has not answered the other nodes for 4 s."),
    ([{}, {"answered": False, "mute": 4, "draining": True}], "fine", "Node a is fine: 8,000 streams, events arrive within 3 ms."),
    ([{}, {"partitions_down": [3]}], "bad", "Node b does not hear partition 3 of Redis."),
    ([{}, {"descriptors": 9800}], "bad", "Node b has 96 % of its descriptors in use (9,800 of 10,240)."),
    ([{"shedRate": 35, "shedReason": "client"}], "warn",
     "Node a sends streams away, 35 a second: one client id has --max-streams-per-client."),
    ([{"gapsRise": 1}], "warn", "Node a told streams of 1 gap in the last minute: events may be lost to them."),
    ([{"ready": False, "problem": "no feed from the broker"}], "bad", "Node a is not ready: no feed from the broker."),
    ([{"p99": 1.2}], "warn", "Events reach the streams of node a late: one in a hundred takes 1.2 s or longer, half of them 1 ms."),
    ([{}, {"gone": 40}], "bad", "Node b has been gone for 40 s, without having drained."),
    ([{"behind": 1200}], "warn", "30 % of the streams of node a are behind (1,200): their clients take events more slowly than they come."),
]


def functions(browser, admin, public):
    tab = Tab(browser).goto(admin + "/dashboard")
    for expression, expected in FUNCTIONS:
        value = tab.value(expression)
        assert value == expected or isinstance(expected, float) and abs(value - expected) < 1e-9, f"{expression}: {value}"
    for changes, level, headline in VERDICTS:
        nodes = [{**node(name), "name": name, "self": name == "a", "p50": 0.001, "p99": 0.003, **change}
                 for name, change in zip("abc", changes)]
        nodes = [{key: value for key, value in entry.items() if key != "p99" or entry["self"]} for entry in nodes]
        said = tab.value("nodes => verdict({ nodes }, examine({ nodes }))", nodes)
        assert (said["level"], said["headline"]) == (level, headline), said
        assert level == "fine" or len(said["lede"]) > 20, said
    contrast(tab)
    tab.close()


def contrast(tab):
    """All text can be read (WCAG 2 AA: 4.5 to 1), also on what is tinted."""
    style = tab.value("document.querySelector('style').textContent")
    for scheme in re.findall(r":root \{(.*?)\}", style, re.S)[:2]:
        color = dict(re.findall(r"--([\w-]+): (#\w+)", scheme))

        def light(name):
            digits = color[name][1:]
            channels = [int(digits[i:i + 2], 16) / 255 for i in (0, 2, 4)]
            return sum(weight * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4)
                       for weight, c in zip((0.2126, 0.7152, 0.0722), channels))

        for text, grounds in {"text": GROUNDS, "soft": GROUNDS, "bad": GROUNDS, "warn": GROUNDS, "fine": GROUNDS[:2], "accent": GROUNDS[:2]}.items():
            for ground in grounds:
                low, high = sorted((light(text), light(ground)))
                assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground, (high + 0.05) / (low + 0.05))


def deployment(browser, admin, public):
    """Three nodes as `/nodes` tells of them: well, then one silent and one out of descriptors, then not to be asked."""
    tab, answers = Tab(browser, viewport={"width": 360, "height": 740}), {}
    name = tab.page.request.get(admin + "/healthz").headers["sluice-node"]

    def answer(*nodes, status=200):
        answers.update(status=status, json={"nodes": nodes, "complete": True} if nodes else {"error": "unavailable", "message": ""})

    tab.route("**/nodes", lambda route: route.fulfill(**answers))
    answer(node(name), node("b"), node("c"))
    tab.goto(admin + "/dashboard")
    tab.wait(f"{HEADLINE}.startsWith('All three nodes are fine: 12,000 streams')")
    assert tab.value("[...document.querySelectorAll('#rows tr')].map(row => row.dataset.level)") == ["fine"] * 3
    answer(node(name), node("b", silent=12.3), node("c", descriptors=10_000))
    tab.wait(f"{HEADLINE} === 'Node b has not heard Redis for 12 s.'")
    assert tab.value(f"{ANNOUNCED}").startswith("Node b has not heard Redis for 12 s. Node c has 98 % of its descriptors")
    assert tab.value("[...document.querySelectorAll('#findings li')].map(item => item.dataset.key)") == ["descriptors"]
    levels = {row: tab.value(f"document.querySelector('[data-node={row}]').dataset.level") for row in "bc"}
    assert levels == {"b": "bad", "c": "bad"}, levels
    # What is said aloud does not change with every second.
    said = tab.value(ANNOUNCED)
    answer(node(name), node("b", silent=14.3), node("c", descriptors=10_000))
    tab.wait(f"{HEADLINE} === 'Node b has not heard Redis for 14 s.'")
    assert tab.value(ANNOUNCED) == said
    # Names come from other machines.
    answer(node(name), node("<img src=x onerror=problems.push(1)>", ready=False, problem="<b>x</b>"))
    tab.wait("document.getElementById('findings').textContent.includes('is not ready: <b>x</b>.')")
    assert tab.value("document.querySelectorAll('img, #findings b').length") == 0
    answer(status=503)
    tab.wait("document.getElementById('findings').textContent.includes('Other nodes can’t be asked')")
    answer(status=404)
    tab.wait("document.getElementById('findings').textContent.includes('/nodes was answered with 404')")
    assert tab.value("document.documentElement.scrollWidth") <= 360
    assert tab.value("document.querySelectorAll('[aria-live], [role=status], [role=alert], output').length") == 1
    assert tab.value("[...document.querySelectorAll('svg.chart')].every(chart => chart.getAttribute('aria-label').length > 20)")
    tab.close()


def away(browser, admin, public):
    """The node is stopped and goes on."""
    tab = Tab(browser).goto(admin + "/dashboard")
    tab.wait(f"{HEADLINE}.includes(' fine: ')")
    tab.wait("seen.samples.length > 2")
    print("fine", flush=True)
    tab.wait(f"{HEADLINE}.includes('has not answered this page for')")
    print("away", flush=True)
    tab.wait(f"{HEADLINE}.includes(' fine: ')")
    tab.page.click("#hold")
    asked = tab.value("asked")
    tab.page.wait_for_timeout(2500)
    assert tab.value("asked") == asked, "it asks although it was told to pause"
    tab.page.click("#hold")
    tab.wait(f"asked > {asked}")
    tab.close()


def phone(browser, admin, public):
    """The page to try the gateway with, on a phone."""
    tab = Tab(browser, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    tab.goto(public + "/?topic=news&type=price")
    tab.wait("document.getElementById('state').dataset.state === 'open'")
    for event, data in (("price", {"eur": 4, "of": [1]}), ("message", "hello")):
        tab.page.request.post(public + "/publish", data={"topic": "news", "event": event, "data": data})
    tab.wait("document.getElementById('count').textContent === '2'")
    top = "selector => document.querySelector(selector).getBoundingClientRect().top"
    assert tab.value(top, "#events") < tab.value(top, "#topic-form") and tab.value(top, "#events") < 370
    assert tab.value("document.documentElement.scrollWidth") <= 360
    assert tab.value("document.querySelector('#events summary').getBoundingClientRect().height") < 60
    small = tab.value("""[...document.querySelectorAll('button, input, textarea, summary, a, label:has(input)')]
        .filter(target => target.offsetParent && !target.closest('label:has(input) *'))
        .filter(target => target.getBoundingClientRect().height < 44).map(target => target.outerHTML.slice(0, 80))""")
    assert small == [], small
    # JSON on demand, with the space of a reader and the numbers of its writer.
    tab.page.click("#events li[data-type=price] summary")
    assert tab.page.text_content("#events li[data-type=price] pre") == '{\n  "eur": 4,\n  "of": [\n    1\n  ]\n}'
    assert tab.value("indented('{\"n\":12345678901234567890,\"e\":{},\"s\":\"{,}\"}')") == \
        '{\n  "n": 12345678901234567890,\n  "e": {},\n  "s": "{,}"\n}'
    # However deep it is nested, the text stays in proportion.
    assert tab.value("indented('['.repeat(5000) + ']'.repeat(5000)).length") < 5000 * 2 * 42
    tab.page.fill("#filter", "HELLO")
    assert tab.value("shown().map(row => row.dataset.type)") == ["message"]
    tab.page.fill("#filter", "")
    tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.page.click("#copy")
    tab.wait("document.getElementById('copy').textContent === 'Copied'")
    lines = [json.loads(line) for line in tab.value("navigator.clipboard.readText()").splitlines()]
    assert [(line["event"], line["data"]) for line in lines] == [("price", '{"eur":4,"of":[1]}'), ("message", "hello")], lines
    assert tab.page.get_attribute("#dashboard", "href") == admin + "/dashboard"
    tab.close()
    # By another name it may be somebody else's browser, who has no way to the operator's listener.
    tab = Tab(browser).goto(public.replace("127.0.0.1", "gateway.test") + "/")
    tab.wait("document.getElementById('state').dataset.state === 'open'")
    assert not tab.page.is_visible("#dashboard")
    tab.close()


def main():
    scenario, admin, public = sys.argv[1:]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--host-resolver-rules=MAP gateway.test 127.0.0.1"])
        try:
            {"functions": functions, "deployment": deployment, "away": away, "phone": phone}[scenario](browser, admin, public)
        finally:
            browser.close()


main()
