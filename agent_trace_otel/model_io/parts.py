"""One part of a message in: a content block, an item of the Responses API or a part of Google's; a convention part out.

Called by `messages`. Part types are those of the convention's message schemas (text, reasoning, tool_call,
tool_call_response, server_tool_call, server_tool_call_response, blob, file, uri); what has none there keeps its own.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, TypeAlias, cast

from agent_trace_otel.model_io.fields import MAX_MEMBERS, SCALARS, field, google_field, google_text, members, text_field

Part: TypeAlias = dict[str, Any]

_CONVENTION = frozenset(
    {
        "text",
        "reasoning",
        "tool_call",
        "tool_call_response",
        "server_tool_call",
        "server_tool_call_response",
        "blob",
        "file",
        "uri",
    }
)
MAX_BLOB = 1 << 18
"""Characters of base64 kept of one image, audio or document, so that it does not crowd out the text beside it."""


def text_part(text: str) -> Part:
    """Return a text part."""
    return {"type": "text", "content": text}


def read_parts(content: object) -> list[Part]:
    """Return the parts of a message's content: a string, one block or a list of blocks."""
    if isinstance(content, str):
        return [text_part(str.__str__(content))] if content else []
    wrapped = field(content, "parts")  # Google's Content around its parts
    blocks = content if wrapped is None else wrapped
    if not isinstance(blocks, (list, tuple)):
        blocks = [] if content is None else [content]
    return [part for block in members(cast("object", blocks)) for part in _read_block(block)]


def _read_block(block: object) -> list[Part]:
    if isinstance(block, str):
        return [text_part(str.__str__(block))]
    if isinstance(block, SCALARS):
        return []
    kind = text_field(block, "type")
    if kind is None:
        part = google_part(block)
    elif kind == "reasoning":
        return _reasoning_item(block)
    else:
        reader = _BLOCKS.get(kind)
        part = (reader(block) if reader is not None else _other_block(kind, block)) or _generic(kind, block)
    return [] if part is None else [part]


def _text_block(block: object) -> Part | None:
    text = text_field(block, "text", "content")
    return None if text is None else text_part(text)


def _thinking(block: object) -> Part | None:
    text = text_field(block, "thinking")
    return None if text is None else {"type": "reasoning", "content": text}


def _refusal(block: object) -> Part | None:
    text = text_field(block, "refusal")
    return None if text is None else {"type": "refusal", "content": text}


def _reasoning_item(item: object) -> list[Part]:
    """Read a reasoning item of the Responses API: its text if the model gives it, else its summary."""
    for name in ("content", "summary"):
        texts = [text_field(piece, "text") for piece in members(field(item, name))]
        parts: list[Part] = [{"type": "reasoning", "content": text} for text in texts if text]
        if parts:
            return parts
    return []


def _tool_use(block: object) -> Part | None:
    name = text_field(block, "name")
    return None if name is None else tool_call(text_field(block, "id"), name, field(block, "input"))


def _function_call(item: object) -> Part | None:
    name = text_field(item, "name")
    identity = text_field(item, "call_id") or text_field(item, "id")
    return None if name is None else tool_call(identity, name, field(item, "arguments", "input"))


def tool_call(identity: str | None, name: str, arguments: object) -> Part:
    """Return a tool call part."""
    part: Part = {"type": "tool_call", "name": name, "arguments": parsed(arguments)}
    return part if identity is None else {**part, "id": identity}


def parsed(arguments: object) -> object:
    """Return a tool call's arguments as an object where they are the JSON text of one, else as they came."""
    if isinstance(arguments, str):
        try:
            value: Any = json.loads(arguments)
        except (ValueError, RecursionError):
            return arguments
        return cast("object", value) if isinstance(value, (dict, list)) else arguments
    return arguments


def _tool_result(block: object) -> Part | None:
    part = tool_response(text_field(block, "tool_use_id"), field(block, "content"))
    return {**part, "is_error": True} if field(block, "is_error") is True else part


