"""Lines of a transcript in, facts out: model calls put together from api-requests and content blocks.

Comes in: parsed lines in file order, each with its place in the file. Goes out: facts, and the place of the first line
that is still needed. Called by `transcript`; pure. Lines and rules as seen with Claude Code 2.1.330; the format is
undocumented and changes, so a field of another type is a field that is not there.

An answer is one line a content block. It is told when the next request, the next answer or the end of the turn shows
that it is whole: told too early, it would lack its last tool calls.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

from agent_trace_otel.capture.hooks.transcript.facts import (
    CallFact,
    Fact,
    OriginFact,
    cost_fact,
    known,
    result_facts,
    time_ns,
)
from agent_trace_otel.capture.hooks.transcript.pending import (
    MAX_WAITING,
    Conversation,
    Request,
    answered_call,
    bound,
    error_of,
    unanswered_call,
)
from agent_trace_otel.model_io.fields import field, members, text_field
from agent_trace_otel.model_io.messages import fitted, read_messages

SYNTHETIC = "<synthetic>"
"""The model that the client names for answers of its own making: errors and fillers."""

INTERRUPTED = "[Request interrupted by user"
"""How the client notes, as a user's line, that a call or a tool was stopped."""

MAX_TOLD = 50_000
MAX_COPIED = 10_000
MAX_UNKNOWN = 100

_IGNORED = frozenset(
    {
        "api-request-blob",
        "api-request-shape",
        "atis-latch",
        "attachment",
        "file-history-snapshot",
        "last-prompt",
        "mode",
        "queue-operation",
        "relocated",
        "summary",
        "tools-used",
        "worktree-state",
    }
)


