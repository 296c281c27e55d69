#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pages like those that articles about Server-Sent Events show, in a real browser at a running cluster: they are
written for one server each, and work at this one as they are.

usage: articles.py chromium|firefox|webkit REDIS_URL BALANCER_URL [SECRET_FILE]

With a secret the cluster asks for tokens, and what is tried is the page that brings one in its query.
"""

import pathlib
import sys
import time

import redis

import engines
from front import Front
from gateway import Gateway

LIST = """<!doctype html><meta charset="utf-8"><title>%(url)s</title><h1>Messages</h1><ul id="list"></ul><script>
  var source = new EventSource('%(url)s');
  source.onopen = function () { document.title = 'open'; };
  source.onmessage = function (event) {
    var item = document.createElement('li');
    item.textContent = event.data;
    document.getElementById('list').appendChild(item);
  };
</script>"""

# A question, and an answer that comes in steps until it says that it is done.
STEPS = """<!doctype html><meta charset="utf-8"><button id="ask">Ask</button><ol id="list"></ol><p id="status"></p><script>
  document.getElementById('ask').onclick = function () {
    var source = new EventSource('/sse');
    source.onopen = function () { document.title = 'open'; };
    source.onmessage = function (event) {
      if (event.data === '[DONE]') {
        source.close();
        document.getElementById('status').textContent = 'done';
        return;
      }
      var item = document.createElement('li');
      item.textContent = JSON.parse(event.data).step;
      document.getElementById('list').appendChild(item);
    };
  };
</script>"""

# The client is in the page's own address, as the user's name is in a chat.
CLIENT = """<!doctype html><meta charset="utf-8"><ul id="list"></ul><script>
  var client = new URLSearchParams(location.search).get('client_id');
  var source = new EventSource('/sse?client_id=' + encodeURIComponent(client));
  source.onopen = function () { document.title = 'open'; };
  source.onmessage = function (event) {
    document.getElementById('list').insertAdjacentHTML('beforeend', '<li></li>');
    document.getElementById('list').lastChild.textContent = event.data;
  };
</script>"""

SOCIAL = """<!doctype html><meta charset="utf-8"><p>Likes: <b id="likes">0</b>, slide <b id="slide">1</b></p>
<ul id="list"></ul><p id="notice"></p><script>
  var query = new URLSearchParams(location.search);
  var source = new EventSource('/stream?user_id=' + query.get('user_id') + '&token=' + query.get('token'));
  window.ids = [];
  source.onopen = function () { document.title = 'open'; };
  source.onerror = function () { document.title = source.readyState === 2 ? 'closed' : 'reconnecting'; };
  function on(type, show) {
    source.addEventListener(type, function (event) { ids.push(event.lastEventId); show(JSON.parse(event.data)); });
  }
  on('add', function (data) {
    var item = document.createElement('li');
    item.textContent = data.author + ': ' + data.text;
    document.getElementById('list').appendChild(item);
  });
  on('like', function (data) { document.getElementById('likes').textContent = data.count; });
  on('slide', function (data) { document.getElementById('slide').textContent = data.number; });
  on('notice', function (data) { document.getElementById('notice').textContent = data.text; });
