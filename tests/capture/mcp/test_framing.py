"""Messages are found wherever the bytes were cut, and what is not right costs nothing but itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_trace_otel.capture.mcp import framing
from agent_trace_otel.capture.mcp.framing import BodyFramer, EventFramer, Framed, Framer, LineFramer


def _fed(framer: Framer, *chunks: bytes) -> list[bytes]:
    found = [piece for chunk in chunks for piece in framer.feed(chunk)]
    return [piece.content for piece in [*found, *framer.end()]]


def test_a_line_is_a_message_and_blank_ones_are_none() -> None:
    assert _fed(LineFramer(), b'{"a":1}\n\n \r\n{"b":', b"2}\r\nlast") == [b'{"a":1}', b'{"b":2}\r', b"last"]


def test_only_newlines_end_lines() -> None:
    text = "{'a': '\u2028\u2029\u0085\x0b\x0c\x1c'}\r".encode()
    assert _fed(LineFramer(), text + b"\n") == [text]


@pytest.mark.parametrize("header", [b"Content-Length: 9\r\n\r\n", b"content-type: x\r\ncontent-length:9\n\n"])
def test_content_length_frames_are_read_among_lines(header: bytes) -> None:
    stream = b'{"a":1}\n' + header + b'{"b":\n2 }' + header + b'{"c": 3 }' + b'{"d":4}\n'
    assert _fed(LineFramer(), stream) == [b'{"a":1}', b'{"b":\n2 }', b'{"c": 3 }', b'{"d":4}']


def test_a_frame_without_a_length_is_no_frame() -> None:
    assert _fed(LineFramer(), b"Content-Length: many\n\n{}\n") == [b"{}"]


@given(st.lists(st.binary(max_size=5), max_size=8), st.integers(1, 7))
def test_where_chunks_are_cut_makes_no_difference(lines: list[bytes], size: int) -> None:
    stream = b"\n".join(lines)
    chunks = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert _fed(LineFramer(), *chunks) == _fed(LineFramer(), stream)
    assert _fed(EventFramer(), *chunks) == _fed(EventFramer(), stream)


def test_a_message_that_is_too_long_is_kept_by_its_ends() -> None:
    framer = LineFramer()
    piece = bytes(range(14, 256)) * 1000
    times = framing.MAX_MESSAGE // len(piece) + 1
    found = [*framer.feed(b"begin"), *(message for _ in range(times) for message in framer.feed(piece))]
    found += framer.feed(b"the end\nnext\n")
    assert found[0].content == (b"begin" + piece)[: framing.KEPT_HEAD]
    assert found[0].tail == (piece + b"the end")[-framing.KEPT_TAIL :]
    assert found[1:] == [Framed(b"next")]


def test_a_gap_costs_the_message_that_it_lies_in() -> None:
    framer = LineFramer()
    assert framer.feed(b"one\ntw") == [Framed(b"one")]
    framer.gap()
    assert framer.feed(b"ree\nfour\n") == [Framed(b"four")]
    framer.gap()
    assert framer.feed(b"rest without an end") == []
    assert framer.end() == []


def test_a_body_is_one_message() -> None:
    assert _fed(BodyFramer(), b'{"a":', b"\n1}") == [b'{"a":\n1}']
    assert _fed(BodyFramer(), b" \r\n") == []
    framer = BodyFramer()
    framer.gap()
    assert _fed(framer, b"{}") == []


def test_events_are_read_as_the_standard_has_it() -> None:
    stream = (
        b"\xef\xbb\xbfevent: endpoint\r\ndata: /messages?sessionId=1\r\n\r\n: a comment\n\n"
        b"id: 7\ndata\n\nretry: 100\ndata:{}\ndata: []\r\revent:x\ndata: y\n\ndata: not complete\n"
    )
    framer = EventFramer()
    found = [piece for byte in stream for piece in framer.feed(bytes([byte]))]
    assert found == [
        Framed(b"/messages?sessionId=1", event="endpoint"),
        Framed(b"", event="message", event_id="7"),
        Framed(b"{}\n[]", event="message"),
        Framed(b"y", event="x"),
    ]
    assert framer.end() == []


def test_no_bytes_between_a_carriage_return_and_its_newline_end_no_event() -> None:
    framer = EventFramer()
    assert _fed(framer, b"data: {}\r", b"", b"\ndata: []\n\n") == [b"{}\n[]"]


def test_an_event_of_many_lines_costs_what_its_bytes_cost() -> None:
    """Each line once: a copy of all that came before for each would be quadratic, and the server's to choose."""
    framer, added = EventFramer(), _Counted()
    framer._event_data = added
    framer.feed(b"data: 1\n" * 1000)
    assert added.bytes == 2 * 1000 - 1
    (found,) = framer.feed(b"\n")
    assert found.content == b"\n".join([b"1"] * 1000)


class _Counted(framing._Gathered):
    """Counts the bytes that are put into it."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def add(self, part: bytes) -> None:
        self.bytes += len(part)
        super().add(part)


def test_a_gap_costs_one_event() -> None:
    framer = EventFramer()
    framer.feed(b"data: to")
    framer.gap()
    assert framer.feed(b"rn\n\ndata: next\n\n") == [Framed(b"next", event="message")]


def test_an_event_that_is_too_long_is_kept_by_its_ends() -> None:
    framer = EventFramer()
    framer.feed(b"data: ")
    for _ in range(framing.MAX_MESSAGE >> 20):
        framer.feed(b"x" * (1 << 20))
    (found,) = framer.feed(b"y end\n\n")
    assert found.tail.endswith(b"xxy end")
    assert found.content == b"x" * len(found.content)
