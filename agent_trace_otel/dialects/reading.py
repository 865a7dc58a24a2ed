"""The dialects that are known, and what a span says read through all that it speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent_trace_otel import semconv
from agent_trace_otel.content import to_json
from agent_trace_otel.dialects.anthropic import ANTHROPIC
from agent_trace_otel.dialects.claude_code import CLAUDE_CODE
from agent_trace_otel.dialects.gen_ai import GEN_AI, finish_reasons
from agent_trace_otel.dialects.given import Given, count
from agent_trace_otel.dialects.google_adk import GOOGLE_ADK
from agent_trace_otel.dialects.langfuse import LANGFUSE
from agent_trace_otel.dialects.langsmith import LANGSMITH
from agent_trace_otel.dialects.logfire import LOGFIRE, announces
from agent_trace_otel.dialects.mcp import MCP
from agent_trace_otel.dialects.mlflow import MLFLOW
from agent_trace_otel.dialects.openinference import OPENINFERENCE
from agent_trace_otel.dialects.openllmetry import OPENLLMETRY
from agent_trace_otel.dialects.pydantic_ai import PYDANTIC_AI
from agent_trace_otel.dialects.strands import STRANDS
from agent_trace_otel.dialects.table import Dialect
from agent_trace_otel.dialects.vercel_ai import VERCEL_AI

OURS = "agent_trace_otel"
"""Instrumentation scope of our own spans; they say everything in the convention's names."""

DIALECTS: tuple[Dialect, ...] = (
    *(CLAUDE_CODE, ANTHROPIC, MCP, PYDANTIC_AI, GOOGLE_ADK, STRANDS, VERCEL_AI, LOGFIRE, LANGFUSE, MLFLOW, LANGSMITH),
    *(OPENINFERENCE, OPENLLMETRY, GEN_AI),
)
"""The more particular first: where two know a fact, the first one is believed."""

_COUNTS = (
    semconv.USAGE_INPUT_TOKENS,
    semconv.USAGE_OUTPUT_TOKENS,
    semconv.USAGE_CACHE_READ_INPUT_TOKENS,
    semconv.USAGE_CACHE_WRITE_INPUT_TOKENS,
    semconv.USAGE_REASONING_OUTPUT_TOKENS,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a span says.

    Attributes:
        dialects: the dialects it speaks, by name; none for a span that is no agent's doing.
        attributes: what it says, in the convention's names; everything else it holds stands here too, as it is.
        announces: it has ended, and is the first of two spans that tell one call; the second one knows the answer.
    """

    dialects: tuple[str, ...]
    attributes: Mapping[str, Any]
    announces: bool = False


_MARKS = tuple(mark for dialect in DIALECTS for mark in dialect.marks)
_SCOPES = tuple(scope for dialect in DIALECTS for scope in dialect.scopes)


def may_be_read(attributes: Mapping[str, Any], scope: str) -> bool:
    """Tell whether a span may speak a dialect: most spans of a program are of requests and databases."""
    return scope.startswith(_SCOPES) or any(name.startswith(_MARKS) for name in attributes)


def read(given: Given) -> Reading:
    """Return what a span says; nothing is raised, whatever it holds.

    Our own spans and those of nobody known come back with their attributes as they are.
    """
    if given.scope == OURS:
        return Reading((OURS,), given.attributes)
    try:
        return _read(given)
    except Exception:  # noqa: BLE001 - values of any program; what can't be read is kept as it came
        return Reading((), given.attributes)


def _read(given: Given) -> Reading:
    spoken = [dialect for dialect in DIALECTS if dialect.is_spoken_by(given)]
    if not spoken:
        return Reading((), given.attributes)
    found: dict[str, Any] = {}
    for dialect in spoken:
        for name, value in dialect.derived(given).items():
            if value is not None:
                found.setdefault(name, value)
        for theirs, ours in dialect.names.items():
            value = given.attributes.get(theirs)
            if value is not None and ours not in given.attributes:
                found.setdefault(ours, value)
    names = tuple(dialect.name for dialect in spoken)
    return Reading(names, _typed({**given.attributes, **found}), LOGFIRE.name in names and announces(given))


def _typed(values: dict[str, Any]) -> dict[str, Any]:
    """Give numbers and lists the convention's types; a number that is none is no number."""
    for name in _COUNTS:
        if name in values:
            number = count(values[name])
            if number is None or number < 0:
                del values[name]
            else:
                values[name] = number
    if semconv.RESPONSE_FINISH_REASONS in values:
        reasons = finish_reasons(values[semconv.RESPONSE_FINISH_REASONS])
        if reasons is None:
            del values[semconv.RESPONSE_FINISH_REASONS]
        else:
            values[semconv.RESPONSE_FINISH_REASONS] = reasons
    for name in (semconv.TOOL_CALL_ARGUMENTS, semconv.TOOL_CALL_RESULT):
        if name in values and not isinstance(values[name], str):
            values[name] = to_json(values[name])
    return values
