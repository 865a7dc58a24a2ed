"""Spans that a program's libraries make by themselves, in a run: they have a provider, whether the program has or not.

Comes in: the module ``opentelemetry.trace``, just imported. Goes out: tracers whose spans are recorded with ours as
long as the program has set no provider up, and our processor in the one that it does. Called by `inside`.

Nothing of ours becomes the global provider: the program finds none there, may set its own at any time, and the tracers
that it has taken before follow, as they always did. What changes is what they do until then: their spans are not lost.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import NoOpTracer, Tracer, get_current_span

from agent_trace_otel import guard

if TYPE_CHECKING:
    from types import ModuleType

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, TracerProvider


class StandIn(Tracer):
    """What a tracer without a provider does: in a session, what one of our own provider's does.

    Args:
        args: as for `TracerProvider.get_tracer`.
        kwargs: the same.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._args, self._kwargs = args, kwargs
        self._silent = NoOpTracer()
        self._found: tuple[object, Tracer] | None = None

    def start_span(self, name: str, context: Context | None = None, *args: Any, **kwargs: Any) -> Span:
        """Start a span, under the session if it has no other parent."""
        tracer, context = self._here(context)
        return tracer.start_span(name, context, *args, **kwargs)

    def start_as_current_span(self, name: str, context: Context | None = None, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - a manager of the API's own kind
        """Start a span, as above, and make it the current one."""
        tracer, context = self._here(context)
        return tracer.start_as_current_span(name, context, *args, **kwargs)

    def _here(self, context: Context | None) -> tuple[Tracer, Context | None]:
        return _of_ours(self, context) or (self._silent, context)

    def of(self, provider: TracerProvider) -> Tracer:
        """Return the tracer that a provider has for what was asked for."""
        if self._found is None or self._found[0] is not provider:
            self._found = provider, provider.get_tracer(*self._args, **self._kwargs)
        return self._found[1]


@guard.guarded("record a library's own spans")
def _of_ours(asking: StandIn, context: Context | None) -> tuple[Tracer, Context | None] | None:
    from agent_trace_otel import identity, pipeline

    provider, owner = pipeline.private_provider(), identity.current()
    if provider is None or owner is None:
        return None
    has_parent = get_current_span(context).get_span_context().is_valid
    return asking.of(provider), context if has_parent else owner.context(context)


@guard.guarded("record libraries' own spans")
def install(module: ModuleType) -> None:
    """Let tracers without a provider be followed, and join the provider that the program sets up.

    Args:
        module: opentelemetry.trace.
    """
    proxy: Any = module.ProxyTracer
    make, set_up = proxy.__init__, module._set_tracer_provider  # noqa: SLF001 - what every public way comes by

    @functools.wraps(make)
    def made(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - a ProxyTracer
        make(self, *args, **kwargs)
        if hasattr(self, "_noop_tracer"):
            self._noop_tracer = StandIn(*args, **kwargs)

    @functools.wraps(set_up)
    def joined(*args: Any, **kwargs: Any) -> None:
        set_up(*args, **kwargs)
        _join()

    proxy.__init__ = made
    module._set_tracer_provider = joined  # type: ignore[attr-defined]  # noqa: SLF001 - as above


@guard.guarded("join the program's own provider")
def _join() -> None:
    from agent_trace_otel import pipeline

    pipeline.tracer()
