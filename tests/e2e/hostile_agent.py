"""A program that records every type of event with the nastiest values there are; run by tests, offline.

Two sessions end up in AGENT_TRACE_DIR: one that ends, and one that is left open by a process that is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

import agent_trace_otel as at

NASTY: dict[object, object] = {
    "separators": "a\u2028b\u2029c\x85d\x1c\x1d\x1e\x0b\x0c\r\ne",
    "terminal": "\x1b[31mred\x1b[0m\x1b]0;title\x07\x08\x7f",
    "surrogate": "\ud83d and \udc00",
    "emoji": "🦊 é ẞ ﷽",
    "empty": "",
    "nested": {"a": [{"b": [[], {}, None, True, -0.0]}]},
    "numbers": [2**63 - 1, -(2**63), 2**200, float("nan"), float("inf"), -float("inf"), 1e-300],
    "bytes": b"\x00\xff binary",
    7: "a key that is no text",
    "json in text": '{"event_type":"session_end"}\n{"torn": ',
    "csv": 'a,"b",=cmd()\n;c',
    "huge": "x" * 300_000,
}


class Rude:
    """Refuses to be shown."""

    def __repr__(self) -> str:
        message = "no repr\u2028today"
        raise RuntimeError(message)


@at.trace_tool
def echo(*values: object, **named: object) -> object:
    """Give back what came in."""
    return [values, named]


@at.trace_tool(name='weird "name"\n\u2028\x1b[0m,')
def fail(kind: type[BaseException], *words: object) -> None:
    """Raise."""
    raise kind(*words)


@at.trace_llm_call(model="demo-1", provider="anthropic")
def ask(messages: list[dict[str, str]]) -> dict[str, object]:
    """Answer with usage."""
    if not messages:
        message = "no messages\n\x1b[2J"
        raise ValueError(message)
    usage = {"input_tokens": 40, "output_tokens": 2}
    return {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "\u2028ok"}], "usage": usage}


def every_type() -> None:
    """Log each of the twelve types at least once: 4 tool calls, 2 model calls, 3 errors, 42 tokens."""
    at.log_user_prompt("what\u2028is \x1b[5mthis\x1b[0m?")
    circular: list[object] = []
    circular.append(circular)
    echo(NASTY, circular, Rude(), tool_name="no", arguments="neither")
    echo()
    for kind, *words in ((ValueError, "bad\nvalue \udc80"), (KeyError, NASTY["huge"])):
        with contextlib.suppress(ValueError, KeyError):
            fail(kind, *words)
    ask([{"role": "user", "content": str(NASTY["separators"])}])
    try:
        ask([])
    except ValueError:
        at.log_decision("go on\u2029", reason="", alternatives=["", "\x00"])
    at.log_file_read("/tmp/a\nb\u2028.txt")
    at.log_file_write("file:///tmp/ü")
    at.log_assistant_response(str(NASTY["terminal"]))


def killed_in_a_call() -> None:
    """Die inside a tool call, as a process does that nobody asks."""

    @at.trace_tool
    def last() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    at.start_session("killed agent")
    last()


if __name__ == "__main__":
    if sys.argv[1:] == ["killed"]:
        killed_in_a_call()
    else:
        with at.session('hostile "agent"\n\u2028'):
            every_type()
