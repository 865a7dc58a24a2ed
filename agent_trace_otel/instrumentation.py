"""Switching instrumentors on and off by name: instrument, uninstrument; and what they would meet here: survey, check.

Comes in: names. Goes out: libraries patched by `agent_trace_instrumentors`. Called by users, `agent-trace run` and
doctor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent_trace_instrumentors import INSTRUMENTORS, load
from agent_trace_otel.errors import UsageError

if TYPE_CHECKING:
    from agent_trace_instrumentors._base import Unpatched
    from agent_trace_instrumentors._survey import Surveyed

_switched: set[str] = set()
"""What was ever switched on here: the only instrumentors that have been imported."""


def instrument(*names: str) -> tuple[str, ...]:
    """Trace libraries without a change to the program.

    Where no session is open and no provider set up, each call that no other surrounds is a session of its own.

    Args:
        names: which ones; by default all that tell of nothing but the agent's own calls: model clients, frameworks and
            MCP, as `agent_trace_instrumentors.INSTRUMENTORS` lists them. Only by name: ``files`` (each file under the
            working directory that is opened) and ``subprocesses`` (each child process, which joins the session).

    Returns:
        The names of all instrumentors that are active now, sorted.

    Raises:
        UsageError: there is no instrumentor of that name; nothing has been switched on.

    Example:
        agent_trace_otel.instrument("subprocesses")
    """
    _check(names)

    for name in names or (name for name, entry in INSTRUMENTORS.items() if not entry.opt_in):
        load(name)().instrument()
        _switched.add(name)
    _serve_everything(True)  # noqa: FBT003 - a switch
    return _active()


def uninstrument(*names: str) -> tuple[str, ...]:
    """Put everything back as it was.

    Args:
        names: which instrumentors; by default all.

    Returns:
        The names of the instrumentors that are still active, sorted.

    Raises:
        UsageError: there is no instrumentor of that name.
    """
    _check(names)

    for name in _switched.intersection(names or _switched):
        load(name)().uninstrument()
    active = _active()
    _serve_everything(bool(active))
    return active


def watched(only: Sequence[str] = (), skip: Sequence[str] = (), also: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """Return which instrumentors a choice of names switches on, and the modules whose import each waits for.

    Args:
        only: these and no others; by default all that have not to be asked for by name.
        skip: not these.
        also: these as well.

    Raises:
        UsageError: there is no instrumentor of one of these names.
    """
    _check((*only, *skip, *also))
    chosen = only or [name for name, entry in INSTRUMENTORS.items() if not entry.opt_in]
    names = dict.fromkeys(name for name in (*chosen, *also) if name not in skip)
    return {name: INSTRUMENTORS[name].modules for name in names}


def survey() -> list[Surveyed]:
    """Return for each instrumentor the library's version here and whether it fits; no library is imported."""
    from agent_trace_instrumentors import _survey

    return _survey.survey()


def check(name: str) -> list[Unpatched]:
    """Import an instrumentor's library in a process of its own and return what of it can't be patched, and why.

    Raises:
        UsageError: there is no instrumentor of that name.
    """
    _check((name,))
    from agent_trace_instrumentors import _survey

    return _survey.check(name)


def _serve_everything(on: bool) -> None:  # noqa: FBT001 - as there
    from agent_trace_otel import pipeline  # `agent-trace run` and doctor want names, and no OpenTelemetry

    pipeline.serve_everything(on)


def _active() -> tuple[str, ...]:
    return tuple(sorted(name for name in _switched if load(name)().is_active))


def _check(names: tuple[str, ...]) -> None:
    for name in names:
        if name not in INSTRUMENTORS:
            import difflib

            near = difflib.get_close_matches(name, INSTRUMENTORS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(INSTRUMENTORS))}"
            msg = f"there is no instrumentor {name!r}; {hint}"
            raise UsageError(msg)
