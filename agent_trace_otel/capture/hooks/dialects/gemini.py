"""Gemini CLI's hook payloads -> Claude Code's shape.

Gemini CLI 0.61.0 documents them (docs/hooks/reference.md in its package); seen beside that with the real client: a call
that is unknown or invalid has no event; PreCompress comes before every model call, as a question whether to compress,
unless a user asked for it; an agent's calls are told among its parent's, without a mark; SessionEnd may come twice.
There is no id of a call and none of a prompt. Of a result, ``returnDisplay`` is what the terminal shows, in interactive
mode cell by cell: ``llmContent``, which the model gets, is told.

Called through `dialects`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, cast

from agent_trace_otel.capture.hooks.dialects.shapes import (
    AGENT,
    EDIT,
    READ,
    SHELL,
    TRANSCRIPTS,
    WRITE,
    Payload,
    Shape,
    exited,
    failed,
    object_of,
    text_of,
    without,
)

_KINDS: Final = {
    "run_shell_command": SHELL,
    "read_file": READ,
    "write_file": WRITE,
    "replace": EDIT,
    "invoke_agent": AGENT,
}
_CHANGES: Final = frozenset({WRITE, EDIT})
_UNTRUSTED: Final = re.compile(r"\A<untrusted_context>\n(.*)\n</untrusted_context>\Z", re.DOTALL)
_OUTPUT: Final = re.compile(
    r"^Output: (.*?)(?=\n(?:Error|Exit Code|Signal|Background PIDs|Process Group PGID): |\Z)", re.DOTALL | re.MULTILINE
)
_EXIT_CODE: Final = re.compile(r"^Exit Code: (-?\d{1,10})$", re.MULTILINE)
_EMPTY: Final = "(empty)"
_CANCELLED: Final = "Command was cancelled by user"
_USAGE: Final = {"promptTokenCount": "input_tokens", "candidatesTokenCount": "output_tokens"}
"""The hooks' model of a response has these and totalTokenCount; what they leave out is unknown."""


def claude_shape(event: str, payload: Payload) -> list[Shape]:
    """Return a payload in Claude Code's shape, nothing for what tells nothing.

    Args:
        event: the event that the hook is registered for; the payload's own ``hook_event_name`` decides.
        payload: what Gemini CLI wrote to the hook.
    """
    shape = without(payload, TRANSCRIPTS)
    name = shape["hook_event_name"] = str(payload.get("hook_event_name") or event)
    read = _EVENTS.get(name)
    return [shape] if read is None else read(shape)


def _prompt(shape: Shape) -> list[Shape]:
    return [{**shape, "hook_event_name": "UserPromptSubmit"}]


def _stop(shape: Shape) -> list[Shape]:
    answer = text_of(shape.pop("prompt_response", "")).strip()  # the streamed parts, joined with blanks and line ends
    return [{**without(shape, {"prompt"}), "hook_event_name": "Stop", "last_assistant_message": answer}]


def _call(shape: Shape) -> list[Shape]:
    shape["hook_event_name"] = "PreToolUse"
    tool = shape.get("tool_name")
    kind = _KINDS.get(tool) if isinstance(tool, str) else None
    if kind:
        shape["tool_kind"] = kind
    server = object_of(shape.pop("mcp_context", None))
    if isinstance(server.get("server_name"), str) and isinstance(server.get("tool_name"), str):
        shape["tool_name"] = f"mcp__{server['server_name']}__{server['tool_name']}"
    return [shape]


def _result(shape: Shape) -> list[Shape]:
    shape = {**_call(shape)[0], "hook_event_name": "PostToolUse"}
    response = object_of(shape.get("tool_response"))
    error, text = object_of(response.get("error")), text_of(response.get("llmContent", ""))
    wrapped = _UNTRUSTED.match(text)
    text = wrapped[1] if wrapped else text
    if text.startswith(_CANCELLED):
        return [{**failed(shape, text), "is_interrupt": True}]
    if error:
        return [failed(shape, text_of(error.get("message") or error))]
    kind = shape.get("tool_kind")
    output = _OUTPUT.search(text) if kind == SHELL else None
    if output is not None:
        code = _EXIT_CODE.search(text, output.end())  # named unless it is 0
        return [exited(shape, int(code[1]) if code else 0, "" if output[1] == _EMPTY else output[1])]
    diff = object_of(response.get("returnDisplay")).get("fileDiff")
    if kind in _CHANGES and isinstance(diff, str):
        lines = diff.partition("\n@@")[2].splitlines()[1:]
        return [{**shape, "tool_response": {"content": text, "structuredPatch": [{"lines": lines}]}}]
    return [{**shape, "tool_response": response.get("llmContent", shape.get("tool_response"))}]


def _compaction(shape: Shape) -> list[Shape]:
    return [{**shape, "hook_event_name": "PreCompact"}] if shape.get("trigger") == "manual" else []


def _answer(shape: Shape) -> list[Shape]:
    """Keep of a streamed answer's chunks the last, which alone has a reason to finish, and of that what it cost."""
    request, response = object_of(shape.pop("llm_request", None)), object_of(shape.pop("llm_response", None))
    candidates = response.get("candidates")
    given = cast("list[object]", candidates) if isinstance(candidates, list) else []
    counts = object_of(response.get("usageMetadata"))
    if not counts or not any(object_of(candidate).get("finishReason") for candidate in given):
        return []
    usage = {name: counts[count] for count, name in _USAGE.items() if count in counts}
    return [{**shape, "model": request.get("model"), "usage": usage}]


def _nothing(_: Shape) -> list[Shape]:
    return []


_EVENTS: Final[Mapping[str, Callable[[Shape], list[Shape]]]] = {
    "BeforeAgent": _prompt,
    "AfterAgent": _stop,
    "BeforeTool": _call,
    "AfterTool": _result,
    "PreCompress": _compaction,
    "BeforeModel": _nothing,
    "BeforeToolSelection": _nothing,
    "AfterModel": _answer,
}
