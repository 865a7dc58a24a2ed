"""Spans -> timeline events: which event a span opens with, which one closes it, and the points between.

Comes in: names and attributes already redacted. Goes out: event type and ``data`` as JSON text, long values cut. Pure;
called by `processor`. The shapes of ``data`` are those that agent-strace's readers show (README, "Session folder").
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from typing import Any, Literal, cast

from agent_trace_otel import semconv
from agent_trace_otel.store.lines import OVER_MCP

Kind = Literal["session", "agent", "tool", "model", "resource", "generic"]
Attributes = Mapping[str, Any]

_MCP_KINDS: dict[str, Kind] = {"tools/call": "tool", "resources/read": "resource", "sampling/createMessage": "model"}
_KINDS: dict[str, Kind] = {semconv.EXECUTE_TOOL: "tool", **dict.fromkeys(semconv.MODEL_OPERATIONS, "model")}
_PREVIEW = 500
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_dumps = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def tail(trace_id: str, span_id: str, parent_span_id: str, agent: str, *, is_mcp: bool = False) -> str:
    """Return the members that close every ``data`` object, comma first: where the event stands.

    Ids are lower-case hex; ``agent`` names the sub-agent that the span belongs to, if it is not the main one.
    ``is_mcp`` marks a call over MCP, which readers may find told by the agent too (`store.repeated`).
    """
    of_agent = f',"agent":{encode_basestring_ascii(agent)}' if agent else ""
    parent = f',"parent_span_id":"{parent_span_id}"' if parent_span_id else ""
    mark = OVER_MCP if is_mcp else ""
    return f'{of_agent}{mark},"trace_id":"{trace_id}","span_id":"{span_id}"{parent}}}'


def with_tail(data: Mapping[str, Any], tail: str) -> str:
    """Return a ``data`` object as JSON text; members that are None are left out."""
    body = _dumps({key: _plain(value) for key, value in data.items() if value is not None})[1:-1]
    return f"{{{body}{tail}" if body else f"{{{tail[1:]}"


def kind_of(attributes: Attributes) -> Kind:
    """Tell what a span stands for by its operation; "generic" is anything that is no agent's doing."""
    method = attributes.get(semconv.MCP_METHOD_NAME)
    if method is not None:
        return _MCP_KINDS.get(str(method), "agent")
    operation = attributes.get(semconv.OPERATION_NAME)
    kind = _KINDS.get(operation) if isinstance(operation, str) else "generic"
    if kind is not None:
        return kind
    return "session" if attributes.get(semconv.SCOPE) == semconv.SCOPE_SESSION else "agent"


OPENING_ATTRIBUTES: Mapping[Kind, tuple[str, ...]] = {
    "session": (
        semconv.AGENT_NAME,
        semconv.PROCESS_COMMAND_ARGS,
        semconv.PROCESS_PID,
        semconv.PROCESS_START,
        semconv.BOOT_ID,
        semconv.HOST_NAME,
    ),
    "agent": (semconv.AGENT_NAME,),
    "tool": (semconv.TOOL_NAME, semconv.TOOL_CALL_ARGUMENTS),
    "model": (
        semconv.OPERATION_NAME,
        semconv.MCP_METHOD_NAME,
        semconv.REQUEST_MODEL,
        semconv.INPUT_MESSAGES,
        semconv.AGENT_NAME,
    ),
    "resource": (semconv.MCP_RESOURCE_URI,),
    "generic": (),
}
"""What `opening` reads, by kind; and whose call it is."""


CLOSING_ATTRIBUTES: Mapping[Kind, tuple[str, ...]] = {
    "session": (),
    "agent": (),
    "tool": (semconv.TOOL_NAME, semconv.TOOL_CALL_RESULT, semconv.ERROR_TYPE, semconv.OUTCOME),
    "model": (
        semconv.REQUEST_MODEL,
        semconv.RESPONSE_MODEL,
        semconv.RESPONSE_ID,
        semconv.OUTPUT_MESSAGES,
        semconv.PROVIDER_NAME,
        semconv.USAGE_INPUT_TOKENS,
        semconv.USAGE_OUTPUT_TOKENS,
        semconv.USAGE_CACHE_READ_INPUT_TOKENS,
        semconv.USAGE_CACHE_WRITE_INPUT_TOKENS,
        semconv.USAGE_REASONING_OUTPUT_TOKENS,
        semconv.COST,
        semconv.ERROR_TYPE,
        semconv.OUTCOME,
    ),
    "resource": (semconv.ERROR_TYPE, semconv.OUTCOME),
    "generic": (),
}
"""What `closing` reads of a span that another instrumentation made, by kind."""


