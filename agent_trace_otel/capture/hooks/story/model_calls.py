"""The model calls that a transcript tells -> the two steps of each one's span.

Comes in: call facts of `transcript_facts`. Goes out: a Begin and an End for each. Pure; part of `claude_code`. A call
whose turn or sub-agent no hook has told of yet is held until one does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from agent_trace_otel import content, prices, semconv
from agent_trace_otel.capture.hooks.story.steps import RUN, Begin, End, Ref, Step

_MAX_HELD: Final = 2048

Place = tuple[Ref, Mapping[str, Any]]
"""What a call hangs under, and attributes that name the sub-agent whose call it is."""


class ModelCalls:
    """The model calls of a session, told once it is known where they belong."""

    def __init__(self) -> None:
        self.last_said = ""
        """The last answer in the main conversation."""
        self._held: list[Mapping[str, Any]] = []

    def take(
        self, call: Mapping[str, Any], place_of: Callable[[Mapping[str, Any]], Place | None], provider: str | None
    ) -> list[Step]:
        """Tell a call; one that has no place yet is held."""
        place = place_of(call)
        if not call.get("agent_id"):
            self.last_said = text_of(call)
        if place is not None:
            return [*steps_of(call, *place, provider)]
        self._held.append(call)
        return [*steps_of(self._held.pop(0), RUN, {}, provider)] if len(self._held) > _MAX_HELD else []

    def place(self, place_of: Callable[[Mapping[str, Any]], Place | None], provider: str | None) -> list[Step]:
        """Tell those of the held calls that have a place now."""
        return [step for call in self.release() for step in self.take(call, place_of, provider)]

    def release(self) -> list[Mapping[str, Any]]:
        """Return the calls that are held, and hold them no longer."""
        held, self._held = self._held, []
        return held


def steps_of(
    call: Mapping[str, Any], parent: Ref, of_agent: Mapping[str, Any], provider: str | None
) -> tuple[Begin, End]:
    """Return the beginning and the end of a call.

    Args:
        call: a call fact.
        parent: the turn or sub-agent that it belongs to.
        of_agent: attributes that name the sub-agent, if it is one's.
        provider: who serves the model, None if that is not known.
    """
    ref = Ref("chat", str(call["key"]))
    asked = {
        semconv.PROVIDER_NAME: provider,
        semconv.REQUEST_REASONING_LEVEL: call.get("effort"),
        semconv.REQUEST_ID: call.get("request_id"),
        **of_agent,
    }
    begin = Begin(ref, call["started_ns"], str(call.get("model", "")), parent, call["input"], attributes=_known(asked))
    usage: Mapping[str, int] = call.get("usage") or {}
    failure: Mapping[str, str] = call.get("error") or {}
    answered = {
        semconv.RESPONSE_ID: call.get("message_id"),
        semconv.RESPONSE_MODEL: call.get("model") if call.get("message_id") else None,
        semconv.RESPONSE_FINISH_REASONS: (call["stop_reason"],) if call.get("stop_reason") else None,
        semconv.OUTPUT_MESSAGES: content.to_json(call["output"]) if call["output"] else None,
        semconv.ATTEMPTS: call["attempts"] if call["attempts"] > 1 else None,
        semconv.ERROR_TYPE: failure.get("type"),
        **_usage(usage),
    }
    if provider and usage and call.get("model"):
        # a speed of its own has a price of its own
        answered[semconv.COST] = prices.cost_usd(
            provider, call["model"], usage, at_ns=call["started_ns"], speed=call.get("speed")
        )
    return begin, End(ref, call["ended_ns"], outcome_of(call), failure.get("message", ""), _known(answered))


def outcome_of(call: Mapping[str, Any]) -> str:
    """Return how a call ended."""
    if call.get("error"):
        return semconv.OUTCOME_ERROR
    return semconv.OUTCOME_INTERRUPTED if call.get("interrupted") else semconv.OUTCOME_OK


def text_of(call: Mapping[str, Any]) -> str:
    """Return what the model said in its answer, without its thoughts and tool calls."""
    parts = (part for message in call["output"] for part in message.get("parts", ()))
    return "\n".join(str(part.get("content", "")) for part in parts if part.get("type") == "text")


def _usage(usage: Mapping[str, int]) -> dict[str, Any]:
    """Return the token counts; the input's total includes what was read from and written to a cache."""
    if not usage:
        return {}
    parts = [usage[name] for name in ("input", "cache_read", "cache_creation") if name in usage]
    return {
        semconv.USAGE_INPUT_TOKENS: sum(parts) if parts else None,
        semconv.USAGE_OUTPUT_TOKENS: usage.get("output"),
        semconv.USAGE_CACHE_READ_INPUT_TOKENS: usage.get("cache_read"),
        semconv.USAGE_CACHE_WRITE_INPUT_TOKENS: usage.get("cache_creation"),
        semconv.USAGE_REASONING_OUTPUT_TOKENS: usage.get("reasoning"),
    }


def _known(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if value is not None}
