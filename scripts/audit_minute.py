# SPDX-License-Identifier: Apache-2.0
"""One party of scripts/audit --minute at its worst, beside honest streams. The attackers get of this machine what all others
leave (SCHED_IDLE), because what they make the node and Redis do is in question and not who takes more of the CPU."""
import contextlib
import itertools
import json
import multiprocessing
import os
import random
import selectors
import socket
import struct
import time

import siege_http2 as http2
from audit_lab import C_LIBRARY, HOST, head, percentile, token

HONEST, ATTACKER = "127.0.0.2", "127.0.0.9"
STREAMS, RATE = 200, 50
QUIET_SECONDS = 15


def bearer(subscribe=(), publish=()):
    return "Authorization", "Bearer " + token(sub="worst", sluice={"subscribe": list(subscribe), "publish": list(publish)})


def connect(port, content=b"", buffer=None):
    """A connection of the attacker's address that has sent its content, as far as it went at once."""
    end = socket.socket()
    if buffer:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    end.settimeout(5)
    end.bind((ATTACKER, 0))
    end.connect((HOST, port))
    if content:
        end.sendall(content)
    return end


def swallow(end, seconds=0.0):
    """Reads what is there; false: it is over."""
    end.settimeout(seconds or 0.001)
    try:
        while part := end.recv(1 << 18):
            if not part:
                return False
        return False
    except (TimeoutError, BlockingIOError):
        return True


def answered(end, seconds=10):
    end.settimeout(seconds)
    return end.recv(1 << 18)


# ---- One anonymous address ----

def idle(port, _):
    """900 connections that come and go at once, half of them behind half a head."""
    ends = [connect(port, b"GET /events?topic=a HTTP/1.1\r\nHost: a\r\n" if n % 2 else b"") for n in range(900)]
    for end in ends:
        if random.random() < 0.5:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    for end in ends:
        end.close()


def garbage(port, _):
    """Random bytes, and what is nearly HTTP."""
    for _ in range(50):
        with connect(port, random.choice([random.randbytes(2000), b"GET " * 500, http2.PREFACE + random.randbytes(900),
                                          b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 500])) as end:
            swallow(end, 0.01)


def topics(port, _):
    """Streams of 100 new names each, which end as soon as they have begun."""
    ends = []
    for _ in range(20):
        names = "&".join(f"topic=x{random.randrange(1 << 40):x}" for _ in range(100))
        ends.append(connect(port, head("GET", f"/events?{names}", host="a")))
    for end in ends:
        swallow(end, 0.2)
        end.close()


def resets(port, _):
    """HTTP/2 requests that are reset as soon as they are sent."""
    with connect(port, http2.PREFACE + http2.settings()) as end:
        block = http2.get("/events?topic=a", "http", "a")
        for stream in range(1, 100_000, 200):
            end.sendall(b"".join(
                http2.frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, n, block) + http2.reset(n)
                for n in range(stream, stream + 200, 2)))
            if not swallow(end):
                return


def cookies(port, _):
    """HTTP/2 heads of 28 kB, 100 at a time."""
    with connect(port, http2.PREFACE + http2.settings() + http2.window_update(0, 1 << 28)) as end:
        block = http2.get("/healthz", "http", "a", *(("cookie", "a=" + "b" * 1000) for _ in range(28)))
        parts = [block[at:at + 16000] for at in range(0, len(block), 16000)]
        for stream in range(1, 2000, 2):
            end.sendall(http2.frame(http2.HEADERS, http2.END_STREAM, stream, parts[0]) + b"".join(
                http2.frame(http2.CONTINUATION, http2.END_HEADERS if part is parts[-1] else 0, stream, part)
                for part in parts[1:]))
            if stream % 200 == 1 and not swallow(end):
                return


def bodies(port, _):
    """Bodies of 8 MB of those who may not publish."""
    body = json.dumps({"topic": "a", "data": "x" * 8_000_000}).encode()
    with contextlib.suppress(OSError), connect(port, head("POST", "/publish", [("Content-Type", "application/json")], body, "a") + body) as end:
        swallow(end, 0.5)


def slowreplay(port, _):
    """Replays of large logs, which are read at a few kilobytes a second."""
    ends = [connect(port, head("GET", "/events?topic=large&last_event_id=earliest", host="a"), buffer=4096) for _ in range(50)]
    for _ in range(20):
        for end in ends:
            end.settimeout(0.01)
            with contextlib.suppress(OSError):
                end.recv(1024)
        time.sleep(0.1)
    for end in ends:
        end.close()


