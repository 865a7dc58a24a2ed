"""What Amazon Bedrock takes and gives, in; the same in the shapes of Anthropic and OpenAI, which are read already, out.

Called by `request`, `response` and `bedrock_chunks`. Converse has one shape for every model: content blocks whose kind
is the member that is set. InvokeModel takes and gives each maker's own JSON; Amazon Nova's is that of Converse.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

from agent_trace_otel import semconv
from agent_trace_otel.model_io.fields import count_field, field, members, text_field

Known: TypeAlias = dict[str, Any]
"""A request, an answer or a part of one in a shape that the rest of the package reads."""

_MAX_TOKENS = ("maxTokens", "max_new_tokens", "maxTokenCount", "max_gen_len", "max_tokens", "max_tokens_to_sample")
_DOCUMENT_TYPES = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "html": "text/html",
    "csv": "text/csv",
}
_COHERE_ROLES = {"CHATBOT": "assistant", "SYSTEM": "system", "TOOL": "tool", "USER": "user"}


# -- asked -------------------------------------------------------------------------------------------------------


def request(arguments: object) -> tuple[Known, str] | None:
    """Return a call's arguments in a known shape, and its operation; None if they are not Bedrock's.

    Args:
        arguments: those of Converse, or of InvokeModel: ``body`` is the JSON text of the model's own request.
    """
    model = text_field(arguments, "modelId")
    if model is None:
        return None
    body = field(arguments, "body")
    if body is None:
        return _converse_request(model, arguments), semconv.CHAT
    asked = parsed(body)
    if field(asked, "messages") is not None:
        return _converse_request(model, asked), semconv.CHAT
    if field(asked, "message") is not None:
        return _cohere_request(model, asked), semconv.CHAT
    given = field(asked, "inputText", "texts", "inputImage", "images")
    if given is not None and field(asked, "textGenerationConfig") is None:
        return {"model": model, "input": given, **_settings(asked)}, semconv.EMBEDDINGS
    prompt = field(asked, "prompt", "inputText")
    config = field(asked, "textGenerationConfig")
    return {"model": model, "prompt": prompt, **_settings(asked), **_settings(config)}, semconv.TEXT_COMPLETION


def parsed(body: object) -> object:
    """Return the JSON value of a request's or an answer's bytes, None if they hold none; files are left alone."""
    if not isinstance(body, (str, bytes, bytearray)):
        return None
    try:
        return cast("object", json.loads(body))
    except (ValueError, RecursionError):
        return None


def _converse_request(model: str, asked: object) -> Known:
    system: Any = field(asked, "system")
    return {
        "model": model,
        "messages": [_message(message) for message in members(field(asked, "messages"))],
        "system": system if isinstance(system, str) else _blocks(system),
        **_settings(field(asked, "additionalModelRequestFields")),
        **_settings(asked),
        **_settings(field(asked, "inferenceConfig")),
    }


def _cohere_request(model: str, asked: object) -> Known:
    told = [
        {"role": _COHERE_ROLES.get(text_field(turn, "role") or "", "user"), "content": field(turn, "message")}
        for turn in members(field(asked, "chat_history"))
    ]
    said = {"role": "user", "content": field(asked, "message")}
    return {"model": model, "messages": [*told, said], "system": field(asked, "preamble"), **_settings(asked)}


def _settings(given: object) -> Known:
    found = {
        "temperature": field(given, "temperature"),
        "top_p": field(given, "topP", "top_p", "p"),
        "top_k": field(given, "topK", "top_k", "k"),
        "max_tokens": count_field(given, *_MAX_TOKENS),
        "stop_sequences": field(given, "stopSequences", "stop_sequences", "stop"),
        "seed": field(given, "seed"),
    }
    return {name: value for name, value in found.items() if value is not None}


# -- messages ----------------------------------------------------------------------------------------------------


def _message(message: object) -> object:
    content = field(message, "content")
    if not isinstance(content, (list, tuple)) or not isinstance(message, Mapping):
        return message
    return {**cast("Mapping[str, Any]", message), "content": _blocks(cast("object", content))}


def _blocks(content: object) -> list[object]:
    return [known for block in members(content) for known in _block(block)]


def _block(block: object) -> list[object]:
    """Return a content block of Converse in the shape of Anthropic's; one that says its type is a model's own."""
    if not isinstance(block, dict) or "type" in block:
        return [block]
    for kind, value in cast("dict[str, Any]", block).items():
        reader = _KINDS.get(kind)
        known = {"type": kind, kind: value} if reader is None else reader(value)
        if known is not None:
            return [known]
    return []


def _text(value: object) -> Known:
    return {"type": "text", "text": value}


def _tool_use(value: object) -> Known:
    return {
        "type": "server_tool_use" if field(value, "type") == "server_tool_use" else "tool_use",
        "id": field(value, "toolUseId"),
        "name": field(value, "name"),
        "input": field(value, "input"),
    }


def _tool_result(value: object) -> Known:
    given = members(field(value, "content"))
    content: object = _blocks(given)
    if len(given) == 1 and field(given[0], "json") is not None:
        content = field(given[0], "json")
    return {
        "type": "tool_result",
        "tool_use_id": field(value, "toolUseId"),
        "content": content,
        "is_error": field(value, "status") == "error",
    }


def _reasoning(value: object) -> Known | None:
    text = text_field(field(value, "reasoningText"), "text")
    return None if text is None else {"type": "thinking", "thinking": text}  # else it is encrypted


def _guarded(value: object) -> Known | None:
    text = text_field(field(value, "text"), "text")
    return None if text is None else _text(text)


def _cited(value: object) -> Known:
    return _text("".join(text_field(piece, "text") or "" for piece in members(field(value, "content"))))


def _image(value: object) -> Known:
    return _attached("image", value, f"image/{field(value, 'format')}")


def _video(value: object) -> Known:
    return _attached("video", value, f"video/{field(value, 'format')}")


def _audio(value: object) -> Known:
    return _attached("audio", value, f"audio/{field(value, 'format')}")


def _document(value: object) -> Known:
    return _attached("document", value, _DOCUMENT_TYPES.get(text_field(value, "format") or ""))


def _attached(kind: str, value: object, media_type: str | None) -> Known:
    source = field(value, "source")
    text = text_field(source, "text")
    if text is not None:
        return {"type": kind, "source": {"type": "text", "data": text}}
    stored = text_field(field(source, "s3Location"), "uri")
    return {"type": kind, "source": {"media_type": media_type, "data": field(source, "bytes"), "url": stored}}


def _nothing(_value: object) -> None:
    return None


_KINDS: Mapping[str, Callable[[object], Known | None]] = {
    "text": _text,
    "toolUse": _tool_use,
    "toolResult": _tool_result,
    "reasoningContent": _reasoning,
    "guardContent": _guarded,
    "citationsContent": _cited,
    "image": _image,
    "video": _video,
    "audio": _audio,
    "document": _document,
    "cachePoint": _nothing,
}


# -- answered ----------------------------------------------------------------------------------------------------


def answer(result: object) -> Known | None:
    """Return an answer in a known shape, None if it has none of Bedrock's own.

    Args:
        result: what Converse returned, or the parsed JSON of what InvokeModel did. The answers of Anthropic's models,
            and of those that answer as OpenAI's do, are known as they are.
    """
    return _answer(cast("dict[str, Any]", result)) if isinstance(result, dict) else None


def _answer(result: dict[str, Any]) -> Known | None:
    message = field(field(result, "output"), "message")
    if message is not None:
        return {
            "type": "message",
            "role": "assistant",
            "content": _blocks(field(message, "content")),
            "stop_reason": text_field(result, "stopReason"),
            "usage": _converse_usage(field(result, "usage")),
        }
    for read in (_titan, _llama, _mistral, _cohere_chat, _cohere_generations, _anthropic_completion, _vectors):
        known = read(result)
        if known is not None:
            return known
    return None


def _converse_usage(usage: object) -> Known:
    return {
        "input_tokens": count_field(usage, "inputTokens"),  # without those that the cache was asked about
        "output_tokens": count_field(usage, "outputTokens"),
        "cache_read_input_tokens": count_field(usage, "cacheReadInputTokens", "cacheReadInputTokenCount"),
        "cache_creation_input_tokens": count_field(usage, "cacheWriteInputTokens", "cacheWriteInputTokenCount"),
    }


def completion(texts: list[tuple[str, str | None]], given: int | None, made: int | None, **known: object) -> Known:
    """Return (text, reason to stop) pairs in the shape of OpenAI's legacy completions; reasons in lower case."""
    choices = [{"text": text, "finish_reason": None if reason is None else reason.lower()} for text, reason in texts]
    usage = {"prompt_tokens": given, "completion_tokens": made}
    return {"object": "text_completion", "choices": choices, "usage": usage, **known}


