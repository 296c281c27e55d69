# SPDX-License-Identifier: Apache-2.0
"""The deployment of scripts/presence: a Redis with Sentinels, nodes, clients in several processes, a backend that reads who
comes and goes, and what befalls them."""
import asyncio
import collections
import contextlib
import json
import random
import signal
import subprocess
import sys
import time

import chaos_lab
from chaos_redis import HOST, RedisClient, until

STREAM, GROUP, CONSUMER, ONLINE = "sluice:presence", "app", "backend", "sluice:online"
STREAMS_PER_PROCESS = 4000
PAGE = 1000
# How often each fault comes in a minute, and another if replicas are to lag.
FAULTS, LAG = {"kill node": 2.5, "failover": 0.8, "kill master": 0.8}, {"lagging replicas": 0.8}
# A dead node comes back before the others take it for dead, or after it.
SOON, LATE = (0.5, 4), (13, 20)
REST = 8  # until the next one is killed


class Node(chaos_lab.Node):
    def __init__(self, index, port, admin, lab):
        super().__init__(index, port, admin, lab)
        self.settings = (f"--listen {HOST}:{port} --admin-listen {HOST}:{admin} --redis {lab.redis.url} --drain 2s "
                         "--log-level warning").split()
        self.keeps_name = False

    def next_name(self):
        """Some come back under the name that they had, some as strangers."""
        return self.name if self.keeps_name and self.name else super().next_name()

    @property
    def streams(self):
        # By protocol. Their sum has a name of its own, and would count them twice.
        return sum(count for name, count in self.latest.items() if name.startswith("streams{"))


class Asker:
    """A connection on which one request follows the other."""

    def __init__(self, port):
        self.port, self.streams = port, None

    async def ask(self, method, path, body=""):
        """The answer, and after how many ms it was there."""
        self.streams = self.streams or await asyncio.open_connection(HOST, self.port, limit=1 << 20)
        reader, writer = self.streams
        began = time.perf_counter()
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
                     f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].split()[0])
        answer = json.loads(await reader.readexactly(length))
        return answer, (time.perf_counter() - began) * 1000

    def close(self):
        if self.streams:
            self.streams[1].close()


