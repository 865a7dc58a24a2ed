"""claude-agent-sdk, of whatever version is installed, driving the real Claude Code client against a scripted model."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from patching import check
from told import spans_of, tree

import agent_trace_otel as at
from agent_trace_otel import guard
from agent_trace_otel.testing import Recorded

pytest.importorskip("claude_agent_sdk")

from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient, create_sdk_mcp_server, query, tool
from claude_code import client, story
from claude_code.workspace import Workspace
from lonely_model import serving

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
MODEL = "claude-opus-5-5"
# what the scripted model says it has read and written in its first and second answer
TOKENS = [(1812, 40), (1923, 41)]


_PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
"""With our command: a project's settings name it without its place."""


class Place:
    """The client's home and project, and how the SDK reaches it.

    Args:
        root: a folder of its own.
        port: of the scripted model.
        prefix: what puts a command beside that.
    """

    def __init__(self, workspace: Workspace, port: int, prefix: list[str]) -> None:
        self.workspace = workspace
        self._environment = workspace._environment(port)
        self._program = workspace.root / "claude"
        command = shlex.join([*prefix, str(client.executable())])
        self._program.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
        self._program.chmod(0o755)

    def options(self, *, more: Mapping[str, str] | None = None, **given: Any) -> ClaudeAgentOptions:
        """Return options for the client; nothing asks for permission unless it is said."""
        return ClaudeAgentOptions(
            cli_path=str(self._program),
            cwd=str(self.workspace.project),
            env={**self._environment, "PATH": _PATH, **(more or {})},
            setting_sources=["user", "project", "local"],
            **{"permission_mode": "bypassPermissions", **given},
        )

    def ask(self, scenario: str, **given: Any) -> list[Any]:
        """Ask one question and return all messages."""

        async def main() -> list[Any]:
            asked = query(prompt=f"please SCENARIO:{scenario}", options=self.options(**given))
            return [message async for message in asked]

        return asyncio.run(main())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    workspace = Workspace(tmp_path / "place")
    arguments = ["--project", str(workspace.project), "--log", str(workspace.requests)]
    with serving("claude_code.api_server", arguments, workspace._plain()) as (prefix, port):
        yield Place(workspace, port, prefix)


@pytest.fixture
def traced(recorded: Recorded) -> Iterator[Recorded]:
    guard.failures.clear()
    at.instrument("claude_agent_sdk", "mcp")
    yield recorded
    at.uninstrument()
    assert guard.failures == {}


@at.trace_tool
def look_up(query: int) -> int:
    return query


def told_tokens(recorded: Recorded) -> list[tuple[int, int]]:
    calls = [span.attributes for span in spans_of(recorded, "chat")]
    return [(told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) for told in calls]


def test_a_query_is_an_agent_of_the_programs_session(traced: Recorded, place: Place) -> None:
    with at.session("test") as session:
        messages = place.ask("one_bash")
    assert traced.sessions() == [session.id]
    assert tree(traced) == [
        "invoke_agent test",
        "  invoke_agent claude-code",
        "    invoke_agent claude-code",
        f"      chat {MODEL}",
        "      execute_tool Bash",
        f"      chat {MODEL}",
    ]
    assert told_tokens(traced) == TOKENS
    (bash,) = spans_of(traced, "execute_tool")
    assert json.loads(bash.attributes["gen_ai.tool.call.arguments"])["command"] == "echo hi"
    assert "hi" in bash.attributes["gen_ai.tool.call.result"]
    assert bash.attributes["process.exit.code"] == 0
    _, run, turn = spans_of(traced, "invoke_agent")
    assert run.attributes["agent_trace.session.cost_usd"] == pytest.approx(messages[-1].total_cost_usd)
    assert turn.attributes["agent_trace.scope"] == "turn"
    assert run.attributes["gen_ai.conversation.id"] == messages[-1].session_id
    assert run.attributes["session.id"] == session.id
    prompts = [event.data.get("prompt") or event.data.get("text") for event in traced.events()]
    assert [text for text in prompts if text] == ["please SCENARIO:one_bash", "Said hi."]
    assert traced.meta().total_tokens == sum(map(sum, TOKENS))


def test_without_a_session_it_is_the_clients_own(traced: Recorded, place: Place) -> None:
    at.configure()
    messages = place.ask("one_bash")
    assert traced.sessions() == [messages[-1].session_id]
    assert tree(traced)[:2] == ["invoke_agent claude-code", "  invoke_agent claude-code"]
    assert [event.event_type for event in traced.events()][:2] == ["session_start", "user_prompt"]
    assert traced.events()[-1].event_type == "session_end"
    assert told_tokens(traced) == TOKENS