def opening(
    kind: Kind, attributes: Attributes, tail: str, limit: int, *, is_json: bool = False
) -> tuple[str, str] | None:
    """Return (event type, data) of the event that a span opens with, None if its kind has none.

    ``limit`` is the number of characters after which a value is cut. ``is_json`` says that arguments are known to be a
    JSON object in one line.
    """
    if kind == "tool":
        name = encode_basestring_ascii(str(attributes.get(semconv.TOOL_NAME, "")))
        arguments = attributes.get(semconv.TOOL_CALL_ARGUMENTS)
        if not (is_json and type(arguments) is str and arguments[:1] == "{" and len(arguments) <= limit):
            arguments = _object_text(arguments, limit)
        return "tool_call", tool_call(name, ascii_json(arguments), tail)
    if kind == "model":
        model = encode_basestring_ascii(str(attributes.get(semconv.REQUEST_MODEL, "")))
        method = attributes.get(semconv.OPERATION_NAME) or attributes.get(semconv.MCP_METHOD_NAME, "")
        count = _message_count(attributes.get(semconv.INPUT_MESSAGES))
        counted = f',"message_count":{count}' if count is not None else ""
        return (
            "llm_request",
            f'{{"method":{encode_basestring_ascii(str(method))},"model":{model}{counted}{tail}',
        )
    if kind == "session":
        data = {
            "agent_name": str(attributes.get(semconv.AGENT_NAME, "")),
            "command": words(attributes.get(semconv.PROCESS_COMMAND_ARGS)),
            "pid": attributes.get(semconv.PROCESS_PID),
            "pid_start": attributes.get(semconv.PROCESS_START),
            "boot_id": attributes.get(semconv.BOOT_ID),
            "host": attributes.get(semconv.HOST_NAME),
        }
        return "session_start", with_tail(data, tail)
    if kind == "resource":
        return "file_read", with_tail({"uri": str(attributes.get(semconv.MCP_RESOURCE_URI, ""))}, tail)
    return None


@dataclass(frozen=True, slots=True)
class Failure:
    """What a span with status ERROR says of it."""

    message: str
    exception_type: str


def closing(  # noqa: PLR0913 - what an ended span is made of
    kind: Kind, attributes: Attributes, failure: Failure | None, duration_ms: float, tail: str, limit: int
) -> tuple[str, str] | None:
    """Return (event type, data) of the one event that closes a span, None if its kind has none."""
    if kind == "session":
        data: dict[str, Any] = {
            "duration_ms": duration_ms,
            "exit_code": attributes.get(semconv.PROCESS_EXIT_CODE),
            "cost_usd": _amount(attributes.get(semconv.SESSION_COST)),
        }
        if failure is not None:
            data |= {"error": attributes.get(semconv.ERROR_TYPE), "message": cut_text(failure.message, limit)}
        return "session_end", with_tail(data, tail)
    if kind not in {"tool", "model", "resource"} or (kind == "resource" and failure is None):
        return None
    if failure is not None:
        return "error", with_tail(_error_data(kind, attributes, failure, limit), tail)
    outcome = attributes.get(semconv.OUTCOME)
    note = "" if outcome in (None, semconv.OUTCOME_OK) else f',"outcome":{encode_basestring_ascii(str(outcome))}'
    if kind == "tool":
        name = encode_basestring_ascii(str(attributes.get(semconv.TOOL_NAME, "")))
        result = attributes.get(semconv.TOOL_CALL_RESULT)
        text = "" if result is None else result if isinstance(result, str) else _dumps(_plain(result))
        shown = encode_basestring_ascii(cut_json_text(text, limit) if len(text) > limit else text)
        return "tool_result", tool_result(name, shown, note, tail)
    return "llm_response", with_tail(_response_data(attributes, outcome), tail)


def repeated(attributes: Attributes, told_by: str, tail: str) -> tuple[str, str]:
    """Return (event type, data) that closes a model call which turned out to be told already.

    ``told_by`` is the span id of the call that tells it. Tokens and costs are that one's.
    """
    model = attributes.get(semconv.RESPONSE_MODEL) or attributes.get(semconv.REQUEST_MODEL)
    return "llm_response", with_tail({"content_preview": "", "model": model, "duplicate_of": told_by}, tail)


