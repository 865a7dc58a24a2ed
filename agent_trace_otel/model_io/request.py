"""The arguments of a model call, by name, in; model, provider, operation, messages and gen_ai.request.* out.

Called by the decorators and the instrumentors before the call runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING, Any

from agent_trace_otel import semconv
from agent_trace_otel.model_io import bedrock
from agent_trace_otel.model_io.fields import (
    count_field,
    field,
    google_count,
    google_field,
    google_text,
    members,
    text_field,
)
from agent_trace_otel.model_io.messages import Message, fitted, read_messages
from agent_trace_otel.model_io.parts import Part, read_parts

if TYPE_CHECKING:
    from collections.abc import Mapping

_NUMBERS = (
    (semconv.REQUEST_TEMPERATURE, "temperature"),
    (semconv.REQUEST_TOP_P, "top_p"),
    (semconv.REQUEST_FREQUENCY_PENALTY, "frequency_penalty"),
    (semconv.REQUEST_PRESENCE_PENALTY, "presence_penalty"),
)
_MAX_TOKENS = ("max_completion_tokens", "max_tokens", "max_tokens_to_sample", "num_predict")
_EXACT = 1 << 53  # whole numbers below it are the same as floats
_JSON_FORMATS = frozenset({"json_schema", "json_object", "application/json"})
_TEXT_FORMATS = frozenset({"text", "text/plain"})

# How routers spell a provider before the slash, and the names that only one provider gives its models.
_ROUTES = {
    "anthropic": "anthropic",
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "gemini": "gcp.gemini",
    "groq": "groq",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "openai": "openai",
    "perplexity": "perplexity",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
_BEDROCK_MODEL = re.compile(r"(?:(?:us|eu|apac|global)\.)?(?:ai21|amazon|anthropic|cohere|deepseek|meta|mistral)\.")
_MODEL_NAMES = (
    (re.compile(r"gpt-(?!oss)|chatgpt|o[1-9](?:-|$)|text-embedding-[3a]|davinci|babbage|ft:gpt"), "openai"),
    (re.compile(r"claude"), "anthropic"),
    (re.compile(r"gemini|text-embedding-00"), "gcp.gen_ai"),
    (re.compile(r"mistral-|codestral|ministral|pixtral|magistral"), "mistral_ai"),
    (re.compile(r"deepseek-(?:chat|reasoner)"), "deepseek"),
    (re.compile(r"grok-"), "x_ai"),
    (re.compile(r"command-"), "cohere"),
    (re.compile(r"sonar"), "perplexity"),
    (re.compile(r"kimi-|moonshot-"), "moonshot_ai"),
)
_COMPLETION_MODEL = re.compile(r"davinci|babbage|.*-instruct")


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One model call as it was asked for.

    Attributes:
        model: the model's name as given, None where there is none.
        provider: a value of gen_ai.provider.name, as far as the model's name or the call's shape tells.
        operation: a value of gen_ai.operation.name, one of ``semconv.MODEL_OPERATIONS``.
        messages: what was asked, in the shape of gen_ai.input.messages.
        system: instructions given beside the messages, in the shape of gen_ai.system_instructions.
        attributes: gen_ai.request.* other than the model, and gen_ai.output.type, with the convention's types.
    """

    model: str | None = None
    provider: str | None = None
    operation: str = semconv.CHAT
    messages: list[Message] | None = None
    system: list[Part] | None = None
    attributes: dict[str, Any] = dataclass_field(default_factory=dict[str, Any])


def read_request(arguments: Mapping[str, Any]) -> ModelRequest:
    """Read the arguments of a model call: a client's own, or those of a user's function named like them.

    Args:
        arguments: argument name -> value; a request body as parsed JSON will do.

    What isn't recognised is left out; nothing is raised.
    """
    try:
        return _read(arguments)
    except Exception:  # noqa: BLE001 - values of the user's, read before the user's call runs
        return ModelRequest()


def _read(arguments: Mapping[str, Any]) -> ModelRequest:
    translated = bedrock.request(arguments)
    if translated is not None:
        known, operation = translated
        return replace(_read(known), provider="aws.bedrock", operation=operation)
    model = text_field(arguments, "model", "model_name", "model_id")
    contents = field(arguments, "contents")
    asked = field(arguments, "messages", "contents", "input", "prompt")
    config = google_field(arguments, "generation_config")
    config = field(arguments, "config") if config is None else config
    system = field(arguments, "system", "instructions", "system_prompt")
    for owner in (arguments, config):
        system = google_field(owner, "system_instruction") if system is None else system
    messages = read_messages(asked)
    instructions = {"role": "system", "parts": read_parts(system)}
    return ModelRequest(
        model=model,
        provider=_provider(model) or (None if contents is None else "gcp.gen_ai"),
        operation=_operation(arguments, model),
        messages=None if messages is None else fitted(messages),
        system=fitted([instructions])[0]["parts"] or None,
        # Ollama has most of its settings in "options"
        attributes={**_attributes(field(arguments, "options")), **_attributes(config), **_attributes(arguments)},
    )


