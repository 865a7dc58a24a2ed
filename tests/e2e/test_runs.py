"""`agent-trace run` with the tools that start Python programs: uv, notebooks, coverage, opentelemetry-instrument."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from capture.run.runs import Place
from packages import REPOSITORY, UnavailableError, programs_of
from run_examples import FOLDER, check

pytestmark = pytest.mark.e2e

TOOL = """
import agent_trace_otel as at

@at.trace_tool
def look(where):
    return "nothing in " + where

print(look("the box"))
"""
OURS = ("-e", str(REPOSITORY))


def programs(requirement: str, *more: str) -> Path:
    try:
        return programs_of(requirement, *more)
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def only_call(place: Place) -> None:
    assert place.types() == ["session_start", "tool_call", "tool_result", "session_end"]


def test_uv_run(place: Place) -> None:
    uv = str(programs("uv") / "uv")
    place.write("x.py", TOOL)
    # the environment that uv would make is one that it need not make
    ran = place.run(uv, "run", "--no-project", "--python", sys.executable, "x.py", UV_OFFLINE="1", PYTHONPATH="")
    assert (ran.code, ran.out, ran.err) == (0, "nothing in the box\n", "")
    only_call(place)
    assert place.recorded.meta().agent_name == "x"


def test_uv_run_in_an_environment_without_us(place: Place) -> None:
    uv = str(programs("uv") / "uv")
    place.write("x.py", "print('ran')")
    place.write("pyproject.toml", "[project]\nname = 'x'\nversion = '1'\nrequires-python = '>=3.10'\n")
    variables = {"UV_OFFLINE": "1", "UV_PYTHON": sys.executable, "PYTHONPATH": ""}
    place.direct(uv, "sync", **variables)
    ran = place.run(uv, "run", "x.py", **variables)
    assert (ran.code, ran.out) == (0, "ran\n")
    assert "can't import agent_trace_otel, so what it runs is not traced" in ran.err


def test_a_notebook_run_by_a_command(place: Place) -> None:
    jupyter = programs("nbconvert", "ipykernel", *OURS) / "jupyter"
    cell = {"cell_type": "code", "source": TOOL, "metadata": {}, "outputs": [], "execution_count": None, "id": "a"}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    book = {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": [cell]}
    place.write("book.ipynb", json.dumps(book))
    ran = place.run(
        *[str(jupyter), "nbconvert", "--execute", "--to", "notebook", "--output", "done.ipynb", "book.ipynb"],
        PYTHONPATH="",
        HOME=str(place.path),
    )
    assert ran.code == 0, ran.err
    assert "nothing in the box" in (place.path / "done.ipynb").read_text()
    only_call(place)


def test_coverage_of_processes_and_a_run_do_not_disturb_each_other(place: Place) -> None:
    python = programs("coverage", *OURS) / "python"
    (packages,) = python.parent.parent.glob("lib/*/site-packages")
    pth = packages / "measured.pth"
    pth.write_text("import coverage; coverage.process_startup()\n")
    try:
        place.write("x.py", TOOL)
        place.write(".coveragerc", "[run]\nparallel = true\nsource = .\n")
        ran = place.run(str(python), "x.py", COVERAGE_PROCESS_START=str(place.path / ".coveragerc"), PYTHONPATH="")
    finally:
        pth.unlink()
    assert (ran.code, ran.out, ran.err) == (0, "nothing in the box\n", "")
    assert len(list(place.path.glob(".coverage.*"))) == 1
    only_call(place)


@pytest.mark.parametrize("first", ["run", "opentelemetry-instrument"])
def test_opentelemetry_instrument(place: Place, first: str) -> None:
    folder = programs("opentelemetry-distro", "ollama", *OURS)
    place.write(
        "x.py",
        "import ollama, sys\nfrom agent_trace_instrumentors import load\n"
        "print(any(type(finder).__name__ == 'Watcher' for finder in sys.meta_path), load('ollama')().patched != ())\n",
    )
    ours, theirs = [str(folder / "agent-trace"), "run", "--"], [str(folder / "opentelemetry-instrument")]
    commands = {"run": [*ours, *theirs], "opentelemetry-instrument": [*theirs, *ours]}
    exporters = {f"OTEL_{kind}_EXPORTER": "none" for kind in ("TRACES", "METRICS", "LOGS")}
    ran = place.direct(*commands[first], str(folder / "python"), "x.py", PYTHONPATH="", **exporters)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "True True\n"
    assert place.types() == ["session_start", "session_end"]


def test_the_langgraph_example(place: Place) -> None:
    python = programs("langchain", "langchain-openai", "langgraph", *OURS) / "python"
    check(place, "langgraph_agent.py", str(python))


def test_tracing_imports_no_library_that_the_program_does_not(place: Place) -> None:
    pytest.importorskip("openai")
    program = place.write("x.py", "import runpy, sys\nrunpy.run_path(sys.argv[1])\nprint(*sorted(sys.modules))\n")
    example = str(FOLDER / "openai_agent.py")
    environ = {"PYTHONPATH": str(FOLDER)}
    direct, ran = (
        place.direct(sys.executable, str(program), example, **environ),
        place.run(sys.executable, str(program), example, **environ),
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
