"""Every way to look at a folder takes whatever stands in it: no traceback, one line if there is nothing to show."""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hostile import fuzzed, mutated_lines
from hypothesis import given
from hypothesis import strategies as st

from agent_trace_otel import cli, demo
from agent_trace_otel.testing import recording

SHOWN = [
    ["list"],
    ["list", "--json"],
    ["replay", "--full"],
    ["replay", "--tree"],
    ["replay", "--errors", "--grep", "a"],
    ["stats"],
    ["stats", "--json"],
    ["inspect"],
    ["explain"],
    ["explain", "--json"],
    *(["export", "--format", form] for form in ("json", "csv", "ndjson", "otlp", "html", "perfetto")),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session folder of the demo's."""
    store = tmp_path_factory.mktemp("demo") / "traces"
    with recording(store) as recorded:
        session = demo.run(store)
        assert recorded.events(session)
    return store / session


@fuzzed
@given(data=st.data())
@pytest.mark.parametrize("name", ["events.ndjson", "spans.jsonl", "meta.json"])
def test_readers_take_whatever_stands_in_a_folder(name: str, data: st.DataObject, folder: Path) -> None:
    written = (folder / name).read_bytes()
    lines = [json.dumps(json.loads(written)).encode()] if name == "meta.json" else written.splitlines()
    hostile = data.draw(mutated_lines(lines))
    with tempfile.TemporaryDirectory() as directory:
        copied = Path(directory) / "traces" / folder.name
        shutil.copytree(folder, copied)
        (copied / name).write_bytes(hostile)
        for arguments in SHOWN:
            code, said = run(["--trace-dir", str(copied.parent), *arguments])
            assert code in (0, 1), (arguments, said)
            assert "Traceback" not in said
            assert code == 0 or said.count("\n") == 1, (arguments, said)


def run(arguments: list[str]) -> tuple[int, str]:
    """Run a command in this process; return its exit code and what it said on stderr."""
    errors = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with redirect_stdout(out), redirect_stderr(errors):
        code = cli.main(arguments)
        sys.stdout.flush()
    return code, errors.buffer.getvalue().decode()  # type: ignore[attr-defined]
