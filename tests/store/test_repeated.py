"""Calls that a timeline tells twice: which ones are left out, in whatever order their lines came."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from agent_trace_otel.store.index import SessionIndex
from agent_trace_otel.store.repeated import Repeated
from agent_trace_otel.store.tally import Tally, less, tally

TRACE = "a" * 32


def line(kind: str, at: float, span: str, data: dict[str, Any], *, parent: str = "", mcp: bool = False) -> bytes:  # noqa: PLR0913 - one line
    """Return a line as we write it; closing events have the span as their parent_id."""
    opens = kind in ("tool_call", "llm_request")
    head = {"event_type": kind, "timestamp": at, "event_id": span if opens else f"end-{span}", "session_id": "s"}
    head |= {} if opens else {"parent_id": span}
    placed = {**data, **({"mcp": True} if mcp else {}), "trace_id": TRACE, "span_id": span}
    placed |= {"parent_span_id": parent} if parent else {}
    return json.dumps({**head, "data": placed}, separators=(",", ":")).encode() + b"\n"


def span(number: int) -> str:
    return f"{number:016x}"


def tool(number: int, name: str, start: float, end: float, **place: Any) -> list[bytes]:
    given = {"tool_name": name, "arguments": {"q": "a", "n": 1} if number % 2 else {"n": 1, "q": "a"}}
    return [
        line("tool_call", start, span(number), given, **place),
        line("tool_result", end, span(number), {"tool_name": name, "result": "r"}, **place),
    ]


def model(number: int, start: float, end: float, *, parent: str = "", **told: Any) -> list[bytes]:
    return [
        line("llm_request", start, span(number), {"method": "chat", "model": "m"}, parent=parent),
        line("llm_response", end, span(number), {"content_preview": "", **told}, parent=parent),
    ]


def counts(path: Path) -> tuple[int, int, int, int]:
    """Return tool calls, model calls, errors and tokens: as meta.json counts them, and views hold the same."""
    found = tally(path)
    with SessionIndex(str(path)) as index:
        seen = (index.count("tool_call"), index.count("llm_request"), index.count("error"), index.total_tokens())
        assert all(index.partners[index.partners[n]] == n for n in range(len(index)) if index.partners[n] >= 0)
    assert seen == (found.tool_calls, found.llm_requests, found.errors, found.total_tokens)
    return seen


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.ndjson"


def test_an_agents_tool_call_and_its_mcp_request_are_one_in_any_order_of_lines(path: Path) -> None:
    lines = [*tool(1, "mcp__demo__search", 1, 4), *tool(2, "search", 2, 3, mcp=True)]
    for order in itertools.permutations(lines):
        path.write_bytes(b"".join(order))
        assert counts(path) == (1, 0, 0, 0)


@pytest.mark.parametrize(
    "other",
    [
        tool(2, "search", 5, 6, mcp=True),
        tool(2, "research", 2, 3, mcp=True),
        tool(2, "search", 2, 3),
        tool(4, "search", 2, 3, mcp=True)[:1]
        and [line("tool_call", 2, span(4), {"tool_name": "search", "arguments": {"q": "b"}}, mcp=True)],
    ],
    ids=["later", "another tool", "not over MCP", "other arguments"],
)
def test_other_calls_are_others(path: Path, other: list[bytes]) -> None:
    path.write_bytes(b"".join([*tool(1, "mcp__demo__search", 1, 4), *other]))
    assert counts(path)[0] == 2


def test_each_request_belongs_to_one_call(path: Path) -> None:
    requests = [*tool(2, "search", 2, 3, mcp=True), *tool(4, "search", 2.5, 3, mcp=True)]
    path.write_bytes(b"".join([*tool(1, "mcp__demo__search", 1, 4), *requests]))
    assert counts(path)[0] == 2


def test_a_request_that_failed_is_no_error_of_its_own(path: Path) -> None:
    failed = line("error", 3, span(2), {"tool_name": "search", "message": "no"}, mcp=True)
    path.write_bytes(b"".join([*tool(1, "mcp__demo__search", 1, 4), tool(2, "search", 2, 3, mcp=True)[0], failed]))
    assert counts(path) == (1, 0, 0, 0)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_request_in_another_tool_call_is_that_call(path: Path, is_first: bool) -> None:
    outer, inner = tool(1, "look", 1, 4), tool(2, "search", 2, 3, parent=span(1), mcp=True)
    path.write_bytes(b"".join([*outer, *inner] if is_first else [*inner, *outer]))
    assert counts(path)[0] == 1


def test_answers_with_one_id_are_one_call_and_the_tokens_stay(path: Path) -> None:
    path.write_bytes(b"".join([*model(1, 1, 4, response_id="r"), *model(2, 2, 3, response_id="r", total_tokens=9)]))
    assert counts(path) == (0, 1, 0, 9)


def test_a_closing_event_that_says_so_is_no_call(path: Path) -> None:
    path.write_bytes(b"".join([*model(1, 1, 4, total_tokens=9), *model(2, 2, 3, duplicate_of=span(1))]))
    assert counts(path) == (0, 1, 0, 9)


@pytest.mark.parametrize(("outer", "inner"), [(9, 9), (9, 0), (0, 9)])
def test_of_a_call_in_a_call_the_one_with_tokens_stays(path: Path, outer: int, inner: int) -> None:
    told = [{"total_tokens": tokens} if tokens else {} for tokens in (outer, inner)]
    path.write_bytes(b"".join([*model(1, 1, 4, **told[0]), *model(2, 2, 3, parent=span(1), **told[1])]))
    assert counts(path) == (0, 1, 0, 9)


def test_counting_on_from_any_byte_takes_off_the_same(path: Path) -> None:
    whole = b"".join(
        [
            *tool(1, "mcp__demo__search", 1, 4),
            *tool(2, "search", 2, 3, mcp=True),
            *model(3, 1, 4, response_id="r", total_tokens=9),
            *model(5, 2, 3, response_id="r", total_tokens=9),
        ]
    )
    for written in range(0, len(whole) + 1, 13):
        calls = Repeated()
        path.write_bytes(whole[:written])
        first = tally(path, 0, calls)
        path.write_bytes(whole)
        rest = tally(path, first.offset, calls)
        added = Tally(
            *(getattr(first, n) + getattr(rest, n) for n in ("tool_calls", "llm_requests", "errors", "total_tokens"))
        )
        assert less(added, calls) == Tally(1, 1, 0, 9)
