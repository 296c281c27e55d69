# SPDX-License-Identifier: Apache-2.0
"""One Redis, and what the other kinds share with it: servers, a client, a watch on masters, the way to publish."""
import asyncio
import contextlib
import random
import shutil
import signal
import socket
import time

HOST = "127.0.0.1"
PAGE = 100  # entries of a log that are read at once
ASK_SECONDS = 5


class RedisClient:
    """Just enough of RESP. Any failure closes it; the next command connects anew."""
    FAILURES = (OSError, EOFError, asyncio.TimeoutError)

    def __init__(self, port, seconds=10):
        self.port, self.seconds, self.streams, self.turn = port, seconds, None, asyncio.Lock()

    async def pipeline(self, commands):
        """A reply for each. An error is returned, not raised; None is for what the connection did not live to see."""
        replies = []
        try:
            async with self.turn, asyncio.timeout(self.seconds):
                self.streams = self.streams or await asyncio.open_connection(HOST, self.port, limit=1 << 20)
                reader, writer = self.streams
                for words in commands:
                    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
                    writer.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
                for _ in commands:
                    replies.append(await self.reply(reader))
        except BaseException as error:
            self.close()
            if not isinstance(error, self.FAILURES):
                raise
        return replies + [None] * (len(commands) - len(replies))

    async def ask(self, *words):
        return (await self.pipeline([words]))[0]

    def close(self):
        if self.streams:
            self.streams[1].close()
        self.streams = None

    async def reply(self, reader):
        line = (await reader.readuntil(b"\r\n"))[:-2].decode()
        kind, rest = line[0], line[1:]
        if kind == "$":
            return "" if rest == "-1" else (await reader.readexactly(int(rest) + 2))[:-2].decode()
        if kind == "*":
            return [await self.reply(reader) for _ in range(max(0, int(rest)))]
        return {":": int, "+": str}.get(kind, RuntimeError)(rest)


def free_ports(count):
    """Below the range from which the kernel takes ports for outgoing connections: whoever was killed must find its port
    free again."""
    found = set()
    while len(found) < count:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port := random.SystemRandom().randrange(20000, 32000)))
            found.add(port)
    return list(found)


class Server:
    """A redis-server with a folder of its own, which it finds again when it comes back."""

    def __init__(self, lab, name, port, settings, program="redis-server"):
        self.lab, self.name, self.port, self.program, self.process = lab, name, port, program, None
        self.client, self.role, self.answered, self.group = RedisClient(port, ASK_SECONDS), None, 0, 0
        self.folder = lab.folder / name
        self.folder.mkdir()
        self.file = self.folder / "server.conf"  # Sentinel has it rewritten, so it is written once
        self.file.write_text("".join(f"{line}\n" for line in (
            f"port {port}", f"bind {HOST}", f"dir {self.folder}", *settings)))

    async def start(self):
        self.role = None
        self.process = await self.lab.spawn(f"{self.name}.log", self.program, self.file)

    async def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        await self.process.wait()

    @property
    def is_running(self):
        return self.process.returncode is None

    async def ask(self, *words):
        return await self.client.ask(*words)

    async def ask_role(self):
        reply = await self.ask("ROLE")
        return reply[0] if isinstance(reply, list) and reply else None

    async def must(self, *words):
        """For what changes the deployment. Asked again if no answer came: Sentinels cut connections, and one that has just
        woken up is slow."""
        for _ in range(50):
            reply = await self.ask(*words)
            if isinstance(reply, RuntimeError):
                break
            if reply is not None:
                return reply
            await asyncio.sleep(0.2)
        raise RuntimeError(f"{self.name} answers {' '.join(map(str, words))} with {reply}")

    async def cut_from_master(self):
        await self.must("CONFIG", "SET", "masterauth", "wrong")  # it comes back, and is sent away
        await self.must("CLIENT", "KILL", "TYPE", "master")

    async def join_master(self):
        await self.must("CONFIG", "SET", "masterauth", "")
        await self.must("CONFIG", "REWRITE")  # a Sentinel had the wrong one written


