"""OpenInference (Arize), openinference-semantic-conventions up to 0.1.42.

Lists are flattened: ``llm.input_messages.0.message.role``. What a call was given and gave back stands whole in
``input.value`` and ``output.value``, as the client's JSON; a response id stands nowhere else. Prompt tokens count
cached ones too (`_get_token_counts` of its Anthropic instrumentation adds them up, OpenAI counts so itself).
"""

from __future__ import annotations

from typing import Any, cast

from agent_trace_otel import model_io, semconv
from agent_trace_otel.dialects import said
from agent_trace_otel.dialects.gen_ai import provider
from agent_trace_otel.dialects.given import Branch, Given, Values, branch, first, leaf, member, parsed, rows, text
from agent_trace_otel.dialects.table import Dialect
from agent_trace_otel.model_io.messages import Message, answer
from agent_trace_otel.model_io.parts import Part, text_part, tool_call, tool_response

_OPERATIONS = {
    "LLM": semconv.CHAT,
    "EMBEDDING": semconv.EMBEDDINGS,
    "TOOL": semconv.EXECUTE_TOOL,
    "AGENT": semconv.INVOKE_AGENT,
    "CHAIN": "invoke_workflow",
    "RETRIEVER": "retrieval",
    "RERANKER": "retrieval",
    "GUARDRAIL": "invoke_workflow",
    "EVALUATOR": "invoke_workflow",
    "PROMPT": "invoke_workflow",
}
_BY_NAME = {
    ("openai", "ChatCompletion"): semconv.CHAT,
    ("openai", "Response"): semconv.CHAT,
    ("openai", "Completion"): semconv.TEXT_COMPLETION,
    ("openai", "CreateEmbeddings"): semconv.EMBEDDINGS,
    ("anthropic", "messages.create"): semconv.CHAT,
    ("anthropic", "messages.stream"): semconv.CHAT,
}
"""What a span is by scope and name: its kind is set when it ends, and by then an inner span has been told."""
_PROVIDERS = {"azure": "azure.ai.openai", "aws": "aws.bedrock", "vertexai": "gcp.vertex_ai", "xai": "x_ai"}
_SCOPE = "openinference.instrumentation."
_JSON = "application/json"
_BY_THE_SERVER = "_call"
"""How items of the Responses API are called that are calls of OpenAI's own tools."""


def _derived(given: Given) -> dict[str, Any]:
    values = given.attributes
    kind = text(values.get("openinference.span.kind"))
    operation = _OPERATIONS.get(kind.upper()) if kind else _BY_NAME.get((given.scope[len(_SCOPE) :], given.name))
    if operation is None:
        return {}
    found: dict[str, Any] = {semconv.OPERATION_NAME: operation}
    if operation in semconv.MODEL_OPERATIONS:
        found |= _model_call(values, operation)
    elif operation == semconv.EXECUTE_TOOL:
        found[semconv.TOOL_NAME] = first(values, "tool.name", "tool_call.function.name") or given.name or None
        found[semconv.TOOL_CALL_ID] = first(values, "tool.id", "tool_call.id")
        found[semconv.TOOL_CALL_ARGUMENTS] = _value(values, "input") or first(values, "tool.parameters")
        found[semconv.TOOL_CALL_RESULT] = _value(values, "output")
    elif operation == semconv.INVOKE_AGENT:
        found[semconv.AGENT_NAME] = first(values, "agent.name", "graph.node.name") or given.name or None
        found[semconv.INPUT_MESSAGES] = said.read(values.get("input.value"))
    return found


def _value(values: Values, side: str) -> Any:  # noqa: ANN401 - text or JSON
    return first(values, f"{side}.value")


def _model_call(values: Values, operation: str) -> dict[str, Any]:
    asked, got = _json(values, "input"), _json(values, "output")
    request = model_io.read_request(cast("Values", asked)) if isinstance(asked, dict) else None
    settings = parsed(values.get("llm.invocation_parameters"))
    settings = model_io.read_request(cast("Values", settings)) if isinstance(settings, dict) else None
    found: dict[str, Any] = {}
    for source in (settings, request):
        if source is not None:
            found |= {semconv.REQUEST_MODEL: source.model or found.get(semconv.REQUEST_MODEL), **source.attributes}
    if isinstance(got, dict):
        found |= model_io.read_response(cast("Values", got))
    model = first(values, "llm.response.model_name", "llm.model_name", "embedding.model_name")
    if first(values, "llm.request.model_name"):
        found[semconv.REQUEST_MODEL] = values["llm.request.model_name"]
    elif not found.get(semconv.REQUEST_MODEL):
        found[semconv.REQUEST_MODEL] = model
    if model and got is not None:
        found[semconv.RESPONSE_MODEL] = model
    if operation == semconv.CHAT and any(name.startswith("llm.prompts.") for name in values):
        found[semconv.OPERATION_NAME] = semconv.TEXT_COMPLETION
    found |= _messages(values, found)
    owner = first(values, "llm.provider", "llm.system")
    found[semconv.PROVIDER_NAME] = _PROVIDERS.get(owner, provider(owner)) if isinstance(owner, str) else None
    reason = text(values.get("llm.finish_reason"))
    if reason and not found.get(semconv.RESPONSE_FINISH_REASONS):
        found[semconv.RESPONSE_FINISH_REASONS] = [reason]
    return found


def _json(values: Values, side: str) -> Any:  # noqa: ANN401 - any JSON value
    mime = text(values.get(f"{side}.mime_type"))
    return parsed(values.get(f"{side}.value")) if mime in (None, _JSON) else values.get(f"{side}.value")


