"""Bodies in a content coding: read where they can be, said to be unread where they can't."""

from __future__ import annotations

import gzip
import importlib
import zlib
from collections.abc import Callable

import pytest

from agent_trace_otel.capture.mcp.decoding import DecodedFramer, decoder
from agent_trace_otel.capture.mcp.framing import BodyFramer, EventFramer, Framer

TEXT = b'{"text":"' + b"z" * 3_000_000 + b'"}'


def _encoder(coding: str) -> Callable[[bytes], bytes]:
    modules = {"br": ("brotli",), "zstd": ("compression.zstd", "backports.zstd")}
    for name in modules.get(coding, ()):
        try:
            return importlib.import_module(name).compress
        except ImportError:  # noqa: PERF203 - of two
            continue
    if coding in modules:
        pytest.skip(f"no library for {coding} is installed")
    return {"gzip": gzip.compress, "x-gzip": gzip.compress, "deflate": zlib.compress}[coding]


def _fed(framer: Framer, *chunks: bytes) -> list[bytes]:
    found = [piece for chunk in chunks for piece in framer.feed(chunk)]
    return [piece.content for piece in [*found, *framer.end()]]


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "br", "zstd"])
def test_coded_bodies_are_decoded(coding: str) -> None:
    body = _encoder(coding)(TEXT)
    framer = DecodedFramer(BodyFramer(), decoder(f" {coding.upper()} "))
    assert _fed(framer, body[:10], body[10:]) == [TEXT]
    assert not framer.is_torn


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_a_coded_stream_is_read_while_it_comes(coding: str) -> None:
    body = _encoder(coding)(b"data: 1\n\ndata: 2\n\n")
    framer = DecodedFramer(EventFramer(), decoder(coding))
    assert _fed(framer, *(body[at : at + 1] for at in range(len(body)))) == [b"1", b"2"]


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "compress", "gzip, br"])
def test_what_can_not_be_decoded_is_left_out_and_said_to_be(coding: str) -> None:
    framer = DecodedFramer(BodyFramer(), decoder(coding))
    assert _fed(framer, b"no such coding", b"at all") == []
    assert framer.is_torn
