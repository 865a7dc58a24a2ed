"""Programs on plain libraries, traced by `agent-trace run`: they are the same programs, and the folder has it all."""

from __future__ import annotations

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
"""Those whose library comes with the test extra; the others are run by tests/e2e/test_runs.py."""


def test_every_example_is_tested() -> None:
    assert {path.name for path in FOLDER.glob("*_agent.py")} == STORIES.keys()


@pytest.mark.parametrize("name", sorted(LIBRARIES))
def test_an_example_is_the_same_program_when_it_is_traced(name: str, tmp_path: Path) -> None:
    pytest.importorskip(LIBRARIES[name])
    check(Place(tmp_path), name, PYTHON)


def test_the_examples_import_nothing_of_ours() -> None:
    assert [path.name for path in FOLDER.glob("*.py") if "import agent_trace" in path.read_text()] == []
