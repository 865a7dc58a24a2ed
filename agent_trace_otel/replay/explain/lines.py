"""The facts of a session -> the lines of `agent-trace explain`.

Comes in: the dict of `facts`. Goes out: lines, plain or coloured. Called by the explain command. Without --full it
keeps to a screen or two however long the session was, and says what it left out.
"""

from __future__ import annotations

from itertools import groupby

from agent_trace_otel.replay.costs import dollars
from agent_trace_otel.replay.durations import milliseconds
from agent_trace_otel.replay.event_lines import EventLines, counted, figures_text, tools_text
from agent_trace_otel.replay.explain.course import TITLES
from agent_trace_otel.replay.markdown import plain_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from agent_trace_otel.store.reader import Session

_BEGINNING, _END = 10, 6  # lines of the course that are shown when there are more
_FAILURES, _REPEATED, _OPEN, _SOURCES = 5, 5, 5, 6
_KIND_WIDTH = 10
_TEXT = 2000  # characters that are looked at of a text that is shown on one line
_RED, _GREEN, _YELLOW, _BOLD = "31", "32", "33", "1"


def lines(session: Session, found: dict[str, Any], *, width: int, colour: bool, full: bool = False) -> Iterator[str]:
    """Yield the lines that tell a session's story.

    Args:
        session: for its state, when it has no end.
        found: what `facts.explanation` returned.
        width: columns of a line.
        colour: whether to write ANSI colours.
        full: show everything, cut nothing.
    """
    facts = found["session"]
    view = EventLines(width, colour=colour, full=full, longest_ms=found["last_offset_ms"])
    name = f" {facts['agent_name']}" if facts["agent_name"] else ""
    yield view.titled(f"{facts['session_id']}{name}", _BOLD)
    cost = "" if found["cost_usd"] is None else f", {dollars(found['cost_usd'])}"
    yield view.titled(f"{figures_text(facts)}{cost}")
    if session.state != "ended":
        from agent_trace_otel.replay.text import state_line

        yield view.painted(state_line(session), _YELLOW) + "\n"
    yield from _course(view, found["course"])
    yield from _failures(view, found["failures"])
    yield from _repeated(view, found["repeated"])
    yield from _open(view, found["open"])
    yield from _answer(view, found["answer"])


def _course(view: EventLines, course: list[dict[str, Any]]) -> Iterator[str]:
    if not course:
        return
    yield view.heading("Course")
    whole = view.full or len(course) <= _BEGINNING + _END
    for item in course if whole else course[:_BEGINNING]:
        yield _of_course(view, item)
    if whole:
        return
    kinds: dict[str, int] = {}
    for item in course[_BEGINNING:-_END]:
        kinds[item["kind"]] = kinds.get(item["kind"], 0) + 1
    told = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items(), key=lambda one: -one[1]))
    yield view.plain(f"  … {len(course) - _BEGINNING - _END:,} more (--full shows them): {told}")
    for item in course[-_END:]:
        yield _of_course(view, item)


def _of_course(view: EventLines, item: dict[str, Any]) -> str:
    kind = f"{item['kind']:<{_KIND_WIDTH}} "
    if "calls" not in item:
        text = item["text"]
        return view.event(item, f'"{text}"' if item["kind"] == "prompt" else text, code=_BOLD, lead=kind)
    ended = [f"{item['failed']} failed"] * bool(item["failed"]) + [f"{item['open']} open"] * bool(item["open"])
    figures = ", ".join([f"{counted(item['calls'], 'call')}, {milliseconds(item['duration_ms'])}", *ended])
    agent = f"[{item['agent']}] " if item["agent"] else ""
    told = f"{agent}{figures}: "
    what = ", ".join(item["titles"])
    # what was called says more than how often, where there is room for all of it
    if len(item["titles"]) > TITLES or (len(kind) + len(told) + len(what) > view.room and not view.full):
        what = tools_text(item["tools"])
    return view.event(item, told + what, code=_RED if item["failed"] else "", lead=kind)


def _failures(view: EventLines, failures: list[dict[str, Any]]) -> Iterator[str]:
    if not failures:
        return
    # those that nothing came of first, if there is no room for all
    ranked = sorted(failures, key=lambda failure: failure["worked"] is not None)
    kept = ranked if view.full else ranked[:_FAILURES]
    yield view.heading("Failures, and what followed")
    for failure in sorted(kept, key=lambda failure: failure["offset_ms"]):
        yield from _failure(view, failure)
    if len(kept) < len(failures):
        worked = sum(failure["worked"] is not None for failure in ranked[_FAILURES:])
        yield view.plain(
            f"  … {len(failures) - len(kept):,} more, {worked:,} of which worked later (--full shows them)"
        )


