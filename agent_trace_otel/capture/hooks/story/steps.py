"""What a coding agent's events mean, one thing at a time: a span begins, ends, learns something.

Made by `claude_code` out of hook payloads and transcript facts, turned into spans by `reported`. Plain values only, so
that a session's story can be compared step by step in a test and told anew after a kill.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from agent_trace_otel import semconv


class Ref(NamedTuple):
    """Which span: the kind and key that its id is derived from (`identity.derived_span_id`)."""

    kind: Literal["run", "turn", "agent", "tool", "chat"]
    key: str = ""


RUN = Ref("run")
"""The span of the session's run that is open."""


@dataclass(frozen=True, slots=True)
class Begin:
    """A span begins."""

    ref: Ref
    at: int
    """Unix nanoseconds, as everywhere here."""
    name: str
    """The agent's, tool's or model's."""
    parent: Ref = RUN
    given: Any = None
    """What it was given: a prompt, arguments, input messages."""
    links: tuple[Ref, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class End:
    """A span ends."""

    ref: Ref
    at: int
    outcome: str = semconv.OUTCOME_OK
    message: str = ""
    """Why it failed."""
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Point:
    """Something happens on an open span: a span event."""

    ref: Ref
    at: int
    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Learn:
    """An open span's attributes grow."""

    ref: Ref
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Follow:
    """An open span follows from another: a link."""

    ref: Ref
    target: Ref


@dataclass(frozen=True, slots=True)
class FollowSession:
    """The run follows from another session."""

    session_id: str
    """Empty for the one that the same client process had before."""


@dataclass(frozen=True, slots=True)
class FollowContext:
    """An open span follows from one of another program's, named as in W3C Trace Context."""

    ref: Ref
    traceparent: str


Step = Begin | End | Point | Learn | Follow | FollowSession | FollowContext
