# SPDX-License-Identifier: Apache-2.0
"""Real browsers of three engines, all with the same few verbs:

    with engines.start("firefox") as browser:
        page = browser.page("http://127.0.0.1:8080/")
        page.run("(a, b) => a + b", 1, 2)          # a function; of a promise, what it comes to
        page.wait("document.title === 'done'")     # asks until it is true
        page.fill("#name", "Ann"); page.click("button")   # as a person would
        page.reload(); page.goto(url)

Chromium is driven by Playwright, WebKit by WebKitWebDriver (W3C WebDriver over HTTP) on a virtual display, Firefox by
Marionette, its own remote control over TCP, which has WebDriver's commands in another wrapping. A script sees the
page's `window` in all three; a `const` of the page's own scripts it does not see in Firefox.
"""

import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

SECONDS = 60
SIZE = {"width": 1280, "height": 960}


def start(name):
    return {"chromium": Chromium, "firefox": Firefox, "webkit": WebKit}[name]()


class Page:
    """One window of a browser. Its engine's `_call` runs the body of a function whose `arguments` are given."""

    def run(self, function, *arguments):
        return self._call(f"return ({function})(...arguments)", list(arguments))

    def value(self, expression):
        return self._call(f"return ({expression})", [])

    def wait(self, expression, seconds=SECONDS):
        end = time.monotonic() + seconds
        while not (value := self.value(expression)):
            assert time.monotonic() < end, f"not within {seconds} s: {expression}; the page shows: {self.text()}"
            time.sleep(0.02)
        return value

    def text(self):
        return self.value("document.body.innerText")


class Chromium:
    def __init__(self):
        from playwright.sync_api import sync_playwright

        self.playwright = sync_playwright().start()
        try:
            self.browser = self.playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            # All tabs share cookies and connections, as a person's do.
            self.tabs, self.version = self.browser.new_context(viewport=SIZE), self.browser.version
        except BaseException:
            self.playwright.stop()
            raise

    def page(self, url):
        page = ChromiumPage(self.tabs.new_page())
        page.goto(url)
        return page

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.browser.close()
        self.playwright.stop()


class ChromiumPage(Page):
    def __init__(self, tab):
        self.goto, self.reload, self.click, self.fill = tab.goto, tab.reload, tab.click, tab.fill
        self.evaluate = tab.evaluate

    def _call(self, body, arguments):
        return self.evaluate(f"values => (function () {{ {body} }})(...values)", arguments)


class WebDriver:
    """What Firefox and WebKit have in common. Their `command` sends one command of W3C WebDriver and returns its value."""

    def begin(self, **capabilities):
        self.session = self.command("NewSession", capabilities={"alwaysMatch": capabilities})
        self.version = self.session["capabilities"]["browserVersion"]
        self.command("SetTimeouts", script=SECONDS * 1000, pageLoad=SECONDS * 1000)
        # WebKit does not click what is half outside of the window.
        self.command("SetWindowRect", width=SIZE["width"], height=SIZE["height"])
        # A session begins with a window.
        self.front = self.unused = self.command("GetWindowHandle")

    def page(self, url):
        handle, self.unused = self.unused or self.command("NewWindow", type="window")["handle"], None
        page = WebDriverPage(self, handle)
        page.goto(url)
        return page

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.processes.close()


class WebDriverPage(Page):
    def __init__(self, browser, handle):
        self.browser, self.handle = browser, handle

    def command(self, name, **parameters):
        if self.browser.front != self.handle:
            self.browser.command("SwitchToWindow", handle=self.handle)
            self.browser.front = self.handle
        return self.browser.command(name, **parameters)

    def goto(self, url):
        self.command("Navigate", url=url)

    def reload(self):
        self.command("Refresh")

    def element(self, selector):
        # The name of its only member is the standard's, and the same for all elements.
        return next(iter(self.command("FindElement", using="css selector", value=selector).values()))

    def click(self, selector):
        self.command("ElementClick", id=self.element(selector))

    def fill(self, selector, text):
        id = self.element(selector)
        self.command("ElementClear", id=id)
        if text:
            self.command("ElementSendKeys", id=id, text=text)

    def _call(self, body, arguments):
        return self.command("ExecuteScript", script=body, args=arguments)


