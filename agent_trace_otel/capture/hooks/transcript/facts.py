"""What a transcript tells, as JSON-able facts: their shapes, and the values of foreign JSON that they are made of.

Comes in: values of a parsed transcript line, of any type. Goes out: counts, times in ns, texts and facts. Used by
the other `transcript` files; the recorder journals facts and replays them into its state
machine, so a fact is a plain dict. What is unknown is absent.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import Any, Literal, TypeAlias, TypedDict, cast

from agent_trace_otel.content import cut
from agent_trace_otel.model_io.fields import count_field, field, members, text_field
from agent_trace_otel.model_io.messages import Message

MAX_RESULT = 2_000
"""Characters kept of a tool result's text: enough to tell why a call failed that no hook closes."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LARGEST_COUNT = 1 << 53  # beyond it JSON numbers are not exact any more, and no model has counted that far


class Usage(TypedDict, total=False):
    """Token counts of one call, the parts as the provider gave them."""

    input: int
    """Input tokens that were neither read from nor written to a cache."""
    output: int
    """Output tokens, reasoning included."""
    cache_read: int
    cache_creation: int
    cache_creation_1h: int
    """The part of ``cache_creation`` that is kept for an hour, which costs more."""
    reasoning: int
    web_searches: int
    """Searches that the provider ran and bills by the piece."""


class CallError(TypedDict):
    """Why a call failed: the provider's error type (else the client's class of it) and what the user was shown."""

    type: str
    message: str


class _Call(TypedDict):
    kind: Literal["call"]
    key: str
    started_ns: int
    ended_ns: int
    attempts: int
    usage: Usage
    input: list[Message]
    output: list[Message]


class CallFact(_Call, total=False):
    """One model call: answered, failed (``error``), or given up before an answer came (``interrupted``).

    ``key`` is the answer's message id; of a call without an answer the id of its first api-request. ``input`` holds
    what was added to the conversation since the call before, as gen_ai.input.messages; ``output`` the answer as
    gen_ai.output.messages. Times are unix ns.
    """

    message_id: str
    request_id: str
    model: str
    stop_reason: str
    error: CallError
    interrupted: bool
    prompt_id: str
    agent_id: str
    effort: str
    query_source: str
    speed: str
    """How fast the model was asked to run, unless "standard"; it has a price of its own."""


class _Decision(TypedDict):
    kind: Literal["decision"]
    tool_use_id: str
    decision: str


class DecisionFact(_Decision, total=False):
    """Whether a tool call was allowed (``accept``, ``reject``), who said so, and by which rule."""

    source: str
    reason: str


class ResultFact(TypedDict):
    """What the model was told about a tool call, cut at `MAX_RESULT`."""

    kind: Literal["result"]
    tool_use_id: str
    is_error: bool
    text: str


class CostFact(TypedDict):
    """What a session cost so far in US dollars; it counts on over resumes and forks.

    The line has no time, so ``at_ns`` is the newest one that a line before it named; to a reader that begins in the
    middle of a file at least its ``since_ns``.
    """

    kind: Literal["cost"]
    usd: float
    unknown_model: bool
    at_ns: int


class _Origin(TypedDict):
    kind: Literal["origin"]


class OriginFact(_Origin, total=False):
    """Where copied history comes from: the session, if a line names it, and the api-request of its last call.

    The client rewrites the session id of what it copies, so the request is what `transcript_files.find_origin` takes.
    """

    session_id: str
    request_id: str


class _Agent(TypedDict):
    kind: Literal["agent"]
    agent_id: str


class AgentFact(_Agent, total=False):
    """Which tool call started a sub-agent, and what it is."""

    tool_use_id: str
    agent_type: str
    description: str
    model: str


class FailureFact(TypedDict):
    """An error that the user was shown and that is no call's own, such as a refusal: it ended the prompt's turn.

    ``prompt_id`` is empty if the prompt stands before what was read.
    """

    kind: Literal["failure"]
    prompt_id: str
    error: CallError
    at_ns: int


Fact: TypeAlias = CallFact | DecisionFact | ResultFact | CostFact | OriginFact | AgentFact | FailureFact


def time_ns(value: object) -> int:
    """Return an ISO 8601 time as unix ns, 0 if it is none; a time without a zone is UTC."""
    if not isinstance(value, str):
        return 0
    try:
        # Python 3.10 knows no "Z"
        moment = datetime.fromisoformat(value[:-1] + "+00:00" if value.endswith("Z") else value)
        since = (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)) - _EPOCH
    except (ValueError, OverflowError):
        return 0
    return max(since // timedelta(microseconds=1) * 1000, 0)


def usage_of(usage: object) -> Usage:
    """Return the counts of a message's ``usage`` (Anthropic Messages API)."""
    found = {
        "input": _count(usage, "input_tokens"),
        "output": _count(usage, "output_tokens"),
        "cache_read": _count(usage, "cache_read_input_tokens"),
        "cache_creation": _count(usage, "cache_creation_input_tokens"),
        "cache_creation_1h": _count(field(usage, "cache_creation"), "ephemeral_1h_input_tokens") or None,
        "reasoning": _count(field(usage, "output_tokens_details"), "thinking_tokens"),
        "web_searches": _count(field(usage, "server_tool_use"), "web_search_requests") or None,
    }
    return cast("Usage", known(found))


def _count(owner: object, name: str) -> int | None:
    count = count_field(owner, name)
    return count if count is not None and 0 <= count < _LARGEST_COUNT else None


def known(found: dict[str, Any]) -> dict[str, Any]:
    """Return what is known: neither None nor the empty text."""
    return {name: value for name, value in found.items() if value is not None and value != ""}


def cost_fact(line: object, at_ns: int) -> CostFact | None:
    """Return the cost of a cost-state line, None if it has none."""
    usd: Any = field(line, "totalCostUSD")
    if type(usd) not in (int, float) or not 0 <= usd < math.inf:
        return None
    return {
        "kind": "cost",
        "usd": float(min(usd, _LARGEST_COUNT)),
        "unknown_model": field(line, "hasUnknownModelCost") is True,
        "at_ns": at_ns,
    }


def result_facts(line: object, block: object) -> list[Fact]:
    """Return what a tool_result block and its line tell of a tool call: the permission asked for and the result."""
    tool_use_id = text_field(block, "tool_use_id")
    if not tool_use_id:
        return []
    facts: list[Fact] = []
    asked = field(line, "permissionDecision")
    decision = text_field(asked, "decision")
    if decision:
        told = {
            "kind": "decision",
            "tool_use_id": tool_use_id,
            "decision": decision,
            "source": text_field(asked, "source"),
            "reason": text_field(asked, "reasonCode", "reasonType"),
        }
        facts.append(cast("DecisionFact", known(told)))
    text = text_of(field(block, "content"))
    is_error = field(block, "is_error") is True
    return [*facts, {"kind": "result", "tool_use_id": tool_use_id, "is_error": is_error, "text": cut(text, MAX_RESULT)}]


def text_of(content: object) -> str:
    """Return the text of a tool result's content, a list of blocks or text."""
    if isinstance(content, str):
        return content
    return "\n".join(text_field(block, "text") or f"[{text_field(block, 'type')}]" for block in members(content))
