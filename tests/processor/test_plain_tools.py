"""The straight way of plain tool calls writes the lines that the general way writes, and takes only plain calls."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace as trace_api

from agent_trace_otel import Redactor, configure, log_decision, session, spans, trace_agent, trace_tool
from agent_trace_otel.processor import plain_tools
from agent_trace_otel.processor.plain_tools import PlainToolCalls
from agent_trace_otel.testing import Recorded, recording

SESSION_ID = "6f1c2f9e-8d0b-4a7e-9f57-2d8a1f0c3b55"
_TIMES = re.compile(rb'"(timestamp|duration_ms|total_duration_ms|\w+UnixNano)":"?[\d.e-]+"?')
_INSTANCE = re.compile(rb'\{"key":"service.instance.id","value":\{"stringValue":"[^"]+"\}\},?')


def _lines(work: Any, folder: Path, *, straight: bool) -> tuple[bytes, bytes, int]:
    """Record one session; return both files with times taken out, and how many calls went the straight way."""
    taken = 0
    finish = PlainToolCalls.finish

    def counted(*args: Any) -> Any:
        nonlocal taken
        found = finish(*args)
        taken += found is not None
        return found

    begin = PlainToolCalls.begin if straight else lambda *_: None
    with (
        recording(folder) as found,
        mock.patch.object(PlainToolCalls, "begin", begin),
        mock.patch.object(PlainToolCalls, "finish", counted),
        mock.patch("agent_trace_otel.provider.getrandbits", side_effect=range(1, 10_000)),
        session("same", session_id=SESSION_ID),
    ):
        work()
    texts = ((found.trace_dir / SESSION_ID / name).read_bytes() for name in ("events.ndjson", "spans.jsonl"))
    events, spans_text = (_INSTANCE.sub(b"", _TIMES.sub(rb'"\1":0', text)) for text in texts)
    # event ids of points are made of times; a closing event's of its span alone
    return re.sub(rb'("decision","timestamp":0,"event_id":)"[0-9a-f]{12}"', rb"\1", events), spans_text, taken


def _both_ways_agree(work: Any, folder: Path) -> int:
    general = _lines(work, folder / "general", straight=False)
    straight = _lines(work, folder / "straight", straight=True)
    assert straight[:2] == general[:2]
    assert general[2] == 0
    return straight[2]


@trace_tool
def echo(**values: Any) -> Any:
    return values.get("result")


@trace_tool(name='né \u2028 "quoted"')
def odd_name(**values: Any) -> Any:
    return values


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None)
@given(
    calls=st.lists(st.dictionaries(st.sampled_from(["result", "a", "pass_word", "é"]), JSON, max_size=3), max_size=4)
)
def test_any_arguments_and_results(calls: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> None:
    def work() -> None:
        for values in calls:
            echo(**values)
            odd_name(**values)

    _both_ways_agree(work, tmp_path_factory.mktemp("ways"))


def test_plain_calls_go_the_straight_way(tmp_path: Path) -> None:
    @trace_agent(name="helper")
    def helper() -> None:
        echo(result="inside", text='é \u2028 \\ " \n')
        odd_name(x=1)

    def work() -> None:
        echo(result=["a", 1], q="b")
        echo(result="again")
        helper()

    assert _both_ways_agree(work, tmp_path) == 4


SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" + "k1L2m3N4o5P6q7R8"


def _fail() -> None:
    @trace_tool
    def failing(x: int) -> None:
        message = "no"
        raise ValueError(message)

    with pytest.raises(ValueError, match="no"):
        failing(1)


def _decide() -> None:
    @trace_tool
    def deciding(x: int) -> int:
        log_decision("a", reason="b")
        return x

    deciding(1)


def _add_attribute(key: str, value: str) -> None:
    @trace_tool
    def adding(x: int) -> int:
        trace_api.get_current_span().set_attribute(key, value)
        return x

    adding(1)


ODD = {
    "a secret argument": lambda: echo(q=SECRET),
    "a secret result": lambda: echo(result=SECRET),
    "a secret key": lambda: echo(password="hunter2hunter2"),
    "a long argument": lambda: echo(q="x" * 20_000),
    "a long result": lambda: echo(result="x" * 20_000),
    "no result": lambda: echo(q=1),
    "arguments that are no object": lambda: spans.end_tool(spans.start_tool("t", "text"), "r"),
    "a call id": lambda: spans.end_tool(spans.start_tool("t", {"a": 1}, call_id="c1"), "r"),
    "an error": _fail,
    "an event": _decide,
    "an attribute of the user's": lambda: _add_attribute("mine", "1"),
    "an attribute overwritten": lambda: _add_attribute("gen_ai.tool.name", "other"),
    "a session id overwritten": lambda: _add_attribute("session.id", "other"),
}


@pytest.mark.parametrize("name", sorted(ODD))
def test_odd_calls_go_the_general_way(name: str, tmp_path: Path) -> None:
    assert _both_ways_agree(ODD[name], tmp_path) == 0
    assert SECRET not in Recorded(tmp_path / "straight").text()


def test_a_redactor_of_the_users_is_asked_on_the_straight_way_too(tmp_path: Path) -> None:
    with recording(tmp_path) as found:
        configure(redact=Redactor(keys=["arguments"], patterns=["plum"]))
        with session("redacted"):
            echo(q="anything")
            echo(result="a plum", q=1)
    assert [event.data["arguments"] for event in found.events() if event.event_type == "tool_call"] == [
        {"value": "[REDACTED]"},
        {"value": "[REDACTED]"},
    ]
    assert "plum" not in found.text()


def test_the_tools_it_knows_are_bounded(recorded: Recorded) -> None:
    with session("many"):
        for number in range(plain_tools._MAX_TOOLS + 10):
            spans.end_tool(spans.start_tool(f"tool{number}", {"n": number}), "ok")
    results = [event for event in recorded.events() if event.event_type == "tool_result"]
    assert len(results) == plain_tools._MAX_TOOLS + 10
    assert json.loads((recorded.trace_dir / recorded.sessions()[0] / "spans.jsonl").read_bytes().splitlines()[0])
