"""Which headers go on to the other side."""

from __future__ import annotations

from agent_trace_otel.capture.mcp.http import headers as http_headers


def test_headers_of_one_connection_stay_behind() -> None:
    headers = [
        ("Host", "h"),
        ("Connection", "close, X-Mine"),
        ("connection", "x-other"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Authorization", "x"),
        ("Proxy-Connection", "x"),
        ("TE", "trailers"),
        ("Trailer", "x"),
        ("Transfer-Encoding", "chunked"),
        ("Upgrade", "h2c"),
        ("X-Mine", "1"),
        ("X-Other", "2"),
        ("X-Kept", "3"),
        ("x-kept", "4"),
    ]
    assert http_headers.end_to_end(headers) == [("Host", "h"), ("X-Kept", "3"), ("x-kept", "4")]


def test_a_header_that_is_set_takes_the_place_of_those_of_its_name() -> None:
    headers = [("A", "1"), ("authorization", "old"), ("B", "2"), ("Authorization", "older")]
    wanted = [("A", "1"), ("authorization", "new"), ("B", "2"), ("C", "3")]
    assert http_headers.with_set(headers, [("Authorization", "new"), ("C", "3")]) == wanted


def test_bodies_are_told_apart_by_type_and_encoding() -> None:
    assert http_headers.is_event_stream([("content-type", "Text/Event-Stream; charset=utf-8")])
    assert not http_headers.is_event_stream([])
    assert http_headers.is_encoded([("Content-Encoding", "gzip")])
    assert not http_headers.is_encoded([("Content-Encoding", "identity")])
