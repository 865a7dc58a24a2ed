"""Amazon's event stream framing (application/vnd.amazon.eventstream): events -> the bytes that a service sends."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

from model_server import Answer


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """Return one message: lengths and their checksum, headers, payload, checksum of it all."""
    head = b""
    for name, value in headers.items():
        data = value.encode()
        head += struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", 7, len(data)) + data
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return message + struct.pack(">I", zlib.crc32(message))


def event(kind: str, value: dict[str, Any]) -> bytes:
    """Return an event of a kind."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, json.dumps(value).encode())


def exception(kind: str, message: str) -> bytes:
    """Return a failure in the midst of a stream."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, json.dumps({"message": message}).encode())


def answer_stream(*frames: bytes, **details: Any) -> Answer:
    """Return a whole stream, sent frame by frame."""
    return Answer(frames, content_type="application/vnd.amazon.eventstream", **details)