def pipeline(port, _):
    """A megabyte of requests that nobody waits for."""
    with connect(port) as end:
        end.sendall(head("GET", "/healthz", host="a") * 25_000)


# ---- One reader's token ----

def reader_topics(port, _):
    """Streams of 100 new names each, with a token."""
    rights = bearer(["*"])
    ends = []
    for _ in range(20):
        names = "&".join(f"topic=x{random.randrange(1 << 40):x}" for _ in range(100))
        ends.append(connect(port, head("GET", f"/events?{names}", [rights], host="a")))
    for end in ends:
        swallow(end, 0.2)
        end.close()


def reader_replays(port, _):
    """Whole logs, again and again, each over many topics."""
    names = "&".join(f"topic=log{n}" for n in range(100))
    ends = [connect(port, head("GET", f"/events?{names}&last_event_id=earliest", [bearer(["*"])], host="a")) for _ in range(10)]
    for _ in range(30):
        for end in ends:
            swallow(end)
    for end in ends:
        end.close()


def churn(port, _):
    """Streams that come and go as fast as they can."""
    rights = bearer(["*"])
    for _ in range(50):
        with connect(port, head("GET", "/events?topic=a&topic=b", [rights], host="a")) as end:
            answered(end)


# ---- One publisher's token ----

def publishes(port, bodies, kind="application/json"):
    with connect(port) as end:
        for body in bodies:
            end.sendall(head("POST", "/publish", [("Content-Type", kind), bearer(publish=["*"])], body, "a") + body)
            if b" 200 " not in answered(end)[:20]:
                time.sleep(0.05)


def lines(port, _):
    """Lines of 1,000 targets each."""
    names = [f"t{n}" for n in range(1000)]
    publishes(port, [json.dumps({"topics": names, "data": "x"}).encode() + b"\n"] * 20, "application/x-ndjson")


def escapes(port, _):
    """Data that is escapes only."""
    publishes(port, [b'{"topic":"a","data":"' + b"\\u0041" * 150_000 + b'"}'] * 20)


def many(port, _):
    """Ten thousand lines in one request."""
    publishes(port, [b"".join(b'{"topic":"t%d","data":"x"}\n' % n for n in range(10_000))] * 3, "application/x-ndjson")


def newlines(port, _):
    """A megabyte of line ends, on a topic with a listener."""
    with connect(port, head("GET", "/events?topic=a", [bearer(["*"])], host="a")) as listener:
        for _ in range(10):
            publishes(port, [json.dumps({"topic": "a", "data": "\n" * 150_000}).encode()])
            swallow(listener)


def once(port, _):
    """Each event with a token of its own that Redis keeps for minutes."""
    publishes(port, [b"".join(
        b'{"topic":"t%d","data":"x","once":"%x"}\n' % (n % 50, random.randrange(1 << 60)) for n in range(5000))] * 5,
        "application/x-ndjson")


# ---- One Redis user with PUBLISH on a single channel ----

def sent(client, payloads):
    pipe = client.pipeline(transaction=False)
    for payload in payloads:
        pipe.publish("sluice:topic:one", payload)
    pipe.execute()


def forged(_, client):
    """Envelopes with forged ids and predecessors."""
    now = int(time.time() * 1000)
    sent(client, [b"\x1e1 %d-%d %d-%d\n\nx" % (now + random.randrange(-5000, 100), n, now - random.randrange(9000), n)
                  for n in range(200)])


def large(_, client):
    """Events of a megabyte."""
    sent(client, [b"x" * 1_000_000] * 4)


PARTIES = {
    "anonymous": [idle, garbage, topics, resets, cookies, bodies, slowreplay, pipeline],
    "reader": [reader_topics, reader_replays, churn],
    "publisher": [lines, escapes, many, newlines, once],
    "redis": [forged],
    "redis-large": [large],
}
ATTACKS = {attack.__name__: attack for attack in itertools.chain(*PARTIES.values())}


def go_on(attack, port, login):
    """An attacker's process: goes on until it is ended."""
    C_LIBRARY.prctl(1, 9)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    client = __import__("redis").Redis(port=login, username="worst", password="p", socket_timeout=10)
    while True:
        with contextlib.suppress(OSError, __import__("redis").RedisError):
            attack(port, client)
            continue
        time.sleep(0.05)


