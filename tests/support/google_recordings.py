"""Google's recorded calls, asked anew through the client and judged by what each recording says, read in a plain way.

Comes in: lines of ``google.*.jsonl``. Goes out: for each API and way what its spans tell otherwise. Used by
``corpus_run`` and ``tests/instrumentors/test_google_corpus.py``.

Recordings of two kinds hold what another client asked for: enums as numbers (``enum-encoding=int``), and a stream as
one JSON array (no ``alt=sse``). The server answers this client as Google does: with the enums' names, and with events.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from model_server import RECORDING, Answer, answer_events, answer_json, serving
from recorded_calls import CORPUS

import agent_trace_otel as at
from agent_trace_otel.testing import Recorded, recording

if TYPE_CHECKING:
    from google import genai

APIS = ("google.generate_content", "google.stream_generate_content")
WAYS = ("sync", "async")
_NAMES = {
    "finishReason": {1: "STOP", 2: "MAX_TOKENS"},
    "modality": {1: "TEXT", 2: "IMAGE"},
    "trafficType": {1: "ON_DEMAND"},
}


@dataclass
class Said:
    """What a recording says."""

    model: str | None = None
    id: str | None = None
    reasons: list[str] = field(default_factory=list)
    parts: list[tuple[Any, ...]] = field(default_factory=list)
    usage: dict[str, int] = field(default_factory=dict)

    def read(self, chunks: list[Any]) -> None:
        counts: dict[str, Any] = {}
        for chunk in chunks:
            self.model, self.id = chunk["modelVersion"], chunk["responseId"]
            counts |= chunk["usageMetadata"]
            for candidate in chunk["candidates"]:
                self.reasons += [candidate["finishReason"].lower()] if "finishReason" in candidate else []
                for fact in _facts(candidate["content"]):
                    if self.parts and fact[0] == self.parts[-1][0] in ("text", "reasoning"):  # it came in pieces
                        self.parts.append((fact[0], self.parts.pop()[1] + fact[1]))
                    else:
                        self.parts.append(fact)
        given = {
            "input_tokens": (counts.get("promptTokenCount"), counts.get("toolUsePromptTokenCount")),
            "output_tokens": (counts.get("candidatesTokenCount"), counts.get("thoughtsTokenCount")),
            "reasoning.output_tokens": (counts.get("thoughtsTokenCount"),),
            "cache_read.input_tokens": (counts.get("cachedContentTokenCount"),),
        }
        self.usage = {name: sum(n or 0 for n in ns) for name, ns in given.items() if ns[0] is not None or any(ns[1:])}


class Recording:
    """One recorded call."""

    def __init__(self, name: str, line: dict[str, Any]) -> None:
        self.name = name
        self.status: int = line["status"]
        self.asked: dict[str, Any] = line["request"]["json"]
        self.model = line["uri"].partition("/models/")[2].partition(":")[0]
        self.on_vertex = "aiplatform" in line["uri"]
        self.is_stream = "streamGenerateContent" in line["uri"]
        self.chunks = [_named(chunk) for chunk in _chunks(line["response"]["text"])]

    def answer(self) -> Answer:
        """Return what the server sends."""
        if self.is_stream and self.status == 200:
            return answer_events(self.chunks)
        return answer_json(self.chunks[0], self.status)

    def said(self) -> Said:
        """Return what it says."""
        said = Said()
        if self.status == 200:
            said.read(self.chunks)
        return said

    def arguments(self) -> dict[str, Any]:
        """Return what to ask the client."""
        config: dict[str, Any] = dict(self.asked.get("generationConfig") or {})
        system = self.asked.get("systemInstruction")
        if system is not None:
            config["systemInstruction"] = system
        thinking = config.get("thinkingConfig")
        if thinking:  # older clients refuse what they don't know
            from google.genai.types import ThinkingConfig

            known = ThinkingConfig.model_fields
            config["thinkingConfig"] = {name: value for name, value in thinking.items() if name in known}
        config["http_options"] = {"headers": {RECORDING: self.name}}
        return {"model": self.model, "contents": self.asked["contents"], "config": config}


def _facts(content: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for part in content.get("parts", []):
        if part.get("text"):
            yield ("reasoning" if part.get("thought") else "text"), part["text"]
        if "functionCall" in part:
            yield "call", part["functionCall"]["name"], part["functionCall"]["args"]
        if "functionResponse" in part:
            yield "result", part["functionResponse"]["response"]
        if "executableCode" in part:
            yield "code", part["executableCode"]["code"]
        if "codeExecutionResult" in part:
            yield "output", part["codeExecutionResult"]["output"]


def _told(messages: str) -> list[tuple[Any, ...]]:
    """Return the same facts of messages in the convention's shape."""
    found: list[tuple[Any, ...]] = []
    for message in json.loads(messages):
        for part in message["parts"]:
            if part["type"] in ("text", "reasoning") and part["content"]:
                found.append((part["type"], part["content"]))
            elif part["type"] == "tool_call":
                found.append(("call", part["name"], part["arguments"]))
            elif part["type"] == "tool_call_response":
                found.append(("result", part["response"]))
            elif part["type"] == "server_tool_call":
                found.append(("code", part["server_tool_call"]["code"]))
            elif part["type"] == "server_tool_call_response":
                found.append(("output", part["server_tool_call_response"]["output"]))
    return found


