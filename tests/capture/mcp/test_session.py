"""Every request is one span with the right parent, kind, name, status and content, in the session it belongs to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from talk import SECOND, START, Talk

from agent_trace_otel import identity, semconv
from agent_trace_otel.capture.mcp import copies
from agent_trace_otel.capture.mcp.copies import FROM_CLIENT, FROM_SERVER
from agent_trace_otel.capture.mcp.injection import KIND
from agent_trace_otel.mcp_io import PROTOCOL_VERSION_KEY
from agent_trace_otel.testing import Recorded

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"


@pytest.fixture
def talk(recorded: Recorded) -> Talk:
    return Talk(recorded.trace_dir)


def _named(recorded: Recorded) -> dict[str, ReadableSpan]:
    found = {span.name: span for span in recorded.spans()}
    assert len(found) == len(recorded.spans())
    return found


def _told(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def _ids(span: ReadableSpan) -> tuple[str, str]:
    assert span.context is not None
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


def test_a_tool_call_is_a_span_and_two_events(talk: Talk, recorded: Recorded) -> None:
    params = {"name": "add", "arguments": {"a": 1, "b": "ü\u2028"}, "_meta": {"progressToken": 1}}
    talk.client(id=1, method="tools/call", params=params)
    talk.server(id=1, result={"content": [{"type": "text", "text": "1ü"}], "_meta": {"x": 1}})
    talk.ends()
    spans = _named(recorded)
    call, root = spans["tools/call add"], spans["invoke_agent server-demo"]
    assert call.kind is SpanKind.CLIENT
    assert call.parent is not None
    assert (call.parent.trace_id, call.parent.span_id) == tuple(int(part, 16) for part in _ids(root))
    assert (call.start_time, call.end_time) == (START + 2 * SECOND, START + 3 * SECOND)
    assert call.status.status_code is StatusCode.UNSET
    session_id = recorded.sessions()[0]
    assert _told(call) == {
        "network.transport": "pipe",
        "jsonrpc.request.id": "1",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "add",
        "gen_ai.tool.call.arguments": '{"a":1,"b":"ü\u2028"}',
        "gen_ai.tool.call.result": '{"content":[{"type":"text","text":"1ü"}]}',
        "mcp.method.name": "tools/call",
        "gen_ai.conversation.id": session_id,
        "session.id": session_id,
        "agent_trace.outcome": "ok",
    }
    events = [(event.event_type, event.data.get("tool_name")) for event in recorded.events()]
    assert events == [("session_start", None), ("tool_call", "add"), ("tool_result", "add"), ("session_end", None)]


def test_the_session_tells_its_command_its_peers_and_its_end(talk: Talk, recorded: Recorded) -> None:
    client, server = {"name": "c", "version": "1"}, {"name": "s", "version": "2"}
    talk.client(id=0, method="initialize", params={"protocolVersion": "2025-11-25", "clientInfo": client})
    talk.server(id=0, result={"protocolVersion": "2025-06-18", "serverInfo": server})
    talk.client(id=1, method="ping")
    talk.server(id=1, result={})
    talk.ends(exit_code=3)
    spans = _named(recorded)
    root = _told(spans["invoke_agent server-demo"])
    assert root[semconv.PROCESS_COMMAND_ARGS] == ("npx", "-y", "@x/server-demo")
    assert (root[semconv.MCP_CLIENT_INFO], root[semconv.MCP_SERVER_INFO]) == ("c/1", "s/2")
    assert root[semconv.PROCESS_EXIT_CODE] == 3
    ping = _told(spans["ping"])
    assert (ping[semconv.MCP_PROTOCOL_VERSION], ping[semconv.MCP_SERVER_INFO]) == ("2025-06-18", "s/2")
    assert _told(spans["initialize"])[semconv.MCP_PROTOCOL_VERSION] == "2025-06-18"
    start, *_, end = recorded.events()
    assert start.data["command"] == ["npx", "-y", "@x/server-demo"]
    assert start.timestamp == START / 1e9
    assert end.data["exit_code"] == 3


def test_a_tools_error_is_the_spans(talk: Talk, recorded: Recorded) -> None:
    talk.client(id=1, method="tools/call", params={"name": "t"})
    talk.server(id=1, result={"isError": True, "content": [{"type": "text", "text": "no such file"}]})
    talk.ends()
    span = _named(recorded)["tools/call t"]
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "no such file")
    assert _told(span)[semconv.ERROR_TYPE] == "tool_error"
    assert json.loads(_told(span)[semconv.TOOL_CALL_RESULT])["isError"] is True
    error = recorded.events()[2]
    assert (error.event_type, error.data["error"], error.data["message"]) == ("error", "tool_error", "no such file")


def test_a_json_rpc_errors_type_is_its_code(talk: Talk, recorded: Recorded) -> None:
    talk.client(id=1, method="prompts/get", params={"name": "p", "arguments": {"a": "1"}})
    talk.server(id=1, error={"code": -32602, "message": "unknown prompt", "data": {"why": 1}})
    talk.ends()
    span = _named(recorded)["prompts/get p"]
    told = _told(span)
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "unknown prompt")
    assert told[semconv.ERROR_TYPE] == told[semconv.RPC_RESPONSE_STATUS_CODE] == "-32602"
    assert told[semconv.PROMPT_NAME] == "p"
    assert told[semconv.MCP_PARAMS] == '{"name":"p","arguments":{"a":"1"}}'
    assert told[semconv.MCP_RESULT] == '{"why":1}'


@pytest.mark.parametrize("code", ["said", None, {"said": 1}, True, 0.5])
def test_a_json_rpc_error_without_a_code_has_no_type_of_its_own(talk: Talk, recorded: Recorded, code: object) -> None:
    talk.client(id=1, method="x")
    talk.server(id=1, error={"code": code, "message": {"not": "a text"}})
    talk.ends()
    span = _named(recorded)["x"]
    assert (_told(span)[semconv.ERROR_TYPE], span.status.description) == ("_OTHER", "_OTHER")
    assert semconv.RPC_RESPONSE_STATUS_CODE not in _told(span)


def test_a_retrys_input_is_told_beside_its_arguments(talk: Talk, recorded: Recorded) -> None:
    params = {"name": "t", "arguments": {"a": 1}, "inputResponses": {"q": 2}, "requestState": "s"}
    talk.client(id=1, method="tools/call", params=params)
    talk.server(id=1, result={"content": []})
    talk.ends()
    told = _told(_named(recorded)["tools/call t"])
    assert json.loads(told[semconv.TOOL_CALL_ARGUMENTS]) == {"a": 1}
    assert json.loads(told[semconv.MCP_PARAMS]) == {"inputResponses": {"q": 2}, "requestState": "s"}


def test_a_resource_that_is_read_is_a_file_read(talk: Talk, recorded: Recorded) -> None:
    talk.client(id=1, method="resources/read", params={"uri": "file:///a b"})
    talk.server(id=1, result={"contents": [{"uri": "file:///a b", "text": "x"}]})
    talk.ends()
    told = _told(_named(recorded)["resources/read"])
    assert told[semconv.MCP_RESOURCE_URI] == "file:///a b"
    assert told[semconv.MCP_RESULT] == '{"contents":[{"uri":"file:///a b","text":"x"}]}'
    assert [(event.event_type, event.data.get("uri")) for event in recorded.events()][1] == ("file_read", "file:///a b")


def test_what_the_server_asks_is_a_server_span_linked_to_the_call_it_came_in(talk: Talk, recorded: Recorded) -> None:
    talk.client(id=1, method="tools/call", params={"name": "t"})
    message = {"role": "user", "content": {"type": "text", "text": "which city?"}}
    asked = {"messages": [message], "systemPrompt": "be brief", "maxTokens": 10, "temperature": 0.5}
    talk.server(id=1, method="sampling/createMessage", params=asked)
    said = {"role": "assistant", "model": "m-1", "content": {"type": "text", "text": "Bern"}, "stopReason": "endTurn"}
    talk.client(id=1, result=said)
    talk.server(id=1, result={"content": []})
    talk.ends()
    spans = _named(recorded)
    sampling, call = spans["sampling/createMessage"], spans["tools/call t"]
    assert sampling.kind is SpanKind.SERVER
    assert [link.context.span_id for link in sampling.links] == [call.context.span_id if call.context else 0]
    told = _told(sampling)
    assert json.loads(told[semconv.INPUT_MESSAGES])[0]["parts"] == [{"type": "text", "content": "which city?"}]
    assert json.loads(told[semconv.OUTPUT_MESSAGES])[0]["parts"] == [{"type": "text", "content": "Bern"}]
    assert json.loads(told[semconv.SYSTEM_INSTRUCTIONS]) == [{"type": "text", "content": "be brief"}]
    assert (told[semconv.REQUEST_MAX_TOKENS], told[semconv.REQUEST_TEMPERATURE]) == (10, 0.5)
    assert (told[semconv.RESPONSE_MODEL], told[semconv.RESPONSE_FINISH_REASONS]) == ("m-1", ("endTurn",))
    types = [event.event_type for event in recorded.events()]
    assert types == ["session_start", "tool_call", "llm_request", "llm_response", "tool_result", "session_end"]


def test_a_trace_context_of_the_clients_is_the_parent(talk: Talk, recorded: Recorded) -> None:
    meta = {"traceparent": TRACEPARENT, "tracestate": "a=1"}
    talk.client(id=1, method="tools/call", params={"name": "t", "_meta": meta})
    talk.server(id=1, result={})
    talk.ends()
    span = _named(recorded)["tools/call t"]
    assert span.parent is not None
    assert (f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE_ID, SPAN_ID)
    assert _ids(span)[0] == TRACE_ID


def test_a_context_that_was_injected_on_the_way_is_the_spans_own(talk: Talk, recorded: Recorded) -> None:
    talk.facts(copies.META, 1, FROM_CLIENT, key="k")
    talk.client(id=1, method="tools/call", params={"name": "t", "_meta": {"traceparent": TRACEPARENT}})
    talk.server(id=1, result={})
    talk.client(id=2, method="ping")
    talk.ends()
    spans = _named(recorded)
    span, root = spans["tools/call t"], spans["invoke_agent server-demo"]
    assert span.context is not None
    assert span.context.span_id == identity.derived_span_id(recorded.sessions()[0], KIND, "k")
    assert span.parent == root.context or (span.parent and root.context and span.parent.span_id == root.context.span_id)
    assert semconv.KEY not in _told(spans["ping"])


@pytest.mark.parametrize("environment", ["both", "id", "parent"])
def test_a_running_session_is_joined_or_followed(
    environment: str, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    if environment != "parent":
        monkeypatch.setenv("AGENT_TRACE_SESSION_ID", "the-agents")
    if environment != "id":
        monkeypatch.setenv("TRACEPARENT", TRACEPARENT)
    talk = Talk(recorded.trace_dir)
    talk.client(id=1, method="tools/call", params={"name": "t"})
    talk.server(id=1, result={})
    talk.server(method="notifications/message", params={})
    talk.ends()
    spans = _named(recorded)
    call = spans["tools/call t"]
    roots = [span for name, span in spans.items() if name.startswith("invoke_agent")]
    assert (recorded.sessions() == ["the-agents"]) is (environment != "parent")
    if environment == "both":
        assert roots == []
        assert call.parent is not None
        assert f"{call.parent.span_id:016x}" == SPAN_ID
        assert [event.event_type for event in recorded.events()][-2:] == ["tool_call", "tool_result"]
        return
    (root,) = roots
    assert (_ids(root)[0] == TRACE_ID) is (environment == "parent")
    assert recorded.events()[0].event_type == "session_start"


def test_a_session_that_is_named_again_is_its_next_run(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_TRACE_SESSION_ID", "mine")
    for _ in range(2):
        Talk(recorded.trace_dir).ends()
    first, second = recorded.spans()
    assert (_told(first)[semconv.RUN], _told(second)[semconv.RUN]) == (1, 2)
    assert [link.context.span_id for link in second.links] == [first.context.span_id if first.context else 0]


def test_notifications_are_events_of_the_request_that_they_are_about(talk: Talk, recorded: Recorded) -> None:
    talk.client(id=1, method="tools/call", params={"name": "t", "_meta": {"progressToken": "p"}})
    talk.server(method="notifications/progress", params={"progressToken": "p", "progress": 1})
    talk.server(method="notifications/message", params={"level": "info", "data": "half way"})
    talk.server(method="notifications/tools/list_changed")
    talk.server(id=1, result={})
    talk.ends()
    spans = _named(recorded)

    def notified(name: str) -> list[tuple[object, object]]:
        events = [
            event.attributes or {} for event in spans[name].events if event.name == semconv.MCP_NOTIFICATION_EVENT
        ]
        return [(event.get(semconv.MCP_METHOD_NAME), event.get(semconv.MCP_PARAMS)) for event in events]

    assert notified("tools/call t") == [
        ("notifications/progress", '{"progress":1}'),
        ("notifications/message", '{"level":"info","data":"half way"}'),
    ]
    assert notified("invoke_agent server-demo") == [("notifications/tools/list_changed", None)]


def test_a_span_keeps_no_end_of_notifications(talk: Talk, recorded: Recorded) -> None:
    for _ in range(1100):
        talk.server(method="notifications/tools/list_changed")
    talk.ends()
    assert len(_named(recorded)["invoke_agent server-demo"].events) == 1000


def test_a_cancelled_call_is_interrupted(talk: Talk, recorded: Recorded) -> None:
    talk.client(id=1, method="tools/call", params={"name": "t"})
    talk.client(method="notifications/cancelled", params={"requestId": 1, "reason": "enough"})
    talk.server(id=1, error={"code": 0, "message": "cancelled"})
    talk.ends()
    spans = _named(recorded)
    assert spans["tools/call t"].status.status_code is StatusCode.UNSET
    assert _told(spans["tools/call t"])[semconv.OUTCOME] == "interrupted"
    assert [event.name for event in spans["tools/call t"].events] == [semconv.MCP_NOTIFICATION_EVENT]
    assert semconv.MCP_UNMATCHED not in _told(spans["invoke_agent server-demo"])


@pytest.mark.parametrize("exit_code", [0, None])
def test_what_nobody_answered_is_lost(exit_code: int | None, talk: Talk, recorded: Recorded) -> None:
    talk.client(id=1, method="tools/call", params={"name": "t"})
    talk.ends(exit_code)
    spans = _named(recorded)
    call, root = spans["tools/call t"], spans["invoke_agent server-demo"]
    assert (call.status.status_code, _told(call)[semconv.ERROR_TYPE]) == (StatusCode.ERROR, "lost")
    why = "the connection ended before an answer came" if exit_code == 0 else "the proxy was killed"
    assert call.status.description == why
    assert (root.status.status_code is StatusCode.ERROR) is (exit_code is None)


def test_a_call_for_input_and_its_retry_are_two_linked_spans(talk: Talk, recorded: Recorded) -> None:
    params: dict[str, Any] = {"name": "ask", "_meta": {PROTOCOL_VERSION_KEY: "2026-07-28"}}
    talk.client(id=1, method="tools/call", params=params)
    talk.server(id=1, result={"resultType": "input_required", "inputRequests": {"a": {}}, "requestState": "s"})
    talk.client(id=2, method="tools/call", params={**params, "inputResponses": {"a": {}}, "requestState": "s"})
    talk.server(id=2, result={"resultType": "complete"})
    talk.ends()
    first, second, _ = recorded.spans()
    assert [link.context.span_id for link in second.links] == [first.context.span_id if first.context else 0]
    assert first.status.status_code is StatusCode.UNSET
    assert _told(first)[semconv.MCP_PROTOCOL_VERSION] == "2026-07-28"


def test_garbage_is_counted_and_the_next_message_read(talk: Talk, recorded: Recorded) -> None:
    talk.copy(copies.DATA, FROM_SERVER, b"starting up...\n\xff\xfe\n" + b"[" * 50_000 + b"\n")
    talk.copy(
        copies.DATA, FROM_CLIENT, b'{"id":1,"method":"tools/call","params":' + b"[" * 50_000 + b"]" * 50_000 + b"}\n"
    )
    talk.server(id=1, result={})
    talk.server(id=9, result={})
    talk.ends()
    spans = _named(recorded)
    root = _told(spans["invoke_agent server-demo"])
    assert (root[semconv.MCP_UNREADABLE], root[semconv.MCP_UNMATCHED]) == (3, 1)
    assert _told(spans["tools/call"])[semconv.OUTCOME] == "ok"


def test_lost_copies_are_counted_and_cost_one_message(talk: Talk, recorded: Recorded) -> None:
    talk.copy(copies.DATA, FROM_CLIENT, b'{"id":1,"method":"a"}\n{"id":2,"me')
    talk.copy(copies.LOST, FROM_CLIENT, copies.NUMBER.pack(3))
    talk.copy(copies.DATA, FROM_CLIENT, b'"}\n{"id":3,"method":"c"}\n')
    talk.ends()
    spans = _named(recorded)
    assert {"a", "c"} == spans.keys() - {"invoke_agent server-demo"}
    assert _told(spans["invoke_agent server-demo"])[semconv.MCP_LOST_COPIES] == 3


def test_secrets_are_withheld_unless_told_otherwise(recorded: Recorded, tmp_path: Path) -> None:
    secret = "sk-ant-api03-" + "a1B2" * 20

    def record(trace_dir: Path, **options: Any) -> str:
        talk = Talk(trace_dir, **options)
        params = {"name": "login", "arguments": {"password": "hunter2secret", "note": f"my key is {secret}"}}
        talk.client(id=1, method="tools/call", params=params)
        talk.server(method="notifications/message", params={"data": f"got {secret}"})
        talk.server(id=1, result={"content": [{"type": "text", "text": f"token={secret}"}]})
        talk.client(id=2, method="elicitation/x", params={"password": "hunter2secret"})
        talk.server(id=2, error={"code": 1, "message": f"bad {secret}", "data": secret})
        talk.ends()
        return Recorded(trace_dir).text()

    redacted = record(recorded.trace_dir)
    assert secret not in redacted
    assert "hunter2secret" not in redacted
    plain = record(tmp_path / "plain", redact=False)
    assert plain.count("hunter2secret") >= 2


def test_without_content_nothing_said_is_kept(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_TRACE_CAPTURE_CONTENT", "false")
    talk = Talk(recorded.trace_dir)
    talk.client(id=1, method="tools/call", params={"name": "t", "arguments": {"a": "said"}})
    asked = {"messages": [{"role": "user", "content": {"type": "text", "text": "said"}}], "systemPrompt": "said"}
    talk.server(id=1, method="sampling/createMessage", params=asked)
    talk.client(id=1, result={"role": "assistant", "model": "m", "content": {"type": "text", "text": "said"}})
    talk.server(id=1, result={"content": [{"type": "text", "text": "said"}]})
    talk.client(id=2, method="prompts/get", params={"name": "p", "arguments": {"a": "said"}})
    talk.server(method="notifications/message", params={"data": "said"})
    talk.server(id=2, result={"messages": ["said"]})
    talk.client(id=3, method="tools/call", params={"name": "t"})
    talk.server(id=3, result={"content": [{"type": "text", "text": "said"}], "isError": True})
    talk.ends()
    assert "said" not in recorded.text()
    assert len(recorded.spans()) == 5
    assert _told(recorded.spans()[3])[semconv.ERROR_TYPE] == semconv.TOOL_ERROR


# -- HTTP ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def http(recorded: Recorded) -> Talk:
    return Talk(recorded.trace_dir, transport="tcp")


def _post(talk: Talk, number: int, message: dict[str, Any], **facts: Any) -> None:
    where = {"server_address": "mcp.example", "server_port": 443, "http_version": "1.1"}
    talk.facts(copies.OPEN, number, method="POST", content_type="application/json", **where, **facts)
    talk.client(number, **message)
    talk.copy(copies.END, FROM_CLIENT, connection=number)


def test_an_exchange_tells_the_server_and_the_session(http: Talk, recorded: Recorded) -> None:
    _post(http, 1, {"id": 0, "method": "initialize", "params": {}})
    http.facts(copies.META, 1, FROM_SERVER, status=200, session="s-1", content_type="application/json")
    http.server(1, id=0, result={"protocolVersion": "2025-11-25"})
    http.copy(copies.END, FROM_SERVER)
    http.facts(copies.CLOSE, 1)
    _post(http, 2, {"id": 1, "method": "tools/call", "params": {"name": "t"}}, session="s-1")
    http.facts(copies.META, 2, FROM_SERVER, status=200, content_type="text/event-stream; charset=utf-8")
    http.copy(copies.DATA, FROM_SERVER, b'event: message\nid: 1\ndata: {"id":1,"result":{}}\n\n', 2)
    http.facts(copies.CLOSE, 2)
    http.ends()
    told = _told(_named(recorded)["tools/call t"])
    shown = {name: value for name, value in told.items() if name.startswith(("network.", "server.", "mcp."))}
    assert shown == {
        "network.transport": "tcp",
        "network.protocol.name": "http",
        "network.protocol.version": "1.1",
        "server.address": "mcp.example",
        "server.port": 443,
        "mcp.method.name": "tools/call",
        "mcp.protocol.version": "2025-11-25",
        "mcp.session.id": "s-1",
    }
    assert told[semconv.OUTCOME] == "ok"


def test_answers_on_the_old_event_stream_meet_their_posts(http: Talk, recorded: Recorded) -> None:
    http.facts(copies.OPEN, 1, method="GET", path="/sse")
    http.facts(copies.META, 1, FROM_SERVER, status=200, content_type="text/event-stream")
    http.copy(copies.DATA, FROM_SERVER, b"event: endpoint\ndata: /message?sessionId=abc\n\n")
    _post(http, 2, {"id": 1, "method": "tools/call", "params": {"name": "t"}}, session="abc")
    http.facts(copies.META, 2, FROM_SERVER, status=202)
    http.copy(copies.DATA, FROM_SERVER, b"Accepted", 2)
    http.facts(copies.CLOSE, 2)
    http.copy(copies.DATA, FROM_SERVER, b'data: {"id":1,"result":{}}\n\n')
    http.facts(copies.CLOSE, 1)
    http.ends()
    assert _told(_named(recorded)["tools/call t"])[semconv.OUTCOME] == "ok"


def test_a_stateless_call_has_no_session_and_is_taken_back_by_closing_it(http: Talk, recorded: Recorded) -> None:
    _post(http, 1, {"id": 1, "method": "tools/call", "params": {"name": "t"}}, protocol="2026-07-28", session="s")
    http.facts(copies.CLOSE, 1, by="client")
    http.ends()
    told = _told(_named(recorded)["tools/call t"])
    assert told[semconv.OUTCOME] == "interrupted"
    assert semconv.MCP_SESSION_ID not in told


def test_a_refused_exchange_is_an_error_with_its_status(http: Talk, recorded: Recorded) -> None:
    _post(http, 1, {"id": 1, "method": "tools/call", "params": {"name": "t"}}, session="s")
    http.facts(copies.META, 1, FROM_SERVER, status=502, error="can't reach the server")
    http.facts(copies.CLOSE, 1)
    _post(http, 2, {"id": 2, "method": "ping"}, session="s")
    http.facts(copies.META, 2, FROM_SERVER, status=404, content_type="application/json")
    http.server(2, id=2, error={"code": -32601, "message": "no such method"})
    http.facts(copies.CLOSE, 2)
    http.ends()
    spans = _named(recorded)
    refused, unknown = spans["tools/call t"], spans["ping"]
    assert (refused.status.description, _told(refused)[semconv.ERROR_TYPE]) == ("can't reach the server", "502")
    assert (unknown.status.description, _told(unknown)[semconv.ERROR_TYPE]) == ("no such method", "-32601")


def test_a_request_that_the_proxy_refused_leaves_a_trace(http: Talk, recorded: Recorded) -> None:
    http.facts(copies.OPEN, 1, method="POST", path="/mcp", refused="origin")
    http.facts(copies.META, 1, FROM_SERVER, status=403)
    http.facts(copies.CLOSE, 1)
    http.ends()
    (root,) = recorded.spans()
    (event,) = root.events
    assert event.name == semconv.MCP_REFUSED_EVENT
    told = json.loads(str((event.attributes or {})[semconv.DETAIL]))
    assert told == {"method": "POST", "path": "/mcp", "refused": "origin"}
