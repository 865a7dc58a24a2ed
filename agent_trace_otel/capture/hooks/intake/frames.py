"""Frames: the bytes of one delivery -> a Frame -> what the journal keeps of it, cut and redacted.

Comes in: what a hook process sent or spooled. Goes out: a SessionKey and the data of an entry. Called by `receiver` and
`spool`. Pure: no file, no socket, no clock but for a frame that names no time; whatever is malformed becomes an entry
without a payload, never an exception.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from agent_trace_otel.capture.hooks import client
from agent_trace_otel.capture.hooks.intake.cutting import fitted, flattened
from agent_trace_otel.redact import DEFAULT

if TYPE_CHECKING:
    from agent_trace_otel.redact import Redactor

HOOK: Final = "hook"
"""The kind of entry that a delivery becomes."""
MAX_VALUES: Final = 8_000_000
"""Characters of all values of a payload; beyond, they are cut before redaction reads them."""
MAX_RAW: Final = 2_000
"""Characters kept of a payload that is no JSON object."""
UNKNOWN_SESSION: Final = "unknown"

_AGENT: Final = "claude-code"
_HEADERS: Final = "AGENT_TRACE_OTLP_HEADERS"
_ENDPOINT: Final = "AGENT_TRACE_OTLP_ENDPOINT"
_BARE_URL: Final = re.compile(r"^([^/]*//)?[^/]*@|\?.*", re.DOTALL)
"""User info and query of a URL, which may be keys."""
_READ_OF_RAW: Final = 64_000  # a secret is recognised by what stands around it
_MAX_FIELD: Final = 200
_MAX_AGENT: Final = 64  # it is part of a file name
_MAX_SESSION_ID: Final = 1_000
_SESSION_FIELDS: Final = ("session_id", "sessionId", "conversation_id")
_PARENTS: Final = ("parent_agent_id", "parentAgentId")
"""Where Copilot names the session in the events of a sub-agent: what it calls the session there is the sub-agent."""
_PERSONAL: Final = ("user_email",)
"""Members that Cursor sends with every event and that no story needs."""
_OPENING: Final = frozenset(
    {
        # one spelling of Claude Code's PreToolUse, Copilot's preToolUse and agent-strace's pre-tool; then the others'
        "sessionstart",
        "userpromptsubmit", "userpromptsubmitted", "userprompt", "beforeagent", "beforesubmitprompt",
        "pretooluse", "pretool", "beforetool", "beforeshellexecution", "beforemcpexecution", "beforereadfile",
        "subagentstart",
    }
)  # fmt: skip
# NaN and infinity are no JSON: as strings they can be written again
_decoder: Final = json.JSONDecoder(parse_constant=str)
_MAX_DIGITS: Final = 20  # of a time


class SessionKey(NamedTuple):
    """Which agent's which session: the names of two agents' sessions are unrelated."""

    agent: str
    session_id: str


@dataclass(frozen=True, slots=True)
class Frame:
    """One delivery. Fields that it did not have are empty, ``at`` is then 0."""

    version: str
    id: str
    at: int
    """Unix ns when the hook process began."""
    event: str
    agent: str
    env: Mapping[str, str]
    redacted: bool
    token: str
    payload: bytes


def parse(data: bytes) -> Frame:
    """Read a frame; what does not begin like one is all payload."""
    head, payload = b"", data
    if data.startswith(client.MAGIC):
        head, _, payload = data[len(client.MAGIC) :].partition(b"\0\0")
    # names of files need not be UTF-8; the surrogates that stand for such bytes survive JSON
    pairs = (part.partition("=") for part in head.decode("utf-8", "surrogateescape").split("\0"))
    fields = {name: value for name, _, value in pairs}
    at = fields.get("at", "")
    return Frame(
        version=fields.get("v", "")[:_MAX_FIELD],
        id=fields.get("id", "")[:_MAX_FIELD],
        at=int(at) if at.isdecimal() and at.isascii() and len(at) <= _MAX_DIGITS else 0,
        event=fields.get("event", "")[:_MAX_FIELD],
        agent=fields.get("agent", "")[:_MAX_AGENT] or _AGENT,
        env={name[4:]: value for name, value in fields.items() if name.startswith("env.")},
        redacted=fields.get("redacted") == "1",
        token=fields.get("token", ""),
        payload=payload,
    )


def entry_data(
    frame: Frame, redactor: Redactor | None, *, with_content: bool = True
) -> tuple[SessionKey, dict[str, Any]]:
    """Return what the journal keeps of a frame, and whose it is.

    Args:
        frame: as `parse` returned it.
        redactor: the rules of the frame's session; None writes values as they are.
        with_content: False leaves out what was said.
    """
    payload, raw = redacted(frame.payload, redactor, with_content=with_content)
    if payload is not None:
        payload = {name: value for name, value in payload.items() if name not in _PERSONAL}
    now = time.time_ns()
    data: dict[str, Any] = {
        "kind": HOOK,
        "at": frame.at or now,
        "id": frame.id or f"unnamed-{now}",
        "event": frame.event,
        "agent": frame.agent,
        "env": dict(frame.env),
        "payload": payload,
    }
    if payload is None:
        data["raw"] = raw
    return SessionKey(frame.agent, _session_id(payload, frame.agent)), data


def redacted(
    payload: bytes, redactor: Redactor | None, *, with_content: bool = True
) -> tuple[dict[str, Any] | None, str]:
    """Return a payload as a JSON object without its secrets, or None and the beginning of its text without them.

    Args:
        payload: JSON in UTF-8, or anything else.
        redactor: None leaves values as they are, cut where they are too long or nested too deeply.
        with_content: False leaves out what was said.
    """
    try:
        text = payload.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = payload.decode("utf-8-sig", "replace")
    value: object = None
    if text.lstrip()[:1] == "{":
        # redaction reads no deeper than `flattened` leaves it, so that costs time only where there is none
        value = None if redactor is None else _json(text, flat=False)
        value = _json(text, flat=True) if value is None else value
        value = value if redactor is None else redactor.value(value)
    if isinstance(value, dict):
        found = cast("dict[str, Any]", value)
        if not with_content:
            from agent_trace_otel.capture.hooks.intake.withheld import without_content  # what few users want

            found = without_content(found)
        return found, ""
    beginning = text[:_READ_OF_RAW] if with_content else ""
    return None, (beginning if redactor is None else redactor.text(beginning))[:MAX_RAW]


def opens(data: Mapping[str, Any]) -> bool:
    """Tell whether an entry begins something, which should be seen before the agent goes on."""
    payload = data.get("payload")
    named = cast("dict[str, Any]", payload).get("hook_event_name") if isinstance(payload, dict) else None
    event = named if isinstance(named, str) else str(data.get("event", ""))
    return event.replace("-", "").replace("_", "").lower() in _OPENING


def public_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return forwarded variables as they may touch the disk: headers left out, keys in URLs and elsewhere withheld."""
    return dict(_public(tuple(env.items())))


@lru_cache(maxsize=64)  # the same for every event of a session
def _public(env: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    kept = ((name, _BARE_URL.sub(r"\1", value) if name == _ENDPOINT else value) for name, value in env)
    return tuple((name, str(DEFAULT.pair(name, value))) for name, value in kept if name != _HEADERS)


def _json(text: str, *, flat: bool) -> object:
    """Read JSON and cut it; None for what is none, or what no parser follows because it was not made ``flat``."""
    try:
        value = cast("object", _decoder.decode(flattened(text) if flat else text))
        return fitted(value, MAX_VALUES) if len(text) > MAX_VALUES else value
    except (ValueError, RecursionError, MemoryError):
        return None


def _session_id(payload: Mapping[str, Any] | None, agent: str) -> str:
    names = _PARENTS + _SESSION_FIELDS if agent == "copilot" else _SESSION_FIELDS
    for name in names if payload is not None else ():
        value = cast("Mapping[str, Any]", payload).get(name)
        if isinstance(value, str) and value.strip() and len(value) <= _MAX_SESSION_ID:
            return value
    return UNKNOWN_SESSION
