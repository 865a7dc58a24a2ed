"""Spans of the OpenAI Agents SDK -> what our spans say of the same.

Comes in: the SDK's span data, at its start and at its end, and the arguments of the model's method. Goes out: requests
as `model_io` reads them, attributes, outcomes. Duck-typed: the SDK is never imported. Called by `openai_agents`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from agent_trace_otel import model_io, semconv, spans

_SETTINGS: Final = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "max_tokens", "reasoning")
_NOT_OF_NAMES: Final = re.compile(r"[^a-zA-Z0-9_]")
_ERROR: Final = "error"
_NO_ID: Final = "__fake_id__"
"""What the SDK calls a response that it has put together from chunks."""


def request_of(model: object, arguments: Mapping[str, Any], *, streams: bool) -> dict[str, Any]:
    """Return what a model is asked, as its API has it: Responses has instructions, the others a system message.

    Args:
        model: the SDK's model object.
        arguments: of its get_response or stream_response, by name.
        streams: whether it is the latter.
    """
    is_responses = type(model).__module__.endswith("openai_responses")
    settings = arguments.get("model_settings")
    request: dict[str, Any] = {
        name: getattr(settings, name) for name in _SETTINGS if getattr(settings, name, None) is not None
    }
    name = getattr(model, "model", None)
    request |= {"model": str(name) if name else None, "messages": arguments.get("input")}
    instructions = arguments.get("system_instructions")
    if instructions and not is_responses:
        request["messages"] = [{"role": "system", "content": instructions}, *_as_messages(arguments.get("input"))]
    elif instructions:
        request["instructions"] = instructions
    if arguments.get("previous_response_id"):
        request["previous_response_id"] = arguments["previous_response_id"]
    return {**request, "stream": True} if streams else request


def _as_messages(given: object) -> Sequence[object]:
    return [{"role": "user", "content": given}] if isinstance(given, str) else cast("Sequence[object]", given or ())


def request_of_data(data: Any) -> dict[str, Any]:  # noqa: ANN401 - GenerationSpanData or ResponseSpanData
    """Return the same of a model that was called in a way of its own; what it was asked may come at the end."""
    config = getattr(data, "model_config", None)
    known = dict(cast("Mapping[str, Any]", config)) if isinstance(config, Mapping) else {}
    return {**known, "model": getattr(data, "model", None), "messages": getattr(data, "input", None)}


def answer_of(data: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    """Return the attributes of a model's answer: a Response, or messages and usage."""
    response = getattr(data, "response", None)
    found: dict[str, Any] = {}
    if response is not None:
        found = model_io.read_response(response)
    else:
        for item in cast("Sequence[Any]", getattr(data, "output", None) or ()):
            found |= model_io.read_response(item)
    usage = getattr(data, "usage", None)
    if isinstance(usage, Mapping) and semconv.USAGE_INPUT_TOKENS not in found:
        found |= model_io.read_response({"object": "chat.completion", "choices": [], "usage": cast("object", usage)})
    if found.get(semconv.RESPONSE_ID) == _NO_ID:
        del found[semconv.RESPONSE_ID]
    if not spans.captures_content():
        found.pop(semconv.OUTPUT_MESSAGES, None)
    return found


def failure_of(error: object) -> tuple[str, str]:
    """Return (error.type, message) of a SpanError; both empty where there is none."""
    if not isinstance(error, Mapping):
        return "", ""
    told = cast("Mapping[str, Any]", error)
    data = told.get("data")
    detail = cast("Mapping[str, Any]", data).get("error") if isinstance(data, Mapping) else None
    message = str(told.get("message") or _ERROR)
    return semconv.OUTCOME_ERROR, f"{message}: {detail}" if detail else message


def handoff_tool(to: object) -> str:
    """Return the name of the tool that hands over to an agent, as the SDK calls it unless it is told otherwise."""
    return _NOT_OF_NAMES.sub("_", f"transfer_to_{to or 'agent'}").lower()
