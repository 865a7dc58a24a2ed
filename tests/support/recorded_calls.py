"""Recorded model traffic, and what a span has to say of it: read from the recording alone, in the plainest way.

Comes in: lines of ``llm/*.jsonl`` (AGENT_TRACE_CORPUS, else ``../shared/corpus``). Goes out: `Recording`s and the facts
that each must leave behind. Used by ``corpus_run`` and its test. Nothing of `agent_trace_otel` is imported here: this
is the judge.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CORPUS = Path(os.environ.get("AGENT_TRACE_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus") / "llm"

Fact = tuple[Any, ...]
"""Something said: ("text", role, text), ("call", name, arguments, id), ("result", id, text), ("reasoning", text)."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded interaction."""

    name: str
    api: str
    request: dict[str, Any]
    status: int
    content_type: str
    text: str

    @property
    def is_stream(self) -> bool:
        """Whether the answer came in events."""
        return "event-stream" in self.content_type or self.text.startswith(("data:", "event:"))

    @property
    def events(self) -> list[Any]:
        """The data of the events, parsed."""
        data = [line[5:].strip() for line in self.text.splitlines() if line.startswith("data:")]
        return [json.loads(line) for line in data if line and line != "[DONE]"]


@dataclass(slots=True)
class Said:
    """What a call said and cost."""

    id: str | None = None
    model: str | None = None
    reasons: list[str | None] = field(default_factory=list[Any])
    usage: dict[str, int] = field(default_factory=dict[str, int])
    facts: list[Fact] = field(default_factory=list[Fact])


def recordings(*apis: str) -> Iterator[Recording]:
    """Return the recordings of some APIs, in the order of their files."""
    for api in apis:
        path = CORPUS / f"{api}.jsonl"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines() if path.exists() else (), 1):
            row = json.loads(line)
            headers = {name.lower(): value for name, value in row["response_headers"].items()}
            kind = headers.get("content-type") or "application/json"
            yield Recording(
                f"{api}-{number}", api, row["request"]["json"], row["status"], kind, row["response"]["text"]
            )


# -- requests ----------------------------------------------------------------------------------------------------


def asked(recording: Recording) -> tuple[list[Fact], list[str]]:
    """Return what the model was told: facts of the messages, and texts of the instructions beside them."""
    body = recording.request
    given = body.get("messages", body.get("input"))
    messages = [given] if isinstance(given, (str, dict)) else given
    facts = [fact for message in messages for fact in _message(message)]
    system = body.get("system") or body.get("instructions") or []
    return facts, [system] if isinstance(system, str) else [block["text"] for block in system]


def _message(message: Any) -> Iterable[Fact]:
    if isinstance(message, str):
        return [("text", "user", message)]
    kind = message.get("type")
    if kind == "function_call":
        return [("call", message["name"], _parsed(message["arguments"]), message.get("call_id"))]
    if kind == "function_call_output":
        return [("result", message["call_id"], message["output"])]
    if kind == "reasoning":
        return [("reasoning", part["text"]) for part in message.get("content") or message["summary"]]
    role, content = message["role"], message.get("content")
    if role == "tool":
        return [("result", message["tool_call_id"], content)]
    facts: list[Fact] = [("text", role, content)] if isinstance(content, str) and content else []
    for block in content if isinstance(content, list) else []:
        facts.extend(_block(block, role))
    facts += [
        ("call", call["function"]["name"], _parsed(call["function"]["arguments"]), call["id"])
        for call in message.get("tool_calls") or []
    ]
    return facts


def _block(block: Any, role: str) -> Iterable[Fact]:
    kind = block["type"]
    if kind in ("text", "input_text", "output_text"):
        return [("text", role, block["text"])]
    if kind == "tool_use":
        return [("call", block["name"], block["input"], block["id"])]
    if kind == "thinking":
        return [("reasoning", block["thinking"])]
    if kind == "tool_result":
        content = block["content"]
        text = content if isinstance(content, str) else "".join(part["text"] for part in content)
        return [("result", block["tool_use_id"], text)]
    return [("attached",)]


def _parsed(arguments: Any) -> Any:
    try:
        value = json.loads(arguments)
    except (TypeError, ValueError):
        return arguments
    return value if isinstance(value, (dict, list)) else arguments


# -- answers -----------------------------------------------------------------------------------------------------


def answered(recording: Recording) -> Said:
    """Return what the model said."""
    said = Said()
    if recording.status != 200 or not recording.text:
        return said
    read = {
        "openai.chat.completions": (_chat, _chat_events),
        "openai.responses": (_response, _response_events),
        "openai.embeddings": (_embeddings, _chat_events),
        "anthropic.messages": (_anthropic, _anthropic_events),
    }[recording.api]
    if recording.is_stream:
        read[1](said, recording.events)
    else:
        read[0](said, json.loads(recording.text))
    return said


def _openai_usage(usage: dict[str, Any] | None) -> dict[str, int]:
    usage = usage or {}
    given = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    made = usage.get("completion_tokens_details") or usage.get("output_tokens_details") or {}
    counts = {
        "input_tokens": usage.get("prompt_tokens", usage.get("input_tokens")),
        "output_tokens": usage.get("completion_tokens", usage.get("output_tokens")),
        "cache_read.input_tokens": given.get("cached_tokens"),
        "cache_write.input_tokens": given.get("cache_write_tokens"),
        "reasoning.output_tokens": made.get("reasoning_tokens"),
    }
    return {name: count for name, count in counts.items() if count is not None}


