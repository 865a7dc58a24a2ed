"""Programs on plain libraries, traced by `agent-trace run`: they are the same programs, and the folder has it all."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from capture.run.runs import PYTHON, Place
from run_examples import FOLDER, STORIES, check

LIBRARIES = {
    "anthropic_agent.py": "anthropic",
    "google_genai_agent.py": "google.genai",
    "mcp_agent.py": "mcp",
    "openai_agent.py": "openai",
}
"""Those whose library comes with the test extra; the others are run by tests/e2e/test_run.py."""


def test_every_example_is_tested() -> None:
    assert {path.name for path in FOLDER.glob("*_agent.py")} == STORIES.keys()


@pytest.mark.parametrize("name", sorted(LIBRARIES))
def test_an_example_is_the_same_program_when_it_is_traced(name: str, tmp_path: Path) -> None:
    pytest.importorskip(LIBRARIES[name])
    check(Place(tmp_path), name, PYTHON)


def test_the_examples_import_nothing_of_ours() -> None:
    assert [path.name for path in FOLDER.glob("*.py") if "import agent_trace" in path.read_text()] == []


@pytest.mark.skipif(importlib.util.find_spec("openai") is None, reason="openai is not installed")
def test_tracing_imports_no_library_that_the_program_does_not(tmp_path: Path) -> None:
    place = Place(tmp_path)
    program = place.write("x.py", "import runpy, sys\nrunpy.run_path(sys.argv[1])\nprint(*sorted(sys.modules))\n")
    example = str(FOLDER / "openai_agent.py")
    environ = {"PYTHONPATH": str(FOLDER)}
    direct, ran = (
        place.direct(PYTHON, str(program), example, **environ),
        place.run(PYTHON, str(program), example, **environ),
    )
    # what we need ourselves
    ours = {
        "agent_trace_otel",
        "agent_trace_instrumentors",
        "opentelemetry",
        "wrapt",
        "google",
        "requests",
        "typing_extensions",
    }
    more = {name.split(".")[0] for name in {*ran.out.split()} - {*direct.out.split()}} - ours
    assert more - set(sys.stdlib_module_names) == set()


def test_an_example_runs_from_any_directory(tmp_path: Path) -> None:
    pytest.importorskip("openai")
    done = subprocess.run(
        [PYTHON, FOLDER / "openai_agent.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "It is snowing in Oslo."
