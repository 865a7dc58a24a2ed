"""The recipes of README's "Collect", each with the real client: what it sends becomes a session with the right numbers.

    pytest -m e2e tests/e2e/test_collect_recipes.py

Claude Code, Codex, Copilot CLI and Gemini CLI come from npm with a scripted model, on a network of 127.0.0.1 alone if
this user may have one; so do the stock SDK for Node and the Vercel AI SDK. Claude Code is in AGENT_TRACE_E2E_CACHE,
the others too, or where AGENT_TRACE_E2E_AGENTS says.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

import back_ends
import collected
import packages
import pytest
from claude_code import story
from claude_code.scenarios import SCENARIOS
from claude_code.workspace import Workspace as ClaudeWorkspace
from other_agents.clients import CLIENTS, Client
from other_agents.workspace import Workspace
from programs import wait_for
from servers import free_port

from agent_trace_otel.store.spans_file import read_spans

pytestmark = pytest.mark.e2e

_CLIENTS = Path(__file__).parent / "collect_clients"
_OTEL_NODE = ("@opentelemetry/exporter-trace-otlp-proto@0.301.1", "@opentelemetry/api@1.10.0")
_AI_OTEL = "@ai-sdk/otel@1.0.173"
_SDK_NODE = "@opentelemetry/sdk-node@0.301.0"
_REPLAYED = re.compile(r"^\+ *[\dm.]+s +\S+ (\w+)", re.MULTILINE)

_CODEX = """
[otel]
log_user_prompt = true
exporter = {{ otlp-http = {{ endpoint = "{url}/v1/logs", protocol = "binary" }} }}
"""
_CODEX_WITH_SPANS = """trace_exporter = {{ otlp-http = {{ endpoint = "{url}/v1/traces", protocol = "binary" }} }}
metrics_exporter = {{ otlp-http = {{ endpoint = "{url}/v1/metrics", protocol = "binary" }} }}
"""


def _claude(url: str, *, spans: bool) -> dict[str, str]:
    told = {
        "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_LOG_USER_PROMPTS": "1",
        "OTEL_LOG_ASSISTANT_RESPONSES": "1",
        "OTEL_LOG_TOOL_DETAILS": "1",
        "OTEL_LOG_TOOL_CONTENT": "1",
    }
    return told | ({"CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1", "OTEL_TRACES_EXPORTER": "otlp"} if spans else {})


def _beside(trace_dir: Path, port: int) -> Callable[[Sequence[str]], AbstractContextManager[str]]:
    return lambda prefix: collected.collector(trace_dir, port, prefix=prefix)


def _shown(trace_dir: Path, session: str) -> Counter[str]:
    """Return the event types that replay shows."""
    return Counter(_REPLAYED.findall(collected.agent_trace(trace_dir, "replay", session, "--no-color")))


# -- coding agents -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spans", [True, False], ids=["spans", "logs"])
def test_claude_code(tmp_path: Path, spans: bool) -> None:
    port, trace_dir = free_port(), tmp_path / "traces"
    workspace = ClaudeWorkspace(tmp_path / "claude")
    told = _claude(f"http://127.0.0.1:{port}", spans=spans)
    (ran,) = workspace.play(SCENARIOS["basic"], told, beside=_beside(trace_dir, port))
    assert collected.sessions(trace_dir) == [ran.session_id]
    shown = _shown(trace_dir, ran.session_id)
    numbers = collected.stats(trace_dir, ran.session_id)
    calls, tokens = _of_reviewed_tree()
    assert (numbers["tool_calls"], numbers["llm_requests"], numbers["total_tokens"]) == (
        calls,
        len(tokens),
        sum(tokens),
    )
    assert (shown["tool_call"], shown["llm_response"]) == (calls, len(tokens))
    # events tell the prompt; of spans, that of a tool is not the one that tells how it went
    assert (shown["user_prompt"], numbers["errors"]) == ((0, 0) if spans else (1, 2))


def _of_reviewed_tree() -> tuple[int, list[int]]:
    """Return how many tools ran, and the tokens of each model call, as hooks tell the same scenario.

    Two calls were of tools that there are none of: no span, and no event, tells of them.
    """
    tree = (Path(__file__).parent / "claude_code" / "trees" / "basic.txt").read_text(encoding="utf-8")
    calls = [line for line in tree.splitlines() if "execute_tool" in line and "unknown_tool" not in line]
    return len(calls), [int(given) + int(taken) for given, taken in re.findall(r"chat .* (\d+)>(\d+)", tree)]


def test_claude_code_with_hooks_is_one_session_and_tells_each_call_once(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    installed = story.install_checkout(tmp_path_factory.mktemp("clone"), "agent-trace-otel-collect")
    port = free_port()
    workspace = ClaudeWorkspace(tmp_path / "claude")
    trace_dir = workspace.project / ".agent-traces"
    installed.must(workspace, "setup", "claude-code", "--write")
    told = {**installed.environment(workspace), **_claude(f"http://127.0.0.1:{port}", spans=True)}
    # the collector writes to another directory, and finds by itself where the hooks write
    elsewhere = tmp_path / "elsewhere"
    state = {"HOME": str(workspace.home), "XDG_STATE_HOME": "", "XDG_RUNTIME_DIR": ""}
    (ran,) = workspace.play(
        SCENARIOS["basic"],
        told,
        beside=lambda prefix: collected.collector(elsewhere, port, prefix=prefix, variables=state),
    )
    story.wait_until_settled(trace_dir, starts=1)
    story.leave(installed, workspace)
    assert collected.sessions(elsewhere) == []
    assert collected.sessions(trace_dir) == [ran.session_id]
    scopes = Counter(
        scope["scope"]["name"]
        for line in (trace_dir / ran.session_id / "spans.jsonl").read_text().splitlines()
        for resource in json.loads(line)["resourceSpans"]
        for scope in resource["scopeSpans"]
    )
    assert scopes["com.anthropic.claude_code.tracing"] > 5
    assert scopes["agent_trace_otel"] > 5
    events = [json.loads(line) for line in (trace_dir / ran.session_id / "events.ndjson").read_text().splitlines()]
    calls = Counter(event["event_type"] for event in events)
    ran_tools, tokens = _of_reviewed_tree()
    hooked = ran_tools + 2  # hooks tell of tools that there are none of as well
    assert (calls["session_start"], calls["tool_call"], calls["llm_request"]) == (1, hooked, len(tokens))
    numbers = collected.stats(trace_dir, ran.session_id)
    assert (numbers["tool_calls"], numbers["total_tokens"]) == (hooked, sum(tokens))


def _run(
    agent: str, tmp_path: Path, configure: Callable[[Path, str], Mapping[str, str]], scenario: str = "works"
) -> Path:
    """Run a scenario of an agent beside a collector and return the trace directory."""
    named = os.environ.get("AGENT_TRACE_E2E_AGENTS")
    client = CLIENTS[agent]
    port, trace_dir = free_port(), tmp_path / "traces"
    url = f"http://127.0.0.1:{port}"

    def with_telemetry(home: Path, model: int) -> Mapping[str, str]:
        return {**client.configure(home, model), **configure(home, url)}

    with pytest.MonkeyPatch.context() as cache:
        if named:
            cache.setenv("AGENT_TRACE_E2E_CACHE", named)
        telling: Client = replace(client, configure=with_telemetry)
        workspace = Workspace(tmp_path / "workspace", telling)
        environment = {"HOME": str(workspace.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        prompt = f"Please do the test. SCENARIO:{agent}_{scenario}"
        ran = workspace.run(prompt, environment, beside=_beside(trace_dir, port))
    assert ran.returncode == 0, ran.stderr
    return trace_dir


def _assert_works(trace_dir: Path, tool: str) -> None:
    """Assert that the session has the scenario's two model calls of 100 and 20 tokens and its tool call."""
    (session,) = collected.sessions(trace_dir)
    shown = _shown(trace_dir, session)
    assert (shown["llm_request"], shown["llm_response"], shown["tool_call"], shown["tool_result"]) == (2, 2, 1, 1)
    numbers = collected.stats(trace_dir, session)
    assert (numbers["total_tokens"], numbers["errors"]) == (240, 0)
    replayed = collected.agent_trace(trace_dir, "replay", session, "--full", "--no-color")
    assert tool in replayed
    assert "echo hi && cat hello.txt" in replayed