def _chat(said: Said, body: dict[str, Any]) -> None:
    said.id, said.model, said.usage = body["id"], body["model"], _openai_usage(body.get("usage"))
    for choice in body["choices"]:
        said.reasons.append(choice["finish_reason"])
        message = choice["message"]
        if message.get("refusal"):
            said.facts.append(("refusal", message["refusal"]))
        said.facts += _message({**message, "role": "assistant"})
        legacy = message.get("function_call")
        if legacy:
            said.facts.append(("call", legacy["name"], _parsed(legacy["arguments"]), None))


def _chat_events(said: Said, events: list[Any]) -> None:
    texts: dict[int, str] = defaultdict(str)
    reasons: dict[int, str] = {}
    calls: dict[int, dict[int, list[Any]]] = defaultdict(dict)
    for event in events:
        said.id, said.model = said.id or event["id"], said.model or event["model"]
        said.usage = _openai_usage(event.get("usage")) or said.usage
        for choice in event["choices"]:
            index, delta = choice["index"], choice["delta"]
            texts[index] += delta.get("content") or ""
            if choice.get("finish_reason"):
                reasons[index] = choice["finish_reason"]
            for call in delta.get("tool_calls") or []:
                kept = calls[index].setdefault(call["index"], [call["function"].get("name"), "", call.get("id")])
                kept[1] += call["function"].get("arguments") or ""
    for index in sorted(texts):
        said.reasons.append(reasons.get(index))
        said.facts += [("text", "assistant", texts[index])] if texts[index] else []
        said.facts += [("call", name, _parsed(arguments), one) for name, arguments, one in calls[index].values()]


def _response(said: Said, body: dict[str, Any]) -> None:
    said.id, said.model, said.usage = body["id"], body["model"], _openai_usage(body.get("usage"))
    for item in body["output"]:
        if item["type"] in ("message", "function_call", "reasoning"):
            said.facts += _message({**item, "role": "assistant"})
    called = any(item["type"] == "function_call" for item in body["output"])
    incomplete = (body.get("incomplete_details") or {}).get("reason")
    said.reasons = [incomplete if body["status"] == "incomplete" else "tool_calls" if called else "stop"]


def _response_events(said: Said, events: list[Any]) -> None:
    _response(said, events[-1]["response"])


def _embeddings(said: Said, body: dict[str, Any]) -> None:
    said.model, said.usage = body["model"], {"input_tokens": body["usage"]["prompt_tokens"]}


def _anthropic(said: Said, body: dict[str, Any]) -> None:
    said.id, said.model, said.reasons = body["id"], body["model"], [body["stop_reason"]]
    said.facts = [fact for block in body["content"] for fact in _block(block, "assistant")]
    usage = body["usage"]
    read, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    counts = {
        "input_tokens": usage["input_tokens"] + (read or 0) + (written or 0),
        "output_tokens": usage["output_tokens"],
        "cache_read.input_tokens": read,
        "cache_write.input_tokens": written,
        "reasoning.output_tokens": (usage.get("output_tokens_details") or {}).get("thinking_tokens"),
    }
    said.usage = {name: count for name, count in counts.items() if count is not None}


def _anthropic_events(said: Said, events: list[Any]) -> None:
    """Put the message together, then read it as one that came whole."""
    message: dict[str, Any] = {}
    for event in events:
        kind = event["type"]
        if kind == "message_start":
            message = {**event["message"], "content": []}
        elif kind == "content_block_start":
            message["content"].append({**event["content_block"], "json": ""})
        elif kind == "content_block_delta":
            block, delta = message["content"][event["index"]], event["delta"]
            name = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "json"}.get(delta["type"])
            if name is not None:
                block[name] += delta["partial_json" if name == "json" else name]
        elif kind == "message_delta":
            message |= event["delta"]
            message["usage"] |= {name: count for name, count in event["usage"].items() if count is not None}
    for block in message["content"]:
        if block["json"]:
            block["input"] = json.loads(block["json"])
    _anthropic(said, message)


# -- spans -------------------------------------------------------------------------------------------------------


def facts_of(messages: list[dict[str, Any]]) -> list[Fact]:
    """Return the facts of messages in the convention's shape."""
    return [fact for message in messages for part in message["parts"] for fact in _part(part, message["role"])]


def _part(part: dict[str, Any], role: str) -> Iterable[Fact]:
    kind = part["type"]
    if kind == "text":
        return [("text", role, part["content"])]
    if kind in ("reasoning", "refusal"):
        return [(kind, part["content"])]
    if kind == "tool_call":
        return [("call", part["name"], part["arguments"], part.get("id"))]
    if kind == "tool_call_response":
        response = part["response"]
        text = response if isinstance(response, str) else "".join(piece["content"] for piece in response)
        return [("result", part.get("id"), text)]
    return [("attached",)] if kind in ("blob", "uri", "file") else []
