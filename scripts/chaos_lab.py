# SPDX-License-Identifier: Apache-2.0
"""The whole deployment, what befalls it, and a run from start to end."""
import asyncio
import collections
import contextlib
import json
import math
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

from chaos_checker import Checker
from chaos_cluster import RedisCluster
from chaos_publishers import GatewayRoute, Ledger, Publisher
from chaos_redis import HOST, Single, free_ports
from chaos_sentinel import Sentinel
from chaos_subscribers import Subscriber, clock

ROOT = pathlib.Path(__file__).resolve().parent.parent
KINDS = {"single": Single, "sentinel": Sentinel, "cluster": RedisCluster}
# How often each fault comes in a minute, beside those of Redis; a short run has at least one of each.
FAULTS = {"kill node": 2.2, "stop node": 1.6, "rolling restart": 0.4, "reload balancer": 0.8, "stall subscribers": 2.0,
          "vanish": 4.0}
# What a stalled subscriber has to take is more than all socket buffers on the way hold, or no node would notice.
BULK_TOPICS, BULK_BYTES, BULK_EVENTS, BULK_SUBSCRIBERS, BULK_MAXLEN = 4, 64 * 1024, 160, 4, 2000
BY_GATEWAY = 25  # one topic of so many is published over HTTP
SETTLE_SECONDS = 30


