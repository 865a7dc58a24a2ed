"""Vercel's AI SDK: spans of its tracer ``ai`` (``ai.*``); its newer integration ``@ai-sdk/otel`` speaks gen_ai.

Source: our recordings of ai 7 with both. ``ai.generateText`` and its like are runs of an agent, ``.doGenerate`` and
``.doStream`` the model calls in them. Input tokens count cached ones, except with Anthropic before ai 6, so the parts
are summed up where they are given.
"""

from __future__ import annotations

from typing import Any

from agent_trace_otel import semconv
from agent_trace_otel.dialects import said
from agent_trace_otel.dialects.gen_ai import provider
from agent_trace_otel.dialects.given import Given, Values, count, first, member, members, parsed, text, unquoted
from agent_trace_otel.dialects.table import Dialect
from agent_trace_otel.model_io.messages import Message, answer
from agent_trace_otel.model_io.parts import Part, read_parts, text_part, tool_call, tool_response

_RUNS = frozenset({"generateText", "streamText", "generateObject", "streamObject", "agent"})
_MODEL_CALLS = {"doGenerate": semconv.CHAT, "doStream": semconv.CHAT, "doEmbed": semconv.EMBEDDINGS}
_INPUT = tuple(f"ai.usage.inputTokenDetails.{name}Tokens" for name in ("noCache", "cacheRead", "cacheWrite"))


def _derived(given: Given) -> dict[str, Any]:
    values = given.attributes
    steps = (text(values.get("ai.operationId")) or given.name).split(".")
    if steps[0] != "ai":
        return {}
    found: dict[str, Any] = {}
    operation = _MODEL_CALLS.get(steps[-1])
    if operation is not None:
        found = _model_call(values)
    elif steps[1:] == ["toolCall"]:
        operation = semconv.EXECUTE_TOOL
        found[semconv.TOOL_CALL_RESULT] = unquoted(values.get("ai.toolCall.result"))
    elif steps[1:2] and steps[1] in _RUNS:
        operation = semconv.INVOKE_AGENT
        found[semconv.AGENT_NAME] = text(values.get("ai.telemetry.functionId")) or given.name
        asked = parsed(values.get("ai.prompt"))
        found[semconv.INPUT_MESSAGES] = _messages(member(asked, "messages") or member(asked, "prompt") or asked)
        found[semconv.OUTPUT_MESSAGES] = _answer(values)
    else:
        operation = "invoke_workflow"
    return {semconv.OPERATION_NAME: operation, **found}


def _model_call(values: Values) -> dict[str, Any]:
    details = [count(values.get(name)) for name in _INPUT]
    owner = text(first(values, "ai.model.provider", "gen_ai.system"))
    reason = text(values.get("ai.response.finishReason"))
    return {
        semconv.PROVIDER_NAME: provider(owner.partition(".")[0]) if owner else None,
        semconv.USAGE_INPUT_TOKENS: None if details[0] is None else sum(number or 0 for number in details),
        semconv.USAGE_CACHE_WRITE_INPUT_TOKENS: details[2],
        semconv.INPUT_MESSAGES: _messages(parsed(values.get("ai.prompt.messages"))),
        semconv.OUTPUT_MESSAGES: _answer(values),
        semconv.RESPONSE_FINISH_REASONS: [reason] if reason else None,
    }


def _answer(values: Values) -> str | None:
    parts: list[Part] = []
    reasoning = text(values.get("ai.response.reasoning"))
    if reasoning:
        parts.append({"type": "reasoning", "content": reasoning})
    whole = text(first(values, "ai.response.text", "ai.response.object"))
    if whole:
        parts.append(text_part(whole))
    parts += [part for call in members(parsed(values.get("ai.response.toolCalls"))) for part in _part(call)]
    return said.json_text([answer(parts, text(values.get("ai.response.finishReason")) or "stop")]) if parts else None


def _messages(value: object) -> str | None:
    if isinstance(value, str):
        return said.read(value)
    found: list[Message] = []
    for message in members(value):
        content = member(message, "content")
        parts = read_parts(content) if isinstance(content, str) else [p for c in members(content) for p in _part(c)]
        if parts:
            found.append({"role": text(member(message, "role")) or "user", "parts": parts})
    return said.json_text(found)


def _part(block: object) -> list[Part]:
    name = text(member(block, "toolName"))
    if name is None:
        return read_parts([block])
    identity = text(member(block, "toolCallId"))
    if member(block, "type") == "tool-result":
        return [tool_response(identity, _result(member(block, "output", "result")))]
    return [tool_call(identity, name, member(block, "input", "args"))]


def _result(value: object) -> object:
    """Return a tool's result without the wrapping that ai 5 gave it: {type, value}."""
    inner: object = member(value, "value")
    return value if inner is None else inner


VERCEL_AI = Dialect(
    name="vercel_ai",
    marks=("ai.operationId", "ai.usage.", "ai.model.", "ai.toolCall."),
    names={
        "ai.toolCall.name": semconv.TOOL_NAME,
        "ai.toolCall.id": semconv.TOOL_CALL_ID,
        "ai.toolCall.args": semconv.TOOL_CALL_ARGUMENTS,
        "ai.model.id": semconv.REQUEST_MODEL,
        "ai.response.model": semconv.RESPONSE_MODEL,
        "ai.response.id": semconv.RESPONSE_ID,
        "ai.usage.inputTokens": semconv.USAGE_INPUT_TOKENS,
        "ai.usage.promptTokens": semconv.USAGE_INPUT_TOKENS,
        "ai.usage.tokens": semconv.USAGE_INPUT_TOKENS,
        "ai.usage.outputTokens": semconv.USAGE_OUTPUT_TOKENS,
        "ai.usage.completionTokens": semconv.USAGE_OUTPUT_TOKENS,
        "ai.usage.cachedInputTokens": semconv.USAGE_CACHE_READ_INPUT_TOKENS,
        "ai.usage.inputTokenDetails.cacheReadTokens": semconv.USAGE_CACHE_READ_INPUT_TOKENS,
        "ai.usage.reasoningTokens": semconv.USAGE_REASONING_OUTPUT_TOKENS,
        "ai.usage.outputTokenDetails.reasoningTokens": semconv.USAGE_REASONING_OUTPUT_TOKENS,
        "ai.telemetry.metadata.sessionId": semconv.CONVERSATION_ID,
        "ai.telemetry.metadata.threadId": semconv.CONVERSATION_ID,
    },
    derived=_derived,
    content=(
        "ai.prompt",
        "ai.prompt.messages",
        "ai.response.text",
        "ai.response.object",
        "ai.response.reasoning",
        "ai.response.toolCalls",
        "ai.toolCall.args",
        "ai.toolCall.result",
        "ai.value",
        "ai.values",
        "ai.embedding",
        "ai.embeddings",
    ),
)
