"""What each kind of span is called and tells, from its start to its end: session, agent, turn, model and tool call.

Comes in: what a capture path saw. Goes out: OpenTelemetry spans with the names and attributes of the GenAI semantic
conventions (`semconv`); the processor does the rest. Functions that start return None when nothing is to be traced, and
every other function takes that None.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from agent_trace_otel import content, guard, identity, pipeline, process, semconv, span_start
from agent_trace_otel.identity import Session
from agent_trace_otel.process import ProcessIdentity
from agent_trace_otel.told import Told, link_to

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

_MAX_STACK = 64 * 1024
_open_sessions: dict[int, Session] = {}
_last_value_before: object = getattr(sys, "last_value", None)


# -- sessions ----------------------------------------------------------------------------------------------------


def start_session(  # noqa: PLR0913 - what is known of a run
    opened: Session,
    *,
    run: int = 1,
    previous: tuple[str, str] | None = None,
    links: Sequence[Link] = (),
    of: ProcessIdentity | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Start the session's span; afterwards ``opened.root`` is set, unless nothing is recorded.

    Args:
        opened: the session; its ``parent`` is the context it hangs under, None for a trace of its own.
        run: which process run of the session this is, from 1.
        previous: (trace id, span id) in hex of the run before; linked.
        links: what else it follows from.
        of: the process that the session is of, if it is another one's (``opened.is_reported``).
        attributes: what else is known of the session.
    """
    tracer = pipeline.tracer(service_name=opened.name, needed=True)
    if tracer is None:
        return
    begun: dict[str, Any] = {
        semconv.OPERATION_NAME: semconv.INVOKE_AGENT,
        semconv.SCOPE: semconv.SCOPE_SESSION,
        semconv.RUN: run,
        semconv.CONVERSATION_ID: opened.id,
        semconv.SESSION_ID: opened.id,
        **({} if opened.is_reported else {semconv.PROCESS_COMMAND_ARGS: _command()}),
        **_process_attributes(of or process.current()),
        **(attributes or {}),
    }
    if opened.name:
        begun[semconv.AGENT_NAME] = opened.name
    parent = context_api.set_value(identity.SESSION_KEY, opened, opened.parent or context_api.Context())
    name = f"{semconv.INVOKE_AGENT} {opened.name}" if opened.name else semconv.INVOKE_AGENT
    followed = [*links, link_to(*previous)] if previous is not None else [*links]
    key, trace_id = ("run", str(run)), identity.trace_id_of(opened.id)
    opened.root = span_start.start_with_id(
        tracer, name, parent, SpanKind.INTERNAL, begun, opened, key, trace_id, followed, opened.started_ns
    )
    if not opened.is_reported:
        _open_sessions[id(opened)] = opened
        identity.open_in_process(opened)


def end_session(opened: Session, error: BaseException | None = None, exit_code: int | None = None) -> None:
    """End the session's span, if this process started it and it is still open."""
    if _open_sessions.pop(id(opened), None) is None or opened.pid != os.getpid() or opened.root is None:
        return
    opened.ended = True
    identity.close_in_process(opened)
    attributes = {} if exit_code is None else {semconv.PROCESS_EXIT_CODE: exit_code}
    end(opened.root, attributes, error=error)


def end_sessions_at_exit() -> None:
    """End what the program left open; an unhandled exception is the reason that the last one ended."""
    error = getattr(sys, "last_value", None)
    if error is _last_value_before or hasattr(sys, "ps1"):  # an old one, or one that an interactive user saw
        error = None
    failure = error if isinstance(error, BaseException) else None
    exit_code = None if failure is None else 1
    program = _program.span if _program.pid == os.getpid() else None
    if program is not None:
        told = {} if exit_code is None else {semconv.PROCESS_EXIT_CODE: exit_code}
        guard.guarded("end the span of the program at exit")(end)(program, told, error=failure)
    _program.span = None
    for opened in reversed(tuple(_open_sessions.values())):
        guard.guarded("end a session at exit")(end_session)(opened, failure, exit_code)


class _Program:
    """The span of this process in a session that another process has opened."""

    span: Span | None = None
    pid = 0


_program = _Program()


