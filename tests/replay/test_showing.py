"""Recorded sessions of each way to record, as replay shows them; REVIEW=1 writes the goldens anew."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from session_folders import RECORDED, event, session_start, write_session

from agent_trace_otel.replay.moments import moment
from agent_trace_otel.replay.showing import entries_shown, tree_shown
from agent_trace_otel.replay.text import TextReplay
from agent_trace_otel.replay.timeline import Selection
from agent_trace_otel.replay.tree_text import TreeText
from agent_trace_otel.store.index import SessionIndex
from agent_trace_otel.store.reader import Session

DATA = Path(__file__).parents[1] / "data" / "replay" / "text"
SESSIONS = {path.parent.name: path for path in DATA.glob("*/*") if path.is_dir()} | {
    "agent_strace_040": next(path for path in (RECORDED / "agent_strace_040").iterdir() if path.is_dir())
}


def shown(folder: Path, view: str, *, selection: Selection | None = None) -> str:
    session, chosen = Session(str(folder)), selection or Selection()

    def pieces(index: SessionIndex) -> Iterator[str]:
        if view.startswith("tree"):
            return tree_shown(session, index, chosen, TreeText(60 if view == "tree_60" else 100))
        return entries_shown(session, index, chosen, TextReplay(100, full=view == "full"))

    with SessionIndex(session.events_path) as index:
        session.recount(index)
        return "".join(pieces(index))


@pytest.mark.parametrize("view", ["plain", "full", "tree", "tree_60"])
@pytest.mark.parametrize("name", sorted(SESSIONS))
def test_a_recorded_session_is_shown_as_reviewed(name: str, view: str) -> None:
    found = shown(SESSIONS[name], view)
    golden = DATA / f"{name}.{view}.txt"
    if os.environ.get("REVIEW"):
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8")


def test_sub_agents_are_where_they_belong_without_spans_if_only_one_place_is_possible(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(SESSIONS["claude_nested"], tmp_path / SESSIONS["claude_nested"].name))
    (folder / "spans.jsonl").unlink()
    assert shown(folder, "tree") == shown(SESSIONS["claude_nested"], "tree")


def test_sub_agents_that_could_be_anyones_are_shown_as_nobodys(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(SESSIONS["claude_subagents"], tmp_path / SESSIONS["claude_subagents"].name))
    (folder / "spans.jsonl").unlink()
    lines = [line[10:].split("  ")[0] for line in shown(folder, "tree").splitlines() if "●" in line]
    assert lines == ["│", "├─ ● general-purpose #2 (1 error)", "├─ ● general-purpose #3"]


def test_what_only_spans_tell_is_shown_in_its_time_and_place() -> None:
    selection = Selection(between=(moment("--from", "3s"), moment("--to", "3.5s")))
    assert [line[:31] for line in shown(SESSIONS["claude_denied"], "full", selection=selection).splitlines()] == [
        "+  3.07s · permission_request",
        "              detail: {" + '"tool_na',
    ]


def test_a_part_of_a_session_knows_what_came_before_it(tmp_path: Path) -> None:
    def ls(after: float, span: str) -> list[bytes]:
        call = {"tool_name": "Bash", "arguments": {"command": "ls"}, "parent_span_id": "outer"}
        return [
            event("tool_call", after, call, event_id=span, span=span),
            event("tool_result", after + 1, call, event_id=f"{span}-end", parent_id=span, span=span),
        ]

    outer = event("tool_call", 0, {"tool_name": "Agent"}, event_id="outer", span="outer")
    folder = write_session(tmp_path, session_start(), outer, *ls(1, "a"), *ls(3, "b"), *ls(5, "c"))
    selection = Selection(between=(moment("--from", "4"), moment("--to", "5s")))
    assert shown(folder, "plain", selection=selection).splitlines() == [
        "+  4.00s   ← tool_result Bash (1.00s) of the call at +3.00s",
        "                ls",
        "+  5.00s   → tool_call Bash (3rd time)",
        "                ls",
    ]
