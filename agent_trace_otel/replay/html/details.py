"""One span, or the events of one call -> what the page shows of it when somebody looks closer.

Comes in: attributes of a RecordedSpan, or the data of events. Goes out: a JSON object of ``facts`` ([label, value]),
``parts`` (title, form, value) and ``attributes``, every text in it harmless. Pure; called by
`span_rows` and `event_rows`.

The forms of a part: ``text`` and ``error`` are plain text, ``prose`` is text with markdown in it, ``json`` any value,
``messages`` a list of messages (semantic conventions for generative AI, "Input messages"), ``edits`` a list of
{old, new}, ``patch`` the text of a patch.
"""

from __future__ import annotations

from agent_trace_otel import semconv
from agent_trace_otel.dialects import is_content
from agent_trace_otel.replay.html.readable import latest_messages, parsed, readable
from agent_trace_otel.store.lines import as_text, is_list, is_object, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from agent_trace_otel.replay.recorded_spans import RecordedSpan

    Detail: TypeAlias = dict[str, Any]
    Part: TypeAlias = dict[str, Any]

_FACTS = (
    ("Error", semconv.ERROR_TYPE),
    ("Exit code", semconv.PROCESS_EXIT_CODE),
    ("File", semconv.FILE_PATH),
    ("Lines read", semconv.LINES_READ),
    ("Lines added", semconv.LINES_ADDED),
    ("Lines removed", semconv.LINES_REMOVED),
    ("Agent", semconv.AGENT_NAME),
    ("Provider", semconv.PROVIDER_NAME),
    ("Model", semconv.RESPONSE_MODEL),
    ("Finish", semconv.RESPONSE_FINISH_REASONS),
    ("Input tokens", semconv.USAGE_INPUT_TOKENS),
    ("from cache", semconv.USAGE_CACHE_READ_INPUT_TOKENS),
    ("into cache", semconv.USAGE_CACHE_WRITE_INPUT_TOKENS),
    ("Output tokens", semconv.USAGE_OUTPUT_TOKENS),
    ("reasoning", semconv.USAGE_REASONING_OUTPUT_TOKENS),
    ("MCP method", semconv.MCP_METHOD_NAME),
    ("Directory", semconv.PROCESS_WORKING_DIRECTORY),
    ("Process", semconv.PROCESS_PID),
)
_IN_PARTS = frozenset(
    {
        semconv.TOOL_CALL_ARGUMENTS,
        semconv.TOOL_CALL_RESULT,
        semconv.INPUT_MESSAGES,
        semconv.OUTPUT_MESSAGES,
        semconv.SYSTEM_INSTRUCTIONS,
        semconv.MCP_PARAMS,
        semconv.MCP_RESULT,
    }
)
_SHOWN_ELSEWHERE = frozenset(  # as rows of their own, or as the error
    {
        semconv.EXCEPTION_EVENT,
        semconv.USER_PROMPT_EVENT,
        semconv.ASSISTANT_RESPONSE_EVENT,
        semconv.DECISION_EVENT,
        semconv.FILE_READ_EVENT,
        semconv.FILE_WRITE_EVENT,
    }
)
_SHOWN_BY_THE_PAGE = frozenset({"tool_name", "agent", "trace_id", "span_id", "parent_span_id", "outcome"})
_TEXTS = {"prompt": "prose", "text": "prose", "content_preview": "prose", "message": "error", "reason": "prose"}
_PATCH_STARTS = ("*** Begin Patch", "diff --git ")


def of_span(span: RecordedSpan) -> Detail:
    """Return the detail of an ended span."""
    get = span.told.get
    parts: list[Part] = []
    exceptions = [attributes for _, name, attributes in span.events if name == semconv.EXCEPTION_EVENT]
    messages = [span.message, *(text_of(found, semconv.EXCEPTION_MESSAGE) for found in exceptions)]
    parts += [_part("Error", "error", message) for message in dict.fromkeys(messages) if message]
    parts += _of_arguments("Arguments", get(semconv.TOOL_CALL_ARGUMENTS))
    parts += _of_value("Result", get(semconv.TOOL_CALL_RESULT))
    parts += _of_value("System", get(semconv.SYSTEM_INSTRUCTIONS))
    for title, name in (("Input", semconv.INPUT_MESSAGES), ("Output", semconv.OUTPUT_MESSAGES)):
        value = get(name)
        said = latest_messages(value) if isinstance(value, str) else value
        if is_list(said):
            parts += [_part(title, "messages", said)] if said else []
        else:
            parts += _of_value(title, value)
    parts += _of_value("Parameters", get(semconv.MCP_PARAMS))
    parts += _of_value("Answer", get(semconv.MCP_RESULT))
    events = [
        {"event": name, "after_ms": (time - span.start) / 1e6, **_with_values(attributes)}
        for time, name, attributes in span.events
        if name not in _SHOWN_ELSEWHERE
    ]
    for exception in exceptions:
        parts += _of_value("Stack trace", exception.get(semconv.EXCEPTION_STACKTRACE))
    if events:
        parts.append(_part("Span events", "json", events))
    if span.links:
        parts.append(_part("Links", "json", [{"trace_id": trace, "span_id": of} for trace, of in span.links]))
    is_read = any(name in span.told and name not in span.attributes for name in _IN_PARTS)
    attributes = {
        name: value
        for name, value in span.attributes.items()
        if name not in _IN_PARTS and not (is_read and is_content(name))
    }
    return {
        "facts": readable([[label, get(name)] for label, name in _FACTS if get(name) is not None]),
        "parts": parts,
        "attributes": readable({"name": span.name, **attributes, "trace_id": span.trace, "span_id": span.span}),
    }


