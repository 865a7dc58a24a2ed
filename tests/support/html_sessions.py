"""Session folders for tests of the HTML page: spans as they stand on disk, and a session in which all is hostile."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from session_folders import ROOT, SESSION_ID, START, event, write_session

from agent_trace_otel import semconv

TRACE = SESSION_ID.replace("-", "")

MARKUP = (
    "</script><script>globalThis.harmed = 1</script>",
    "<img src=x onerror='globalThis.harmed = 2'>",
    "<!--<script>",
    "--></style><svg onload=globalThis.harmed=3>",
    "javascript:globalThis.harmed=4",
    "&lt;b&gt;&quot;'\"`${harmed}`@title@@scripts@",
    "]]>]}});globalThis.harmed=5//",
)
LIVE = "a\x1b[2Jb\x1b]0;title\x07c\x1b]52;c;aGFybQ==\x07d\x00e\u202ef\u200bg\u2028h\ud800i\x9bj\r\nk\tl"


def attributes(values: Mapping[str, object]) -> list[dict[str, object]]:
    """Return attributes as OTLP JSON writes them."""
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def span(  # noqa: PLR0913 - what a span is made of
    span_id: str,
    name: str,
    after: float,
    seconds: float,
    values: Mapping[str, object] | None = None,
    *,
    parent: str = ROOT,
    message: str | None = None,
    events: list[tuple[str, float, Mapping[str, object]]] | None = None,
) -> bytes:
    """Return the line of a span ``after`` seconds from the start; with a ``message`` it failed."""
    found = {
        "traceId": TRACE,
        "spanId": span_id,
        "parentSpanId": parent,
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(int((START + after) * 1e9)),
        "endTimeUnixNano": str(int((START + after + seconds) * 1e9)),
        "attributes": attributes(values or {}),
        "events": [
            {"timeUnixNano": str(int((START + at) * 1e9)), "name": told, "attributes": attributes(of)}
            for told, at, of in events or ()
        ],
        "status": {} if message is None else {"code": 2, "message": message},
    }
    line = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": "test"}, "spans": [found]}]}]}
    return (json.dumps(line, separators=(",", ":")) + "\n").encode("ascii")


def tool(  # noqa: PLR0913 - what a tool call is made of
    span_id: str, name: str, after: float, seconds: float, arguments: object, result: object = "", **more: Any
) -> bytes:
    """Return the line of a tool call's span."""
    values = {
        semconv.OPERATION_NAME: semconv.EXECUTE_TOOL,
        semconv.TOOL_NAME: name,
        semconv.TOOL_CALL_ARGUMENTS: arguments if isinstance(arguments, str) else json.dumps(arguments),
        semconv.TOOL_CALL_RESULT: result if isinstance(result, str) else json.dumps(result),
        semconv.OUTCOME: semconv.OUTCOME_ERROR if more.get("message") else semconv.OUTCOME_OK,
        **more.pop("values", {}),
    }
    return span(span_id, f"execute_tool {name}", after, seconds, values, **more)


def model(span_id: str, after: float, seconds: float, said: list[object], *, sent: object = None, **more: Any) -> bytes:
    """Return the line of a model call's span."""
    values = {
        semconv.OPERATION_NAME: semconv.CHAT,
        semconv.PROVIDER_NAME: "anthropic",
        semconv.REQUEST_MODEL: "demo-model-1",
        semconv.INPUT_MESSAGES: json.dumps(sent or []),
        semconv.OUTPUT_MESSAGES: json.dumps([{"role": "assistant", "parts": said}]),
        semconv.USAGE_INPUT_TOKENS: 1812,
        semconv.USAGE_OUTPUT_TOKENS: 40,
        semconv.COST: 0.0026,
        semconv.OUTCOME: semconv.OUTCOME_OK,
        **more.pop("values", {}),
    }
    return span(span_id, "chat demo-model-1", after, seconds, values, **more)


def root(seconds: float, *, name: str = "agent", command: str = "python agent.py") -> bytes:
    """Return the line of the session's span."""
    values = {
        semconv.OPERATION_NAME: semconv.INVOKE_AGENT,
        semconv.SCOPE: semconv.SCOPE_SESSION,
        semconv.AGENT_NAME: name,
        semconv.PROCESS_COMMAND_ARGS: command.split(),
    }
    return span(ROOT, f"invoke_agent {name}", 0, seconds, values, parent="")


def session_with_spans(trace_dir: Path, spans: list[bytes], *events: bytes, **meta: Any) -> Path:
    """Write a session folder with both files and return it."""
    folder = write_session(trace_dir, *events, meta={"started_at": START, **meta})
    (folder / "spans.jsonl").write_bytes(b"".join(spans))
    return folder


def hostile_session(trace_dir: Path) -> Path:
    """Write a session in which every text is an attack, in spans and in events, and return its folder."""
    spans = [root(90, name=MARKUP[0])]
    events = []
    for number, text in enumerate((*MARKUP, LIVE)):
        arguments = {text: text, "command": text, "old_string": text, "new_string": text + "\n" + text}
        parts = [{"type": "text", "content": f"# {text}\n```\n{text}\n```\n**{text}** `{text}`"}]
        parts += [{"type": "tool_call", "name": text, "arguments": arguments}, {"type": text, "content": text}]
        failure = {semconv.EXCEPTION_TYPE: text, semconv.EXCEPTION_MESSAGE: text, semconv.EXCEPTION_STACKTRACE: text}
        spans += [
            tool(f"{number:016x}", text, number, 1, arguments, text, message=text, values={text: text},
                 events=[(semconv.EXCEPTION_EVENT, number, failure), (text, number, {text: text})]),
            tool(f"{number + 64:016x}", text, number, 1, {"patch": f"*** Begin Patch\n+{text}"}, {"stdout": text}),
            model(f"{number + 128:016x}", number, 1, parts, sent=[{"role": text, "parts": parts}]),
        ]  # fmt: skip
        events += [
            event("user_prompt", number, {"prompt": text, "source": text}, event_id=f"p{number}"),
            event("assistant_response", number, {"text": text}, event_id=f"a{number}"),
            event("decision", number, {"choice": text, "reason": text, "alternatives": [text]}, event_id=f"d{number}"),
            event("file_read", number, {"uri": text}, event_id=f"f{number}"),
            event("error", number, {"tool_name": text, "message": text, "error": text}, event_id=f"e{number}"),
            _odd_event(text, text, number, {text: text}),
            _odd_event("tool_call", text, number, {"tool_name": text, "arguments": {text: text}, "span_id": text}),
        ]
    spans.append(tool("f" * 16, "Read", 80, 1, {"file_path": "big"}, "x" * 5_000_000))
    spans.append(
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"spanId": 7}, {"spanId": "", "name": "</script>"}]}]}]}\n'
    )
    return session_with_spans(trace_dir, spans, *events, agent_name=MARKUP[0], command=LIVE.replace("\ud800", ""))


def _odd_event(event_type: str, event_id: str, after: float, data: Mapping[str, object]) -> bytes:
    """Return the line of an event as no writer of ours would write it."""
    values = {"event_type": event_type, "timestamp": START + after, "event_id": event_id, "data": data}
    return (json.dumps(values) + "\n").encode("ascii")


def _value(value: object) -> dict[str, object]:
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    assert isinstance(value, list)
    return {"arrayValue": {"values": [_value(item) for item in value]}}
