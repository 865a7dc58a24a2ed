"""What a model call returned, in; gen_ai.response.*, gen_ai.usage.* and gen_ai.output.messages out.

Called by the decorators and the instrumentors when a call has returned, and by `chunks` for a stream put together.
"""

from __future__ import annotations

from typing import Any

from agent_trace_otel import semconv
from agent_trace_otel.content import to_json
from agent_trace_otel.model_io import bedrock, ollama
from agent_trace_otel.model_io.fields import (
    SCALARS,
    count_field,
    field,
    google_count,
    google_field,
    google_text,
    members,
    text_field,
)
from agent_trace_otel.model_io.messages import (
    Message,
    answer,
    fitted,
    google_finish_reason,
    message_parts,
    output_message,
)
from agent_trace_otel.model_io.parts import Part, read_parts, text_part

_TOKENS = frozenset(
    {
        semconv.USAGE_INPUT_TOKENS,
        semconv.USAGE_OUTPUT_TOKENS,
        semconv.USAGE_CACHE_READ_INPUT_TOKENS,
        semconv.USAGE_CACHE_WRITE_INPUT_TOKENS,
        semconv.USAGE_REASONING_OUTPUT_TOKENS,
    }
)


def read_response(result: object) -> dict[str, Any]:
    """Return the span attributes of a model's answer, ``{}`` for what isn't recognised; never raises.

    Args:
        result: a client's response object or the same as parsed JSON; one assistant message of it; or the text.

    gen_ai.response.finish_reasons holds the provider's own words (Google's in lower case), finish_reason in the
    messages the convention's. gen_ai.usage.input_tokens holds all input tokens, cached ones included: Anthropic reports
    them apart (convention, Anthropic: input_tokens + cache_read + cache_write), Google what its tools put in.
    """
    try:
        return _read(result)
    except Exception:  # noqa: BLE001 - values of the user's, read where the user waits for them
        return {}


def read_failure(result: object) -> tuple[str, str] | None:
    """Return the provider's code and text of a failure that came as an answer, None for an answer; never raises.

    Responses that failed after they had begun, and servers and gateways that send an error with status 200.
    """
    try:
        return _read_failure(result)
    except Exception:  # noqa: BLE001 - as above
        return None


def _read_failure(result: object) -> tuple[str, str] | None:
    error = field(result, "error")
    if error is None or isinstance(error, bool) or members(field(result, "choices", "data")):
        return None
    if isinstance(error, str):
        return "error", str.__str__(error)
    message = text_field(error, "message")
    code = field(error, "code", "type")
    if message is None and code is None:
        return None
    return (str(code) if isinstance(code, (str, int)) else "error"), message or ""


def _read(result: object) -> dict[str, Any]:
    if isinstance(result, str):
        return _messages([answer([text_part(str.__str__(result))], "stop")])
    if isinstance(result, SCALARS):
        return {}
    for read in (_openai_choices, _anthropic, _openai_response, _google, _embeddings, _google_embeddings):
        found = read(result)
        if found:
            # a server that counts fewer tokens than none has not counted
            return {k: v for k, v in found.items() if v is not None and not (k in _TOKENS and v < 0)}
    for translate in (ollama.answer, bedrock.answer):
        known = translate(result)
        if known is not None:
            return _read(known)
    return _assistant_message(result)


def _messages(messages: list[Message]) -> dict[str, Any]:
    return {semconv.OUTPUT_MESSAGES: to_json(fitted(messages))} if messages else {}


def _finish_reasons(reasons: list[str | None]) -> tuple[str, ...] | None:
    """Return one reason a choice, ``error`` for a missing one; None if none has come yet, as in a stream cut short."""
    if not any(reasons):
        return None
    return tuple(reason or "error" for reason in reasons)


# -- OpenAI ------------------------------------------------------------------------------------------------------


