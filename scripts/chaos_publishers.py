# SPDX-License-Identifier: Apache-2.0
"""Publishers that know of each event whether it was acknowledged, refused, or may be either."""
import asyncio
import collections
import json
import time

HOST = "127.0.0.1"
MAXLEN = 20000  # the log covers every outage


class Event:
    """One attempt to publish. Its payload begins with `<topic>:<n>`, so that no two are alike."""
    __slots__ = ("topic", "n", "sent", "is_refused", "id", "is_kept", "heard")

    def __init__(self, topic, n):
        self.topic, self.n, self.sent, self.is_refused = topic, n, time.time(), False
        self.id, self.is_kept, self.heard = 0, False, False  # what logs and subscribers say afterwards


class Ledger:
    """All attempts of all topics. Attempts to publish the same are a group, and share an idempotency token: at most one
    of them happens, unless the token was lost with its data set."""

    def __init__(self, topics):
        self.events = {topic: [] for topic in topics}
        # Of each topic: the id that was acknowledged, and the group's first and last attempt.
        self.acknowledged = {topic: [] for topic in topics}

    def attempt(self, topic):
        events = self.events[topic]
        events.append(Event(topic, len(events) + 1))
        return events[-1]

    def newest(self, topic):
        """Who has one of the last group has all that is in the log before it."""
        return self.acknowledged[topic][-1][1] if self.acknowledged[topic] else 0

    @property
    def count(self):
        return sum(map(len, self.acknowledged.values()))


class Publisher:
    """Publishes to its topics in turn, each event again and again until it is acknowledged: the token makes the next
    attempt harmless. Never two of one topic under way, so that n is the order of ids."""

    def __init__(self, topics, rate, route, redis, ledger, padding=b"", maxlen=MAXLEN):
        self.topics, self.rate, self.route, self.redis, self.ledger = topics, rate, route, redis, ledger
        self.padding, self.maxlen, self.is_stopped, self.counts = padding, maxlen, False, collections.Counter()

    async def run(self):
        began, sent = time.monotonic(), 0
        while not self.is_stopped:
            due = min(int((time.monotonic() - began) * self.rate) - sent, len(self.topics))
            await self.publish([self.topics[(sent + i) % len(self.topics)] for i in range(due)])
            sent += max(due, 0)
            await asyncio.sleep(0.02)
        await self.publish(self.topics)  # so that each has a last one that nothing befell

    async def publish(self, topics):
        firsts = {}
        while topics:
            events = [self.ledger.attempt(topic) for topic in topics]
            for event in events:
                firsts.setdefault(event.topic, event.n)
            replies = await self.route.publish([
                (event.topic, self.redis.words(event.topic, f"{event.topic}:{event.n}".encode() + self.padding,
                                               f"{event.topic}:{firsts[event.topic]}", self.maxlen))
                for event in events])
            for event, reply in zip(events, replies):
                self.note(event, firsts[event.topic], reply)
            topics = [event.topic for event, reply in zip(events, replies) if not isinstance(reply, list)]
            if topics:
                await asyncio.sleep(0.05)

    def note(self, event, first, reply):
        if isinstance(reply, list):
            self.ledger.acknowledged[event.topic].append((reply[0], first, event.n))
        elif reply is None:
            self.counts["publishes without an answer"] += 1
        else:
            event.is_refused = True
            self.counts["publishes refused"] += 1
            self.counts[f"refused: {' '.join(str(reply).split()[:1])}"] += 1


class GatewayRoute:
    """The way over HTTP: whoever publishes so needs no Redis, and does not know what kind there is."""

    def __init__(self, port):
        self.port = port

    async def publish(self, commands):
        body = b"".join(self.line(topic, words) for topic, words in commands)
        try:
            async with asyncio.timeout(10):
                reader, writer = await asyncio.open_connection(HOST, self.port)
                writer.write((f"POST /publish HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/x-ndjson\r\n"
                              f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body)
                head, _, answer = (await reader.read()).partition(b"\r\n\r\n")
                writer.close()
        except (OSError, asyncio.TimeoutError):
            return [None] * len(commands)
        if b" 200 " not in head.partition(b"\r\n")[0]:
            return [None] * len(commands)
        lines = [line for line in self.unchunked(head, answer).splitlines() if line.startswith(b"{")]
        return [self.reply(line) for line in lines[:len(commands)]] + [None] * (len(commands) - len(lines))

    @staticmethod
    def line(topic, words):
        """The same event as a line of NDJSON."""
        options = dict(zip(words[-6::2], words[-5::2]))
        return json.dumps({"topic": topic, "data": words[-7].decode(), "once": options["once"],
                           "maxlen": options["maxlen"], "ttl": options["ttl"]}).encode() + b"\n"

    @staticmethod
    def unchunked(head, answer):
        if b"transfer-encoding: chunked" not in head.lower():
            return answer
        text = b""
        while answer:
            size, _, answer = answer.partition(b"\r\n")
            length = int(size.split(b";")[0] or b"0", 16)
            text, answer = text + answer[:length], answer[length + 2:]
        return text

    @staticmethod
    def reply(line):
        """[id, nodes]; an error may have come after the write, so it tells nothing."""
        try:
            result = json.loads(line).get("results", [{}])[0]
            return [result["id"], result["nodes"]]
        except (ValueError, KeyError, IndexError):
            return None
