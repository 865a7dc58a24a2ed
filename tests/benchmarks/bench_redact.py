"""How fast redaction is: ``python tests/benchmarks/bench_redact.py``, or `redacting` as rows of the whole benchmark.

A 200-byte argument is compared with ``json.dumps`` of the same value (at most three times); large harmless texts have a
budget in nanoseconds a byte: 33 (30 MB/s) for source code and prose, 100 (10 MB/s) for JSON tool results. The arguments
"with key words" are the harder ones: text that speaks of keys and tokens has to be read, not only glanced at.
"""

from __future__ import annotations

import argparse as source_1
import inspect
import json
import sys
import tarfile as source_2
import time
import typing as source_3
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parents[2]))

from results import Row, ratio_row, table

from agent_trace_otel.redact import DEFAULT

_ROUNDS = 9
_CALLS = 3000
_ARGUMENT_BUDGET = 3.0
_PROSE = (
    "The agent read the report twice, then asked whether the second table was meant to replace the first one. Nobody "
    "had said so: the authors only wrote that numbers were rounded, that the key to the map is on page 12, and that a "
    "later edition would be published in the autumn (see https://example.com/reports/2026/second-edition.html). "
    "It went on with the third chapter - the longest of all - and noted 3 open questions.\n"
)


def arguments() -> dict[str, object]:
    """Return harmless arguments of tool calls, about 200 bytes each."""
    structure = {
        "path": "/home/user/project/src/module/file_reader.py",
        "pattern": "def handle_request(self, request)",
        "limit": 50,
        "recursive": True,
        "note": "look at the second branch, then compare with main and report back",
    }
    ids = {
        "session": str(uuid.UUID(int=0x550E8400E29B41D4A716446655440000)),
        "commit": "9fceb02d0ae598e95dc970b74767f19372d61af8",
        "key": "value",
        "max_tokens": 100,
        "note": "something in here is rather harmless, so nothing happens at all",
    }
    return {
        "dict": structure,
        "its JSON text": json.dumps(structure),
        "prose": _PROSE[:104] + _PROSE[230:330],
        "dict with a UUID and a commit": ids,
        "prose with key words": _PROSE[:204],
        "JSON text with key words": json.dumps(ids),
    }


def texts() -> dict[str, tuple[str, float]]:
    """Return large harmless texts, each with its budget in nanoseconds a byte."""
    source = "".join(inspect.getsource(module) for module in (source_1, source_2, source_3))
    results = [
        {
            "id": f"toolu_{number:024d}",
            "session_id": str(uuid.UUID(int=number * 0x9E3779B97F4A7C15)),
            "type": "tool_result",
            "usage": {"input_tokens": number, "output_tokens": 7, "cache_read_input_tokens": 0},
            "path": f"/home/user/project/src/part_{number}.py",
            "content": source[number * 300 : number * 300 + 300],
        }
        for number in range(900)
    ]
    return {
        "source code": (source * 3, 1000 / 30),
        "prose": (_PROSE * 2500, 1000 / 30),
        "JSON tool results": (json.dumps(results, indent=1) * 3, 1000 / 10),
    }


def redacting() -> Iterable[Row]:
    """Measure CPU time, redaction and its comparison in turn."""
    for name, value in arguments().items():
        budget = None if "key words" in name else _ARGUMENT_BUDGET
        ours, base = [], []
        for _ in range(_ROUNDS):
            ours.append(_seconds(DEFAULT.value, value, _CALLS))
            base.append(_seconds(json.dumps, value, _CALLS))
        yield ratio_row(f"redact 200 bytes: {name}", ours, base, budget, "us", 1e6)
    for name, (text, most) in texts().items():
        took = min(_seconds(DEFAULT.text, text, 1) for _ in range(_ROUNDS)) / len(text)
        yield Row(f"redact {name}", took * 1e9, most, unit="ns/byte", detail=f"{1e-6 / took:.1f} MB/s")


def _seconds(call: Callable[[object], object] | Callable[[str], object], value: object, times: int) -> float:
    started = time.process_time()
    for _ in range(times):
        call(value)  # type: ignore[arg-type]
    return (time.process_time() - started) / times


if __name__ == "__main__":
    sys.stdout.write(table(list(redacting())) + "\n")
