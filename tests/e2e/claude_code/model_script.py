"""What the scripted model answers: SCRIPTS[name] is a conversation, one `Answer` a request.

Read by ``api_server``. A prompt that holds ``SCENARIO:<name>`` picks the script; so do the prompts that the scripts
themselves give to sub-agents. "@PROJECT@" in a tool's input stands for the project's folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Block = Mapping[str, Any]
STARTED = "call-started"  # a file that a slow command makes: the client is now inside the call


@dataclass(frozen=True, slots=True)
class ApiError:
    """An answer that is none: HTTP status, the API's error type and text, and whether the client may try again."""

    status: int
    kind: str
    message: str
    retry: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request gets; ``error`` instead of the blocks, or before them as often as ``failures`` says."""

    blocks: tuple[Block, ...] = ()
    stop_reason: str = ""
    error: ApiError | None = None
    failures: int | None = None


OVERLOADED = ApiError(529, "overloaded_error", "Overloaded", retry=True)


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _thinking(text: str) -> Block:
    return {"type": "thinking", "thinking": text, "signature": "ZmFrZS1zaWduYXR1cmU="}


def _tool(name: str, /, **arguments: Any) -> Block:
    return {"type": "tool_use", "name": name, "input": arguments}


def _bash(command: str, description: str, **more: Any) -> Block:
    return _tool("Bash", command=command, description=description, **more)


def _read(name: str) -> Block:
    return _tool("Read", file_path=f"@PROJECT@/{name}")


def _agent(description: str, script: str, **more: Any) -> Block:
    prompt = f"Please look. SCENARIO:{script}"
    return _tool("Agent", description=description, prompt=prompt, subagent_type="general-purpose", **more)


def _after_stop(number: int) -> str:
    """Return a command that waits for the main agent's stop: what goes on in the background ends at a known time."""
    return f"until [ -e stop-{number} ]; do sleep 0.1; done"


def _conversation(*steps: Block | tuple[Block, ...]) -> tuple[Answer, ...]:
    return tuple(Answer(step if isinstance(step, tuple) else (step,)) for step in steps)


_QUESTION = {
    "question": "Which?",
    "header": "Pick",
    "multiSelect": False,
    "options": [{"label": "A", "description": "a"}, {"label": "B", "description": "b"}],
}