def tool_call(name: str, arguments: str, tail: str) -> str:
    """Return the ``data`` of a tool_call from parts that are JSON already."""
    return f'{{"tool_name":{name},"arguments":{arguments}{tail}'


def tool_result(name: str, result: str, note: str, tail: str) -> str:
    """Return the ``data`` of a tool_result from parts that are JSON already."""
    return f'{{"tool_name":{name},"result":{result}{note}{tail}'


def _error_data(kind: Kind, attributes: Attributes, failure: Failure, limit: int) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if kind == "tool":
        data["tool_name"] = str(attributes.get(semconv.TOOL_NAME, ""))
    elif kind == "model":
        data["model"] = str(attributes.get(semconv.REQUEST_MODEL, ""))
    error = str(attributes.get(semconv.ERROR_TYPE) or failure.exception_type or "error")
    data |= {
        "error": error,
        "message": cut_text(failure.message or error, limit),
        "exception_type": failure.exception_type,
    }
    outcome = attributes.get(semconv.OUTCOME)
    if outcome not in (None, semconv.OUTCOME_ERROR):
        data["outcome"] = str(outcome)
    return data


def _response_data(attributes: Attributes, outcome: object) -> dict[str, Any]:
    tokens_in = _number(attributes.get(semconv.USAGE_INPUT_TOKENS))
    tokens_out = _number(attributes.get(semconv.USAGE_OUTPUT_TOKENS))
    data: dict[str, Any] = {
        "content_preview": cut_text(_text_of_messages(attributes.get(semconv.OUTPUT_MESSAGES)), _PREVIEW),
        "total_tokens": None if tokens_in is None and tokens_out is None else (tokens_in or 0) + (tokens_out or 0),
        "model": attributes.get(semconv.RESPONSE_MODEL) or attributes.get(semconv.REQUEST_MODEL),
        "input_tokens": tokens_in,
        "output_tokens": tokens_out,
        "cached_tokens": _number(attributes.get(semconv.USAGE_CACHE_READ_INPUT_TOKENS)),
        "cache_write_tokens": _number(attributes.get(semconv.USAGE_CACHE_WRITE_INPUT_TOKENS)),
        "reasoning_tokens": _number(attributes.get(semconv.USAGE_REASONING_OUTPUT_TOKENS)),
        "provider": attributes.get(semconv.PROVIDER_NAME),
        "response_id": attributes.get(semconv.RESPONSE_ID),
        "cost_usd": _amount(attributes.get(semconv.COST)),
    }
    if outcome not in (None, semconv.OUTCOME_OK):
        data["outcome"] = str(outcome)
    return data


def point(name: str, attributes: Attributes, limit: int) -> tuple[str, dict[str, Any]] | None:
    """Return (event type, data without its tail) of a span event, None for one that has no line."""
    get = attributes.get
    if name == semconv.USER_PROMPT_EVENT:
        source = get(semconv.PROMPT_SOURCE)
        prompt = {"prompt": cut_text(str(get(semconv.TEXT, "")), limit)}
        return "user_prompt", prompt if source is None else {**prompt, "source": str(source)}
    if name == semconv.ASSISTANT_RESPONSE_EVENT:
        return "assistant_response", {"text": cut_text(str(get(semconv.TEXT, "")), limit)}
    if name == semconv.DECISION_EVENT:
        return "decision", {
            "choice": cut_text(str(get(semconv.DECISION_CHOICE, "")), limit),
            "reason": cut_text(str(get(semconv.DECISION_REASON, "")), limit),
            "alternatives": [cut_text(word, limit) for word in words(get(semconv.DECISION_ALTERNATIVES))],
        }
    if name in (semconv.FILE_READ_EVENT, semconv.FILE_WRITE_EVENT):
        uri = str(get(semconv.FILE_PATH) or get(semconv.MCP_RESOURCE_URI) or "")
        told: dict[str, Any] = {"uri": uri, "mode": get(semconv.FILE_OPEN_MODE), "bytes": get(semconv.FILE_BYTES)}
        data = {key: value for key, value in told.items() if value is not None}
        return "file_read" if name == semconv.FILE_READ_EVENT else "file_write", data
    return None


def words(value: object) -> list[str]:
    """Return a command line as a list of words, whatever form it came in."""
    if value is None:
        return []
    return [str(word) for word in cast("list[object]", value)] if isinstance(value, (list, tuple)) else [str(value)]


