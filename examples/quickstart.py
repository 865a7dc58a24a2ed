"""The smallest traced agent: two tools, one model call, one session.

python examples/quickstart.py
agent-trace replay
"""

from __future__ import annotations

from pathlib import Path

import agent_trace_otel as at


@at.trace_tool
def list_files(folder: str) -> list[str]:
    """Return the names in a folder."""
    return sorted(path.name for path in Path(folder).iterdir())


@at.trace_tool
def count_lines(path: str) -> int:
    """Return how many lines a file has."""
    return len(Path(path).read_text(encoding="utf-8").splitlines())


@at.trace_llm_call(model="rules-1")
def ask(question: str) -> str:
    """Stand in for a model, so that the example runs offline."""
    return f"You asked: {question}"


def main() -> None:
    """Run the agent."""
    here = Path(__file__).parent
    with at.session("quickstart"):
        at.log_user_prompt("Which example is the longest?")
        sizes = {name: count_lines(str(here / name)) for name in list_files(str(here)) if name.endswith(".py")}
        longest = max(sizes, key=lambda name: sizes[name])
        at.log_decision(longest, reason=f"{sizes[longest]} lines", alternatives=sorted(sizes))
        at.log_assistant_response(ask(f"is {longest} really the longest?"))


if __name__ == "__main__":
    main()
