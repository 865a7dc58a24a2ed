"""Bytes and links: how files are opened."""

from __future__ import annotations

import ast
import importlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_trace_otel import open_flags

PACKAGE = Path(open_flags.__file__).parent
BINARY = 1 << 25


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The flags of a system that lacks POSIX's and has one of its own."""
    for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_DIRECTORY"):
        monkeypatch.delattr(os, name, raising=False)
    monkeypatch.setattr(os, "O_BINARY", BINARY, raising=False)
    importlib.reload(open_flags)
    yield
    monkeypatch.undo()
    importlib.reload(open_flags)


@pytest.mark.usefixtures("windows")
def test_bytes_stay_as_they_are_where_files_have_a_text_mode() -> None:
    assert open_flags.GUARDS == BINARY
    assert all(flags & BINARY for flags in (open_flags.READ, open_flags.APPEND, open_flags.CREATE))


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for flags in (open_flags.READ, open_flags.APPEND, open_flags.CREATE):
        with pytest.raises(OSError, match="link"):
            os.open(tmp_path / "link", flags, 0o600)
    assert not (tmp_path / "elsewhere").exists()


# opens /dev/null, a pipe's end, or another program's file that may be a link; or imports nothing but builtins
OTHERS = {
    *("cli.py", "capture/mcp/stdio.py", "capture/run/reports.py", "capture/run/site/sitecustomize.py"),
    *("capture/hooks/client.py", "capture/hooks/dialects/codex_rollout.py", "capture/hooks/spooling.py"),
    "capture/hooks/state.py",  # the lock, with its guards
}


def test_whoever_opens_files_takes_the_flags_from_here() -> None:
    found: set[str] = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func) == "os.open"
                and "open_flags" not in ast.unparse(node.args[1])
            ):
                found.add(path.relative_to(PACKAGE).as_posix())
    assert found <= OTHERS
