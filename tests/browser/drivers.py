"""The other browsers, driven over their own protocols: WebKit by WebDriver (HTTP), Firefox by Marionette (a socket).

Both speak the commands of the W3C's WebDriver, so one small class drives them and no library is needed.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from ports import free_port

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
SECONDS = 150.0


class Refused(Exception):
    """The browser's driver said no: its error code and its words."""


class Left(Refused):
    """The page was left, or loaded anew, while a script ran in it."""


class Gone(Exception):
    """The browser is not there, or went away."""


# Method and path of the commands used here; Marionette calls them by their name.
_PATHS = {
    "Navigate": ("POST", "/url"),
    "GetCurrentURL": ("GET", "/url"),
    "Refresh": ("POST", "/refresh"),
    "FindElements": ("POST", "/elements"),
    "ElementClick": ("POST", "/element/{id}/click"),
    "ElementClear": ("POST", "/element/{id}/clear"),
    "ElementSendKeys": ("POST", "/element/{id}/value"),
    "ExecuteScript": ("POST", "/execute/sync"),
    "ExecuteAsyncScript": ("POST", "/execute/async"),
    "SetTimeouts": ("POST", "/timeouts"),
    "SetWindowRect": ("POST", "/window/rect"),
    "TakeScreenshot": ("GET", "/screenshot"),
}


class Driven:
    """One browser with one page. ``send`` gives a command's answer and raises `Refused`."""

    def __init__(self, name: str, send: Callable[[str, dict[str, Any]], Any], pictures: bool = True) -> None:
        self.name = name
        self.send = send
        self.pictures = pictures

    def open(self, address: str) -> None:
        self.send("Navigate", {"url": address})

    def run(self, script: str, *args: object) -> Any:
        """The body of a function; a promise is waited for."""
        body = f"const done = arguments[arguments.length - 1]; const work = async (...given) => {{ {script} }};"
        body += "work(...[...arguments].slice(0, -1)).then((v) => done({v}), (e) => done({e: String(e)}));"
        answer = self.send("ExecuteAsyncScript", {"script": body, "args": list(args)})
        if answer is None:
            raise Left("the page was left while a script ran")
        if "e" in answer:
            raise Refused(answer["e"])
        return answer.get("v")

    def count(self, test: str) -> int:
        return int(self.run(f"return document.querySelectorAll('[data-test=\"{test}\"]').length"))

    def text(self) -> str:
        return str(self.run("return document.body.innerText"))

    def until(self, seen: Callable[[], Any], seconds: float = SECONDS) -> None:
        """Waits; and looks for news as a person does who comes back to the app."""
        give_up = time.monotonic() + seconds
        while True:
            with suppress(Left):
                if seen():
                    return
            if time.monotonic() > give_up:
                raise AssertionError(f"{self.name}: {self.text()}\n{self.run('return window.__said ?? []')}")
            with suppress(Left):
                self.run("document.dispatchEvent(new Event('visibilitychange'))")
            time.sleep(0.25)

    def sees(self, text: str) -> None:
        self.until(lambda: text in self.text())

    def _element(self, test: str) -> str:
        """The first that can be seen."""
        found: list[str] = []

        def seen() -> bool:
            query = {"using": "css selector", "value": f'[data-test="{test}"]'}
            found[:] = [one[ELEMENT] for one in self.send("FindElements", query)]
            return bool(found)

        self.until(seen)
        # A driver presses what lies in the window, also where the bar at the bottom lies over it.
        script = "arguments[0].scrollIntoView({ block: 'center' })"
        self.send("ExecuteScript", {"script": script, "args": [{ELEMENT: found[0]}]})
        return found[0]

    def _try(self, test: str, work: Callable[[str], Any]) -> None:
        # The screen may be drawn anew between finding and pressing.
        why = ""
        for _ in range(20):
            try:
                work(self._element(test))
                return
            except Refused as error:
                if not any(word in str(error) for word in ("stale", "intercepted", "not interactable", "not found")):
                    raise
                why = str(error)
                time.sleep(0.2)
        raise AssertionError(f"{self.name}: {test} cannot be pressed: {why}\n{self.text()}")

    def click(self, test: str) -> None:
        self._try(test, lambda element: self.send("ElementClick", {"id": element}))

    def fill(self, test: str, text: str) -> None:
        def type_in(element: str) -> None:
            self.send("ElementClear", {"id": element})
            self.send("ElementSendKeys", {"id": element, "text": text})

        self._try(test, type_in)

    def choose(self, test: str, file: Path) -> None:
        """Gives a field for files this one, as a person does who picks it; the field itself may be out of sight."""
        query = {"using": "css selector", "value": f'[data-test="{test}"]'}
        (field,) = self.send("FindElements", query)
        self.send("ElementSendKeys", {"id": field[ELEMENT], "text": str(file)})

    def value(self, test: str) -> str:
        self._element(test)
        return str(self.run(f"return document.querySelector('[data-test=\"{test}\"]').value"))

    def picture(self, path: Path) -> None:
        # WebKit's driver waits for ever for a picture of a screen on which something moves.
        if not self.pictures:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.send("TakeScreenshot", {"full": False})))


def found(*names: str) -> str:
    """The first of these programs. Gone where none is installed: a test of it then fails and is not left out."""
    for name in names:
        if path := shutil.which(name):
            return path
    raise Gone(f"no {names[0]} here: run tools/setup.sh browsers")


@contextmanager
def _process(command: list[str], folder: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), **more}
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "said.txt").open("wb") as said:
        child = subprocess.Popen(command, stdout=said, stderr=said, env=environment, start_new_session=True)
        try:
            yield child
        finally:
            # The group: a browser is many processes.
            with suppress(ProcessLookupError):
                os.killpg(child.pid, 15)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, 9)
                child.wait()


