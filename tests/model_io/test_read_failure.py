"""Failures that come as answers: code and text, and nothing of what is an answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agent_trace_otel import semconv
from agent_trace_otel.model_io import StreamReading, read_failure, read_response

FAILURES: list[tuple[Any, tuple[str, str]]] = [
    ({"error": {"code": "server_error", "message": "Out of paint."}}, ("server_error", "Out of paint.")),
    ({"error": {"type": "overloaded_error", "message": "Later."}}, ("overloaded_error", "Later.")),
    ({"error": {"code": 502, "message": "Bad gateway."}}, ("502", "Bad gateway.")),
    ({"error": {"message": "Why not."}}, ("error", "Why not.")),
    ({"error": "model not found"}, ("error", "model not found")),
    (SimpleNamespace(error=SimpleNamespace(code="x", message=None), choices=None), ("x", "")),
]
ANSWERS = [
    None,
    "error",
    {},
    {"error": None},
    {"error": False},
    {"error": {}},
    {"error": {"message": "of one choice"}, "choices": [{"index": 0}]},
    {"object": "response", "status": "completed", "error": None},
]


@pytest.mark.parametrize(("answer", "failure"), FAILURES)
def test_a_failure_that_came_as_an_answer_is_read(answer: Any, failure: tuple[str, str]) -> None:
    assert read_failure(answer) == failure


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_is_no_failure(answer: Any) -> None:
    assert read_failure(answer) is None


def test_nothing_is_raised_by_a_property_that_raises() -> None:
    class Odd:
        @property
        def error(self) -> object:
            raise ZeroDivisionError

    assert read_failure(Odd()) is None


@pytest.mark.parametrize(
    "last",
    [
        {
            "type": "response.failed",
            "response": {"status": "failed", "error": {"code": "server_error", "message": "No."}},
        },
        {"type": "error", "code": "server_error", "message": "No."},
    ],
)
def test_a_stream_of_responses_that_fails_says_so(last: dict[str, Any]) -> None:
    reading = StreamReading()
    reading.add({"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}})
    assert reading.failure() is None
    reading.add(last)
    assert reading.failure() == ("server_error", "No.")


@pytest.mark.parametrize(
    ("usage", "cached", "thought"),
    [
        ({"prompt_cache_hit_tokens": 4}, 4, None),
        ({"cached_tokens": 4, "reasoning_tokens": 2}, 4, 2),
        ({"prompt_tokens_details": {"cached_tokens": 0}, "prompt_cache_hit_tokens": 4}, 0, None),
    ],
)
def test_counts_that_stand_beside_the_totals_are_read(usage: dict[str, Any], cached: int, thought: int | None) -> None:
    choice = {"index": 0, "message": {"content": "Green."}, "finish_reason": "stop"}
    found = read_response({"id": "c", "choices": [choice], "usage": {"prompt_tokens": 9, **usage}})
    assert found[semconv.USAGE_INPUT_TOKENS] == 9
    assert found[semconv.USAGE_CACHE_READ_INPUT_TOKENS] == cached
    assert found.get(semconv.USAGE_REASONING_OUTPUT_TOKENS) == thought
