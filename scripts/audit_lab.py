# SPDX-License-Identifier: Apache-2.0
"""What scripts/audit stands on: Redis servers, nodes and load balancers of an attack's own, on loopback and on ports of the
system's choice; clients of HTTP/1.1 and HTTP/2 that send what they are told, also what no client should; tokens."""
import base64
import collections
import contextlib
import ctypes
import hashlib
import hmac
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import redis
import siege_http2 as http2

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
SECRET = b"0123456789abcdef0123456789abcdef"
JSON = ("Content-Type", "application/json")
C_LIBRARY = ctypes.CDLL(None, use_errno=True)
MIB = 1 << 20


class Trouble(Exception):
    """The attack could not be made; that says nothing of the node."""


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def eventually(condition, seconds=10):
    """Waits for a condition; returns what it was last."""
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return value


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("inf")


class Lab:
    """The servers of one attack, and what was seen. All that it has started dies with it, or with this process."""

    def __init__(self, binary):
        self.binary, self.processes, self.problems, self.seen = str(binary), [], [], []

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sluice-audit-"))
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def saw(self, text):
        self.seen.append(text)

    def expect(self, is_right, problem):
        if not is_right:
            self.problems.append(problem)

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(0o600)
        return path

    def run(self, *words, **options):
        return subprocess.run([str(word) for word in words], check=True, capture_output=True, **options).stdout

    def spawn(self, words, **options):
        variables = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE")}
        process = subprocess.Popen(
            [str(word) for word in words], env=variables, stdin=subprocess.DEVNULL, cwd=self.folder, process_group=0,
            preexec_fn=lambda: C_LIBRARY.prctl(1, signal.SIGKILL), **options)
        self.processes.append(process)
        return process

    def redis(self, *options):
        for _ in range(5):
            server = Redis(self, options)
            if server.is_up():
                return server
        raise Trouble("redis-server does not start")

    def node(self, redis=None, *settings, **options):
        node = Node(self, redis, settings, **options)
        if not node.is_ready():
            raise Trouble(f"the node does not start: {node.log[-300:]}")
        return node

    def guarded(self, redis=None, *settings):
        """A node that asks for tokens of SECRET."""
        return self.node(redis, "--auth", "jwt", "--jwt-key", self.file("secret", SECRET), *settings)

    def balancer(self, kind, node):
        """The shipped configuration in front of a node; its port."""
        if not shutil.which(kind):
            raise Trouble(f"{kind} is missing")
        port, folder = free_port(), self.folder / f"{kind}-{node.port}"
        folder.mkdir()
        config = self.file(f"{kind}-{node.port}.conf", self.run(
            ROOT / "scripts/render-lb", kind, "--listen", f"{HOST}:{port}", "--node", f"{HOST}:{node.port}", "--dir", folder))
        words = ["nginx", "-e", "stderr", "-c", config] if kind == "nginx" else ["haproxy", "-db", "-f", config]
        with open(folder / "log", "wb") as log:
            self.spawn(words, stdout=log, stderr=log)
        if not eventually(lambda: request(port, "GET", "/healthz")[0] == 200, 15):
            raise Trouble(f"{kind} does not start: {(folder / 'log').read_text()[-300:]}")
        return port


class Redis:
    def __init__(self, lab, options):
        self.port = free_port()
        with open(lab.folder / f"redis-{self.port}.log", "wb") as log:
            self.process = lab.spawn(
                ["redis-server", "--port", self.port, "--bind", HOST, "--save", "", "--appendonly", "no", "--dir", lab.folder,
                 *options], stdout=log, stderr=log)
        self.client = redis.Redis(port=self.port, socket_timeout=10)

    def is_up(self):
        def answers():
            with contextlib.suppress(redis.ConnectionError):
                try:
                    return self.client.ping()
                except (redis.AuthenticationError, redis.ResponseError):
                    return True
        return eventually(lambda: self.process.poll() is not None or answers(), 8) and self.process.poll() is None

    def user(self, name, *rights):
        """A client with these rights only."""
        self.client.execute_command("ACL", "SETUSER", name, "on", ">p", "resetkeys", "resetchannels", "-@all", *rights)
        return redis.Redis(port=self.port, username=name, password="p", socket_timeout=10)

    def clock(self):
        """In seconds."""
        return int(self.client.hget("sluice:clock", "last").split(b"-")[0]) / 1000


