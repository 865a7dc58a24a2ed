"""Trace the processes that an agent's tools start, and what they trace themselves: one session, one tree.

    python examples/trace_subprocesses.py && agent-trace replay

The tool runs this same file as a child process, whose own tool call lands in the parent's session, under its process.
"""

from __future__ import annotations

import subprocess
import sys

import agent_trace_otel as at


@at.trace_tool
def count_words(text: str) -> int:
    """Count words; runs in the child."""
    return len(text.split())


@at.trace_tool
def ask_child(text: str) -> int:
    """Let a child process count."""
    done = subprocess.run([sys.executable, __file__, text], capture_output=True, text=True, check=True)
    return int(done.stdout)


def main(arguments: list[str]) -> None:
    """Count the words of the argument; without one, be the agent that has them counted."""
    if arguments:
        print(count_words(arguments[0]))
        return
    at.instrument("subprocesses")
    with at.session("counter"):
        print(f"{ask_child('what a fine day it is')} words")


if __name__ == "__main__":
    main(sys.argv[1:])
