"""Readings never raise and never lose anything, whatever a span holds."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from samples import NAMES, samples

from agent_trace_otel import semconv
from agent_trace_otel.dialects import Given, is_content, read
from agent_trace_otel.dialects.reading import DIALECTS
from agent_trace_otel.store.span_events import closing, kind_of, opening

_SCOPES = [scope for dialect in DIALECTS for scope in dialect.scopes]
_SEEN = [sample for name in NAMES for sample in samples(name)]
_NAMES = sorted(
    {name for sample in _SEEN for name in sample["attributes"]}
    | {name for dialect in DIALECTS for name in (*dialect.names, *dialect.marks, *dialect.content)}
)
_EVENTS = ["gen_ai.user.message", "gen_ai.choice", "gen_ai.content.prompt", "tool.output", "other"]
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES) | st.text(max_size=8), inner),
    max_leaves=8,
)
_values = (
    _json
    | _json.map(json.dumps)
    | st.sampled_from([v for sample in _SEEN for v in map(str, sample["attributes"].values())])
)
_names = (
    st.sampled_from(_NAMES)
    | st.text(max_size=20)
    | st.builds(
        "{}{}.{}.{}".format,
        st.sampled_from(["llm.input_messages.", "gen_ai.prompt.", "gen_ai.completion.", "llm.output_messages."]),
        st.integers(0, 10**30) | st.text(max_size=3),
        st.sampled_from(["message", "role", "content", "tool_calls.0.name", "message.contents.0.message_content"]),
        st.sampled_from(["role", "content", "text", "type", "0.tool_call.function.name"]),
    )
)
_attributes = st.dictionaries(_names, _values, max_size=12)
_spans = st.builds(
    Given,
    _attributes,
    st.sampled_from(["", "call_llm", "chat m", "MCP send tools/call x", *[sample["name"] for sample in _SEEN]]),
    st.sampled_from(["", *_SCOPES]),
    st.lists(st.tuples(st.sampled_from(_EVENTS), _attributes), max_size=3),
)


@settings(max_examples=150)
@given(_spans)
def test_any_span_is_read_and_told(span: Given) -> None:
    found = read(span).attributes
    kind = kind_of(found)
    assert [name for name in span.attributes if name not in found and name not in _TYPED] == []
    opening(kind, found, "}", 1000)
    closing(kind, found, None, 1.0, "}", 1000)


_TYPED = {
    semconv.USAGE_INPUT_TOKENS,
    semconv.USAGE_OUTPUT_TOKENS,
    semconv.USAGE_CACHE_READ_INPUT_TOKENS,
    semconv.USAGE_CACHE_WRITE_INPUT_TOKENS,
    semconv.USAGE_REASONING_OUTPUT_TOKENS,
    semconv.RESPONSE_FINISH_REASONS,
}
"""What is no number, or no list of reasons, is read as none; the span keeps it."""


@given(st.text(), st.text())
def test_any_name_is_content_or_not(name: str, event: str) -> None:
    assert is_content(name, event) in (True, False)


def test_reading_touches_nothing() -> None:
    for sample in _SEEN:
        before: Any = json.dumps(sample)
        read(Given(sample["attributes"], sample["name"], sample["scope"], [tuple(e) for e in sample["events"]]))
        assert json.dumps(sample) == before
