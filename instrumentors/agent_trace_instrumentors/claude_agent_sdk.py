"""claude-agent-sdk -> spans of what Claude Code does for the program: turns, model calls, tools, sub-agents, cost.

Comes in: what passes between the SDK and the client it starts, for `query` and `ClaudeSDKClient` alike. Goes out:
spans, by `agent_trace_otel.capture.agent_sdk`, which tells them as the recorder of hooks does. What the program itself
does for a call (its MCP tools, permissions, hooks) hangs under that call. Switched on by
``agent_trace_otel.instrument()``.

Messages are seen when they come in, whether or not the program has asked for the next one yet.
"""

from __future__ import annotations

import dataclasses
import json
import os
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import wrapt
from opentelemetry import context as context_api

from agent_trace_instrumentors._base import Instrumentor, Library, Target
from agent_trace_otel import guard, spans

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from agent_trace_instrumentors._base import Wrapper
    from agent_trace_otel.capture.agent_sdk.conversation import Conversation

    Proxy = wrapt.ObjectProxy[Any]
else:
    Proxy = getattr(wrapt, "BaseObjectProxy", wrapt.ObjectProxy)

_conversations: Final[weakref.WeakKeyDictionary[Any, Conversation]] = weakref.WeakKeyDictionary()
"""By the transport that reaches the client."""
_HANDSHAKE: Final = frozenset({"initialize", "notifications/initialized", "ping", "server/discover", "tools/list"})
_TOOL_USE_ID: Final = "claudecode/toolUseId"
"""The key in ``params._meta`` under which the client names its call."""


# -- a client ----------------------------------------------------------------------------------------------------


