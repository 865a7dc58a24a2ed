"""Claude Code's log events (2.1.330), which tell its story unless its spans are turned on.

Called by `stories`.
"""

from __future__ import annotations

from typing import Final

from agent_trace_otel import semconv
from agent_trace_otel.capture.collect.logs.records import LogRecord
from agent_trace_otel.capture.collect.logs.told import FALSE, Session, Story, Told, chat, count, text, tool
from agent_trace_otel.dialects import said

NOT_SAID: Final = "<REDACTED>"
"""What stands where content is not to be told."""


def _prompt(record: LogRecord, _: Session) -> Told:
    values = record.attributes
    prompt = text(values.get("prompt"))
    key = text(values.get("prompt.id")) or str(record.time_ns)
    shown = None if prompt in ("", NOT_SAID) else prompt
    return Told("turn", key, "", record.time_ns, record.time_ns, prompt=shown)


def _request(record: LogRecord, session: Session) -> Told:
    values = record.attributes
    counts = [count(values.get(name)) for name in ("input_tokens", "cache_read_tokens", "cache_creation_tokens")]
    request = text(values.get("request_id"))
    response = session.responses.get(request)
    return chat(
        record,
        request,
        {
            semconv.REQUEST_REASONING_LEVEL: values.get("effort"),
            semconv.USAGE_INPUT_TOKENS: None if counts[0] is None else sum(filter(None, counts)),
            semconv.USAGE_CACHE_READ_INPUT_TOKENS: counts[1],
            semconv.USAGE_CACHE_WRITE_INPUT_TOKENS: counts[2],
            semconv.USAGE_OUTPUT_TOKENS: count(values.get("output_tokens")),
            semconv.COST: values.get("cost_usd"),
            semconv.REQUEST_ID: request or None,
            semconv.OUTPUT_MESSAGES: said.answered(response) if response and response != NOT_SAID else None,
        },
    )


def _failure(record: LogRecord, _: Session) -> Told:
    values = record.attributes
    request = text(values.get("request_id")) or str(record.time_ns)
    known = {semconv.ERROR_TYPE: text(values.get("status_code")) or "error", semconv.REQUEST_ID: request}
    return chat(record, request, known, error=text(values.get("error")) or "error")


def _tool(record: LogRecord, _: Session) -> Told:
    values = record.attributes
    return tool(
        record,
        text(values.get("tool_name")),
        text(values.get("tool_use_id")),
        {semconv.TOOL_CALL_ARGUMENTS: values.get("tool_input") or values.get("tool_parameters")},
        error=text(values.get("error")) or "error" if values.get("success") in FALSE else None,
    )


CLAUDE_CODE: Final = Story(
    agent="claude-code",
    session=semconv.SESSION_ID,
    provider="anthropic",
    spans_tell_all=True,
    events={
        "user_prompt": _prompt,
        "api_request": _request,
        "api_error": _failure,
        "tool_result": _tool,
    },
)
