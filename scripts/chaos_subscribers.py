# SPDX-License-Identifier: Apache-2.0
"""Subscribers that behave like EventSource, and remember all that they got."""
import asyncio
import json
import math
import re
import socket
import struct
import time
from array import array

HOST = "127.0.0.1"
NO_EVENT = 255  # stands for the topic in the row of a checkpoint or a gap
ID = re.compile(r"\d{1,15}-\d{1,15}(~[A-Za-z0-9_-]{1,100})?")


def number(text):
    """An id as one whole number, in the order of ids; 0 for none. What is behind a `~` only nodes can read."""
    milliseconds, _, sequence = text.partition("~")[0].partition("-")
    return int(milliseconds) << 20 | int(sequence) if sequence else 0


def shown(id):
    return f"{id >> 20}-{id & 0xFFFFF}" if id else "none"


def clock(at):
    return time.strftime("%H:%M:%S", time.localtime(at)) + f"{at % 1:.3f}"[1:] if at < math.inf else "now"


class Connection(asyncio.Protocol):
    """One response, from its head to its events: written from the WHATWG text, not from the gateway's."""

    def __init__(self, subscriber):
        self.subscriber, self.cursor, self.ended = subscriber, subscriber.cursor, math.inf
        self.begun = self.opened = time.time()  # the node counts its age from the request
        self.closed = asyncio.get_running_loop().create_future()
        self.is_left = False  # by the client, without a word
        self.transport, self.node, self.head, self.is_open, self.is_chunked = None, "-", b"", False, False
        self.rest, self.left = b"", 0  # of the chunks
        self.line, self.type, self.data, self.id, self.after_cr = b"", b"", [], None, False  # of the event stream

    def connection_made(self, transport):
        self.transport = transport
        resume = f"Last-Event-ID: {self.cursor}\r\n" if self.cursor else ""
        transport.write((f"GET /events?{self.subscriber.query} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n"
                         f"Accept: text/event-stream\r\n{resume}\r\n").encode())

    def connection_lost(self, error):
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, bytes):
        if not self.is_open:
            head, end, bytes = (self.head + bytes).partition(b"\r\n\r\n")
            if not end:
                self.head = head
                return
            self.is_open = self.accept(head.decode("latin-1"))
            if not self.is_open:
                return self.transport.abort()
        self.dechunk(bytes) if self.is_chunked else self.parse(bytes)

    def accept(self, head):
        status, *lines = head.split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self.node, code = fields.get("sluice-node", "balancer"), int(status.split()[1])
        if code != 200 or not fields.get("content-type", "").startswith("text/event-stream"):
            # A browser's EventSource would give up here; this one only counts, but obeys 204.
            self.subscriber.counts[f"EventSource killed by {code}"] += 1
            self.subscriber.is_stopped = code == 204
            return False
        self.opened = time.time()  # the gateway confirms the subscription with the head
        self.is_chunked = "chunked" in fields.get("transfer-encoding", "")
        self.subscriber.counts["opened by the balancer" if self.node == "balancer" else "opened"] += 1
        return True

    def dechunk(self, bytes):
        bytes, at = self.rest + bytes, 0
        while at < len(bytes):
            if self.left == 0:
                end = bytes.find(b"\r\n", at)
                if end < 0:
                    break
                self.left, at = int(bytes[at:end].split(b";")[0], 16) + 2, end + 2  # with the CR LF behind it
                if self.left == 2:
                    return self.transport.close()  # a clean end
            elif self.left > 2:
                piece = bytes[at:at + self.left - 2]
                self.left, at = self.left - len(piece), at + len(piece)
                self.parse(piece)
            elif len(bytes) - at >= 2:
                self.left, at = 0, at + 2
            else:
                break
        self.rest = bytes[at:]

    def parse(self, bytes):
        if self.after_cr and bytes[:1] == b"\n":
            bytes = bytes[1:]
        self.after_cr = bytes[-1:] == b"\r"
        if b"\r" in bytes:
            bytes = bytes.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, self.line = (self.line + bytes).split(b"\n")
        for line in lines:
            if not line:
                self.subscriber.receive(self.type, b"\n".join(self.data) if self.data else None, self.id)
                self.type, self.data, self.id = b"", [], None
                continue
            name, _, value = line.partition(b":")  # a comment is a line without a name
            value = value.removeprefix(b" ")
            if name == b"data":
                self.data.append(value)
            elif name == b"id" and b"\0" not in value:
                self.id = value.decode()
            elif name == b"event":
                self.type = value
            elif name == b"retry" and value.isdigit():
                self.subscriber.retry = int(value) / 1000


