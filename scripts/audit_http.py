# SPDX-License-Identifier: Apache-2.0
"""Attacks of scripts/audit by strangers on the network: HTTP/1, TLS, addresses, connections, streams, the log."""
import contextlib
import socket
import ssl
import subprocess
import threading
import time

import siege_http2 as http2
from audit_lab import HOST, JSON, Stream, eventually, exchange, head, percentile, request, status

ATTACKS = """closed_connections refused_connection one_spelling ambiguous_requests slow_heads refusals_arrive many_topics
    large_events slow_reader unreadable_address wide_prefix told_too_much tls_hellos unread_log many_log_lines""".split()


# ---- What a request costs ----

def closed_connections(lab):
    """A connection that is closed holds nothing."""
    node, memory = lab.node(), []
    pipeline = b"GET / HTTP/1.1\r\nHost:a\r\n\r\n" * 2500
    for _ in range(4):
        for _ in range(100):
            with socket.socket() as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.settimeout(1)
                with contextlib.suppress(OSError):
                    connection.connect((HOST, node.port))
                    connection.sendall(pipeline)
                time.sleep(0.01)
        time.sleep(1)
        memory.append(node.memory())
    # The first round may be what malloc keeps; what grows from round to round is held.
    grown = memory[-1] - memory[0]
    lab.saw(f"memory after each 100 connections: {', '.join(f'{mib:.0f}' for mib in memory)} MiB")
    lab.expect(grown < 45, f"300 closed connections hold {grown:.0f} MiB")


def many_topics(lab):
    """One address that opens topics by the ten thousand is sent away, and others' events come in time."""
    redis = lab.redis()
    node = lab.guarded(redis, "--anonymous", "public.*", "--max-streams-per-address", "1000")
    honest = node.stream("/events?topic=public.honest", source="127.0.0.2").opened()
    waits, done = [], threading.Event()

    def measure():
        number = 0
        while not done.is_set():
            number += 1
            began, text = time.monotonic(), b"event-%d." % number
            redis.client.publish("sluice:topic:public.honest", text)
            waits.append(time.monotonic() - began if honest.wait(text, 5) else 5)
            time.sleep(0.01)
    watcher = threading.Thread(target=measure)
    watcher.start()
    before, streams, began = node.metrics(), [], time.monotonic()
    for number in range(1500):
        query = "&".join(f"topic=public.{number:x}.{topic}" for topic in range(90))
        with contextlib.suppress(OSError):
            streams.append(Stream(node.port, f"/events?last_event_id=earliest&{query}"))
        if len(streams) > 100:
            streams.pop(0).close()
        time.sleep(max(0, began + number / 500 - time.monotonic()))
    done.set()
    watcher.join()
    shed = node.metrics()["streams_shed_total"] - before["streams_shed_total"]
    lab.saw(f"of 1,500 streams of 90 new topics {shed:.0f} were sent away; another's events: p99 {percentile(waits, 0.99) * 1e3:.0f} ms")
    lab.expect(shed >= 500, "one address opens as many topics as it likes")
    lab.expect(percentile(waits, 0.99) < 0.25, "others' events come late")


def large_events(lab):
    """Readers that don't read hold no copies of large events, live or replayed."""
    redis = lab.redis()

    def deaf(target):
        """A node with 200 streams that nobody reads, and its memory before."""
        node = lab.node(redis, "--threads", "2", "--heartbeat", "60s")
        if not redis.client.exists("sluice:topic:log"):
            for _ in range(3):
                redis.client.fcall("sluice_publish", 1, "sluice:topic:log", b"x" * 1_000_000)
        before = node.memory()
        streams = [node.stream(target, receive_buffer=4096) for _ in range(200)]
        eventually(lambda: node.metrics()["streams_opened_total"] >= 200)
        time.sleep(0.5)
        return node, streams, before
    for size in (1_000_000, 650_000):
        node, streams, _ = deaf("/events?topic=live&checkpoints=0")
        before = node.memory()
        for _ in range(3):
            redis.client.publish("sluice:topic:live", b"x" * size)
        time.sleep(2)
        grown = node.memory() - before
        lab.saw(f"3 live events of {size} bytes, 200 streams: +{grown:.0f} MiB")
        lab.expect(grown <= 48, f"a copy of a live event of {size} bytes for each stream")
    node, streams, before = deaf("/events?topic=log&last_event_id=earliest")
    time.sleep(3)
    grown = node.memory() - before
    lab.saw(f"200 streams that resume over 3 events of 1 MB: +{grown:.0f} MiB")
    lab.expect(grown <= 64, "a copy of a replayed event for each stream")
    del streams