def of_program() -> Span | None:
    """Return the span of this process in a session that another process has opened: ``{executable}``, INTERNAL.

    What happens between calls hangs there (semantic conventions, CLI program execution span). It is started when it is
    first asked for, and ended when the process exits.
    """
    owner = identity.current()
    if owner is None or owner.root is not None:
        return None
    if _program.span is None or _program.pid != os.getpid():
        command = _command()
        name = Path(command[0]).name if command else "process"
        attributes: dict[str, Any] = {semconv.PROCESS_EXECUTABLE_NAME: name, semconv.PROCESS_PID: os.getpid()}
        if pipeline.settings().capture_content:
            attributes[semconv.PROCESS_COMMAND_ARGS] = command
        token = context_api.attach(owner.context())
        try:
            _program.span = span_start.start(name, SpanKind.INTERNAL, attributes)
            _program.pid = os.getpid()
        finally:
            context_api.detach(token)
    return _program.span


def _command() -> tuple[str, ...]:
    return tuple(getattr(sys, "orig_argv", None) or sys.argv)


def _process_attributes(of: ProcessIdentity) -> dict[str, Any]:
    if not of.pid:
        return {}
    return {
        semconv.PROCESS_PID: of.pid,
        semconv.PROCESS_START: of.pid_start,
        semconv.BOOT_ID: of.boot_id,
        semconv.HOST_NAME: of.host,
    }


# -- agents, model calls, tool calls -----------------------------------------------------------------------------


def start_agent(  # noqa: PLR0913 - one argument a kind of attribute
    name: str,
    *,
    agent_id: str | None = None,
    given: object = None,
    operation: str = semconv.INVOKE_AGENT,
    attributes: Mapping[str, Any] | None = None,
    told: Told | None = None,
) -> Span | None:
    """Start the span of an agent or sub-agent: ``invoke_agent {name}``, INTERNAL.

    Args:
        name: the agent's name.
        agent_id: its id, where it has one.
        given: what it was asked, kept as gen_ai.input.messages.
        operation: what else it is than an agent, such as ``semconv.INVOKE_WORKFLOW``.
        attributes: what else is known of it.
        told: when and where, if another program started it.
    """
    begun: dict[str, Any] = {**(attributes or {}), semconv.OPERATION_NAME: operation, semconv.AGENT_NAME: name}
    if agent_id:
        begun[semconv.AGENT_ID] = agent_id
    if given is not None and pipeline.settings().capture_content:
        begun[semconv.INPUT_MESSAGES] = messages_json("user", content.to_text(given))
    return span_start.start(f"{operation} {name}", SpanKind.INTERNAL, begun, told=told)


def start_turn(name: str, prompt: str, *, key: str, told: Told | None = None) -> Span | None:
    """Start the span of one turn, that is what one user prompt sets off: ``invoke_agent {name}``, INTERNAL.

    Args:
        name: the agent's name.
        prompt: what the user said.
        key: an id of the turn that is the same in every process that sees it, such as the client's prompt id.
        told: when and where, if another program started it.
    """
    attributes: dict[str, Any] = {
        semconv.OPERATION_NAME: semconv.INVOKE_AGENT,
        semconv.AGENT_NAME: name,
        semconv.SCOPE: semconv.SCOPE_TURN,
    }
    if prompt and pipeline.settings().capture_content:
        attributes[semconv.INPUT_MESSAGES] = messages_json("user", content.to_text(prompt))
    return span_start.start(
        f"{semconv.INVOKE_AGENT} {name}", SpanKind.INTERNAL, attributes, key=("turn", key), told=told
    )


def start_tool(
    name: str,
    arguments: object = None,
    *,
    call_id: str | None = None,
    began_ns: int | None = None,
    told: Told | None = None,
) -> Span | None:
    """Start the span of a tool call: ``execute_tool {name}``, INTERNAL.

    Args:
        name: the tool's name.
        arguments: a mapping of argument names to values; any value is taken as it is.
        call_id: the id that the model gave the call.
        began_ns: unix nanoseconds, now by default.
        told: when and where, if another program made the call.
    """
    if pipeline.tracer() is None:
        return None
    attributes: dict[str, Any] = {
        semconv.OPERATION_NAME: semconv.EXECUTE_TOOL,
        semconv.TOOL_NAME: name,
        semconv.TOOL_TYPE: "function",
    }
    if call_id:
        attributes[semconv.TOOL_CALL_ID] = call_id
    if arguments is not None and pipeline.settings().capture_content:
        attributes[semconv.TOOL_CALL_ARGUMENTS] = content.to_json(arguments)
    return span_start.start(
        f"{semconv.EXECUTE_TOOL} {name}", SpanKind.INTERNAL, attributes, began_ns=began_ns, told=told
    )


