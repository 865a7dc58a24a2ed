"""Real answers of OpenAI, Anthropic and Google, read by us and, in the plainest way, by this test: the same comes out.

The recordings are not part of the repository: AGENT_TRACE_CORPUS names their directory, else ``../shared/corpus``.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from message_shape import check_messages, check_part

from agent_trace_otel import semconv
from agent_trace_otel.content import to_json
from agent_trace_otel.model_io import StreamReading, read_request, read_response

CORPUS = Path(os.environ.get("AGENT_TRACE_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus") / "llm"
GOOGLE_REASONS = {1: "stop", 2: "max_tokens"}


def _recordings() -> list[Any]:
    return [
        pytest.param(json.loads(line), id=f"{path.stem}-{number}")
        for path in sorted(CORPUS.glob("*.jsonl"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    ]


recorded = pytest.mark.parametrize("recording", _recordings())


def _chunks(text: str) -> list[Any]:
    if text.startswith("["):
        chunks: list[Any] = json.loads(text)
        return chunks
    lines = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def _arguments(text: str) -> Any:
    return json.loads(text) if text.startswith("{") else text


class Said:
    """What a recording says, read simply."""

    def __init__(self) -> None:
        self.id: str | None = None
        self.model: str | None = None
        self.reasons: list[str] = []
        self.usage: dict[str, int] = {}
        self.text = ""
        self.calls: list[tuple[str, Any]] = []

    def chat(self, body: dict[str, Any]) -> None:
        self.id, self.model = body["id"], body["model"]
        for choice in body["choices"]:
            self.reasons.append(choice["finish_reason"])
            message = choice["message"]
            self.text += message["content"] or ""
            called = [call["function"] for call in message.get("tool_calls") or []]
            called += [message["function_call"]] if message.get("function_call") else []
            self.calls += [(call["name"], _arguments(call["arguments"])) for call in called]
        self.openai_usage(body["usage"])

    def openai_usage(self, usage: dict[str, Any]) -> None:
        flat = {f"{name}.{inner}": n for name, d in usage.items() if isinstance(d, dict) for inner, n in d.items()}
        names = {
            "prompt_tokens": semconv.USAGE_INPUT_TOKENS,
            "input_tokens": semconv.USAGE_INPUT_TOKENS,
            "completion_tokens": semconv.USAGE_OUTPUT_TOKENS,
            "output_tokens": semconv.USAGE_OUTPUT_TOKENS,
            "prompt_tokens_details.cached_tokens": semconv.USAGE_CACHE_READ_INPUT_TOKENS,
            "input_tokens_details.cached_tokens": semconv.USAGE_CACHE_READ_INPUT_TOKENS,
            "input_tokens_details.cache_write_tokens": semconv.USAGE_CACHE_WRITE_INPUT_TOKENS,
            "completion_tokens_details.reasoning_tokens": semconv.USAGE_REASONING_OUTPUT_TOKENS,
            "output_tokens_details.reasoning_tokens": semconv.USAGE_REASONING_OUTPUT_TOKENS,
        }
        self.usage = {names[name]: n for name, n in {**usage, **flat}.items() if name in names}

    def chat_stream(self, chunks: list[Any]) -> None:
        texts: dict[int, str] = defaultdict(str)
        reasons: dict[int, str] = {}
        names: dict[tuple[int, int], str] = {}
        arguments: dict[tuple[int, int], str] = defaultdict(str)
        for chunk in chunks:
            self.id, self.model = chunk["id"], chunk["model"]
            if chunk.get("usage"):
                self.openai_usage(chunk["usage"])
            for choice in chunk["choices"]:
                texts[choice["index"]] += choice["delta"].get("content") or ""
                if choice["finish_reason"]:
                    reasons[choice["index"]] = choice["finish_reason"]
                for call in choice["delta"].get("tool_calls") or []:
                    key = choice["index"], call["index"]
                    names.setdefault(key, call["function"].get("name"))
                    arguments[key] += call["function"]["arguments"]
        self.text = "".join(text for _, text in sorted(texts.items()))
        self.reasons = [reason for _, reason in sorted(reasons.items())]
        self.calls = [(names[key], _arguments(arguments[key])) for key in sorted(names)]

    def response(self, body: dict[str, Any]) -> None:
        self.id, self.model = body["id"], body["model"]
        messages = [item for item in body["output"] if item["type"] == "message"]
        self.text = "".join(part["text"] for item in messages for part in item["content"])
        calls = [item for item in body["output"] if item["type"] == "function_call"]
        self.calls = [(item["name"], _arguments(item["arguments"])) for item in calls]
        self.reasons = ["tool_calls" if calls else "stop"]  # every recording is of a completed response
        self.openai_usage(body["usage"])

    def response_stream(self, chunks: list[Any]) -> None:
        self.response(chunks[-1]["response"])

    def anthropic(self, body: dict[str, Any]) -> None:
        self.id, self.model, self.reasons = body["id"], body["model"], [body["stop_reason"]]
        self.text = "".join(block["text"] for block in body["content"] if block["type"] == "text")
        self.calls = [(block["name"], block["input"]) for block in body["content"] if block["type"] == "tool_use"]
        self.anthropic_usage(body["usage"])

    def anthropic_usage(self, usage: dict[str, Any]) -> None:
        read, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
        thought = (usage.get("output_tokens_details") or {}).get("thinking_tokens")
        counts = {
            semconv.USAGE_INPUT_TOKENS: usage["input_tokens"] + (read or 0) + (written or 0),
            semconv.USAGE_OUTPUT_TOKENS: usage["output_tokens"],
            semconv.USAGE_CACHE_READ_INPUT_TOKENS: read,
            semconv.USAGE_CACHE_WRITE_INPUT_TOKENS: written,
            semconv.USAGE_REASONING_OUTPUT_TOKENS: thought,
        }
        self.usage = {name: count for name, count in counts.items() if count is not None}

    def anthropic_stream(self, chunks: list[Any]) -> None:
        usage: dict[str, Any] = {}
        called: dict[int, tuple[str, str]] = {}
        for chunk in chunks:
            if chunk["type"] == "message_start":
                self.id, self.model = chunk["message"]["id"], chunk["message"]["model"]
                usage |= chunk["message"]["usage"]
            elif chunk["type"] == "message_delta":
                self.reasons.append(chunk["delta"]["stop_reason"])
                usage |= chunk["usage"]
            elif chunk["type"] == "content_block_start" and chunk["content_block"]["type"] == "tool_use":
                called[chunk["index"]] = chunk["content_block"]["name"], ""
            elif chunk["type"] == "content_block_delta":
                self.text += chunk["delta"].get("text", "")
                if "partial_json" in chunk["delta"]:
                    name, so_far = called[chunk["index"]]
                    called[chunk["index"]] = name, so_far + chunk["delta"]["partial_json"]
        self.calls = [(name, _arguments(arguments or "{}")) for name, arguments in called.values()]
        self.anthropic_usage(usage)

    def google(self, body: dict[str, Any]) -> None:
        self.google_stream([body])

    def google_stream(self, chunks: list[Any]) -> None:
        usage: dict[str, Any] = {}
        for chunk in chunks:
            self.id, self.model = chunk["responseId"], chunk["modelVersion"]
            usage |= chunk["usageMetadata"]
            for candidate in chunk["candidates"]:
                reason = candidate.get("finishReason")
                self.reasons += [] if reason is None else [GOOGLE_REASONS.get(reason) or reason.lower()]
                for part in candidate["content"].get("parts", []):
                    self.text += "" if part.get("thought") else part.get("text", "")
                    if "functionCall" in part:
                        self.calls.append((part["functionCall"]["name"], part["functionCall"]["args"]))
        if "promptTokenCount" in usage:
            tools = usage.get("toolUsePromptTokenCount", 0)
            self.usage[semconv.USAGE_INPUT_TOKENS] = usage["promptTokenCount"] + tools
        if "totalTokenCount" in usage:  # what is not input is output
            self.usage[semconv.USAGE_OUTPUT_TOKENS] = usage["totalTokenCount"] - self.usage[semconv.USAGE_INPUT_TOKENS]
        else:
            self.usage[semconv.USAGE_OUTPUT_TOKENS] = usage["thoughtsTokenCount"] + usage.get("candidatesTokenCount", 0)
        if "thoughtsTokenCount" in usage:
            self.usage[semconv.USAGE_REASONING_OUTPUT_TOKENS] = usage["thoughtsTokenCount"]

    def embeddings(self, body: dict[str, Any]) -> None:
        self.model = body["model"]
        self.usage = {semconv.USAGE_INPUT_TOKENS: body["usage"]["prompt_tokens"]}


READERS = {
    "openai.chat.completions": (Said.chat, Said.chat_stream),
    "openai.responses": (Said.response, Said.response_stream),
    "openai.embeddings": (Said.embeddings, Said.chat_stream),
    "anthropic.messages": (Said.anthropic, Said.anthropic_stream),
    "google.generateContent": (Said.google, Said.google_stream),
    "google.streamGenerateContent": (Said.google, Said.google_stream),
}


@recorded
def test_an_answer_is_read_as_it_was_given(recording: dict[str, Any]) -> None:
    text = recording["response"]["text"]
    if recording["status"] != 200:
        assert read_response(json.loads(text)) == {}
        return
    if not text:
        pytest.skip("the recording holds no answer")
    said = Said()
    plain, streamed = READERS[recording["api"]]
    if text.startswith(("data:", "event:", "[")):
        chunks = _chunks(text)
        reading = StreamReading()
        for chunk in chunks:
            reading.add(chunk)
        found = reading.attributes()
        assert reading.chunks == len(chunks)
        streamed(said, chunks)
    else:
        body = json.loads(text)
        found = read_response(body)
        plain(said, body)

    assert found.get(semconv.RESPONSE_ID) == said.id
    assert found.get(semconv.RESPONSE_MODEL) == said.model
    assert list(found.get(semconv.RESPONSE_FINISH_REASONS, ())) == said.reasons
    assert {name: count for name, count in found.items() if ".usage." in name} == said.usage
    messages = json.loads(found.get(semconv.OUTPUT_MESSAGES, "[]"))
    check_messages(messages, output=True)
    parts = [part for message in messages for part in message["parts"]]
    assert "".join(part["content"] for part in parts if part["type"] == "text") == said.text
    assert [(part["name"], part["arguments"]) for part in parts if part["type"] == "tool_call"] == said.calls


@recorded
def test_a_request_is_read_as_it_was_sent(recording: dict[str, Any]) -> None:
    body = recording["request"]["json"]
    found = read_request(body)

    assert found.model == body.get("model")
    assert found.operation == {
        "openai.embeddings": "embeddings",
        "google.generateContent": "generate_content",
        "google.streamGenerateContent": "generate_content",
    }.get(recording["api"], "chat")
    config = body.get("generationConfig", {})
    asked = {
        semconv.REQUEST_TEMPERATURE: body.get("temperature", config.get("temperature")),
        semconv.REQUEST_TOP_P: body.get("top_p", config.get("topP")),
        semconv.REQUEST_MAX_TOKENS: body.get(
            "max_tokens", body.get("max_output_tokens", config.get("maxOutputTokens"))
        ),
        semconv.REQUEST_STREAM: body.get("stream") or None,
        semconv.REQUEST_SEED: body.get("seed", config.get("seed")),
    }
    assert {name: found.attributes.get(name) for name in asked} == asked
    messages = json.loads(to_json(found.messages))
    check_messages(messages)
    for part in json.loads(to_json(found.system or [])):
        check_part(part)
    sent = body.get("messages", body.get("contents", body.get("input")))
    assert len(messages) == (1 if isinstance(sent, str) else len(sent))
    strings = [one.get("content") for one in sent if isinstance(one, dict)] if isinstance(sent, list) else [sent]
    shown = to_json(messages)
    assert all(to_json(text) in shown for text in strings if isinstance(text, str) and text)