def _openai_choices(result: object) -> dict[str, Any]:
    """Read a chat completion or a legacy completion."""
    reasons: list[str | None] = []
    messages: list[Message] = []
    for choice in members(field(result, "choices")):
        reason = text_field(choice, "finish_reason")
        message = field(choice, "message")
        text = text_field(choice, "text")
        if text is not None:
            messages.append(answer([text_part(text)], reason))
        elif text_field(message, "role", "content") is not None:  # not every server names the role
            messages.append(output_message(message, reason))
        else:
            continue
        reasons.append(reason)
    if not messages and not (text_field(result, "object") or "").startswith(("chat.completion", "text_completion")):
        return {}
    return {
        semconv.RESPONSE_ID: text_field(result, "id"),
        semconv.RESPONSE_MODEL: text_field(result, "model"),
        semconv.RESPONSE_FINISH_REASONS: _finish_reasons(reasons),
        **_openai_usage(field(result, "usage")),
        **_messages(messages),
    }


def _openai_usage(usage: object) -> dict[str, Any]:
    """Read the usage of Chat Completions and embeddings (prompt, completion) or of Responses (input, output).

    Servers that speak the protocol put what it has no place for beside the totals: DeepSeek, Moonshot, Writer.
    """
    given = field(usage, "input_tokens_details", "prompt_tokens_details")
    made = field(usage, "output_tokens_details", "completion_tokens_details")
    cached = count_field(given, "cached_tokens")
    thought = count_field(made, "reasoning_tokens")
    return {
        semconv.USAGE_INPUT_TOKENS: count_field(usage, "input_tokens", "prompt_tokens"),
        semconv.USAGE_OUTPUT_TOKENS: count_field(usage, "output_tokens", "completion_tokens"),
        semconv.USAGE_CACHE_READ_INPUT_TOKENS: (
            count_field(usage, "prompt_cache_hit_tokens", "cached_tokens") if cached is None else cached
        ),
        semconv.USAGE_CACHE_WRITE_INPUT_TOKENS: count_field(given, "cache_write_tokens"),
        semconv.USAGE_REASONING_OUTPUT_TOKENS: count_field(usage, "reasoning_tokens") if thought is None else thought,
    }


def _openai_response(result: object) -> dict[str, Any]:
    """Read a response of the Responses API; all its output items together are one generation."""
    if text_field(result, "object") != "response":
        return {}
    parts = [part for item in members(field(result, "output")) for part in _item_parts(item)]
    reason = _response_reason(result, parts)
    return {
        semconv.RESPONSE_ID: text_field(result, "id"),
        semconv.RESPONSE_MODEL: text_field(result, "model"),
        semconv.RESPONSE_FINISH_REASONS: _finish_reasons([reason]),
        **_openai_usage(field(result, "usage")),
        **_messages([answer(parts, reason)] if parts else []),
    }


def _item_parts(item: object) -> list[Part]:
    return message_parts(item) if text_field(item, "type") == "message" else read_parts(item)


def _response_reason(result: object, parts: list[Part]) -> str | None:
    """Return why a response stopped, in the words of Chat Completions where Responses has none."""
    status = text_field(result, "status")
    if status == "completed":
        return "tool_calls" if any(part["type"] == "tool_call" for part in parts) else "stop"
    if status == "incomplete":
        return text_field(field(result, "incomplete_details"), "reason") or "length"
    return status if status in ("failed", "cancelled") else None


def _embeddings(result: object) -> dict[str, Any]:
    data = members(field(result, "data"))
    vector = field(data[0], "embedding") if data else None
    if vector is None or text_field(result, "object") != "list":
        return {}
    return {
        semconv.RESPONSE_MODEL: text_field(result, "model"),
        semconv.EMBEDDINGS_DIMENSION_COUNT: len(members(vector)) or None,  # none of a vector in base64
        semconv.USAGE_INPUT_TOKENS: count_field(field(result, "usage"), "prompt_tokens"),
    }


# -- Anthropic ---------------------------------------------------------------------------------------------------


