"""What MCP requests, answers and notifications say: parsed JSON in, span attributes out.

Called by the MCP proxies and the MCP instrumentor, so that both tell a request alike. Pure. What was said (arguments,
results, messages) is kept apart from names and settings: it is told only where content is captured. Shapes: the MCP
schema, all revisions up to 2026-07-28; names: semantic conventions, MCP client and server spans.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from agent_trace_otel import model_io, semconv

Json = Mapping[str, Any]

PROTOCOL_VERSION_KEY: Final = "io.modelcontextprotocol/protocolVersion"
"""Key of `_meta` in each request since 2026-07-28, which has no handshake."""
SUBSCRIPTION_KEY: Final = "io.modelcontextprotocol/subscriptionId"
"""Key of `_meta` in what a `subscriptions/listen` sends: that request's id."""

CANCELLED: Final = "notifications/cancelled"
LISTEN_ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"
LOG_MESSAGE: Final = "notifications/message"
PROGRESS: Final = "notifications/progress"

_STOP_REASONS = {
    "endTurn": "end_turn",
    "stopSequence": "stop_sequence",
    "maxTokens": "max_tokens",
    "toolUse": "tool_use",
}
_OTHER_ERROR = "_OTHER"  # semantic conventions, error.type


@dataclass(frozen=True, slots=True)
class Reading:
    """What one message tells."""

    attributes: Json = field(default_factory=dict[str, Any])
    """Names, ids and settings."""
    said: Mapping[str, object] = field(default_factory=dict[str, object])
    """Attributes that hold content, as JSON values."""
    error_type: str = ""
    """The conventions' error.type, empty if nothing failed; it is among the attributes too."""
    message: str = ""
    """Why it failed, in the protocol's words."""
    said_of_error: str = ""
    """Why it failed, in the tool's words; content."""

    def told(self, tell: Callable[[object], str | None]) -> dict[str, Any]:
        """Return all attributes, content as ``tell`` puts it; what that gives None for is left out."""
        found = dict(self.attributes)
        for name, value in self.said.items():
            text = tell(value)
            if text is not None:
                found[name] = text
        return found

    def failure(self, tell: Callable[[object], str | None]) -> str:
        """Return why it failed, empty if it did not."""
        return self.message or (tell(self.said_of_error) if self.said_of_error else "") or self.error_type


def target_of(method: str, params: object) -> str:
    """Return what a request's span is named after beside the method: its tool or prompt, empty for other methods."""
    return _text(params, "name") if method in {"tools/call", "prompts/get"} else ""


def read_request(method: str, params: object) -> Reading:
    """Return what a request tells when it is sent."""
    given = _object(params)
    attributes: dict[str, Any] = {}
    said: dict[str, object] = {}
    told: frozenset[str] = frozenset()
    if method == "tools/call":
        attributes = {semconv.OPERATION_NAME: semconv.EXECUTE_TOOL, semconv.TOOL_NAME: _text(given, "name")}
        said[semconv.TOOL_CALL_ARGUMENTS] = {} if given.get("arguments") is None else given["arguments"]
        told = frozenset({"name", "arguments"})
    elif method == "prompts/get":
        attributes[semconv.PROMPT_NAME] = _text(given, "name")
    elif method.startswith("resources/") and _text(given, "uri"):
        attributes[semconv.MCP_RESOURCE_URI] = _text(given, "uri")
    elif method == "sampling/createMessage":
        attributes, said, told = _read_sampling(given)
    said[semconv.MCP_PARAMS] = {n: value for n, value in given.items() if n not in told and n != "_meta"} or None
    version = _text(given.get("_meta"), PROTOCOL_VERSION_KEY)
    if version:
        attributes[semconv.MCP_PROTOCOL_VERSION] = version
    return Reading(attributes, _present(said))