class Node:
    def __init__(self, lab, redis, settings, login="", listen=f"{HOST}:0", unread_log=False):
        self.out, self.err = lab.folder / f"node-{len(lab.processes)}.out", lab.folder / f"node-{len(lab.processes)}.err"
        words = [lab.binary, "serve", "--listen", listen, "--admin-listen", f"{HOST}:0", *settings]
        if redis:
            words += ["--redis", f"redis://{login}{HOST}:{redis.port}"]
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = lab.spawn(words, stdout=out, stderr=unread_log or err)

    def is_ready(self):
        eventually(lambda: self.process.poll() is not None or "sluice ready" in self.out.read_text(), 15)
        line = self.out.read_text()
        if "sluice ready" not in line:
            return False
        words = dict(word.split("=", 1) for word in line.split()[2:])
        self.port, self.admin = (int(words[name].rpartition(":")[2]) for name in ("listen", "admin"))
        return True

    @property
    def log(self):
        return self.err.read_text(errors="replace")

    def metrics(self):
        """Each number by its name, with its labels, and the sum over all labels by the bare name."""
        counts = collections.Counter()
        for line in request(self.admin, "GET", "/metrics")[2].decode().splitlines():
            if line.startswith("sluice_"):
                name, value = line.removeprefix("sluice_").split()
                for name in {name, name.partition("{")[0]}:
                    counts[name] += float(value)
        return dict(counts)  # a name that no metric has is an error, and not 0, which may be what is hoped for

    def cpu(self):
        """User and system time so far, in seconds."""
        words = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, field="VmRSS"):
        """In MiB."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":"))

    def forget_peak(self):
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def request(self, method, target, headers=(), body=None, seconds=10):
        return request(self.port, method, target, headers, body, seconds)

    def publish(self, message, *headers):
        return self.request("POST", "/publish", [JSON, *headers], json.dumps(message).encode())

    def stream(self, target, *headers, **options):
        return Stream(self.port, target, headers, **options)


def head(method, target, headers=(), body=None, host=HOST):
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"] + [f"{name}: {value}" for name, value in headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def status(answer):
    """0: there is none."""
    words = answer.split(b" ", 2)
    return int(words[1]) if answer.startswith(b"HTTP/1.") and len(words) > 1 and words[1][:3].isdigit() else 0


def exchange(port, content, seconds=5, source=None):
    """Sends bytes; returns all that comes until the end, or until nothing more comes."""
    answer = b""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), seconds, source and (source, 0)) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(content)
        while part := connection.recv(65536):
            answer += part
    return answer


def request(port, method, target, headers=(), body=None, seconds=10):
    """Status (0: no answer), head and body."""
    answer = exchange(port, head(method, target, [*headers, ("Connection", "close")], body) + (body or b""), seconds)
    top, _, rest = answer.partition(b"\r\n\r\n")
    return status(top), top, rest


class Stream:
    """A stream over HTTP/1.1, read when it is waited for; `data` is what has come, with its head and chunks."""

    def __init__(self, port, target, headers=(), receive_buffer=None, source=None, preamble=b""):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.socket.bind((source, 0))
        self.socket.settimeout(5)
        self.socket.connect((HOST, port))
        self.data, self.is_over = b"", False
        with contextlib.suppress(OSError):
            self.socket.sendall(preamble + head("GET", target, headers))

    def read(self, seconds=0.0):
        if not self.is_over and select.select([self.socket], [], [], seconds)[0]:
            part = b""
            with contextlib.suppress(OSError):
                part = self.socket.recv(1 << 18)
            self.data += part
            self.is_over = not part
            return len(part)
        return 0

    def wait(self, text, seconds=5):
        end = time.monotonic() + seconds
        while text not in self.data and not self.is_over and (left := end - time.monotonic()) > 0:
            self.read(left)
        return text in self.data

    def opened(self):
        if not self.wait(b"event: checkpoint"):
            raise Trouble(f"a stream does not open: {self.data[:100]}")
        return self

    @property
    def status(self):
        self.wait(b"\r\n\r\n")
        return status(self.data)

    @property
    def is_held(self):
        """Open, and not sent away."""
        return self.status == 200 and self.wait(b"event: checkpoint", 3) and not self.is_over

    def close(self):
        self.socket.close()


class HTTP2:
    """One connection without TLS. `data` and `ended` are by stream."""

    def __init__(self, port):
        self.socket = socket.create_connection((HOST, port), 5)
        self.reader, self.next, self.is_over, self.goaway = http2.FrameReader(), 1, False, None
        self.data, self.ended = {}, set()
        self.send(http2.PREFACE + http2.settings(initial_window_size=1 << 24) + http2.window_update(0, 1 << 28))

    def send(self, content):
        self.socket.settimeout(5)
        try:
            self.socket.sendall(content)
        except OSError:
            self.is_over = True

    def request(self, target, *headers, block=None):
        stream, self.next = self.next, self.next + 2
        self.data[stream] = b""
        flags = http2.END_HEADERS | http2.END_STREAM
        self.send(http2.frame(http2.HEADERS, flags, stream, block or http2.get(target, "http", HOST, *headers)))
        return stream

    def read(self, seconds=0.0):
        if self.is_over or not select.select([self.socket], [], [], seconds)[0]:
            return
        content = b""
        with contextlib.suppress(OSError):
            content = self.socket.recv(1 << 18)
        self.is_over = not content
        answer = b""
        for kind, flags, stream, payload in self.reader.feed(content):
            if kind == http2.DATA:
                self.data[stream] = self.data.get(stream, b"") + payload
                answer += http2.window_update(0, len(payload)) if payload else b""
            elif kind in (http2.SETTINGS, http2.PING) and not flags & http2.ACK:
                answer += http2.frame(kind, http2.ACK, 0, payload if kind == http2.PING else b"")
            elif kind == http2.GOAWAY:
                self.goaway = payload
            if kind == http2.RST_STREAM or kind in (http2.DATA, http2.HEADERS) and flags & http2.END_STREAM:
                self.ended.add(stream)
        if answer:
            self.send(answer)

    def wait(self, condition, seconds=5):
        end = time.monotonic() + seconds
        while not condition() and not self.is_over and (left := end - time.monotonic()) > 0:
            self.read(min(left, 0.1))
        return condition()


def encoded(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def signing_input(claims, header):
    return ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))


def token(secret=SECRET, **claims):
    """An HS256 token. `header`: of the token, beside `alg`."""
    header = {"alg": "HS256", "typ": "JWT"} | claims.pop("header", {})
    text = signing_input({"exp": int(time.time()) + 600} | claims, header)
    return f"{text}.{encoded(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def may(subscribe=(), publish=(), admin=False, **claims):
    """The header of a token with these rights."""
    rights = {"subscribe": list(subscribe), "publish": list(publish), "admin": admin}
    return "Authorization", "Bearer " + token(sluice=rights, **claims)