SCRIPTS: Mapping[str, tuple[Answer, ...]] = {
    "basic": _conversation(
        (_thinking("I should look around first."), _text("Let me look around."), _bash("echo hello && ls", "List")),
        _bash("echo oops >&2; exit 3", "A failing command"),
        _read("hello.txt"),
        _tool("Write", file_path="@PROJECT@/new.txt", content="one\ntwo\n"),
        _tool("Edit", file_path="@PROJECT@/new.txt", old_string="two", new_string="three"),
        _tool("Glob", pattern="**/*.txt"),
        _tool("Grep", pattern="three", path="@PROJECT@"),
        (_bash("sleep 0.3; echo first", "par 1"), _bash("sleep 0.1; echo second", "par 2")),
        _read("does-not-exist.txt"),
        _text("All done: the file says three."),
    ),
    "parallel_reads": _conversation(
        (_read("hello.txt"), _read("hello.txt"), _read("other.txt")),
        _text("Read them all."),
    ),
    "subagent": _conversation(
        (_text("I'll delegate."), _agent("Look at files", "sub_a_after_stop")),
        (_agent("Sub B", "sub_b_after_stop"), _agent("Sub C", "sub_c_after_stop")),
        _text("The sub-agents are done."),
    ),
    "subagent_fg": _conversation(
        (_text("I'll delegate and wait."), _agent("Look at files", "sub_a", run_in_background=False)),
        _text("The sub-agent is done."),
    ),
    "nested_fg": _conversation(
        _agent("Delegate further", "sub_nested", run_in_background=False),
        _text("The nested sub-agents are done."),
    ),
    "sub_nested": _conversation(
        _agent("Look at files", "sub_a", run_in_background=False),
        _text("sub nested result"),
    ),
    "sub_a": _conversation(
        (_text("Sub A starts"), _bash("echo from-sub-a", "sub a")), _read("hello.txt"), _text("sub A result")
    ),
    "sub_a_after_stop": _conversation(
        (_text("Sub A starts"), _bash(f"{_after_stop(1)}; echo from-sub-a", "sub a")),
        _read("hello.txt"),
        _text("sub A result"),
    ),
    "sub_b_after_stop": _conversation(_bash(f"{_after_stop(2)}; echo from-sub-b", "sub b"), _text("sub B result")),
    "sub_c_after_stop": _conversation(_bash(f"{_after_stop(3)}; exit 4", "sub c fails"), _text("sub C result")),
    "traceparent": _conversation(_bash("echo TP=$TRACEPARENT", "show it"), _text("Seen.")),
    "denied": _conversation(
        _bash("touch denied.txt", "Needs permission"),
        _tool("Write", file_path="@PROJECT@/denied2.txt", content="x"),
        _text("I was not allowed."),
    ),
    "short": _conversation(_text("Hi.")),
    "one_bash": _conversation(_bash("echo hi", "hi"), _text("Said hi.")),
    "ten_bash": _conversation(*(_bash("true", f"n{n}") for n in range(10)), _text("ten done")),
    "slow_bash": _conversation(_bash(f"touch {STARTED}; sleep 20", "slow"), _text("slow done")),
    "background_bash": _conversation(
        _bash(f"{_after_stop(1)}; echo bg-done", "bg", run_in_background=True), _text("Started in background.")
    ),
    "timeout_bash": _conversation(_bash("sleep 5", "times out", timeout=1000), _text("It timed out.")),
    "mcp": _conversation(
        _tool("mcp__demo__add", a=2, b=3),
        _tool("mcp__demo__boom", why="test"),
        _tool("mcp__demo__ask", q="name?"),
        _text("MCP done."),
    ),
    "bad_tool": _conversation(_tool("NoSuchTool", x=1), _tool("Read", wrong_param="x"), _text("Bad tools done.")),
    "todo": _conversation(
        _tool("TaskCreate", subject="First task", description="do it", activeForm="Doing it"),
        _tool("TaskUpdate", taskId="1", status="completed"),
        _tool("TodoWrite", todos=[{"content": "a", "status": "pending", "activeForm": "A"}]),
        _text("Tasks done."),
    ),
    "cd": _conversation(_bash("mkdir -p sub && cd sub && pwd", "cd"), _bash("pwd", "pwd"), _text("cd done")),
    "worktree": _conversation(
        _tool("EnterWorktree", name="wt1"),
        _bash("pwd", "pwd"),
        _tool("ExitWorktree", action="remove", discard_changes=True),
        _text("Worktree done."),
    ),
    "api_error": (Answer(error=ApiError(400, "invalid_request_error", "scripted failure")),),
    "api_overload": (Answer(error=OVERLOADED),),
    "api_retry": (
        Answer((_bash("echo hi", "hi"),), error=OVERLOADED, failures=2),
        Answer((_text("Said hi after all."),), error=OVERLOADED, failures=1),
    ),
    "auth_error": (Answer(error=ApiError(401, "authentication_error", "invalid x-api-key")),),
    "max_tokens": (Answer((_text("cut off"),), stop_reason="max_tokens"), Answer((_text("rest"),))),
    "refusal": (Answer((_text(""),), stop_reason="refusal"),),
    "ask_user": _conversation(_tool("AskUserQuestion", questions=[_QUESTION]), _text("I asked.")),
    "skill": _conversation(_tool("Skill", skill="demo-skill", args="x"), _text("skill done")),
    "webfetch": _conversation(_tool("WebFetch", url="http://127.0.0.1:9/none", prompt="?"), _text("fetched")),
}
SIDE_ANSWER = Answer((_text("Canned side answer."),))  # titles, summaries, classifiers
SCRIPT_OVER = Answer((_text("(script over)"),))