def closing_id(span_id: str) -> str:
    """Return the event id of the event that closes a span."""
    return hashlib.sha256(f"{span_id}:end".encode("ascii")).hexdigest()[:12]


def point_id(span_id: str, time_ns: int, event_type: str, count: int) -> str:
    """Return the event id of a point event; ``count`` tells events of one type and time apart."""
    return hashlib.sha256(f"{span_id}\0{time_ns}\0{event_type}\0{count}".encode("ascii")).hexdigest()[:12]


def cut_text(text: str, limit: int) -> str:
    """Return at most ``limit`` characters with a mark that says how much is missing."""
    return text if len(text) <= limit else f"{text[:limit]}… [cut: {len(text) - limit} characters]"


def cut_json_text(text: str, limit: int) -> str:
    """Cut JSON text value by value, so that what is left is still JSON; other text is cut at ``limit``."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return cut_text(text, limit)
    if not isinstance(value, (dict, list)):
        return cut_text(text, limit)
    return _dumps(_cut(value, limit))


def _object_text(value: object, limit: int) -> str:
    """Return ``arguments`` as the text of a JSON object, cut structurally if it is long."""
    if value is None:
        return "{}"
    text = value if isinstance(value, str) else _dumps(_plain(value))
    odd = "NaN" in text or "Infinity" in text  # Python reads them as numbers, JSON has no such tokens
    try:
        parsed = json.loads(text, parse_constant=str) if odd else json.loads(text)
    except (ValueError, RecursionError):
        parsed = text
    if not isinstance(parsed, dict):
        return _dumps(_cut({"value": parsed}, limit))
    if len(text) > limit:
        return _dumps(_cut(parsed, limit))
    if odd or "\n" in text or "\r" in text:
        return _dumps(parsed)
    return ascii_json(text)


def ascii_json(text: str) -> str:
    """Escape a JSON text's non-ASCII characters: they stand inside its strings alone, where an escape says the same."""
    return text if text.isascii() else _NOT_ASCII.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return encode_basestring_ascii(match[0])[1:-1]


def _cut(value: Any, limit: int) -> Any:  # noqa: ANN401 - any JSON value
    """Cut a JSON value to about ``limit`` characters, keeping its shape; what is left out is marked."""
    if isinstance(value, str):
        return cut_text(value, limit)
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        share = max(limit // max(len(members), 1), 32)
        kept: dict[str, Any] = {}
        left = limit
        for key, item in members.items():
            if left <= 0:
                kept["…"] = f"[cut: {len(members) - len(kept)} members]"
                break
            kept[cut_text(key, limit)] = cut = _cut(item, max(share, left // 2))
            left -= len(key) + _size(cut)
        return kept
    if isinstance(value, list):
        whole = cast("Any", value)
        items: list[Any] = []
        left = limit
        for item in whole:
            if left <= 0:
                items.append(f"… [cut: {len(whole) - len(items)} items]")
                break
            items.append(_cut(item, left))
            left -= _size(items[-1])
        return items
    return value


def _size(value: object) -> int:
    return len(value) if isinstance(value, str) else len(_dumps(value))


def _plain(value: Any) -> Any:  # noqa: ANN401 - any attribute value
    """Turn an attribute value (tuples, mappings, bytes) into what JSON holds."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in cast("Mapping[object, object]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in cast("list[object]", value)]
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def _message_count(value: object) -> int | None:
    messages = _messages(value)
    return None if messages is None else len(messages)


def _text_of_messages(value: object) -> str:
    return "\n".join(_texts(_messages(value) or []))


def _texts(messages: list[Any]) -> Iterator[str]:
    for message in messages:
        for part in _list(_member(message, "parts")) or ():
            if _member(part, "type") == "text":
                yield str(_member(part, "content") or "")


def _messages(value: object) -> list[Any] | None:
    """Return the messages of gen_ai.input.messages or gen_ai.output.messages, JSON text or structured."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return _list(value)


def _list(value: object) -> list[Any] | None:
    return list(cast("list[Any]", value)) if isinstance(value, (list, tuple)) else None


def _member(value: object, name: str) -> object:
    return cast("Mapping[str, object]", value).get(name) if isinstance(value, Mapping) else None


def _number(value: object) -> int | None:
    amount = _amount(value)
    return None if amount is None else int(amount)


def _amount(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if math.isfinite(value) else None
