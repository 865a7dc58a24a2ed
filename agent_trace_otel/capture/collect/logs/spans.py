"""Coding agents' log events -> spans, so that their sessions can be replayed, counted and sent like all others.

Comes in: the records of one logs request. Goes out: ended spans with ids that follow from what they tell, so that a
request that comes twice tells nothing twice. Called by `serving`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from agent_trace_otel import identity, semconv
from agent_trace_otel.capture.collect.logs.stories import Stories
from agent_trace_otel.capture.collect.logs.told import Story, Told
from agent_trace_otel.store.stored_span import StoredEvent, StoredSpan

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from agent_trace_otel.capture.collect.logs.records import LogRecord

SCOPE: Final = "agent_trace_otel.logs."
"""Beginning of the instrumentation scope of such spans; the agent's name follows."""
_OPERATIONS: Final = {"turn": semconv.INVOKE_AGENT, "chat": semconv.CHAT, "tool": semconv.EXECUTE_TOOL}
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


class LogSpans:
    """Makes spans of log events."""

    def __init__(self) -> None:
        self._stories = Stories()

    def of(self, records: Iterable[LogRecord]) -> list[ReadableSpan]:
        """Return what the records tell, nothing of records that tell no story."""
        return [_span(*told) for told in self._stories.tell(records)]


def _span(story: Story, session_id: str, record: LogRecord, told: Told) -> ReadableSpan:
    operation = _OPERATIONS[told.kind]
    named = story.agent if told.kind == "turn" else told.name
    parent = None if told.kind == "turn" or not told.turn else _context(session_id, "turn", told.turn)
    return StoredSpan(
        name=f"{operation} {named}".strip(),
        context=_context(session_id, told.kind, told.key),
        parent=parent,
        resource=_resource(json.dumps(record.resource, sort_keys=True, default=str)),
        attributes=_attributes(story, session_id, operation, told),
        events=[StoredEvent(semconv.USER_PROMPT_EVENT, {semconv.TEXT: told.prompt}, told.start_ns, 0)]
        if told.prompt is not None
        else [],
        links=[],
        kind=SpanKind.CLIENT if told.kind == "chat" else SpanKind.INTERNAL,
        status=Status(StatusCode.UNSET) if told.error is None else Status(StatusCode.ERROR, told.error),
        start_time=told.start_ns,
        end_time=told.end_ns,
        instrumentation_scope=_scope(story.agent),
        dropped=(0, 0, 0),
    )


def _attributes(story: Story, session_id: str, operation: str, told: Told) -> dict[str, Any]:
    values: dict[str, Any] = {semconv.OPERATION_NAME: operation, semconv.CONVERSATION_ID: session_id}
    if told.kind == "turn":
        values |= {semconv.AGENT_NAME: story.agent, semconv.SCOPE: semconv.SCOPE_TURN}
    elif told.kind == "tool":
        values |= {semconv.TOOL_NAME: told.name}
    else:
        values |= {semconv.REQUEST_MODEL: told.name}
        if story.provider is not None:
            values[semconv.PROVIDER_NAME] = story.provider
    return {**values, **told.attributes}


def _context(session_id: str, kind: str, key: str) -> SpanContext:
    span_id = identity.derived_span_id(session_id, f"log {kind}", key)
    return SpanContext(identity.trace_id_of(session_id), span_id, is_remote=False, trace_flags=_SAMPLED)


# One object a process and an agent: what is the same is cleaned and encoded once, further on.


@lru_cache(maxsize=64)
def _scope(agent: str) -> InstrumentationScope:
    return InstrumentationScope(f"{SCOPE}{agent}")


@lru_cache(maxsize=64)
def _resource(attributes: str) -> Resource:
    return Resource(json.loads(attributes))
