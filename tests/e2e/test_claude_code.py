"""The real Claude Code client, offline, with the hooks that `agent-trace setup` writes: every scenario, start to end.

    pytest -m e2e tests/e2e/test_claude_code.py

The client comes from npm (AGENT_TRACE_E2E_CACHE keeps it), the model is scripted, the network is 127.0.0.1 alone where
this user may have that. What a session must become stands in claude_code/trees, reviewed by eye.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import packages
import pytest
from claude_code import story, tree
from claude_code.output import comparable
from claude_code.scenarios import SCENARIOS, Run, Scenario, asking_for
from claude_code.workspace import API_KEY, Ran, Workspace

from agent_trace_otel import semconv
from agent_trace_otel.store.spans_file import read_spans

if TYPE_CHECKING:
    from claude_code.story import Installed

pytestmark = pytest.mark.e2e

_TREES = Path(__file__).parent / "claude_code" / "trees"
_REPLAYED = re.compile(r"^\+ *[\dm.]+s +\S+ (\w+)(?: (\S+))?", re.MULTILINE)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return story.install_checkout(tmp_path_factory.mktemp("clone"), "agent-trace-otel")


@dataclass(frozen=True, slots=True)
class Told:
    """A scenario that was run with our hooks, and its recorder gone."""

    name: str
    workspace: Workspace
    ran: list[Ran]

    @property
    def trace_dir(self) -> Path:
        return self.workspace.project / ".agent-traces"

    def spans(self) -> list[Any]:
        return [span for path in sorted(self.trace_dir.glob("*/spans.jsonl")) for span in read_spans(path)]


@pytest.fixture(scope="module", params=sorted(SCENARIOS))
def told(request: pytest.FixtureRequest, installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Told:
    name: str = request.param
    workspace = Workspace(tmp_path_factory.mktemp(name) / "hooked")
    ran = story.play(installed, workspace, SCENARIOS[name])
    story.leave(installed, workspace)
    return Told(name, workspace, ran)


def _holding(root: Path, *secrets: str) -> list[str]:
    """Return the files below a folder that hold one of the texts."""
    files = (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return [str(path.relative_to(root)) for path in files if any(s.encode() in path.read_bytes() for s in secrets)]


def test_the_spans_are_the_reviewed_tree(told: Told) -> None:
    assert tree.text_of(told.trace_dir) == (_TREES / f"{told.name}.txt").read_text(encoding="utf-8")


def test_replay_tells_the_story(told: Told, installed: Installed) -> None:
    shown: Counter[tuple[str, str]] = Counter()
    for folder in tree.sessions_in_order(told.trace_dir):
        lines = installed.must(told.workspace, "replay", folder.name)
        shown.update((kind, name if kind.startswith("tool_") else "") for kind, name in _REPLAYED.findall(lines))
    assert shown == Counter(_events_of(told.spans()))


def _events_of(spans: list[Any]) -> Iterator[tuple[str, str]]:
    """Yield (type, tool) of the timeline events that spans stand for."""
    for span in spans:
        attributes: dict[str, Any] = dict(span.attributes)
        failed = span.status.status_code.name == "ERROR"
        yield from ((event.name.removeprefix("agent_trace."), "") for event in span.events if event.name in _SPOKEN)
        if attributes.get(semconv.SCOPE) == semconv.SCOPE_SESSION:
            yield from (("session_start", ""), ("session_end", ""))
        elif tool := attributes.get(semconv.TOOL_NAME):
            yield "tool_call", tool
            yield ("error", "") if failed else ("tool_result", tool)
        elif attributes[semconv.OPERATION_NAME] == semconv.CHAT:
            yield "llm_request", ""
            yield ("error" if failed else "llm_response"), ""


_SPOKEN = {semconv.USER_PROMPT_EVENT, semconv.ASSISTANT_RESPONSE_EVENT}


def test_tool_spans_are_the_calls_that_the_model_made(told: Told) -> None:
    called = Counter(
        block["id"]
        for path in (told.workspace.home / ".claude" / "projects").rglob("*.jsonl")
        for line in path.read_text(encoding="utf-8").splitlines()
        for block in _blocks(json.loads(line))
    )
    spans = [span for span in told.spans() if semconv.TOOL_CALL_ID in (span.attributes or {})]
    assert Counter(span.attributes[semconv.TOOL_CALL_ID] for span in spans) == Counter(called.keys())


def _blocks(line: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if line.get("type") == "assistant":
        yield from (block for block in line["message"]["content"] if block["type"] == "tool_use")


def test_the_client_behaves_as_it_does_without_hooks(told: Told, tmp_path: Path) -> None:
    bare = Workspace(tmp_path / "bare")
    without = [comparable(ran, bare) for ran in bare.play(SCENARIOS[told.name])]
    assert [comparable(ran, told.workspace) for ran in told.ran] == without


def test_nothing_waits_in_the_spool_and_the_api_key_is_nowhere(told: Told) -> None:
    state = told.workspace.home / ".local" / "state" / "agent-trace"
    assert not [str(path) for path in state.rglob("*.hook")]
    assert not _holding(told.workspace.root, API_KEY)


def test_a_session_is_known_by_the_process_of_its_client(told: Told) -> None:
    lines = [line for path in told.trace_dir.glob("*/events.ndjson") for line in path.read_bytes().splitlines()]
    started = [event for event in map(json.loads, lines) if event["event_type"] == "session_start"]
    assert {event["data"]["pid"] for event in started} == {ran.pid for ran in told.ran}


@pytest.mark.parametrize("scope", ["--global", "--local"])
def test_a_users_own_settings_record_the_same(scope: str, installed: Installed, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "hooked")
    story.play(installed, workspace, SCENARIOS["denied"], setup=[scope])
    installed.must(workspace, "setup", "claude-code", "--remove", scope)
    story.leave(installed, workspace)
    expected = (_TREES / "denied.txt").read_text(encoding="utf-8")
    assert tree.text_of(workspace.project / ".agent-traces") == expected


def test_the_plugin_folder_records_the_same(installed: Installed, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "hooked")
    plugin = Path(shutil.copytree(packages.REPOSITORY / "plugin", tmp_path / "plugin"))
    denied = SCENARIOS["denied"].runs[0]
    run = Run(denied.prompts, ("--plugin-dir", str(plugin)), denied.permission_mode)
    ran = workspace.play(Scenario((run,)), installed.environment(workspace))
    story.wait_until_settled(workspace.project / ".agent-traces", starts=len(ran))
    story.leave(installed, workspace)
    expected = (_TREES / "denied.txt").read_text(encoding="utf-8")
    assert tree.text_of(workspace.project / ".agent-traces") == expected


def test_no_secret_of_the_environment_is_stored(installed: Installed, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "hooked")
    told_token = tmp_path / "token"
    tells = {"type": "command", "command": f'printf %s "$CLAUDE_CODE_MESSAGING_TOKEN" > {told_token}'}
    scenario = Scenario((Run((asking_for("basic"),)),), local_settings={"hooks": {"Stop": [{"hooks": [tells]}]}})
    planted = {
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=planted-otel-header",
        "AGENT_TRACE_OTLP_HEADERS": "api-key=planted-own-header",
        "AGENT_TRACE_OTLP_ENDPOINT": "http://user:planted-password@127.0.0.1:9",
    }
    story.play(installed, workspace, scenario, environment=planted)
    recorder = Path(f"/proc/{installed.recorder(workspace)['status']['pid']}/environ").read_bytes()
    story.leave(installed, workspace)
    token = told_token.read_text(encoding="utf-8")
    assert len(token) > 16
    secrets = (API_KEY, token, "planted-otel-header", "planted-own-header", "planted-password")
    assert not _holding(workspace.root, *secrets)
    assert not [secret for secret in secrets if secret.encode() in recorder]


def test_time_added_to_a_tool_call_is_told(
    installed: Installed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten calls one after the other, the time from one request of the client's to its next; nothing is asserted."""
    bare, hooked, own = (Workspace(tmp_path / name) for name in ("bare", "hooked", "own"))
    bare.play(SCENARIOS["ten_bash"])
    story.play(installed, hooked, SCENARIOS["ten_bash"])
    story.play(installed, own, SCENARIOS["ten_bash"], setup=["--global"])
    for workspace in (hooked, own):
        story.leave(installed, workspace)
    without, portable, absolute = (_between_requests(workspace) for workspace in (bare, hooked, own))
    with capsys.disabled():
        sys.stdout.write(
            f"\na tool call, request to request: {without:.0f} ms without hooks, "
            f"{portable:.0f} ms with `agent-trace hook`, {absolute:.0f} ms with the copied program\n"
        )


def _between_requests(workspace: Workspace) -> float:
    lines = workspace.requests.read_text(encoding="utf-8").splitlines()
    at: list[float] = [line["at"] for line in map(json.loads, lines) if line["script"] == "ten_bash"]
    return statistics.median(after - before for before, after in itertools.pairwise(at)) * 1000