def slow_reader(lab):
    """A slow reader of a hundred logs costs Redis and the node in proportion to what it reads."""
    redis = lab.redis()
    node = lab.node(redis)
    pipe = redis.client.pipeline(transaction=False)
    for _ in range(6):
        for topic in range(100):
            pipe.fcall("sluice_publish", 1, f"sluice:topic:w{topic}", b"x" * 50_000)
    pipe.execute()

    def sent():
        return redis.client.info("stats")["total_net_output_bytes"]
    before, memory = sent(), node.memory()
    node.forget_peak()
    reader = node.stream("/events?last_event_id=earliest&" + "&".join(f"topic=w{topic}" for topic in range(100)), receive_buffer=16384)
    got, began = 0, time.monotonic()
    while got < 6_000_000 and time.monotonic() - began < 15:
        got += reader.read(0.02)
        reader.data = b""
        time.sleep(max(0, got / 1e6 - (time.monotonic() - began)))
    times, peak = (sent() - before) / (got + 300_000), node.memory("VmHWM") - memory
    lab.saw(f"{got / 1e6:.1f} MB read; Redis sent {times:.1f} times as much; the node's peak +{peak:.0f} MiB")
    lab.expect(got > 2_000_000, "the reader starves")
    lab.expect(times <= 6, "what was read from Redis is thrown away and read again")
    lab.expect(peak < 64, "a replay takes memory without bound")


# ---- What is served ----

def refused_connection(lab):
    """What a refused connection sends is not carried out."""
    node = lab.node(None, "--proxy-protocol", "--trusted-proxy", HOST, "--max-streams-per-address", "1")
    preamble = b"PROXY TCP4 %s 192.0.2.1 4000 80\r\n"
    listener = node.stream("/events?topic=t", preamble=preamble % b"203.0.113.7").opened()
    with socket.create_connection((HOST, node.port)) as first:
        first.sendall(preamble % b"203.0.113.9")
        time.sleep(0.3)
        body = b'{"topic":"t","data":"from a refused connection"}'
        exchange(node.port, preamble % b"203.0.113.9" + head("POST", "/publish", [JSON], body) + body, 2)
    refused = node.metrics()["connections_refused_total"]
    lab.saw(f"{refused:.0f} refused")
    lab.expect(refused > 0, "the second connection of an address that may have one was not refused")
    lab.expect(not listener.wait(b"from a refused connection", 1), "its publish was carried out")


def one_spelling(lab):
    """A route has one spelling, so that a proxy's rule for it can't be walked around."""
    node, body = lab.node(), b'{"topic":"a","data":"x"}'
    for method, target in (("POST", "/%70ublish"), ("POST", "/publish%2f"), ("POST", "//publish"), ("POST", "/./publish"), ("POST", "/x/../publish"),
                           ("GET", "/%65vents?topic=a"), ("GET", "/pus%68?client_id=a&message=m"), ("DELETE", "/client%73/ann"), ("POST", "/PUBLISH")):
        code = status(exchange(node.port, head(method, target, [JSON], body if method == "POST" else None) + body * (method == "POST"), 1))
        lab.expect(code in (400, 404), f"{method} {target}: {code}")
    lab.expect(node.request("DELETE", "/clients/a%2Fb")[0] == 200, "a client's name may not be encoded any more")
    lab.saw("9 disguises tried")


def ambiguous_requests(lab):
    """What two parsers could read differently is refused, and never a second request."""
    node = lab.node()
    listener = node.stream("/events?topic=smuggled").opened()
    def second(number):
        inner = b'{"topic":"smuggled","data":"try %d."}' % number
        return head("POST", "/publish", [JSON], inner) + inner
    post = b"POST /publish HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    tries = {
        "length and chunks": post + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "chunks twice": post + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "chunks, identity": post + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "hidden chunks": post + b"Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n",
        "chunks with a tab": post + b"Transfer-Encoding:\tchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "two lengths": post + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(second(0)),
        "a list of lengths": post + b"Content-Length: 0, 0\r\n\r\n",
        "a signed length": post + b"Content-Length: +0\r\n\r\n",
        "a hexadecimal length": post + b"Content-Length: 0x0\r\n\r\n",
        "a space before the colon": post + b"Content-Length : 0\r\n\r\n",
        "a folded field": post + b"X: a\r\n Content-Length: 9\r\n\r\n",
        "a bare line feed": post.replace(b"\r\n", b"\n") + b"Content-Length: 0\n\n",
        "a NUL": post + b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
        "two hosts": post + b"Host: b\r\nContent-Length: 0\r\n\r\n",
        "no host": b"POST /publish HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        "a signed chunk": post + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        "a huge chunk": post + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n\r\n",
        "a chunk without its end": post + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
        "another version": post.replace(b"HTTP/1.1", b"HTTP/1.2 x") + b"\r\n",
        "CONNECT": b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    }
    codes = {}
    for number, (name, content) in enumerate(tries.items()):
        codes[name] = status(exchange(node.port, content + second(number), 1))
        lab.expect(codes[name] in (0, 400, 405, 415, 431, 501, 505), f"{name}: {codes[name]}")
    listener.wait(b"never", 1)
    for number, name in enumerate(tries):
        # Two hosts are a bad request, but where it ends is plain.
        lab.expect("host" in name or b"try %d." % number not in listener.data, f"{name}: what follows was carried out")
    lab.saw(", ".join(f"{name} {code}" for name, code in codes.items()))


