"""Rows of the benchmark: a ratio, its budget and its spread -> a table and a JSON document.

Called by every file of benchmarks here (to make rows) and by ``__main__`` (to show them).
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median, quantiles
from typing import Any

_DETAIL_WIDTH = 40
_PACKAGES = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http", "wrapt", "orjson")


class SkippedError(Exception):
    """A row can't be measured here; the text says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    ``measured``, ``low`` and ``high`` are ratios unless ``unit`` names another unit: the median of the rounds and the
    quartiles around it. A ``budget`` of None is for scale only.
    """

    what: str
    measured: float
    budget: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = "x"
    detail: str = ""

    @property
    def verdict(self) -> str:
        """Return met, missed, or nothing where there is no budget."""
        if self.budget is None:
            return ""
        return "met" if self.measured <= self.budget else "missed"


Measure = Callable[[], Iterable[Row]]


def ratio_row(  # noqa: PLR0913 - what a row says
    what: str, ours: Sequence[float], base: Sequence[float], budget: float | None, unit_of_detail: str, scale: float
) -> Row:
    """Return the row of two interleaved series: round i of one ran right beside round i of the other.

    Args:
        what: what was measured.
        ours: one figure a round.
        base: what they are compared with.
        budget: the highest ratio allowed.
        unit_of_detail: unit in which the medians themselves are shown.
        scale: what a figure is multiplied with to be in that unit.
    """
    ratios = [mine / bare for mine, bare in zip(ours, base, strict=True)]
    low, _, high = quantiles(ratios, n=4) if len(ratios) > 1 else (ratios[0],) * 3
    shown = f"{median(ours) * scale:,.1f} against {median(base) * scale:,.1f} {unit_of_detail}"
    return Row(what, median(ratios), budget, low, high, detail=shown)


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text, aligned."""
    lines = [("WHAT", "BUDGET", "MEASURED", "QUARTILES", "", "")]
    for row in rows:
        digits = 2 if row.unit == "x" else 0
        budget = "" if row.budget is None else f"{row.budget:g}{_spaced(row.unit)}"
        spread = "" if row.low is None or row.high is None else f"{row.low:.{digits}f} .. {row.high:.{digits}f}"
        measured = f"{row.measured:.{digits}f}{_spaced(row.unit)}"
        lines.append((row.what, budget, measured, spread, row.verdict, _shortened(row.detail)))
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    return "\n".join(
        f"{what:<{widths[0]}}  {budget:>{widths[1]}}  {measured:>{widths[2]}}  {spread:>{widths[3]}}"
        f"  {verdict:<{widths[4]}}  {detail}".rstrip()
        for what, budget, measured, spread, verdict, detail in lines
    )


def _shortened(detail: str) -> str:
    return detail if len(detail) <= _DETAIL_WIDTH else f"{detail[:_DETAIL_WIDTH]}…"


def _spaced(unit: str) -> str:
    return unit if unit == "x" else f" {unit}"


def document(rows: Sequence[Row], skipped: dict[str, str]) -> dict[str, Any]:
    """Return everything as JSON holds it: rows, what was skipped and why, versions and facts of the machine."""
    return {
        "rows": [{**asdict(row), "verdict": row.verdict} for row in rows],
        "skipped": skipped,
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        "machine": {
            "system": platform.platform(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "load": os.getloadavg(),
        },
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
