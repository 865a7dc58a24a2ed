"""google-adk's own spans (scope ``gcp.vertex.agent``), 1.x and 2.x.

Source: its `telemetry/tracing.py` and `_token_usage.py`, and our recording of 2.13. Input tokens count cached ones and
the results of server-side tools. Before 2.0 a model call was a span ``call_llm`` without an operation, and its output
tokens left out those of thinking, which stood in ``gen_ai.usage.experimental.reasoning_tokens``.
"""

from __future__ import annotations

from typing import Any

from agent_trace_otel import model_io, semconv
from agent_trace_otel.dialects import said
from agent_trace_otel.dialects.given import Given, count, first, member, parsed, table
from agent_trace_otel.dialects.named_spans import by_name
from agent_trace_otel.dialects.table import Dialect

_NOTHING = "{}"


def _derived(given: Given) -> dict[str, Any]:
    values = given.attributes
    if given.name != "call_llm":
        return by_name(given)
    found: dict[str, Any] = {semconv.OPERATION_NAME: semconv.GENERATE_CONTENT, semconv.PROVIDER_NAME: "gcp.gen_ai"}
    asked = table(first(values, "gcp.vertex.agent.llm_request"))
    if asked:
        request = model_io.read_request(asked)
        found |= {semconv.INPUT_MESSAGES: said.json_text(request.messages), **request.attributes}
        found[semconv.SYSTEM_INSTRUCTIONS] = said.json_text(request.system)
    got = table(first(values, "gcp.vertex.agent.llm_response"))
    if got:
        content = member(got, "content")
        found[semconv.OUTPUT_MESSAGES] = said.answered(content) if content is not None else None
    thought = count(values.get("gen_ai.usage.experimental.reasoning_tokens"))
    spoken = count(values.get(semconv.USAGE_OUTPUT_TOKENS))
    if thought is not None and spoken is not None:
        found[semconv.USAGE_OUTPUT_TOKENS] = spoken + thought
    return found


def _tool(given: Given) -> dict[str, Any]:
    values = given.attributes
    arguments, result = (values.get(f"gcp.vertex.agent.{name}") for name in ("tool_call_args", "tool_response"))
    if semconv.TOOL_NAME not in values or semconv.TOOL_CALL_ARGUMENTS in values:
        return {}
    return {
        semconv.TOOL_CALL_ARGUMENTS: arguments if parsed(arguments) else None,
        semconv.TOOL_CALL_RESULT: result if result != _NOTHING else None,
    }


GOOGLE_ADK = Dialect(
    name="google_adk",
    scopes=("gcp.vertex.agent",),
    marks=("gcp.vertex.agent.",),
    names={
        "gcp.vertex.agent.session_id": semconv.CONVERSATION_ID,
        "gen_ai.workflow.name": semconv.AGENT_NAME,
    },
    derived=lambda given: {**_derived(given), **_tool(given)},
    content=(
        "gcp.vertex.agent.llm_request",
        "gcp.vertex.agent.llm_response",
        "gcp.vertex.agent.tool_call_args",
        "gcp.vertex.agent.tool_response",
        "gcp.vertex.agent.data",
    ),
)
