# SPDX-License-Identifier: Apache-2.0
"""Attacks of scripts/audit on what is shipped around a node: the files of nginx and HAProxy, and what a build is made of."""
import contextlib
import re
import socket
import time

from audit_lab import HOST, JSON, ROOT, Stream, exchange, head, may, request, status

ATTACKS = "body_in_a_balancer balancer_spellings balancer_addresses balancer_smuggling balancer_refusals balancer_secrets pinned_versions".split()
BALANCERS = ("nginx", "haproxy")


def body_in_a_balancer(lab):
    """A stranger's body is refused while it is still to come, and fills no disk of a load balancer."""
    node = lab.guarded(None, "--trusted-proxy", HOST)
    for kind in BALANCERS:
        port = lab.balancer(kind, node)
        for target in ("/publish", "/push?client_id=a&message=m", "/nothing"):
            with socket.create_connection((HOST, port), 8) as connection:
                content_type = "application/x-www-form-urlencoded" if "push" in target else JSON[1]
                connection.sendall(head("POST", target, [("Content-Type", content_type), ("Content-Length", "8000000")]) + b"{" * 100_000)
                answer = b""
                with contextlib.suppress(OSError):
                    answer = connection.recv(4096)
            lab.expect(status(answer) in (401, 404, 405), f"{kind}, {target}: {status(answer) or 'no answer while the body is to come'}")
        kept = [str(path) for path in lab.folder.glob(f"{kind}-{node.port}/body/**/*") if path.is_file()]
        lab.expect(not kept, f"{kind} keeps {kept}")
    lab.saw("3 targets on each")


def balancer_spellings(lab):
    """A disguised route is refused behind a load balancer, too; a stream by its name is one."""
    node = lab.node(None, "--trusted-proxy", HOST)
    ports = {kind: lab.balancer(kind, node) for kind in BALANCERS}
    for kind, port in ports.items():
        for target in ("/%65vents?topic=a", "/%73tream?topic=a", "/%70ublish", "//publish", "/x/../publish"):
            method = "POST" if "ublish" in target else "GET"
            body = b'{"topic":"a","data":"x"}' if method == "POST" else None
            code = status(exchange(port, head(method, target, [JSON], body) + (body or b""), 1))
            # nginx itself makes one spelling of some; what reaches a node as /publish went through nginx' rule for it.
            lab.expect(code in (400, 404) or kind == "nginx" and code == 200, f"{kind}, {method} {target}: {code}")
        for target in ("/events?topic=a", "/events/?topic=a", "/sse?client_id=a", "/stream?user_id=a", "/stream/?user_id=a"):
            held = Stream(port, target).is_held
            lab.expect(held, f"{kind}, {target}: no stream")
    node.process.kill()
    for kind, port in ports.items():
        for target in ("/events?topic=a", "/events/?topic=a", "/stream?user_id=a"):
            stream = Stream(port, target)
            stream.wait(b"retry:", 10)
            lab.expect(stream.status == 200 and b"retry:" in stream.data, f"{kind}, {target} without a node: {stream.data[:60]!r}")
    lab.saw("13 targets on each")


def balancer_addresses(lab):
    """A client is counted under the address that it has, whatever it says."""
    node = lab.node(None, "--trusted-proxy", HOST, "--max-streams-per-address", "2")
    for kind in BALANCERS:
        port = lab.balancer(kind, node)
        held = [Stream(port, "/events?topic=t", [(name, f"for=192.0.2.{n}" if name == "Forwarded" else f"192.0.2.{n}")], source="127.0.0.2")
                for n, name in enumerate(("X-Forwarded-For", "Forwarded", "x-forwarded-for", "X-Forwarded-For"))]
        count = sum(stream.is_held for stream in held)
        other = Stream(port, "/events?topic=t", source="127.0.0.3")
        lab.expect(count == 2, f"{kind}: {count} streams of one address that may have two")
        lab.expect(other.is_held, f"{kind}: another address is limited as well")
        for stream in (*held, other):
            stream.close()
        time.sleep(1)
    lab.saw("four lies on each")