def tool_response(identity: str | None, given: object) -> Part:
    """Return a tool call response part: text where the result is nothing but one text, else its parts or value."""
    response: object = given
    if isinstance(given, (list, tuple)):
        parts = read_parts(cast("object", given))
        response = parts[0]["content"] if len(parts) == 1 and parts[0]["type"] == "text" else parts
    part: Part = {"type": "tool_call_response", "response": "" if response is None else response}
    return part if identity is None else {**part, "id": identity}


def _server_tool_use(block: object) -> Part | None:
    name = text_field(block, "name")
    return None if name is None else _server_call(text_field(block, "id"), name, {"input": field(block, "input")})


def _server_call(identity: str | None, name: str, details: Mapping[str, Any]) -> Part:
    part: Part = {"type": "server_tool_call", "name": name, "server_tool_call": {**details, "type": name}}
    return part if identity is None else {**part, "id": identity}


def _server_result(identity: str | None, name: str, details: Mapping[str, Any]) -> Part:
    part: Part = {"type": "server_tool_call_response", "server_tool_call_response": {**details, "type": name}}
    return part if identity is None else {**part, "id": identity}


def _other_block(kind: str, block: object) -> Part | None:
    """Read the many tools that providers run themselves, by the pattern of their type names."""
    call = text_field(block, "call_id")
    if kind.endswith("_call_output"):
        return tool_response(call, field(block, "output"))
    if kind.endswith("_call"):
        name = kind.removesuffix("_call")
        if call is not None:  # the client answers with this id, so the client runs the tool
            return tool_call(call, name, field(block, "action", "operation"))
        return _server_call(text_field(block, "id"), name, _dumped(block))
    if kind.endswith("_tool_result"):
        name = kind.removesuffix("_tool_result")
        return _server_result(text_field(block, "tool_use_id"), name, {"content": field(block, "content")})
    return None


# -- images, audio, documents ------------------------------------------------------------------------------------


