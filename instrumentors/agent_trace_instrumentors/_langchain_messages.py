"""What LangChain says of a call -> the shapes of Chat Completions, which `model_io` reads.

Comes in: messages, invocation parameters, results; objects of langchain-core, which is never imported. Goes out:
requests and answers as parsed JSON, and span attributes. Pure; called by `_langchain_runs`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from agent_trace_otel import model_io, spans

_ROLES: Final = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant", "function": "tool"}
_CALL_BLOCKS: Final = ("tool_use", "tool_call", "tool_call_chunk", "function_call", "input_json_delta", "invalid_tool")
"""Types of content blocks that say once more what a message's ``tool_calls`` say."""
_OWN_IDS: Final = ("run-", "run--", "lc_run-")
"""How the ids begin that LangChain gives to messages which have none of a provider's."""
_PROVIDERS: Final = {
    "amazon_bedrock": "aws.bedrock",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "ibm": "ibm.watsonx.ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "xai": "x_ai",
}
"""Values of gen_ai.provider.name for those of ls_provider that are spelled otherwise."""


def request_of(
    messages: Iterable[Any] | None, prompt: str | None, kwargs: Mapping[str, Any]
) -> tuple[dict[str, Any], str | None]:
    """Return (the request as Chat Completions has it, the provider).

    Args:
        messages: of a chat model, else None.
        prompt: of a text model, else None.
        kwargs: what the callback got besides, such as ``invocation_params`` and ``metadata``.
    """
    metadata = _mapping(kwargs.get("metadata"))
    request = dict(_mapping(kwargs.get("invocation_params")))
    request["model"] = next(
        (str(found) for found in _named(request, "model", "model_name", "model_id")),
        metadata.get("ls_model_name"),
    )
    for mine, theirs in (("temperature", "ls_temperature"), ("max_tokens", "ls_max_tokens"), ("stop", "ls_stop")):
        if request.get(mine) is None and metadata.get(theirs) is not None:
            request[mine] = metadata[theirs]
    for unwanted in ("input", "contents", "messages", "prompt"):
        request.pop(unwanted, None)
    if messages is not None:
        request["messages"] = [message_of(message) for message in messages]
    else:
        request["prompt"] = prompt
    provider = metadata.get("ls_provider")
    return request, _PROVIDERS.get(str(provider), str(provider)) if provider else None


def message_of(message: Any) -> dict[str, Any]:  # noqa: ANN401 - a BaseMessage
    """Return one message as Chat Completions has it."""
    kind = str(getattr(message, "type", "") or "")
    role = str(getattr(message, "role", "")) if kind == "chat" else _ROLES.get(kind, kind)
    calls = [
        {
            "id": call.get("id"),
            "type": "function",
            "function": {"name": call.get("name"), "arguments": _arguments(call.get("args"))},
        }
        for call in getattr(message, "tool_calls", None) or ()
    ]
    found: dict[str, Any] = {
        "role": role,
        "content": _content(getattr(message, "content", None), has_calls=bool(calls)),
    }
    if calls:
        found["tool_calls"] = calls
    for name in ("tool_call_id", "name"):
        value = getattr(message, name, None)
        if value and not (name == "name" and role == "assistant"):
            found[name] = value
    extra = _mapping(getattr(message, "additional_kwargs", None))
    for name in ("reasoning_content", "refusal"):
        if isinstance(extra.get(name), str):
            found[name] = extra[name]
    return found


def _arguments(given: object) -> object:
    """Return a call's arguments as JSON text, as the API has them; what no JSON can say stays as it is."""
    try:
        return json.dumps(given)
    except (TypeError, ValueError, RecursionError):
        return given


def _content(content: object, *, has_calls: bool) -> object:
    if not isinstance(content, list):
        return content
    blocks: list[object] = []
    for block in cast("list[object]", content):
        told = _mapping(block)
        kind = str(told.get("type", ""))
        if has_calls and kind.startswith(_CALL_BLOCKS):
            continue
        is_reasoning = kind == "reasoning" and isinstance(told.get("reasoning"), str)
        blocks.append({"type": "thinking", "thinking": told["reasoning"]} if is_reasoning else block)
    return blocks


def answer_attributes(result: Any) -> dict[str, Any]:  # noqa: ANN401 - an LLMResult, or what a failed call left
    """Return the span attributes of a result; its content is left out where none is to be told."""
    choices = [generation for generations in getattr(result, "generations", None) or () for generation in generations]
    if not any(map(_says, choices)):
        return {}
    output = _mapping(getattr(result, "llm_output", None))
    first = getattr(choices[0], "message", None)
    metadata = {**output, **_mapping(getattr(first, "response_metadata", None))}
    found = model_io.read_response(
        {
            "object": "chat.completion",
            "id": _response_id(first, metadata),
            "model": next((str(name) for name in _named(metadata, "model_name", "model", "model_id")), None),
            "choices": [_choice(choice) for choice in choices],
            "usage": _usage(getattr(first, "usage_metadata", None), output),
        }
    )
    if not spans.captures_content():
        found = {name: value for name, value in found.items() if not name.endswith(".messages")}
    return found