def refusals_arrive(lab):
    """A refusal reaches a client that is still sending, instead of a reset."""
    node, guarded = lab.node(None, "--max-body", "64KiB"), lab.guarded()
    for name, port, right, headers in (("too large", node.port, 413, []), ("a bad token", guarded.port, 401, [("Authorization", "Bearer a.b.c")])):
        codes = []
        for _ in range(10):
            body = b'{"topic":"t","data":"' + b"x" * 4_000_000 + b'"}'
            codes.append(request(port, "POST", "/publish", [JSON, *headers], body)[0])
        lab.saw(f"{name}: {sorted(set(codes))}")
        lab.expect(set(codes) == {right}, f"{name}: {sorted(codes)} instead of {right}")


def slow_heads(lab):
    """Who trickles a head, or says nothing, is closed in time."""
    node = lab.node(None, "--head-timeout", "1s", "--body-timeout", "1s", "--idle-timeout", "1s")
    for name, content in (("nothing", b""), ("half a head", b"GET / HTTP/1.1\r\nHo"), ("half a preface", http2.PREFACE[:10]),
                          ("half a body", b"POST /publish HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")):
        with socket.create_connection((HOST, node.port)) as connection:
            connection.sendall(content)
            connection.settimeout(8)
            try:
                while connection.recv(4096):
                    pass
            except TimeoutError:
                lab.expect(False, f"{name}: still open")
            except OSError:
                pass
    lab.saw("4 ways")


# ---- Addresses ----

def held_streams(node, addresses, header="X-Forwarded-For"):
    streams = [Stream(node.port, f"/events?topic=t", [(header, address)] if address else []) for address in addresses]
    return sum(stream.is_held for stream in streams)


def unreadable_address(lab):
    """An address that can't be read, or is a proxy's own, is limited too; who is no proxy can't choose its own."""
    for name, settings, addresses in (
            ("unknown", ("--trusted-proxy", HOST), ["unknown"] * 4), ("garbage", ("--trusted-proxy", HOST), [f"x{n}.example" for n in range(4)]),
            ("a client within the proxies' range", ("--trusted-proxy", HOST, "--trusted-proxy", "192.168.0.0/16"), ["192.168.0.9"] * 4),
            ("lies of a stranger", ("--trusted-proxy", "192.0.2.1"), [f"198.51.100.{n}" for n in range(4)])):
        held = held_streams(lab.node(None, *settings, "--max-streams-per-address", "1"), addresses)
        lab.saw(f"{name}: {held} of 4")
        lab.expect(held <= 1, f"{name}: {held} streams where one is allowed")


def wide_prefix(lab):
    """One host that has many IPv6 networks does not have as many limits."""
    node = lab.node(None, "--trusted-proxy", HOST, "--max-streams-per-address", "1")
    streams = [Stream(node.port, "/events?topic=t", [("X-Forwarded-For", f"2001:db8:1:{n:x}::1")]) for n in range(300)]
    eventually(lambda: sum(node.metrics()[f"streams_{kind}_total"] for kind in ("opened", "shed")) >= 300)
    held = node.metrics()["streams"]
    lab.saw(f"{held:.0f} streams of 300 networks of one /48, with a limit of 1")
    lab.expect(held < 300, "each /64 of one /48 has a limit of its own")
    del streams