def _codex(home: Path, url: str, *, spans: bool = False) -> Mapping[str, str]:
    with (home / ".codex" / "config.toml").open("a", encoding="utf-8") as config:
        config.write((_CODEX + (_CODEX_WITH_SPANS if spans else "")).format(url=url))
    return {}


def _gemini(home: Path, url: str, *, spans: bool = False) -> Mapping[str, str]:
    path = home / ".gemini" / "settings.json"
    telemetry = {"enabled": True, "target": "local", "otlpEndpoint": url, "otlpProtocol": "http", "logPrompts": True}
    settings = {**json.loads(path.read_text(encoding="utf-8")), "telemetry": {**telemetry, "traces": spans}}
    path.write_text(json.dumps(settings), encoding="utf-8")
    return {"GEMINI_TELEMETRY_TRACES_ENABLED": "true"} if spans else {}


@pytest.mark.parametrize("spans", [False, True], ids=["logs", "logs and spans"])
def test_codex(tmp_path: Path, spans: bool) -> None:
    trace_dir = _run("codex", tmp_path, partial(_codex, spans=spans))
    _assert_works(trace_dir, "exec_command")
    assert _shown(trace_dir, "")["user_prompt"] == 1


@pytest.mark.parametrize("spans", [False, True], ids=["logs", "logs and spans"])
def test_gemini_cli(tmp_path: Path, spans: bool) -> None:
    trace_dir = _run("gemini", tmp_path, partial(_gemini, spans=spans))
    _assert_works(trace_dir, "run_shell_command")
    assert _shown(trace_dir, "")["user_prompt"] == 1