def _says(generation: Any) -> bool:  # noqa: ANN401 - a Generation
    """Tell an answer from the empty one that a failed call leaves."""
    message = getattr(generation, "message", None)
    told = (getattr(message, "content", None), getattr(message, "tool_calls", None), getattr(generation, "text", None))
    return any(told) or bool(getattr(message, "response_metadata", None))


def _choice(generation: Any) -> dict[str, Any]:  # noqa: ANN401 - a Generation
    message = getattr(generation, "message", None)
    told = {
        **_mapping(getattr(message, "response_metadata", None)),
        **_mapping(getattr(generation, "generation_info", None)),
    }
    reason = next(iter(_named(told, "finish_reason", "stop_reason", "stopReason", "done_reason")), None)
    if reason is None and _mapping(told.get("incomplete_details")):
        reason = told["incomplete_details"].get("reason")
    if reason is None and told.get("status") == "completed":
        reason = "tool_calls" if getattr(message, "tool_calls", None) else "stop"
    choice: dict[str, Any] = {"finish_reason": None if reason is None else str(reason)}
    if message is None:
        return {**choice, "text": str(getattr(generation, "text", ""))}
    return {**choice, "message": {**message_of(message), "role": "assistant"}}


def _response_id(message: object, metadata: Mapping[str, Any]) -> str | None:
    named = next(iter(_named(metadata, "id", "response_id")), None)
    own = getattr(message, "id", None)
    if named is None and isinstance(own, str) and not own.startswith(_OWN_IDS):
        named = own
    return None if named is None else str(named)


def _usage(usage: object, output: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the usage as Chat Completions has it; LangChain counts cached tokens as input, as the convention does."""
    told = _mapping(usage)
    if not told:
        return dict(_mapping(output.get("token_usage") or output.get("usage"))) or None
    given, made = _mapping(told.get("input_token_details")), _mapping(told.get("output_token_details"))
    return {
        "input_tokens": told.get("input_tokens"),
        "output_tokens": told.get("output_tokens"),
        "input_tokens_details": {
            "cached_tokens": given.get("cache_read"),
            "cache_write_tokens": given.get("cache_creation"),
        },
        "output_tokens_details": {"reasoning_tokens": made.get("reasoning")},
    }


# -- agents ------------------------------------------------------------------------------------------------------


def messages_given(inputs: object) -> list[dict[str, Any]] | str | None:
    """Return what an agent was asked: the messages of its state, else the state as text; None if there is none."""
    told = _messages_in(inputs)
    if told:
        return read_messages(told)
    return None if inputs is None or inputs == {} else _text(inputs)


def messages_made(outputs: object) -> list[dict[str, Any]] | str | None:
    """Return what an agent answered: the last message of its state, else the state as text; None if there is none."""
    told = _messages_in(outputs)
    if told:
        return read_messages(told[-1:])
    return None if outputs is None or outputs == {} else _text(outputs)


def read_messages(messages: Iterable[Any]) -> list[dict[str, Any]]:
    """Return messages in the shape of gen_ai.input.messages."""
    return read_request({"messages": [message_of(message) for message in messages]}).messages or []


read_request = model_io.read_request


def _messages_in(state: object) -> list[Any]:
    """Return the messages of a state, or of what stands for one; empty if it has none."""
    found: Any = state
    if isinstance(state, Mapping):
        found = _mapping(state).get("messages")  # pyright: ignore[reportUnknownArgumentType]
    elif not isinstance(state, (list, tuple)):
        found = getattr(state, "messages", state)
    told: list[Any] = list(found) if isinstance(found, (list, tuple)) else [found]  # pyright: ignore[reportUnknownArgumentType]
    return [message for message in told if _is_message(message)]


def _is_message(value: object) -> bool:
    return any(kind.__name__ == "BaseMessage" for kind in type(value).__mro__)


def _text(value: object) -> str:
    return spans.content_text(value) or ""


def tool_result(output: Any) -> tuple[object, bool, str | None]:  # noqa: ANN401 - whatever a tool gives
    """Return (a tool's result, whether it says that the tool failed, the id of the call)."""
    if not _is_message(output):
        return output, False, None
    return output.content, getattr(output, "status", "") == "error", getattr(output, "tool_call_id", None)


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _named(values: Mapping[str, Any], *names: str) -> list[Any]:
    return [values[name] for name in names if values.get(name) is not None]