def start_model_call(  # noqa: PLR0913 - one argument a kind of attribute
    model: str | None,
    *,
    operation: str = semconv.CHAT,
    provider: str | None = None,
    messages: Sequence[Mapping[str, Any]] | None = None,
    system: Sequence[Mapping[str, Any]] | None = None,
    attributes: Mapping[str, Any] | None = None,
    told: Told | None = None,
) -> Span | None:
    """Start the span of a model call: ``{operation} {model}``, CLIENT.

    Args:
        model: the model asked for.
        operation: one of ``semconv.MODEL_OPERATIONS``.
        provider: a value of gen_ai.provider.name, such as ``openai``.
        messages: the input, in the shape of gen_ai.input.messages.
        system: the instructions, in the shape of gen_ai.system_instructions.
        attributes: further gen_ai.request.* attributes.
        told: when and where, if another program made the call.
    """
    begun = model_request_attributes(
        model, operation=operation, provider=provider, messages=messages, system=system, attributes=attributes
    )
    return span_start.start(f"{operation} {model}" if model else operation, SpanKind.CLIENT, begun, told=told)


def model_request_attributes(  # noqa: PLR0913 - as above
    model: str | None,
    *,
    operation: str = semconv.CHAT,
    provider: str | None = None,
    messages: Sequence[Mapping[str, Any]] | None = None,
    system: Sequence[Mapping[str, Any]] | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what the span of a model call says of the request; arguments as in `start_model_call`."""
    begun: dict[str, Any] = {**(attributes or {}), semconv.OPERATION_NAME: operation}
    if provider:
        begun[semconv.PROVIDER_NAME] = provider
    if model:
        begun[semconv.REQUEST_MODEL] = model
    if pipeline.settings().capture_content:
        if messages is not None:
            begun[semconv.INPUT_MESSAGES] = content.to_json(messages)
        if system is not None:
            begun[semconv.SYSTEM_INSTRUCTIONS] = content.to_json(system)
    return begun


def start_request(
    method: str, target: str = "", *, is_servers: bool = False, attributes: Mapping[str, Any], told: Told | None = None
) -> Span | None:
    """Start the span of an MCP request: ``{method} {target}``, CLIENT (semantic conventions, MCP).

    Args:
        method: the JSON-RPC method, such as ``tools/call``.
        target: the tool or prompt, where the method has one.
        is_servers: the span is SERVER: a proxy beside the client sees a request of the server's (sampling, elicitation,
            roots), or the request is handled in this process.
        attributes: mcp.*, jsonrpc.* and gen_ai.* attributes, content as JSON text.
        told: when and where, if another program sent it.
    """
    begun: dict[str, Any] = {**attributes, semconv.MCP_METHOD_NAME: method}
    kind = SpanKind.SERVER if is_servers else SpanKind.CLIENT
    return span_start.start(f"{method} {target}" if target else method, kind, begun, told=told)


def start_plain(name: str, attributes: Mapping[str, Any]) -> Span | None:
    """Start the span of a request that the convention has no operation for: ``{name}``, CLIENT."""
    return span_start.start(name, SpanKind.CLIENT, dict(attributes))


def start_process(argv: Sequence[str], cwd: str, *, executable: str = "") -> Span | None:
    """Start the span of a child process: ``{executable}``, CLIENT (semantic conventions, CLI client span).

    A process is told only as part of a session, so `in_session` is asked first. Ended with `end`.

    Args:
        argv: the command line, its first word included.
        cwd: the absolute path that the process starts in.
        executable: the program that runs, if it is not the first word.
    """
    path = executable or (argv[0] if argv else "")
    name = Path(path).name or "process"
    attributes: dict[str, Any] = {semconv.PROCESS_EXECUTABLE_NAME: name, semconv.PROCESS_WORKING_DIRECTORY: cwd}
    if Path(path).is_absolute():
        attributes[semconv.PROCESS_EXECUTABLE_PATH] = path
    if pipeline.settings().capture_content:
        attributes[semconv.PROCESS_COMMAND_ARGS] = tuple(argv)
    return span_start.start(name, SpanKind.CLIENT, attributes)


def content_text(value: object) -> str | None:
    """Return what may be told of a value: JSON text, or the string that it is; None when content is not captured."""
    return content.to_text(value) if pipeline.settings().capture_content else None


def captures_content() -> bool:
    """Tell whether prompts, answers, arguments and results may be told."""
    return pipeline.settings().capture_content


def traces_here() -> bool:
    """Tell whether a call that is made here and now gets a span, of a session or of a trace of its own."""
    return pipeline.tracer() is not None and (identity.current() is not None or not pipeline.serves_only_sessions())


def in_session() -> bool:
    """Tell whether what happens here and now belongs to a session; a few dictionary look-ups when it doesn't."""
    return pipeline.tracer(needed=False) is not None and identity.current() is not None