def _messages(values: Values, response: Values) -> dict[str, Any]:
    asked = [_message(row) for row in rows(branch(values, "llm.input_messages."))]
    reasons = response.get(semconv.RESPONSE_FINISH_REASONS) or [text(values.get("llm.finish_reason")) or "stop"]
    answers = [
        answer(_parts(row), reasons[min(number, len(reasons) - 1)])
        for number, row in enumerate(rows(branch(values, "llm.output_messages.")))
    ]
    prompts = [text(leaf(row, "prompt.text")) for row in rows(branch(values, "llm.prompts."))]
    choices = [text(leaf(row, "completion.text")) for row in rows(branch(values, "llm.choices."))]
    asked += [{"role": "user", "parts": [text_part(prompt)]} for prompt in prompts if prompt]
    answers += [answer([text_part(choice)], reasons[0]) for choice in choices if choice]
    texts = [text(leaf(row, "embedding.text")) for row in rows(branch(values, "embedding.embeddings."))]
    asked += [{"role": "user", "parts": [text_part(each)]} for each in texts if each]
    found: dict[str, Any] = {}
    if asked:
        found[semconv.INPUT_MESSAGES] = said.json_text(asked)
    elif values.get("input.value"):
        found[semconv.INPUT_MESSAGES] = _asked(values)
    if answers:
        found[semconv.OUTPUT_MESSAGES] = said.json_text(answers)
    return found


def _asked(values: Values) -> str | None:
    given = _json(values, "input")
    return said.read(member(given, "messages", "contents", "input", "prompt") or given)


def _message(row: Branch) -> Message:
    message = row.get("message")
    role = text(leaf(message, "role")) or "user"
    identity = text(leaf(message, "tool_call_id"))
    if role == "tool" or (identity and role in ("user", "function")):
        parts: list[Part] = [tool_response(identity, leaf(message, "content") or _texts(message))]
        return {"role": "tool", "parts": parts}
    return {"role": role, "parts": _parts(row)}


def _texts(message: object) -> str:
    contents = rows(cast("Branch", message).get("contents")) if isinstance(message, dict) else ()
    return "\n".join(found for row in contents if (found := text(leaf(row, "message_content.text"))))


def _parts(row: Branch) -> list[Part]:
    message = row.get("message")
    if not isinstance(message, dict):
        return []
    held = cast("Branch", message)
    parts: list[Part] = []
    whole = text(leaf(held, "content"))
    if whole:
        parts.append(text_part(whole))
    for block in rows(held.get("contents")):
        parts += _block(block)
    known = {part.get("id") for part in parts if part["type"] == "tool_call"}
    for call in rows(held.get("tool_calls")):
        part = _call(call.get("tool_call"))
        if part is not None and (part.get("id") is None or part["id"] not in known):
            parts.append(part)
    name = text(leaf(held, "function_call_name"))
    if name:
        parts.append(tool_call(None, name, leaf(held, "function_call_arguments_json")))
    return parts


def _block(block: Branch) -> list[Part]:
    call = _call(block.get("tool_call"))
    if call is not None:
        return [call]
    kind = text(leaf(block, "message_content.type"))
    told = text(leaf(block, "message_content.text"))
    if kind in ("reasoning", "thinking"):
        return [{"type": "reasoning", "content": told}] if told else []
    if told:
        return [text_part(told)]
    url = text(leaf(block, "message_content.image.image.url"))
    if url:
        return [{"type": "uri", "modality": "image", "uri": url}]
    return [{"type": kind}] if kind and kind != "text" else []


def _call(node: object) -> Part | None:
    name = text(leaf(node, "function.name"))
    if name is None:
        return None
    arguments = leaf(node, "function.arguments")  # left out where there are none
    if arguments is None and name.endswith(_BY_THE_SERVER):
        kind = name.removesuffix(_BY_THE_SERVER)
        return {"type": "server_tool_call", "name": kind, "server_tool_call": {"type": kind}}
    return tool_call(text(leaf(node, "id")), name, {} if arguments is None else arguments)


OPENINFERENCE = Dialect(
    name="openinference",
    scopes=(_SCOPE,),
    marks=("openinference.span.kind",),
    names={
        "llm.token_count.prompt": semconv.USAGE_INPUT_TOKENS,
        "llm.token_count.completion": semconv.USAGE_OUTPUT_TOKENS,
        "llm.token_count.prompt_details.cache_read": semconv.USAGE_CACHE_READ_INPUT_TOKENS,
        "llm.token_count.prompt_details.cache_input": semconv.USAGE_CACHE_READ_INPUT_TOKENS,
        "llm.token_count.prompt_details.cache_write": semconv.USAGE_CACHE_WRITE_INPUT_TOKENS,
        "llm.token_count.completion_details.reasoning": semconv.USAGE_REASONING_OUTPUT_TOKENS,
        "llm.cost.total": semconv.COST,
        "session.id": semconv.CONVERSATION_ID,
    },
    derived=_derived,
    content=(
        "input.value",
        "output.value",
        "input.images.",
        "output.images.",
        "input.documents.",
        "output.documents.",
        "llm.input_messages.",
        "llm.output_messages.",
        "llm.prompts.",
        "llm.choices.",
        "llm.prompt_template.",
        "llm.function_call",
        "tool.parameters",
        "embedding.embeddings.",
        "retrieval.documents.",
        "reranker.input_documents.",
        "reranker.output_documents.",
        "reranker.query",
    ),
)
