"""What an instrumentor would meet on this machine: the library's version, which versions fit, what can't be patched.

Comes in: nothing but what is installed. Goes out: a row an instrumentor. Called by `agent_trace_otel.instrumentation`
for `agent-trace doctor`. `survey` imports no library; `check` does, so it does it in a process of its own.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from agent_trace_instrumentors import INSTRUMENTORS, load
from agent_trace_instrumentors._base import Unpatched

_OURS: Final = ("AGENT_TRACE_", "OTEL_", "TRACEPARENT", "TRACESTATE")
_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Surveyed:
    """One instrumentor and its library here."""

    name: str
    """As `agent_trace_otel.instrument` takes it."""
    distribution: str
    """The library's name on the package index; empty for the standard library."""
    installed: str
    """Its version, empty if it is not installed; the standard library's is Python's."""
    supported: str
    """The versions that fit, such as ``>=1.40,<3``; empty for any."""
    fits: bool
    """Whether the installed version is one of them; False if there is none."""
    opt_in: bool
    """Whether it is switched on by name alone."""


def survey() -> list[Surveyed]:
    """Return a row for each instrumentor, by name; no library is imported."""
    return [_row(name) for name in sorted(INSTRUMENTORS)]


def _row(name: str) -> Surveyed:
    library, opt_in = load(name).library, INSTRUMENTORS[name].opt_in
    if library is None:
        return Surveyed(name, "", ".".join(map(str, sys.version_info[:3])), "", fits=True, opt_in=opt_in)
    try:
        installed = version(library.distribution)
    except PackageNotFoundError:
        installed = ""
    fits = bool(installed) and library.fits(installed)
    return Surveyed(name, library.distribution, installed, library.supported, fits=fits, opt_in=opt_in)


def check(name: str) -> list[Unpatched]:
    """Import a library in a process of its own and return what of it can't be patched, and why.

    A module that this version of the library has not is another version's, unless none is there.

    Args:
        name: of the instrumentor.

    Raises:
        KeyError: no instrumentor has that name.
    """
    _ = INSTRUMENTORS[name]
    code = f"from agent_trace_instrumentors._survey import main; main({name!r})"
    environ = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
    # the check's own modules are found where this process found them
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    try:
        done = subprocess.run(  # noqa: S603 - ourselves
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=_SECONDS, check=True, env=environ
        )
        found = json.loads(done.stdout.rsplit("\n", 2)[-2])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        said = getattr(error, "stderr", None)
        return [Unpatched(name, str(said).strip().splitlines()[-1] if said else str(error))]
    return [Unpatched(target, reason) for target, reason in found]


def main(name: str) -> None:
    """Print what can't be patched of a library as one line of JSON, the last one of stdout."""
    instrumentor = load(name)()
    instrumentor.instrument()
    absent: dict[str, str] = {}
    found: dict[str, str] = {}
    for module in dict.fromkeys(target.module for target in instrumentor.targets):
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:  # noqa: PERF203 - each is judged by itself
            is_absent = error.name is not None and f"{module}.".startswith(f"{error.name}.")
            (absent if is_absent else found)[module] = str(error)
        except Exception as error:  # noqa: BLE001 - whatever a library does when it is imported
            found[module] = str(error) or type(error).__name__
    found |= {one.target: one.reason for one in instrumentor.unpatched}
    if not found and not instrumentor.patched:
        found = absent
    sys.stdout.write("\n" + json.dumps(sorted(found.items())) + "\n")
