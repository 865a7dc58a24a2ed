"""The straight way of a plain tool call: the same lines as the general way in `processor`, in a fraction of its time.

Nearly all spans of an agent are tool calls that `spans` made, under a call that is known, with nothing to withhold, cut
or mark. What is the same in every call of one tool (resource, scope, names, ids of the session) is encoded once. Any
doubt about a span sends it the general way; `tests/processor/test_plain_tools.py` holds both ways to the same lines.

Comes in: spans, from `processor`. Goes out: an open span with what its opening event tells, the lines of a finished
one, or None for "the general way".
"""

from __future__ import annotations

from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind, StatusCode

from agent_trace_otel import semconv
from agent_trace_otel.processor.open_span import OpenSpan, is_of_ours
from agent_trace_otel.processor.span_copy import attributes_of, is_bare
from agent_trace_otel.store import span_events
from agent_trace_otel.store.spans_file import LineFrame, encode_attribute

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext

    from agent_trace_otel.identity import Session
    from agent_trace_otel.processor.span_copy import Cleaner

_MAX_TOOLS = 256
_AT_START = (
    semconv.OPERATION_NAME,
    semconv.TOOL_NAME,
    semconv.TOOL_TYPE,
    semconv.TOOL_CALL_ARGUMENTS,
    semconv.CONVERSATION_ID,
    semconv.SESSION_ID,
)
_ARGUMENTS = _AT_START.index(semconv.TOOL_CALL_ARGUMENTS)
_AT_END = (*_AT_START, semconv.TOOL_CALL_RESULT, semconv.OUTCOME)
_BEFORE_RESULT = encode_attribute(semconv.TOOL_CALL_RESULT, "")[: -len('""}}')]
_OK = encode_attribute(semconv.OUTCOME, semconv.OUTCOME_OK)


class _Tool:
    """What all calls of one tool in one session have in common, encoded for spans.jsonl and for events.ndjson."""

    __slots__ = ("after_arguments", "before_arguments", "frame", "held", "name", "span_name")

    def __init__(self, span: ReadableSpan, cleaner: Cleaner, values: tuple[Any, ...], encoded: list[str]) -> None:
        self.held = (cleaner, span.resource, span.instrumentation_scope)  # so that their id()s stay theirs
        self.span_name = span.name
        self.frame = LineFrame(span)
        self.name = encode_basestring_ascii(values[_AT_START.index(semconv.TOOL_NAME)])
        self.before_arguments = ",".join(encoded[:_ARGUMENTS])
        self.after_arguments = ",".join(encoded[_ARGUMENTS + 1 :])


class PlainCall:
    """A plain tool call that has begun."""

    __slots__ = ("arguments", "opening", "start_ns", "tool", "values")

    def __init__(self, tool: _Tool, values: tuple[Any, ...], arguments: str, opening: str, start_ns: int) -> None:
        self.tool = tool
        self.values = values
        self.arguments = arguments
        """Encoded for spans.jsonl."""
        self.opening = opening
        """The ``data`` of its tool_call."""
        self.start_ns = start_ns


class PlainToolCalls:
    """The straight way, and the tools that went it lately."""

    def __init__(self) -> None:
        self._tools: dict[tuple[Any, ...], _Tool] = {}

    def begin(
        self, span: ReadableSpan, ids: SpanContext, parent: OpenSpan | None, session: Session | None, limit: int
    ) -> OpenSpan | None:
        """Return the open span of a plain tool call, None for any other span.

        Args:
            span: the span that starts.
            ids: its context.
            parent: the open span it hangs under.
            session: the session that its context names.
            limit: characters after which a value is cut in the timeline.
        """
        if parent is None or session is None or parent.session is not session:
            return None
        writer, cleaner, raw = parent.writer, parent.cleaner, attributes_of(span)
        if writer is None or not writer.begun or tuple(raw) != _AT_START:
            return None
        values, arguments = tuple(raw.values()), raw[semconv.TOOL_CALL_ARGUMENTS]
        tool = self._tool(span, cleaner, values)
        above = span.parent
        if tool is None or ids.trace_state or above is None or above.is_remote:
            return None
        if len(arguments) > limit or arguments[:1] != "{":
            return None
        encoded = cleaner.encoded_as_it_is(semconv.TOOL_CALL_ARGUMENTS, arguments)
        if encoded is None:
            return None
        state = OpenSpan()
        state.session, state.writer, state.cleaner, state.kind = session, writer, cleaner, "tool"
        state.raw = state.clean = {semconv.TOOL_NAME: raw[semconv.TOOL_NAME], semconv.TOOL_CALL_ARGUMENTS: arguments}
        state.agent, state.in_model, state.in_tool = parent.agent, parent.in_model, True
        state.muted = state.opened = state.inherited = state.is_foreign = False
        state.points = state.call = state.calls = None
        state.above = parent
        state.trace_id, state.parent_id, state.span_id = parent.trace_id, parent.span_id, f"{ids.span_id:016x}"
        state.tail = span_events.tail(state.trace_id, state.span_id, state.parent_id, state.agent)
        opening = span_events.tool_call(tool.name, span_events.ascii_json(arguments), state.tail)
        state.plain = PlainCall(tool, values, encoded, opening, span.start_time or 0)
        return state

    def finish(
        self, state: OpenSpan, call: PlainCall, span: ReadableSpan, ids: SpanContext, limit: int
    ) -> tuple[bytes, str] | None:
        """Return the line of spans.jsonl and the ``data`` of the tool_result; None if the call ended in another way."""
        tool, raw = call.tool, attributes_of(span)
        if tuple(raw) != _AT_END or span.status.status_code is not StatusCode.UNSET or not is_bare(span):
            return None
        values = tuple(raw.values())
        result, outcome = values[-2:]
        if values[:-2] != call.values or outcome != semconv.OUTCOME_OK or span.name != tool.span_name:
            return None
        if type(result) is not str or len(result) > limit:
            return None
        encoded = state.cleaner.encoded_as_it_is(semconv.TOOL_CALL_RESULT, result)
        if encoded is None:
            return None
        attributes = f"{tool.before_arguments},{call.arguments},{tool.after_arguments},{encoded},{_OK}"
        times = (call.start_ns, span.end_time or 0)
        line = tool.frame.line(state.trace_id, state.span_id, state.parent_id, ids.trace_flags, times, attributes)
        return line, span_events.tool_result(tool.name, encoded[len(_BEFORE_RESULT) : -2], "", state.tail)

    def _tool(self, span: ReadableSpan, cleaner: Cleaner, values: tuple[Any, ...]) -> _Tool | None:
        resource, scope = span.resource, span.instrumentation_scope
        key = (*values[:_ARGUMENTS], *values[_ARGUMENTS + 1 :], id(resource), id(scope), id(cleaner))
        tool = self._tools.get(key)
        if tool is None and is_of_ours(span) and span.kind is SpanKind.INTERNAL:
            encoded = [cleaner.encoded_as_it_is(*pair) for pair in zip(_AT_START, values, strict=True)]
            unchanged = cleaner.text(span.name) == span.name and cleaner.resource(resource) is resource
            if unchanged and values[0] == semconv.EXECUTE_TOOL and all(encoded):
                if len(self._tools) >= _MAX_TOOLS:
                    self._tools.clear()
                tool = self._tools[key] = _Tool(span, cleaner, values, [text or "" for text in encoded])
        return tool