class Node:
    def __init__(self, index, port, admin, lab):
        self.index, self.port, self.admin, self.lab = index, port, admin, lab
        self.settings = (
            f"--listen {HOST}:{port} --admin-listen {HOST}:{admin} --redis {lab.redis.url} "
            "--retry 200ms --retry-spread 300ms --heartbeat 2s --checkpoint 2s --lifetime 20s --stall 10s --drain 1s "
            "--log-level warning --ring 1MiB").split()  # a small ring, so that it does pass slow streams
        self.is_up, self.process, self.starts, self.name = False, None, 0, ""
        self.before, self.latest = collections.Counter(), collections.Counter()

    async def start(self):
        self.before, self.latest, self.starts = self.before + self.latest, collections.Counter(), self.starts + 1
        self.name = self.next_name()
        self.process = await self.lab.spawn(
            f"node{self.index}.log", self.lab.options.binary, "serve", *self.settings, "--node-id", self.name,
            stdout=asyncio.subprocess.PIPE)
        line = await asyncio.wait_for(self.process.stdout.readline(), 30)
        if not line.startswith(b"sluice ready"):
            raise RuntimeError(f"node{self.index} did not start; see {self.lab.folder}")
        self.is_up, self.watcher = True, asyncio.create_task(self.watch(self.process))

    def next_name(self):
        return f"node{self.index}.{self.starts}"

    async def watch(self, process):
        code = await process.wait()
        if self.is_up and self.process is process and not self.lab.is_over:
            self.is_up = False
            self.lab.ends[self.name] = time.time()
            self.lab.problem("a node died by itself", f"node{self.index} with {code} at {clock(time.time())}")
            await self.start()

    async def read_metrics(self):
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            async with asyncio.timeout(1):
                reader, writer = await asyncio.open_connection(HOST, self.admin)
                writer.write(f"GET /metrics HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
                text = (await reader.read()).decode()
                writer.close()
            lines = (line.split() for line in text.splitlines() if line.startswith("sluice_"))
            self.latest = collections.Counter({name[7:]: int(float(value)) for name, value in lines})


class Lab:
    Node = Node

    def __init__(self, options, folder):
        self.options, self.folder, self.processes, self.is_over, self.faults = options, folder, [], False, []
        self.counts, self.problems = collections.Counter(), collections.defaultdict(list)
        # When each run of a node ended, and when it stood still; when the balancer was told to reload.
        self.ends, self.pauses, self.reloads = {}, [], []
        self.redis = KINDS[options.redis](self)
        self.port, *ports = free_ports(1 + 2 * options.nodes)
        self.nodes = [self.Node(i, ports[2 * i], ports[2 * i + 1], self) for i in range(options.nodes)]
        self.rates = {kind: rate for kind, rate in (FAULTS | self.redis.FAULTS).items() if kind not in options.without}

    def problem(self, kind, text):
        self.problems[kind].append(text)

    async def spawn(self, log, *command, **more):
        # A session of its own: Ctrl-C is for this script alone, which then ends each whole group.
        with open(self.folder / log, "ab") as file:
            process = await asyncio.create_subprocess_exec(
                *map(str, command), stderr=file, start_new_session=True,
                **{"stdin": subprocess.DEVNULL, "stdout": file, **more})
        self.processes.append(process)
        return process

    def clean_up(self):
        self.is_over = True
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    async def start(self):
        await self.redis.start()
        await asyncio.gather(*(node.start() for node in self.nodes))
        await self.start_balancer()

    async def start_balancer(self, *more):
        kind, file = self.options.lb, self.folder / "balancer.conf"
        nodes = [word for node in self.nodes for word in ("--node", f"{HOST}:{node.port}")]
        file.write_bytes(subprocess.run(
            [ROOT / "scripts/render-lb", kind, "--listen", f"{HOST}:{self.port}", *nodes, "--dir", self.folder],
            check=True, capture_output=True).stdout)
        command = ["nginx", "-e", "stderr", "-c", file] if kind == "nginx" else ["haproxy", "-db", "-f", file, *more]
        self.balancer = await self.spawn("balancer.log", *command)
        await asyncio.sleep(0.3)
        if self.balancer.returncode is not None:
            raise RuntimeError(f"{kind} did not start; see {self.folder}")

    # ---- Faults ----

    def note(self, kind, detail, count=1):
        self.faults.append((time.time(), f"{kind}: {detail}"))
        self.counts[kind] += count
        print(f"{clock(time.time())} {kind}: {detail}", file=sys.stderr, flush=True)

    async def take(self, index):
        """Waits until the node is up, and not the only one. Whoever takes it brings it up again."""
        node = self.nodes[index]
        while not node.is_up or sum(other.is_up for other in self.nodes) < 2:
            await asyncio.sleep(0.05)
        node.is_up = False
        return node

    async def kill_node(self, dice):
        node, pause = await self.take(dice.randrange(len(self.nodes))), dice.uniform(0.5, 3)
        self.note("kill node", f"node{node.index}, back after {pause:.1f} s")
        self.ends[node.name] = time.time()
        node.process.kill()
        await node.process.wait()
        await asyncio.sleep(pause)
        await node.start()

    async def stop_node(self, dice):
        node, pause = await self.take(dice.randrange(len(self.nodes))), dice.uniform(1, 8)
        self.note("stop node", f"node{node.index} for {pause:.1f} s")
        self.pauses.append((node.name, time.time(), time.time() + pause + 1))
        node.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(pause)
        node.process.send_signal(signal.SIGCONT)
        node.is_up = True

    async def rolling_restart(self, dice):
        for index in range(len(self.nodes)):
            node = await self.take(index)
            await node.read_metrics()
            self.note("rolling restart", f"SIGTERM for node{node.index}", count=1 if index == 0 else 0)
            self.ends[node.name] = time.time()
            node.process.terminate()
            try:
                code = await asyncio.wait_for(node.process.wait(), 15)
            except asyncio.TimeoutError:
                node.process.kill()
                code = "nothing within 15 s"
            if code != 0:
                self.problem("a drain failed", f"node{node.index} answered with {code} at {clock(time.time())}")
            await node.start()

    async def reload_balancer(self, dice):
        self.note("reload balancer", self.options.lb)
        self.reloads.append(time.time())
        if self.options.lb == "nginx":
            self.balancer.send_signal(signal.SIGHUP)  # what nginx -s reload sends
        else:
            await self.start_balancer("-sf", str(self.balancer.pid))

    async def stall_subscribers(self, dice):
        topic, pause = f"b{dice.randrange(BULK_TOPICS)}", dice.uniform(2, 14)
        chosen = [one for one in self.subscribers if topic in one.topics]
        self.note("stall subscribers", f"{len(chosen)} of {topic} for {pause:.1f} s")
        flood = self.publisher([topic], 0, self.redis.route(0), b":" + b"x" * BULK_BYTES, BULK_MAXLEN)

        async def publish():
            async with self.flooding[topic]:  # two floods of a topic would mix up its numbers
                for _ in range(BULK_EVENTS):
                    await flood.publish([topic])
        await asyncio.gather(publish(), *(one.stall(pause) for one in chosen))

    async def vanish(self, dice):
        chosen = dice.sample(self.subscribers, max(1, len(self.subscribers) // 20))
        self.note("vanish", f"{len(chosen)} subscribers")
        for one in chosen:
            one.vanish()

    def send_away(self, dice, seconds):
        """Some subscribers miss what Redis is about to lose."""
        for one in dice.sample(self.subscribers, max(1, len(self.subscribers) // 10)):
            one.vanish(seconds + dice.uniform(0, 6))

    async def break_things(self, seconds, dice):
        """All times, targets and lengths come from the seed."""
        share = self.options.intensity * seconds / 60
        plan = [(dice.uniform(1, max(2, seconds - 3)), kind, dice.random())
                for kind, rate in self.rates.items() for _ in range(max(1, math.ceil(rate * share)))]
        began, running = time.monotonic(), []
        for at, kind, seed in sorted(plan):
            await asyncio.sleep(max(0, began + at - time.monotonic()))
            owner = self if kind in FAULTS else self.redis
            fault = getattr(owner, kind.replace(" ", "_"))(random.Random(seed))
            running.append(asyncio.create_task(self.carry_out(kind, fault)))
        await asyncio.sleep(max(0, began + seconds - time.monotonic()))
        await asyncio.gather(*running)

    async def carry_out(self, kind, fault):
        """What can't be done to a deployment that other faults have changed meanwhile does not end the run."""
        try:
            await fault
        except RuntimeError as error:
            self.note("given up", f"{kind}: {error}")

    # ---- The run ----

    def enroll(self, topics, bulk, dice):
        # Some topics are many times as popular as others, as everywhere.
        weights = [1 / (rank + 10) for rank in range(len(topics))]
        for index in range(self.options.subscribers):
            own = list(dict.fromkeys(dice.choices(topics, weights, k=self.options.topics_per_subscriber)))
            is_slow = index < BULK_TOPICS * BULK_SUBSCRIBERS
            own += [bulk[index % BULK_TOPICS]] if is_slow else []
            yield Subscriber(index, own, self.port, self.counts, is_slow)

    def publisher(self, topics, rate, route, *more):
        one = Publisher(topics, rate, route, self.redis, self.ledger, *more)
        self.publishers.append(one)
        return one

    async def watch_metrics(self):
        while True:
            await asyncio.gather(*(node.read_metrics() for node in self.nodes if node.is_up))
            await asyncio.sleep(2)

    async def wait_for(self, condition, seconds=SETTLE_SECONDS):
        began = time.monotonic()
        while not await condition() and time.monotonic() - began < seconds:
            await asyncio.sleep(0.1)
        return time.monotonic() - began

    async def have_all_begun(self):
        return all(one.start for one in self.subscribers)

    async def is_settled(self):
        return all(one.last_n[index] >= self.ledger.newest(topic) or one.is_stopped
                   for one in self.subscribers for index, topic in enumerate(one.topics))

    async def run(self):
        options, dice = self.options, random.Random(self.options.seed)
        await self.start()
        topics, bulk = [f"t{i}" for i in range(options.topics)], [f"b{i}" for i in range(BULK_TOPICS)]
        self.ledger, self.flooding = Ledger(topics + bulk), {topic: asyncio.Lock() for topic in bulk}
        self.publishers, self.subscribers = [], list(self.enroll(topics, bulk, dice))
        streams = [asyncio.create_task(one.run()) for one in self.subscribers]
        await self.wait_for(self.have_all_begun)
        watching = [asyncio.create_task(one) for one in (self.watch_metrics(), self.redis.watch())]
        by_gateway, others = topics[::BY_GATEWAY], [one for i, one in enumerate(topics) if i % BY_GATEWAY]
        for index, share in enumerate(self.redis.shares(others)):
            self.publisher(share, options.rate * len(share) / len(topics), self.redis.route(index))
        self.publisher(by_gateway, options.rate / BY_GATEWAY, GatewayRoute(self.port))
        publishing = [asyncio.create_task(one.run()) for one in self.publishers]
        await self.watched(self.break_things(options.duration, dice), publishing + watching)
        self.note("no more faults", "settling")
        await self.wait_for(self.redis.is_healthy)
        await asyncio.sleep(2)
        for one in self.publishers:
            one.is_stopped = True
        await asyncio.wait_for(asyncio.gather(*publishing), SETTLE_SECONDS)
        self.settled = await self.wait_for(self.is_settled)
        await asyncio.sleep(1)  # for what comes twice
        for one in watching:
            one.cancel()
        await asyncio.gather(*(node.read_metrics() for node in self.nodes))
        self.logs = {topic: await self.redis.log(topic) for topic in self.ledger.events}
        for stream in streams:
            stream.cancel()
        for one in self.publishers:
            self.counts.update(one.counts)

    @staticmethod
    async def watched(main, others):
        """A task that fails beside it would go unnoticed, and its publishing be missed by nobody."""
        main = asyncio.create_task(main)
        done, _ = await asyncio.wait([main, *others], return_when=asyncio.FIRST_COMPLETED)
        if main not in done:
            main.cancel()
        for one in done:
            one.result()

    def result(self):
        checker = Checker(self)
        checker.check()
        killed = {kind: n for kind, n in self.counts.items() if kind.startswith("EventSource killed")}
        for kind, n in killed.items():
            self.problem("EventSource killed", f"{n} times: {kind}")
        counted = ["deliveries", "late, without id", "lost with notice", "lost unheard", "gaps told",
                   "gaps of two masters", "gaps for what logs have", "gaps made good elsewhere",
                   "gaps for what nobody got",
                   "opened", "opened by the balancer", "reconnects",
                   "connections refused", "publishes without an answer", "publishes refused"]
        failures = ["lost without notice", "not delivered in time", "told too late", "duplicates", "out of order",
                    "unexpected gaps", "closed by the gateway", "foreign", "not in the log"]
        metrics = ["repairs_total", "gaps_total", "log_reads_total", "streams_overrun_total", "streams_ended_total{reason=\"stalled\"}"]
        return {
            "seed": self.options.seed, "seconds": self.options.duration, "redis": self.options.redis,
            "balancer": self.options.lb, "faults": {kind: self.counts[kind] for kind in self.rates},
            "published": self.ledger.count, **{kind: self.counts[kind] for kind in counted},
            **{kind: len(self.problems[kind]) for kind in failures}, "EventSource killed": sum(killed.values()),
            "settled after": round(self.settled, 1), **checker.figures(),
            **{f"node{node.index}": {name: (node.before + node.latest)[name] for name in metrics}
               for node in self.nodes},
            "failed": any(self.problems.values()),
        }


async def run(options, folder):
    """Returns the exit code."""
    lab = Lab(options, folder)
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(sign, asyncio.current_task().cancel)
    print(f"seed {options.seed}, {options.duration:.0f} s", file=sys.stderr, flush=True)
    try:
        await lab.run()
    finally:
        lab.clean_up()
    result = lab.result()
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            text = ", ".join(f"{key} {n}" for key, n in value.items()) if isinstance(value, dict) else value
            print(f"{name:>28}  {text}")
    for kind, texts in lab.problems.items():
        for text in texts[:5]:
            print(f"{kind}: {text}", file=sys.stderr)
        if len(texts) > 5:
            print(f"{kind}: and {len(texts) - 5} more", file=sys.stderr)
    return 1 if result["failed"] else 0