@pytest.mark.parametrize(("agent", "configure", "errors"), [("codex", _codex, 1), ("gemini", _gemini, 2)])
def test_what_fails_is_told_as_hooks_tell_it(
    tmp_path: Path, agent: str, configure: Callable[[Path, str], Mapping[str, str]], errors: int
) -> None:
    trace_dir = _run(agent, tmp_path, configure, "fails")
    tree = (Path(__file__).parent / "other_agents" / "trees" / agent / "fails.txt").read_text(encoding="utf-8")
    numbers = collected.stats(trace_dir)
    assert numbers["errors"] == errors == len(re.findall(r"^ *execute_tool .* ERROR ", tree, re.MULTILINE))


def test_copilot_cli(tmp_path: Path) -> None:
    def configure(_: Path, url: str) -> Mapping[str, str]:
        told = {"COPILOT_OTEL_ENABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": url}
        return {**told, "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true"}

    _assert_works(_run("copilot", tmp_path, configure), "bash")


# -- agents of one's own -------------------------------------------------------------------------------------------


def _agent(tmp_path: Path, command: Sequence[str]) -> Path:
    port, trace_dir = free_port(), tmp_path / "traces"
    with collected.collector(trace_dir, port) as url:
        environment = packages.plain_environment(OTEL_EXPORTER_OTLP_ENDPOINT=url, no_proxy="127.0.0.1")
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
    return trace_dir


def _node(tmp_path: Path, script: str, modules: Path) -> list[str]:
    """Return the command of a script beside its packages: imports are looked for from where a script lies."""
    shutil.copy(_CLIENTS / script, tmp_path / script)
    (tmp_path / "node_modules").symlink_to(modules)
    return [shutil.which("node") or "node", str(tmp_path / script)]


def test_a_node_agent_with_the_stock_sdk(tmp_path: Path) -> None:
    modules = packages.node_modules(_SDK_NODE, beside=_OTEL_NODE)
    trace_dir = _agent(tmp_path, _node(tmp_path, "node_agent.mjs", modules))
    assert collected.sessions(trace_dir) == ["node-talk"]
    assert _shown(trace_dir, "node-talk") == Counter(
        session_start=1, llm_request=1, llm_response=1, tool_call=1, error=1
    )
    assert collected.stats(trace_dir)["total_tokens"] == 120
    assert len((trace_dir / "node-talk" / "spans.jsonl").read_text().splitlines()) == 4


def test_the_vercel_ai_sdk(tmp_path: Path) -> None:
    modules = packages.node_modules("ai@7.0.173", beside=(_AI_OTEL, "zod@4.6.7", _SDK_NODE, *_OTEL_NODE))
    trace_dir = _agent(tmp_path, _node(tmp_path, "vercel_agent.mjs", modules))
    (session,) = collected.sessions(trace_dir)
    shown = _shown(trace_dir, session)
    assert (shown["llm_request"], shown["llm_response"], shown["tool_call"], shown["tool_result"]) == (2, 2, 1, 1)
    assert collected.stats(trace_dir)["total_tokens"] == 240


def test_a_collector_in_between_changes_nothing(tmp_path: Path) -> None:
    trace_dir, (first, second) = tmp_path / "traces", (tmp_path / "first", tmp_path / "second")
    agent = str(_CLIENTS / "stock_agent.py")
    for folder in (first, second):
        folder.mkdir()
    with collected.collector(trace_dir, free_port()) as url, back_ends.rotel(first, url) as between:
        environment = packages.plain_environment(OTEL_EXPORTER_OTLP_ENDPOINT=between, no_proxy="127.0.0.1")
        subprocess.run([sys.executable, agent], env=environment, check=True, timeout=120)
        spans = trace_dir / "stock-talk" / "spans.jsonl"
        wait_for(lambda: spans.exists() and len(spans.read_text().splitlines()) == 3, "rotel passes three spans on")
    direct = _agent(second, [sys.executable, agent])
    assert _shape(trace_dir) == _shape(direct)


def _shape(trace_dir: Path) -> list[tuple[str, ...]]:
    """Return what spans are but for ids, times and the session, which spans that came before its name do not say."""
    spans = [
        (
            span.name,
            span.kind.name,
            str(span.instrumentation_scope),
            str(sorted((span.attributes or {}).items() - {("session.id", "stock-talk")})),
        )
        for span in read_spans(trace_dir / "stock-talk" / "spans.jsonl")
    ]
    return sorted(spans)


def test_a_python_process_with_the_stock_sdk(tmp_path: Path) -> None:
    trace_dir = _agent(tmp_path, [sys.executable, str(_CLIENTS / "stock_agent.py")])
    assert collected.sessions(trace_dir) == ["stock-talk"]
    assert _shown(trace_dir, "stock-talk") == Counter(
        session_start=1, llm_request=1, llm_response=1, tool_call=1, tool_result=1
    )
    assert collected.stats(trace_dir)["total_tokens"] == 120
