# SPDX-License-Identifier: Apache-2.0
"""One process of scripts/presence: clients that behave like EventSource, and remember when each of their streams began and
ended, which is the truth that presence events are compared with.

usage: presence_streams.py SEED PORT[,PORT…]

Each line on standard input is an order, each line on standard output what came of it, both JSON."""
import asyncio
import collections
import json
import random
import sys
import time

sys.dont_write_bytecode = True
from chaos_subscribers import HOST, Connection  # noqa: E402

OPEN_SECONDS = 20
# Of stays, of those that come back within the grace of 5 s, and of those that do so near its end.
SHORT, GRACE, NEAR = (0.2, 2), (0.1, 4), (4, 9)
PAUSE = (25, 40)  # between two visits: longer than anybody may take to tell of the first one's end


class Stream(Connection):
    """One response, and when it was sent for, opened and over."""

    def accept(self, head):
        is_open = super().accept(head)
        if is_open and not self.subscriber.is_there.done():
            self.subscriber.is_there.set_result(None)
        return is_open

    def connection_lost(self, error):
        self.ended = min(self.ended, time.time())
        super().connection_lost(error)

    def leave(self, is_abrupt):
        """The time is before that at which the node can know."""
        if self.transport:
            self.ended = min(self.ended, time.time())
            self.transport.abort() if is_abrupt else self.transport.close()


class Client:
    """An EventSource over all its connections. A client's id may have several."""

    def __init__(self, world, name):
        self.world, self.name, self.query, self.counts = world, name, f"client={name}", world.counts
        self.cursor, self.retry, self.is_stopped, self.stream, self.has_begun = "", 3.0, False, None, False
        self.is_there = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self.run())

    async def run(self):
        while not self.is_stopped:
            await self.connect()
            if not self.is_stopped:
                await asyncio.sleep(self.retry)

    async def connect(self):
        """To one of the nodes, as a load balancer would: a dead one is passed over."""
        for port in self.world.ports_in_turn():
            self.stream, self.has_begun = Stream(self), False
            try:
                await asyncio.get_running_loop().create_connection(lambda: self.stream, HOST, port)
            except OSError:
                self.counts["connections refused"] += 1
                continue
            if self.is_stopped:
                self.stream.leave(True)
            self.world.streams[port] += 1
            await self.stream.closed
            self.world.streams[port] -= 1
            self.note(self.stream)
            break
        self.stream = None

    def note(self, stream):
        """Only a stream that has brought something was surely one: without that it may have been turned away."""
        self.world.rows.append((self.name, stream.node if stream.is_open else "", stream.begun,
                                stream.opened if stream.is_open and self.has_begun else None, stream.ended))

    def receive(self, type, data, id):
        self.has_begun = True
        if id is not None:
            self.cursor = id

    async def opens(self):
        await asyncio.wait([self.is_there], timeout=OPEN_SECONDS)

    async def leave(self, is_abrupt=False):
        self.is_stopped = True
        if self.stream:
            self.stream.leave(is_abrupt)
        else:
            self.task.cancel()  # it waits to come back
        await asyncio.wait([self.task], timeout=OPEN_SECONDS)


class World:
    def __init__(self, seed, ports):
        self.dice, self.ports, self.clients = random.Random(seed), ports, []
        self.rows, self.counts, self.streams = [], collections.Counter(), collections.Counter()

    def ports_in_turn(self):
        """The better of two first."""
        ports = self.dice.sample(self.ports, len(self.ports))
        ports[:2] = sorted(ports[:2], key=lambda port: self.streams[port])
        return ports

    async def open(self, first, count, rate):
        """Clients that stay; answers when each of them has a stream."""
        for number in range(first, first + count):
            self.clients.append(Client(self, f"c{number}"))
            await asyncio.sleep(1 / rate)
        return await self.where()

    async def where(self):
        """The node of each; once all are somewhere."""
        while not all(client.stream and client.stream.is_open and client.has_begun for client in self.clients):
            await asyncio.sleep(0.1)
        return {client.name: client.stream.node for client in self.clients}

    async def visit(self, prefix, count, seconds, longest, most, comebacks):
        """So many visits, which begin within about so many seconds; answers when all are over."""
        visitors, number = [], 0
        while count > 0:
            visits = min(count, self.dice.randint(1, most))
            count, number = count - visits, number + 1
            visitors.append((f"{prefix}-{number}", visits))
        tasks = []
        for name, visits in visitors:
            tasks.append(asyncio.create_task(self.visitor(name, visits, longest, comebacks)))
            await asyncio.sleep(seconds / len(visitors))
        await asyncio.gather(*tasks)
        return True

    async def visitor(self, name, visits, longest, comebacks):
        for number in range(visits):
            if number:
                await asyncio.sleep(self.dice.uniform(*PAUSE))
            await self.stay(name, longest)
            for _ in range(comebacks):
                if self.dice.random() > 0.4:
                    break
                await asyncio.sleep(self.dice.uniform(*(NEAR if self.dice.random() < 0.3 else GRACE)))
                await self.stay(name, longest)

    async def stay(self, name, longest):
        """Mostly one stream, sometimes a second one, which may outlast it."""
        dice = self.dice
        span = dice.uniform(*(SHORT if dice.random() < 0.3 else (SHORT[1], longest)))
        more = [asyncio.create_task(self.second(name, dice.uniform(0, span), dice.uniform(*SHORT)))] \
            if dice.random() < 0.2 else []
        client = Client(self, name)
        await client.opens()
        await asyncio.sleep(span)
        await asyncio.gather(client.leave(dice.random() < 0.5), *more)

    async def second(self, name, pause, span):
        await asyncio.sleep(pause)
        client = Client(self, name)
        await client.opens()
        await asyncio.sleep(span)
        await client.leave()

    async def leave(self):
        """All go for good."""
        for index in range(0, len(self.clients), 100):
            await asyncio.gather(*(client.leave() for client in self.clients[index:index + 100]))
        return True

    async def report(self):
        return {"rows": self.rows, "counts": self.counts}


async def main(seed, ports):
    world, lines = World(seed, ports), asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        name, *words = json.loads(line)
        print(json.dumps(await getattr(world, name)(*words)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], [int(port) for port in sys.argv[2].split(",")]))