def balancer_smuggling(lab):
    """What two parsers could read differently carries no second request through a load balancer."""
    node = lab.node(None, "--trusted-proxy", HOST)
    listener = node.stream("/events?topic=smuggled").opened()
    inner = b'{"topic":"smuggled","data":"x"}'
    second = head("POST", "/publish", [JSON], inner) + inner
    post = b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(second), second)
    tries = [
        post + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (5 + len(second)) + second,
        post + b"Content-Length: %d\r\nTransfer-Encoding : chunked\r\n\r\n" % len(second) + second,
        post + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n" + chunk,
        post + b"Transfer-Encoding:\x0bchunked\r\nContent-Length: %d\r\n\r\n" % len(second) + second,
        post + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(second) + second,
        post + b"Content-Length: %d\r\n\r\n" % len(second) + second,
    ]
    for kind in BALANCERS:
        port = lab.balancer(kind, node)
        for number, content in enumerate(tries):
            answer = exchange(port, content, 1)
            count = len(re.findall(rb"HTTP/1\.1 200", answer))
            lab.expect(count == 0, f"{kind}, try {number + 1}: answered as a request of its own")
    lab.expect(not listener.wait(b"data: x", 0.5), "a smuggled request was carried out")
    lab.saw(f"{len(tries)} tries on each")


def balancer_refusals(lab):
    """A node's refusal of a body that is still being sent reaches the client through a load balancer."""
    node = lab.guarded(None, "--trusted-proxy", HOST)
    for kind in BALANCERS:
        port = lab.balancer(kind, node)
        for name, right, size, headers in (("a bad token", 401, 4_000_000, [("Authorization", "Bearer a.b.c")]),
                                           ("too large", 413, 8_900_000, [may(publish=["*"])])):
            body = b'{"topic":"t","data":"' + b"x" * size + b'"}'
            codes = sorted(request(port, "POST", "/publish", [JSON, *headers], body)[0] for _ in range(8))
            lab.saw(f"{kind}, {name}: {sorted(set(codes))}")
            lab.expect(set(codes) == {right}, f"{kind}, {name}: {codes}")


def balancer_secrets(lab):
    """A token in a URL is in no log: neither the node's nor the load balancer's, whatever goes wrong."""
    node = lab.node(None, "--trusted-proxy", HOST, "--log-level", "trace")
    for kind in BALANCERS:
        port = lab.balancer(kind, node)
        for target in ("/events", "/publish", "/nothing", "/%zz", "/events/" + "a" * 9000):
            exchange(port, head("GET", f"{target}?access_token=s3cr3t-t0ken"), 1)
        time.sleep(6)  # nginx writes its log every 5 s
        logs = "".join(path.read_text(errors="replace") for path in lab.folder.glob(f"{kind}-{node.port}/*") if path.is_file())
        lab.expect("s3cr3t" not in logs, f"{kind} logs it")
        lab.expect("/nothing" in logs, f"{kind} logs nothing")
    lab.expect("s3cr3t" not in node.log, "the node logs it")
    lab.saw("5 targets on each")


def pinned_versions(lab):
    """What is built and tested is made of one version of everything."""
    package = (ROOT / "Package.swift").read_text()
    count = package.count(".package(url:")
    lab.expect(count > 0 and count == len(re.findall(r"\.package\(url: [^)]*exact: ", package)), "Package.swift: a dependency without exact:")
    lines = [line for line in (ROOT / "scripts/requirements.txt").read_text().splitlines() if line and line[0] != "#"]
    lab.expect(lines and all("==" in line for line in lines), f"requirements.txt: {lines}")
    images = re.findall(r"^(?:FROM|\s+image:) (\S+:\S+)", (ROOT / "deploy/Dockerfile").read_text() + (ROOT / "deploy/compose.yaml").read_text(), re.M)
    for image in images:
        lab.expect(re.search(r":\d+\.\d+", image), f"{image} has no version")
    lab.saw(f"{count} packages, {len(lines)} of Python, {len(images)} images")
