"""GenAI semantic conventions, all versions: names that were renamed, and messages that were events or numbered names.

Source: the convention's own list of deprecated attributes and its change log up to v0.1.0. ``input_tokens`` counts
cached tokens too in every version that says anything of them.
"""

from __future__ import annotations

from typing import Any

from agent_trace_otel import semconv
from agent_trace_otel.dialects import said
from agent_trace_otel.dialects.given import Given, Values, branch, first, leaf, members, parsed, rows, text
from agent_trace_otel.dialects.table import Dialect

_PROVIDERS = {
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "gemini": "gcp.gemini",
    "vertex_ai": "gcp.vertex_ai",
    "google": "gcp.gen_ai",
    "google-gla": "gcp.gemini",
    "google-vertex": "gcp.vertex_ai",
    "bedrock": "aws.bedrock",
    "xai": "x_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "langchain": "",
    "strands-agents": "",
}
"""Values of gen_ai.system -> values of gen_ai.provider.name; frameworks are no provider, others the same in both."""
_OPERATIONS = {
    "chain": "invoke_workflow",
    "completion": semconv.TEXT_COMPLETION,
    "embedding": semconv.EMBEDDINGS,
    "rerank": "retrieval",
}
_CONTENT_EVENTS = ("gen_ai.content.prompt", "gen_ai.content.completion")
_DETAILS = "gen_ai.client.inference.operation.details"


def provider(value: object) -> str | None:
    """Return a value of gen_ai.provider.name for one of gen_ai.system or of a client's own."""
    name = text(value)
    return None if name is None else _PROVIDERS.get(name.lower(), name) or None


def _derived(given: Given) -> dict[str, Any]:
    values = given.attributes
    found: dict[str, Any] = {
        semconv.OPERATION_NAME: _operation(values),
        semconv.PROVIDER_NAME: provider(first(values, semconv.PROVIDER_NAME, "gen_ai.system")),
    }
    if given.events and found[semconv.OPERATION_NAME] != semconv.EXECUTE_TOOL:
        found |= _of_events(given)
    if any(name.startswith(("gen_ai.prompt", "gen_ai.completion")) for name in values):
        found |= {name: value for name, value in _of_numbered_names(values).items() if value is not None}
    renamed = (semconv.OPERATION_NAME, semconv.PROVIDER_NAME)
    return {name: value for name, value in found.items() if name in renamed or name not in values}


def _operation(values: Values) -> str | None:
    named = text(values.get(semconv.OPERATION_NAME))
    if named is not None:
        return _OPERATIONS.get(named, named)
    asked = text(values.get("llm.request.type"))
    if asked is not None and asked != "unknown":
        return _OPERATIONS.get(asked, asked)
    has_used = any(name in values for name in (semconv.USAGE_OUTPUT_TOKENS, "gen_ai.usage.completion_tokens"))
    return semconv.CHAT if has_used and semconv.REQUEST_MODEL in values else None


def _of_numbered_names(values: Values) -> dict[str, Any]:
    asked = branch(values, "gen_ai.prompt.")
    answers = branch(values, "gen_ai.completion.")
    given = said.flat_messages(asked)
    found: dict[str, Any] = {
        semconv.INPUT_MESSAGES: said.json_text(given) or said.read(values.get("gen_ai.prompt")),
        semconv.OUTPUT_MESSAGES: said.json_text(said.flat_answers(answers)),
    }
    if found[semconv.OUTPUT_MESSAGES] is None and text(values.get("gen_ai.completion")):
        found[semconv.OUTPUT_MESSAGES] = said.answered(values["gen_ai.completion"])
    reasons = [reason for row in rows(answers) if (reason := text(leaf(row, "finish_reason")))]
    return {**found, semconv.RESPONSE_FINISH_REASONS: reasons or None}


