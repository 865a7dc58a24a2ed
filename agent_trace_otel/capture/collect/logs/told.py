"""What a log event tells: a prompt, a model call or a tool call, and what the agents' ways to tell have in common.

Called by the modules of the agents (`claude_code`, `codex`, `gemini_cli`) and by `stories`. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from agent_trace_otel import semconv
from agent_trace_otel.capture.collect.logs.records import LogRecord

Values: TypeAlias = Mapping[str, Any]

FALSE: Final = (False, "false", "False")
"""How agents say no."""
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


@dataclass(slots=True)
class Session:
    """What is remembered of one session between events."""

    turn: str = ""
    request: LogRecord | None = None
    """The model call that is under way."""
    responses: dict[str, str] = field(default_factory=dict[str, str])
    """Request id -> what the model answered, for calls of the same batch."""


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


def chat(record: LogRecord, key: str, values: Values, *, error: str | None = None, turn: str = "") -> Told:
    """Return a model call that a record tells the end of; values that are not there are left out."""
    model = text(record.attributes.get("model"))
    turn = turn or text(record.attributes.get("prompt.id"))
    return Told("chat", key, model, start(record), record.time_ns, _there(values), error=error, turn=turn)


def tool(  # noqa: PLR0913 - what a call is made of
    record: LogRecord, name: str, call_id: str, values: Values, *, error: str | None, turn: str = ""
) -> Told:
    """Return a tool call that a record tells the end of; values that are not there are left out."""
    values = {semconv.TOOL_CALL_ID: call_id, **values}
    if error is not None:
        values[semconv.ERROR_TYPE] = semconv.TOOL_ERROR
    turn = turn or text(record.attributes.get("prompt.id"))
    key = call_id or f"{name} {record.time_ns}"
    return Told("tool", key, name, start(record), record.time_ns, _there(values), error=error, turn=turn)


def start(record: LogRecord) -> int:
    """Return when something began that a record tells the end of."""
    try:
        lasted = float(record.attributes.get("duration_ms") or 0)
    except (TypeError, ValueError):
        lasted = 0.0
    return record.time_ns - int(lasted * _MILLISECOND) if 0 <= lasted < 1e12 else record.time_ns  # noqa: PLR2004


def _there(values: Values) -> Values:
    return {name: value for name, value in values.items() if value is not None and value != ""}


def text(value: object) -> str:
    """Return a value as text, empty for none."""
    return value if isinstance(value, str) else "" if value is None else str(value)


def count(value: object) -> int | None:
    """Return a whole number, None for anything else; some write them as text."""
    with suppress(TypeError, ValueError):
        return int(str(value))
    return None
