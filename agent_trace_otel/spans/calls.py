"""What the span of each kind of call is called and tells at its start: agent, turn, tool, model, MCP request, process.

Comes in: what a capture path saw. Goes out: a span with the names and attributes of the GenAI semantic conventions
(`semconv`), None when nothing is to be traced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from agent_trace_otel import content, pipeline, semconv
from agent_trace_otel.spans import start
from agent_trace_otel.spans.told import Told

if TYPE_CHECKING:
    from opentelemetry.trace import Span


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
    return start.start(f"{operation} {name}", SpanKind.INTERNAL, begun, told=told)


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
    return start.start(f"{semconv.INVOKE_AGENT} {name}", SpanKind.INTERNAL, attributes, key=("turn", key), told=told)


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
    return start.start(f"{semconv.EXECUTE_TOOL} {name}", SpanKind.INTERNAL, attributes, began_ns=began_ns, told=told)


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
    return start.start(f"{operation} {model}" if model else operation, SpanKind.CLIENT, begun, told=told)


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
    return start.start(f"{method} {target}" if target else method, kind, begun, told=told)


def start_plain(name: str, attributes: Mapping[str, Any]) -> Span | None:
    """Start the span of a request that the convention has no operation for: ``{name}``, CLIENT."""
    return start.start(name, SpanKind.CLIENT, dict(attributes))


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
    return start.start(name, SpanKind.CLIENT, attributes)


def messages_json(role: str, text: str) -> str:
    """Return one text message in the shape of gen_ai.input.messages, the assistant's as gen_ai.output.messages."""
    return content.to_json([text_message(role, text)])


def text_message(role: str, text: str) -> dict[str, Any]:
    """Return one text message; the assistant's says that it was finished."""
    message: dict[str, Any] = {"role": role, "parts": [{"type": "text", "content": text}]}
    if role == "assistant":
        message["finish_reason"] = "stop"
    return message
