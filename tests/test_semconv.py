"""Names are the conventions' own: every one we spell is in the registry, every span has what its type requires."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent_trace_otel import semconv, trace_agent, trace_llm_call, trace_tool
from agent_trace_otel import session as open_session
from agent_trace_otel.testing import Recorded

DATA = Path(__file__).parent / "data" / "semconv"
REGISTRY: dict[str, Any] = json.loads((DATA / "genai_registry.json").read_text())
SPANS: dict[str, Any] = json.loads((DATA / "genai_spans.json").read_text())
NAMES = {name: value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)}
OF_CLIENTS = {"prompt.id"}  # of Claude Code's own telemetry
OF_CORE = {"http.response.status_code"}  # semantic conventions 1.41, HTTP: not in the copy of the registry
OPERATIONS = {"CHAT", "EMBEDDINGS", "EXECUTE_TOOL", "GENERATE_CONTENT", "INVOKE_AGENT", "TEXT_COMPLETION"}


@pytest.mark.parametrize("name", sorted(name for name in NAMES if "." in NAMES[name] and name != "CONVENTION"))
def test_every_attribute_name_is_in_the_registry_or_ours(name: str) -> None:
    spelled = NAMES[name]
    if spelled.startswith("agent_trace.") or spelled in OF_CLIENTS | OF_CORE:
        return
    assert spelled in REGISTRY or spelled.startswith("exception."), spelled
    assert not REGISTRY.get(spelled, {}).get("deprecated"), f"{spelled} is deprecated"


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_operation_is_one_of_the_conventions(name: str) -> None:
    assert NAMES[name] in REGISTRY["gen_ai.operation.name"]["values"]


@pytest.mark.parametrize("name", ["EXECUTE_TOOL", "INVOKE_AGENT"])  # the others are words of other interfaces too
def test_no_operation_is_spelled_in_another_file(name: str) -> None:
    package = Path(semconv.__file__).parent
    for path in package.rglob("*.py"):
        if path.name != "semconv.py" and path.parent.name != "dialects":  # other agents' tools may be called so
            assert f'"{NAMES[name]}"' not in path.read_text(), f"{path.name} spells {NAMES[name]!r}"


def test_no_attribute_is_spelled_in_another_file() -> None:
    package = Path(semconv.__file__).parent
    dotted = {value for value in NAMES.values() if value.startswith(("gen_ai.", "agent_trace.", "mcp.", "process."))}
    for path in package.rglob("*.py"):
        if path.name != "semconv.py":
            text = path.read_text()
            assert not [name for name in dotted if f'"{name}"' in text], path.name


def _check(attributes: dict[str, Any], span_type: str) -> None:
    convention = SPANS[span_type]["attributes"]
    required = [name for name, level in convention.items() if level == "required"]
    assert [name for name in required if name not in attributes] == []
    ours = ("agent_trace.", "process.", "host.", "session.", "error.")
    unknown = [name for name in attributes if name not in convention and not name.startswith(ours)]
    assert unknown == [], f"{span_type} has no {unknown}"


def test_spans_have_the_attributes_of_their_type(recorded: Recorded) -> None:
    @trace_llm_call(provider="openai", model="gpt-x")
    def ask(prompt: str) -> str:
        return "fine"

    @trace_tool
    def look(path: str) -> str:
        ask("well?")
        return path

    @trace_agent
    def helper(task: str) -> str:
        return look(task)

    with open_session("main"):
        helper("a")
    found = {span.name: span for span in recorded.spans()}
    assert set(found) == {"chat gpt-x", "execute_tool look", "invoke_agent helper", "invoke_agent main"}
    kinds = {name: span.kind.name for name, span in found.items()}
    assert kinds["chat gpt-x"] == "CLIENT"
    assert {kind for name, kind in kinds.items() if name != "chat gpt-x"} == {"INTERNAL"}
    _check(dict(found["chat gpt-x"].attributes or {}), "gen_ai.client.inference")
    _check(dict(found["execute_tool look"].attributes or {}), "gen_ai.execute_tool.internal")
    _check(dict(found["invoke_agent helper"].attributes or {}), "gen_ai.invoke_agent.internal")
    _check(dict(found["invoke_agent main"].attributes or {}), "gen_ai.invoke_agent.internal")