def _blob(modality: str, mime_type: str | None, data: object) -> Part | None:
    if isinstance(data, (bytes, bytearray)):
        whole = len(data)
        data = base64.b64encode(data[: MAX_BLOB // 4 * 3]).decode("ascii")
        dropped = (whole + 2) // 3 * 4 - len(data)
    elif isinstance(data, str):
        dropped = max(len(data) - MAX_BLOB, 0)
        data = data[:MAX_BLOB]
    else:
        return None
    kept = f"{data}… [cut: {dropped} characters]" if dropped > 0 else data
    return _attached({"type": "blob", "modality": modality, "content": kept}, mime_type)


def _uri(modality: str, mime_type: str | None, uri: str) -> Part | None:
    if uri.startswith("data:"):
        head, _, data = uri.partition(",")
        return _blob(modality, head[5:].split(";")[0] or mime_type, data)
    return _attached({"type": "uri", "modality": modality, "uri": uri}, mime_type)


def image_part(image: object) -> Part:
    """Return an image that stands beside a message, as Ollama has them: base64, bytes, or the path of a file."""
    value = image if isinstance(image, (str, bytes)) else field(image, "value")
    return _blob("image", None, value) or {"type": "uri", "modality": "image", "uri": str(value)}


def _attached(part: Part, mime_type: str | None) -> Part:
    return part if mime_type is None else {**part, "mime_type": mime_type}


def _attachment(modality: str, source: object, mime_type: str | None = None) -> Part | None:
    """Read data, an address or a file id from wherever a provider puts them."""
    mime_type = text_field(source, "media_type") or google_text(source, "mime_type") or mime_type
    file_id = text_field(source, "file_id")
    if file_id is not None:
        return _attached({"type": "file", "modality": modality, "file_id": file_id}, mime_type)
    uri = text_field(source, "url", "file_url") or google_text(source, "file_uri")
    if uri is not None:
        return _uri(modality, mime_type, uri)
    data = field(source, "data", "file_data")
    if isinstance(data, str) and data.startswith("data:"):
        return _uri(modality, mime_type, data)
    return _blob(modality, mime_type, data)


def _source_block(block: object) -> Part | None:
    source = field(block, "source")
    text = text_field(source, "data") if text_field(source, "type") == "text" else None
    if text is not None:
        return text_part(text)
    return _attachment(text_field(block, "type") or "document", source)


def _image_url(block: object) -> Part | None:
    image = field(block, "image_url")
    url = str.__str__(image) if isinstance(image, str) else text_field(image, "url")
    return _uri("image", None, url) if url is not None else _attachment("image", block)


def _audio(block: object) -> Part | None:
    audio = field(block, "input_audio")
    wave = text_field(audio, "format")
    return _attachment("audio", audio, None if wave is None else f"audio/{wave}")


def spoken_parts(audio: object) -> list[Part]:
    """Return what a model of Chat Completions said aloud: words and sound; none of an id that stands for it."""
    words = text_field(audio, "transcript")
    sound = _blob("audio", None, field(audio, "data") or None)
    return [*([text_part(words)] if words else []), *([] if sound is None else [sound])]


def _file(block: object) -> Part | None:
    inner = field(block, "file")
    return _attachment("document", block if inner is None else inner)


def google_part(part: object) -> Part | None:
    """Read a part of Google's Content, in wire or Python spelling; its kind is the member that is set."""
    text = text_field(part, "text")
    if text is not None:
        return {"type": "reasoning", "content": text} if field(part, "thought") is True else text_part(text)
    call = google_field(part, "function_call")
    name = text_field(call, "name")
    if name is not None:
        return tool_call(text_field(call, "id"), name, field(call, "args"))
    result = google_field(part, "function_response")
    name = text_field(result, "name")
    if name is not None:
        return {**tool_response(text_field(result, "id"), field(result, "response")), "name": name}
    for name in ("inline_data", "file_data"):
        source = google_field(part, name)
        mime_type = google_text(source, "mime_type")
        attached = _attachment((mime_type or "document").split("/")[0], source)
        if attached is not None:
            return attached
    code = google_field(part, "executable_code")
    source = text_field(code, "code")
    if source is not None:
        return _server_call(None, "code_execution", {"language": text_field(code, "language"), "code": source})
    run = google_field(part, "code_execution_result")
    outcome = text_field(run, "outcome")
    if outcome is not None:
        return _server_result(None, "code_execution", {"outcome": outcome, "output": text_field(run, "output")})
    return None


def _generic(kind: str, block: object) -> Part:
    """Keep a part that the convention has no type for, under its own type, unless that would promise a known shape."""
    return {**_dumped(block), "type": f"{kind}_block" if kind in _CONVENTION else kind}


def _dumped(block: object) -> dict[str, Any]:
    try:
        dump: Callable[[object], object] | None = getattr(type(block), "model_dump", None)  # pydantic
        value: object = dump(block) if callable(dump) else block
        if isinstance(value, Mapping):
            return dict(islice(cast("Mapping[str, Any]", value).items(), MAX_MEMBERS))
    except Exception:  # noqa: BLE001 - the client's own code
        return {}
    return {}


_BLOCKS: Mapping[str, Callable[[object], Part | None]] = {
    "text": _text_block,
    "input_text": _text_block,
    "output_text": _text_block,
    "thinking": _thinking,
    "refusal": _refusal,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    "server_tool_use": _server_tool_use,
    "mcp_tool_use": _server_tool_use,
    "function_call": _function_call,
    "custom_tool_call": _function_call,
    "image": _source_block,
    "document": _source_block,
    "audio": _source_block,
    "video": _source_block,
    "image_url": _image_url,
    "input_image": _image_url,
    "input_audio": _audio,
    "file": _file,
    "input_file": _file,
}