def _of_events(given: Given) -> dict[str, Any]:
    asked: said.Messages = []
    answers: said.Messages = []
    found: dict[str, Any] = {}
    for name, values in given.events:
        if name in said.MESSAGE_EVENTS:
            message = said.event_message(name, values)
            if message is not None:
                (answers if name == said.CHOICE_EVENT else asked).append(message)
        elif name == _DETAILS:
            found |= {key: value for key, value in values.items() if key.startswith("gen_ai.")}
        elif name in _CONTENT_EVENTS:
            found[semconv.INPUT_MESSAGES] = found.get(semconv.INPUT_MESSAGES) or said.read(values.get("gen_ai.prompt"))
            answer = values.get("gen_ai.completion")
            if answer:
                found[semconv.OUTPUT_MESSAGES] = said.answered(answer)
    found.setdefault(semconv.INPUT_MESSAGES, said.json_text(asked))
    found.setdefault(semconv.OUTPUT_MESSAGES, said.json_text(answers))
    if answers:
        found[semconv.RESPONSE_FINISH_REASONS] = [answer["finish_reason"] for answer in answers]
    return found


def finish_reasons(value: object) -> list[str] | None:
    """Return finish reasons as a list; some write one, some a JSON list as text."""
    several = members(parsed(value)) or [value]
    return [reason for reason in several if isinstance(reason, str) and reason] or None


GEN_AI = Dialect(
    name="gen_ai",
    marks=("gen_ai.", "llm.request.type", "llm.usage.", "llm.headers", "llm.is_streaming"),
    names={
        "gen_ai.usage.prompt_tokens": semconv.USAGE_INPUT_TOKENS,
        "gen_ai.usage.completion_tokens": semconv.USAGE_OUTPUT_TOKENS,
        "gen_ai.usage.cache_creation.input_tokens": semconv.USAGE_CACHE_WRITE_INPUT_TOKENS,
        "gen_ai.usage.cache_creation_input_tokens": semconv.USAGE_CACHE_WRITE_INPUT_TOKENS,
        "gen_ai.usage.cache_write_input_tokens": semconv.USAGE_CACHE_WRITE_INPUT_TOKENS,
        "gen_ai.usage.cache_read_input_tokens": semconv.USAGE_CACHE_READ_INPUT_TOKENS,
        "gen_ai.usage.cached_tokens": semconv.USAGE_CACHE_READ_INPUT_TOKENS,
        "gen_ai.usage.reasoning_tokens": semconv.USAGE_REASONING_OUTPUT_TOKENS,
        "gen_ai.usage.details.reasoning_tokens": semconv.USAGE_REASONING_OUTPUT_TOKENS,
        "gen_ai.usage.experimental.reasoning_tokens": semconv.USAGE_REASONING_OUTPUT_TOKENS,
        "gen_ai.response.finish_reason": semconv.RESPONSE_FINISH_REASONS,
        "gen_ai.response.stop_reason": semconv.RESPONSE_FINISH_REASONS,
        "gen_ai.is_streaming": semconv.REQUEST_STREAM,
        "gen_ai.request.is_stream": semconv.REQUEST_STREAM,
        "gen_ai.request.max_completion_tokens": semconv.REQUEST_MAX_TOKENS,
        "gen_ai.request.reasoning_effort": semconv.REQUEST_REASONING_LEVEL,
        "gen_ai.request.n": semconv.REQUEST_CHOICE_COUNT,
        "gen_ai.openai.request.seed": semconv.REQUEST_SEED,
        "gen_ai.prompt.id": semconv.PROMPT_NAME,
        "gen_ai.tool.arguments": semconv.TOOL_CALL_ARGUMENTS,
        "gen_ai.tool.result": semconv.TOOL_CALL_RESULT,
        "gen_ai.tool.input": semconv.TOOL_CALL_ARGUMENTS,
        "gen_ai.tool.output": semconv.TOOL_CALL_RESULT,
    },
    derived=_derived,
    content=(
        semconv.INPUT_MESSAGES,
        semconv.OUTPUT_MESSAGES,
        semconv.SYSTEM_INSTRUCTIONS,
        semconv.TOOL_CALL_ARGUMENTS,
        semconv.TOOL_CALL_RESULT,
        "gen_ai.tool.arguments",
        "gen_ai.tool.result",
        "gen_ai.tool.input",
        "gen_ai.tool.output",
        "gen_ai.prompt",
        "gen_ai.prompt.",
        "gen_ai.completion",
        "gen_ai.completion.",
        "gen_ai.event.content",
        "gen_ai.retrieval.documents",
        "gen_ai.retrieval.query.text",
        "gen_ai.memory.query.text",
        "gen_ai.memory.records",
        "event_body",
    ),
)