def told_too_much(lab):
    """No answer has Redis' own words, or the host's name where the node has one of its own."""
    redis = lab.redis("--maxmemory-policy", "noeviction")
    node = lab.node(redis, "--node-id", "n1")
    name = socket.gethostname().encode()
    head_text = node.request("GET", "/healthz")[1]
    lab.expect(not any(name == word for word in head_text.replace(b"-", b" ").replace(b";", b" ").split()), f"the host's name is in the answer: {head_text!r}")
    redis.client.config_set("maxmemory", "100kb")
    answer = node.publish({"topic": "t", "data": "x"})
    lab.saw(f"full: {answer[0]} {answer[2][:120]!r}")
    lab.expect(answer[0] == 503 and b"maxmemory" not in answer[2] and b"OOM" not in answer[2], "Redis' own words when it is full")
    redis.client.config_set("maxmemory", "0")
    redis.client.execute_command("ACL", "SETUSER", "node", "on", ">p", "~*", "&*", "+@all", "-xadd")
    weak = lab.node(redis, login="node:p@")
    answer = weak.publish({"topic": "t", "data": "x"})
    lab.saw(f"without a right: {answer[0]} {answer[2][:120]!r}")
    words = (b"NOPERM", b"xadd", b"ERR ", b"user executing")
    lab.expect(not any(word in answer[2] for word in words), "Redis' own words when a right is missing")


def tls_hellos(lab):
    """Handshakes that are begun and left are counted, and others go on."""
    certificate, key = lab.folder / "tls.pem", lab.folder / "tls.key"
    lab.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-out", certificate, "-keyout", key)
    node = lab.node(None, "--tls-cert", certificate, "--tls-key", key, "--tls-timeout", "2s", "--connection-rate", "100")
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(into, out, server_hostname="localhost").do_handshake()
    hello, waits = out.read(), []
    for number in range(600):
        with contextlib.suppress(OSError), socket.create_connection((HOST, node.port), 2, ("127.0.0.2", 0)) as connection:
            connection.sendall(hello)
            if number % 3:
                connection.recv(4096)
        if number % 50 == 0:
            began = time.monotonic()
            with socket.create_connection((HOST, node.port), 5) as connection, context.wrap_socket(connection, server_hostname="localhost") as secure:
                secure.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                lab.expect(secure.recv(100).startswith(b"HTTP/1.1 200"), "an honest client is not served")
            waits.append(time.monotonic() - began)
    eventually(lambda: node.metrics()["connections"] == 0, 5)
    counts = node.metrics()
    told = counts["tls_handshakes_failed_total"] + counts["connections_refused_total"] + counts["connections_timed_out_total"]
    lab.expect(counts["connections_refused_total"] > 0, "one address may begin as many handshakes as it likes")
    lab.saw(f"600 hellos: {told:.0f} counted, {counts['connections_refused_total']:.0f} of them refused; an honest handshake took {max(waits) * 1e3:.0f} ms at most; {counts['connections']:.0f} still open")
    lab.expect(told >= 300, "nothing counts handshakes that are left")
    lab.expect(counts["connections"] == 0, "they stay open")


# ---- The log ----

def no_channels(redis):
    """A user who may have few channels; each stream of many others makes lines."""
    redis.client.execute_command("ACL", "SETUSER", "n", "on", ">p", "~*", "+@all", "resetchannels", "&sluice:topic:open*", "&sluice:all",
                                 "&sluice:control", "&sluice:node:*", "&sluice:client:*")
    return "n:p@"


def refused_channels(node):
    streams = [node.stream("/events?" + "&".join(f"topic=no-{number}-{k}" for k in range(6))) for number in range(100)]
    eventually(lambda: all(stream.read() or stream.data for stream in streams), 3)
    return streams


def unread_log(lab):
    """A node whose log nobody reads serves."""
    redis = lab.redis()
    node = lab.node(redis, login=no_channels(redis), unread_log=subprocess.PIPE)
    allowed = node.stream("/events?topic=open1").opened()
    streams = refused_channels(node)
    redis.client.publish("sluice:topic:open1", "hello")
    code = node.request("GET", "/healthz", seconds=4)[0]
    lab.saw(f"/healthz {code}")
    lab.expect(code == 200 and allowed.wait(b"hello", 4), "a loop waits for whoever reads the log")
    del streams


def many_log_lines(lab):
    """What strangers cause makes some lines, not one each."""
    redis = lab.redis()
    node = lab.node(redis, login=no_channels(redis))
    streams = refused_channels(node)
    time.sleep(0.5)
    lines = node.log.splitlines()
    lab.saw(f"600 refused channels: {len(lines)} lines")
    lab.expect(len(lines) <= 40, f"{len(lines)} lines: {lines[-1]}")
    del streams
