"""fastmcp's own spans, which would stand beside those of the SDK that it is built on: left out, or taken over.

Called by `mcp`. fastmcp 3 and newer traces each request by scope ``fastmcp``, on both sides, around or inside what the
SDK does. What its servers know besides (component, user, session) becomes attributes of our span.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import trace as trace_api
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan

from agent_trace_instrumentors import _mcp_requests as requests
from agent_trace_instrumentors import _mcp_transports as transports
from agent_trace_otel import spans

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from agent_trace_instrumentors._base import Wrapper

_TAKEN_OVER = ("fastmcp.", "enduser.")


def around_client_tracer(_original: Callable[..., Any]) -> Wrapper:
    """Leave out the span of fastmcp's client: the request that it is about to send gets one."""

    def get_tracer(
        wrapped: Callable[..., Any], _instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:  # noqa: ANN401 - a Tracer
        tracer = wrapped(*args, **kwargs)
        return _Silent(tracer) if spans.traces_here() else tracer

    return get_tracer


def around_server_tracer(_original: Callable[..., Any]) -> Wrapper:
    """Let fastmcp's server add to the span of the request that it handles; what it calls besides has its own."""

    def get_tracer(
        wrapped: Callable[..., Any], _instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:  # noqa: ANN401 - a Tracer
        tracer = wrapped(*args, **kwargs)
        request = requests.current()
        if request is not None and request.is_handled and trace_api.get_current_span() is request.span:
            return _Adding(tracer, request)
        return tracer

    return get_tracer


class _Silent(transports.Proxy):
    """A tracer that starts no span and leaves the current one in its place."""

    @contextmanager
    def start_as_current_span(self, *_: Any, **__: Any) -> Generator[Span]:
        """Start nothing."""
        yield INVALID_SPAN


class _Adding(transports.Proxy):
    """A tracer whose span of a request is the one that the request has already."""

    def __init__(self, tracer: object, request: requests.Request) -> None:
        super().__init__(tracer)
        self._self_request = request

    @contextmanager
    def start_as_current_span(self, name: str, *args: Any, **kwargs: Any) -> Generator[Span]:
        """Add the attributes to the request's span, or start the span of something else."""
        if not _is_of(self._self_request, name):
            with self.__wrapped__.start_as_current_span(name, *args, **kwargs) as span:
                yield span
            return
        known = _Known(self._self_request.span)
        known.set_attributes(kwargs.get("attributes") or {})
        yield known


class _Known(NonRecordingSpan):
    """What fastmcp takes for its span; of what it tells there, only what nobody else knows goes on to ours."""

    def __init__(self, span: Span) -> None:
        super().__init__(span.get_span_context())
        self._span = span

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set what is fastmcp's own."""
        self._span.set_attributes({name: value for name, value in attributes.items() if name.startswith(_TAKEN_OVER)})


def _is_of(request: requests.Request, name: str) -> bool:
    """Tell whether a span of fastmcp's is that of a request, not of a tool that another one calls in process."""
    method, _, target = name.partition(" ")
    return method == request.method and (not target or not request.target or target == request.target)