def _anthropic(result: object) -> dict[str, Any]:
    content = field(result, "content")
    if text_field(result, "type") != "message" or not isinstance(content, (list, tuple)):
        return {}
    if text_field(result, "role") != "assistant":
        return {}
    reason = text_field(result, "stop_reason")
    return {
        semconv.RESPONSE_ID: text_field(result, "id"),
        semconv.RESPONSE_MODEL: text_field(result, "model"),
        semconv.RESPONSE_FINISH_REASONS: _finish_reasons([reason]),
        **_anthropic_usage(field(result, "usage")),
        **_messages([output_message(result, reason)]),
    }


def _anthropic_usage(usage: object) -> dict[str, Any]:
    plain = count_field(usage, "input_tokens")
    read = count_field(usage, "cache_read_input_tokens")
    written = count_field(usage, "cache_creation_input_tokens")
    return {
        semconv.USAGE_INPUT_TOKENS: None if plain is None else plain + (read or 0) + (written or 0),
        semconv.USAGE_OUTPUT_TOKENS: count_field(usage, "output_tokens"),
        semconv.USAGE_CACHE_READ_INPUT_TOKENS: read,
        semconv.USAGE_CACHE_WRITE_INPUT_TOKENS: written,
        semconv.USAGE_REASONING_OUTPUT_TOKENS: count_field(field(usage, "output_tokens_details"), "thinking_tokens"),
    }


# -- Google ------------------------------------------------------------------------------------------------------


def _google(result: object) -> dict[str, Any]:
    reasons: list[str | None] = []
    messages: list[Message] = []
    for candidate in members(field(result, "candidates")):
        reason = google_finish_reason(candidate)
        content = field(candidate, "content")
        if reason is None and not isinstance(field(content, "parts"), (list, tuple)):
            continue
        reasons.append(reason)
        messages.append(output_message(content, reason))
    usage = _google_usage(google_field(result, "usage_metadata"))
    if not messages and usage[semconv.USAGE_INPUT_TOKENS] is None:
        return {}
    return {
        semconv.RESPONSE_ID: google_text(result, "response_id"),
        semconv.RESPONSE_MODEL: google_text(result, "model_version"),
        semconv.RESPONSE_FINISH_REASONS: _finish_reasons(reasons),
        **usage,
        **_messages(messages),
    }


def _google_usage(usage: object) -> dict[str, Any]:
    prompt = google_count(usage, "prompt_token_count")
    tools = google_count(usage, "tool_use_prompt_token_count")
    said = google_count(usage, "candidates_token_count")
    thought = google_count(usage, "thoughts_token_count")
    cached = google_count(usage, "cached_content_token_count")
    return {
        semconv.USAGE_INPUT_TOKENS: None if prompt is None else prompt + (tools or 0),
        semconv.USAGE_OUTPUT_TOKENS: None if said is None and thought is None else (said or 0) + (thought or 0),
        semconv.USAGE_CACHE_READ_INPUT_TOKENS: cached,
        semconv.USAGE_REASONING_OUTPUT_TOKENS: thought,
    }


def _google_embeddings(result: object) -> dict[str, Any]:
    vectors = members(field(result, "embeddings"))
    values = members(field(vectors[0], "values")) if vectors else None
    if not values:
        return {}
    counts = [google_field(field(vector, "statistics"), "token_count") for vector in vectors]
    counted = [int(count) for count in counts if isinstance(count, (int, float))]
    total = google_count(google_field(result, "usage_metadata"), "prompt_token_count")
    return {
        semconv.EMBEDDINGS_DIMENSION_COUNT: len(values),
        semconv.USAGE_INPUT_TOKENS: sum(counted) if total is None and counted else total,
    }


# -- anything else -----------------------------------------------------------------------------------------------


def _assistant_message(result: object) -> dict[str, Any]:
    """Read a message taken out of its response, as functions around a client like to return it."""
    if text_field(result, "role") not in ("assistant", "model"):
        return {}
    parts = message_parts(result)
    called = any(part["type"] == "tool_call" for part in parts)
    return _messages([answer(parts, "tool_calls" if called else "stop")]) if parts else {}
