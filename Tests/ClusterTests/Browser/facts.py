#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a browser's EventSource does, seen and not read: a scripted server on the one side, a real browser on the other.

usage: facts.py chromium|firefox|webkit [FACT]...
       facts.py list

Prints what was seen. Exits with 1 if something differs on which the gateway relies. Where engines differ it relies on
nothing: there a difference from what is written here is only shown. The paper is SluiceGateway.docc/Browsers.md.
"""

import contextlib
import queue
import sys

import engines
import trial

FACTS = []
ENGINES = ("chromium", "firefox", "webkit")
STREAM = "Content-Type: text/event-stream"
CORS = f"{STREAM}\r\nAccess-Control-Allow-Origin: *"
# The usual first answer.
ONE = "retry: 100\nid: 1\ndata: a\n\n"
BACK, GONE = "comes back", "ends for good"


class Fact(trial.Trial):
    """`expected` is what all engines do, or what each of ENGINES does."""

    def __init__(self, name, title, expected, ask):
        super().__init__(name.replace("_", "-"), ask)
        self.title, self.is_common = title, not isinstance(expected, list)
        self.expected = dict(zip(ENGINES, [expected] * 3 if self.is_common else expected))
        FACTS.append(self)


class Seconds(float):
    """A wait. As expected it is the least: that a busy machine is late is no other fact."""

    def __str__(self):
        return f"{self:.1f} s"


def fact(title, expected):
    return lambda ask: Fact(ask.__name__, title, expected, ask)


def each(expected, **titles):
    """Facts of a kind, whose function asks each of them by its name."""
    def register(ask):
        for name, title in titles.items():
            Fact(name, title, expected, lambda t, name=name: ask(t, name))
        return ask
    return register


def cursor(request):
    return request["Last-Event-ID"]


# ---- Ids ----


@fact("`id: 2` in a block without `data:`, after id 1: the reconnect's id", ["2", "1", "1"])
def id_without_data(t):
    t.open().next().stream(ONE + "id: 2\n\n")
    return cursor(t.next())


@fact("`id: 2` with an empty `data:` and a type of its own: the reconnect's id; what `onmessage` sees", "2; nothing")
def id_with_empty_data(t):
    t.open().next().stream(ONE + "event: checkpoint\nid: 2\ndata:\n\n")
    last = cursor(t.next())
    assert t.events() == [("message", "a", "1"), ("checkpoint", "", "2")], t.events()
    return last + "; nothing"


@fact("A stream that ends before any event, after id 1: the ids of its request and of the next", "1, 1")
def id_stays(t):
    t.open().next().stream(ONE)
    return f"{cursor(t.next().stream('retry: 100'))}, {cursor(t.next())}"


@fact("An event without `id:`, after id 1: its `lastEventId`", "1")
def id_is_inherited(t):
    t.open().next().stream(ONE + "data: b\n\n")
    return t.wait(lambda type, data, *_: data == "b")[2]


@fact("`id:` with a NUL and `data: b`, after id 1: `lastEventId` of b; the reconnect's id", ["1; 1", "b is lost; 1", "1; 1"])
def id_with_nul(t):
    t.open().next().stream(ONE + "id: 2\0x\ndata: b\n\n")
    seen = [id for _, data, id in t.events() if data == "b"]
    return f"{seen[0] if seen else 'b is lost'}; {cursor(t.next())}"


@fact("An empty `id:` with data, after id 1: the reconnect's id", "none")
def id_empty(t):
    t.open().next().stream(ONE + "id:\ndata: b\n\n")
    return cursor(t.next())


@fact("A block with id 2 that the end of the stream cuts off, after id 1: events; the reconnect's id", "1; 1")
def block_cut_off(t):
    t.open().next().stream(ONE + "id: 2\ndata: b\n")
    return f"{len(t.events())}; {cursor(t.next())}"


@fact("An id of 128 characters with `-`, `~` and `_`: comes back as it was", "yes")
def id_long(t):
    id = "1763720001234-55~" + "aZ09-_" * 18 + "abc"
    t.open().next().stream(f"retry: 100\nid: {id}\ndata: a\n\n")
    return "yes" if len(id) == 128 and cursor(t.next()) == id else "no"


@fact("Opened with `?last_event_id=earliest`: the reconnect's query; its header", "the same; 1")
def url_of_reconnect(t):
    t.open("watch(new EventSource('/events?last_event_id=earliest'));").next().stream(ONE)
    request = t.next()
    return f"{'the same' if request.target == '/events?last_event_id=earliest' else request.target}; {cursor(request)}"


# ---- Opening ----


@fact("`open` fires", ["with the head", "with the first byte of the body", "with the head"])
def open_fires(t):
    request = t.open().next().head()
    early = t.wait(lambda type, *_: type == "open", 1.5)
    request.chunk(":\n")
    assert t.wait(lambda type, *_: type == "open"), "never"
    return "with the head" if early else "with the first byte of the body"


@fact("`open` fires after `retry: 100`, `:` and no blank line", "yes")
def open_with_prelude(t):
    request = t.open().next().head().chunk("retry: 100\n:\n")
    return "yes" if t.wait(lambda type, *_: type == "open") and request else "no"


@fact("`Accept`, `Cache-Control` of the request", "text/event-stream, no-cache")
def request_headers(t):
    request = t.open().next()
    return f"{request['Accept']}, {request['Cache-Control']}"


@fact("`Origin`, `Sec-Fetch-Site` of a request to the page's own origin", "none, same-origin")
def request_origin(t):
    request = t.open().next()
    return f"{request['Origin']}, {request['Sec-Fetch-Site']}"


@fact("EventSources that are open at a time, of eight to one host over HTTP/1.1", "6")
def streams_of_one_host(t):
    t.open("for (let n = 0; n < 8; n++) watch(new EventSource('/events?' + n));")
    opened = []
    with contextlib.suppress(queue.Empty):
        while True:
            opened.append(t.next(2 if len(opened) > 5 else trial.SECONDS).head().chunk(":\n"))
    return str(len(opened))


@fact("`close()`: the server sees the connection's end", "yes")
def close_is_seen(t):
    t.open("const source = watch(new EventSource('/events')); source.onmessage = () => source.close();")
    request = t.next().head().chunk("data: a\n\n")
    request.connection.settimeout(trial.SECONDS)
    with contextlib.suppress(ConnectionResetError):
        return "yes" if request.connection.recv(1) == b"" else "no"
    return "yes"


# ---- Coming back ----


def wait_after(text):
    def ask(t):
        ended = t.open().next().stream(text).ended
        return Seconds(t.next().time - ended)
    return ask


Fact("wait-default", "The wait after a clean end when `retry:` was never sent",
     [Seconds(3), Seconds(5), Seconds(3)], wait_after(":\n"))
Fact("wait-retry", "… after `retry: 1000` without a blank line", Seconds(1), wait_after("retry: 1000\n:\n"))
Fact("wait-retry-short", "… after `retry: 10`", [Seconds(0.01), Seconds(0.5), Seconds(0.01)], wait_after("retry: 10\n"))
Fact("wait-retry-empty", "… after `retry: 1000` and an empty `retry:`",
     [Seconds(3), Seconds(0.5), Seconds(3)], wait_after("retry: 1000\nretry:\n"))
Fact("wait-retry-junk", "… after `retry: 1000` and `retry: 10x`", Seconds(1), wait_after("retry: 1000\nretry: 10x\n"))


@fact("… when only an earlier stream had sent `retry: 1000`", Seconds(1))
def wait_is_kept(t):
    t.open().next().stream("retry: 1000\n")
    ended = t.next().stream(":\n").ended
    return Seconds(t.next().time - ended)


@fact("… after the fifth lost connection in a row, with `retry: 600`", Seconds(0.6))
def wait_does_not_grow(t):
    t.open().next().stream("retry: 600\n")
    for _ in range(5):
        ended = t.next().head().chunk(":\n").reset().ended
    return Seconds(t.next().time - ended)


def after(name, title, expected, answer, first=False):
    """The fate of an EventSource after this answer, which by default is the second."""
    def ask(t):
        t.open()
        if not first:
            t.next().stream("retry: 100\n")
        answer(t.next())
        fate = t.fate(1 if first else 2)
        if fate == BACK:
            t.next()
        return fate
    Fact(name, title, expected, ask)


after("loss-cut", "A chunked stream that is cut without its last chunk", BACK,
      lambda request: request.head().chunk(":\n").close())
after("loss-reset", "A stream whose connection is reset", BACK, lambda request: request.head().chunk(":\n").reset())
after("loss-in-head", "A connection that is closed in the middle of the answer's head", [GONE, GONE, BACK],
      lambda request: request.send("HTTP/1.1 200 OK\r\nContent-Ty").close())
after("loss-not-http", "An answer that is not HTTP", [BACK, GONE, BACK],
      lambda request: request.send("\x05\x00\x00nonsense\r\n\r\n").close())
after("shed", "A stream of nothing but `retry:`, with which a node turns a client away", BACK,
      lambda request: request.stream("retry: 100\n:\n"))


@fact("Nobody listens at the port", BACK)
def loss_refused(t):
    t.open().next().stream("retry: 100\n")
    request = t.next()
    t.listener.shutdown(2)
    t.listener.close()
    request.reset()
    fate = t.fate(3)  # the second was the reset, the third is a refused connection
    t.listen(t.port)
    return fate if t.next() else "never"


@each(["1; comes back", "10; comes back", "1; comes back"],
      loss_unanswered="A connection that is closed before any byte of an answer: requests at once, until the page is told; then",
      loss_unanswered_reset="… that is reset")
def loss_unanswered(t, name):
    lose = lambda request: request.reset() if name.endswith("reset") else request.close()
    t.open().next().stream("retry: 3000\n")
    lose(t.next())
    count = 1
    while len(t.errors()) < 2:
        with contextlib.suppress(queue.Empty):
            lose(t.next(0.1))
            count += 1
    return f"{count}; {t.fate(2)}"


@fact("A name that does not resolve", [BACK, GONE, BACK])
def loss_of_name(t):
    # The label is too long: no server is asked.
    return t.open(f"watch(new EventSource('http://{'a' * 64}.invalid/events'));").fate()


@fact("A certificate that nobody knows", [BACK, GONE, BACK])
def loss_of_trust(t):
    return t.open(f"watch(new EventSource('{t.elsewhere.replace('http', 'https')}/events'));").fate()


# ---- Ending for good ----

for status in (204, 205, 400, 401, 403, 404, 410, 429, 500, 502, 503, 504):
    after(f"end-{status}", f"A reconnect that is answered with {status}", GONE,
          lambda request, status=status: request.status(status))
after("end-first-503", "A first request that is answered with 503 and `Retry-After: 1`", GONE,
      lambda request: request.status(503, "Retry-After: 1"), first=True)
after("end-503-stream", "A reconnect that is answered with 503 and `text/event-stream`", GONE,
      lambda request: request.status(503, STREAM))
after("end-html", "… with 200 and `text/html`", GONE, lambda request: request.stream("<p>Sign in", "Content-Type: text/html"))
after("end-no-type", "… with 200 and no `Content-Type`", GONE, lambda request: request.stream("data: a\n\n", "X-Nothing: 0"))
after("end-utf8", "… with `text/event-stream; charset=utf-8`", BACK,
      lambda request: request.stream(":\n", f"{STREAM}; charset=utf-8"))
after("end-latin1", "… with `text/event-stream; charset=iso-8859-1`", [GONE, BACK, BACK],
      lambda request: request.stream(":\n", f"{STREAM}; charset=iso-8859-1"))


@each(["/moved", "/moved", "/events"], redirect_301="301 to `/moved`: what the reconnect asks for", redirect_308="308 …")
@each(["/moved", "/events", "/events"], redirect_302="302 …", redirect_307="307 …")
def redirect(t, name):
    t.open().next().status(int(name[-3:]), "Location: /moved")
    moved = t.next().stream(ONE)
    assert moved.target == "/moved", moved.target
    back = t.next()
    assert cursor(back) == "1", cursor(back)
    return back.target


# ---- Other origins ----


def elsewhere(t, options=""):
    return t.open(f"watch(new EventSource('{t.elsewhere}/events'{options}));").next()


@fact("A page elsewhere: method of the reconnect (is there a preflight for `Last-Event-ID`?), `Origin`, id", "GET, the page's, 1")
def cross_origin(t):
    elsewhere(t).stream(ONE, CORS)
    request = t.next()
    origin = "the page's" if request["Origin"] == t.url else request["Origin"]
    return f"{request.method}, {origin}, {cursor(request)}"


@fact("… with an id that CORS does not count as safe (`a:b`): method of the reconnect", "GET")
def cross_origin_unsafe_id(t):
    elsewhere(t).stream("retry: 100\nid: a:b\ndata: a\n\n", CORS)
    return t.next().method


@fact("… and no `Access-Control-Allow-Origin`", GONE)
def cross_origin_refused(t):
    elsewhere(t).stream(":\n")
    return t.fate()


@fact("… and none in the answer to the reconnect", GONE)
def cross_origin_refused_later(t):
    elsewhere(t).stream("retry: 100\n", CORS)
    t.next().stream(":\n")
    return t.fate(2)


@fact("… without `withCredentials`: cookie", "none")
def cross_origin_cookie(t):
    return elsewhere(t)["Cookie"]


@each(GONE, credentials_asterisk="`withCredentials`, and `Access-Control-Allow-Origin: *`",
      credentials_not_allowed="`withCredentials`, and no `Access-Control-Allow-Credentials`")
def credentials_refused(t, name):
    allowed = CORS + "\r\nAccess-Control-Allow-Credentials: true" if "asterisk" in name else CORS.replace("*", t.url)
    elsewhere(t, ", { withCredentials: true }").stream(":\n", allowed)
    return t.fate()


@fact("`withCredentials`, the page's origin and `Access-Control-Allow-Credentials: true`: cookie; then", "sluice=1; comes back")
def credentials(t):
    request = elsewhere(t, ", { withCredentials: true }")
    request.stream("retry: 100\n", CORS.replace("*", t.url) + "\r\nAccess-Control-Allow-Credentials: true")
    return f"{request['Cookie']}; {t.fate()}"


# ---- Events ----


@fact("Data with line breaks, a space in front, an empty last line, U+2028, U+0085 and a tab: arrives as it was", "yes")
def data_as_it_was(t):
    payload = " a\n\n b\u2028c\u0085d\te\n"
    t.open().next().stream("".join(f"data: {line}\n" for line in payload.split("\n")) + "\n")
    return "yes" if t.events() == [("message", payload, "")] else repr(t.events())


@fact("Comments with blank lines after them: events", "0")
def comments(t):
    t.open().next().stream(":\n\n:\n:x\n\nretry: 100\n\n")
    return str(len(t.events()))


@fact("`event: error` with data: `onerror` is called, and `readyState` is", "1")
def type_error(t):
    request = t.open().next().head().chunk("event: error\ndata: a\n\n")
    _, data, _, state = t.wait(lambda type, *_: type == "error")
    return str(state) if data == "a" and request else "none"


@fact("Bytes that are not UTF-8: become U+FFFD, and the stream goes on", "yes")
def not_utf8(t):
    t.open().next().stream(b"data: a\xff\xfeb\n\ndata: c\n\n")
    return "yes" if [data for _, data, _ in t.events()] == ["a\ufffd\ufffdb", "c"] else repr(t.events())


def agrees(expected, seen):
    if isinstance(expected, Seconds) and isinstance(seen, Seconds):
        return seen >= expected - 0.02  # a clock that ticks in milliseconds rounds
    return seen == expected


def main():
    engine, names = sys.argv[1], sys.argv[2:]
    if engine == "list":
        return print("\n".join(fact.name for fact in FACTS))
    facts = [fact for fact in FACTS if not names or fact.name in names]
    assert len(facts) == (len(names) or len(FACTS)), "no such fact"
    with engines.start(engine) as browser:
        trial.run(browser, facts)
        version = browser.version
    wrong = []
    print(f"{engine} {version}")
    for fact in facts:
        # Who has given up does not knock again, in all the time that the others took.
        if fact.seen == GONE and not fact.requests.empty():
            fact.seen = "ended, and came back"
        expected, note = fact.expected[engine], ""
        if not agrees(expected, fact.seen):
            note = f"   EXPECTED {expected}" + ("" if fact.is_common else " (engines differ: nothing relies on it)")
            wrong += [fact.name] if fact.is_common or str(fact.seen).startswith("failed") else []
        print(f"{fact.name}\t{fact.title}\t{fact.seen}{note}")
    sys.exit(f"wrong: {', '.join(wrong)}" if wrong else 0)


if __name__ == "__main__":
    main()
