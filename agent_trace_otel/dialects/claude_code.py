"""Claude Code's own telemetry (scope ``com.anthropic.claude_code.tracing``), as recorded of 2.1.330.

Tokens are the API's own: input tokens leave out those read from and written to a cache, so the three are added up. The
response id is the request's, which is no message's. Sub-agents name themselves in gen_ai.conversation.id; the session
is ``session.id``.
"""

from __future__ import annotations

from typing import Any

from agent_trace_otel import semconv
from agent_trace_otel.dialects import said
from agent_trace_otel.dialects.given import Given, Values, count, first, text
from agent_trace_otel.dialects.table import Dialect

_OPERATIONS = {
    "interaction": semconv.INVOKE_AGENT,
    "llm_request": semconv.CHAT,
    "tool": semconv.EXECUTE_TOOL,
    "tool.execution": "tool.execution",
    "tool.blocked_on_user": "tool.blocked_on_user",
    "hook": "hook",
}
"""``span.type`` -> the operation; what stands in a tool's span is part of its call, no call of its own."""
_ARGUMENTS = {"full_command": "command", "file_path": "file_path", "skill_name": "skill", "subagent_type": "agent"}
_NOT_SAID = "<REDACTED>"


def _derived(given: Given) -> dict[str, Any]:
    values = given.attributes
    kind = text(values.get("span.type")) or given.name.removeprefix("claude_code.")
    operation = _OPERATIONS.get(kind)
    if operation is None:
        return {}
    found: dict[str, Any] = {
        semconv.OPERATION_NAME: operation,
        semconv.CONVERSATION_ID: text(values.get(semconv.SESSION_ID)),
        semconv.AGENT_ID: text(values.get("agent_id")),
    }
    if kind == "interaction":
        prompt = text(values.get("user_prompt"))
        found[semconv.AGENT_NAME] = "claude-code"
        found[semconv.INPUT_MESSAGES] = said.read(prompt) if prompt and prompt != _NOT_SAID else None
    elif kind == "llm_request":
        found |= _model_call(values)
    elif kind == "tool":
        found |= _tool_call(given)
    return found


def _model_call(values: Values) -> dict[str, Any]:
    plain = count(values.get("input_tokens"))
    read, written = count(values.get("cache_read_tokens")), count(values.get("cache_creation_tokens"))
    identity = text(values.get("request_id"))
    return {
        semconv.USAGE_INPUT_TOKENS: None if plain is None else plain + (read or 0) + (written or 0),
        semconv.USAGE_CACHE_READ_INPUT_TOKENS: read,
        semconv.USAGE_CACHE_WRITE_INPUT_TOKENS: written,
        semconv.REQUEST_ID: identity,
        semconv.ERROR_TYPE: text(values.get("status_code")) or text(values.get("error_class")),
        semconv.OUTPUT_MESSAGES: said.answered(values["response.model_output"], text(values.get("stop_reason")))
        if text(values.get("response.model_output"))
        else None,
    }


def _tool_call(given: Given) -> dict[str, Any]:
    values = given.attributes
    found: dict[str, Any] = {semconv.TOOL_NAME: first(values, "tool_name", "tool_name_safe")}
    arguments = {ours: values[theirs] for theirs, ours in _ARGUMENTS.items() if values.get(theirs)}
    found[semconv.TOOL_CALL_ARGUMENTS] = first(values, "tool_input") or said.json_text(arguments)
    for name, details in given.events:
        if name == "tool.output":
            found[semconv.TOOL_CALL_RESULT] = first(details, "output", "content", "diff")
            command = text(details.get("bash_command"))
            if command and found[semconv.TOOL_CALL_ARGUMENTS] is None:
                found[semconv.TOOL_CALL_ARGUMENTS] = said.json_text({"command": command})
    return found


CLAUDE_CODE = Dialect(
    name="claude_code",
    scopes=("com.anthropic.claude_code",),
    marks=("llm_request.context", "claude_code.", "tool_name_safe", "interaction.sequence"),
    names={
        "output_tokens": semconv.USAGE_OUTPUT_TOKENS,
        "model": semconv.REQUEST_MODEL,
        "tool_use_id": semconv.TOOL_CALL_ID,
        "stop_reason": semconv.RESPONSE_FINISH_REASONS,
    },
    derived=_derived,
    content=(
        "user_prompt",
        "full_command",
        "bash_command",
        "tool_input",
        "response.model_output",
        "new_context",
        "system_prompt_preview",
    ),
)