class Clients:
    """A process of scripts/presence_streams.py."""

    async def start(self, lab, number, ports):
        self.process = await lab.spawn(
            f"clients{number}.log", sys.executable, chaos_lab.ROOT / "scripts/presence_streams.py",
            f"{lab.options.seed}.{number}", ",".join(map(str, ports)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            limit=1 << 26)
        return self

    async def order(self, *words):
        self.process.stdin.write(json.dumps(words).encode() + b"\n")
        line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError("a process of clients has ended; see its log")
        return json.loads(line)


class Backend:
    """Reads like deploy/examples/presence.py, with a consumer group, from whatever is master, and takes each event once."""

    def __init__(self, redis, seed):
        self.redis, self.dice, self.client, self.looked = redis, random.Random(seed), None, 0
        self.changes, self.events, self.online, self.counts = [], set(), {}, collections.Counter()
        self.position, self.acknowledged = "0", []

    async def run(self):
        while True:
            replies = await self.read()
            if not replies or any(one is None or isinstance(one, RuntimeError) for one in replies):
                self.counts["failures"] += 1
                self.crash()
                await asyncio.sleep(0.2)
                continue
            entries = replies[-1][0][1] if replies[-1] else []
            for id, fields in entries:
                self.take(id, dict(zip(fields[::2], fields[1::2])))
            self.acknowledged = [id for id, _ in entries]
            if self.position != ">":
                self.position = entries[-1][0] if entries else ">"
            if self.dice.random() < 0.005:  # as if killed, with these in hand
                self.counts["crashes"] += 1
                self.crash()

    async def read(self):
        """The replies; an acknowledgement of what was taken goes before the next reading."""
        if not self.client or time.monotonic() - self.looked > 1:
            port, self.looked = await self.redis.find(), time.monotonic()
            if not self.client or port != self.client.port:
                self.crash()
                if not port:
                    return []
                self.client = RedisClient(port)
                made = await self.client.ask("XGROUP", "CREATE", STREAM, GROUP, "0", "MKSTREAM")
                if made != "OK" and "BUSYGROUP" not in str(made):
                    return []
        commands = [("XACK", STREAM, GROUP, *self.acknowledged)] if self.acknowledged else []
        return await self.client.pipeline(commands + [(
            "XREADGROUP", "GROUP", GROUP, CONSUMER, "COUNT", 200, "BLOCK", 500, "STREAMS", STREAM, self.position)])

    def crash(self):
        """First it is given again what it had in hand."""
        if self.client:
            self.client.close()
        self.client, self.position, self.acknowledged = None, "0", []

    def take(self, id, fields):
        self.counts["entries"] += 1
        if not fields or fields["event"] in self.events:
            self.counts["repeated"] += 1
            return
        self.events.add(fields["event"])
        self.changes.append((fields["client"], fields["state"] == "present", fields["node"], int(fields["at"]) / 1000,
                             fields["event"]))
        if fields["state"] == "present":
            self.online[fields["client"]] = fields["node"]
        else:
            self.online.pop(fields["client"], None)


class Lab(chaos_lab.Lab):
    Node = Node

    def __init__(self, options, folder):
        super().__init__(options, folder)
        self.backend, self.clients, self.turn, self.kills = Backend(self.redis, options.seed), [], asyncio.Lock(), []
        self.rates = FAULTS | (LAG if options.lag else {})

    async def start(self):
        await self.redis.start()
        await asyncio.gather(*(node.start() for node in self.nodes))
        count = max(2, -(-self.options.clients // STREAMS_PER_PROCESS))
        self.clients = [await Clients().start(self, i, [node.port for node in self.nodes]) for i in range(count)]

    def shares(self, total):
        count = len(self.clients)
        return [total * (i + 1) // count - total * i // count for i in range(count)]

    async def everyone(self, *orders):
        """An order for each process, or the same for all; together what came of them."""
        orders = orders if len(orders) > 1 else orders * len(self.clients)
        return await asyncio.gather(*(one.order(*order) for one, order in zip(self.clients, orders)))

    async def open_clients(self):
        first, orders = 0, []
        for share in self.shares(self.options.clients):
            orders.append(("open", first, share, 600 / len(self.clients)))
            first += share
        await self.everyone(*orders)

    async def where(self):
        """Which node has each of those that stay: once the nodes have none but them."""
        async def is_quiet():
            await asyncio.gather(*(node.read_metrics() for node in self.nodes))
            return sum(node.streams for node in self.nodes) == self.options.clients
        await until(is_quiet, f"{self.options.clients} streams", 120)
        return {name: node for part in await self.everyone(("where",)) for name, node in part.items()}

    async def restart_nodes(self, *settings):
        for node in self.nodes:
            node.is_up = False
            node.process.terminate()
        await asyncio.gather(*(node.process.wait() for node in self.nodes))
        for node in self.nodes:
            node.settings += settings
        await asyncio.gather(*(node.start() for node in self.nodes))

    @contextlib.asynccontextmanager
    async def stopped(self, node):
        node.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            node.process.send_signal(signal.SIGCONT)

    def send_away(self, dice, seconds):
        """Nobody: here each client's times are its own."""

    async def kill_node(self, dice):
        async with self.turn:
            node = self.nodes[dice.randrange(len(self.nodes))]
            pause = dice.uniform(*(SOON if self.options.quick or dice.random() < 0.5 else LATE))
            node.keeps_name, node.is_up = dice.random() < 0.5, False
            self.note("kill node", f"{node.name}, back after {pause:.1f} s" + (" by that name" if node.keeps_name else ""))
            node.process.kill()
            self.kills.append((node.name, time.time()))
            await node.process.wait()
            await asyncio.sleep(pause)
            await node.start()
            await asyncio.sleep(1 if self.options.quick else REST)

    async def ask(self, *words):
        return await self.redis.server(await self.redis.find()).must(*words)

    async def listed(self):
        """How many clients the nodes have written down; a field that is no client's has what is known of nodes."""
        return await self.ask("HLEN", ONLINE) - await self.ask("HEXISTS", ONLINE, " nodes")

    async def stream(self):
        """The events of all entries that there are in the end."""
        events, start = set(), "-"
        while True:
            page = await self.ask("XRANGE", STREAM, start, "+", "COUNT", PAGE)
            events |= {dict(zip(fields[::2], fields[1::2]))["event"] for _, fields in page}
            if len(page) < PAGE:
                return events
            start = f"({page[-1][0]}"

    async def commands(self):
        """How often the master has carried out each, by name."""
        text = await self.ask("INFO", "commandstats")
        lines = [line.removeprefix("cmdstat_").partition(":calls=") for line in text.splitlines() if ":calls=" in line]
        return collections.Counter({name: int(rest.partition(",")[0]) for name, _, rest in lines})

    async def watch_commands(self, seconds):
        """What MONITOR shows of functions that nodes call: their names, each with its number."""
        reader, writer = await asyncio.open_connection(HOST, await self.redis.find(), limit=1 << 24)
        writer.write(b"MONITOR\r\n")
        counts = collections.Counter()
        with contextlib.suppress(asyncio.TimeoutError):
            async with asyncio.timeout(seconds):
                while line := (await reader.readline()).decode(errors="replace"):
                    # +TIME [DB ADDRESS] "COMMAND" "WORD"…; what a function does itself has `lua` for its address.
                    words = line.split('"')
                    if len(words) > 3 and not words[0].rstrip().endswith("lua]") and words[1].lower().startswith("fcall"):
                        counts[words[3]] += 1
        writer.close()
        return counts
