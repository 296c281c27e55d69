# SPDX-License-Identifier: Apache-2.0
"""One process of scripts/rolling: streams that behave like EventSource, and count instead of remembering.

usage: rolling_streams.py STREAMS OPENED-IN-A-SECOND PORT[,PORT…]

Each event holds the number behind the one before it, and each stream looks for that, over all its connections. A line on
standard input ends it; then one JSON object is on standard output."""
import asyncio
import collections
import json
import sys
import time

sys.dont_write_bytecode = True
from chaos_subscribers import HOST, Connection  # noqa: E402


class Reader:
    """An EventSource over all its connections."""

    def __init__(self, port, totals):
        self.port, self.totals, self.query, self.counts = port, totals, "topic=news", totals.counts
        self.cursor, self.retry, self.is_stopped, self.last, self.has_begun = "", 3.0, False, 0, False

    async def run(self):
        loop = asyncio.get_running_loop()
        isFirst = True
        while not self.is_stopped:
            self.has_begun, connection = False, Connection(self)
            if not isFirst:
                self.totals.attempts[int(time.time())] += 1
            try:
                await loop.create_connection(lambda: connection, HOST, self.port)
                await connection.closed
                if connection.is_open and not self.has_begun:
                    self.counts["turned away"] += 1  # with 200, a time to come back and nothing else
            except OSError:
                self.counts["connections refused"] += 1
            isFirst = False
            await asyncio.sleep(self.retry)

    def receive(self, type, data, id):
        self.has_begun = True
        if id is not None:
            self.cursor = id
        if type == b"gap":
            self.counts["gaps"] += 1
        if type != b"" or data is None:
            return
        number = int(data)
        if self.last and number != self.last + 1:
            self.counts["lost" if number > self.last else "doubled"] += 1
        self.last = number
        self.counts["deliveries"] += 1


class Totals:
    def __init__(self):
        self.counts, self.attempts = collections.Counter(), collections.Counter()


async def main(count, rate, ports):
    totals, readers, tasks = Totals(), [], []
    for index in range(count):
        readers.append(Reader(ports[index % len(ports)], totals))
        tasks.append(asyncio.create_task(readers[-1].run()))
        await asyncio.sleep(1 / rate)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    # The last event that all of those have which lost none.
    lasts = collections.Counter(reader.last for reader in readers)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    json.dump({"counts": totals.counts, "attempts": totals.attempts, "lasts": lasts}, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), [int(port) for port in sys.argv[3].split(",")]))