def test_ids_are_those_that_hooks_would_give(traced: Recorded, place: Place) -> None:
    from agent_trace_otel.identity import derived_span_id

    with at.session("test"):
        messages = place.ask("one_bash")
    session_id = messages[-1].session_id
    (bash,) = spans_of(traced, "execute_tool")
    assert bash.context.span_id == derived_span_id(session_id, "tool", bash.attributes["gen_ai.tool.call.id"])
    for call in spans_of(traced, "chat"):
        assert call.context.span_id == derived_span_id(session_id, "chat", call.attributes["gen_ai.response.id"])


def test_a_client_is_one_run_with_a_turn_for_each_question(traced: Recorded, place: Place) -> None:
    async def main() -> None:
        async with ClaudeSDKClient(place.options(include_partial_messages=True)) as asked:
            for number in range(2):
                await asked.query(f"question {number} SCENARIO:one_bash")
                async for _ in asked.receive_response():
                    pass

    with at.session("test"):
        asyncio.run(main())
    turn = ["    invoke_agent claude-code", f"      chat {MODEL}", "      execute_tool Bash", f"      chat {MODEL}"]
    assert tree(traced) == ["invoke_agent test", "  invoke_agent claude-code", *turn, *turn]
    assert told_tokens(traced) == TOKENS * 2


def test_sub_agents_hang_under_the_call_that_started_them(traced: Recorded, place: Place) -> None:
    with at.session("test"):
        place.ask("subagent_fg")
    told = [line.strip() for line in tree(traced)]
    assert [line for line in told if "chat" not in line] == [
        "invoke_agent test",
        *["invoke_agent claude-code"] * 2,
        "execute_tool Agent",
        "invoke_agent general-purpose",
        "execute_tool Bash",
        "execute_tool Read",
    ]
    assert len(spans_of(traced, "chat")) == 5  # the last of the sub-agent's own stands in no message
    (agent,) = [line for line in tree(traced) if line.endswith("general-purpose")]
    assert agent.startswith("        ")


def test_sub_agents_of_sub_agents_are_told(traced: Recorded, place: Place) -> None:
    with at.session("test"):
        place.ask("nested_fg")
    told = [line for line in tree(traced) if "chat" not in line]
    assert [line.strip() for line in told][3:] == [
        "execute_tool Agent",
        "invoke_agent general-purpose",
        "execute_tool Agent",
        "invoke_agent general-purpose",
        "execute_tool Bash",
        "execute_tool Read",
    ]
    assert told[-1].startswith(" " * 14)
    assert len(spans_of(traced, "chat")) == 7


def test_tools_of_the_program_run_in_their_call(traced: Recorded, place: Place) -> None:
    @tool("add", "Add two numbers", {"a": int, "b": int})
    async def add(given: dict[str, Any]) -> dict[str, Any]:
        look_up(given["a"])
        return {"content": [{"type": "text", "text": str(given["a"] + given["b"])}]}

    @tool("boom", "Fail", {"why": str})
    async def boom(given: dict[str, Any]) -> dict[str, Any]:
        raise ValueError(given["why"])

    async def main() -> None:
        servers = {"demo": create_sdk_mcp_server("demo", tools=[add, boom])}
        async with ClaudeSDKClient(place.options(mcp_servers=servers)) as asked:
            await asked.query("please SCENARIO:mcp")
            async for _ in asked.receive_response():
                pass

    with at.session("test"):
        asyncio.run(main())
    told = [line for line in tree(traced) if "chat" not in line and "tools/call" not in line]
    assert told[3] == "      execute_tool mcp__demo__add"
    assert told[4].strip() == "execute_tool look_up"
    assert told[5].startswith("      execute_tool mcp__demo__boom")  # old versions say nothing of the failure
    assert told[6] == "      execute_tool mcp__demo__ask (unknown_tool)"
    assert traced.meta().tool_calls == 4  # the requests of MCP are the calls themselves


def test_what_is_not_allowed_is_denied(traced: Recorded, place: Place) -> None:
    with at.session("test"):
        place.ask("denied", permission_mode="default")
    assert [line.strip() for line in tree(traced) if "execute_tool" in line] == [
        "execute_tool Bash (denied)",
        "execute_tool Write (denied)",
    ]


def test_an_interrupt_is_told(traced: Recorded, place: Place) -> None:
    async def main() -> None:
        async with ClaudeSDKClient(place.options()) as asked:
            await asked.query("please SCENARIO:slow_bash")
            async for message in asked.receive_response():
                if type(message).__name__ == "AssistantMessage":
                    await asyncio.sleep(0.5)
                    await asked.interrupt()

    with at.session("test"):
        asyncio.run(main())
    assert [line.strip() for line in tree(traced)][2:] == [
        "invoke_agent claude-code (interrupted)",
        f"chat {MODEL}",
        "execute_tool Bash (interrupted)",
    ]


