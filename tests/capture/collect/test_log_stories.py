"""What Claude Code, Codex and Gemini CLI tell in log events, as recorded of them, becomes a session."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from receiving import JSON, PROTOBUF, START, TRACE, Collector, attribute, kinds, request, span, tool

SESSION = "01a20780-f11d-7c82-9c7f-2205621fa2fa"
MODEL = {"model": "some-model"}
CODEX = [
    ("codex.conversation_starts", 0, {"provider_name": "scripted"}),
    ("codex.user_prompt", 300, {"prompt": "Please look.", "prompt_length": "12"}),
    ("codex.api_request", 370, {"duration_ms": "60", "http.response.status_code": "200", "endpoint": "/responses"}),
    ("codex.sse_event", 371, {"event.kind": "message", "duration_ms": "0"}),
    (
        "codex.sse_event",
        380,
        {"event.kind": "response.completed", "input_token_count": "100", "output_token_count": "20"}
        | {"cached_token_count": "40", "reasoning_token_count": "5"},
    ),
    (
        "codex.tool_result",
        450,
        {"tool_name": "exec_command", "call_id": "call_1", "duration_ms": "65", "success": "true"}
        | {"arguments": '{"cmd": "ls"}', "output": "Wall time: 0.0 seconds\nProcess exited with code 0\nOutput:\nhi\n"}
        | {"mcp_server": ""},
    ),
    (
        "codex.tool_result",
        460,
        {"tool_name": "exec_command", "call_id": "call_2", "duration_ms": "5", "success": "true"}
        | {"arguments": '{"cmd": "false"}', "output": "Process exited with code 3\nOutput:\noops\n"},
    ),
    ("codex.tool_result", 470, {"tool_name": "add", "call_id": "call_3", "success": "true", "mcp_server": "demo"}),
    ("codex.api_request", 500, {"duration_ms": "10", "http.response.status_code": "500", "error.message": "boom"}),
]
GEMINI = [
    ("gemini_cli.config", 0, {}),
    ("gemini_cli.user_prompt", 10, {"prompt": "Please look.", "prompt_id": "p1"}),
    ("gemini_cli.api_request", 20, {"prompt_id": "p1", "request_text": "[]"}),
    (
        "gemini_cli.api_response",
        300,
        {"prompt_id": "p1", "duration_ms": 268, "input_token_count": 100, "output_token_count": 20}
        | {"thoughts_token_count": 3, "cached_content_token_count": 7, "status_code": 200}
        | {
            "response_text": json.dumps(
                [
                    {"candidates": [{"content": {"role": "model", "parts": [{"text": "Let me look."}]}}]},
                    {"candidates": [{"content": {"role": "model", "parts": [{"functionCall": {"name": "ls"}}]}}]},
                ]
            )
        },
    ),
    (
        "gemini_cli.tool_call",
        400,
        {"prompt_id": "p1", "function_name": "ls", "function_args": '{"dir": "."}', "duration_ms": 90, "success": True},
    ),
    (
        "gemini_cli.tool_call",
        410,
        {"prompt_id": "p1", "function_name": "rm", "duration_ms": 1, "success": False, "error": "denied"},
    ),
    (
        "gemini_cli.tool_call",
        420,
        {"prompt_id": "p1", "function_name": "sh", "duration_ms": 2, "success": True}
        | {"metadata": '{"exitCode": 3, "isError": true}'},
    ),
]
CLAUDE = [
    ("user_prompt", 0, {"prompt": "Please look.", "prompt.id": "p1"}),
    (
        "api_request",
        300,
        {"prompt.id": "p1", "input_tokens": "12", "output_tokens": "40", "cache_read_tokens": "1500"}
        | {"cache_creation_tokens": "300", "cost_usd": 0.002648, "duration_ms": "239", "request_id": "req_1"},
    ),
    ("assistant_response", 301, {"prompt.id": "p1", "response": "Let me look.", "request_id": "req_1"}),
    (
        "tool_result",
        400,
        {"prompt.id": "p1", "tool_name": "Bash", "tool_use_id": "toolu_1", "success": "false", "duration_ms": "51"}
        | {"tool_input": '{"command":"false"}', "error": "exit 1"},
    ),
    ("api_error", 500, {"prompt.id": "p1", "error": "overloaded", "status_code": "529", "duration_ms": "5"}),
]
AGENTS = {
    "codex": ("codex_otel.log_only", "conversation.id", CODEX),
    "gemini-cli": ("gemini-cli", "session.id", GEMINI),
    "claude-code": ("com.anthropic.claude_code.events", "session.id", CLAUDE),
}
Event = tuple[str, int, dict[str, Any]]


def logs(agent: str, events: list[Event] | None = None, **more: Any) -> dict[str, Any]:
    """Return an ExportLogsServiceRequest; the time of an event is milliseconds after the start."""
    scope, session, told = AGENTS[agent]
    records = [
        {
            "timeUnixNano": str(START + after * 1_000_000),
            "attributes": [
                attribute(name, value) if not isinstance(value, (bool, float)) else _odd(name, value)
                for name, value in {"event.name": event, session: SESSION, **MODEL, **given}.items()
            ],
            **more,
        }
        for event, after, given in (told if events is None else events)
    ]
    resource = {"attributes": [attribute("service.name", agent)]}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": {"name": scope}, "logRecords": records}]}]}


def _odd(name: str, value: object) -> dict[str, Any]:
    return {"key": name, "value": {"boolValue" if isinstance(value, bool) else "doubleValue": value}}


def send(collector: Collector, sent: dict[str, Any]) -> None:
    assert collector.post(json.dumps(sent).encode(), JSON, "/v1/logs").status == 200


def story(collector: Collector) -> list[tuple[Any, ...]]:
    """Return the timeline in short."""
    found = []
    for event in collector.recorded.events(SESSION):
        data = event.data
        what = data.get("total_tokens") or data.get("tool_name") or data.get("model") or data.get("prompt")
        found.append((event.event_type, what or data.get("agent_name"), round(event.duration_ms or 0)))
    return found


def test_codex(collector: Collector) -> None:
    send(collector, logs("codex"))
    assert story(collector) == [
        ("session_start", "codex", 0),
        ("user_prompt", "Please look.", 0),
        ("llm_request", "some-model", 0),
        ("llm_response", 120, 70),
        ("tool_call", "exec_command", 0),
        ("tool_result", "exec_command", 65),
        ("tool_call", "exec_command", 0),
        ("error", "exec_command", 5),
        ("tool_call", "mcp__demo__add", 0),
        ("tool_result", "mcp__demo__add", 0),
        ("llm_request", "some-model", 0),
        ("error", "some-model", 10),
    ]
    usage = {
        name.removeprefix("gen_ai.usage."): value
        for span in collector.recorded.spans()
        for name, value in (span.attributes or {}).items()
        if name.startswith("gen_ai.usage")
    }
    counted = {"input_tokens": 100, "output_tokens": 20, "cache_read.input_tokens": 40, "reasoning.output_tokens": 5}
    assert usage == counted
    (root, *calls) = collector.recorded.spans()
    assert {span.parent.span_id for span in calls if span.parent} == {root.context.span_id if root.context else 0}


def test_gemini(collector: Collector) -> None:
    send(collector, logs("gemini-cli"))
    assert story(collector) == [
        ("session_start", "gemini-cli", 0),
        ("user_prompt", "Please look.", 0),
        ("llm_request", "some-model", 0),
        ("llm_response", 123, 268),
        ("tool_call", "ls", 0),
        ("tool_result", "ls", 90),
        ("tool_call", "rm", 0),
        ("error", "rm", 1),
        ("tool_call", "sh", 0),
        ("error", "sh", 2),
    ]
    answer = next(event for event in collector.recorded.events() if event.event_type == "llm_response")
    assert answer.data["content_preview"] == "Let me look."


def test_claude_code(collector: Collector) -> None:
    send(collector, logs("claude-code"))
    assert story(collector) == [
        ("session_start", "claude-code", 0),
        ("user_prompt", "Please look.", 0),
        ("llm_request", "some-model", 0),
        ("llm_response", 1852, 239),
        ("tool_call", "Bash", 0),
        ("error", "Bash", 51),
        ("llm_request", "some-model", 0),
        ("error", "some-model", 5),
    ]
    answer = next(event for event in collector.recorded.events() if event.event_type == "llm_response")
    assert answer.data["content_preview"] == "Let me look."


@pytest.mark.parametrize("agent", AGENTS)
def test_a_request_that_comes_twice_tells_nothing_twice(collector: Collector, agent: str) -> None:
    send(collector, logs(agent))
    before = story(collector)
    send(collector, logs(agent))
    assert story(collector) == before


def test_protobuf_says_the_same_as_json(collector: Collector) -> None:
    sent = ExportLogsServiceRequest()
    scope_logs = sent.resource_logs.add().scope_logs.add()
    scope_logs.scope.name = "codex_otel.log_only"
    for event, after, given in CODEX:
        record = scope_logs.log_records.add(observed_time_unix_nano=START + after * 1_000_000)
        for name, value in {"event.name": event, "conversation.id": SESSION, **MODEL, **given}.items():
            record.attributes.append(KeyValue(key=name, value=AnyValue(string_value=str(value))))
    assert collector.post(sent.SerializeToString(), PROTOBUF, "/v1/logs").status == 200
    protobuf_story = story(collector)
    send(collector, logs("codex"))
    assert story(collector) == protobuf_story


def test_an_event_tells_its_own_time(collector: Collector) -> None:
    told = {"prompt": "hi", "event.timestamp": "2026-11-23T08:23:40.902Z"}
    send(collector, logs("codex", [("codex.user_prompt", 5, told)]))
    (prompt,) = (event for event in collector.recorded.events() if event.event_type == "user_prompt")
    assert round(prompt.timestamp, 3) == 1795422220.902


def test_claude_codes_spans_tell_more_than_its_events_do(collector: Collector) -> None:
    send(collector, logs("claude-code", traceId=TRACE, spanId="00f067aa0ba902b7"))
    assert collector.recorded.sessions() == []


def test_gemini_clis_spans_are_kept_and_tell_nothing_twice(collector: Collector) -> None:
    theirs = span(1, "tool_call", gen_ai__operation__name="execute_tool", session__id=SESSION, gen_ai__tool__name="ls")
    sent = request(theirs)
    sent["resourceSpans"][0]["scopeSpans"][0]["scope"]["name"] = "gemini-cli"
    collector.post(json.dumps(sent).encode())
    send(collector, logs("gemini-cli"))
    assert [kind for kind, *_ in story(collector)].count("tool_call") == 3
    assert len(collector.recorded.spans()) == 6


def test_a_session_that_hooks_tell_is_not_told_by_events_too(collector: Collector) -> None:
    folder = collector.recorded.trace_dir / SESSION
    folder.mkdir(mode=0o700)
    start = {"event_type": "session_start", "timestamp": 1.0, "event_id": "a", "session_id": SESSION}
    start["data"] = {"agent_name": "claude-code", "command": [], "pid": 7}
    (folder / "events.ndjson").write_text(json.dumps(start, separators=(",", ":")) + "\n")
    send(collector, logs("claude-code"))
    sent = request(tool(1, session__id=SESSION))
    sent["resourceSpans"][0]["scopeSpans"][0]["scope"]["name"] = "com.anthropic.claude_code.tracing"
    collector.post(json.dumps(sent).encode())
    assert kinds(collector.recorded) == ["session_start"]
    assert len(collector.recorded.spans()) == 1
    collector.send(tool(2, session__id=SESSION))  # somebody else's, such as an MCP server's
    assert kinds(collector.recorded) == ["session_start", "tool_call", "tool_result"]


def test_events_of_nobody_known_and_broken_ones_are_accepted_and_dropped(collector: Collector) -> None:
    odd = {"prompt_id": 7, "duration_ms": "soon", "input_token_count": None, "response_text": "{"}
    send(collector, logs("gemini-cli", [("gemini_cli.unheard_of", 1, {}), ("gemini_cli.api_response", 2, odd)]))
    assert [kind for kind, *_ in story(collector)] == ["session_start", "llm_request", "llm_response"]
    unknown = logs("codex")
    unknown["resourceLogs"][0]["scopeLogs"][0]["scope"]["name"] = "app"
    send(collector, unknown)
    assert collector.post(b'{"resourceLogs": 3}', JSON, "/v1/logs").status == 400
    assert collector.post(b"\xff\xff", PROTOBUF, "/v1/logs").status == 400
    assert len(collector.recorded.sessions()) == 1
