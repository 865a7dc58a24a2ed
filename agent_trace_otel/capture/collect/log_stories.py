"""What coding agents tell of themselves in log events -> the calls that they made.

Comes in: log records. Goes out: `Told`, one a prompt, model call or tool call. Pure but for what it remembers of each
session; called by `log_spans`. Codex reports its story in logs alone (its spans are those of its own functions); Gemini
CLI in logs, with spans that repeat it in part; Claude Code in logs unless its spans are turned on.

Names as recorded of Claude Code 2.1.330, Codex 0.169.0 and Gemini CLI 0.61.0.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from agent_trace_otel import semconv
from agent_trace_otel.capture.collect.log_records import LogRecord
from agent_trace_otel.dialects import said

Values = Mapping[str, Any]

_NOT_SAID: Final = "<REDACTED>"
_FALSE: Final = (False, "false", "False")
_EXIT_CODE: Final = re.compile(r"Process exited with code (\d+)")
_MAX_SESSIONS: Final = 10_000
_MILLISECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that happened."""

    kind: Literal["turn", "chat", "tool"]
    key: str
    """Tells it apart from others of its kind in the session."""
    name: str
    """The model's or the tool's."""
    start_ns: int
    end_ns: int
    attributes: Values = field(default_factory=dict[str, Any])
    prompt: str | None = None
    error: str | None = None
    """What went wrong, None if nothing did."""
    turn: str = ""
    """Key of the prompt that it belongs to, empty for the last one."""


@dataclass(frozen=True, slots=True)
class Story:
    """How one agent tells its story."""

    agent: str
    """gen_ai.agent.name, as its hooks' sessions have it."""
    session: str
    """The attribute that names the session."""
    events: Mapping[str, Callable[[LogRecord, Session], Told | None]]
    provider: str | None = None
    spans_tell_all: bool = False
    """Whether its spans tell the story better, so that an event that names one is passed over."""


@dataclass(slots=True)
class Session:
    """What is remembered of one session between events."""

    turn: str = ""
    request: LogRecord | None = None
    """The model call that is under way."""
    responses: dict[str, str] = field(default_factory=dict[str, str])
    """Request id -> what the model answered, for calls of the same batch."""


class Stories:
    """The sessions of all agents that report in logs."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[tuple[str, str], Session] = OrderedDict()

    def tell(self, records: Iterable[LogRecord]) -> Iterator[tuple[Story, str, LogRecord, Told]]:
        """Yield what happened, with whose story it is, the session's id and the record that told it."""
        found = [(story, record) for record in records if (story := _story_of(record)) is not None]
        for story, record in found:
            if record.name == "assistant_response":
                self._session(story, record).responses[_text(record.attributes.get("request_id"))] = _text(
                    record.attributes.get("response")
                )
        for story, record in found:
            session = self._session(story, record)
            told = story.events[record.name](record, session) if record.name in story.events else None
            if told is None:
                continue
            if told.kind == "turn":
                session.turn = told.key
            yield story, _text(record.attributes[story.session]), record, replace(told, turn=told.turn or session.turn)
        for story, record in found:
            self._session(story, record).responses.clear()

    def _session(self, story: Story, record: LogRecord) -> Session:
        key = (story.agent, _text(record.attributes[story.session]))
        known = self._sessions.setdefault(key, Session())
        if len(self._sessions) > _MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return known


def _story_of(record: LogRecord) -> Story | None:
    for scope, story in STORIES.items():
        if record.scope.startswith(scope) and _text(record.attributes.get(story.session)):
            return None if story.spans_tell_all and record.in_span else story
    return None


# -- Claude Code ---------------------------------------------------------------------------------------------------


def _claude_prompt(record: LogRecord, _: Session) -> Told:
    values = record.attributes
    prompt = _text(values.get("prompt"))
    key = _text(values.get("prompt.id"))
    shown = None if prompt in ("", _NOT_SAID) else prompt
    return Told("turn", key, "", record.time_ns, record.time_ns, prompt=shown)


