# SPDX-License-Identifier: Apache-2.0
"""A scripted server for one question to a browser: bytes on the one side, an `EventSource` in a frame on the other.

Each trial has a port, and so an origin, of its own: many run at the same time in one page, no wait is waited for twice,
and no limit of connections per host is met.
"""

import contextlib
import json
import queue
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

SECONDS = 60

FRAME = """<!doctype html><script>
const tell = (...entry) => parent.postMessage([NAME, ...entry], '*');
const watch = source => {
  for (const type of ['open', 'error', 'message', 'checkpoint'])
    source.addEventListener(type, event => tell(type, event.data ?? null, event.lastEventId ?? null, source.readyState));
  return source;
};
SCRIPT
</script>"""

TOP = """
window.entries = [];
onmessage = event => entries.push(event.data);
"""


class Request:
    """One request, whose answer is written byte for byte. When its end began is `ended`."""

    def __init__(self, connection, head):
        self.connection, self.time = connection, time.monotonic()
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = lines[0].split(" ")
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}

    def __getitem__(self, name):
        return self.headers.get(name.lower(), "none")

    def send(self, data):
        # Who has given up at the head does not read the rest.
        with contextlib.suppress(OSError):
            self.connection.sendall(data.encode() if isinstance(data, str) else data)
        return self

    def head(self, fields="Content-Type: text/event-stream"):
        return self.send(f"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n{fields}\r\n\r\n")

    def chunk(self, text):
        data = text.encode() if isinstance(text, str) else text
        return self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def stream(self, text, fields="Content-Type: text/event-stream"):
        """A whole answer: head, this text, clean end."""
        return self.head(fields).chunk(text).send("0\r\n\r\n").close()

    def status(self, status, fields="Content-Type: text/plain"):
        head = f"HTTP/1.1 {status} Reason\r\nConnection: close\r\nContent-Length: 0\r\n{fields}\r\n\r\n"
        return self.send(head).close()

    def close(self):
        self.ended = time.monotonic()
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()
        return self

    def reset(self):
        self.ended = time.monotonic()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        return self


class Trial:
    """`ask` scripts it: it opens the page, takes requests and answers them, and returns what it saw."""

    def __init__(self, name, ask):
        self.name, self.ask, self.seen = name, ask, None
        self.requests, self.entries, self.changed = queue.Queue(), [], threading.Condition()
        self.script, self.is_scripted = None, threading.Event()

    def start(self, certificate):
        self.certificate = certificate
        self.listener, elsewhere = self.listen(), self.listen()
        self.port = self.listener.getsockname()[1]
        self.url, self.elsewhere = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{elsewhere.getsockname()[1]}"
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def listen(self, port=0):
        listener = socket.create_server(("127.0.0.1", port), backlog=64)
        threading.Thread(target=self.accept, args=[listener], daemon=True).start()
        return listener

    def accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self.read, args=[connection], daemon=True).start()

    def read(self, connection):
        data = b""
        try:
            if connection.recv(1, socket.MSG_PEEK) == b"\x16":
                connection = self.certificate.wrap_socket(connection, server_side=True)
            while b"\r\n\r\n" not in data:
                # A browser may connect in advance and never ask.
                if not (more := connection.recv(65536)):
                    return
                data += more
        except OSError:
            return
        request = Request(connection, data.partition(b"\r\n\r\n")[0])
        if request.target != "/":
            return self.requests.put(request)
        self.is_scripted.wait()
        page = FRAME.replace("NAME", json.dumps(self.name)).replace("SCRIPT", self.script)
        request.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/html\r\nSet-Cookie: sluice=1; Path=/\r\n"
                     f"Content-Length: {len(page)}\r\n\r\n{page}")
        connection.close()

    def run(self):
        try:
            self.seen = self.ask(self)
        except Exception as error:
            self.seen = f"failed: {error!r} {self.entries}"
        self.open("")

    # ---- For `ask` ----

    def open(self, script="watch(new EventSource('/events'));"):
        """The page may be loaded now; this is its script."""
        if self.script is None:
            self.script = script
            self.is_scripted.set()
        return self

    def next(self, seconds=SECONDS):
        return self.requests.get(timeout=seconds)

    def wait(self, condition, seconds=SECONDS):
        """For what the page tells of an event: its type, data, id and the readyState. None if it does not come."""
        found = lambda: next((entry for entry in self.entries if condition(*entry)), None)
        with self.changed:
            self.changed.wait_for(found, seconds)
            return found()

    def fate(self, count=1):
        """What the EventSource does after its error of this number."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.errors()) >= count, SECONDS)
        if len(self.errors()) < count:
            return "no error"
        return "ends for good" if self.errors()[count - 1][3] == 2 else "comes back"

    def errors(self):
        return [entry for entry in self.entries if entry[0] == "error"]

    def events(self):
        """What came before the end of the first stream, which is told as an error."""
        self.wait(lambda type, *_: type == "error")
        return [tuple(entry[:3]) for entry in self.entries if entry[0] not in ("open", "error")]


def self_signed():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as directory:
        files = [f"{directory}/{name}" for name in ("certificate", "key")]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
             "/CN=127.0.0.1", "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
        context.load_cert_chain(*files)
    return context


def run(browser, trials):
    """All at the same time, in frames of one page; the driver of a browser is only for the thread that started it."""
    certificate, by_name = self_signed(), {trial.name: trial for trial in trials}
    top = Trial("top", lambda trial: trial.open(TOP))
    for trial in [top, *trials]:
        trial.start(certificate)
    page = browser.page(top.url + "/")
    page.run("""urls => {
        for (const url of urls) {
            const frame = document.createElement('iframe');
            frame.src = url;
            document.body.append(frame);
        }
    }""", [trial.url + "/" for trial in trials])
    while any(trial.thread.is_alive() for trial in trials):
        for name, *entry in page.run("() => entries.splice(0)"):
            trial = by_name[name]
            with trial.changed:
                trial.entries.append(entry)
                trial.changed.notify_all()
        time.sleep(0.02)
