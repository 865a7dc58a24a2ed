"""What a transcript has begun to tell: requests that wait for an answer, an answer that grows; out of them, calls.

Comes in: lines and what was said before them, from `transcript_calls`, its only caller. Goes out: call facts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field as new_field
from typing import Any, cast

from agent_trace_otel.capture.hooks.transcript.facts import CallError, CallFact, Usage, known, usage_of
from agent_trace_otel.model_io.fields import field, members, text_field
from agent_trace_otel.model_io.messages import Message, fitted, output_message

MAX_WAITING = 64
"""Requests without an answer, and input messages of one call, that are kept."""


@dataclass(slots=True)
class Request:
    """One api-request line, and what was said to the model before it."""

    id: str
    at: int
    """Place of the first line that belongs to it."""
    ns: int
    model: str | None
    source: str | None
    prompt_id: str | None
    input: list[Message]
    left_ns: int = 0
    """When the conversation went on without an answer; 0 while one may still come."""


@dataclass(slots=True)
class Answer:
    """One message of the model, growing by a content block a line."""

    id: str
    tried: list[Request]
    at: int
    """Place of the first line that belongs to it, `last_at` of the last one."""
    last_at: int
    started_ns: int
    ended_ns: int
    prompt_id: str | None
    input: list[Message]
    line: dict[str, Any] = new_field(default_factory=dict[str, Any])
    blocks: list[object] = new_field(default_factory=list[object])
    lines: set[str] = new_field(default_factory=set[str])
    usage: Usage = new_field(default_factory=Usage)
    stop_reason: str | None = None

    @property
    def source(self) -> str | None:
        """The request's querySource, None if the file has no request."""
        return self.tried[-1].source if self.tried else None

    def add(self, line: dict[str, Any], at: int, ns: int) -> None:
        """Add a line's blocks; counts and stop reason are those of the last line, earlier ones may be unfinished."""
        uuid = text_field(line, "uuid")
        if uuid:
            if uuid in self.lines:
                return
            self.lines.add(uuid)
        message = field(line, "message")
        self.line, self.last_at, self.ended_ns = line, at, max(self.ended_ns, ns)
        self.blocks += members(field(message, "content"))
        self.usage = usage_of(field(message, "usage")) or self.usage
        self.stop_reason = text_field(message, "stop_reason") or self.stop_reason

    def looks_last(self) -> bool:
        """Tell whether a turn can end with it as it is: after tool calls, or thinking alone, more has to come."""
        kinds = [text_field(block, "type") or "" for block in self.blocks]
        return self.stop_reason != "tool_use" and bool(kinds) and not kinds[-1].endswith("thinking")


@dataclass(slots=True)
class Conversation:
    """What is pending in one conversation of a file."""

    requests: dict[str, Request] = new_field(default_factory=dict[str, Request])
    answered: str | None = None
    answer: Answer | None = None
    input: list[Message] = new_field(default_factory=list[Message])
    input_at: int | None = None
    user_ns: int = 0
    prompt_id: str | None = None
    told_at: int = -1
    copied_tools: dict[str, None] = new_field(default_factory=dict[str, None])

    def waiting(self, source: str | None, which: Callable[[Request], bool] = lambda _: True) -> list[Request]:
        """Return the requests of one querySource that wait for an answer, oldest first."""
        return [request for request in self.requests.values() if request.source == source and which(request)]

    def taken(self, tried: list[Request]) -> list[Request]:
        """Take requests out of those that wait; return them."""
        for request in tried:
            del self.requests[request.id]
        return tried

    def add_input(self, said: list[Message], at: int) -> None:
        """Add what will be sent with the next request; ``at`` is the place of its line."""
        self.input = [*self.input, *said][-MAX_WAITING:]
        self.input_at = at if self.input_at is None else self.input_at

    def taken_input(self, at: int) -> tuple[list[Message], int]:
        """Take what was said and not yet sent; return it with the place of its first line, or of the one at hand."""
        said, place = self.input, at if self.input_at is None else self.input_at
        self.input, self.input_at = [], None
        return said, place

    def begin_answer(self, identity: str, reference: str | None, at: int, ns: int) -> Answer:
        """Begin the answer to the request that ``reference`` names, or to what was said if there is none."""
        request = self.requests.get(reference or "")
        if request is None:
            said, place = self.taken_input(at)
            answer = Answer(identity, [], place, at, min(self.user_ns or ns, ns), ns, self.prompt_id, said)
        else:
            tried = self.waiting(request.source)
            tried = self.taken(tried[: tried.index(request) + 1])
            first = tried[0]
            self.answered = reference
            # from before a call that was told, a later reader would tell that one again
            place = first.at if first.at > self.told_at else at
            answer = Answer(identity, tried, place, at, min(first.ns, ns), ns, first.prompt_id, _said(tried))
        self.answer = answer
        return answer


def answered_call(answer: Answer) -> CallFact:
    """Return the call that got an answer."""
    message = field(answer.line, "message")
    speed = text_field(field(message, "usage"), "speed")
    output = output_message({"role": "assistant", "content": answer.blocks}, answer.stop_reason)
    return _call(
        key=answer.id,
        message_id=answer.id,
        model=text_field(message, "model"),
        started_ns=answer.started_ns,
        ended_ns=answer.ended_ns,
        attempts=max(len(answer.tried), 1),
        stop_reason=answer.stop_reason,
        usage=answer.usage,
        output=fitted([output]),
        input=fitted(answer.input),
        prompt_id=answer.prompt_id,
        query_source=answer.source,
        speed=None if speed == "standard" else speed,
        **_of_line(answer.line),
    )


def unanswered_call(tried: list[Request], ended_ns: int, *, error: dict[str, Any] | None = None) -> CallFact:
    """Return the call that got no answer, but the client's ``error`` line or nothing."""
    first, last = tried[0], tried[-1]
    return _call(
        key=first.id,
        model=last.model,
        started_ns=first.ns,
        ended_ns=max(ended_ns, first.ns, last.ns),
        attempts=len(tried),
        usage={},
        output=[],
        input=fitted(_said(tried)),
        prompt_id=first.prompt_id,
        query_source=first.source,
        **({"interrupted": True} if error is None else {"error": error_of(error), **_of_line(error)}),
    )


def _call(**told: object) -> CallFact:
    return cast("CallFact", known({"kind": "call", **told}))


def _of_line(line: dict[str, Any]) -> dict[str, Any]:
    effort = text_field(line, "effort", "perTurnEffort")
    return {"request_id": text_field(line, "requestId"), "agent_id": text_field(line, "agentId"), "effort": effort}


def error_of(line: dict[str, Any]) -> CallError:
    """Return a synthetic line's error; the API's own type says more: of a 529 the client says "server_error"."""
    status = field(line, "apiErrorStatus")
    named = text_field(line, "error")
    kind = text_field(line, "apiErrorType") or (named if named != "unknown" else None)
    texts = [text_field(block, "text") or "" for block in members(field(field(line, "message"), "content"))]
    return {"type": kind or (str(status) if type(status) is int else "_OTHER"), "message": "\n".join(texts)}


def _said(tried: list[Request]) -> list[Message]:
    return [message for request in tried for message in request.input][-MAX_WAITING:]


def bound(kept: dict[str, Any], limit: int) -> None:
    """Forget the oldest entries beyond ``limit``."""
    while len(kept) > limit:
        del kept[next(iter(kept))]