class CallAssembler:
    """Puts facts together from the lines of one file.

    Args:
        since_ns: unix ns of the session's start: an older call without an api-request is copied history.
        agent_id: the sub-agent whose file it is, "" for the main one.
        from_start: whether the file's first line comes first; an answer whose api-request never came is copied then.
        told: keys of calls that were told before, added to: none is told twice.
        unknown: counts the types of lines that are not understood.
    """

    def __init__(
        self, *, since_ns: int, agent_id: str, from_start: bool, told: dict[str, None], unknown: Counter[str]
    ) -> None:
        self._unknown = unknown
        self._since_ns = since_ns
        self._agent_id = agent_id
        self._from_start = from_start
        self._told = told
        self._main = Conversation()
        self._side = Conversation()
        self._latest_ns = 0 if from_start else since_ns  # a line without a time has that of the line before it
        self._before_ns = self._latest_ns
        self._origin: dict[str, Any] = {}
        self._origin_at = 0
        self._origin_told = False

    def take(self, line: dict[str, Any], at: int) -> list[Fact]:
        """Return the facts that a line completes; ``at`` is its place in the file, in bytes."""
        kind = text_field(line, "type") or ""
        ns = time_ns(line.get("timestamp")) or self._latest_ns
        self._before_ns, self._latest_ns = self._latest_ns, max(self._latest_ns, ns)
        # a sub-agent's own file is one conversation; older clients wrote sub-agents between the main one's lines
        side = line.get("isSidechain") is True or bool(text_field(line, "agentId"))
        conversation = self._side if side else self._main
        if kind == "assistant":
            return self._assistant(conversation, line, at, ns)
        if kind == "user":
            return self._user(conversation, line, at, ns)
        if kind == "api-request":
            return self._request(conversation, line, at, ns)
        if kind == "system":
            return self._close(conversation) if line.get("subtype") == "stop_hook_summary" else []
        if kind == "cost-state":
            cost = cost_fact(line, self._latest_ns)
            if cost is not None:
                return [cost]
        elif kind in _IGNORED:
            return []
        self.count(kind[:40] or "(no type)")
        return []

    def count(self, kind: str) -> None:
        """Count a line that was not understood."""
        if kind in self._unknown or len(self._unknown) < MAX_UNKNOWN:
            self._unknown[kind] += 1

    def finish(self, *, closed: bool) -> list[Fact]:
        """Return the facts of what is pending and can end a turn; of all that is pending once the file is closed."""
        facts: list[Fact] = []
        for conversation in (self._main, self._side):
            if conversation.answer is not None and (closed or conversation.answer.looks_last()):
                facts += self._close(conversation)
            if closed:
                for source in {request.source: None for request in conversation.requests.values()}:
                    facts += self._interrupted(conversation.taken(conversation.waiting(source)))
        return facts + (self._tell_origin() if closed else [])

    def needed_from(self) -> int | None:
        """Return the place of the first line that pending facts still need, None if none is pending."""
        places = [self._origin_at] if self._origin and not self._origin_told else []
        for conversation in (self._main, self._side):
            if conversation.answer is not None:
                places.append(conversation.answer.at)
            if conversation.input_at is not None:
                places.append(conversation.input_at)
            # a request that calls were told after will hardly be answered: it must not hold a reader back forever
            places += [request.at for request in conversation.requests.values() if request.at > conversation.told_at]
        return min(places, default=None)

    # -- lines -------------------------------------------------------------------------------------------------

    def _request(self, conversation: Conversation, line: dict[str, Any], at: int, ns: int) -> list[Fact]:
        identity = text_field(line, "id")
        if not identity:
            self.count("api-request (no id)")
            return []
        source = text_field(line, "querySource")
        facts = self._tell_origin()
        answer = conversation.answer
        if answer is not None and (answer.source is None or answer.source == source):
            facts += self._close(conversation)
        facts += self._interrupted(
            conversation.taken(conversation.waiting(source, lambda request: request.left_ns != 0))
        )
        said, place = conversation.taken_input(at)
        model = text_field(field(line, "params"), "model")
        conversation.requests[identity] = Request(identity, place, ns, model, source, conversation.prompt_id, said)
        bound(conversation.requests, MAX_WAITING)
        return facts

    def _user(self, conversation: Conversation, line: dict[str, Any], at: int, ns: int) -> list[Fact]:
        content = field(field(line, "message"), "content")
        conversation.prompt_id = text_field(line, "promptId") or conversation.prompt_id
        conversation.user_ns = ns
        if line.get("isMeta") is not True:
            # another line may be the next day's: a killed client leaves no word of when it stopped
            stopped = (_first_text(content) or "").startswith(INTERRUPTED)
            for request in conversation.requests.values():
                request.left_ns = ns if stopped else request.left_ns or self._before_ns
        facts: list[Fact] = []
        for block in members(content):
            if text_field(block, "type") == "tool_result":
                if text_field(block, "tool_use_id") in conversation.copied_tools:
                    return []
                facts += result_facts(line, block)
        said = [message for message in read_messages({"role": "user", "content": content}) or [] if message["parts"]]
        if said:
            conversation.add_input(fitted(said), at)
        return facts

    def _assistant(self, conversation: Conversation, line: dict[str, Any], at: int, ns: int) -> list[Fact]:
        message = field(line, "message")
        if text_field(message, "model") == SYNTHETIC:
            return self._failed(conversation, line, ns) if line.get("isApiErrorMessage") is True else []
        identity = text_field(message, "id")
        if not identity:
            self.count("assistant (no message id)")
            return []
        facts: list[Fact] = []
        answer = conversation.answer
        if answer is None or answer.id != identity:
            facts += self._close(conversation)
            reference = text_field(line, "requestRef")
            if self._is_copied(conversation, line, reference, ns):
                self._note_copied(conversation, line, reference, at)
                return facts
            facts += self._tell_origin()
            answer = conversation.begin_answer(identity, reference, at, ns)
        answer.add(line, at, ns)
        return facts

    # -- copied history ------------------------------------------------------------------------------------------

    def _is_copied(self, conversation: Conversation, line: dict[str, Any], reference: str | None, ns: int) -> bool:
        """Tell whether an answer was given to another session: its api-request is not in this file."""
        if reference is None:
            return ns < self._since_ns or field(line, "forkedFrom") is not None
        if reference in conversation.requests or reference == conversation.answered:
            return False
        if self._since_ns or not self._from_start:
            return ns < self._since_ns
        return True

    def _note_copied(self, conversation: Conversation, line: dict[str, Any], reference: str | None, at: int) -> None:
        conversation.taken_input(0)
        for block in members(field(field(line, "message"), "content")):
            tool_use_id = text_field(block, "id")
            if tool_use_id:
                conversation.copied_tools[tool_use_id] = None
        bound(conversation.copied_tools, MAX_COPIED)
        session_id = text_field(field(line, "forkedFrom"), "sessionId")
        self._origin = known({"session_id": session_id, "request_id": reference}) or self._origin
        self._origin_at = at

    def _tell_origin(self) -> list[Fact]:
        if self._origin_told or not self._origin:
            return []
        self._origin_told = True
        return [cast("OriginFact", {"kind": "origin", **self._origin})]

    # -- calls -----------------------------------------------------------------------------------------------------

    def _close(self, conversation: Conversation) -> list[Fact]:
        answer, conversation.answer = conversation.answer, None
        if answer is None:
            return []
        conversation.told_at = answer.last_at
        return self._tell(answered_call(answer))

    def _failed(self, conversation: Conversation, line: dict[str, Any], ns: int) -> list[Fact]:
        """Return the call that ended with an error of the API after its last attempt."""
        if not conversation.requests:
            # no call of this file: copied history, or an error about an answer that came
            prompt_id = conversation.prompt_id or ""
            is_own = ns >= self._since_ns and conversation is self._main and not self._agent_id
            return [{"kind": "failure", "prompt_id": prompt_id, "error": error_of(line), "at_ns": ns}] if is_own else []
        last = next(reversed(conversation.requests.values()))
        left = last.left_ns != 0
        tried = conversation.waiting(last.source, lambda request: (request.left_ns != 0) == left)
        return self._tell(unanswered_call(conversation.taken(tried), ns, error=line))

    def _interrupted(self, tried: list[Request]) -> list[Fact]:
        """Return the call that the conversation, or the session, went on without."""
        return self._tell(unanswered_call(tried, tried[-1].left_ns or self._latest_ns)) if tried else []

    def _tell(self, call: CallFact) -> list[Fact]:
        key = call["key"]
        if key in self._told:
            return []
        self._told[key] = None
        bound(self._told, MAX_TOLD)
        agent_id = call.get("agent_id") or self._agent_id
        return [{**call, "agent_id": agent_id} if agent_id else call]


def _first_text(content: object) -> str | None:
    return (
        content if isinstance(content, str) else next((text_field(block, "text") for block in members(content)), None)
    )