def _connected(port: int, child: subprocess.Popen[bytes]) -> socket.socket:
    give_up = time.monotonic() + 150
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=300)
        except OSError:
            if child.poll() is not None or time.monotonic() > give_up:
                raise Gone(f"{child.args!r} did not start") from None
            time.sleep(0.1)


# --- Firefox

_PREFERENCES = {
    "app.update.auto": False,
    "app.normandy.enabled": False,
    "browser.aboutwelcome.enabled": False,
    "browser.region.network.url": "",
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.push.connection.enabled": False,
    "extensions.update.enabled": False,
    "intl.accept_languages": "nl-NL",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#none",
    "toolkit.telemetry.unified": False,
}


@contextmanager
def firefox(folder: Path) -> Iterator[Driven]:
    program = found("firefox-esr", "firefox")
    profile = folder / "profile"
    profile.mkdir(parents=True)
    port = free_port()
    # What a page saves lies there, without a question.
    saves = {"browser.download.folderList": 2, "browser.download.dir": str(folder / "saved")}
    wanted = {**_PREFERENCES, **saves, "marionette.port": port}
    (profile / "user.js").write_text(
        "".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in wanted.items())
    )
    command = [program, "--headless", "--no-remote", "--marionette", "--profile", str(profile), "about:blank"]
    with _process(command, folder, MOZ_HEADLESS_WIDTH="390", MOZ_HEADLESS_HEIGHT="844") as child:
        line = _connected(port, child)
        line.settimeout(180)
        buffer = bytearray()

        def heard() -> Any:
            while b":" not in buffer:
                buffer.extend(_more(line))
            size, _, _ = bytes(buffer).partition(b":")
            start = len(size) + 1
            while len(buffer) < start + int(size):
                buffer.extend(_more(line))
            message = json.loads(bytes(buffer[start : start + int(size)]))
            del buffer[: start + int(size)]
            return message

        number = 0

        def send(command: str, given: dict[str, Any]) -> Any:
            nonlocal number
            number += 1
            packed = json.dumps([0, number, f"WebDriver:{command}", given]).encode()
            line.sendall(str(len(packed)).encode() + b":" + packed)
            _, answered, error, value = heard()
            assert answered == number
            if error:
                raise Refused(f"{error['error']}: {error['message']}")
            return value["value"] if isinstance(value, dict) and set(value) == {"value"} else value

        heard()  # it says hello first
        send("NewSession", {"capabilities": {"alwaysMatch": {}}})
        send("SetTimeouts", {"script": 150_000, "pageLoad": 150_000})
        send("SetWindowRect", {"width": 390, "height": 844})
        yield Driven("firefox", send)
        line.close()


def _more(line: socket.socket) -> bytes:
    piece = line.recv(65536)
    if not piece:
        raise Gone("Firefox went away")
    return piece


# --- WebKit

_MINI = ("MiniBrowser", *(f"/usr/lib/x86_64-linux-gnu/webkit2gtk-4.{n}/MiniBrowser" for n in (1, 0)))


@contextmanager
def webkit(folder: Path) -> Iterator[Driven]:
    driver, server = found("WebKitWebDriver"), found("Xvfb")
    shown = folder / "display"
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    with shown.open("wb") as into:
        # It writes the number of a display that is free.
        screen = subprocess.Popen(
            [server, "-displayfd", "1", "-screen", "0", "800x1000x24", "-nolisten", "tcp"],
            stdout=into,
            stderr=subprocess.DEVNULL,
        )
    try:
        give_up = time.monotonic() + 150
        while not shown.read_text().strip():
            if screen.poll() is not None or time.monotonic() > give_up:
                raise Gone("Xvfb did not start")
            time.sleep(0.05)
        settings = {
            "DISPLAY": f":{shown.read_text().strip()}",
            "LANG": "nl_NL.UTF-8",
            "GDK_BACKEND": "x11",
            "WEBKIT_DISABLE_COMPOSITING_MODE": "1",
        }
        with _process([driver, f"--port={port}"], folder, **settings) as child:
            _connected(port, child).close()
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=180, trust_env=False) as line:
                yield from _webkit_session(line)
    finally:
        screen.terminate()
        screen.wait(10)


def _webkit_session(line: httpx.Client) -> Iterator[Driven]:
    def ask(method: str, path: str, given: dict[str, Any] | None) -> Any:
        answer = line.request(method, path, json=given).json()["value"]
        if isinstance(answer, dict) and "error" in answer:
            raise Refused(f"{answer['error']}: {answer.get('message')}")
        return answer

    program = next((found(one) for one in _MINI if shutil.which(one)), None)
    if program is None:
        raise Gone("no MiniBrowser here: run tools/setup.sh browsers")
    options = {"binary": program, "args": ["--automation"]}
    wanted = {"alwaysMatch": {"webkitgtk:browserOptions": options}}
    session = f"/session/{ask('POST', '/session', {'capabilities': wanted})['sessionId']}"

    def send(command: str, given: dict[str, Any]) -> Any:
        method, path = _PATHS[command]
        return ask(method, session + path.format(id=given.get("id")), given if method == "POST" else None)

    try:
        send("SetTimeouts", {"script": 150_000, "pageLoad": 150_000})
        with suppress(Refused):
            send("SetWindowRect", {"x": 0, "y": 0, "width": 390, "height": 844})
        yield Driven("webkit", send, pictures=False)
    finally:
        with suppress(Exception):
            ask("DELETE", session, None)
