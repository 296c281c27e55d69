# SPDX-License-Identifier: Apache-2.0
"""Attacks of scripts/audit over HTTP/2: what its compression, its resets and its frames let a stranger do for little."""
import siege_http2 as http2
from audit_lab import HOST, HTTP2

ATTACKS = "long_fields clients_that_leave rapid_resets frame_floods".split()


def integer(value, bits, first):
    """RFC 7541 §5.1."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([first | value])
    out, value = bytes([first | limit]), value - limit
    while value >= 128:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def indexed(name, value):
    """A field that goes into the decoder's table, by the index of its name in the static one."""
    return integer(name, 6, 0x40) + integer(len(value), 7, 0) + value


def cost(node, first, again, count=400):
    """CPU ms of the node for each of `count` requests, 50 at a time, and whether it ended the connection."""
    connection = HTTP2(node.port)
    # Answered, so that our acknowledgement of its settings is there, too: before that a node takes heads of 16 KiB only.
    one = connection.request("", block=first)
    connection.wait(lambda: one in connection.ended, 5)
    before = node.cpu()
    while connection.next < 2 * count and not connection.is_over:
        while connection.next - 2 * len(connection.ended) < 100:
            connection.request("", block=again)
        connection.read(0.05)
    connection.wait(lambda: len(connection.ended) * 2 + 1 >= connection.next, 20)
    made = max(1, len(connection.ended))
    connection.socket.close()
    return (node.cpu() - before) / made * 1000, connection.is_over


def long_fields(lab):
    """A byte of HPACK that names a field of 4 kB costs no more than a field of 4 kB has to."""
    base = b"\x82\x86\x01\x01a"  # :method GET, :scheme http, :authority a
    path = b"\x04\x08/healthz"
    jwt, plain = lab.guarded(None, "--threads", "1"), lab.node(None, "--threads", "1")
    small, _ = cost(jwt, base + path + indexed(32, b"a=b"), base + path + b"\xbe" * 7)
    for name, node, first, again in (
            ("seven cookies of 4 kB", jwt, base + path + indexed(32, b"=;" * 2010), base + path + b"\xbe" * 7),
            ("an origin of 4 kB", jwt, base + path + indexed(20, b"origin"), base + path + b"\xbe"),
            ("a query of 1,330 fields", plain, base + indexed(4, b"/healthz?" + b"a=&" * 1330), base + b"\xbe")):
        each, is_ended = cost(node, first, again)
        lab.saw(f"{name}: {each:.2f} ms of CPU a request{', ended' if is_ended else ''} (control {small:.2f})")
        lab.expect(each <= max(0.3, 4 * small), f"{name} cost {each:.2f} ms each, a small one {small:.2f}")


def clients_that_leave(lab):
    """Clients that leave one after the other don't end the streams that share a load balancer's connection with them."""
    redis = lab.redis()
    node = lab.node(redis)
    connection = HTTP2(node.port)
    stay = [connection.request("/events?topic=k") for _ in range(5)]
    connection.wait(lambda: all(b"retry" in connection.data[one] for one in stay))
    left = 0
    while left < 400 and not connection.is_over and not connection.goaway:
        one = connection.request("/events?topic=x")
        connection.wait(lambda: b"retry" in connection.data[one] or one in connection.ended)
        connection.send(http2.reset(one))
        left += 1
    redis.client.publish("sluice:topic:k", "still here")
    got = connection.wait(lambda: all(b"still here" in connection.data[one] for one in stay), 3)
    lab.saw(f"{left} left; GOAWAY {connection.goaway}")
    lab.expect(got, f"after {left} clients that left, the others' connection was ended")


def rapid_resets(lab):
    """Who resets requests before they are answered loses the connection, and costs little."""
    node = lab.node(None, "--threads", "1")
    connection, before = HTTP2(node.port), node.cpu()
    block = http2.get("/events?topic=a", "http", HOST)
    sent = 0
    while sent < 20_000 and not connection.is_over and not connection.goaway:
        burst = b""
        for _ in range(50):
            burst += http2.frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, connection.next, block) + http2.reset(connection.next)
            connection.next += 2
        connection.send(burst)
        sent += 50
        connection.read(0.002)
    is_ended = connection.wait(lambda: connection.is_over or connection.goaway, 3)
    lab.saw(f"{sent} resets sent, {node.cpu() - before:.2f} s of CPU, {'ended' if is_ended else 'still open'}")
    lab.expect(is_ended, "20,000 resets on one connection")
    lab.expect(node.request("GET", "/healthz")[0] == 200, "nobody is served after it")


def frame_floods(lab):
    """Floods of frames that cost the sender nothing end their connection."""
    node = lab.node(None, "--threads", "1")
    request_block = http2.get("/healthz", "http", HOST)
    floods = {
        "SETTINGS": lambda n: http2.settings(initial_window_size=n % 1000),
        "PING": lambda n: http2.frame(http2.PING, payload=n.to_bytes(8, "big")),
        "CONTINUATION": lambda n: http2.frame(http2.CONTINUATION if n else http2.HEADERS, 0, 1, b"" if n else request_block),
        "windows that overflow": lambda n: http2.window_update(0, http2.WINDOW_MAX),
        "DATA for nobody": lambda n: http2.frame(http2.DATA, 0, 99, b"?"),
    }
    for name, flood in floods.items():
        connection, number = HTTP2(node.port), 0
        while number < 100_000 and not connection.is_over and not connection.goaway:
            connection.send(b"".join(map(flood, range(number, number + 100))))
            connection.read(0.002)
            number += 100
        lab.saw(f"{name}: {number}")
        lab.expect(connection.wait(lambda: connection.is_over or connection.goaway, 3), f"{name}: {number} frames on one connection")
