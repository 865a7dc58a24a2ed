"""Figures as tables: golden ones of recorded sessions, at any width, and with hostile names.

After a change that is meant, ``REVIEW=1 pytest tests/replay/test_stats_table.py`` writes the reviewed tables anew.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from scripted_calls import Script
from session_folders import RECORDED

from agent_trace_otel.replay import stats, stats_table
from agent_trace_otel.replay.terminal import columns_in
from agent_trace_otel.store.index import SessionIndex
from agent_trace_otel.store.reader import Session

DATA = Path(__file__).parents[1] / "data" / "replay"
FOLDERS = {
    "claude_compact": DATA / "folders" / "claude_compact",
    "claude_subagent": DATA / "folders" / "claude_subagent",
    "claude_like": RECORDED / "claude_like",
    "agent_strace_040": RECORDED / "agent_strace_040",
}
HOSTILE = "\x1b]0;title\x07\x1b[31m\x1b]52;c;aGk=\x07\u202edesrever\u2066\x00\x9b31m\x7f\ud800\u2028\r\n=cmd()<script>"
_ANSI = re.compile("\033\\[[0-9;]*m")


def shown(folder: Path, *, width: int = 80, colour: bool = False) -> str:
    session = Session(str(folder))
    with SessionIndex(session.events_path) as index:
        session.recount(index)
        return "".join(stats_table.lines(session, stats.figures(session, index), width=width, colour=colour))


def eventful() -> Script:
    """Return a session with a row in every table."""
    script = Script().prompt("mend it")
    usage = {"input_tokens": 2000, "output_tokens": 90, "cached_tokens": 1500, "reasoning_tokens": 40}
    for _ in range(3):
        script.model("claude-opus-5-5", total_tokens=2090, cost_usd=0.0123, **usage)
        script.call("Edit", file_path="src/pages/models.py", old_string="a", new_string="b")
        script.call("Bash", error="exit 1", command="python -m pytest tests/pages -q --maxfail 1 -p no:cacheprovider")
    script.model("a-model-of-my-own", total_tokens=12, input_tokens=10, output_tokens=2)
    for number in range(20):
        script.call("Read", file_path=f"docs/a/rather/long/way/down/to/a/page/of/the/manual/number_{number:02}.md")
    return script.call("mcp__files__read_file", path="src/pages/models.py", agent="scout", run="1" * 16)


@pytest.mark.parametrize("name", [*FOLDERS, "eventful"])
def test_recorded_sessions_are_shown_as_reviewed(name: str, tmp_path: Path) -> None:
    folder = eventful().write(tmp_path) if name == "eventful" else next(FOLDERS[name].iterdir())
    found = shown(folder)
    golden = DATA / "stats" / f"{name}.txt"
    if os.environ.get("REVIEW"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8")


def test_a_narrow_terminal_has_fewer_columns_and_shorter_names(tmp_path: Path) -> None:
    found = shown(eventful().write(tmp_path), width=40)
    golden = DATA / "stats" / "eventful_40.txt"
    if os.environ.get("REVIEW"):
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [40, 41, 55, 60, 66, 72, 76, 77, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal(tmp_path: Path, width: int) -> None:
    script = eventful().call("字" * 60, error="no", path="表" * 60).call("字" * 60, path="表" * 60)
    lines = shown(script.write(tmp_path), width=width).splitlines()
    assert max(map(columns_in, lines)) <= width


def test_colour_changes_no_text(tmp_path: Path) -> None:
    folder = eventful().write(tmp_path)
    coloured = shown(folder, colour=True)
    assert "\033[" in coloured
    assert _ANSI.sub("", coloured) == shown(folder)


def test_hostile_names_are_shown_escaped(tmp_path: Path) -> None:
    script = Script().model(HOSTILE, total_tokens=5, input_tokens=3, output_tokens=2)
    for error in ("no", "no", ""):
        script.call(HOSTILE, error=error, agent=HOSTILE, command=HOSTILE)
        script.call("Read", file_path=HOSTILE)
    found = shown(script.write(tmp_path), width=200)
    assert not [letter for letter in found if not letter.isprintable() and letter != "\n"]
    assert "\\x1b]0;title\\x07" in found
    assert found.encode("utf-8")
    assert len(found.splitlines()) == len(found.split("\n")) - 1


def test_a_value_of_megabytes_is_cut(tmp_path: Path) -> None:
    script = Script()
    for _ in range(3):
        script.call("Read", file_path="x" * 5_000_000)
    found = shown(script.write(tmp_path))
    assert max(map(len, found.splitlines())) <= 80


def test_paths_below_the_project_are_shown_from_there(tmp_path: Path) -> None:
    inside, outside = str(tmp_path / "src" / "a.py"), "/etc/hosts"
    script = Script().call("Read", file_path=inside).call("Read", file_path=outside)
    found = shown(script.write(tmp_path / ".agent-traces"))
    assert re.findall(r"^(\S+) +1 +0$", found, re.MULTILINE) == ["/etc/hosts", "src/a.py"]
