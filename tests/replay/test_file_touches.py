"""Which files a session touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from session_folders import START, event, write_session

from agent_trace_otel.replay.file_touches import FileTouches
from agent_trace_otel.store import span_events
from agent_trace_otel.store.index import SessionIndex


def call(number: int, tool: str, arguments: dict[str, Any], end: str = "tool_result", agent: str = "") -> bytes:
    """Return the two lines of a call, as the recorder writes them."""
    span = f"{number:016x}"
    attributes = {"gen_ai.tool.name": tool, "gen_ai.tool.call.arguments": json.dumps(arguments)}
    opened = span_events.opening("tool", attributes, span_events.tail("f" * 32, span, "a" * 16, agent), 1000)
    assert opened is not None
    head = f'"timestamp":{START + number},"event_id":"{span}","session_id":"s"'
    line = f'{{"event_type":"tool_call",{head},"data":{opened[1]}}}\n'.encode()
    return line + event(end, number + 0.5, {"tool_name": tool}, event_id=f"e{number}", parent_id=span, span=span)


def rows(tmp_path: Path, *lines: bytes) -> list[dict[str, Any]]:
    with SessionIndex(str(write_session(tmp_path, *lines) / "events.ndjson")) as index:
        assert (index.unreadable, index.torn, index.repeated) == (0, 0, 0)
        files = FileTouches(index)
        for ordinal in index.of_type("tool_call"):
            files.add_call(ordinal, index.tool_name(ordinal), index.line(ordinal))
        return files.rows()


def brief(found: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    return [(row["path"], row["reads"], row["writes"]) for row in found]


def test_files_are_counted_by_agent_and_the_busiest_come_first(tmp_path: Path) -> None:
    found = rows(
        tmp_path,
        call(1, "Read", {"file_path": "a.py"}),
        call(2, "Read", {"file_path": "b.py"}),
        call(3, "Edit", {"old_string": '"path":"c.py"', "new_string": "", "file_path": "b.py"}),
        call(4, "Read", {"file_path": "b.py"}, agent='the "scout"'),
    )
    assert found == [
        {
            "path": "b.py",
            "reads": 2,
            "writes": 1,
            "by": [
                {"agent": None, "reads": 1, "writes": 1},
                {"agent": 'the "scout"', "reads": 1, "writes": 0},
            ],
        },
        {"path": "a.py", "reads": 1, "writes": 0, "by": [{"agent": None, "reads": 1, "writes": 0}]},
    ]


@pytest.mark.parametrize(
    ("tool", "arguments", "touched"),
    [
        ("Write", {"file_path": "n.py", "content": "x"}, [("n.py", 0, 1)]),
        ("NotebookEdit", {"notebook_path": "n.ipynb"}, [("n.ipynb", 0, 1)]),
        ("read_file", {"path": 'ü "quoted" \\ 字.py'}, [('ü "quoted" \\ 字.py', 1, 0)]),
        ("mcp__files__write_file", {"path": "n.py"}, [("n.py", 0, 1)]),
        ("Bash", {"command": "cat n.py", "path": "n.py"}, []),
        ("Read", {}, []),
        ("Read", {"file_path": ""}, []),
        ("Read", {"file_path": ["n.py"]}, []),
        (
            "apply_patch",
            {"command": '*** Begin Patch\n*** Update File: a "b".py\n@@\n*** Add File: c.py\n+*** x\n*** End Patch\n'},
            [('a "b".py', 0, 1), ("c.py", 0, 1)],
        ),
    ],
)
def test_tools_that_read_and_write_the_file_they_name(
    tmp_path: Path, tool: str, arguments: dict[str, Any], touched: list[tuple[str, int, int]]
) -> None:
    assert brief(rows(tmp_path, call(1, tool, arguments))) == touched


def test_a_call_that_failed_touched_nothing(tmp_path: Path) -> None:
    assert rows(tmp_path, call(1, "Write", {"file_path": "a.py"}, "error")) == []


def test_a_call_that_logs_its_own_file_events_is_not_counted_twice(tmp_path: Path) -> None:
    logged = event("file_read", 1.2, {"uri": "/project/a.py"}, span=f"{1:016x}")
    alone = event("file_read", 3, {"uri": "b.py", "agent": "scout"}, span="b" * 16)
    found = rows(
        tmp_path, call(1, "Read", {"file_path": "a.py"}), logged, call(2, "Read", {"file_path": "b.py"}), alone
    )
    assert brief(found) == [("b.py", 2, 0), ("/project/a.py", 1, 0)]
    assert [who["agent"] for who in found[0]["by"]] == ["scout", None]


def test_another_writers_calls_are_counted(tmp_path: Path) -> None:
    data = {"arguments": {"file_path": "a.py"}, "tool_name": "Read", "id": 7}
    line = json.dumps({"event_type": "tool_call", "timestamp": START, "event_id": "c", "data": data}).encode()
    assert brief(rows(tmp_path, line + b"\n")) == [("a.py", 1, 0)]
