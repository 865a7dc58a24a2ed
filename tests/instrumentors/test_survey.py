"""What `agent-trace doctor` is told of instrumentors: versions that are here, and targets that can't be patched."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent_trace_instrumentors import INSTRUMENTORS
from agent_trace_instrumentors._base import Library
from agent_trace_otel import instrumentation
from agent_trace_otel.errors import UsageError

LIBRARIES = """
import json, sys
from agent_trace_otel import instrumentation
from agent_trace_instrumentors import INSTRUMENTORS, load
rows = instrumentation.survey()
modules = {target.module for name in INSTRUMENTORS for target in load(name).targets} - set(sys.stdlib_module_names)
print(json.dumps([module for module in modules if module.split(".")[0] in sys.modules]))
"""


def test_every_instrumentor_has_a_row_and_no_library_is_imported() -> None:
    assert [row.name for row in instrumentation.survey()] == sorted(INSTRUMENTORS)
    shown = subprocess.run([sys.executable, "-c", LIBRARIES], capture_output=True, text=True, check=True).stdout
    in_the_standard_library = ("asyncio", "subprocess")
    assert [name for name in json.loads(shown) if not name.startswith(in_the_standard_library)] == []


def test_a_row_tells_the_version_and_whether_it_fits() -> None:
    rows = {row.name: row for row in instrumentation.survey()}
    assert rows["mcp"].distribution == "mcp"
    assert rows["mcp"].installed[0].isdigit()
    assert rows["mcp"].supported.startswith(">=")
    assert rows["mcp"].fits
    assert not rows["mcp"].opt_in
    assert rows["subprocesses"].installed == ".".join(map(str, sys.version_info[:3]))
    assert rows["subprocesses"].fits
    assert rows["subprocesses"].opt_in


def test_what_is_not_installed_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    from agent_trace_instrumentors.mcp import McpInstrumentor

    monkeypatch.setattr(McpInstrumentor, "library", Library("no-such-distribution", (1,), (2,)))
    row = next(row for row in instrumentation.survey() if row.name == "mcp")
    assert (row.installed, row.fits, row.supported) == ("", False, ">=1,<2")


def test_of_a_library_that_fits_everything_can_be_patched() -> None:
    assert instrumentation.check("mcp") == []
    assert instrumentation.check("subprocesses") == []


def test_a_check_tells_what_has_changed_in_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "subprocess.py"
    source = Path(subprocess.__file__).read_text()
    changed.write_text(source.replace("def _internal_poll(", "def _polled_within("))
    monkeypatch.syspath_prepend(tmp_path)
    found = {one.target: one.reason for one in instrumentation.check("subprocesses")}
    assert list(found) == ["subprocess.Popen._internal_poll"]
    assert "_internal_poll" in found["subprocess.Popen._internal_poll"]


def test_a_check_tells_of_a_library_that_cant_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mcp").mkdir()
    (tmp_path / "mcp" / "__init__.py").write_text("print('noise')\nraise RuntimeError('built for another machine')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert {one.reason for one in instrumentation.check("mcp")} == {"built for another machine"}


def test_a_check_of_an_unknown_name_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="did you mean 'mcp'"):
        instrumentation.check("mpc")