def _failure(view: EventLines, failure: dict[str, Any]) -> Iterator[str]:
    tries, between, worked, after = (failure[key] for key in ("tries", "between", "worked", "next"))
    agent = f"[{failure['agent']}] " if failure["agent"] else ""
    yield view.event(failure, f"{agent}{failure['title']}")
    followed: list[tuple[float, str]] = []
    shown = tries if view.full else tries[:1] + tries[1:][-1:]
    for error in shown:
        number = f"{len(tries)} tries: " if error is shown[-1] and len(tries) > len(shown) else ""
        outcome = "" if error["outcome"] == "error" else f"{error['outcome']}: "
        text = f"✗ {number}{outcome}{error['message'][:_TEXT]}"
        followed.append((error["offset_ms"], view.event(error, text, code=_RED, lead="  ")))
    if between["calls"]:
        others = between["calls"] - len(between["edits"])
        and_others = f" and {counted(others, 'other call')}" if others else ""
        named = ", ".join(between["edits"]) + and_others
        counts = f"{counted(between['calls'], 'call')}: {tools_text(between['tools'])}"
        text = f"then {named if between['edits'] else counts}"
        followed.append((between["offset_ms"], view.event(between, text, lead="  ")))
    yield from (line for _, line in sorted(followed, key=lambda one: one[0]))
    if worked is not None:
        how = "" if worked["same_arguments"] is not False else ", with other arguments"
        if worked["title"] != failure["title"]:
            how = f": {worked['title']}"
        yield view.event(worked, f"✓ worked {milliseconds(worked['after_ms'])} later{how}", code=_GREEN, lead="  ")
    elif after is not None:
        yield view.event(after, f"not seen to work; next: {after['title']}", code=_YELLOW, lead="  ")
    else:
        yield view.event(tries[-1], "not seen to work, and no call followed", code=_YELLOW, lead="  ")


def _repeated(view: EventLines, repeated: list[dict[str, Any]]) -> Iterator[str]:
    if not repeated:
        return
    yield view.heading("Repeated calls")
    for again in repeated if view.full else repeated[:_REPEATED]:
        yield view.event(again, f"{again['calls']} × {again['title']}")
        ended = ", ".join(f"{len(list(group))} {outcome}" for outcome, group in groupby(again["outcomes"]))
        results = "the same result" if again["results"] == 1 else f"{again['results']} different results"
        edits = counted(again["edits_between"], "edit") if again["edits_between"] else "no edit"
        yield view.event(again["last"], f"{ended}; {results}; {edits} between", lead="  ")
    if len(repeated) > _REPEATED and not view.full:
        yield view.plain(f"  … {len(repeated) - _REPEATED:,} more (--full shows them)")


def _open(view: EventLines, calls: list[dict[str, Any]]) -> Iterator[str]:
    if not calls:
        return
    yield view.heading("Still open")
    for call in calls if view.full else calls[-_OPEN:]:
        agent = f"[{call['agent']}] " if call["agent"] else ""
        yield view.event(call, f"{agent}{call['title']}", code=_YELLOW)
    if len(calls) > _OPEN and not view.full:
        yield view.plain(f"  … {len(calls) - _OPEN:,} earlier ones (--full shows them)")


def _answer(view: EventLines, answer: dict[str, Any] | None) -> Iterator[str]:
    if answer is None:
        return
    yield view.heading("Final answer, and what it rests on")
    text = answer["text"]
    yield view.event(answer, f'"{text if view.full else plain_line(text[:_TEXT])}"')
    sources = answer["rests_on"]
    for source in sources if view.full else sources[:_SOURCES]:
        where = source["title"] if source["title"] == source["in"] else f"{source['in']} of {source['title']}"
        yield view.event(source, f"{', '.join(source['words'])}: {where}", lead="  ")
    if len(sources) > _SOURCES and not view.full:
        yield view.plain(f"  … {len(sources) - _SOURCES:,} more (--full shows them)")
    if answer["in_no_event"]:
        cut = ", some of whose values are cut" if answer["values_are_cut"] else ""
        looked_at = counted(answer["looked_at"], "event")
        missing = ", ".join(answer["in_no_event"])
        yield view.event(answer, f"in none of the {looked_at} before{cut}: {missing}", code=_YELLOW, lead="  ")
    edited, tested = answer["last_edit"], answer["last_test"]
    is_after = tested is not None and tested["is_after_last_edit"]
    if edited is not None:
        text = f"last edit: {edited['title']}" if is_after else f"no test after the last edit: {edited['title']}"
        yield view.event(edited, text, code="" if is_after else _YELLOW, lead="  ")
    if tested is not None:
        when = "last test" if edited is None else "test after it" if is_after else "last test, before it"
        code = _GREEN if tested["outcome"] == "ok" else _RED
        yield view.event(tested, f"{when}: {tested['title']}: {tested['outcome']}", code=code, lead="  ")