def around_connect(_original: Callable[..., Any]) -> Wrapper:
    """Begin with the client's process."""

    async def connect(
        wrapped: Callable[..., Awaitable[Any]], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:  # noqa: ANN401 - handed on
        conversation = _begin(instance)
        try:
            result = await wrapped(*args, **kwargs)
        except BaseException as error:
            if conversation is not None:
                conversation.close(error)
            raise
        if conversation is not None:
            conversation.pid = int(getattr(getattr(instance, "_process", None), "pid", None) or 0)
        return result

    return connect


@guard.guarded("trace a client of the Agent SDK")
def _begin(transport: Any) -> Conversation | None:  # noqa: ANN401 - a Transport
    if transport in _conversations or not spans.traces_here():
        return None
    # what tells the story of a session is loaded with the first client
    from agent_trace_otel.capture.agent_sdk.conversation import Conversation
    from agent_trace_otel.capture.hooks.sessions.told_elsewhere import TOLD_BY_VARIABLE

    options = getattr(transport, "_options", None)
    given: Mapping[str, str] = getattr(options, "env", None) or {}
    environment = {**os.environ, **given}
    home = environment.get("CLAUDE_CONFIG_DIR") or str(Path(environment.get("HOME") or Path.home()) / ".claude")
    resumes = bool(getattr(options, "resume", None) or getattr(options, "continue_conversation", False))
    extra: Mapping[str, Any] = getattr(options, "extra_args", None) or {}
    _conversations[transport] = begun = Conversation(
        Path(home), resumes=resumes, writes_transcript="no-session-persistence" not in extra
    )
    prompt = getattr(transport, "_prompt", None)
    if isinstance(prompt, str) and not getattr(transport, "_is_streaming", True):
        begun.prompt({"type": "user", "message": {"content": prompt}})  # old versions name it in the command line
    if options is not None:
        # a copy: the user's own object is not ours to change
        told_by = {**given, TOLD_BY_VARIABLE: str(os.getpid())}
        transport._options = dataclasses.replace(options, env=told_by)  # noqa: SLF001 - the SDK keeps them nowhere else
    return begun


def around_write(_original: Callable[..., Any]) -> Wrapper:
    """Listen to what the client is asked."""

    async def write(
        wrapped: Callable[..., Awaitable[Any]], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:  # noqa: ANN401 - handed on
        _asked(instance, *args, **kwargs)
        try:
            return await wrapped(*args, **kwargs)
        except Exception as error:
            _failed(instance, error)
            raise

    return write


@guard.guarded("read what the Agent SDK sends")
def _asked(transport: object, data: str, *_: object, **__: object) -> None:
    conversation = _conversations.get(transport)
    if conversation is None or '"user"' not in data[:2000]:
        return
    conversation.prompt(json.loads(data))


@guard.guarded("note what went wrong with a client of the Agent SDK")
def _failed(transport: object, error: BaseException) -> None:
    conversation = _conversations.get(transport)
    if conversation is not None:
        conversation.error = conversation.error or error


def around_read(_original: Callable[..., Any]) -> Wrapper:
    """Listen to what the client says."""

    async def read(
        wrapped: Callable[..., Awaitable[Any]], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:  # noqa: ANN401 - handed on
        _listen(instance)
        return await wrapped(*args, **kwargs)

    return read


@guard.guarded("listen to a client of the Agent SDK")
def _listen(query: Any) -> None:  # noqa: ANN401 - a Query
    _begin(query.transport)  # one that the user has made
    conversation = _conversations.get(query.transport)
    if conversation is not None:
        query.transport = _Heard(query.transport, conversation)


class _Heard(Proxy):
    """A transport whose messages are told of before they go on."""

    def __init__(self, transport: object, conversation: Conversation) -> None:
        super().__init__(transport)
        self._self_conversation = conversation

    def read_messages(self) -> AsyncIterator[dict[str, Any]]:
        """Read what the client says."""
        return _told(self.__wrapped__.read_messages(), self._self_conversation)


async def _told(messages: AsyncIterator[dict[str, Any]], conversation: Conversation) -> AsyncIterator[dict[str, Any]]:
    try:
        async for message in messages:
            conversation.message(message)
            yield message
    except Exception as error:
        conversation.error = conversation.error or error
        raise


def _around_close(transport_of: Callable[[Any], Any]) -> Callable[[Callable[..., Any]], Wrapper]:
    """Return what wraps a close method; ``transport_of`` gives its object's transport."""

    def around(_original: Callable[..., Any]) -> Wrapper:
        async def close(
            wrapped: Callable[..., Awaitable[Any]], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> Any:  # noqa: ANN401 - handed on
            try:
                return await wrapped(*args, **kwargs)
            finally:
                _close(transport_of(instance))

        return close

    return around


@guard.guarded("end a client of the Agent SDK")
def _close(transport: Any) -> None:  # noqa: ANN401 - a Transport, or what stands for one
    conversation = _conversations.get(getattr(transport, "__wrapped__", transport))
    if conversation is not None:
        conversation.close(conversation.error)


# the client has written its transcript to the end
around_close = _around_close(lambda transport: transport)
# the end of the conversation, where the user's own transport reaches the client
around_query_close = _around_close(lambda query: getattr(query, "transport", None))


# -- what the program does for the client ------------------------------------------------------------------------


def around_request(_original: Callable[..., Any]) -> Wrapper:
    """Run what the client asks of the program (a tool, a permission, a hook) in the context of its call."""

    async def handle(
        wrapped: Callable[..., Awaitable[Any]], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:  # noqa: ANN401 - handed on
        ctx = _context_of(instance, *args, **kwargs)
        if ctx is None:
            return await wrapped(*args, **kwargs)
        token = context_api.attach(ctx)
        try:
            return await wrapped(*args, **kwargs)
        finally:
            context_api.detach(token)

    return handle


@guard.guarded("find the call of a request of the client's")
def _context_of(query: Any, request: Mapping[str, Any], *_: object, **__: object) -> Context | None:  # noqa: ANN401 - a Query
    conversation = _conversations.get(getattr(query.transport, "__wrapped__", query.transport))
    if conversation is None:
        return None
    asked: dict[str, Any] = request.get("request") or {}
    message: dict[str, Any] = asked.get("message") or {}
    if message.get("method") in _HANDSHAKE:
        # between the SDK and its own client, before there is a session
        return context_api.set_value("suppress_instrumentation", True)  # noqa: FBT003 - a value
    params: dict[str, Any] = message.get("params") or {}
    meta: dict[str, Any] = params.get("_meta") or {}
    return conversation.context_of_call(str(asked.get("tool_use_id") or meta.get(_TOOL_USE_ID) or ""))


_QUERY: Final = "claude_agent_sdk._internal.query"
_TRANSPORT: Final = "claude_agent_sdk._internal.transport.subprocess_cli"


class ClaudeAgentSdkInstrumentor(Instrumentor):
    """Turns, model calls, tools, sub-agents, cost of Claude Code as a part of the program."""

    name = "claude_agent_sdk"
    library = Library("claude-agent-sdk", oldest=(0, 1, 10), before=(1,))
    targets = (
        Target(_TRANSPORT, "SubprocessCLITransport.connect", around_connect),
        Target(_TRANSPORT, "SubprocessCLITransport.write", around_write, while_suppressed=True),
        Target(_TRANSPORT, "SubprocessCLITransport.close", around_close, while_suppressed=True),
        Target(_QUERY, "Query._read_messages", around_read),
        Target(_QUERY, "Query._handle_control_request", around_request),
        Target(_QUERY, "Query.close", around_query_close, while_suppressed=True),
    )