class Gap:
    """What the gateway said that it can't deliver."""

    def __init__(self, at, told, before, id, connection):
        self.at, self.before, self.id, self.connection = at, before, id, connection
        self.low, self.high, self.names = number(told["from"]), number(told["to"]), set(told["topics"])
        self.text = json.dumps(told)
        # Up to where is not known: the ring has passed a slow reader, and had what no log brings in order.
        self.is_open = not self.high
        if self.is_open:
            self.high = int(at * 1000) << 20

    def covers(self, topic, id):
        return self.low < id <= self.high and f"topic:{topic}" in self.names


class Subscriber:
    """An EventSource over all its connections, and what it got."""

    def __init__(self, number, topics, port, counts, is_slow):
        self.number, self.topics, self.port, self.counts, self.is_slow = number, topics, port, counts, is_slow
        self.query = "&".join(f"topic={topic}" for topic in topics)
        self.index = {topic.encode(): index for index, topic in enumerate(topics)}
        self.cursor, self.retry, self.start, self.is_stopped = "", 3.0, None, False
        self.connections, self.gaps, self.foreign, self.stalls, self.away = [], [], [], [], 0
        self.last_n = [0] * len(topics)
        # One row for each event or other id; a million tuples would cost ten times as much.
        self.ids, self.which, self.ns, self.times = array("Q"), array("B"), array("L"), array("d")
        self.by = array("L")  # the index of the connection that brought it

    async def run(self):
        loop = asyncio.get_running_loop()
        while not self.is_stopped:
            end = socket.socket()
            end.setblocking(False)
            if self.is_slow:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection = Connection(self)
            self.connections.append(connection)
            try:
                await loop.sock_connect(end, (HOST, self.port))
                await loop.create_connection(lambda: connection, sock=end)
                await connection.closed
                self.counts["reconnects"] += 1
            except OSError:
                self.counts["connections refused"] += 1
                end.close()
            connection.ended = time.time()
            pause, self.away = max(self.retry, self.away), 0
            await asyncio.sleep(pause)

    def receive(self, type, data, id):
        before, at = self.cursor, number(id) if id else 0
        if id is not None:
            self.cursor = id
            self.start = self.start or at
            if not ID.fullmatch(id) or len(id) > 128:
                self.foreign.append((time.time(), type, b"malformed", id))
        if data is None:
            return
        topic, _, rest = data.partition(b":") if type == b"" else (b"", b"", b"")
        row = (at, self.index.get(topic, NO_EVENT), int(rest.partition(b":")[0] or 0), time.time(),
               len(self.connections) - 1)
        for column, value in zip((self.ids, self.which, self.ns, self.times, self.by), row):
            column.append(value)
        if row[1] != NO_EVENT:
            self.last_n[row[1]] = max(self.last_n[row[1]], row[2])
            self.counts["deliveries"] += 1
        elif type == b"gap":
            self.gaps.append(Gap(time.time(), json.loads(data), before, id, self.connections[-1]))
        elif type != b"checkpoint":
            self.foreign.append((time.time(), type, data[:40], id))

    @property
    def transport(self):
        transport = self.connections[-1].transport if self.connections else None
        return transport if transport and not transport.is_closing() else None

    async def stall(self, seconds):
        """Stops reading. Whoever closes the connection meanwhile is noticed afterwards."""
        if transport := self.transport:
            transport.pause_reading()
            self.stalls.append((time.time(), time.time() + seconds))
            await asyncio.sleep(seconds)
            if not transport.is_closing():
                transport.resume_reading()

    def vanish(self, away=0):
        """A reset, as from a phone that changes its network, and is without one for some seconds."""
        self.away = away
        if transport := self.transport:
            self.connections[-1].is_left = True
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
