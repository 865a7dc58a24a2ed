"""Transcript lines written by hand, and all facts of a transcript; for the tests of what reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agent_trace_otel.capture.hooks.transcript.facts import time_ns
from agent_trace_otel.capture.hooks.transcript.reader import TranscriptReader


def told(reader: TranscriptReader, *, closed: bool = True, max_bytes: int = 1 << 18) -> list[Any]:
    facts: list[Any] = []
    while found := reader.read(max_bytes):
        facts += found
    return facts + reader.finish(closed=closed)


def calls(facts: list[Any]) -> list[Any]:
    return [fact for fact in facts if fact["kind"] == "call"]


def at(second: float) -> str:
    return f"2026-11-22T20:00:{second:06.3f}Z"


def ns(second: float) -> int:
    return time_ns(at(second))


def request(identity: str, second: float, source: str = "sdk") -> dict[str, Any]:
    line = {"type": "api-request", "id": identity, "timestamp": at(second), "querySource": source}
    return {**line, "params": {"model": "claude-opus-5-5"}}


def block(message_id: str, second: float, content: dict[str, Any], **extra: Any) -> dict[str, Any]:
    message = {
        "id": message_id,
        "role": "assistant",
        "model": "claude-opus-5-5",
        "content": [content],
        "stop_reason": extra.pop("stop_reason", "end_turn"),
        "usage": extra.pop("usage", {"input_tokens": 1, "output_tokens": 2}),
    }
    return {"type": "assistant", "timestamp": at(second), "message": message, **extra}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def tool_use(identity: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": identity, "name": "Bash", "input": {"command": "true"}}


def user(second: float, content: Any, **extra: Any) -> dict[str, Any]:
    return {"type": "user", "timestamp": at(second), "message": {"role": "user", "content": content}, **extra}


def result(second: float, identity: str, **extra: Any) -> dict[str, Any]:
    return user(second, [{"type": "tool_result", "tool_use_id": identity, "content": "ok"}], **extra)


def synthetic(second: float, **extra: Any) -> dict[str, Any]:
    line = block("synthetic", second, text("API Error"), **extra)
    line["message"]["model"] = "<synthetic>"
    return line


def write(path: Path, *lines: Any, end: str = "\n") -> Path:
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + end)
    return path


STOP = {"type": "system", "subtype": "stop_hook_summary", "timestamp": at(50)}
