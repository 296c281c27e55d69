# SPDX-License-Identifier: Apache-2.0
"""Attacks of scripts/audit by those who may publish a little: with a token for one topic, or as a user of Redis."""
import contextlib
import json
import socket
import threading
import time

import redis as redis_py
from audit_lab import HOST, MIB, ROOT, eventually, may, percentile

ATTACKS = """refused_bodies full_redis redis_is_full newlines long_sequence forged_predecessors pushed_clock names_of_keys
    repeated_publish""".split()


class Probe(threading.Thread):
    """A connection that asks for /healthz all the time: how long it waits is how long the loop is held up."""

    def __init__(self, port):
        super().__init__()
        self.port, self.waits, self.done = port, [], threading.Event()

    def __enter__(self):
        self.start()
        time.sleep(0.3)
        return self

    def __exit__(self, *_):
        self.done.set()
        self.join()

    def run(self):
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.port)) as connection:
            connection.settimeout(20)
            while not self.done.is_set():
                began = time.monotonic()
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
                connection.recv(4096)
                self.waits.append(time.monotonic() - began)
                time.sleep(0.005)


def refused_bodies(lab):
    """A body that is refused, or that may not publish what it holds, holds no loop up and takes no memory."""
    node = lab.guarded(None, "--threads", "1", "--publish-rate", "1")
    open_node = lab.node(None, "--threads", "1")
    narrow, size = may(publish=["x"]), 8 * MIB - 200

    def during(target, kind, body, headers):
        target_node = open_node if not headers else node
        target_node.forget_peak()
        before = target_node.memory()
        with Probe(target_node.port) as probe:
            code = target_node.request("POST", target, [("Content-Type", kind), *headers], body, 30)[0]
        return code, max(probe.waits, default=99), target_node.memory("VmHWM") - before
    bodies = {
        "one string": ("/publish", "application/json", b'{"topic":"x","data":"' + b"a" * size + b'"}'),
        "an array of numbers": ("/publish", "application/json", b'{"topic":"x","data":[' + b"0," * (size // 2) + b"0]}"),
        "millions of topics": ("/publish", "application/json", b'{"topics":[' + b'"",' * (size // 3) + b'""]}'),
        "deep": ("/publish", "application/json", b'{"topic":"x","data":' + b"[" * size),
        "escapes": ("/publish", "application/json", b'{"topic":"x","data":"' + b"\\u0041" * (size // 6) + b'"}'),
        "lines": ("/publish", "application/x-ndjson", b"a\n" * (size // 2)),
        "lines of many topics": ("/publish", "application/x-ndjson", (json.dumps({"topics": ["x"] * 1000, "data": "y"}) + "\n").encode() * 1400),
        "a form": ("/push", "application/x-www-form-urlencoded", b"a&" * (size // 2)),
    }
    _, quiet, _ = during(*bodies["one string"], [narrow])
    for name, (target, kind, body) in bodies.items():
        code, wait, grown = during(target, kind, body, [narrow])
        lab.saw(f"{name}: {code}, others waited {wait * 1e3:.0f} ms, +{grown:.0f} MiB")
        lab.expect(wait <= max(0.25, 4 * quiet), f"{name}: the loop is held up for {wait * 1e3:.0f} ms")
        lab.expect(grown <= 100, f"{name}: +{grown:.0f} MiB")
    many = b'{"topic":"x","data":"y"}\n' * 300_000
    code, wait, grown = during("/publish", "application/x-ndjson", many, [])
    lab.saw(f"open mode, 300,000 lines: {code}, others waited {wait * 1e3:.0f} ms, +{grown:.0f} MiB")
    lab.expect(wait <= max(0.25, 4 * quiet) and grown <= 150, "open mode takes any number of lines")


def full_redis(lab):
    """A narrow publisher's token doesn't fill Redis for days, nor make logs that outlive what the operator has set."""
    redis = lab.redis("--maxmemory", "200mb", "--maxmemory-policy", "noeviction")
    caps = ("--log-ttl", "10m", "--log-events", "50", "--max-log-ttl", "10m", "--max-log-events", "50")
    node = lab.guarded(redis, *caps)
    greedy, other = may(publish=["a*"]), may(publish=["b"])
    codes = []
    for number in range(6):
        message = {"topics": [f"a{number}.{n}" for n in range(1000)], "data": "x" * 60_000}
        codes.append(node.publish(message, greedy)[0])
    used = redis.client.info("memory")["used_memory"] / MIB
    code = node.publish({"topic": "b", "data": "x"}, other)
    lab.saw(f"six requests of 95 kB: {codes}, Redis holds {used:.0f} MiB; another's publish {code[0]}")
    lab.expect(code[0] == 200, f"another's publish: {code[2][:100]!r}")
    lab.expect(used < 120, f"six requests put {used:.0f} MiB into Redis")
    time.sleep(2)
    for asked in ({"ttl": 604_800}, {"maxlen": 1_000_000}, {"ttl": 600, "maxlen": 50}):
        for _ in range(300):
            code = node.publish({"topic": "a", "data": "x", **asked}, greedy)[0]
        life, length = redis.client.ttl("sluice:topic:a"), redis.client.xlen("sluice:topic:a")
        lab.saw(f"a log that asks for {asked}: {code}, {life} s, {length} of 300 events")
        lab.expect(life <= 600 and length < 300, "a publisher sets any life and length of a log")
    lab.expect(life > 0, "what is allowed is refused")


def redis_is_full(lab):
    """When Redis is full, what needs no memory goes on, and the log names the cause."""
    redis = lab.redis("--maxmemory-policy", "noeviction")
    node = lab.node(redis)
    redis.client.fcall("sluice_publish", 1, "sluice:topic:t", "before")
    stream = node.stream("/events?topic=t").opened()

    def feed():
        return next((one["id"] for one in redis.client.client_list() if int(one["sub"])), None)
    first, feeds = feed(), set()
    redis.client.config_set("maxmemory", "100kb")
    # Without events nothing but the tick, which needs memory, shows that the feed is alive.
    end, sent = time.monotonic() + 14, 4
    while time.monotonic() < end:
        feeds.add(feed())
        time.sleep(0.02)
    for number in range(1, sent + 1):
        redis.client.publish("sluice:topic:t", f"plain {number}.")
        time.sleep(0.5)
    stream.wait(b"plain %d." % sent, 3)
    arrived = stream.data.count(b"data: plain")
    lab.saw(f"{arrived} of {sent} plain events; {len(feeds - {None})} feeds; log: {node.log.splitlines()[-1:]}")
    lab.expect(feeds == {first}, "the feed was made anew")
    lab.expect(arrived == sent, "plain events were lost")
    lab.expect("OOM" in node.log or "maxmemory" in node.log, "the log does not say why")


def newlines(lab):
    """An event of newlines costs no more than one of text, for each byte."""
    redis = lab.redis()
    node = lab.node(redis, "--threads", "1", "--max-event", "2MiB")
    stream = node.stream("/events?topic=t&checkpoints=0")
    stream.wait(b"retry")
    done = threading.Event()

    def swallow():
        while not done.is_set():
            stream.read(0.1)
            stream.data = stream.data[-100:]
    reader = threading.Thread(target=swallow)
    reader.start()

    def cost(data):
        before, count = node.cpu(), node.metrics()["events_received_total"]
        for _ in range(12):
            redis.client.publish("sluice:topic:t", data)
        eventually(lambda: node.metrics()["events_received_total"] >= count + 12)
        time.sleep(0.3)
        return node.cpu() - before
    cost(b"warm" * 1000)
    text, lines, returns = cost(b"x" * MIB), cost(b"\n" * MIB), cost(b"\r\n" * (MIB // 2))
    done.set()
    reader.join()
    lab.saw(f"12 MiB of text {text:.2f} s of CPU, of newlines {lines:.2f}, of CR LF {returns:.2f}")
    # Each empty line becomes seven bytes, "data: " and its end.
    lab.expect(max(lines, returns) <= max(0.5, 8 * text), "newlines are dear")


def long_sequence(lab):
    """An id that the clock can't have given out does not stop the clock or the feed."""
    redis = lab.redis()
    node = lab.node(redis)
    stream = node.stream("/events?topic=t").opened()
    publisher = redis.user("pub", "+publish", "&sluice:topic:t")
    time.sleep(2.5)
    for sequence in (2**64 - 1, 10**19, 10**15, 10**18 + 1):
        publisher.publish("sluice:topic:t", b"\x1e1 %d-%d -\n\nforged" % (time.time() * 1000 + 1000, sequence))
    time.sleep(8)
    redis.client.publish("sluice:topic:t", "plain")
    behind = time.time() - redis.clock()
    lab.saw(f"8 s later the clock is {behind:.1f} s behind")
    lab.expect(behind < 5, "the clock stands")
    lab.expect(stream.wait(b"data: plain", 3), "a plain event does not arrive")
    lab.expect("brings nothing" not in node.log, "the feed was torn down")


def forged_predecessors(lab):
    """Predecessors that never were cost their own topic a repair now and then, and no other topic anything."""
    redis = lab.redis()
    node = lab.node(redis)
    target = node.stream("/events?topic=t").opened()
    redis.client.fcall("sluice_publish", 1, "sluice:topic:t", "first")
    honest = node.stream("/events?topic=honest").opened()
    publisher = redis.user("pub", "+publish", "&sluice:topic:t")
    time.sleep(2.5)
    before, base, number, sent, waits = node.metrics()["repairs_total"], int(time.time() * 1000), 0, 0, []
    end = time.monotonic() + 5
    while time.monotonic() < end:
        pipe = publisher.pipeline(transaction=False)
        for _ in range(100):
            number += 1
            pipe.publish("sluice:topic:t", b"\x1e1 %d-%d %d-%d\n\nforged" % (base, 2 * number + 2, base, 2 * number + 1))
        pipe.execute()
        sent += 1
        began = time.monotonic()
        redis.client.publish("sluice:topic:honest", f"event {sent}.")
        waits.append(time.monotonic() - began if honest.wait(b"event %d." % sent, 3) else 3)
    repairs, lines = node.metrics()["repairs_total"] - before, len(node.log.splitlines())
    lab.saw(f"{number} forged messages: {repairs:.0f} repairs, {lines} lines; {sent} events of another topic, p99 {percentile(waits, 0.99) * 1e3:.0f} ms")
    lab.expect(repairs <= 30, f"{repairs:.0f} repairs in 5 s")
    lab.expect(lines <= 30, f"{lines} lines of the log")
    lab.expect(max(waits) < 3, "another topic's events are lost")
    del target


def pushed_clock(lab):
    """Who may PUBLISH to one topic can't push the deployment's clock ahead."""
    redis = lab.redis()
    publisher = redis.user("pub", "+publish", "&sluice:topic:t")
    node = lab.node(redis)
    streams = [node.stream("/events?topic=t").opened(), node.stream("/events?topic=other").opened()]
    time.sleep(2.5)
    now = int(time.time() * 1000)
    for step in range(1, 5):
        publisher.publish("sluice:topic:t", b"\x1e1 %d-0 -\n\nforged" % (now + 55_000 * step))
        time.sleep(2.3)
    ahead = redis.clock() - time.time()
    event = redis.client.fcall("sluice_publish", 1, "sluice:topic:other", "real")[0].decode()
    lab.saw(f"after four forged events the clock is {ahead:.0f} s ahead")
    lab.expect(ahead <= 65, "the clock was pushed")
    lab.expect(int(event.split("-")[0]) / 1000 - time.time() <= 65, f"a real event has the id {event}")
    del streams


def names_of_keys(lab):
    """The users of Redis that deploy/users.acl makes learn nothing that they need not know."""
    lines = (ROOT / "deploy/users.acl").read_text().replace("NODE-PASSWORD", "n").replace("PUBLISHER-PASSWORD", "p")
    redis = lab.redis("--aclfile", lab.file("users.acl", lines.replace("sluice-admin off resetpass", "sluice-admin on >a")))
    node = lab.node(redis, login="sluice-node:n@")
    for user, password in (("sluice-publisher", "p"), ("sluice-admin", "a")):
        spy = redis_py.Redis(port=redis.port, username=user, password=password)
        for words in (["CLIENT", "TRACKING", "ON", "BCAST"], ["CLIENT", "LIST"], ["MONITOR"], ["KEYS", "*"], ["PUBSUB", "CHANNELS"], ["PSUBSCRIBE", "*"],
                      ["XRANGE", "sluice:topic:a", "-", "+"], ["SUBSCRIBE", "sluice:topic:a"], ["COMMAND"], ["ACL", "LIST"], ["INFO"]):
            try:
                answer = spy.execute_command(*words)
                lab.expect(False, f"{user}: {' '.join(words)}: {answer}")
            except redis_py.RedisError as error:
                lab.expect("permission" in str(error).lower(), f"{user}: {' '.join(words)}: {error}")
    lab.expect(node.publish({"topic": "a", "data": "x"})[0] == 200, "the node's user can't publish")
    lab.saw("11 commands of two users")


def repeated_publish(lab):
    """A publish to several targets of which one fails can be repeated as told, and then doubles nothing."""
    redis = lab.redis()
    node = lab.node(redis)
    redis.client.set("sluice:topic:b", "of another type")
    streams = [node.stream(f"/events?topic={name}").opened() for name in "ac"]
    codes = [node.publish({"topics": ["a", "b", "c"], "data": "once only", "once": "t1"}) for _ in range(2)]
    for stream in streams:
        stream.wait(b"once only", 2)
        stream.read(0.5)
        lab.expect(stream.data.count(b"once only") <= 1, "a repetition doubles")
    lab.saw(f"{[code[0] for code in codes]} {codes[0][2][-160:]!r}")
    lab.expect("503" not in str(codes[0][0]), "a fault that stays is called passing")
