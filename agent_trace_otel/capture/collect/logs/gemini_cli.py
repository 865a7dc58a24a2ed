"""Gemini CLI's log events (0.61.0); its spans repeat them in part.

Called by `stories`.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, Final

from agent_trace_otel import semconv
from agent_trace_otel.capture.collect.logs.records import LogRecord
from agent_trace_otel.capture.collect.logs.told import FALSE, Session, Story, Told, chat, count, text, tool
from agent_trace_otel.dialects import said


def _prompt(record: LogRecord, _: Session) -> Told:
    values = record.attributes
    prompt = text(values.get("prompt"))
    key = text(values.get("prompt_id")) or str(record.time_ns)
    return Told("turn", key, "", record.time_ns, record.time_ns, prompt=prompt or None)


def _response(record: LogRecord, _: Session) -> Told:
    values = record.attributes
    answer, thoughts = count(values.get("output_token_count")), count(values.get("thoughts_token_count"))
    return chat(
        record,
        str(record.time_ns),
        {
            semconv.USAGE_INPUT_TOKENS: count(values.get("input_token_count")),
            # what it thought is counted apart from what it answered
            semconv.USAGE_OUTPUT_TOKENS: None if answer is None else answer + (thoughts or 0),
            semconv.USAGE_CACHE_READ_INPUT_TOKENS: count(values.get("cached_content_token_count")),
            semconv.USAGE_REASONING_OUTPUT_TOKENS: thoughts,
            semconv.RESPONSE_FINISH_REASONS: values.get("finish_reasons"),
            semconv.OUTPUT_MESSAGES: _answer(values.get("response_text")),
        },
        turn=text(values.get("prompt_id")),
    )


def _answer(chunks: object) -> str | None:
    """Return the texts and calls of an answer's chunks as one message."""
    parts: list[Any] = []
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        for chunk in json.loads(text(chunks)):
            for candidate in chunk["candidates"][:1]:
                parts += candidate["content"].get("parts") or []
    return said.answered([{"role": "model", "parts": parts}]) if parts else None


def _failure(record: LogRecord, _: Session) -> Told:
    values = record.attributes
    known = {semconv.ERROR_TYPE: text(values.get("error_type") or values.get("status_code")) or "error"}
    error = text(values.get("error.message") or values.get("error")) or "error"
    return chat(record, str(record.time_ns), known, error=error, turn=text(values.get("prompt_id")))


def _tool(record: LogRecord, _: Session) -> Told:
    values = record.attributes
    code, is_error = _exit(values.get("metadata"))
    failed = values.get("success") in FALSE or is_error
    ended = f"exit code {code}" if code else "error"
    return tool(
        record,
        text(values.get("function_name")),
        text(values.get("call_id")),
        {semconv.TOOL_CALL_ARGUMENTS: values.get("function_args"), semconv.PROCESS_EXIT_CODE: code},
        error=text(values.get("error") or values.get("error.message")) or ended if failed else None,
        turn=text(values.get("prompt_id")),
    )


def _exit(metadata: object) -> tuple[int | None, bool]:
    """Return a command's exit code, if that is told, and whether it failed: to the client such a call succeeds."""
    with suppress(ValueError, TypeError, AttributeError):
        found = json.loads(text(metadata))
        return count(found.get("exitCode")), found.get("isError") is True
    return None, False


GEMINI_CLI: Final = Story(
    agent="gemini-cli",
    session=semconv.SESSION_ID,
    provider="gcp.gemini",
    events={
        "gemini_cli.user_prompt": _prompt,
        "gemini_cli.api_response": _response,
        "gemini_cli.api_error": _failure,
        "gemini_cli.tool_call": _tool,
    },
)
