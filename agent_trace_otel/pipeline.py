"""Provider, processor and exporters, set up: where our spans come from and where they go.

`configure` makes the choice explicit. Without it, `tracer` follows three rules: a global SDK provider gets our
processor once and its tracers are used; none is there: a private provider serves sessions until a global one appears;
no session and no provider: there is no tracer, and nothing is imported, made or written.

A process that reports other programs' sessions (hooks, proxies) keeps a `SeparatePipeline` for each way in which those
programs want to be recorded; while one is entered, it is the answer to every question here.

Called by `spans` (for a tracer) and by users (`configure`). The SDK is imported only when a provider is needed.
"""

from __future__ import annotations

import atexit
import functools
import os
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from opentelemetry import trace as trace_api

from agent_trace_otel import config, guard, identity

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Tracer

    from agent_trace_otel.delivery.target import Target
    from agent_trace_otel.processor.session_processor import SessionSpanProcessor
    from agent_trace_otel.processor.span_sessions import SpanSessions
    from agent_trace_otel.redact import Redactor

_NOT_LOOKED = object()


def _name_of_global() -> object:
    return trace_api._TRACER_PROVIDER  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - every traced call asks, and get_tracer_provider() reads os.environ


_read_global = _name_of_global if hasattr(trace_api, "_TRACER_PROVIDER") else trace_api.get_tracer_provider


@dataclass(slots=True)
class _State:
    """What this process has set up."""

    private: TracerProvider | None = None
    settings: config.Settings | None = None
    redact: bool | Redactor | None = None
    tracer: Tracer | None = None
    """What `tracer` answered last."""
    is_private: bool = False
    """Whether that is our private provider's, which serves sessions and nothing else."""
    seen_global: object = _NOT_LOOKED
    """The global provider at that time; another one there changes the answer."""
    environment_read: bool = False
    serves_everything: bool = False
    """Whether our private provider serves calls outside sessions as well."""


class SeparatePipeline:
    """A provider beside the process's own, for sessions of other programs; entered, it is the one in force.

    Args:
        in_force: how those programs want to be recorded.
        service_name: the resource's service.name.

    Example:
        with SeparatePipeline(config.load(their_environment), "claude-code"):
            spans.start_session(session)
    """

    def __init__(self, in_force: config.Settings, service_name: str) -> None:
        from agent_trace_otel import __version__
        from agent_trace_otel.processor.open_span import SCOPE_NAME

        self.settings = in_force
        self._provider = _new_provider(service_name)
        self._processor = _add_processor(self._provider, in_force, is_ours=True)
        self.tracer: Tracer = self._provider.get_tracer(SCOPE_NAME, __version__)
        self._tokens: list[Token[SeparatePipeline | None]] = []

    def __enter__(self) -> None:
        self._tokens.append(_entered.set(self))

    def __exit__(self, *_: object) -> None:
        _entered.reset(self._tokens.pop())

    def force_flush(self, timeout: float) -> bool:
        """Send what waits to be sent; False if that took longer than ``timeout`` seconds or failed."""
        return self._provider.force_flush(int(timeout * 1000)) is not False

    def shutdown(self) -> None:
        """Send what waits, within the exit time-out, and stop sending."""
        self._provider.shutdown()


def processor_for(in_force: config.Settings, sessions: SpanSessions) -> SessionSpanProcessor:
    """Return a processor for ended spans that come from elsewhere, under no provider.

    Args:
        in_force: how they are to be recorded, and where they are sent.
        sessions: which session each of them belongs to.
    """
    from agent_trace_otel.processor.session_processor import SessionSpanProcessor

    delivery = _delivery(in_force, is_ours=True)
    return SessionSpanProcessor(delivery=delivery, settings=in_force, sessions=sessions)


_entered: ContextVar[SeparatePipeline | None] = ContextVar("agent_trace_pipeline", default=None)
_state = _State()
_lock = threading.RLock()
_joined: weakref.WeakKeyDictionary[Any, SessionSpanProcessor] = weakref.WeakKeyDictionary()
"""The providers that have a processor of ours, which follows `configure` when it is called again."""
_ends_first: list[Callable[[], None]] = []