def of_events(opening: dict[str, Any], closing: dict[str, Any]) -> Detail:
    """Return the detail of a call by the data of its events, either of which may be empty; or of a point event."""
    parts: list[Part] = []
    facts: list[list[Any]] = []
    for data in (closing, opening):
        for name, value in data.items():
            if name in _SHOWN_BY_THE_PAGE or value is None or value == "":
                continue
            if name == "exception_type" and value == data.get("error"):
                continue
            form = _TEXTS.get(name)
            if name == "arguments":
                parts += _of_arguments("Arguments", value)
            elif name == "result":
                parts += _of_value("Result", value)
            elif form is not None:
                part = _part("Error" if form == "error" else _title(name), form, as_text(value))
                parts.insert(0 if form == "error" else len(parts), part)
            elif is_object(value) or is_list(value):
                parts += _of_value(_title(name), value) if value else []
            else:
                facts.append([_title(name), value])
    ids = {name: text_of({**closing, **opening}, name) for name in ("trace_id", "span_id", "parent_span_id")}
    return {
        "facts": readable(facts),
        "parts": parts,
        "attributes": readable({name: value for name, value in ids.items() if value}),
    }


def _of_arguments(title: str, value: Any) -> list[Part]:  # noqa: ANN401 - JSON
    """Return the parts of a tool call's arguments; what it changes in a file is shown as a change."""
    arguments = parsed(value) if isinstance(value, str) else value
    if not is_object(arguments):
        return _of_value(title, value)
    rest = dict(arguments)
    parts: list[Part] = []
    edits = _edits(rest)
    if edits:
        parts.append(_part("Change", "edits", edits))
    for name, text in arguments.items():
        if isinstance(text, str) and text.startswith(_PATCH_STARTS):
            parts.append(_part("Patch", "patch", text))
            del rest[name]
    return [_part(title, "json", rest), *parts] if rest else parts


def _edits(arguments: dict[str, Any]) -> list[dict[str, str]]:
    """Take out of some arguments the texts that are replaced, as Claude Code's Edit, MultiEdit and Write name them."""
    if _is_edit(arguments):
        return [{"old": arguments.pop("old_string"), "new": arguments.pop("new_string")}]
    several = arguments.get("edits")
    if is_list(several) and several and all(map(_is_edit, several)):
        del arguments["edits"]
        return [{"old": edit["old_string"], "new": edit["new_string"]} for edit in several]
    if isinstance(arguments.get("content"), str) and "file_path" in arguments:
        return [{"old": "", "new": arguments.pop("content")}]
    return []


def _is_edit(value: Any) -> bool:  # noqa: ANN401 - JSON
    return is_object(value) and isinstance(value.get("old_string"), str) and isinstance(value.get("new_string"), str)


def _of_value(title: str, value: Any) -> list[Part]:  # noqa: ANN401 - JSON
    if value is None or value == "":
        return []
    if not isinstance(value, str):
        return [_part(title, "json", value)]
    inner = parsed(value)
    return [_part(title, "text", value) if inner is None else _part(title, "json", inner)]


def _with_values(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return attributes with the JSON that stands in a text as what it says."""
    return {name: parsed(value) or value if isinstance(value, str) else value for name, value in attributes.items()}


def _part(title: str, form: str, value: Any) -> Part:  # noqa: ANN401 - JSON
    return {"title": title, "form": form, "value": readable(value)}


def _title(name: str) -> str:
    return name[:1].upper() + name[1:].replace("_", " ")