def _read_sampling(params: Json) -> tuple[dict[str, Any], dict[str, object], frozenset[str]]:
    """Read what a server wants to ask a model: its shape is that of Anthropic's messages in other letters.

    Returns:
        Attributes, content, and which parameters these tell in full.
    """
    hints: object = _object(params.get("modelPreferences")).get("hints")
    hint = _text(cast("list[object]", hints)[0], "name") if isinstance(hints, list) and hints else ""
    asked = model_io.read_request(
        {
            "messages": params.get("messages"),
            "system": params.get("systemPrompt"),
            "model": hint or None,
            "max_tokens": params.get("maxTokens"),
            "temperature": params.get("temperature"),
            "stop_sequences": params.get("stopSequences"),
        }
    )
    attributes = {**asked.attributes, **({semconv.REQUEST_MODEL: asked.model} if asked.model else {})}
    said: dict[str, object] = {semconv.INPUT_MESSAGES: asked.messages, semconv.SYSTEM_INSTRUCTIONS: asked.system}
    return attributes, said, frozenset({"messages", "systemPrompt", "maxTokens", "temperature", "stopSequences"})


def read_result(method: str, result: object) -> Reading:
    """Return how a request ended that was answered with a result.

    A tool that failed (``isError``) is a failure of the call; a result that asks for more input (``resultType``
    input_required, 2026-07-28) is none.
    """
    given = _object(result)
    said = {name: value for name, value in given.items() if name != "_meta"} if isinstance(result, Mapping) else result
    if method == "tools/call":
        answer = _present({semconv.TOOL_CALL_RESULT: said})
        if given.get("isError") is not True:
            return Reading(said=answer)
        failed = {semconv.ERROR_TYPE: semconv.TOOL_ERROR}
        return Reading(failed, answer, semconv.TOOL_ERROR, said_of_error=_text_of(given.get("content")))
    if method == "sampling/createMessage" and "role" in given:
        return _read_sampled(given)
    version = _text(given, "protocolVersion") if method == "initialize" else ""
    attributes = {semconv.MCP_PROTOCOL_VERSION: version} if version else {}
    return Reading(attributes, _present({semconv.MCP_RESULT: said or None}))


def _read_sampled(result: Json) -> Reading:
    """Read a sampling result: an Anthropic message but for the spelling of its stop reason and a single block."""
    reason: object = result.get("stopReason")
    attributes = model_io.read_response(
        {
            "type": "message",
            "role": result["role"],
            "model": result.get("model"),
            "content": _blocks(result.get("content")),
            "stop_reason": _STOP_REASONS.get(reason, reason) if isinstance(reason, str) else None,
        }
    )
    if isinstance(reason, str):
        attributes[semconv.RESPONSE_FINISH_REASONS] = (reason,)
    return Reading(attributes, _present({semconv.OUTPUT_MESSAGES: attributes.pop(semconv.OUTPUT_MESSAGES, None)}))


def read_error(code: object, message: object, data: object = None) -> Reading:
    """Return how a request ended that was answered with an error (JSON-RPC 2.0, section 5.1)."""
    number = int(code) if isinstance(code, (int, float)) and not isinstance(code, bool) and code == code // 1 else None
    kind = _OTHER_ERROR if number is None else str(number)
    attributes = {semconv.ERROR_TYPE: kind}
    if number is not None:
        attributes[semconv.RPC_RESPONSE_STATUS_CODE] = kind
    said = _present({semconv.MCP_RESULT: data})
    return Reading(attributes, said, kind, message if isinstance(message, str) else "")


def read_notification(method: str, params: object) -> Reading:
    """Return what the span event of a notification tells; its progress token only says whose it is."""
    rest = {name: value for name, value in _object(params).items() if name not in {"_meta", "progressToken"}}
    return Reading({semconv.MCP_METHOD_NAME: method}, _present({semconv.MCP_PARAMS: rest or None}))


def _object(value: object) -> Json:
    return cast("Json", value) if isinstance(value, Mapping) else {}


def _text(value: object, name: str) -> str:
    found = _object(value).get(name)
    return found if isinstance(found, str) else ""


def _blocks(content: object) -> list[object]:
    """Return the blocks of a content, which is one of them or a list."""
    return cast("list[object]", content) if isinstance(content, list) else [content]


def _text_of(content: object) -> str:
    return "\n".join(filter(None, (_text(block, "text") for block in _blocks(content))))


def _present(said: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in said.items() if value is not None}
