"""A trace context is read from a request, or put into its bytes without changing any other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_trace_otel.capture.mcp.context import parent_of, splice

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
META = {"traceparent": TRACEPARENT}


def test_the_parent_is_the_span_that_meta_names() -> None:
    found = parent_of({"traceparent": TRACEPARENT, "tracestate": "a=1", "progressToken": 1})
    assert found is not None
    assert (found.trace_id, found.span_id) == (0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331)
    assert found.trace_state.to_header() == "a=1"


@pytest.mark.parametrize("meta", [{}, {"traceparent": 5}, {"traceparent": "00-0-0-01"}, {"tracestate": "a=1"}])
def test_no_parent_where_none_is_named(meta: dict[str, object]) -> None:
    assert parent_of(meta) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"id":1,"method":"x"}', '{"params":{"_meta":{@}},"id":1,"method":"x"}'),
        (' { "id":1,"method":"x" , "params" : { } }\r\n', ' { "id":1,"method":"x" , "params" : {"_meta":{@} } }\r\n'),
        ('{"id":1,"method":"x","params":{"a":1.0}}', '{"id":1,"method":"x","params":{"_meta":{@},"a":1.0}}'),
        (
            '{"params":{"b":{"_meta":{}},"_meta":{"a":"\\u00e9"}},"id":"i","method":"x"}',
            '{"params":{"b":{"_meta":{}},"_meta":{@,"a":"\\u00e9"}},"id":"i","method":"x"}',
        ),
        (
            '{"id":1,"method":"x","a":["params",{"params":{}}]}',
            '{"params":{"_meta":{@}},"id":1,"method":"x","a":["params",{"params":{}}]}',
        ),
        (
            '{"id":1,"id":2,"method":"x","params":{"é":"\u2028"}}',
            '{"id":1,"id":2,"method":"x","params":{"_meta":{@},"é":"\u2028"}}',
        ),
    ],
)
def test_every_other_byte_stays(before: str, after: str) -> None:
    wanted = after.replace("@", f'"traceparent":"{TRACEPARENT}"')
    assert splice(before.encode(), TRACEPARENT) == wanted.encode()


@pytest.mark.parametrize(
    "message",
    [
        "",
        "garbage",
        '[{"id":1,"method":"x"}]',
        '{"id":1,"result":{"method":1}}',
        '{"method":"notifications/x"}',
        '{"id":null,"method":"x"}',
        '{"id":1,"method":"x","params":null}',
        '{"id":1,"method":"x","params":[{"_meta":{}}]}',
        '{"id":1,"method":"x","params":{"_meta":null}}',
        '{"id":1,"method":"x","params":{"_meta":{"traceparent":"the client\'s own"}}}',
        '{"id":1,"method":"x","params":{"_meta":{"tracestate":"a=1"}}}',
        '{"id":1,"method":"x","params":{"a":1},"params":{"b":1}}',
        '{"id":1,"method":"x","par\\u0061ms":{}}',
        '{"id":1,"method":"x","params":{"a":"' + "x" * (1 << 20) + '"}}',
        '{"id":1,"method":"x","params":' + '{"a":' * 100_000 + "1" + "}" * 100_001,
    ],
)
def test_what_is_odd_passes_as_it_is(message: str) -> None:
    assert splice(message.encode(), TRACEPARENT) is None


def test_a_trace_state_goes_along() -> None:
    found = splice(b'{"id":1,"method":"x"}', TRACEPARENT, 'a="1"')
    assert found is not None
    assert json.loads(found)["params"]["_meta"] == {**META, "tracestate": 'a="1"'}


_KEYS = st.sampled_from(["params", "_meta", "x", '"', "\\", "é"])
_JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(_KEYS, _JSON), st.booleans(), st.sampled_from([None, 1]))
def test_the_rest_of_any_request_means_what_it_did(
    request_: dict[str, Any], is_ascii: bool, indent: int | None
) -> None:
    request_ |= {"id": 1, "method": "tools/call"}
    spliced = splice(json.dumps(request_, ensure_ascii=is_ascii, indent=indent).encode(), TRACEPARENT)
    if spliced is None:
        params = request_.get("params", {})
        assert not isinstance(params, dict) or not isinstance(params.get("_meta", {}), dict)
        return
    found = json.loads(spliced)
    assert found["params"]["_meta"].pop("traceparent") == TRACEPARENT
    for owner, name in ((found["params"], "_meta"), (found, "params")):
        if not owner[name] and (name == "params" or "_meta" not in request_.get("params", {})):
            del owner[name]
    request_ = {name: value for name, value in request_.items() if name != "params" or value}
    assert found == request_
