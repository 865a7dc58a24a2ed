"""What the scripted model says: SCRIPTS[agent][scenario] is a conversation, one `Answer` a request.

Read by ``model_api`` and ``test_other_agents``. A prompt with ``SCENARIO:<agent>_<scenario>`` picks the script; so do
prompts that a script itself gives to a sub-agent. "@PROJECT@" in a call's input stands for the project's folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

STARTED = "call-started"  # a file that a slow command makes: the client is now inside the call
SLOW = f"touch {STARTED}; sleep 30"


class Call(NamedTuple):
    """A tool call; the input is a text where the tool takes no JSON. ``namespace`` is Codex's, for MCP servers."""

    tool: str
    given: Mapping[str, Any] | str
    namespace: str = ""


class Answer(NamedTuple):
    """What one request gets."""

    text: str = ""
    calls: tuple[Call, ...] = ()


def _calls(*calls: Call, text: str = "") -> Answer:
    return Answer(text, calls)


_PATCH = "*** Begin Patch\n*** Update File: hello.txt\n@@\n-hello world\n+hello there\n*** End Patch\n"


def _exec(command: str, **more: Any) -> Call:
    return Call("exec_command", {"cmd": command, **more})


_CODEX = {
    "works": (_calls(_exec("echo hi && cat hello.txt"), text="Let me look."), Answer("It says hello world.")),
    "fails": (_calls(_exec("echo oops >&2; exit 3")), Answer("It failed.")),
    "edit": (_calls(Call("apply_patch", _PATCH)), Answer("Edited.")),
    "parallel": (_calls(_exec("sleep 0.3; echo a"), _exec("echo b")), Answer("Both ran.")),
    "denied": (
        _calls(_exec("touch /etc/denied", sandbox_permissions="require_escalated", justification="may I?")),
        Answer("Not allowed."),
    ),
    "mcp": (
        _calls(Call("add", {"a": 1, "b": 2}, "mcp__demo")),
        _calls(Call("boom", {}, "mcp__demo")),
        Answer("Asked both."),
    ),
    "subagent": (
        _calls(Call("spawn_agent", {"message": "SCENARIO:codex_errand"}, "multi_agent_v1")),
        _calls(_exec("sleep 2")),
        Answer("Sent somebody."),
    ),
    "errand": (_calls(_exec("echo from the errand")), Answer("Errand done.")),
    "interrupt": (_calls(_exec(SLOW)), Answer("Never said.")),
}


def _bash(command: str) -> Call:
    return Call("bash", {"command": command, "description": "Run it"})


def _file(tool: str, name: str, **more: Any) -> Call:
    return Call(tool, {"path": f"@PROJECT@/{name}", **more})


_COPILOT = {
    "works": (_calls(_bash("echo hi && cat hello.txt"), text="Let me look."), Answer("It says hello world.")),
    "fails": (_calls(_bash("echo oops >&2; exit 3")), _calls(_file("view", "nothing.txt")), Answer("Both failed.")),
    "edit": (
        _calls(_file("view", "hello.txt")),
        _calls(_file("edit", "hello.txt", old_str="hello world", new_str="hello there")),
        _calls(_file("create", "new.txt", file_text="one\n")),
        Answer("Edited."),
    ),
    "parallel": (_calls(_bash("sleep 0.3; echo a"), _bash("echo b")), Answer("Both ran.")),
    "denied": (_calls(_bash("git push")), Answer("Not allowed.")),
    "subagent": (
        _calls(
            Call(
                "task", {"agent_type": "explore", "description": "Go", "name": "e", "prompt": "SCENARIO:copilot_errand"}
            )
        ),
        Answer("It came back."),
    ),
    "errand": (_calls(_file("view", "hello.txt")), Answer("Errand done.")),
    "interrupt": (_calls(_bash(SLOW)), Answer("Never said.")),
}

_GEMINI = {
    "works": (
        _calls(Call("run_shell_command", {"command": "echo hi && cat hello.txt"}), text="Let me look."),
        Answer("It says hello world."),
    ),
    "fails": (
        _calls(Call("run_shell_command", {"command": "echo oops >&2; exit 3"})),
        _calls(Call("read_file", {"file_path": "nothing.txt"})),
        Answer("Both failed."),
    ),
    "edit": (
        _calls(Call("read_file", {"file_path": "hello.txt"})),
        _calls(
            Call(
                "replace",
                {"file_path": "hello.txt", "instruction": "greet", "old_string": "world", "new_string": "there"},
            )
        ),
        Answer("Edited."),
    ),
    "parallel": (
        _calls(
            Call("read_file", {"file_path": "hello.txt"}),
            Call("read_file", {"file_path": "hello.txt"}),
            Call("run_shell_command", {"command": "echo b"}),
        ),
        Answer("All ran."),
    ),
}

SCRIPTS: Mapping[str, Mapping[str, tuple[Answer, ...]]] = {"codex": _CODEX, "copilot": _COPILOT, "gemini": _GEMINI}
ERRANDS = frozenset({"errand"})
"""Scripts of sub-agents: no scenarios of their own."""
