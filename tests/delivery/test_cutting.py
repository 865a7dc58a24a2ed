"""A span cut to what a back end takes: it fits, its JSON is JSON, and one sees how much is missing."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_backend import make_span

from agent_trace_otel.delivery.cutting import cut, cut_text, shown_size, with_short_values
from agent_trace_otel.delivery.protobuf import items_of_request
from agent_trace_otel.store.spans_file import encode_line, parse_line

if TYPE_CHECKING:
    from agent_trace_otel.delivery.protobuf import Item

MARK = re.compile(r"\[cut: \d+(\.\d)? ?[KM]?B\]")


def item(**attributes: Any) -> Item:
    (found,) = items_of_request(parse_line(encode_line(make_span(1, attributes=attributes))))
    return found


def values(found: Item) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in found.span.attributes}


def test_the_long_values_are_cut_and_the_short_ones_stay() -> None:
    whole = item(short="abc", long="x" * 20_000, longer="y" * 40_000)
    shorter = cut(whole, 10_000)
    assert shorter.size <= 10_000
    found = values(shorter)
    assert found["short"] == "abc"
    assert found["long"].startswith("xxx")
    assert MARK.search(found["long"])
    assert MARK.search(found["longer"])
    assert (shorter.span.span_id, shorter.span.end_time_unix_nano) == (
        whole.span.span_id,
        whole.span.end_time_unix_nano,
    )
    assert values(whole)["long"] == "x" * 20_000


def test_json_is_cut_value_by_value() -> None:
    messages = [{"role": "user", "parts": [{"type": "text", "content": "é" * 30_000}]}, {"role": "assistant"}]
    found = json.loads(values(cut(item(messages=json.dumps(messages)), 4_000))["messages"])
    assert [message["role"] for message in found] == ["user", "assistant"]
    content = found[0]["parts"][0]["content"]
    assert content.startswith("éé")
    assert MARK.search(content)


@pytest.mark.parametrize("size", [200, 1_000, 30_000])
def test_whatever_makes_it_large_it_fits(size: int) -> None:
    large: list[dict[str, Any]] = [
        {"bytes": b"\x00" * 100_000},
        {f"attribute {number}": "v" * 50 for number in range(1_000)},
        {"list": tuple(f"item {number}" * 10 for number in range(1_000))},
        {"map": {"deep": {"deeper": "z" * 100_000}}},
        {"numbers": tuple(range(20_000))},
        {"json": json.dumps({f"key {number}": number for number in range(4_000)})},
    ]
    for attributes in large:
        assert cut(item(**attributes), size).size <= size


def test_what_is_left_out_whole_is_counted_the_largest_first() -> None:
    found = cut(item(**{f"attribute {number}": "v" * (number % 50) for number in range(1_000)}), 20_000).span
    assert 0 < len(found.attributes) == 1_000 - found.dropped_attributes_count
    assert max(len(pair.value.string_value) for pair in found.attributes) < 49


def test_a_cut_says_how_much_is_missing() -> None:
    assert cut_text("x" * 20_000, 1_800).endswith("… [cut: 18.2 KB]")
    assert [shown_size(size) for size in (0, 999, 1000, 18_249, 1_250_000)] == [
        "0 B",
        "999 B",
        "1.0 KB",
        "18.2 KB",
        "1.2 MB",
    ]


@given(st.text(), st.integers(64, 200))
def test_a_text_is_never_longer_than_the_limit_and_a_short_one_is_itself(text: str, limit: int) -> None:
    assert len(cut_text(text, limit).encode()) <= limit
    assert (cut_text(text, limit) == text) == (len(text.encode()) <= limit)


def test_no_value_is_longer_than_a_back_end_keeps() -> None:
    whole = item(short="abc", long="x" * 5000, json=json.dumps({"a": "y" * 5000, "b": 1}), several=["z" * 5000, "w"])
    shorter = with_short_values(whole, 4095)
    found = values(shorter)
    assert (found["short"], len(found["long"]) <= 4095, len(found["json"]) <= 4095) == ("abc", True, True)
    assert json.loads(found["json"])["b"] == 1
    (several,) = (pair.value.array_value.values for pair in shorter.span.attributes if pair.key == "several")
    assert [len(value.string_value) <= 4095 for value in several] == [True, True]
    assert all(MARK.search(text) for text in (found["long"], found["json"], several[0].string_value))
    assert shorter.span.span_id == whole.span.span_id
    assert shorter.size < whole.size
    fits = item(short="abc")
    assert with_short_values(fits, 4095) is fits
