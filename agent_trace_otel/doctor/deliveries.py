"""Undelivered spans, as doctor sees them: which back end has not acknowledged how many.

Comes in: session folders, the back end that is configured. Goes out: facts and their section. Called by `report`. A
look at every span takes as long as reading spans.jsonl, so it ends after a while, the newest sessions first.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

from agent_trace_otel.delivery.otlp import target_name
from agent_trace_otel.delivery.standing import standings
from agent_trace_otel.delivery.target import Target
from agent_trace_otel.doctor.section import Section, counted

_SECONDS: Final = 5.0


@dataclass(slots=True)
class Outstanding:
    """What one back end has of the sessions here."""

    sessions: int = 0
    """Those with spans that it has not acknowledged."""
    waiting: int = 0
    """Spans that were not sent, or not answered."""
    set_aside: int = 0
    """Spans that it refused."""
    delivered: int = 0
    is_configured: bool = False


@dataclass(frozen=True, slots=True)
class DeliveryFacts:
    """All back ends that a session has a ledger for, and the configured one."""

    targets: Mapping[str, Outstanding] = field(default_factory=dict[str, Outstanding])
    looked_at: int = 0
    sessions: int = 0


def look_at_deliveries(folders: Sequence[str], target: Target | None, *, seconds: float = _SECONDS) -> DeliveryFacts:
    """Read the ledgers of sessions, the newest first, for at most so many seconds."""
    configured = target_name(target.url) if target is not None else ""
    found: dict[str, Outstanding] = {configured: Outstanding(is_configured=True)} if configured else {}
    end = time.monotonic() + seconds
    looked_at = 0
    for folder in folders:
        if time.monotonic() > end:
            break
        for name, standing in standings(folder, [configured] if configured else []).items():
            total = found.setdefault(name, Outstanding())
            total.delivered += standing.delivered
            total.waiting += standing.waiting
            total.set_aside += standing.set_aside
            total.sessions += standing.undelivered > 0
        looked_at += 1
    return DeliveryFacts(found, looked_at, len(folders))


def section_of_deliveries(found: DeliveryFacts) -> Section:
    """Return what there is to say of undelivered spans."""
    lines: list[tuple[str, str]] = []
    notes: list[str] = []
    for name, total in found.targets.items():
        mark = " (configured)" if total.is_configured else ""
        lines.append((name, f"{counted(total.delivered, 'span')} delivered, {_left(total)}{mark}"))
        if total.is_configured and total.waiting:
            notes.append(f"{counted(total.waiting, 'span')} wait for {name}: agent-trace ship --all sends them")
        if total.set_aside:
            notes.append(f"{name} refused {counted(total.set_aside, 'span')}: agent-trace ship --failed tells why")
    if not lines:
        lines = [("back ends", "none was ever sent to")]
    if found.looked_at < found.sessions:
        lines.append(("looked at", f"the newest {found.looked_at:,} of {counted(found.sessions, 'session')}"))
    return Section("deliveries", tuple(lines), asdict(found), notes=tuple(notes))


def _left(total: Outstanding) -> str:
    if not total.waiting and not total.set_aside:
        return "none left"
    aside = f", {total.set_aside:,} set aside" if total.set_aside else ""
    return f"{total.waiting:,} waiting in {counted(total.sessions, 'session')}{aside}"