def configure(  # noqa: PLR0913 - one argument a setting
    *,
    trace_dir: str | os.PathLike[str] | None = None,
    redact: bool | Redactor | None = None,
    capture_content: bool | None = None,
    endpoint: str | None = None,
    headers: Mapping[str, str] | None = None,
    to: str | None = None,
    service_name: str | None = None,
) -> TracerProvider:
    """Set up recording, and sending if an endpoint or a back end is named, for the whole process.

    A global SDK provider that is already there stays: our processor is added to it, and it sends only if ``endpoint``
    or ``to`` (or their variables, or the config file) ask for it, since the provider has exporters of its own.
    Otherwise a new provider becomes the global one.

    Args:
        trace_dir: where session folders go; default AGENT_TRACE_DIR, else ``.agent-traces`` in the current directory.
        redact: False writes and sends values as they are; a `Redactor` brings rules of the user's own.
        capture_content: False leaves out prompts, arguments and results.
        endpoint: OTLP/HTTP base URL such as ``http://localhost:4318``, or a full URL ending in /v1/traces.
        headers: sent with every request, such as ``{"x-api-key": "..."}``.
        to: a back end by its name, such as ``"datadog"`` or ``"honeycomb:eu"``; its key is taken from the environment.
        service_name: the resource's service.name; default OTEL_SERVICE_NAME.

    Returns:
        The provider in use.

    Example:
        agent_trace_otel.configure(endpoint="http://localhost:4318")
    """
    in_force = config.of_program(
        trace_dir=None if trace_dir is None else Path(trace_dir),
        redact=redact if isinstance(redact, bool) else None,
        capture_content=capture_content,
        endpoint=endpoint,
        headers=headers,
        to=to,
    )
    with _lock:
        _state.settings, _state.redact = in_force, redact
        provider = _global_provider() or _state.private
        if provider is None:
            provider = _new_private(in_force, service_name or in_force.service_name)
        elif provider in _joined:
            _follow(provider, in_force)
        else:
            _join(provider, in_force)
        if _global_provider() is None:
            trace_api.set_tracer_provider(provider)
        _bind(provider)
        return cast("TracerProvider", provider)


def tracer(*, service_name: str | None = None, needed: bool | None = None) -> Tracer | None:
    """Return the tracer our spans come from, None when nothing is to be traced.

    Args:
        service_name: the resource's service.name, should a private provider have to be made.
        needed: True makes a private provider where there is none (a session is being opened), False makes none; by
            default it is made where calls outside sessions are traced as well (`serve_everything`).
    """
    entered = _entered.get()
    if entered is not None:
        return entered.tracer
    seen = _read_global()
    if needed is None:
        needed = _state.serves_everything
    if seen is _state.seen_global and (_state.tracer is not None or not needed):
        return _state.tracer
    with _lock:
        return _choose_tracer(service_name, needed=needed)


def private_provider() -> TracerProvider | None:
    """Return the provider of our own that serves sessions here; None where there is another, or nothing to trace."""
    return _state.private if tracer() is not None and _state.is_private else None


def serves_only_sessions() -> bool:
    """Tell whether the tracer is a private provider's: then a call outside any session passes through."""
    return _state.is_private and not _state.serves_everything


def serve_everything(on: bool) -> None:  # noqa: FBT001 - a switch
    """Let calls outside sessions be traced, or not, in a program that has set up no provider.

    They are ours to record from the first one on: no provider is made before, and one that the program sets up later is
    joined.
    """
    _state.serves_everything = on


def settings() -> config.Settings:
    """Return the settings in force."""
    entered = _entered.get()
    return entered.settings if entered is not None else _state.settings or _load_settings()


def force_flush(timeout: float = 10.0) -> bool:
    """Send what waits to be sent; False if that took longer than ``timeout`` seconds or failed."""
    provider: Any = _global_provider() or _state.private
    return provider is None or provider.force_flush(int(timeout * 1000)) is not False


def _choose_tracer(service_name: str | None, *, needed: bool) -> Tracer | None:
    provider = _global_provider()
    _state.seen_global = _read_global()
    if provider is not None:
        if provider is not _state.private:
            _join(provider, settings())
        return _bind(provider)
    if _state.private is None:
        if not needed and not _joins_parent_process():
            return None
        _new_private(settings(), settings().service_name or service_name)
    return _bind(_state.private)


def _bind(provider: Any) -> Tracer:  # noqa: ANN401 - any provider with the SDK's interface
    from agent_trace_otel import __version__
    from agent_trace_otel.processor.open_span import SCOPE_NAME

    _joins_parent_process()
    _run_first_at_exit()
    _state.seen_global = _read_global()
    _state.is_private = provider is _state.private and provider is not _global_provider()
    tracer: Tracer = provider.get_tracer(SCOPE_NAME, __version__)
    _state.tracer = tracer
    return tracer


def _global_provider() -> Any:  # noqa: ANN401 - any provider with the SDK's interface
    """Return the global provider if there is one that takes processors."""
    provider = trace_api.get_tracer_provider()
    return provider if hasattr(provider, "add_span_processor") else None


def _load_settings() -> config.Settings:
    with _lock:
        if _state.settings is None:
            _state.settings = config.of_program()
        return _state.settings


def _joins_parent_process() -> bool:
    """Adopt the session that a parent process named in the environment; read once."""
    if not _state.environment_read:
        _state.environment_read = True
        named = identity.named_in_environment()
        if named is not None:
            in_force = settings()
            parent = identity.context_of_environment()
            identity.adopt(identity.Session(named, "", in_force.trace_dir, redact=in_force.redact, parent=parent))
            if parent is not None:  # who names its span as well has begun the session, or is just about to
                from agent_trace_otel.processor.span_sessions import writer_for

                writer_for(in_force.trace_dir, named).begun = True
    return identity.of_process() is not None


