"""pydantic-ai's own spans (scope ``pydantic-ai``), formats 1 to 5.

Source: its `_instrumentation.py` and `models/instrumented.py`, and our recording of 2.x. Input tokens count cached ones
(its RequestUsage is normalised). An agent's span sums up the usage of its model calls, under names of its own.
"""

from __future__ import annotations

from typing import Any

from agent_trace_otel import semconv
from agent_trace_otel.dialects import said
from agent_trace_otel.dialects.given import Given, members, parsed, table, text
from agent_trace_otel.dialects.table import Dialect

_NAMES = {"agent run": semconv.INVOKE_AGENT, "running tool": semconv.EXECUTE_TOOL}
_AGENT_MARKS = ("agent_name", "pydantic_ai.all_messages", "all_messages_events", "final_result")


def _derived(given: Given) -> dict[str, Any]:
    values = given.attributes
    found: dict[str, Any] = {}
    if semconv.OPERATION_NAME not in values:
        of_agent = any(name in values for name in _AGENT_MARKS)
        operation = semconv.INVOKE_AGENT if of_agent else _NAMES.get(given.name.partition(":")[0])
        found[semconv.OPERATION_NAME] = operation or (semconv.EXECUTE_TOOL if "tool_arguments" in values else None)
    if "events" in values:  # format 1: messages as they were in log records
        found |= _of_events(values["events"])
    everything = members(parsed(values.get("pydantic_ai.all_messages")))
    if everything and semconv.INPUT_MESSAGES not in values:
        found[semconv.INPUT_MESSAGES] = said.json_text(everything)
    final = values.get("final_result")
    if final is not None and semconv.OUTPUT_MESSAGES not in values:
        found[semconv.OUTPUT_MESSAGES] = said.answered(final if isinstance(final, str) else str(final))
    return found


def _of_events(value: object) -> dict[str, Any]:
    asked: said.Messages = []
    answers: said.Messages = []
    for event in members(parsed(value)):
        told = table(event) or {}
        name = text(told.get("event.name"))
        message = said.event_message(name, told) if name in said.MESSAGE_EVENTS else None
        if message is not None:
            (answers if name == said.CHOICE_EVENT else asked).append(message)
    return {semconv.INPUT_MESSAGES: said.json_text(asked), semconv.OUTPUT_MESSAGES: said.json_text(answers)}


PYDANTIC_AI = Dialect(
    name="pydantic_ai",
    scopes=("pydantic-ai",),
    marks=("pydantic_ai.",),
    names={
        "agent_name": semconv.AGENT_NAME,
        "model_name": semconv.REQUEST_MODEL,
        "tool_arguments": semconv.TOOL_CALL_ARGUMENTS,
        "tool_response": semconv.TOOL_CALL_RESULT,
        "operation.cost": semconv.COST,
    },
    derived=_derived,
    content=(
        "pydantic_ai.all_messages",
        "all_messages_events",
        "events",
        "final_result",
        "model_request_parameters",
        "tool_arguments",
        "tool_response",
        "logfire.msg",
    ),
)
