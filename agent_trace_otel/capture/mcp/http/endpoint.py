"""The `endpoint` event of HTTP+SSE: a stream of bytes -> the same bytes, with an absolute URL in that event moved.

A server may announce its message endpoint by an absolute URL (MCP 2024-11-05, HTTP with SSE); clients demand the origin
that they have connected to, and would otherwise go past the proxy. Called by `http_exchange` with every piece of a GET
stream. Only the first event is looked at, and nothing is held back but a line that is not complete yet.
"""

from __future__ import annotations

from collections.abc import Callable

_LONGEST_LINE = 65536  # bytes; a longer one is no endpoint


class EndpointEvent:
    """Looks for the endpoint event at the beginning of one stream."""

    def __init__(self, moved: Callable[[str], str]) -> None:
        """Make one for a stream.

        Args:
            moved: what to write instead of the URL in the event.
        """
        self._moved = moved
        self._held = b""
        self._is_endpoint = False
        self._is_over = False

    def feed(self, piece: bytes) -> bytes:
        """Return what goes on when a piece has arrived, maybe nothing yet."""
        if self._is_over:
            return piece
        lines = (self._held + piece).splitlines(keepends=True)
        self._held = b""
        passed: list[bytes] = []
        for at, line in enumerate(lines):
            if line.startswith(b"data") and not self._is_endpoint:  # some other event comes first: there is none
                self._is_over = True
            elif not line.endswith((b"\n", b"\r")) or (line.endswith(b"\r") and at == len(lines) - 1):
                self._held = line  # the last one; a \r may be half of an end of line
                break
            else:
                line = self._read(line)  # noqa: PLW2901 - the line as it goes on
            passed.append(line)
            if self._is_over:
                passed += lines[at + 1 :]
                break
        if len(self._held) > _LONGEST_LINE:
            self._is_over = True
            passed.append(self.rest())
        return b"".join(passed)

    def rest(self) -> bytes:
        """Return what is still held back, at the end of the stream."""
        held, self._held = self._held, b""
        return held

    def _read(self, line: bytes) -> bytes:
        text = line.rstrip(b"\r\n")
        field, _, value = text.partition(b":")
        if field == b"event":
            self._is_endpoint = value.strip() == b"endpoint"
            self._is_over = not self._is_endpoint
        elif not text:
            self._is_over = self._is_endpoint  # the event is over and had no data
        elif field == b"data":
            self._is_over = True
            url = value.removeprefix(b" ").decode("utf-8", "surrogateescape")
            moved = self._moved(url).encode("utf-8", "surrogateescape")
            return text[: len(text) - len(url.encode("utf-8", "surrogateescape"))] + moved + line[len(text) :]
        return line
