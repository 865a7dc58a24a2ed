"""What the documents say is so: links and paths lead somewhere, commands and variables are those that there are."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from agent_trace_otel import cli
from agent_trace_otel.commands import grammar

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
README = (ROOT / "README.md").read_text()
INTERNAL = {"hook"}  # what setup writes into settings; nobody types it
BETWEEN_US = {"AGENT_TRACE_RUN_WATCH", "AGENT_TRACE_RUN_REPORTS", "AGENT_TRACE_TOLD_BY"}  # set and read by ourselves
_PATH = re.compile(r"`((?:agent_trace_otel|instrumentors|tests|examples|docs|plugin)/[\w./*-]*)[` ]")
_LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_and_path_leads_somewhere(page: Path) -> None:
    text = page.read_text()
    links = [page.parent / link for link in _LINK.findall(text)]
    missing = [str(link) for link in links if not link.exists()]
    missing += [path for path in _PATH.findall(text) if not any(ROOT.glob(path.rstrip("/")))]
    assert not missing


def _grammar() -> dict[str, set[str]]:
    """Return the long options of every command."""
    found: dict[str, set[str]] = {}
    for action in grammar.parser([*cli._COMMANDS])._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                longs = {option for one in command._actions for option in one.option_strings if option[:2] == "--"}
                found[name] = longs - {"--help"}
    return found


def _table() -> dict[str, set[str]]:
    """Return the options that the README's table of commands names."""
    rows = re.findall(r"^\| `agent-trace ([a-z-]+)(.*?)` \|", README, re.MULTILINE)
    named = {name: set(re.findall(r"--[a-z][a-z-]*", usage)) for name, usage in rows}
    # one row may show several commands of the same kind
    for more in re.findall(r"^\| `agent-trace [^|]*`, (.*?) \|", README, re.MULTILINE):
        for name, usage in re.findall(r"`agent-trace ([a-z-]+)(.*?)`", more):
            named[name] = set(re.findall(r"--[a-z][a-z-]*", usage))
    return named


def test_the_readme_names_every_command_and_its_options() -> None:
    grammar, table = _grammar(), _table()
    assert set(grammar) - INTERNAL == set(table)
    for name, found in table.items():
        assert found | {"--no-color"} == grammar[name] | {"--no-color"}, f"agent-trace {name}"


def test_the_readme_names_every_variable_of_ours() -> None:
    sources = [*(ROOT / "agent_trace_otel").rglob("*.py"), *(ROOT / "instrumentors").rglob("*.py")]
    found = {name for path in sources for name in re.findall(r"AGENT_TRACE_[A-Z_]*[A-Z]", path.read_text())}
    named = set(re.findall(r"AGENT_TRACE_[A-Z_]*[A-Z]", README))
    assert found - named == BETWEEN_US
    assert named - found - {"AGENT_TRACE_E2E_CACHE", "AGENT_TRACE_FUZZ"} == set()