def _join(provider: Any, in_force: config.Settings) -> None:  # noqa: ANN401 - any provider with the SDK's interface
    """Add our processor to a provider of the user's, once; it sends only what we were asked to send."""
    from agent_trace_otel.processor.session_processor import SessionSpanProcessor

    if provider in _joined:
        return
    added = getattr(getattr(provider, "_active_span_processor", None), "_span_processors", ())
    of_user = next((processor for processor in added if isinstance(processor, SessionSpanProcessor)), None)
    if of_user is None:
        _joined[provider] = _add_processor(provider, in_force, redact=_state.redact)
    elif of_user.delivery is None:
        of_user.delivery = _delivery(in_force, is_ours=False)


def _new_provider(service_name: str | None) -> TracerProvider:
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider

    from agent_trace_otel.provider import RecordingSampler, SessionIdGenerator, span_limits

    unnamed = "service.name=" not in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "") and not os.environ.get(
        "OTEL_SERVICE_NAME"
    )
    resource = Resource.create({SERVICE_NAME: service_name} if service_name and unnamed else {})
    provider = TracerProvider(
        resource=resource, id_generator=SessionIdGenerator(), span_limits=span_limits(), shutdown_on_exit=False
    )
    provider.sampler = RecordingSampler(provider.sampler)
    return provider


def _new_private(in_force: config.Settings, service_name: str | None) -> TracerProvider:
    """Make the provider that serves sessions until there is a global one."""
    _state.private = provider = _new_provider(service_name)
    _joined[provider] = _add_processor(provider, in_force, redact=_state.redact, is_ours=True)
    return provider


def _add_processor(
    provider: Any,  # noqa: ANN401 - any provider of the SDK's kind
    in_force: config.Settings,
    *,
    redact: bool | Redactor | None = None,
    is_ours: bool = False,
) -> SessionSpanProcessor:
    from agent_trace_otel.processor.session_processor import SessionSpanProcessor

    delivery = _delivery(in_force, is_ours=is_ours)
    added = SessionSpanProcessor(redact=redact, delivery=delivery, settings=in_force)
    provider.add_span_processor(added)
    return added


def _follow(provider: Any, in_force: config.Settings) -> None:  # noqa: ANN401 - any provider with the SDK's interface
    """Let the processor that we added before obey settings that came after it."""
    processor = _joined[provider]
    if processor.settings != in_force or processor.redact is not _state.redact:
        processor.shutdown()
        delivery = _delivery(in_force, is_ours=provider is _state.private)
        processor.follow(in_force, redact=_state.redact, delivery=delivery)


def _delivery(in_force: config.Settings, *, is_ours: bool) -> SpanProcessor | None:
    """Return what sends, None to send nothing; a provider of the user's has its own way to OTEL_* endpoints."""
    if not in_force.sending:
        return None
    target = _target(in_force, is_ours=is_ours)
    try:
        return _sender(in_force, target) if target is not None else None
    except Exception as error:  # noqa: BLE001 - the folder is written all the same
        guard.report("set up sending", error)
        return None


def _sender(in_force: config.Settings, target: Target) -> SpanProcessor:
    from agent_trace_otel.delivery.live import live_processor
    from agent_trace_otel.delivery.otlp import protocol_warning

    warning = protocol_warning(target.url, in_force.protocol)
    if warning:
        guard.logger.warning(warning)
    # the rest of the time-out is for ending sessions and for the interpreter itself
    return live_processor(target, shutdown_timeout=in_force.exit_timeout * 0.9)


@guard.guarded("use the back end named")
def _target(in_force: config.Settings, *, is_ours: bool) -> Target | None:
    """Return the back end that the settings name; a wrong one is reported and sends nothing."""
    if in_force.endpoint is None and in_force.to is None and (in_force.otel_endpoint is None or not is_ours):
        return None
    from agent_trace_otel.delivery.configured import configured_target

    return configured_target(in_force, with_otel=is_ours)


def end_first_at_exit(end: Callable[[], None]) -> None:
    """Have ``end`` called at exit before anything that waits is sent."""
    _ends_first.append(end)


def _run_first_at_exit() -> None:
    """Register anew, since atexit runs the last first: sessions end before a provider of the user's shuts down."""
    atexit.unregister(_at_exit)
    atexit.register(_at_exit)


@guard.guarded("finish recording at exit")
def _at_exit() -> None:
    """End what the program left open, then send what waits, within the exit time-out."""
    for end in _ends_first:
        end()
    if _state.private is not None:
        _state.private.shutdown()


@guard.guarded("go on recording in a forked process")
def _after_fork_in_child() -> None:
    global _lock  # noqa: PLW0603 - a thread of the parent may have held it
    _lock = threading.RLock()
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None:
        # such a child leaves by os._exit(), past atexit; it forgets the parent's finalizers first, so ours comes after
        util.register_after_fork(_at_exit, functools.partial(util.Finalize, None, exitpriority=0))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
