"""JSON-RPC is read from whatever comes; ids keep their type; what is too long or too deep is read by its outline."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_trace_otel.capture.mcp.framing import KEPT_HEAD, KEPT_TAIL, LineFramer
from agent_trace_otel.capture.mcp.messages import Framed, Id, Message, read


def _read(text: str | bytes) -> tuple[list[Message], int]:
    return read(Framed(text if isinstance(text, bytes) else text.encode()))


def test_requests_notifications_and_answers() -> None:
    text = """[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add"}},
        {"jsonrpc":"2.0","method":"notifications/initialized"},
        {"jsonrpc":"2.0","id":"a","result":null},
        {"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}}]"""
    assert _read(text) == (
        [
            Message("tools/call", Id("number", "1"), {"name": "add"}),
            Message("notifications/initialized"),
            Message(id=Id("string", "a")),
            Message(error={"code": -32700, "message": "no"}),
        ],
        0,
    )


def test_ids_keep_their_type_and_numbers_are_one_kind() -> None:
    ids = [_read(f'{{"id":{text},"result":0}}')[0][0].id for text in ("1", '"1"', "1.0", "true", "1.5", "[1]")]
    assert ids[0] == ids[2] == Id("number", "1")
    assert len(set(ids)) == 5


@pytest.mark.parametrize(
    ("text", "unreadable"),
    [
        ("not json", 1),
        ("", 1),
        ("[]", 1),
        ("5", 1),
        ('[1,{"x":2},{"id":1,"result":{}}]', 2),
        ('{"id":1}', 1),
        ('{"id":1,"method":""}', 1),
        ('{"id":1,"method":5}', 1),
        ('{"id":1,"error":"no object"}', 1),
        ("1" * 5000, 1),
    ],
)
def test_what_is_no_message_is_counted(text: str, unreadable: int) -> None:
    assert _read(text)[1] == unreadable


@pytest.mark.parametrize("params", ["null", "[]", '"text"', "5"])
def test_parameters_of_a_surprising_shape_are_none(params: str) -> None:
    assert _read(f'{{"id":1,"method":"x","params":{params}}}') == ([Message("x", Id("number", "1"), version="")], 0)


def test_invalid_utf_8_does_not_cost_the_message() -> None:
    (message,), _ = _read(b'{"id":1,"method":"tools/call","params":{"name":"\xff\xfe"}}')
    assert message.params == {"name": "\ufffd\ufffd"}


def test_meta_is_that_of_the_parameters_or_of_the_result() -> None:
    (request,), _ = _read('{"id":1,"method":"x","params":{"_meta":{"a":1}}}')
    (answer,), _ = _read('{"id":1,"result":{"_meta":{"b":2}}}')
    (odd,), _ = _read('{"id":1,"result":{"_meta":[]}}')
    assert (request.meta, answer.meta, odd.meta) == ({"a": 1}, {"b": 2}, {})


@pytest.mark.parametrize("deep", ["[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000])
def test_what_is_nested_too_deeply_is_read_by_its_outline(deep: str) -> None:
    (request,), _ = _read(f'{{"jsonrpc":"2.0","method":"tools/call","id":"x","params":{deep}}}')
    assert (request.method, request.id, request.is_whole) == ("tools/call", Id("string", "x"), False)
    (answer,), _ = _read(f'{{"result":{deep},"jsonrpc":"2.0","id":7}}')
    assert (answer.method, answer.id, answer.error, answer.is_whole) == ("", Id("number", "7"), None, False)
    (failed,), _ = _read(f'{{"id":8,"error":{{"data":{deep}}}}}')
    assert (failed.id, failed.error) == (Id("number", "8"), {})
    assert _read(deep) == ([], 1)


_KEYS = st.sampled_from(["jsonrpc", "id", "method", "params", "result", "error", 'o"dd', "{"])
_SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
_JSON = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3))


@given(st.dictionaries(_KEYS, _JSON, min_size=1).filter(lambda value: not isinstance(value.get("id"), (list, dict))))
def test_an_outline_tells_what_the_whole_would_have_told(value: dict[str, object]) -> None:
    text = json.dumps(value)
    cut = Framed(text.encode(), tail=text.encode()[-KEPT_TAIL:])
    (whole, unreadable), outline = _read(text), read(cut)
    told = [Message(m.method, m.id, error=None if m.error is None else {}, is_whole=False) for m in whole]
    shown = [replace(m, version="2.0") for m in outline[0]]
    assert (shown, outline[1]) == (told, unreadable)


def test_a_long_answer_is_matched_by_its_last_members() -> None:
    text = b'{"result":{"content":"' + b'{\\"id\\":1,' * (20 << 17) + b'"},"jsonrpc":"2.0","id":"last"}'
    (framed,) = LineFramer().feed(text + b"\n")
    assert len(framed.content) == KEPT_HEAD
    assert read(framed) == ([Message(id=Id("string", "last"), is_whole=False)], 0)


@given(st.binary(max_size=40))
def test_no_bytes_raise(content: bytes) -> None:
    read(Framed(content))
    read(Framed(content, tail=content[-10:]))
