#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One attacker of scripts/siege, in a process of its own: goes on until SIGTERM, then prints what it did as JSON.
Every attack keeps to a rate, because the node's behaviour is in question and not who takes more of the CPU.

usage: siege_attacks.py ATTACK JSON
"""
import asyncio
import base64
import collections
import contextlib
import hashlib
import hmac
import json
import logging
import os
import random
import resource
import signal
import socket
import ssl
import struct
import sys
import time

import siege_http2 as http2

HOST = "127.0.0.1"
ADDRESSES = [f"127.0.0.{last}" for last in range(2, 9)]
# From one address, as it is the limit of one address that is in question.
CROWD_ADDRESS = "127.0.0.9"
FAILURES = (OSError, EOFError, asyncio.TimeoutError, asyncio.LimitOverrunError, ssl.SSLError)


def mint(secret, algorithm="HS256", **claims):
    def part(value):
        text = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(text).rstrip(b"=").decode()
    signed = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims)}"
    signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{part(signature) if algorithm != 'none' else ''}"


def client_context():
    """Takes any certificate: it is not the node that has to be proven here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def command(*words):
    """A command in RESP."""
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


async def paced(rate):
    """Comes `rate` times a second; what could not be done in time is not made up for."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        due = max(due + 1 / rate, loop.time() - 0.1)
        await asyncio.sleep(max(0, due - loop.time()))
        yield


class Link:
    """A connection of an attacker, to be used in `async with`."""

    def __init__(self, attack, is_tls=False, source=None, buffer=None, protocols=None):
        self.attack, self.is_tls, self.buffer, self.protocols = attack, is_tls, buffer, protocols
        self.source, self.swallower = source or attack.dice.choice(ADDRESSES), None

    async def __aenter__(self):
        attack, end = self.attack, socket.socket()
        try:
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: the port is found at connect
            if self.buffer:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.buffer)
            end.bind((self.source, 0))
            port = attack.ports["tls" if self.is_tls else "plain"]
            async with asyncio.timeout(10):
                await asyncio.get_running_loop().sock_connect(end, (HOST, port))
                context = None
                if self.is_tls and self.protocols is not False:
                    context = client_context()
                    context.set_alpn_protocols(self.protocols or ["http/1.1"])
                self.reader, self.writer = await asyncio.open_connection(
                    sock=end, ssl=context, server_hostname="localhost" if context else None)
        except BaseException as error:
            end.close()
            if isinstance(error, FAILURES):
                attack.counts[f"not connected: {type(error).__name__}"] += 1
            raise
        attack.counts["connections"] += 1
        return self

    async def __aexit__(self, *error):
        if self.swallower:
            self.swallower.cancel()
        self.writer.transport.abort()

    def send(self, bytes):
        self.writer.write(bytes)

    @property
    def is_ended(self):
        swallowed = self.swallower and self.swallower.done()
        return swallowed or self.reader.at_eof() or self.writer.transport.is_closing()

    async def head(self, seconds=15):
        """The status of the answer; 0: it was closed without one."""
        async with asyncio.timeout(seconds):
            line = await self.reader.readline()
            return int(line.split()[1]) if line.startswith(b"HTTP/1.") else 0

    async def until_closed(self, seconds):
        """Throws away what comes. False: it is still open after that time."""
        with contextlib.suppress(asyncio.TimeoutError):
            async with asyncio.timeout(seconds):
                with contextlib.suppress(OSError):
                    while await self.reader.read(1 << 16):
                        pass
                return True
        return False

    def swallow(self):
        """Reads what comes, or the node would be right to stop reading."""
        self.swallower = asyncio.create_task(self.until_closed(3600))

    def reset(self):
        """Ends with an RST instead of a FIN."""
        self.writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Attack:
    """What every attacker has; its attack is one of the methods, and says in its first line at what rate."""

    def __init__(self, options):
        self.ports, self.secret = options["ports"], options["secret"].encode()
        self.token = self.subscriber(options["name"])
        self.topics, self.per_address = options["topics"], options["streams per address"]
        self.dice, self.counts, self.broken = random.Random(options["seed"]), collections.Counter(), []
        self.tasks = set()

    def subscriber(self, name):
        return mint(self.secret, sub=name, exp=int(time.time()) + 86400, sluice={"subscribe": ["*"]})

    def start(self, work):
        """Failures of the connection are what an attacker expects."""
        async def guarded():
            with contextlib.suppress(*FAILURES):
                await work
        self.tasks.add(task := asyncio.create_task(guarded()))
        task.add_done_callback(self.finished)

    def finished(self, task):
        self.tasks.discard(task)
        if not task.cancelled() and task.exception():
            self.broken.append(f"the attacker failed: {task.exception()!r}")

    async def repeatedly(self, work):
        while True:
            with contextlib.suppress(*FAILURES):
                await work()
            await asyncio.sleep(0.2 + self.dice.random() * 0.2)

    def highest(self, name, value):
        self.counts[name] = max(self.counts[name], value)

    # ---- Attacks ----

    async def slow_loris(self):
        """2,000 connections, every eighth within TLS; a byte of the head each second"""
        async def drip(is_tls):
            async with Link(self, is_tls) as link:
                began, head = time.monotonic(), f"GET /events?topic={self.topics[0]} HTTP/1.1\r\nHost: x\r\nX: "
                for byte in (head + "y" * 1000).encode():
                    link.send(bytes((byte,)))
                    await asyncio.sleep(1)
                    if link.is_ended:
                        self.counts["closed by the node"] += 1
                        return self.highest("seconds that one lasted", round(time.monotonic() - began, 1))
        number = 0
        async for _ in paced(400):  # they begin one after the other, and so does each again
            if len(self.tasks) < 2000:
                self.start(drip(number % 8 == 0))
                number += 1

    async def connections(self):
        """300 connections a second: closed at once, reset at once, or silent until the node closes"""
        async def come(number):
            async with Link(self, is_tls=number % 2 == 0, protocols=False) as link:
                match number % 4:
                    case 0: pass
                    case 1: link.reset()
                    case _:
                        began = time.monotonic()
                        self.counts["closed by the node" if await link.until_closed(30) else "left alone"] += 1
                        self.highest("seconds that one lasted", round(time.monotonic() - began, 1))
        number = 0
        async for _ in paced(300):
            self.start(come(number))
            number += 1

    async def rapid_resets(self):
        """2,000 HTTP/2 streams a second, each opened with a good token and reset at once; every fourth within TLS"""
        async def reset(is_tls):
            async with Link(self, is_tls, protocols=["h2"]) as link:
                link.swallow()
                link.send(http2.PREFACE + http2.settings())
                request = http2.get(f"/events?topic={self.topics[0]}", "https" if is_tls else "http", HOST,
                                    ("authorization", f"Bearer {self.token}"))
                stream = 1
                async for _ in paced(2000 / 16 / 10):
                    if link.is_ended:
                        self.counts["closed by the node"] += 1
                        return self.highest("streams that one reset", stream // 2)
                    for _ in range(10):
                        link.send(http2.frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, stream, request)
                                  + http2.reset(stream))
                        stream += 2
                    self.counts["streams reset"] += 10
                    await link.writer.drain()
        await asyncio.gather(*(self.repeatedly(lambda is_tls=n % 4 == 0: reset(is_tls)) for n in range(16)))

    async def control_frames(self):
        """10,000 HTTP/2 frames a second: SETTINGS, PING, PRIORITY, CONTINUATION without end, windows that overflow"""
        request = http2.get("/healthz", "http", HOST)
        kinds = {
            "SETTINGS": lambda n: http2.settings(initial_window_size=n % 1000),
            "PING": lambda n: http2.frame(http2.PING, payload=n.to_bytes(8, "big")),
            "PRIORITY": lambda n: http2.frame(http2.PRIORITY, 0, 1, b"\0\0\0\3\x10"),
            "CONTINUATION": lambda n: http2.frame(http2.HEADERS, http2.END_STREAM, 1, request) if n == 0
            else http2.frame(http2.CONTINUATION, 0, 1, http2.fields(("x", "y" * 100))),
            "empty CONTINUATION": lambda n: http2.frame(
                http2.CONTINUATION if n else http2.HEADERS, 0, 1, b"" if n else request),
            "WINDOW_UPDATE": lambda n: http2.window_update(0, http2.WINDOW_MAX),
            "unknown": lambda n: http2.frame(0xFA, 0xFF, 0, b"?" * 16),
            "DATA for nobody": lambda n: http2.frame(http2.DATA, 0, 99, b"?" * 16),
        }

        async def flood(kind, is_tls):
            async with Link(self, is_tls, protocols=["h2"]) as link:
                link.swallow()
                link.send(http2.PREFACE + http2.settings())
                number = 0
                async for _ in paced(10_000 / 16 / 50):
                    if link.is_ended:
                        self.counts[f"{kind}: closed by the node"] += 1
                        return self.highest(f"{kind}: frames that one sent", number)
                    link.send(b"".join(map(kinds[kind], range(number, number + 50))))
                    number += 50
                    self.counts["frames"] += 50
                    await link.writer.drain()
        await asyncio.gather(*(self.repeatedly(lambda kind=kind, is_tls=is_tls: flood(kind, is_tls))
                               for kind in kinds for is_tls in (False, True)))

    async def giant_heads(self):
        """8 requests a second: 10 MB of request line, a field of 1 MB, 10,000 fields, and the same in HTTP/2"""
        line, host = b"GET /events HTTP/1.1\r\n", b"Host: x\r\n"
        pieces = {
            "10 MB of request line": lambda: [b"GET /" + b"a" * 65536] + [b"a" * 65536] * 160,
            "a field of 1 MB": lambda: [line + host + b"X: "] + [b"a" * 65536] * 16,
            "10,000 fields": lambda: [line + host] + [b"X-Field: value\r\n" * 100] * 100,
            "a target of 60 KB": lambda: [b"GET /events?topic=" + b"a" * 60_000 + b" HTTP/1.1\r\n" + host + b"\r\n"],
        }

        async def send(kind, is_tls):
            async with Link(self, is_tls) as link:
                for piece in pieces[kind]():
                    link.send(piece)
                    await link.writer.drain()
                self.counts[f"{kind}: {await link.head() or 'closed'}"] += 1

        async def send_http2(is_tls):
            async with Link(self, is_tls, protocols=["h2"]) as link:
                block = http2.get("/healthz", "http", HOST, *(("x", "y" * 1000) for _ in range(1000)))
                link.send(http2.PREFACE + http2.settings() + http2.frame(http2.HEADERS, 1, 1, block[:16000]))
                for at in range(16000, len(block), 16000):
                    link.send(http2.frame(http2.CONTINUATION, 0, 1, block[at:at + 16000]))
                    await link.writer.drain()
                self.counts[f"1 MB in HTTP/2: {'closed' if await link.until_closed(15) else 'borne'}"] += 1

        async def counted(kind, work):
            try:
                await work
            except (OSError, EOFError):
                self.counts[f"{kind}: closed"] += 1
        number = 0
        async for _ in paced(8):
            kind, is_tls = list(pieces)[number % 5] if number % 5 < 4 else "1 MB in HTTP/2", number % 2 == 0
            self.start(counted(kind, send(kind, is_tls) if kind in pieces else send_http2(is_tls)))
            number += 1

    async def garbage(self):
        """80 connections a second: random bytes, half a TLS handshake, plain HTTP to TLS and TLS to plain HTTP"""
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        with contextlib.suppress(ssl.SSLWantReadError):
            client_context().wrap_bio(into, out, server_hostname="localhost").do_handshake()
        hello = out.read()

        async def send(number):
            junk = self.dice.randbytes(self.dice.randrange(1, 2000))
            is_tls, bytes = [
                (True, junk), (False, junk), (True, hello[:self.dice.randrange(1, len(hello))]), (False, hello),
                (True, hello + junk), (True, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), (True, hello[:5] + junk),
                (False, http2.PREFACE + junk)][number % 8]
            async with Link(self, is_tls, protocols=False) as link:
                link.send(bytes)
                # Some wait until the node has had enough.
                ended = await link.until_closed(30 if number % 3 else 0.2)
                self.counts["closed by the node" if ended else "closed by the attacker"] += 1
        number = 0
        async for _ in paced(80):
            self.start(send(number))
            number += 1

    async def publishes(self):
        """120 requests a second that must not publish, and 30 a second of a token that may publish 20"""
        now = int(time.time())
        tokens = {
            "nobody": "", "a subscriber": self.token,
            "an expired publisher": mint(self.secret, exp=now - 3600, sluice={"publish": ["*"]}),
            "another key": mint(b"x" * 32, exp=now + 3600, sluice={"publish": ["*"]}),
            "alg none": mint(self.secret, "none", exp=now + 3600, sluice={"publish": ["*"]}),
            "another topic": mint(self.secret, exp=now + 3600, sluice={"publish": ["elsewhere"]}),
        }
        publisher = mint(self.secret, sub="flood", exp=now + 3600, sluice={"publish": ["flooded"]})
        body = json.dumps({"topic": self.topics[0], "data": "hostile: forged"}).encode()
        all_publish = mint(self.secret, exp=now + 3600, sluice={"publish": ["*"]})
        bad = [b"{", b"[" * 100_000, b'{"topic":"a","data":' + b"[" * 50_000, b"\xff\xfe", b'{"data":1}',
               b'{"topic":"a\\u0000b","data":"x"}', b'{"topic":"{x}","data":"x"}', b"null", b""]

        def request(token, body, *more, length=None):
            lines = ["POST /publish HTTP/1.1", f"Host: {HOST}", "Content-Type: application/json",
                     f"Content-Length: {len(body) if length is None else length}", *more]
            lines += [f"Authorization: Bearer {token}"] if token else []
            return "\r\n".join(lines + ["", ""]).encode() + body

        async def ask(kind, bytes, may=False, is_tls=False, seconds=15):
            async with Link(self, is_tls) as link:
                link.send(bytes)
                try:
                    status = await link.head(seconds)
                except (OSError, EOFError):
                    status = 0
                self.counts[f"{kind}: {status or 'closed'}"] += 1
                if status == 200 and not may:
                    self.broken.append(f"{kind} could publish")

        def one(number):
            kind = number % 20
            if kind < 10:
                who = self.dice.choice(list(tokens))
                return ask(who, request(tokens[who], body), is_tls=number % 4 == 0)
            if kind < 15:
                return ask("no JSON", request(all_publish, self.dice.choice(bad)))
            return [
                lambda: ask("100 MB announced", request(all_publish, b"", length=100_000_000)),
                lambda: ask("a body that never comes", request(all_publish, b"{", length=100_000), seconds=30),
                lambda: ask("2 MB", request(all_publish, b'{"topic":"a","data":"' + b"a" * 2_000_000 + b'"}')),
                lambda: ask("length and chunks", request(all_publish, body, "Transfer-Encoding: chunked")),
                lambda: ask("two lengths", request(all_publish, body, "Content-Length: 3")),
            ][kind - 15]()
        number, flood = 0, json.dumps({"topic": "flooded", "data": "x" * 1000}).encode()
        async for _ in paced(30):
            for _ in range(4):
                self.start(one(number))
                number += 1
            self.start(ask("one token", request(publisher, flood), may=True))

    async def deaf(self):
        """120 streams that nobody reads, every third within TLS, every third of HTTP/2; 1 MB a second for each"""
        target = "/events?topic=bulk"

        async def listen(number):
            is_tls, is_http2 = number % 3 == 0, number % 3 == 1
            async with Link(self, is_tls, buffer=4096) as link:
                link.writer.transport.pause_reading()
                if is_http2:
                    request = http2.get(target, "http", HOST, ("authorization", f"Bearer {self.token}"))
                    link.send(http2.PREFACE + http2.settings(initial_window_size=1000)
                              + http2.frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, 1, request))
                else:
                    link.send(f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {self.token}\r\n\r\n"
                              .encode())
                await asyncio.sleep(25)  # who reads nothing can't see either that the node has had enough
        for number in range(120):
            self.start(self.repeatedly(lambda number=number: listen(number)))
        reader, writer = await asyncio.open_connection(HOST, self.ports["redis"])
        async for _ in paced(32):
            writer.write(command("PUBLISH", "sluice:topic:bulk", b"x" * 32768))
            await reader.readline()
            self.counts["events published"] += 1

    async def crowd(self):
        """10,000 streams from one address, 500 a second; those that the node takes stay"""
        held, number = 0, 0
        tokens = [self.subscriber(f"crowd{n}") for n in range(50)]  # not one client's limit, but the address' own

        async def listen(token):
            nonlocal held
            async with Link(self, source=CROWD_ADDRESS) as link:
                link.send(f"GET /events?topic=idle HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n"
                          "\r\n".encode())
                status, answer = await link.head(), b""
                while b"retry:" not in answer and (line := await link.reader.readline()):
                    answer += line
                if status != 200 or b"retry:" not in answer:
                    self.broken.append(f"a stream of the crowd got {status}")
                # One that was taken goes on with a checkpoint.
                if not await link.until_closed(1):
                    held += 1
                    self.highest("streams held", held)
                    await link.until_closed(3600)
                    held -= 1
                    self.counts["held streams closed"] += 1
                else:
                    self.counts["sent away with a time to come back"] += 1
        async for _ in paced(500):
            if number < 10_000:
                self.start(listen(tokens[number % 50]))
                number += 1
            if held > self.per_address:
                self.broken.append(f"{held} streams of one address")

    async def payloads(self):
        """40 messages a second on the channels of honest topics, on the control channel and on the function's keys"""
        reader, writer = await asyncio.open_connection(HOST, self.ports["redis"])
        forged = b"data: forged\n\nid: 99999999999999-0\nevent: gap\ndata: forged\n\n"
        far = str(int(time.time() * 1000) + 3_600_000).encode()
        hostile = [
            b"\x1e", b"\x1e1", b"\x1e1 - -", b"\x1e2 1-1 -\n\nx", b"\x1e1 abc -\n\nx", b"\x1e1 " + far + b"-0 -\n\nx",
            b"\x1e1 1-1 -\nevent: a\rid: 9\n\nx", b"\x1e1 18446744073709551615-18446744073709551615 -\n\nx",
            b"\x1e1 1 -\n" + b"k: v\n" * 10_000, b"\x1e" * 1000, b"\x1e1 - -\nevent: gap\n\nx",
            b"hostile: " + forged, b"hostile:\r\rdata: forged\r\n\r\n", b"hostile: \xff\xfe\xc3\x28\xed\xa0\x80",
            b"hostile: \0\0\0", b"hostile: " + b"\n" * 30, b"\x1e1 - -\nevent: x\n\nhostile: " + forged,
            b"x" * (1 << 20) + b"x"]
        control = [b"{", b"[]", b'{"disconnect":1}', b'{"disconnect":"{x}"}', b'{"disconnect":"' + b"a" * 4096 + b'"}',
                   b'{"disconnect":"nobody","seconds":-1}', b"\xff", b'{"disconnect":"nobody","reconnect":0}']
        number = 0
        async for _ in paced(40):
            if number % 4 == 3:
                writer.write(command("PUBLISH", "sluice:control", self.dice.choice(control)))
            else:
                topic = self.dice.choice(self.topics)
                # The largest one is dear for Redis itself.
                payload = hostile[-1] if number % 40 == 0 else self.dice.choice(hostile[:-1])
                writer.write(command("PUBLISH", f"sluice:topic:{topic}", payload))
            await reader.readline()
            self.counts["messages"] += 1
            number += 1


# In the order in which they come alone.
ATTACKS = ["slow_loris", "connections", "rapid_resets", "control_frames", "giant_heads", "garbage", "publishes",
           "deaf", "crowd", "payloads"]


async def main(name, options):
    # They stand elsewhere: of this machine they get what all others leave.
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # that a node hangs up is no news
    attack = Attack({**options, "name": name})
    task = asyncio.create_task(getattr(attack, name)())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
    for one in list(attack.tasks):
        one.cancel()
    await asyncio.gather(*attack.tasks, return_exceptions=True)
    print(json.dumps({"counts": attack.counts, "broken": attack.broken[:20]}), flush=True)
    os._exit(0)  # thousands of transports need no goodbye


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
