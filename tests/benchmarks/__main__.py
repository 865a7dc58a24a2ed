"""``python tests/benchmarks``: measure the budgets and print them as one table.

usage: python tests/benchmarks [--json FILE] [NAME ...]

A missed budget is shown, and is no error: figures of a busy machine are for people to judge. To add a row, write a
function that yields `Row`s and name it in `MEASURES`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parents[1] / "support"))  # what the tests share

import bench_redact
import collecting
import decorated_calls
import delivery
import hooks
import mcp_http
import mcp_stdio
import model_calls
import reading
import running
import startup
from results import Measure, Row, SkippedError, document, table

MEASURES: dict[str, Measure] = {
    "calls": decorated_calls.sync_calls,
    "calls-async": decorated_calls.async_calls,
    "calls-threads": decorated_calls.calls_in_threads,
    "live": delivery.live,
    "ship": delivery.shipping,
    "hook": hooks.with_recorder,
    "hook-first": hooks.without_recorder,
    "mcp_http": mcp_http.round_trips,
    "mcp_http_body": mcp_http.long_body,
    "collect": collecting.collecting,
    "redact": bench_redact.redacting,
    "import": startup.importing,
    "install": startup.installing,
    "run": running.starting,
    "run-files": running.opening,
    "mcp_round_trip": mcp_stdio.round_trip,
    "mcp_throughput": mcp_stdio.throughput,
    "mcp_10mb": mcp_stdio.ten_megabytes,
    "mcp_start": mcp_stdio.start,
    "model_call": model_calls.whole_calls,
    "model_chunk": model_calls.chunks,
    "replay": reading.replaying,
    "stats": reading.counting,
    "export": reading.exporting,
    "list": reading.listing,
}


def main() -> int:
    """Measure what was asked for, all by default."""
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=__doc__, add_help=True)
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"one or more of {', '.join(MEASURES)} (default: all)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write rows, versions and machine facts as well")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(MEASURES))
    if unknown:
        parser.error(f"no measure named {', '.join(unknown)}")
    rows: list[Row] = []
    skipped: dict[str, str] = {}
    for name in arguments.names or MEASURES:
        sys.stderr.write(f"measuring {name} ...\n")
        try:
            rows.extend(MEASURES[name]())
        except SkippedError as error:
            skipped[name] = str(error)
    sys.stdout.write(table(rows) + "\n")
    for name, reason in skipped.items():
        sys.stdout.write(f"skipped {name}: {reason}\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(document(rows, skipped), indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
