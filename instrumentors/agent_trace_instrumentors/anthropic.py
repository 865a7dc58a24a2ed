"""The anthropic package -> one span a request to a model: Messages, beta, legacy completions.

Comes in: requests of `anthropic.Anthropic`, `AsyncAnthropic` and the Bedrock, Vertex, Foundry and AWS clients, through
whatever helper: stream, parse, raw responses, the tool runner. Goes out: CLIENT spans with messages, usage, stop
reason. Batches and count_tokens are requests without usage. Switched on by ``agent_trace_otel.instrument()``.

The package traces itself since 1.17, without prompts and, of streams that no helper reads, without answers. Its span of
a request that has one here is ours: what it tells besides (the API's own ids, tiers, HTTP) is taken over, its context
goes out with the request. Its spans of tool runners and tools stay, and get arguments and results. A client that was
given a tracer provider of its own keeps its spans there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import Span, SpanContext

from agent_trace_instrumentors import _stainless as stainless
from agent_trace_instrumentors._base import Instrumentor, Library, Target
from agent_trace_otel import guard, semconv, spans

if TYPE_CHECKING:
    from agent_trace_instrumentors._base import Wrapper

_TAKEN_OVER: Final = ("anthropic.", "http.", "url.")

CLIENT: Final = stainless.Client(
    "anthropic",
    provider="anthropic",
    operations={"/v1/messages": semconv.CHAT, "/v1/complete": semconv.TEXT_COMPLETION},
    plain=(
        (re.compile(r"^POST .*/messages/count_tokens$"), "messages.count_tokens"),
        (re.compile(r"^POST .*/messages/batches$"), "messages.batches.create"),
        (re.compile(r"^GET .*/messages/batches$"), "messages.batches.list"),
        (re.compile(r"^POST .*/messages/batches/[^/]+/cancel$"), "messages.batches.cancel"),
        (re.compile(r"^DELETE .*/messages/batches/[^/]+$"), "messages.batches.delete"),
        (re.compile(r"^GET .*/messages/batches/[^/]+/results$"), "messages.batches.results"),
        (re.compile(r"^GET .*/messages/batches/[^/]+$"), "messages.batches.retrieve"),
    ),
    providers={
        "amazonaws.com": "aws.bedrock",
        "googleapis.com": "gcp.vertex_ai",
        "services.ai.azure.com": "azure.ai.inference",
        "moonshot.ai": "moonshot_ai",
        "moonshot.cn": "moonshot_ai",
        "deepseek.com": "deepseek",
        "openrouter.ai": "openrouter",
        "z.ai": "zhipu_ai",
        "bigmodel.cn": "zhipu_ai",
        "minimax.io": "minimax",
    },
    classes={
        "BaseBedrockClient": "aws.bedrock",
        "BaseMantleClient": "aws.bedrock",
        "BaseVertexClient": "gcp.vertex_ai",
        "BaseFoundryClient": "azure.ai.inference",
    },
)


# -- the package's own spans -------------------------------------------------------------------------------------


def _around_native_start(_original: Callable[..., Any]) -> Wrapper:
    """Let the package's span of a request that is traced here be a face of ours."""

    def start(wrapped: Callable[..., Any], _instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - a span
        span = _span_to_join()
        if span is None or not args:
            return wrapped(*args, **kwargs)
        return wrapped(_Tracer(span), *args[1:], **kwargs)

    return start


@guard.guarded("join a client's own span")
def _span_to_join() -> Span | None:
    request = stainless.current_request()
    if request is None or request.is_joined or "tracer_provider" in request.client.open_telemetry:
        return None
    request.is_joined = True
    return request.span


class _Tracer:
    """What the package starts its span with."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def start_span(self, _name: str, *_: object, attributes: Mapping[str, Any] | None = None, **__: object) -> Span:
        """Return the face of our span."""
        face = _Face(self._span)
        face.set_attributes(attributes or {})
        return face


class _Face(Span):
    """Our span as the package sees it: it takes what only the package knows, and is ended by us."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def get_span_context(self) -> SpanContext:
        """Return ours: it goes out with the request."""
        return self._span.get_span_context()

    def is_recording(self) -> bool:
        """Tell whether attributes are still taken."""
        return self._span.is_recording()

    def set_attribute(self, key: str, value: Any) -> None:  # noqa: ANN401 - an attribute's value
        """Take an attribute that ours has not."""
        if key.startswith(_TAKEN_OVER) and self._span.is_recording():
            self._span.set_attribute(key, value)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Take those that ours has not."""
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def add_event(self, *_: Any, **__: Any) -> None:
        """Take none: ours has its own."""

    def update_name(self, name: str) -> None:
        """Keep ours."""

    def set_status(self, *_: Any, **__: Any) -> None:
        """Take none: ours follows from the call."""

    def record_exception(self, *_: Any, **__: Any) -> None:
        """Take none, as above."""

    def end(self, end_time: int | None = None) -> None:
        """Leave that to the call."""


def _around_tool_end(_original: Callable[..., Any]) -> Wrapper:
    """Add arguments and result to the package's span of a tool run."""

    def end(wrapped: Callable[..., Any], _instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - nothing
        _tell_tool_run(*args, **kwargs)
        return wrapped(*args, **kwargs)

    return end


@guard.guarded("tell a tool run")
def _tell_tool_run(_client: object, span: Span, given: object, run: Any, *_: object) -> None:  # noqa: ANN401 - a ToolRun
    if not span.is_recording():
        return
    told = {
        semconv.TOOL_CALL_ARGUMENTS: spans.content_text(given),
        semconv.TOOL_CALL_RESULT: None if run.result is None else spans.content_text(run.result.get("content")),
    }
    span.set_attributes({name: text for name, text in told.items() if text is not None})


class AnthropicInstrumentor(Instrumentor):
    """One span a model call: messages, tools, usage with caches and thinking, stop reason, time to first chunk."""

    name = "anthropic"
    library = Library("anthropic", oldest=(0, 20))
    targets = (
        *CLIENT.targets(),
        Target("anthropic._base_client", "start_api_call_span", _around_native_start, may_be_missing=True),
        Target("anthropic.lib._tracing._tools", "end_tool_use_span", _around_tool_end, may_be_missing=True),
    )
