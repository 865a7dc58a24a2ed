"""What starting costs: importing the package, and what installing it brings along."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import packages
from results import Row, SkippedError

_RUNS = 15
_IMPORT_BUDGET = 1.2
_INSTALL_BUDGET = 20
_CLOCKED = "from time import perf_counter_ns as now; began = now(); {}; print(now() - began)"


def importing() -> Iterable[Row]:
    """Measure imports in fresh interpreters, the fastest of many; the interpreter's own start is left out."""
    bare, ours = _fastest("import opentelemetry.trace", "import agent_trace_otel")
    yield Row("import agent_trace_otel", ours / bare, _IMPORT_BUDGET, detail=_shown(ours, bare))
    bare, ours = _fastest(
        "from opentelemetry.sdk.trace import TracerProvider; p = TracerProvider(shutdown_on_exit=False)",
        "import agent_trace_otel as at; at.configure(trace_dir='.')",
    )
    yield Row("  the same, up to a provider, against the SDK's", ours / bare, detail=_shown(ours, bare))


def _fastest(bare: str, ours: str) -> tuple[float, float]:
    """Return nanoseconds of both statements; the runs alternate."""
    found: dict[str, list[int]] = {bare: [], ours: []}
    environment = packages.plain_environment(PYTHONPATH=str(packages.REPOSITORY))
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(_RUNS):
            for statement, figures in found.items():
                command = [sys.executable, "-c", _CLOCKED.format(statement)]
                done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
                figures.append(int(done.stdout))
    return min(found[bare]), min(found[ours])


def _shown(ours: float, bare: float) -> str:
    return f"{ours / 1e6:,.1f} against {bare / 1e6:,.1f} ms"


def installing() -> Iterable[Row]:
    """Count the distributions that ``pip install .`` puts into an empty environment."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            programs = packages.install(Path(folder, "venv"), str(packages.REPOSITORY))
        except packages.UnavailableError as error:
            raise SkippedError(str(error)) from None
        listed = subprocess.run(
            [str(programs / "python"), "-m", "pip", "list", "--format", "freeze", "--disable-pip-version-check"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
    names = sorted(line.partition("==")[0] for line in listed)
    brought = [name for name in names if name not in {"pip", "setuptools", "wheel"}]
    yield Row(
        "installed set of the base", len(brought), _INSTALL_BUDGET, unit="distributions", detail=" ".join(brought)
    )