def is_of_session(path: str) -> bool:
    """Tell whether a file belongs to what is written of the current session, and of others beside it."""
    owner = identity.current()
    return owner is not None and path.startswith(os.path.join(owner.trace_dir, ""))  # noqa: PTH118 - a text is compared


def environment_of(span: Span) -> dict[str, str]:
    """Return the variables that make a child process join the current session under a span; none outside a session."""
    owner = identity.current()
    if owner is None:
        return {}
    token = context_api.attach(context_of(span))
    try:
        return owner.environment()
    finally:
        context_api.detach(token)


def context_of(span: Span) -> Context:
    """Return the context to run a span's call in: the span is current, and its session known."""
    ctx = context_api.get_current()
    if identity.of_context(ctx) is None:
        owner = identity.of_process()
        if owner is not None:
            ctx = context_api.set_value(identity.SESSION_KEY, owner, ctx)
    return trace_api.set_span_in_context(span, ctx)


# -- endings -----------------------------------------------------------------------------------------------------


def end(  # noqa: PLR0913 - one argument a way to end
    span: Span | None,
    attributes: Mapping[str, Any] | None = None,
    *,
    outcome: str = semconv.OUTCOME_OK,
    error: BaseException | None = None,
    message: str = "",
    end_ns: int | None = None,
) -> None:
    """End a span, saying how it went.

    Args:
        span: the span, None for a call that is not traced.
        attributes: what is known only now.
        outcome: a value of agent_trace.outcome; with ``error`` it follows from the error.
        error: the exception that ended the call. What is no `Exception` (KeyboardInterrupt, a task's cancellation,
            SystemExit) interrupts the call and is not its failure: the status stays unset.
        message: why a failed call failed; by default what ``error`` says, else the outcome.
        end_ns: unix nanoseconds, now by default.
    """
    if span is None:
        return
    if error is not None:
        outcome = semconv.OUTCOME_ERROR if isinstance(error, Exception) else semconv.OUTCOME_INTERRUPTED
    final: dict[str, Any] = {**(attributes or {}), semconv.OUTCOME: outcome}
    if outcome in semconv.FAILED_OUTCOMES:
        description = outcome
        if error is not None:
            final[semconv.ERROR_TYPE], description = _record_exception(span, error)
        elif message:
            told_type = str(final.setdefault(semconv.ERROR_TYPE, outcome))
            span.add_event(
                semconv.EXCEPTION_EVENT,
                {semconv.EXCEPTION_TYPE: told_type, semconv.EXCEPTION_MESSAGE: message},
                end_ns,
            )
        span.set_status(Status(StatusCode.ERROR, message or description))
    span.set_attributes(final)
    span.end(end_ns)


def end_tool(span: Span | None, result: object) -> None:
    """End a tool call that returned."""
    if span is None:
        return
    try:
        if result is not None and pipeline.settings().capture_content:
            span.set_attribute(semconv.TOOL_CALL_RESULT, content.to_text(result))
        span.set_attribute(semconv.OUTCOME, semconv.OUTCOME_OK)
    finally:
        span.end()


def _record_exception(span: Span, error: BaseException) -> tuple[str, str]:
    """Add the one ``exception`` event (semantic conventions, exceptions) and return (error.type, message)."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ in (None, "builtins") else f"{kind.__module__}.{kind.__qualname__}"
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - a __str__ of the user's
        message = f"<{kind.__qualname__}: str failed>"
    try:
        stack = "".join(traceback.format_exception(kind, error, error.__traceback__))
    except Exception:  # noqa: BLE001 - formatting calls __str__ and reads sources
        stack = ""
    message = content.cut(message, content.MAX_TEXT)
    span.add_event(
        semconv.EXCEPTION_EVENT,
        {
            semconv.EXCEPTION_TYPE: name,
            semconv.EXCEPTION_MESSAGE: message,
            semconv.EXCEPTION_STACKTRACE: content.cut(stack, _MAX_STACK),
        },
    )
    return name, message


def messages_json(role: str, text: str) -> str:
    """Return one text message in the shape of gen_ai.input.messages, the assistant's as gen_ai.output.messages."""
    return content.to_json([text_message(role, text)])


def text_message(role: str, text: str) -> dict[str, Any]:
    """Return one text message; the assistant's says that it was finished."""
    message: dict[str, Any] = {"role": role, "parts": [{"type": "text", "content": text}]}
    if role == "assistant":
        message["finish_reason"] = "stop"
    return message
