"""The examples that know nothing of tracing, run directly and by ``agent-trace run``; for default and e2e tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent_trace_otel import semconv

if TYPE_CHECKING:
    from capture.run.runs import Place

FOLDER = Path(__file__).parents[2] / "examples" / "run"


@dataclass(frozen=True, slots=True)
class Story:
    """What a session of an example has in it, in order."""

    types: tuple[str, ...]
    tokens: int = 0


_MODEL = ("llm_request", "llm_response")
_TOOL = ("tool_call", "tool_result")
STORIES = {
    "anthropic_agent.py": Story((*_MODEL, *_MODEL), 54),
    "google_genai_agent.py": Story((*_MODEL, *_MODEL), 54),
    "langgraph_agent.py": Story((*_MODEL, *_TOOL, *_MODEL), 54),
    "mcp_agent.py": Story(_TOOL),
    "openai_agent.py": Story((*_MODEL, *_MODEL), 54),
}


def check(place: Place, name: str, python: str) -> None:
    """Compare an example's run with its running without, and look at what was recorded."""
    program = str(FOLDER / name)
    direct, ran = place.direct(python, program, PYTHONPATH=""), place.run(python, program, PYTHONPATH="")
    assert (direct.code, ran) == (0, direct)
    assert "snow" in ran.out
    story = STORIES[name]
    assert tuple(place.types()) == ("session_start", *story.types, "session_end")
    assert place.recorded.meta().total_tokens == story.tokens
    found = {span.context.span_id: span for span in place.recorded.spans()}
    (root,) = [span for span in found.values() if span.parent is None]
    assert root.name == f"invoke_agent {name.removesuffix('.py')}"
    for span in found.values():
        assert span.context.trace_id == root.context.trace_id
        assert span.parent is None or span.parent.span_id in found
        assert span.attributes is not None
        assert span.attributes.get(semconv.OUTCOME, "ok") == "ok"
    assert place.problems() == []
