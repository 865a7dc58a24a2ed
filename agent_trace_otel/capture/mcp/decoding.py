"""Bytes in a content coding -> the plain ones (RFC 9110, 8.4.1), and the messages in them.

Called by `recording`. gzip and deflate are the standard library's; br and zstd are read where there is a library for
them: clients accept both, so what stands before a remote server may well answer in them.
"""

from __future__ import annotations

import contextlib
import importlib
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from agent_trace_otel.capture.mcp.framing import Framed, Framer

Decode = Callable[[bytes], Iterator[bytes]]
"""Takes a chunk, yields what it stands for."""

_STEP = 1 << 20  # bytes decoded at once: a small chunk may stand for a very large one


def decoder(coding: str) -> Decode | None:
    """Return what decodes one body in a content coding, None if that can't be read here."""
    make = _CODINGS.get(coding.strip().lower())
    return None if make is None else make()


class DecodedFramer:
    """Another framer's messages, in bytes that are decoded first."""

    def __init__(self, inner: Framer, decode: Decode | None) -> None:
        """Make one for a body.

        Args:
            inner: the framer of the plain bytes.
            decode: from `decoder`; with None nothing is read.
        """
        self.is_torn = decode is None
        """Whether there is something that was not read."""
        self._inner = inner
        self._decode = decode

    def feed(self, chunk: bytes) -> list[Framed]:
        """Return the messages that a chunk completes."""
        found: list[Framed] = []
        if self._decode is None or self.is_torn:
            return found
        try:
            for plain in self._decode(chunk):
                found += self._inner.feed(plain)
        except Exception:  # noqa: BLE001 - each library has errors of its own
            self.gap()
        return found

    def gap(self) -> None:
        """Give the rest up: what comes after can't be decoded."""
        self.is_torn = True
        self._inner.gap()

    def end(self) -> list[Framed]:
        """Return what was left when the direction ended."""
        return self._inner.end()


def _inflating() -> Decode:
    stream = zlib.decompressobj(zlib.MAX_WBITS | 32)  # either header

    def decode(chunk: bytes) -> Iterator[bytes]:
        while chunk:
            yield stream.decompress(chunk, _STEP)
            chunk = stream.unconsumed_tail

    return decode


def _brotli() -> Decode | None:
    library = _first("brotli")
    if library is None:
        return None
    stream = library.Decompressor()

    def decode(chunk: bytes) -> Iterator[bytes]:
        yield stream.process(chunk, output_buffer_limit=_STEP)
        # it takes more before it has given all (seen: 1.2.1)
        while not stream.is_finished() and (plain := stream.process(b"", output_buffer_limit=_STEP)):
            yield plain

    return decode


def _zstd() -> Decode | None:
    library = _first("compression.zstd", "backports.zstd")  # Python 3.14 has its own
    if library is None:
        return None
    stream = library.ZstdDecompressor()

    def decode(chunk: bytes) -> Iterator[bytes]:
        yield stream.decompress(chunk, _STEP)
        while not (stream.eof or stream.needs_input):
            yield stream.decompress(b"", _STEP)

    return decode


def _first(*names: str) -> Any:  # noqa: ANN401 - a module that may not be there
    for name in names:
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    return None


_CODINGS: dict[str, Callable[[], Decode | None]] = {
    "gzip": _inflating,
    "x-gzip": _inflating,
    "deflate": _inflating,
    "br": _brotli,
    "zstd": _zstd,
}
