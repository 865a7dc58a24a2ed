"""Every way of recording at once is one session, one trace, one tree: `agent-trace run` on `examples/full_agent.py`."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hook_feed import are_over, recorder_of
from hook_processes import Hooks
from programs import environment, wait_for

from agent_trace_otel import identity
from agent_trace_otel.testing import Recorded

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

EXAMPLE = Path(__file__).parents[1] / "examples" / "full_agent.py"
AGENT_TRACE = str(Path(sys.executable).with_name("agent-trace"))
TREE = """\
👤 (1 error) "Write the release notes since 1.3.0…
├─ → read_version pyproject.toml
│  └─ 📖 pyproject.toml
├─ ⬆ small "I see. Go on."
├─ ● collector (1 error)
│  ├─ → list_commits since: 1.3.0
│  ├─ → show_commit commit: a1f3
│  ├─ → show_commit commit: b2c4
│  └─ ✗ show_commit (error) commit: nope
├─ ⬆ small "That is all."
├─ → count_words
│  └─ → count_words text: cart: sum prices in cen…
├─ → delegate task: Put the new release into CHAN…
│  └─ ● claude-code
│     ├─ 👤 "Put the new release into CHANGELOG.m…
│     ├─ → Edit CHANGELOG.md
│     └─ 🤖 "CHANGELOG.md has the release."
├─ ◆ release as 1.4.0
└─ 🤖 "That is all."
"""


def _run(command: list[str], folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str], str]:
    """Run the example traced; return its directory, its variables and what it printed."""
    folder = tmp_path_factory.mktemp("full")
    hooks = Hooks(folder / "home")
    variables = environment(folder, HOME=str(hooks.home))
    with recorder_of(hooks):
        command = [AGENT_TRACE, "run", "--subprocesses", "--", sys.executable, str(EXAMPLE)]
        printed = _run(command, folder, variables).stdout
        wait_for(lambda: are_over(hooks), "the end of the coding agent's session", seconds=60)
    return folder, variables, printed


def test_the_program_prints_what_it_prints_untraced(story: tuple[Path, dict[str, str], str], tmp_path: Path) -> None:
    hooks = Hooks(tmp_path / "home")
    with recorder_of(hooks):
        untraced = _run([sys.executable, str(EXAMPLE)], tmp_path, environment(tmp_path, HOME=str(hooks.home)))
    assert story[2] == untraced.stdout == "5 words\n"


def test_there_is_one_session_and_one_trace_and_one_root(story: tuple[Path, dict[str, str], str]) -> None:
    recorded = Recorded(story[0] / "traces")
    (session_id,) = recorded.sessions()
    spans = {_id(span): span for span in recorded.spans()}
    assert len(spans) == len(recorded.spans())
    assert {span.context.trace_id for span in spans.values() if span.context} == {identity.trace_id_of(session_id)}
    assert [span.name for span in spans.values() if span.parent is None] == ["invoke_agent full_agent"]
    assert all(span.parent.span_id in spans for span in spans.values() if span.parent is not None)


def test_each_path_stands_where_it_was_called(story: tuple[Path, dict[str, str], str]) -> None:
    spans = {_id(span): span for span in Recorded(story[0] / "traces").spans()}

    def above(span: ReadableSpan) -> list[str]:
        names = []
        while span.parent is not None:
            span = spans[span.parent.span_id]
            names.append(span.name)
        return names

    found: dict[str, list[str]] = {span.name: above(span) for span in spans.values()}
    root = "invoke_agent full_agent"
    assert found["execute_tool read_version"] == [root]
    assert found["chat small"] == [root]
    assert (
        found["tools/call list_commits"][-2:]
        == found["tools/call show_commit"][-2:]
        == ["invoke_agent collector", root]
    )
    assert found["execute_tool Edit"][-2:] == ["execute_tool delegate", root]
    assert "invoke_agent claude-code" in found["execute_tool Edit"]
    assert [name for name in found["execute_tool Edit"] if name.startswith("execute_tool")] == ["execute_tool delegate"]
    counted = [above(span) for span in spans.values() if span.name == "execute_tool count_words"]
    assert sorted(map(len, counted)) == [1, 3]


def test_replay_shows_each_call_once_in_its_place(story: tuple[Path, dict[str, str], str]) -> None:
    folder, variables, _ = story
    drawn = _run([AGENT_TRACE, "--trace-dir", str(folder / "traces"), "replay", "--tree"], folder, variables).stdout
    lines = [_without_times(line) for line in drawn[drawn.index("START") :].splitlines()[1:]]
    assert "\n".join(line for line in lines if line) + "\n" == TREE
    meta = Recorded(folder / "traces").meta()
    assert (meta.tool_calls, meta.llm_requests, meta.total_tokens, meta.errors) == (9, 2, 96, 1)
    types = Counter(event.event_type for event in Recorded(folder / "traces").events())
    assert (types["session_start"], types["session_end"]) == (1, 1)


def _without_times(line: str) -> str:
    """Return what stands in the tree, without when, how long, how many tokens, and an error's text."""
    told = re.sub(r"^ *\+ *[\dm.]+s ", "", line)
    return re.sub(r"( — .*?)?\s{2,}[<\d][\d.ms]*(\s+\d+)?$", "", told).rstrip()


def _id(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id
