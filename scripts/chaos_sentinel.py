# SPDX-License-Identifier: Apache-2.0
"""A master, two replicas and three Sentinels, and how they fail over."""
import asyncio
import signal
import time

from chaos_redis import HOST, Redis, RedisClient, Route, Server, free_ports, until

NAME = "mymaster"
PATIENCE = 8  # a failover that was asked for: a Sentinel gives it up where it finds no replica good enough


class Sentinel(Redis):
    FAULTS = {"kill feeds": 1.5, "failover": 0.6, "kill master": 0.6, "zombie": 0.6, "lagging replicas": 0.5,
              "kill sentinel": 0.6, "restart replica": 0.4}

    def __init__(self, lab):
        super().__init__(lab)
        ports = free_ports(6)
        follow = (f"replicaof {HOST} {ports[0]}",)
        self.servers = [Server(lab, f"redis{i}", port, self.SETTINGS + (follow if i else ()))
                        for i, port in enumerate(ports[:3])]
        self.sentinels = [Server(lab, f"sentinel{i}", port, (
            f"sentinel monitor {NAME} {HOST} {ports[0]} 2", f"sentinel down-after-milliseconds {NAME} 1000",
            f"sentinel failover-timeout {NAME} 4000", f"sentinel parallel-syncs {NAME} 2"), "redis-sentinel")
            for i, port in enumerate(ports[3:])]
        self.url = "redis+sentinel://" + ",".join(f"{HOST}:{one.port}" for one in self.sentinels) + f"/{NAME}"

    async def start(self):
        for one in self.servers:
            await one.start()
        await until(self.is_ready_at(self.servers[0], 2), "two replicas")
        for one in self.sentinels:
            await one.start()
        await until(self.is_healthy, "the Sentinels know each other and the replicas")

    def is_ready_at(self, server, replicas):
        async def is_ready():
            reply = await server.ask("ROLE")
            return isinstance(reply, list) and reply[:1] == ["master"] and len(reply[2]) >= replicas
        return is_ready

    async def is_healthy(self):
        """One master with two replicas, and all Sentinels of one mind."""
        masters = {await self.find(one) for one in self.sentinels}
        if len(masters) != 1 or masters == {None}:
            return False
        for one in self.sentinels:
            replicas, others = await one.ask("SENTINEL", "REPLICAS", NAME), await one.ask("SENTINEL", "SENTINELS", NAME)
            if not isinstance(replicas, list) or len(replicas) < 2 or len(others) < 2:
                return False
        return await self.is_ready_at(self.server(masters.pop()), 2)()

    def server(self, port):
        return next(one for one in self.servers if one.port == port)

    async def find(self, sentinel=None):
        """The master's port: of one Sentinel, or of the first that answers."""
        for one in [sentinel] if sentinel else self.sentinels:
            client = RedisClient(one.port, 1)
            reply = await client.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
            client.close()
            if isinstance(reply, list) and reply:
                return int(reply[1])
        return None

    async def ask_owner(self, topic, *words):
        return await self.server(await self.find()).ask(*words)

    def route(self, index):
        return Route(self.find, is_eager=index % 2 == 0)

    # ---- Faults ----

    async def master(self):
        """The master, once the Sentinels could promote a replica of it."""
        async def ready():
            port = await self.find()
            return port and await self.is_ready_at(self.server(port), 1)() and self.server(port)
        return await until(ready, "a master with a replica")

    async def has_moved(self, old, ask=None):
        asked = time.monotonic()

        async def moved():
            nonlocal asked
            if ask and time.monotonic() > asked + PATIENCE:
                asked = time.monotonic()
                await ask()
            ports = [await self.find(one) for one in self.sentinels if one.is_running]
            return all(port not in (None, old.port) for port in ports) and ports[0]
        await until(moved, "another master")

    async def failover(self, dice):
        async with self.loss(0):
            async with self.turn:
                old = await self.master()

                async def is_taken():
                    return await self.sentinels[dice.randrange(3)].ask("SENTINEL", "FAILOVER", NAME) == "OK"
                await until(is_taken, "a Sentinel that starts a failover")
                self.lab.note("failover", f"asked for, {old.name} leaves")
                await self.has_moved(old, is_taken)
            await self.settles(old)

    async def kill_master(self, dice):
        await self.depose("kill master", dice, is_killed=True)

    async def zombie(self, dice):
        await self.depose("zombie", dice, is_killed=False)

    async def lagging_replicas(self, dice):
        """Whoever is promoted lacks what was acknowledged, and heard, in the last seconds."""
        await self.depose("lagging replicas", dice, dice.random() < 0.7, dice.uniform(0.3, 2.5))

    async def depose(self, name, dice, is_killed, lag=0):
        """The master is gone, until some time after another was promoted: then it comes back, and is a second master
        until a Sentinel has told it. Meanwhile its heir may be attacked."""
        pause = dice.uniform(0.2, 3)
        async with self.loss(0):
            async with self.turn:
                old = await self.master()
                others = [one for one in self.servers if one is not old] if lag else []
                for one in others:
                    await one.cut_from_master()
                if lag:
                    self.lab.send_away(dice, lag + pause)
                await asyncio.sleep(lag)
                self.lab.note(name, f"{old.name} {'killed' if is_killed else 'stopped'}, back {pause:.1f} s after the "
                              f"promotion" + (f" of one that is {lag:.1f} s behind" if lag else ""))
                if is_killed:
                    await old.kill()
                else:
                    old.process.send_signal(signal.SIGSTOP)
                await self.has_moved(old)
                for one in others:
                    await one.join_master()
                await asyncio.sleep(pause)
                if is_killed:
                    await old.start()
                else:
                    old.process.send_signal(signal.SIGCONT)
                    self.note_double(0, time.time() - 0.5, time.time() + 1)
            await self.settles(old)

    async def settles(self, old):
        async def is_settled():
            # It may have been promoted again meanwhile.
            return await old.ask_role() == "slave" or await self.find() == old.port
        await until(is_settled, f"{old.name} is a replica", 90)

    async def kill_sentinel(self, dice):
        one, pause = self.sentinels[dice.randrange(3)], dice.uniform(1, 5)
        async with self.turn:
            self.lab.note("kill sentinel", f"{one.name}, back after {pause:.1f} s")
            await one.kill()
            await asyncio.sleep(pause)
            await one.start()
            await until(self.is_healthy, "the Sentinels are of one mind")

    async def restart_replica(self, dice):
        how, pause = dice.choice([signal.SIGTERM, signal.SIGKILL]), dice.uniform(0.2, 3)
        async with self.turn:
            old = await self.master()
            replicas = [one for one in self.servers if one is not old and one.role == "slave"]
            if not replicas:
                return  # a former master is still to be told that it is none
            one = dice.choice(replicas)
            self.lab.note("restart replica", f"{one.name}, {how.name}, back after {pause:.1f} s")
            await one.kill(how)
            await asyncio.sleep(pause)
            await one.start()