def _operation(arguments: Mapping[str, Any], model: str | None) -> str:
    if field(arguments, "messages") is not None:
        return semconv.CHAT
    if field(arguments, "contents") is not None:
        return semconv.GENERATE_CONTENT
    if field(arguments, "input") is not None:
        embeds = "embed" in (model or "") or field(arguments, "encoding_format", "dimensions") is not None
        return semconv.EMBEDDINGS if embeds else semconv.CHAT
    if field(arguments, "prompt") is not None and _COMPLETION_MODEL.match(model or ""):
        return semconv.TEXT_COMPLETION
    return semconv.CHAT


def _provider(model: str | None) -> str | None:
    if model is None:
        return None
    name = model.lower()
    route, slash, rest = name.partition("/")
    if slash and route in _ROUTES:
        return _ROUTES[route]
    if _BEDROCK_MODEL.match(name):
        return "aws.bedrock"
    if route in ("models", "publishers", "projects"):  # Google's resource names
        name = rest.rpartition("/")[2]
    return next((provider for names, provider in _MODEL_NAMES if names.match(name)), None)


def _attributes(given: object) -> dict[str, Any]:
    """Return the request attributes that ``given`` holds: the arguments, or Google's config object."""
    found: dict[str, Any] = {key: _number(google_field(given, name)) for key, name in _NUMBERS}
    most = count_field(given, *_MAX_TOKENS)
    found[semconv.REQUEST_MAX_TOKENS] = google_count(given, "max_output_tokens") if most is None else most
    found[semconv.REQUEST_TOP_K] = _whole(google_field(given, "top_k"))
    found[semconv.REQUEST_SEED] = count_field(given, "seed")
    found[semconv.REQUEST_STOP_SEQUENCES] = _stop_sequences(given)
    found[semconv.REQUEST_STREAM] = True if field(given, "stream") is True else None  # convention: only when streaming
    choices = count_field(given, "n")
    choices = google_count(given, "candidate_count") if choices is None else choices
    found[semconv.REQUEST_CHOICE_COUNT] = None if choices == 1 else choices  # convention: only when not 1
    encoding = text_field(given, "encoding_format")
    found[semconv.REQUEST_ENCODING_FORMATS] = None if encoding is None else (encoding,)
    found[semconv.REQUEST_PREVIOUS_RESPONSE_ID] = text_field(given, "previous_response_id")
    found[semconv.REQUEST_REASONING_LEVEL] = _reasoning_level(given)
    found[semconv.OUTPUT_TYPE] = _output_type(given)
    return {key: value for key, value in found.items() if value is not None}


def _number(value: object) -> float | None:
    if isinstance(value, float):
        return float(value)
    return float(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _EXACT else None


def _whole(value: object) -> int | None:
    number = _number(value)  # Google's clients type top_k as a float
    return int(number) if number is not None and number.is_integer() else None


def _stop_sequences(given: object) -> tuple[str, ...] | None:
    stop = field(given, "stop")
    stop = google_field(given, "stop_sequences") if stop is None else stop
    words = [stop] if isinstance(stop, str) else members(stop)
    return tuple(str.__str__(word) for word in words if isinstance(word, str)) or None


def _reasoning_level(given: object) -> str | None:
    return (
        text_field(given, "reasoning_effort")
        or text_field(field(given, "reasoning", "output_config"), "effort")
        or google_text(google_field(given, "thinking_config"), "thinking_level")
    )


def _output_type(given: object) -> str | None:
    asked = field(given, "response_format", "text_format")
    if _asks_for_json(field(given, "format")):
        return "json"
    if isinstance(asked, type):  # a class to parse the answer into
        return "json"
    if asked is None:
        asked = field(field(given, "text", "output_config"), "format")
    name = text_field(asked, "type") or google_text(given, "response_mime_type")
    if name in _JSON_FORMATS:
        return "json"
    return "text" if name in _TEXT_FORMATS else None


def _asks_for_json(format_: object) -> bool:
    """Read Ollama's way to ask for it: the word, or the schema itself."""
    return format_ == "json" or isinstance(format_, dict)
