"""A program that records with agent-strace's own decorators; run by its interpreter, not ours."""

from __future__ import annotations

from agent_trace.decorator import end_session, log_decision, start_session, trace_llm_call, trace_tool  # type: ignore[import-not-found]


@trace_tool
def search(query: str) -> list[str]:
    """Find."""
    return [f"{query} found", "line\u2028separator"]


@trace_tool(name="Bash")
def bash(command: str) -> None:
    """Fail."""
    raise RuntimeError(command)


@trace_llm_call
def ask(messages: list[dict[str, str]], model: str) -> str:
    """Answer."""
    return f"{model}: {len(messages)}"


start_session(name="their agent")
search("needle")
search(query="ümlaut")
try:
    bash("exit 1")
except RuntimeError:
    ask([{"role": "user", "content": "it failed"}], model="demo-1")
log_decision("stop", reason="enough", alternatives=["go on"])
end_session()