class Firefox(WebDriver):
    PREFERENCES = {
        "marionette.port": 0,
        # No page but the test's, and no traffic but its own.
        "app.normandy.enabled": False,
        "app.update.disabledForTesting": True,
        "browser.shell.checkDefaultBrowser": False,
        "browser.startup.page": 0,
        "browser.safebrowsing.downloads.remote.enabled": False,
        "browser.safebrowsing.malware.enabled": False,
        "browser.safebrowsing.phishing.enabled": False,
        "datareporting.policy.dataSubmissionEnabled": False,
        "extensions.update.enabled": False,
        "media.gmp-manager.updateEnabled": False,
        "network.captive-portal-service.enabled": False,
        "network.connectivity-service.enabled": False,
        "network.manage-offline-status": False,
        "services.settings.server": "data:,#remote-settings-dummy/v1",
        "toolkit.telemetry.server": "",
    }

    def __init__(self):
        with contextlib.ExitStack() as stack:
            directory = stack.enter_context(temporary_directory())
            (directory / "user.js").write_text("".join(
                f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in self.PREFERENCES.items()))
            program = shutil.which("firefox-esr") or "firefox"
            process = stack.enter_context(child(
                directory, [program, "--headless", "--no-remote", "--marionette", "--profile", str(directory)]))
            file = directory / "MarionetteActivePort"
            port = process.until(lambda: file.exists() and file.read_text().strip())
            self.connection = stack.enter_context(socket.create_connection(("127.0.0.1", int(port))))
            self.input, self.number = stack.enter_context(self.connection.makefile("rb")), 0
            self.receive()  # it introduces itself
            self.begin()
            self.processes = stack.pop_all()

    def receive(self):
        """A message is its length, a colon and JSON."""
        length = b""
        while (byte := self.input.read(1)) != b":":
            assert byte, "Firefox has closed its connection"
            length += byte
        return json.loads(self.input.read(int(length)))

    def command(self, name, **parameters):
        self.number += 1
        text = json.dumps([0, self.number, "WebDriver:" + name, parameters]).encode()
        self.connection.sendall(b"%d:%b" % (len(text), text))
        _, number, error, result = self.receive()
        assert number == self.number and error is None, f"{name}: {error}"
        return result["value"] if list(result) == ["value"] else result


class WebKit(WebDriver):
    COMMANDS = {
        "NewSession": ("POST", ""), "DeleteSession": ("DELETE", ""), "SetTimeouts": ("POST", "/timeouts"),
        "SetWindowRect": ("POST", "/window/rect"), "GetWindowHandle": ("GET", "/window"), "NewWindow": ("POST", "/window/new"),
        "SwitchToWindow": ("POST", "/window"), "Navigate": ("POST", "/url"), "Refresh": ("POST", "/refresh"),
        "ExecuteScript": ("POST", "/execute/sync"),
        "FindElement": ("POST", "/element"), "ElementClear": ("POST", "/element/{id}/clear"),
        "ElementClick": ("POST", "/element/{id}/click"), "ElementSendKeys": ("POST", "/element/{id}/value"),
    }

    def __init__(self):
        with contextlib.ExitStack() as stack:
            directory = stack.enter_context(temporary_directory())
            reading, writing = os.pipe()
            with open(reading) as numbers:
                screen = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1600x1200x24", "-nolisten", "tcp"]
                stack.enter_context(child(directory, screen, pass_fds=[writing]))
                os.close(writing)
                display = numbers.readline().strip()
            assert display, "Xvfb has not started: " + (directory / "log").read_text()
            port = free_port()
            driver = stack.enter_context(child(
                directory, ["WebKitWebDriver", f"--port={port}", "--host=127.0.0.1"], DISPLAY=f":{display}",
                GDK_BACKEND="x11", NO_AT_BRIDGE="1", GSETTINGS_BACKEND="memory", DBUS_SESSION_BUS_ADDRESS="disabled:"))
            driver.until(lambda: listens(port))
            self.connection, self.path = http.client.HTTPConnection("127.0.0.1", port, timeout=2 * SECONDS), "/session"
            self.begin()
            # Its window is a grandchild, which would outlive a driver that is killed.
            stack.callback(self.command, "DeleteSession")
            self.processes = stack.pop_all()

    def command(self, name, **parameters):
        method, path = self.COMMANDS[name]
        body = json.dumps(parameters) if method == "POST" else None
        self.connection.request(method, self.path + path.format(**parameters), body, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        value = json.loads(answer.read())["value"]
        assert answer.status == 200, f"{name}: {value}"
        if name == "NewSession":
            self.path += "/" + value["sessionId"]
        return value


@contextlib.contextmanager
def temporary_directory():
    path = pathlib.Path(tempfile.mkdtemp(prefix="sluice-browser-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class Child(subprocess.Popen):
    def until(self, condition):
        """Waits until it is as far as the condition says."""
        end = time.monotonic() + SECONDS
        while not (value := condition()):
            assert self.poll() is None and time.monotonic() < end, f"{self.args[0]} has not started"
            time.sleep(0.02)
        return value


@contextlib.contextmanager
def child(directory, command, pass_fds=(), **environment):
    """A process with its home in the directory, which ends with this one, however that ends; and so do its children."""
    libc, killed_with_parent = ctypes.CDLL(None), 1  # PR_SET_PDEATHSIG
    environment = {**os.environ, "HOME": str(directory), "XDG_RUNTIME_DIR": str(directory), **environment}
    with open(directory / "log", "ab") as log:
        process = Child(
            command, env=environment, pass_fds=pass_fds, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, preexec_fn=lambda: libc.prctl(killed_with_parent, signal.SIGKILL))
    try:
        yield process
    except BaseException:
        print((directory / "log").read_text(errors="replace"), flush=True)
        raise
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