class Honest:
    """Streams of another address, and how late each event came to each."""

    def __init__(self, lab, port, redis):
        self.selector, self.redis, self.sent, self.problems = selectors.DefaultSelector(), redis, 0, []
        for number in range(STREAMS):
            end = socket.socket()
            end.bind((HONEST, 0))
            end.connect((HOST, port))
            end.sendall(head("GET", "/events?topic=honest", [bearer(["*"])], host="a"))
            end.setblocking(False)
            self.selector.register(end, selectors.EVENT_READ, [b"", -1])

    def run(self, seconds):
        """Publishes at a steady rate; returns the delays in milliseconds."""
        delays, due, end = [], time.monotonic(), time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            if now >= due:
                due = max(due + 1 / RATE, now - 0.1)
                # The end of a burst may be published late; it is the event's own time that counts.
                self.redis.execute_command(
                    "FCALL", "sluice_publish", 1, "sluice:topic:honest", f"<{self.sent} {time.monotonic():.6f}>")
                self.sent += 1
            self.collect(delays, max(0, min(due, end) - time.monotonic()))
        last = time.monotonic() + 5
        while any(key.data[1] < self.sent - 1 for key in self.selector.get_map().values()) and time.monotonic() < last:
            self.collect(delays, 0.1)
        return delays

    def collect(self, delays, seconds):
        for key, _ in self.selector.select(seconds):
            part = b""
            with contextlib.suppress(OSError):
                part = key.fileobj.recv(1 << 16)
            if not part:
                self.problems.append("an honest stream ended")
                self.selector.unregister(key.fileobj)
                continue
            now, (rest, seen) = time.monotonic(), key.data
            *events, key.data[0] = (rest + part).split(b">")
            for event in events:
                if b"<" not in event:
                    continue
                number, began = event.rpartition(b"<")[2].split()
                if int(number) != seen + 1 and seen >= 0:
                    self.problems.append(f"event {int(number)} came after {seen}")
                key.data[1] = seen = int(number)
                delays.append((now - float(began)) * 1000)

    def check(self):
        missing = sum(key.data[1] < self.sent - 1 for key in self.selector.get_map().values())
        if missing:
            self.problems.append(f"{missing} streams lack the last event")
        return self.problems


def party(lab, name, seconds=60):
    """The p99 of honest deliveries beside a party, or one attack alone, and without."""
    redis = lab.redis()
    node = lab.guarded(
        redis, "--anonymous", "*", "--connection-rate", "500", "--max-streams-per-address", "1000", "--host", "a")
    for number in range(100):
        for _ in range(20):
            redis.client.execute_command("FCALL", "sluice_publish", 1, f"sluice:topic:log{number}", b"x" * 1000)
    for _ in range(200):
        redis.client.execute_command("FCALL", "sluice_publish", 1, "sluice:topic:large", b"x" * 50_000)
    redis.user("worst", "+publish", "+@connection", "&sluice:topic:one")
    honest = Honest(lab, node.port, redis.client)
    # The one that the Redis user may publish on has a listener, too.
    listener = connect(node.port, head("GET", "/events?topic=one", [bearer(["*"])], host="a"))
    honest.run(2)
    quiet = percentile(honest.run(QUIET_SECONDS), 0.99)
    before, redis_before = node.memory(), int(redis.client.info("memory")["used_memory"]) >> 20
    attackers = [multiprocessing.Process(target=go_on, args=(attack, node.port, redis.port), daemon=True)
                 for attack in PARTIES.get(name) or [ATTACKS[name]]]
    for attacker in attackers:
        attacker.start()
    listener.settimeout(None)
    swallower = multiprocessing.Process(target=lambda: all(iter(lambda: listener.recv(1 << 18), b"")), daemon=True)
    swallower.start()
    try:
        delays = honest.run(seconds)
    finally:
        for attacker in [*attackers, swallower]:
            attacker.kill()
    loud = percentile(delays, 0.99)
    lab.saw(f"{len(delays)} honest deliveries; p99 {quiet:.1f} ms before and {loud:.1f} ms during ({loud / quiet:.1f} x), "
            f"longest {max(delays, default=0):.0f} ms; node {before:.0f} -> {node.memory('VmHWM'):.0f} MiB at most, "
            f"Redis {redis_before} -> {int(redis.client.info('memory')['used_memory']) >> 20} MiB")
    for problem in honest.check()[:5]:
        lab.expect(False, problem)
    lab.expect(loud <= 3 * quiet, f"p99 is {loud / quiet:.1f} x the quiet one")
