"""Codex's log events (0.169.0): they alone tell its story, its spans are those of its own functions.

Called by `stories`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from agent_trace_otel import semconv
from agent_trace_otel.capture.collect.logs.records import LogRecord
from agent_trace_otel.capture.collect.logs.told import FALSE, Session, Story, Told, chat, count, start, text, tool

_EXIT_CODE: Final = re.compile(r"Process exited with code (\d+)")


def _prompt(record: LogRecord, _: Session) -> Told:
    prompt = text(record.attributes.get("prompt"))
    return Told("turn", str(record.time_ns), "", record.time_ns, record.time_ns, prompt=prompt or None)


def _request(record: LogRecord, session: Session) -> Told | None:
    """Remember when a model call began; one that failed has no other event."""
    values = record.attributes
    status = count(values.get("http.response.status_code"))
    failure = text(values.get("error.message"))
    session.request = None
    if failure or (status is not None and status >= 400):  # noqa: PLR2004 - HTTP
        known = {semconv.ERROR_TYPE: str(status or "error")}
        return chat(record, str(record.time_ns), known, error=failure or f"status {status}")
    session.request = record
    return None


def _response(record: LogRecord, session: Session) -> Told | None:
    values = record.attributes
    if values.get("event.kind") != "response.completed":
        return None
    began, session.request = session.request, None
    told = chat(
        record,
        str(record.time_ns),
        {
            semconv.USAGE_INPUT_TOKENS: count(values.get("input_token_count")),
            semconv.USAGE_OUTPUT_TOKENS: count(values.get("output_token_count")),
            semconv.USAGE_CACHE_READ_INPUT_TOKENS: count(values.get("cached_token_count")),
            semconv.USAGE_CACHE_WRITE_INPUT_TOKENS: count(values.get("cache_write_token_count")),
            semconv.USAGE_REASONING_OUTPUT_TOKENS: count(values.get("reasoning_token_count")),
        },
    )
    return told if began is None else replace(told, start_ns=min(start(began), told.end_ns))


def _tool(record: LogRecord, _: Session) -> Told:
    values = record.attributes
    output = text(values.get("output"))
    code = _EXIT_CODE.search(output)
    failed = values.get("success") in FALSE or (code is not None and code[1] != "0")
    server, name = text(values.get("mcp_server")), text(values.get("tool_name"))
    return tool(
        record,
        f"mcp__{server}__{name}" if server else name,
        text(values.get("call_id")),
        {
            semconv.TOOL_CALL_ARGUMENTS: values.get("arguments"),
            semconv.TOOL_CALL_RESULT: output,
            semconv.PROCESS_EXIT_CODE: int(code[1]) if code is not None else None,
        },
        error=output or "error" if failed else None,
    )


CODEX: Final = Story(
    agent="codex",
    session="conversation.id",
    events={
        "codex.user_prompt": _prompt,
        "codex.api_request": _request,
        "codex.sse_event": _response,
        "codex.tool_result": _tool,
    },
)
