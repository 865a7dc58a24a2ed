"""What the tests of model clients share: a server with the usual answers, and the model calls that a session holds."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model_answers import CLIENTS
from model_server import RECORDING, Answer, ModelServer, serving

import agent_trace_otel as at
from agent_trace_otel.testing import Recorded

if TYPE_CHECKING:
    from model_answers import Library


@dataclass(frozen=True, slots=True)
class Call:
    """One span of a model call, as it was written."""

    name: str
    status: str
    told: dict[str, Any]
    parent: int | None
    span_id: int

    @property
    def outcome(self) -> str:
        return str(self.told["agent_trace.outcome"])

    @property
    def usage(self) -> dict[str, int]:
        return {name[13:]: count for name, count in self.told.items() if name.startswith("gen_ai.usage.")}


def calls(recorded: Recorded, session_id: str | None = None) -> list[Call]:
    """Return all spans but the session's own, in the order they ended."""
    return [
        Call(
            span.name,
            span.status.status_code.name,
            dict(span.attributes or {}),
            span.parent.span_id if span.parent else None,
            span.context.span_id if span.context else 0,
        )
        for span in recorded.spans(session_id)
        if "agent_trace.scope" not in (span.attributes or {})
    ]


def only_call(recorded: Recorded) -> Call:
    """Return the one model call that there is; it has one opening and one closing event as well."""
    (call,) = calls(recorded)
    kinds = [event.event_type for event in recorded.events()]
    assert kinds.count("llm_request") == 1, kinds
    assert kinds.count("llm_response") + kinds.count("error") == 1, kinds
    return call


@contextmanager
def answering(library: Library, **more: Answer | list[Answer]) -> Iterator[ModelServer]:
    """Serve a library's usual answers by the names ``whole``, ``stream`` and ``refusal``, and some more."""
    usual = {"whole": library.whole, "stream": library.stream, "refusal": library.refusal}
    with serving({**usual, **more}) as server:
        yield server


def headers(name: str) -> dict[str, Any]:
    """Return the arguments that ask for an answer by name."""
    return {"extra_headers": {RECORDING: name}}


def run(recorded: Recorded, work: Callable[[], Any]) -> Recorded:
    """Do some work in a session of its own; coroutine functions in an event loop. Its clients are closed after it."""
    with at.session("test"):
        done = work()
        if isinstance(done, Coroutine):
            asyncio.run(closing(done))
    close_clients()
    return recorded


async def closing(work: Coroutine[Any, Any, Any]) -> None:
    """Do some work, then close its async clients, in the same event loop."""
    try:
        await work
    finally:
        for client in [client for client in CLIENTS if inspect.iscoroutinefunction(client.close)]:
            CLIENTS.remove(client)
            await client.close()


def close_clients() -> None:
    """Close the clients that a test has made."""
    while CLIENTS:
        CLIENTS.pop().close()


def said(told: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the parts of the one message that a call's span says was answered."""
    (message,) = json.loads(told["gen_ai.output.messages"])
    parts: list[dict[str, Any]] = message["parts"]
    return parts