# -- asking and judging ------------------------------------------------------------------------------------------


def recordings(api: str) -> Iterator[Recording]:
    """Return the recorded calls of an API that hold an answer."""
    path = CORPUS / f"{api}.jsonl"
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines() if path.exists() else (), 1):
        one = Recording(f"{api}-{number}", json.loads(line))
        if one.chunks:
            yield one


def replay(found: Iterable[Recording], way: str) -> Iterator[str]:
    """Ask for recordings anew, and yield what the folder says otherwise."""
    found = list(found)
    with (
        tempfile.TemporaryDirectory() as folder,
        recording(folder) as recorded,
        serving({one.name: one.answer() for one in found}) as server,
    ):
        at.instrument("google_genai")
        try:
            raised = asyncio.run(_ask_async(found, server.url)) if way == "async" else _ask(found, server.url)
        finally:
            at.uninstrument("google_genai")
        for one in found:
            yield from (f"{one.name}: {said}" for said in _differences(recorded, one, raised.get(one.name)))


def _clients(url: str) -> dict[bool, genai.Client]:
    from google import genai
    from google.oauth2.credentials import Credentials

    login: dict[str, Any] = {"project": "p", "location": "l", "credentials": Credentials("token")}
    return {
        False: genai.Client(api_key="key", http_options={"base_url": url}),
        True: genai.Client(vertexai=True, **login, http_options={"base_url": url}),
    }


def _ask(found: Iterable[Recording], url: str) -> dict[str, Exception]:
    clients, raised = _clients(url), {}
    for one in found:
        models = clients[one.on_vertex].models
        try:
            with at.session(one.name, session_id=one.name):
                if one.is_stream:
                    list(models.generate_content_stream(**one.arguments()))
                else:
                    models.generate_content(**one.arguments())
        except Exception as error:  # noqa: BLE001 - judged below
            raised[one.name] = error
    return raised


async def _ask_async(found: Iterable[Recording], url: str) -> dict[str, Exception]:
    clients, raised = _clients(url), {}
    for one in found:
        models = clients[one.on_vertex].aio.models
        try:
            with at.session(one.name, session_id=one.name):
                if one.is_stream:
                    [chunk async for chunk in await models.generate_content_stream(**one.arguments())]
                else:
                    await models.generate_content(**one.arguments())
        except Exception as error:  # noqa: BLE001 - judged below
            raised[one.name] = error
    for client in clients.values():
        if hasattr(client.aio, "aclose"):  # older versions close nothing
            await client.aio.aclose()
    return raised


def _differences(recorded: Recorded, one: Recording, raised: Exception | None) -> Iterator[str]:
    spans = [span for span in recorded.spans(one.name) if "agent_trace.scope" not in (span.attributes or {})]
    if len(spans) != 1:
        yield f"{len(spans)} spans"
        return
    told, said = dict(spans[0].attributes or {}), one.said()
    settings = one.asked.get("generationConfig") or {}
    asked = [fact for content in one.asked["contents"] for fact in _facts(content)]
    is_right, is_read = one.status == 200, one.is_stream and one.status == 200
    error = None if is_right else "google.genai.errors.ClientError"
    expected = {
        "exception": (raised is None, is_right),
        "operation": (told.get("gen_ai.operation.name"), "generate_content"),
        "provider": (told.get("gen_ai.provider.name"), "gcp.vertex_ai" if one.on_vertex else "gcp.gemini"),
        "model asked": (told.get("gen_ai.request.model"), one.model),
        "stream asked": (told.get("gen_ai.request.stream", False), one.is_stream),
        "temperature": (told.get("gen_ai.request.temperature"), settings.get("temperature")),
        "max tokens": (told.get("gen_ai.request.max_tokens"), settings.get("maxOutputTokens")),
        "asked": (_told(told.get("gen_ai.input.messages", "[]")), asked),
        "model": (told.get("gen_ai.response.model"), said.model),
        "id": (told.get("gen_ai.response.id"), said.id),
        "reasons": (list(told.get("gen_ai.response.finish_reasons", ())), said.reasons),
        "usage": ({n[13:]: v for n, v in told.items() if n.startswith("gen_ai.usage.")}, said.usage),
        "said": (_told(told.get("gen_ai.output.messages", "[]")), said.parts),
        "error": (told.get("error.type"), error),
        "status": (told.get("http.response.status_code"), None if is_right else one.status),
        "chunks": (told.get("agent_trace.chunks"), len(one.chunks) if is_read else None),
        "first chunk": (told.get("gen_ai.response.time_to_first_chunk", 0) > 0, is_read),
        "timeline": (
            [event.event_type for event in recorded.events(one.name)],
            ["session_start", "llm_request", "llm_response" if is_right else "error", "session_end"],
        ),
    }
    for name, (found, wanted) in expected.items():
        if found != wanted:
            yield f"{name} {found!r} is not {wanted!r}"[:600]


def _chunks(text: str) -> list[Any]:
    if text.startswith("data:"):
        return [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:")]
    whole = json.loads(text) if text else []
    return whole if isinstance(whole, list) else [whole]


def _named(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _NAMES.get(name, {}).get(of, of) if isinstance(of, int) else _named(of) for name, of in value.items()
        }
    return [_named(member) for member in value] if isinstance(value, list) else value
