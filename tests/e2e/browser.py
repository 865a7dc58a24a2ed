"""A headless Chromium, spoken to over its own debugging pipe: pages opened, keys pressed, what they asked for noted.

Comes in: a path of a page. Goes out: what the page says of itself, its requests and complaints, pictures. Called by
``test_html`` and ``screenshots``. The browser is looked for on PATH, or named by AGENT_TRACE_CHROMIUM; the protocol is
Chrome's DevTools protocol 1.3, messages ended by NUL (``--remote-debugging-pipe``).
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
_SECONDS = 60.0  # for any answer
_FIRST_FREE = 10  # descriptors below are the browser's own
_QUIET = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-sync",
    "--force-device-scale-factor=1",
    "--hide-scrollbars",
    "about:blank",
)
# the browser wants its pipes as descriptors 3 and 4, which may be in use while a child is started
_LAUNCHER = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
_KEYS = {
    "Enter": 13,
    "Escape": 27,
    "End": 35,
    "Home": 36,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "Tab": 9,
}
_SHIFT = 8


def chromium() -> str | None:
    """Return the path of a browser, None when this machine has none."""
    named = os.environ.get("AGENT_TRACE_CHROMIUM")
    return named or next((found for name in _NAMES if (found := shutil.which(name))), None)


class Page:
    """One tab.

    ``requests`` are the URLs that were asked for, ``answered`` those of them that somebody answered, ``complaints``
    errors, refusals of the page's policy and dialogs.
    """

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._out, self._in = to_browser, from_browser
        self._buffer = b""
        self._count = 0
        self._session = ""
        self._loads = 0
        self.requests: list[str] = []
        self.answered: list[str] = []
        self.complaints: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def open(self, path: Path, fragment: str = "") -> None:
        """Open a file and wait until it has loaded and drawn."""
        self.visit(f"{path.as_uri()}{fragment}")

    def visit(self, url: str) -> None:
        """Open a URL and wait until it has loaded and drawn."""
        self._call("Page.navigate", url="about:blank")
        self.requests.clear()
        self.answered.clear()
        self.complaints.clear()
        loads = self._loads
        self._call("Page.navigate", url=url)
        deadline = time.monotonic() + _SECONDS
        while self._loads == loads or self.value("document.readyState") != "complete":
            self._read(deadline)
        self.drawn()

    def drawn(self) -> None:
        """Wait until what was asked for has been drawn."""
        self.value("new Promise((seen) => requestAnimationFrame(() => requestAnimationFrame(seen)))")

    def value(self, expression: str) -> Any:
        """Return what a script says, which must be JSON; a promise is waited for."""
        how = {"returnByValue": True, "awaitPromise": True, "allowUnsafeEvalBlockedByCSP": False}
        answer = self._call("Runtime.evaluate", expression=expression, **how)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until a script says something true."""
        deadline = time.monotonic() + _SECONDS
        while not self.value(expression):
            assert time.monotonic() < deadline, f"waited in vain: {expression}"
            time.sleep(0.02)

    def press(self, *keys: str) -> None:
        """Press keys one after the other, as a person does; ``Shift+X`` holds Shift."""
        for key in keys:
            modifiers = _SHIFT if key.startswith("Shift+") or (len(key) == 1 and key.isupper()) else 0
            name = key.removeprefix("Shift+")
            told = {"key": name, "modifiers": modifiers, "windowsVirtualKeyCode": _KEYS.get(name, 0)}
            text = {"text": "\r"} if name == "Enter" else {"text": name} if len(name) == 1 else {}
            self._call("Input.dispatchKeyEvent", type="keyDown", **told, **text)
            self._call("Input.dispatchKeyEvent", type="keyUp", **told)
        self.drawn()

    def click(self, selector: str) -> None:
        """Click on the middle of an element."""
        x, y = self.middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self.drawn()

    def drag(self, selector: str, begin: float, end: float) -> None:
        """Drag over an element from one share of its width to another."""
        left, width = self.value(f"(({_BOX}) => [box.left, box.width])({_box_of(selector)})")
        _, y = self.middle(selector)
        mouse = [
            ("mousePressed", begin),
            ("mouseMoved", (begin + end) / 2),
            ("mouseMoved", end),
            ("mouseReleased", end),
        ]
        for kind, share in mouse:
            held = {"button": "left", "buttons": 1, "clickCount": 1}
            self._call("Input.dispatchMouseEvent", type=kind, x=left + share * width, y=y, **held)
        self.drawn()

    def wheel(self, selector: str, *, down: float, ctrl: bool = False) -> None:
        """Turn the wheel over an element."""
        x, y = self.middle(selector)
        self._call(
            "Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=down, modifiers=2 if ctrl else 0
        )
        self.drawn()

    def middle(self, selector: str) -> tuple[float, float]:
        """Return where an element's middle is."""
        x, y = self.value(f"(({_BOX}) => [box.left + box.width / 2, box.top + box.height / 2])({_box_of(selector)})")
        return x, y

    def look(self, *, dark: bool = False, width: int = 1280, height: int = 800) -> None:
        """Take on a colour scheme and a size."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._call("Emulation.setEmulatedMedia", features=features)
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.drawn()

    def picture(self) -> bytes:
        """Return what is seen, as a PNG."""
        data: str = self._call("Page.captureScreenshot", format="png", optimizeForSpeed=False)["data"]
        return base64.b64decode(data)

    def named(self) -> list[tuple[str, str]]:
        """Return role and name of everything that the browser tells assistive technology."""
        nodes = self._call("Accessibility.getFullAXTree")["nodes"]
        self._call("Accessibility.disable")  # keeping the tree costs the page more than all it does itself
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node["ignored"] and "role" in node
        ]

    def _call(self, method: str, **parameters: object) -> dict[str, Any]:
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + _SECONDS
        while True:
            answer = self._read(deadline)
            if answer.get("id") == self._count:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result

    def _read(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            piece = os.read(self._in, 1 << 20)
            assert piece, "the browser has ended"
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._note(str(message.get("method")), message.get("params", {}))
        return message

    def _note(self, method: str, told: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loads += 1
        elif method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Network.responseReceived":
            self.answered.append(told["response"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded":
            self.complaints.append(told["entry"]["text"])
        elif method == "Page.javascriptDialogOpening":
            self.complaints.append(f"dialog: {told['message']}")


_BOX = "box"


def _box_of(selector: str) -> str:
    return f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"


@contextmanager
def browsing(folder: Path) -> Iterator[Page]:
    """Run a browser with a profile in ``folder`` and yield a tab; there must be a `chromium`."""
    program = chromium()
    assert program is not None
    flags = [f"--user-data-dir={folder / 'profile'}", *(["--no-sandbox"] if os.geteuid() == 0 else []), *_QUIET]
    ours, theirs = _pipes()
    with (folder / "browser.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCHER, *map(str, theirs), program, *flags],
            pass_fds=theirs,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    for descriptor in theirs:
        os.close(descriptor)
    try:
        yield Page(*ours)
    finally:
        for descriptor in ours:
            os.close(descriptor)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its workers too: the group is of its own
        process.wait()


def _pipes() -> tuple[tuple[int, int], tuple[int, int]]:
    """Return (to the browser, from it), as we hold them and as it does."""
    browser_reads, we_write = os.pipe()
    we_read, browser_writes = os.pipe()
    theirs = [
        fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE) for descriptor in (browser_reads, browser_writes)
    ]
    os.close(browser_reads)
    os.close(browser_writes)
    return (we_write, we_read), (theirs[0], theirs[1])