def test_a_query_that_is_left_ends_all_that_it_began(traced: Recorded, place: Place) -> None:
    async def main() -> None:
        asked = query(prompt="please SCENARIO:slow_bash", options=place.options())
        async for message in asked:
            if type(message).__name__ == "AssistantMessage":
                break
        await asked.aclose()  # type: ignore[attr-defined]

    with at.session("test"):
        asyncio.run(main())
    told = [line.strip() for line in tree(traced)]
    assert "execute_tool Bash (interrupted)" in told
    assert "invoke_agent claude-code (interrupted)" in told


def test_a_failing_model_is_an_error_of_the_turn(traced: Recorded, place: Place) -> None:
    with at.session("test"), contextlib.suppress(Exception):  # some versions raise what the client says
        place.ask("api_error")
    assert [line.strip() for line in tree(traced)][2:] == ["invoke_agent claude-code (error)", f"chat {MODEL} (error)"]


def test_a_client_that_is_not_there_is_an_error(traced: Recorded, place: Place) -> None:
    (place.workspace.root / "claude").write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    with at.session("test"), pytest.raises(Exception, match=r"(?i)exit code|process|initialize|closed"):
        place.ask("one_bash")
    assert any("claude-code" in line for line in tree(traced))


def test_no_transcript_still_tells_the_calls(traced: Recorded, place: Place) -> None:
    kept_nothing = {"extra_args": {"no-session-persistence": None}}
    with at.session("test"):
        messages = place.ask("one_bash", include_partial_messages=True, **kept_nothing)
    assert [line.strip() for line in tree(traced)][3:] == [
        f"chat {MODEL}",
        "execute_tool Bash",
        f"chat {MODEL}",
    ]
    assert told_tokens(traced) == TOKENS
    _, run, _ = spans_of(traced, "invoke_agent")
    assert run.attributes["agent_trace.session.cost_usd"] == pytest.approx(messages[-1].total_cost_usd)


def test_a_session_that_goes_on_is_another_run(traced: Recorded, place: Place) -> None:
    with at.session("test"):
        first = place.ask("one_bash")
        place.ask("short", resume=first[-1].session_id)
    told = [line.strip() for line in tree(traced)]
    assert told.count("invoke_agent claude-code") == 4
    assert len(spans_of(traced, "chat")) == 3
    assert len({span.context.span_id for span in traced.spans()}) == len(traced.spans())


def test_hooks_leave_a_client_to_the_program_that_tells_of_it(traced: Recorded, place: Place) -> None:
    installed = story.Installed(Path(sys.executable).parent)
    installed.must(place.workspace, "setup", "claude-code", "--write")
    try:
        with at.session("test") as session:
            place.ask("one_bash", more={"AGENT_TRACE_RECORDER_IDLE": "60"})
        assert installed.recorder(place.workspace)["status"], "no hook has run"
    finally:
        story.leave(installed, place.workspace)
    assert traced.sessions() == [session.id]  # the hooks would have written beside it
    assert len(spans_of(traced, "execute_tool")) == 1
    assert told_tokens(traced) == TOKENS


def test_hooks_go_on_telling_of_clients_that_nobody_else_tells_of(place: Place, recorded: Recorded) -> None:
    installed = story.Installed(Path(sys.executable).parent)
    installed.must(place.workspace, "setup", "claude-code", "--write")
    try:
        place.ask("one_bash", more={"AGENT_TRACE_RECORDER_IDLE": "60", "AGENT_TRACE_TOLD_BY": "1"})
        story.wait_until_settled(recorded.trace_dir, starts=1)
    finally:
        story.leave(installed, place.workspace)
    assert len(recorded.sessions()) == 1
    assert told_tokens(recorded) == TOKENS


def test_users_see_the_same_with_and_without(recorded: Recorded, place: Place) -> None:
    options = place.options()
    given = dict(options.env)

    def kinds() -> list[str]:
        async def main() -> list[str]:
            return [type(m).__name__ async for m in query(prompt="please SCENARIO:one_bash", options=options)]

        return asyncio.run(main())

    plain = kinds()
    at.instrument("claude_agent_sdk")
    try:
        with at.session("test"):
            assert kinds() == plain
    finally:
        at.uninstrument()
    assert options.env == given
    before = len(recorded.spans())
    assert kinds() == plain
    assert len(recorded.spans()) == before


def test_content_is_left_out_where_nobody_wants_it(
    traced: Recorded, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_TRACE_CAPTURE_CONTENT", "false")
    with at.session("test"):
        place.ask("one_bash")
    assert "Said hi" not in traced.text()
    assert "echo hi" not in traced.text()
    assert "SCENARIO" not in traced.text()


def test_all_that_is_named_is_patched_and_put_back() -> None:
    check("claude_agent_sdk")
