"""Calls with odd results: generators nobody runs, shared ones, streamed secrets, values that can't be read."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from agent_trace_otel import end_session, start_session, trace_agent, trace_tool
from agent_trace_otel.testing import Recorded

SECRET = "sk-" + "ant-api03-" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


@pytest.fixture
def opened(recorded: Recorded) -> Iterator[Recorded]:
    """Open a session around the test."""
    start_session("test")
    yield recorded
    end_session()


def _types(recorded: Recorded) -> list[str]:
    return [event.event_type for event in recorded.events()][1:]


@pytest.mark.parametrize("decorate", [trace_tool, trace_agent])
def test_a_secret_streamed_in_pieces_is_withheld(opened: Recorded, decorate: Any) -> None:
    @decorate
    def stream() -> Iterator[str]:
        for start in range(0, len(SECRET), 7):
            yield SECRET[start : start + 7]

    assert "".join(stream()) == SECRET
    text = opened.text()
    assert "[REDACTED:anthropic]" in text
    assert SECRET[14:21] not in text


def test_wrong_arguments_of_a_generator_begin_nothing(opened: Recorded) -> None:
    @trace_tool
    def rows(n: int) -> Iterator[int]:
        yield n

    with pytest.raises(TypeError):
        next(rows(1, 2))  # type: ignore[call-arg]
    assert _types(opened) == []


def test_a_generator_that_nobody_runs_is_abandoned(opened: Recorded) -> None:
    @trace_tool
    def rows() -> Any:
        return (n for n in range(3))

    rows()
    gc.collect()
    assert _types(opened) == ["tool_call", "tool_result"]
    assert opened.events()[-1].data["outcome"] == "abandoned"


def test_a_generator_that_the_program_shares_stays_its_own(opened: Recorded) -> None:
    shared = (n for n in range(3))

    @trace_tool
    def source() -> Any:
        return shared

    assert next(source()) == 0
    gc.collect()
    assert next(source()) == 1


def test_a_result_that_cant_be_read_ends_the_call_all_the_same(opened: Recorded) -> None:
    class Thing:
        pass

    @trace_tool
    def dead() -> Any:
        return weakref.proxy(Thing())

    dead()
    assert _types(opened) == ["tool_call", "tool_result"]


def test_a_callable_object_keeps_its_attributes(opened: Recorded) -> None:
    class Tool:
        def __init__(self) -> None:
            self.schema = {"type": "object"}

        def __call__(self) -> int:
            return 1

    traced = trace_tool(Tool())
    assert traced() == 1
    assert traced.schema == {"type": "object"}  # type: ignore[attr-defined]


def test_only_callables_are_decorated() -> None:
    with pytest.raises(TypeError, match="settings are named"):
        trace_tool("search")  # type: ignore[type-var]


def test_a_list_that_never_ends_is_told_as_far_as_it_is_kept(opened: Recorded) -> None:
    class Endless(list[int]):
        def __iter__(self) -> Iterator[int]:
            while True:
                yield 7

    @trace_tool
    def source(rows: list[int]) -> dict[str, list[int]]:
        return {"rows": rows}

    rows = Endless()
    assert source(rows)["rows"] is rows
    assert _types(opened) == ["tool_call", "tool_result"]