async def until(condition, what, seconds=60):
    """Waits for a condition of the deployment; what never comes true ends the run."""
    deadline = time.monotonic() + seconds
    while not (answer := await condition()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {seconds} s")
        await asyncio.sleep(0.1)
    return answer


class Redis:
    """What all kinds have. When there were promotions, two masters, or losses is for the checker."""
    PARTITIONS = 1
    SETTINGS = ("save \"\"", "appendonly yes", "repl-diskless-sync-delay 0")

    def __init__(self, lab):
        self.lab, self.servers, self.turn = lab, [], asyncio.Lock()  # one change of the deployment at a time
        self.promotions, self.doubles, self.losses = [], [], []

    def partition(self, target):
        """Of `topic:news` or `all`."""
        return 0

    def group(self, target, at):
        """Which servers held the target at that time: the number that they have in common."""
        return 0

    def shares(self, topics):
        """Which topics have a publisher in common."""
        return [topics[i::4] for i in range(4) if topics[i::4]]

    def key(self, topic):
        return f"sluice:topic:{topic}"

    def words(self, topic, data, token, maxlen):
        return ("FCALL", "sluice_publish", 1, self.key(topic), data, "once", token, "maxlen", maxlen, "ttl", 86400)

    async def log(self, topic):
        """All that the log holds in the end, as (id, data)."""
        found, start = [], "-"
        while True:
            reply = await self.ask_owner(topic, "XRANGE", self.key(topic), start, "+", "COUNT", PAGE)
            if not isinstance(reply, list):
                raise RuntimeError(f"the log of {topic} can't be read: {reply}")
            for id, fields in reply:
                found.append((id, dict(zip(fields[::2], fields[1::2]))["d"]))
            if len(reply) < PAGE:
                return found
            start = f"({found[-1][0]}"

    async def watch(self):
        """Who calls itself master, five times a second."""
        while True:
            await asyncio.gather(asyncio.sleep(0.2), *(self.look(one) for one in self.servers if one.process))

    async def look(self, server):
        reply, now = await server.client.ask("ROLE"), time.time()
        if not isinstance(reply, list) or not reply:
            return
        if reply[0] == "master" and server.role == "slave":
            self.promotions.append((now, server.group))
        server.role, server.answered = reply[0], now
        others = [one for one in self.servers if one.group == server.group and one is not server]
        if server.role == "master" and any(one.role == "master" and now - one.answered < 0.5 for one in others):
            self.note_double(server.group, now - 0.5, now + 0.5)

    def note_double(self, group, start, end):
        """Two servers call themselves master."""
        last = next((one for one in reversed(self.doubles) if one[0] == group and one[2] > start - 1), None)
        if last:
            last[2] = max(last[2], end)
        else:
            self.doubles.append([group, start, end])

    @contextlib.asynccontextmanager
    async def loss(self, group):
        """While this lasts an acknowledged event may be lost: replication is asynchronous."""
        window = [group, time.time() - 2, float("inf")]
        self.losses.append(window)
        yield
        window[2] = time.time() + 2

    async def kill_feeds(self, dice):
        while True:
            killed = [await server.ask("CLIENT", "KILL", "TYPE", "pubsub")
                      for server in self.servers if server.role == "master" and server.is_running]
            count = sum(one for one in killed if isinstance(one, int))
            if count:
                return self.lab.note("kill feeds", f"{count} connections")
            await asyncio.sleep(0.3)  # Redis is away, or nobody has come back to it


class Single(Redis):
    # How often each fault comes in a minute; a short run has at least one of each.
    FAULTS = {"kill feeds": 2.2, "restart redis": 0.7, "older file": 0.4}

    def __init__(self, lab):
        super().__init__(lab)
        self.server = Server(lab, "redis", free_ports(1)[0], (*self.SETTINGS, "appendfsync always"))
        self.servers = [self.server]
        self.url = f"redis://{HOST}:{self.server.port}"

    async def start(self):
        await self.server.start()
        await until(self.is_healthy, "Redis answers")

    async def is_healthy(self):
        return isinstance(await self.server.ask("ROLE"), list)

    async def ask_owner(self, topic, *words):
        return await self.server.ask(*words)

    def route(self, index):
        return Route(self.find)

    async def find(self):
        return self.server.port

    async def restart_redis(self, dice):
        how, pause = dice.choice([signal.SIGTERM, signal.SIGKILL]), dice.uniform(0.2, 3)
        async with self.turn:
            self.lab.note("restart redis", f"{how.name}, back after {pause:.1f} s")
            await self.server.kill(how)
            await asyncio.sleep(pause)
            await self.server.start()

    async def older_file(self, dice):
        """Redis comes back with what it had some seconds ago."""
        age, pause = dice.uniform(0.5, 3), dice.uniform(0.2, 2)
        folder, copy = self.server.folder / "appendonlydir", self.server.folder / "copy"
        async with self.turn:
            await until(self.is_healthy, "Redis answers")
            async with self.loss(0):
                self.server.process.send_signal(signal.SIGSTOP)  # or the copy would be of several moments
                shutil.copytree(folder, copy)
                self.server.process.send_signal(signal.SIGCONT)
                self.lab.send_away(dice, age + pause)
                await asyncio.sleep(age)
                self.lab.note("older file", f"of {age:.1f} s ago, back after {pause:.1f} s")
                await self.server.kill()
                shutil.rmtree(folder)
                copy.rename(folder)
                await asyncio.sleep(pause)
                await self.server.start()
                await until(self.is_healthy, "Redis answers")
                self.promotions.append((time.time(), 0))


class Route:
    """A publisher's way to the one server that `find` names: until an error, or looked up again every second."""

    def __init__(self, find, is_eager=False):
        self.find, self.is_eager, self.client, self.looked = find, is_eager, None, 0

    async def publish(self, commands):
        """A list of [topic, words] to a list of replies, as of RedisClient.pipeline."""
        if not self.client or self.is_eager and time.monotonic() - self.looked > 1:
            port, self.looked = await self.find(), time.monotonic()
            if not port:
                return [RuntimeError("no master")] * len(commands)  # nothing was sent
            if not self.client or self.client.port != port:
                if self.client:
                    self.client.close()
                self.client = RedisClient(port)
        replies = await self.client.pipeline([words for _, words in commands])
        if any(reply is None or isinstance(reply, RuntimeError) for reply in replies):
            self.client.close()
            self.client = None
        return replies