def _titan(result: object) -> Known | None:
    made = members(field(result, "results"))
    if not made or text_field(made[0], "outputText") is None:
        return None
    texts = [(text_field(one, "outputText") or "", text_field(one, "completionReason")) for one in made]
    tokens = sum(count_field(one, "tokenCount") or 0 for one in made)
    return completion(texts, count_field(result, "inputTextTokenCount"), tokens)


def _llama(result: object) -> Known | None:
    text = text_field(result, "generation")
    if text is None:
        return None
    counts = count_field(result, "prompt_token_count"), count_field(result, "generation_token_count")
    return completion([(text, text_field(result, "stop_reason"))], *counts)


def _mistral(result: object) -> Known | None:
    made = [(text_field(one, "text"), text_field(one, "stop_reason")) for one in members(field(result, "outputs"))]
    texts = [(text, reason) for text, reason in made if text is not None]
    return completion(texts, None, None) if texts else None


def _cohere_chat(result: object) -> Known | None:
    text = text_field(result, "text")
    if text is None or field(result, "generation_id", "chat_history") is None:
        return None
    called = [
        {"function": {"name": field(call, "name"), "arguments": field(call, "parameters")}}
        for call in members(field(result, "tool_calls"))
    ]
    reason = text_field(result, "finish_reason")
    message = {"role": "assistant", "content": text, "tool_calls": called}
    return {
        "object": "chat.completion",
        "id": text_field(result, "response_id", "generation_id"),
        "choices": [{"message": message, "finish_reason": None if reason is None else reason.lower()}],
    }


def _cohere_generations(result: object) -> Known | None:
    made = members(field(result, "generations"))
    texts = [(text_field(one, "text"), text_field(one, "finish_reason")) for one in made]
    found = [(text, reason) for text, reason in texts if text is not None]
    return completion(found, None, None, id=text_field(result, "id")) if found else None


def _anthropic_completion(result: object) -> Known | None:
    text = text_field(result, "completion")
    return None if text is None else completion([(text, text_field(result, "stop_reason"))], None, None)


def _vectors(result: object) -> Known | None:
    """Read the embeddings of Titan (one) and Cohere (many, by type where several are asked for)."""
    vector = field(result, "embedding")
    if vector is None:
        many = field(result, "embeddings")
        kept = next(iter(cast("dict[str, Any]", many).values()), None) if isinstance(many, dict) else many
        vector = next(iter(members(kept)), None)
    if not isinstance(vector, (list, tuple)):
        return None
    usage = {"prompt_tokens": count_field(result, "inputTextTokenCount")}
    return {"object": "list", "data": [{"embedding": cast("object", vector)}], "usage": usage}
