# SPDX-License-Identifier: Apache-2.0
"""A tiny server between a browser and the gateway: it has pages of its own, so that they are of the gateway's origin,
hands on everything else, and remembers what was asked. No engine needs to be asked for that.

    front = Front("http://127.0.0.1:8080", {"/page": "<p>hello"})
    front.url, front.requests[-1].status, front.cut()
"""

import contextlib
import dataclasses
import socket
import threading
import urllib.parse


@dataclasses.dataclass
class Request:
    method: str
    target: str
    last_event_id: str | None
    status: int | None = None


class Front:
    def __init__(self, gateway=None, pages={}):
        self.gateway, self.pages = gateway and urllib.parse.urlsplit(gateway), pages
        self.requests, self.connections = [], set()
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        threading.Thread(target=self.accept, args=[listener], daemon=True).start()

    def asked(self, path):
        """The requests for this path, whatever their query."""
        return [request for request in self.requests if urllib.parse.urlsplit(request.target).path == path]

    def cut(self):
        """Every connection to the gateway breaks in the middle of what it carries, as when a network goes."""
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def accept(self, listener):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, browser):
        with browser, contextlib.suppress(OSError):
            data = b""
            while b"\r\n\r\n" not in data:
                if not (more := browser.recv(65536)):
                    return
                data += more
            head, _, body = data.partition(b"\r\n\r\n")
            first, *fields = head.decode().split("\r\n")
            method, target, _ = first.split(" ")
            page = self.pages.get(urllib.parse.urlsplit(target).path)
            if page is not None or self.gateway is None:
                text = (page or "").encode()
                browser.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/html; charset=utf-8\r\n"
                                b"Content-Length: %d\r\n\r\n%b" % (len(text), text))
                return
            named = [(name.lower(), value.strip()) for name, _, value in (field.partition(":") for field in fields)]
            request = Request(method, target, dict(named).get("last-event-id"))
            self.requests.append(request)
            kept = [field for field, (name, _) in zip(fields, named) if name not in ("connection", "keep-alive")]
            self.forward(browser, request, "\r\n".join([first, *kept, "Connection: close", "", ""]).encode() + body)

    def forward(self, browser, request, data):
        with socket.create_connection((self.gateway.hostname, self.gateway.port)) as gateway:
            self.connections.add(gateway)
            threading.Thread(target=self.pump, args=[browser, gateway], daemon=True).start()
            gateway.sendall(data)
            try:
                while data := gateway.recv(65536):
                    if request.status is None:
                        request.status = int(data.split(b" ", 2)[1])
                    browser.sendall(data)
            finally:
                self.connections.discard(gateway)
                # Behind a stream that was cut, or reset, the browser must not wait for more.
                with contextlib.suppress(OSError):
                    browser.shutdown(socket.SHUT_RDWR)

    def pump(self, browser, gateway):
        """The rest of a body; and the gateway hears that the browser has gone."""
        with contextlib.suppress(OSError):
            while data := browser.recv(65536):
                gateway.sendall(data)
        with contextlib.suppress(OSError):
            gateway.shutdown(socket.SHUT_RDWR)
