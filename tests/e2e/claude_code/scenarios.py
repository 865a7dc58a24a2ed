"""The stories that the real client is led through: prompts, arguments, second hooks and signals, as data.

Read by ``record`` and by ``test_claude_code``; each run of a scenario is one process of the client, one after the other
in the same project.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Continuation = Literal["", "resume", "continue", "fork"]
TRACEPARENT = "00-0123456789abcdef0123456789abcdef-00f067aa0ba902b7-01"


@dataclass(frozen=True, slots=True)
class Run:
    """One process of the client.

    Several prompts go to its stdin at once (stream-json), one on its command line; none at all with ``--init-only``.
    ``continues`` says how it takes up the session of the run before. ``stop`` is sent when a slow call is under way.
    """

    prompts: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    permission_mode: str = "bypassPermissions"
    continues: Continuation = ""
    stop: signal.Signals | None = None

    def command(self, session_id: str) -> list[str]:
        """Return the client's arguments; ``session_id`` is the one to take up."""
        asked = {"resume": ["--resume", session_id], "continue": ["--continue"], "": []}
        asked["fork"] = [*asked["resume"], "--fork-session"]
        streamed = ["--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
        one = ["--output-format", "json"]
        prompt = ["-p", *self.prompts] if len(self.prompts) == 1 else ["-p"] if self.prompts else []
        form = (streamed if len(self.prompts) > 1 else one) if self.prompts else []
        mode = ["--permission-mode", self.permission_mode] if self.prompts else []
        return [*prompt, *form, *mode, *asked[self.continues], *self.arguments]

    def stdin(self) -> str:
        """Return what goes to the client's stdin: one message a line, or nothing."""
        if len(self.prompts) < 2:
            return ""
        messages = [{"role": "user", "content": [{"type": "text", "text": prompt}]} for prompt in self.prompts]
        return "".join(json.dumps({"type": "user", "message": message}) + "\n" for message in messages)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One story: its runs, variables of the client's environment, and what settings.local.json holds."""

    runs: tuple[Run, ...]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    local_settings: Mapping[str, Any] = field(default_factory=dict[str, Any])


def asking_for(script: str) -> str:
    """Return the prompt that makes the scripted model follow a script."""
    return f"Please do the test. SCENARIO:{script}"


def _run(script: str, *arguments: str, **more: Any) -> Run:
    return Run((asking_for(script),), arguments, **more)


def _once(script: str, *arguments: str, **more: Any) -> Scenario:
    return Scenario((_run(script, *arguments, **more),))


def _streamed(*prompts: str) -> Scenario:
    return Scenario((Run(prompts),))


_HERE = Path(__file__).parent
_MCP = {"mcpServers": {"demo": {"command": sys.executable, "args": [str(_HERE / "mcp_server.py")]}}}


def _hook(event: str, command: str, **more: str) -> dict[str, Any]:
    return {"hooks": {event: [{**more, "hooks": [{"type": "command", "command": command}]}]}}


# a hook that refuses at once has the client cancel the others of the same event, perhaps before they tell anything
_REFUSES_BASH = _hook("PreToolUse", "sleep 0.5; echo 'a rule of the house' >&2; exit 2", matcher="Bash")
_REFUSES_PROMPTS = _hook("UserPromptSubmit", "sleep 0.5; echo 'no such prompts' >&2; exit 2")
_REFUSES_ONE_STOP = _hook("Stop", "[ -e told ] && exit 0; touch told; sleep 2.5; echo 'go on' >&2; exit 2")
_COUNTS_STOPS = _hook("Stop", "touch stop-$(($(ls | grep -c '^stop-') + 1))")

SCENARIOS: Mapping[str, Scenario] = {
    "basic": _once("basic"),
    "parallel_reads": _once("parallel_reads"),
    "subagent": Scenario((_run("subagent"),), local_settings=_COUNTS_STOPS),
    "subagent_fg": _once("subagent_fg"),
    "nested_fg": _once("nested_fg"),
    "glob_grep": _once("basic", "--tools", "Bash,Read,Write,Edit,Glob,Grep"),
    "denied": _once("denied", permission_mode="default"),
    "dont_ask": _once("denied", permission_mode="dontAsk"),
    "hook_denied": Scenario((_run("one_bash"),), local_settings=_REFUSES_BASH),
    "prompt_refused": Scenario((_run("short"),), local_settings=_REFUSES_PROMPTS),
    "stop_refused": Scenario((_run("one_bash"),), local_settings=_REFUSES_ONE_STOP),
    "bad_tool": _once("bad_tool"),
    "todo": _once("todo"),
    "cd": _once("cd"),
    "worktree": _once("worktree"),
    "background_bash": Scenario((_run("background_bash"),), local_settings=_COUNTS_STOPS),
    "timeout_bash": _once("timeout_bash"),
    "ten_bash": _once("ten_bash"),
    "mcp": _once("mcp", "--mcp-config", json.dumps(_MCP)),
    "slash_command": Scenario((Run(("/demo now",)),)),
    "skill": _once("skill"),
    "ask_user": _once("ask_user"),
    "webfetch": _once("webfetch"),
    "init": Scenario((_run("short", "--init"), Run((), ("--init-only",)))),
    "clear": _streamed(asking_for("short"), "/clear", asking_for("one_bash")),
    "compact": Scenario(
        (
            _run("one_bash"),
            Run(("/compact keep it short",), continues="resume"),
            _run("one_bash", continues="resume"),
        )
    ),
    "two_prompts": _streamed(asking_for("one_bash"), asking_for("short")),
    "resume": Scenario((_run("one_bash"), _run("short", continues="resume"))),
    "continue": Scenario((_run("short"), _run("one_bash", continues="continue"))),
    "fork": Scenario((_run("one_bash"), _run("one_bash", continues="fork"))),
    "interrupt": _once("slow_bash", stop=signal.SIGINT),
    "kill9": _once("slow_bash", stop=signal.SIGKILL),
    "kill9_continue": Scenario((_run("slow_bash", stop=signal.SIGKILL), _run("short", continues="continue"))),
    "max_turns": _once("basic", "--max-turns", "2"),
    "max_tokens": _once("max_tokens"),
    "refusal": _once("refusal"),
    "auth_error": _once("auth_error"),
    "api_error": _once("api_error"),
    "streamed_api_error": _streamed(asking_for("api_error"), asking_for("short")),
    "api_retry": _once("api_retry"),
    "api_overload": Scenario((_run("api_overload"),), {"CLAUDE_CODE_MAX_RETRIES": "2"}),
    "traceparent": Scenario((_run("traceparent"),), {"TRACEPARENT": TRACEPARENT, "TRACESTATE": "vendor=value"}),
}
