# SPDX-License-Identifier: Apache-2.0
"""Three masters and three replicas of a Redis Cluster, which fail over, give slots away and get company."""
import asyncio
import binascii
import signal
import subprocess
import time

from chaos_redis import HOST, Redis, RedisClient, Server, free_ports, until

MASTERS, MOST_MASTERS = 3, 6
STEPS = 20  # in which a slot moves


def slot(text):
    """CLUSTER KEYSLOT, of a text without braces."""
    return binascii.crc_hqx(str(text).encode(), 0) % 16384


class RedisCluster(Redis):
    PARTITIONS = 16
    FAULTS = {"kill feeds": 1.5, "failover": 0.7, "kill master": 0.7, "zombie": 0.7, "lagging replica": 0.4,
              "move slot": 1, "join master": 0.2}

    def __init__(self, lab):
        super().__init__(lab)
        ports = free_ports(4 * MASTERS + 2 * (MOST_MASTERS - MASTERS))
        self.servers = [self.member(i, *ports[2 * i:2 * i + 2]) for i in range(2 * MASTERS)]
        self.spare = ports[4 * MASTERS:]
        self.url = "redis+cluster://" + ",".join(f"{HOST}:{one.port}" for one in self.servers[:3])
        self.owners = {}  # of the partitions' slots, by port: what publishers believe
        self.held = []  # of each partition: since when which group has it

    def member(self, index, port, bus):
        return Server(self.lab, f"redis{index}", port, (
            *self.SETTINGS, "cluster-enabled yes", f"cluster-port {bus}", "cluster-node-timeout 2000",
            "cluster-require-full-coverage no", "cluster-allow-replica-migration no"))

    async def start(self):
        for one in self.servers:
            await one.start()
        for one in self.servers:
            await until(one.ask_role, f"{one.name} answers")
        made = await asyncio.create_subprocess_exec(
            "redis-cli", "--cluster", "create", *(f"{HOST}:{one.port}" for one in self.servers),
            "--cluster-replicas", "1", "--cluster-yes", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        output, _ = await made.communicate()
        if made.returncode:
            raise RuntimeError(f"no cluster could be made: {output.decode()}")
        await until(self.is_whole, "the cluster is whole")
        masters = [one for one in self.servers if await one.ask_role() == "master"]
        for one in self.servers:
            one.group = one.port if one in masters else (await one.ask("ROLE"))[2]
        await self.learn()
        self.held = [[(0, (await self.owner(p)).group)] for p in range(self.PARTITIONS)]

    # ---- Names ----

    def partition(self, target):
        return slot(target) % self.PARTITIONS

    def shares(self, topics):
        """By partition: one that is down must hold up nobody else's events."""
        shares = [[one for one in topics if self.tag(one) == 50 * p] for p in range(self.PARTITIONS)]
        return [share for share in shares if share]

    def tag(self, topic):
        return 50 * self.partition(f"topic:{topic}")

    def key(self, topic):
        return f"sluice:{{{self.tag(topic)}}}:topic:{topic}"

    def group(self, target, at):
        return [group for when, group in self.held[self.partition(target)] if when <= at][-1]

    def words(self, topic, data, token, maxlen):
        prefix = f"sluice:{{{self.tag(topic)}}}"
        return ("FCALL", "sluice_publish", 4, self.key(topic), f"{prefix}:last:topic:{topic}", f"{prefix}:clock",
                f"{prefix}:once:topic:{topic} {token}", data, "once", token, "maxlen", maxlen, "ttl", 86400)

    # ---- What the cluster says of itself ----

    def reachable(self):
        """Those that answered lately, a stopped one not among them."""
        return [one for one in self.servers if one.process and one.is_running and time.time() - one.answered < 2] \
            or [one for one in self.servers if one.process and one.is_running]

    async def learn(self):
        """Who owns the slots, as the first that answers sees it."""
        for server in self.reachable():
            client = RedisClient(server.port, 1)
            ranges = await client.ask("CLUSTER", "SLOTS")
            client.close()
            if isinstance(ranges, list):
                for first, last, master, *_ in ranges:
                    self.owners |= {slot(50 * p): master[1] for p in range(16) if first <= slot(50 * p) <= last}
                return

    async def is_whole(self):
        """All say that all is well, and every master that has a replica has it at hand."""
        masters, replicas = 0, 0
        for one in self.servers:
            info, role = await one.ask("CLUSTER", "INFO"), await one.ask("ROLE")
            if not isinstance(info, str) or not isinstance(role, list) or "cluster_state:ok" not in info \
                    or f"cluster_known_nodes:{len(self.servers)}" not in info:
                return False
            masters += role[0] == "master"
            replicas += len(role[2]) if role[0] == "master" else 0
        return masters == len(self.servers) - MASTERS and replicas == MASTERS

    is_healthy = is_whole

    async def ask_owner(self, topic, *words):
        await self.learn()
        port = self.owners[slot(self.tag(topic))]
        return await next(one for one in self.servers if one.port == port).ask(*words)

    def route(self, index):
        return ClusterRoute(self)

    # ---- Faults ----

    async def pair(self, dice):
        """A master and its replica, once the cluster is whole."""
        await until(self.is_whole, "the cluster is whole", 90)
        masters = [one for one in self.servers if one.role == "master"]
        pairs = [(one, other) for one in masters for other in self.servers
                 if other.role == "slave" and other.group == one.group]
        return dice.choice(pairs)

    async def is_promoted(self, replica):
        async def promoted():
            return await replica.ask_role() == "master"
        await until(promoted, f"{replica.name} is master")

    async def failover(self, dice):
        """Coordinated: nothing may be lost."""
        async with self.turn:
            old, heir = await self.pair(dice)
            self.lab.note("failover", f"asked for, {old.name} to {heir.name}")
            asked = 0

            async def promoted():
                """A server gives up after five seconds, without a word."""
                nonlocal asked
                if time.monotonic() - asked > 6:
                    asked = time.monotonic()
                    await heir.ask("CLUSTER", "FAILOVER")
                return await heir.ask_role() == "master"
            await until(promoted, f"{heir.name} is master")

    async def kill_master(self, dice):
        await self.depose("kill master", dice, is_killed=True)

    async def zombie(self, dice):
        await self.depose("zombie", dice, is_killed=False)

    async def lagging_replica(self, dice):
        """Whoever is promoted lacks what was acknowledged, and heard, in the last seconds."""
        await self.depose("lagging replica", dice, dice.random() < 0.7, dice.uniform(0.3, 2.5))

    async def depose(self, name, dice, is_killed, lag=0):
        pause = dice.uniform(0.2, 3)
        async with self.turn:
            old, heir = await self.pair(dice)
            async with self.loss(old.group):
                if lag:
                    await heir.cut_from_master()
                    self.lab.send_away(dice, lag + pause)
                    await asyncio.sleep(lag)
                self.lab.note(name, f"{old.name} {'killed' if is_killed else 'stopped'}, back {pause:.1f} s after the "
                              f"promotion of {heir.name}" + (f", which is {lag:.1f} s behind" if lag else ""))
                if is_killed:
                    await old.kill()
                else:
                    old.process.send_signal(signal.SIGSTOP)
                await self.is_promoted(heir)
                await heir.join_master()
                await asyncio.sleep(pause)
                if is_killed:
                    await old.start()
                else:
                    old.process.send_signal(signal.SIGCONT)
                    self.note_double(old.group, time.time() - 0.5, time.time() + 1)
                await until(self.is_whole, "the cluster is whole", 90)

    async def move_slot(self, dice):
        async with self.turn:
            await until(self.is_whole, "the cluster is whole", 90)
            partition, seconds = dice.randrange(self.PARTITIONS), dice.uniform(0, 3)
            source = await self.owner(partition)
            target = dice.choice([one for one in await self.masters() if one is not source])
            await self.move(partition, source, target, seconds)

    async def masters(self):
        """Asked just now: one that was a master a moment ago may have been told that it is none."""
        return [one for one in self.servers if one.is_running and await one.ask_role() == "master"]

    async def owner(self, partition):
        await self.learn()
        return next(one for one in self.servers if one.port == self.owners[slot(50 * partition)])

    async def move(self, partition, source, target, seconds, kind="move slot"):
        """The slot of a partition moves key by key, while it is in use."""
        place, began = slot(50 * partition), time.monotonic()
        source_id, target_id = await source.must("CLUSTER", "MYID"), await target.must("CLUSTER", "MYID")
        await target.must("CLUSTER", "SETSLOT", place, "IMPORTING", source_id)
        await source.must("CLUSTER", "SETSLOT", place, "MIGRATING", target_id)
        step = await source.must("CLUSTER", "COUNTKEYSINSLOT", place) // STEPS + 1
        moved = 0
        while keys := await source.must("CLUSTER", "GETKEYSINSLOT", place, step):
            await source.must("MIGRATE", HOST, target.port, "", 0, 5000, "KEYS", *keys)
            moved += len(keys)
            await asyncio.sleep(seconds / STEPS)
        # The target first: whoever is asked meanwhile sends to the source, and that to the target.
        others = [one for one in await self.masters() if one not in (source, target)]
        for one in (target, source, *others):
            await one.must("CLUSTER", "SETSLOT", place, "NODE", target_id)
        self.held[partition].append((time.time(), target.group))
        self.lab.note(kind, f"partition {partition} with {moved} keys from {source.name} to {target.name} in "
                      f"{time.monotonic() - began:.1f} s", count=kind == "move slot")

    async def join_master(self, dice):
        """A new master without anything, not even the function, gets its share of the partitions."""
        async with self.turn:
            if not self.spare:
                return
            await until(self.is_whole, "the cluster is whole", 90)
            one = self.member(len(self.servers), self.spare.pop(), self.spare.pop())
            self.lab.note("join master", one.name)
            await one.start()
            await until(one.ask_role, f"{one.name} answers")
            bus = next(line for line in one.file.read_text().splitlines() if line.startswith("cluster-port"))
            await self.servers[0].must("CLUSTER", "MEET", HOST, one.port, bus.split()[1])
            one.group = one.port
            self.servers.append(one)
            await until(self.is_whole, "the cluster is whole")
            masters = sum(other.role == "master" for other in self.servers if other is not one) + 1
            for _ in range(self.PARTITIONS // masters):
                held = [[p for p in range(self.PARTITIONS) if self.owners[slot(50 * p)] == other.port]
                        for other in self.servers if other is not one]
                partition = dice.choice(max(held, key=len))
                await self.move(partition, await self.owner(partition), one, 0.2, "join master")
                await self.learn()


class ClusterRoute:
    """A publisher's way to whoever owns each topic's partition."""

    def __init__(self, cluster):
        self.cluster, self.clients = cluster, {}

    async def publish(self, commands):
        """A list of [topic, words] to a list of replies, as of RedisClient.pipeline."""
        cluster, batches = self.cluster, {}
        for index, (topic, _) in enumerate(commands):
            batches.setdefault(cluster.owners[slot(cluster.tag(topic))], []).append(index)
        replies = [None] * len(commands)

        async def send(port, indices):
            found = await self.client(port).pipeline([commands[index][1] for index in indices])
            for index, reply in zip(indices, found):
                replies[index] = await self.follow(reply, commands[index][1])
        await asyncio.gather(*(send(port, indices) for port, indices in batches.items()))
        if any(reply is None or isinstance(reply, RuntimeError) for reply in replies):
            await cluster.learn()
        return replies

    def client(self, port):
        return self.clients.setdefault(port, RedisClient(port, 3))

    async def follow(self, reply, words):
        """MOVED is for the next look at the slots; ASK is for this time only."""
        if isinstance(reply, RuntimeError) and str(reply).startswith("ASK "):
            port = int(str(reply).rpartition(":")[2])
            return (await self.client(port).pipeline([("ASKING",), words]))[1]
        return reply