def _claude_request(record: LogRecord, session: Session) -> Told:
    values = record.attributes
    counts = [_count(values.get(name)) for name in ("input_tokens", "cache_read_tokens", "cache_creation_tokens")]
    request = _text(values.get("request_id"))
    response = session.responses.get(request)
    reasoning = {semconv.REQUEST_REASONING_LEVEL: values.get("effort")}
    return _chat(
        record,
        request,
        {
            **reasoning,
            semconv.USAGE_INPUT_TOKENS: None if counts[0] is None else sum(count or 0 for count in counts),
            semconv.USAGE_CACHE_READ_INPUT_TOKENS: counts[1],
            semconv.USAGE_CACHE_WRITE_INPUT_TOKENS: counts[2],
            semconv.USAGE_OUTPUT_TOKENS: _count(values.get("output_tokens")),
            semconv.COST: values.get("cost_usd"),
            semconv.REQUEST_ID: request or None,
            semconv.OUTPUT_MESSAGES: said.answered(response) if response and response != _NOT_SAID else None,
        },
    )


def _claude_failure(record: LogRecord, _: Session) -> Told:
    values = record.attributes
    request = _text(values.get("request_id")) or str(record.time_ns)
    known = {semconv.ERROR_TYPE: _text(values.get("status_code")) or "error", semconv.REQUEST_ID: request}
    return _chat(record, request, known, error=_text(values.get("error")) or "error")


def _claude_tool(record: LogRecord, _: Session) -> Told:
    values = record.attributes
    return _tool(
        record,
        _text(values.get("tool_name")),
        _text(values.get("tool_use_id")),
        {semconv.TOOL_CALL_ARGUMENTS: values.get("tool_input") or values.get("tool_parameters")},
        error=_text(values.get("error")) or "error" if values.get("success") in _FALSE else None,
    )


# -- Codex ---------------------------------------------------------------------------------------------------------


def _codex_prompt(record: LogRecord, _: Session) -> Told:
    prompt = _text(record.attributes.get("prompt"))
    return Told("turn", str(record.time_ns), "", record.time_ns, record.time_ns, prompt=prompt or None)


def _codex_request(record: LogRecord, session: Session) -> Told | None:
    """Remember when a model call began; one that failed has no other event."""
    values = record.attributes
    status = _count(values.get("http.response.status_code"))
    failure = _text(values.get("error.message"))
    session.request = None
    if failure or (status is not None and status >= 400):  # noqa: PLR2004 - HTTP
        known = {semconv.ERROR_TYPE: str(status or "error")}
        return _chat(record, str(record.time_ns), known, error=failure or f"status {status}")
    session.request = record
    return None


def _codex_response(record: LogRecord, session: Session) -> Told | None:
    values = record.attributes
    if values.get("event.kind") != "response.completed":
        return None
    began, session.request = session.request, None
    told = _chat(
        record,
        str(record.time_ns),
        {
            semconv.USAGE_INPUT_TOKENS: _count(values.get("input_token_count")),
            semconv.USAGE_OUTPUT_TOKENS: _count(values.get("output_token_count")),
            semconv.USAGE_CACHE_READ_INPUT_TOKENS: _count(values.get("cached_token_count")),
            semconv.USAGE_CACHE_WRITE_INPUT_TOKENS: _count(values.get("cache_write_token_count")),
            semconv.USAGE_REASONING_OUTPUT_TOKENS: _count(values.get("reasoning_token_count")),
        },
    )
    return told if began is None else replace(told, start_ns=min(_start(began), told.end_ns))


def _codex_tool(record: LogRecord, _: Session) -> Told:
    values = record.attributes
    output = _text(values.get("output"))
    code = _EXIT_CODE.search(output)
    failed = values.get("success") in _FALSE or (code is not None and code[1] != "0")
    server, name = _text(values.get("mcp_server")), _text(values.get("tool_name"))
    return _tool(
        record,
        f"mcp__{server}__{name}" if server else name,
        _text(values.get("call_id")),
        {
            semconv.TOOL_CALL_ARGUMENTS: values.get("arguments"),
            semconv.TOOL_CALL_RESULT: output,
            semconv.PROCESS_EXIT_CODE: int(code[1]) if code is not None else None,
        },
        error=output or "error" if failed else None,
    )


# -- Gemini CLI ----------------------------------------------------------------------------------------------------


def _gemini_prompt(record: LogRecord, _: Session) -> Told:
    values = record.attributes
    prompt = _text(values.get("prompt"))
    key = _text(values.get("prompt_id")) or str(record.time_ns)
    return Told("turn", key, "", record.time_ns, record.time_ns, prompt=prompt or None)


