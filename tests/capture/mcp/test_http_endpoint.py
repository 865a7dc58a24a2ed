"""The endpoint event of a stream, cut anywhere."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_trace_otel.capture.mcp.http.endpoint import EndpointEvent

ABSOLUTE = b"http://h:1/messages?s=1"
MOVED = b"http://localhost:3100/messages?s=1"


def _moved(url: str) -> str:
    return url.replace("http://h:1", "http://localhost:3100")


def _passed(stream: bytes, *cuts: int) -> bytes:
    view = EndpointEvent(_moved)
    bounds = [0, *sorted(cuts), len(stream)]
    return b"".join(view.feed(stream[a:b]) for a, b in itertools.pairwise(bounds)) + view.rest()


STREAMS: list[Any] = [
    pytest.param(b"event: endpoint\ndata: %s\n\nevent: message\ndata: {}\n\n", id="plain"),
    pytest.param(b"event:endpoint\r\ndata:%s\r\n\r\n: ping\r\n\r\n", id="CRLF, no spaces"),
    pytest.param(b"event: endpoint\rdata: %s\r\rdata: x\r\r", id="CR"),
    pytest.param(b": hello\n\n: ping\nid: 7\nretry: 100\nevent: endpoint\nid: 8\ndata: %s\n\n", id="after comments"),
    pytest.param(b"\n\nevent: endpoint\ndata: %s\n\nevent: endpoint\ndata: http://h:1/again\n\n", id="only the first"),
]


@pytest.mark.parametrize("stream", STREAMS)
@given(data=st.data())
def test_an_absolute_url_is_moved_wherever_the_stream_is_cut(stream: bytes, data: st.DataObject) -> None:
    whole = stream % ABSOLUTE
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=8))
    assert _passed(whole, *cuts) == stream % MOVED


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"event: message\ndata: {}\n\nevent: endpoint\ndata: http://h:1/late\n\n",
        b"data: first\n\nevent: endpoint\ndata: http://h:1/late\n\n",
        b"event: endpoint\n\ndata: http://h:1/none\n\n",
        b"event: endpoints\ndata: http://h:1/x\n\n",
        b"id: 1\ndata:\n\ndata: http://h:1/x\n\n",
        b"event: endpoint\ndata: /relative\n\n",
        b"event: endpoint\ndata: \xff\xfe\n\n",
        b"event: endpoint\ndata: http://h:1/unfinished",
        b"event: endp",
        b"x" * 200_000,
    ],
)
@given(data=st.data())
def test_everything_else_stays_as_it_is(stream: bytes, data: st.DataObject) -> None:
    assert _passed(stream, *data.draw(st.lists(st.integers(0, len(stream)), max_size=8))) == stream


def test_nothing_is_held_back_but_a_line_that_may_become_the_endpoint() -> None:
    view = EndpointEvent(_moved)
    assert view.feed(b": ping\n\n") == b": ping\n\n"
    assert view.feed(b"data: {") == b"data: {"
    assert view.feed(b'"x": 1') == b'"x": 1'


def test_an_endless_line_is_not_kept() -> None:
    view = EndpointEvent(_moved)
    assert view.feed(b"event: endpoint\ndata: ") == b"event: endpoint\n"
    passed = sum(len(view.feed(b"x" * 1000)) for _ in range(100))
    assert passed == 100_006