</script>"""

PAGES = {"/flask": LIST % {"url": "/events"}, "/go": LIST % {"url": "/events/"}, "/channel": LIST % {"url": "/events?channel=news"},
         "/broadcast": LIST % {"url": "/sse"}, "/steps": STEPS, "/client": CLIENT, "/social": SOCIAL}
SHOWN = "[...document.querySelectorAll('#list li')].map(item => item.textContent)"


def opened(browser, url):
    page = browser.page(url)
    page.wait("document.title === 'open'")
    return page


def expect(page, items):
    page.wait(f"document.querySelectorAll('#list li').length >= {len(items)}")
    assert page.value(SHOWN) == items, (page.value(SHOWN), items)


def check_broadcast(browser, front, gateway, server):
    """`new EventSource('/events')` of Flask and Go, `/sse` of a service for everybody: all hear what is for all."""
    flask, go, service = (opened(browser, front.url + path) for path in ("/flask", "/go", "/broadcast"))
    news = opened(browser, front.url + "/channel")
    # The articles' backends do nothing but PUBLISH; ours may also keep what it publishes.
    server.publish("sluice:all", "hello, <b>everybody</b>")
    for number in (1, 2):
        gateway.publish(all=True, data=f"message {number}")
    gateway.publish(topic="news", data="for the channel")
    everybody = ["hello, <b>everybody</b>", "message 1", "message 2"]
    for page in (flask, go, service):
        expect(page, everybody)
    expect(news, everybody + ["for the channel"])
    assert flask.value(SHOWN) == everybody, flask.value(SHOWN)


def check_steps(browser, front, gateway):
    page = browser.page(front.url + "/steps")
    page.click("#ask")
    page.wait("document.title === 'open'")
    steps = ["reading", "thinking", "writing"]
    for step in steps:
        gateway.publish(all=True, data={"step": step})
    gateway.publish(all=True, data="[DONE]")
    page.wait("document.getElementById('status').textContent === 'done'")
    expect(page, steps)
    gateway.publish(all=True, data={"step": "too late"})
    time.sleep(1)  # longer than any `retry` of this test
    assert page.value(SHOWN) == steps and len(front.asked("/sse")) == 1, front.requests


def check_push(browser, front):
    """Of two tabs only the one that is named shows what a third pushes."""
    first, second = (opened(browser, f"{front.url}/client?client_id={name}") for name in ("A", "B"))
    third = browser.page(front.url + "/push?client_id=A&message=Hello+0")
    assert third.text().strip() == "success", third.text()
    third.goto(front.url + "/push?client_id=B&message=for%20B")
    third.goto(front.url + "/push?client_id=A&message=Hello+1")
    expect(first, ["Hello 0", "Hello 1"])
    expect(second, ["for B"])
    # The same by a form, which an article's script sends.
    third.run("""async () => {
        const body = new URLSearchParams({ client_id: 'B', message: 'ümlaut' });
        return (await fetch('/push', { method: 'POST', body })).text();
    }""")
    expect(second, ["for B", "ümlaut"])
    expect(first, ["Hello 0", "Hello 1"])


def check_social(browser, front, gateway):
    """Events of four types with ids, a token in the query; and nothing is lost while the connection is away."""
    token = gateway.token(sub="7")
    page = opened(browser, f"{front.url}/social?user_id=7&token={token}")

    def publish(event, **data):
        gateway.publish(client="7", event=event, data=data)

    publish("add", author="Ann", text="<i>first</i>")
    publish("like", count=1)
    publish("slide", number=2)
    expect(page, ["Ann: <i>first</i>"])
    page.wait("document.getElementById('slide').textContent === '2'")
    front.cut()
    page.wait("document.title === 'reconnecting'")
    publish("add", author="Bob", text="while you were away")
    publish("like", count=2)
    publish("notice", text="Welcome back")
    page.wait("document.title === 'open' && document.getElementById('notice').textContent === 'Welcome back'")
    expect(page, ["Ann: <i>first</i>", "Bob: while you were away"])
    assert page.value("document.getElementById('likes').textContent") == "2"
    ids = page.value("ids")
    assert len(ids) == 6 and ids == sorted(set(ids)), ids
    first, second = front.asked("/stream")
    assert second.target == first.target == f"/stream?user_id=7&token={token}", second
    assert first.last_event_id is None and second.last_event_id == ids[2], (second, ids)
    # Another user's stream this token is not for: the browser gives up.
    stranger = browser.page(f"{front.url}/social?user_id=8&token={token}")
    stranger.wait("document.title === 'closed'")
    assert front.asked("/stream")[-1].status == 403, front.requests


def main():
    engine, redis_url, balancer, *secret = sys.argv[1:]
    gateway = Gateway(balancer, pathlib.Path(secret[0]).read_bytes() if secret else None)
    with engines.start(engine) as browser:
        # An origin for each, because a browser opens six connections to one.
        if secret:
            check_social(browser, Front(balancer, PAGES), gateway)
        else:
            check_broadcast(browser, Front(balancer, PAGES), gateway, redis.Redis.from_url(redis_url))
            check_steps(browser, Front(balancer, PAGES), gateway)
            check_push(browser, Front(balancer, PAGES))


main()