def _gemini_response(record: LogRecord, _: Session) -> Told:
    values = record.attributes
    answer, thoughts = _count(values.get("output_token_count")), _count(values.get("thoughts_token_count"))
    return _chat(
        record,
        str(record.time_ns),
        {
            semconv.USAGE_INPUT_TOKENS: _count(values.get("input_token_count")),
            # what it thought is counted apart from what it answered
            semconv.USAGE_OUTPUT_TOKENS: None if answer is None else answer + (thoughts or 0),
            semconv.USAGE_CACHE_READ_INPUT_TOKENS: _count(values.get("cached_content_token_count")),
            semconv.USAGE_REASONING_OUTPUT_TOKENS: thoughts,
            semconv.RESPONSE_FINISH_REASONS: values.get("finish_reasons"),
            semconv.OUTPUT_MESSAGES: _gemini_answer(values.get("response_text")),
        },
        turn=_text(values.get("prompt_id")),
    )


def _gemini_answer(text: object) -> str | None:
    """Return the texts and calls of an answer's chunks as one message."""
    parts: list[Any] = []
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        for chunk in json.loads(_text(text)):
            for candidate in chunk["candidates"][:1]:
                parts += candidate["content"].get("parts") or []
    return said.answered([{"role": "model", "parts": parts}]) if parts else None


def _gemini_failure(record: LogRecord, _: Session) -> Told:
    values = record.attributes
    known = {semconv.ERROR_TYPE: _text(values.get("error_type") or values.get("status_code")) or "error"}
    error = _text(values.get("error.message") or values.get("error")) or "error"
    return _chat(record, str(record.time_ns), known, error=error, turn=_text(values.get("prompt_id")))


def _gemini_tool(record: LogRecord, _: Session) -> Told:
    values = record.attributes
    failed = values.get("success") in _FALSE
    return _tool(
        record,
        _text(values.get("function_name")),
        _text(values.get("call_id")),
        {semconv.TOOL_CALL_ARGUMENTS: values.get("function_args")},
        error=_text(values.get("error") or values.get("error.message")) or "error" if failed else None,
        turn=_text(values.get("prompt_id")),
    )


# -- what they have in common --------------------------------------------------------------------------------------


def _chat(record: LogRecord, key: str, known: Values, *, error: str | None = None, turn: str = "") -> Told:
    model = _text(record.attributes.get("model"))
    turn = turn or _text(record.attributes.get("prompt.id"))
    return Told("chat", key, model, _start(record), record.time_ns, _known(known), error=error, turn=turn)


def _tool(  # noqa: PLR0913 - what a call is made of
    record: LogRecord, name: str, call_id: str, known: Values, *, error: str | None, turn: str = ""
) -> Told:
    values = {semconv.TOOL_CALL_ID: call_id or None, **known}
    if error is not None:
        values[semconv.ERROR_TYPE] = semconv.TOOL_ERROR
    turn = turn or _text(record.attributes.get("prompt.id"))
    key = call_id or f"{name} {record.time_ns}"
    return Told("tool", key, name, _start(record), record.time_ns, _known(values), error=error, turn=turn)


def _start(record: LogRecord) -> int:
    """Return when something began that a record tells the end of."""
    try:
        lasted = float(record.attributes.get("duration_ms") or 0)
    except (TypeError, ValueError):
        lasted = 0.0
    return record.time_ns - int(lasted * _MILLISECOND) if 0 <= lasted < 1e12 else record.time_ns  # noqa: PLR2004


def _known(values: Values) -> Values:
    return {name: value for name, value in values.items() if value is not None and value != ""}


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _count(value: object) -> int | None:
    with suppress(TypeError, ValueError):
        return int(str(value))
    return None


STORIES: Final[Mapping[str, Story]] = {
    "com.anthropic.claude_code": Story(
        agent="claude-code",
        session=semconv.SESSION_ID,
        provider="anthropic",
        spans_tell_all=True,
        events={
            "user_prompt": _claude_prompt,
            "api_request": _claude_request,
            "api_error": _claude_failure,
            "tool_result": _claude_tool,
        },
    ),
    "codex_": Story(
        agent="codex",
        session="conversation.id",
        events={
            "codex.user_prompt": _codex_prompt,
            "codex.api_request": _codex_request,
            "codex.sse_event": _codex_response,
            "codex.websocket_event": _codex_response,
            "codex.tool_result": _codex_tool,
        },
    ),
    "gemini-cli": Story(
        agent="gemini-cli",
        session=semconv.SESSION_ID,
        provider="gcp.gemini",
        events={
            "gemini_cli.user_prompt": _gemini_prompt,
            "gemini_cli.api_response": _gemini_response,
            "gemini_cli.api_error": _gemini_failure,
            "gemini_cli.tool_call": _gemini_tool,
        },
    ),
}
"""Beginning of an instrumentation scope's name -> the story told under it."""
