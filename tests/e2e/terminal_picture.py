"""Makes the README's picture of a replay anew: ``python tests/e2e/terminal_picture.py``.

Comes in: what `agent-trace demo` records, and `agent-trace replay` prints to a terminal. Goes out: docs/replay.png.
Needs a Chromium, which draws the terminal's text.
"""

from __future__ import annotations

import html
import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY / "tests" / "support"), str(REPOSITORY / "tests" / "e2e")]

from browser import browsing, chromium  # noqa: E402 - found by the line above

COLUMNS, LINES = 96, 44
SIZE = {"width": 860, "height": 860}
_SGR = re.compile(r"\x1b\[([\d;]*)m")
_STYLES = {
    "1": "font-weight:600", "2": "opacity:.6", "31": "color:#ff7b72", "32": "color:#7ee787", "33": "color:#e3b341",
    "34": "color:#79c0ff", "35": "color:#d2a8ff", "36": "color:#76e3ea", "90": "color:#8b949e",
}  # fmt: skip
_PAGE = (
    "<!doctype html><meta charset=utf-8><body style='margin:0;background:#0d1117;color:#e6edf3'>"
    '<pre style=\'margin:0;padding:18px 22px;font:14px/1.32 "DejaVu Sans Mono","Noto Color Emoji",monospace\'>{}</pre>'
)


def printed(command: list[str], folder: Path) -> str:
    """Return what a command prints to a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "LINES": "500", "TERM": "xterm-256color", "PAGER": "cat"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(command, cwd=folder, env=environment, stdin=theirs, stdout=theirs)
    os.close(theirs)
    said = b""
    while True:
        try:
            chunk = os.read(ours, 1 << 16)
        except OSError:  # Linux says so when the other end is closed
            chunk = b""
        if not chunk:
            break
        said += chunk
    os.close(ours)
    process.wait()
    return said.decode().replace("\r\n", "\n")


def drawn(text: str) -> str:
    """Return a terminal's text as HTML."""
    pieces = _SGR.split(text)
    styles: list[str] = []
    out = [html.escape(pieces[0])]
    for codes, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        for code in codes.split(";"):
            styles = [] if code in ("", "0") else [*styles, _STYLES.get(code, "")]
        out.append(f'<span style="{";".join(filter(None, styles))}">{html.escape(piece)}</span>')
    return "".join(out)


def main() -> None:
    """Write the picture."""
    if chromium() is None:
        sys.exit("no Chromium: install one, or name it in AGENT_TRACE_CHROMIUM")
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ours = ["python", "-m", "agent_trace_otel", "--trace-dir", "traces"]  # the command line is in the picture
    with tempfile.TemporaryDirectory() as name, browsing(Path(name)) as tab:
        folder = Path(name)
        subprocess.run([*ours, "demo"], cwd=folder, stdout=subprocess.DEVNULL, check=True)
        lines = printed([*ours, "replay"], folder).splitlines()[:LINES]
        page = folder / "replay.html"
        page.write_text(_PAGE.format("<b>$ agent-trace replay</b>\n" + drawn("\n".join(lines))), encoding="utf-8")
        tab.look(dark=True, **SIZE)
        tab.open(page, "")
        (REPOSITORY / "docs" / "replay.png").write_bytes(tab.picture())


if __name__ == "__main__":
    main()
