"""In a process of a run: instrumentors switched on when the program imports what they are for, and not before.

Comes in: the variables of `plan`. Goes out: an entry of sys.meta_path that finds nothing itself. Called by
`site/sitecustomize.py` before the program begins, so nothing is imported here that the program may not need: wrapt and
OpenTelemetry come with the first library that is traced.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_WATCH = "AGENT_TRACE_RUN_WATCH"  # as `plan` spells it
_API = "opentelemetry.trace"


def begin() -> None:
    """Watch for the libraries that a run names; what is to be traced at once is. Nothing happens outside a run.

    Also called by `opentelemetry-instrument`, as an entry point of ``opentelemetry_pre_instrument``: its own
    sitecustomize comes before ours, and imports no other.
    """
    watched: dict[str, list[str]] = {}
    at_once: list[str] = []
    for part in filter(None, os.environ.get(_WATCH, "").split(";")):
        name, _, modules = part.partition("=")
        if not modules:
            at_once.append(name)
        for module in filter(None, modules.split(",")):
            watched.setdefault(module, []).append(name)
    if _WATCH in os.environ and not any(isinstance(finder, Watcher) for finder in sys.meta_path):
        sys.meta_path.insert(0, Watcher(watched))
    _switch_on(at_once)


class Watcher:
    """An entry of sys.meta_path: sees each module that is imported first, and lets the others find it.

    Args:
        watched: module -> instrumentors that its import switches on.
    """

    def __init__(self, watched: dict[str, list[str]]) -> None:
        self._watched = watched

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Switch instrumentors on if the module is one of theirs and there; the spec is then found by the others."""
        if name == _API:
            return self._with_stand_in(self._found_by_others(name, path, target))
        if name not in self._watched or self._found_by_others(name, path, target) is None:
            return None
        names = self._watched.pop(name, None)
        if names is None:  # another thread was faster
            return None
        _switch_on(names)
        # instrumentors watch for modules as well, by an entry that now stands before this one
        return self._found_by_others(name, path, target)

    @staticmethod
    def _with_stand_in(spec: ModuleSpec | None) -> ModuleSpec | None:
        """Have tracers without a provider followed from the moment that there can be any."""
        loader: Any = None if spec is None else spec.loader
        execute = getattr(loader, "exec_module", None)
        if execute is not None and not isinstance(loader, type):  # a class loads many a module

            def execute_and_install(module: ModuleType) -> None:
                execute(module)
                _install(module)

            loader.exec_module = execute_and_install
        return spec

    def _found_by_others(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        for finder in tuple(sys.meta_path):
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if find is None else find(name, path, target)
            if spec is not None:
                return spec
        return None


def _install(module: ModuleType) -> None:
    try:
        _prepare()
        from agent_trace_otel.capture.run import stand_in

        stand_in.install(module)
    except Exception as error:  # noqa: BLE001 - another version of the API
        _keep("record libraries' own spans", error)


def _switch_on(names: Sequence[str]) -> None:
    """Switch instrumentors on; what goes wrong is kept for doctor, and is never the program's problem."""
    for name in names:
        try:
            _prepare()
            from agent_trace_otel import instrumentation

            instrumentation.instrument(name)
        except Exception as error:  # noqa: BLE001, PERF203 - such as a broken installation; the others are switched on
            _keep(f"trace {name}", error)


def _prepare() -> None:
    """Have our failures kept; without a handler the logging module would print them on the program's stderr."""
    from agent_trace_otel import guard

    if guard.on_first is None:
        import logging

        guard.on_first = _keep
        guard.logger.addHandler(logging.NullHandler())


def _keep(place: str, error: BaseException) -> None:
    from agent_trace_otel.capture.run import problems

    session = os.environ.get("AGENT_TRACE_SESSION_ID", "")
    problems.keep(place, f"{type(error).__name__}: {error}", program=sys.executable or "", session=session)
