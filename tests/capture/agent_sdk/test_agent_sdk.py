"""What Claude Code says to a program that drives it: messages -> what hooks would have said -> spans."""

from __future__ import annotations

import json
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import agent_trace_otel as at
from agent_trace_otel.capture.agent_sdk.conversation import Conversation
from agent_trace_otel.capture.agent_sdk.payloads import Messages
from agent_trace_otel.capture.agent_sdk.untold_tools import UntoldTools
from agent_trace_otel.capture.hooks.transcript.facts import time_ns
from agent_trace_otel.identity import derived_span_id
from agent_trace_otel.testing import Recorded

SESSION = "8c5a1f3e-2b1d-4f5e-9a3c-0d1e2f3a4b5c"
INIT = {"type": "system", "subtype": "init", "session_id": SESSION, "cwd": "/project", "model": "claude-x"}
USAGE = {"input_tokens": 5, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 3, "output_tokens": 1}


def says(message_id: str, *blocks: dict[str, Any], inside: str | None = None, **more: Any) -> dict[str, Any]:
    message = {"id": message_id, "role": "assistant", "model": "claude-x", "content": list(blocks), "usage": USAGE}
    return {"type": "assistant", "message": message, "parent_tool_use_id": inside, "session_id": SESSION, **more}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def calls(call_id: str, name: str, **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": given}


def result(
    call_id: str, content: Any, *, inside: str | None = None, failed: bool = False, **more: Any
) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": call_id, "content": content, "is_error": failed}
    return {
        "type": "user",
        "message": {"role": "user", "content": [block]},
        "parent_tool_use_id": inside,
        "session_id": SESSION,
        **more,
    }


def over(**more: Any) -> dict[str, Any]:
    told = {"type": "result", "subtype": "success", "is_error": False, "result": "done", "session_id": SESSION}
    return {**told, "total_cost_usd": 0.25, **more}


def events(*messages: dict[str, Any]) -> list[str]:
    reading = Messages()
    return [payload["hook_event_name"] for message in messages for payload in reading.read(message)]


def conversation(tmp_path: Path, *messages: dict[str, Any], prompt: str = "please") -> None:
    told = Conversation(tmp_path / "no transcripts")
    told.prompt({"type": "user", "message": {"role": "user", "content": prompt}})
    for message in messages:
        told.message(message)
    told.close()


def named(recorded: Recorded) -> dict[str, Any]:
    return {span.name: span for span in recorded.spans()}


def test_a_call_and_its_result() -> None:
    asked = says("m1", calls("t1", "Bash", command="ls"))
    assert events(asked, result("t1", "a b")) == ["PreToolUse", "PostToolUse"]


def test_how_a_call_failed_follows_from_what_is_said() -> None:
    asked = says("m1", calls("t1", "Bash", command="ls"))
    denied = {"tool_result_meta": [{"id": "t1", "permission_decision": {"decision": "reject"}}]}
    stopped = {"tool_result_meta": [{"id": "t1", "non_execution_kind": "user-rejected"}]}
    assert events(asked, result("t1", "Exit code 1", failed=True))[-1] == "PostToolUseFailure"
    assert events(asked, result("t1", "no", failed=True, **denied))[-1] == "PermissionDenied"
    assert events(asked, result("t1", "<tool_use_error>Error: No such tool", failed=True))[-1] == "PostToolBatch"
    reading = Messages()
    reading.read(asked)
    assert reading.read(result("t1", "stop", failed=True, **stopped))[0]["is_interrupt"] is True


def test_a_sub_agent_is_announced_or_known_by_its_call() -> None:
    begun = {"type": "system", "subtype": "task_started", "task_id": "a1", "tool_use_id": "t1"}
    ended = {"type": "system", "subtype": "task_notification", "task_id": "a1", "status": "completed"}
    asked = says("m1", calls("t1", "Agent", subagent_type="explorer", prompt="look"))
    within = says("m2", calls("t2", "Read", file_path="/x"), inside="t1", agent_id="a1")
    announced = events(asked, begun, within, ended, result("t1", "found"))
    assert announced == ["PreToolUse", "SubagentStart", "PreToolUse", "SubagentStop", "PostToolUse"]
    unannounced = events(asked, within, result("t1", "found"))
    assert unannounced == ["PreToolUse", "SubagentStart", "PreToolUse", "PostToolUse", "SubagentStop"]


def test_commands_in_the_background_are_no_sub_agents() -> None:
    begun = {
        "type": "system",
        "subtype": "task_started",
        "task_id": "b1",
        "tool_use_id": "t1",
        "task_type": "local_bash",
    }
    assert events(begun) == []


def test_the_end_of_a_turn() -> None:
    assert events(over()) == ["Stop"]
    assert events(over(subtype="error_max_turns", is_error=True)) == ["StopFailure"]
    assert events(over(subtype="error_during_execution", is_error=True, terminal_reason="aborted_tools")) == [
        "Interrupt"
    ]


def test_what_nobody_knows_says_nothing() -> None:
    odd: list[Any] = [{}, {"type": "new"}, {"type": "assistant"}, {"type": "user", "message": None}, {"type": "system"}]
    assert events(*odd, {"type": "assistant", "message": {"content": ["x", {"type": "tool_use"}]}}) == []


def call_fact(*tools: str, started: int, ended: int, agent_id: str = "a2") -> dict[str, Any]:
    parts = [{"type": "tool_call", "id": name, "name": "Bash", "arguments": {"command": name}} for name in tools]
    fact = {"kind": "call", "agent_id": agent_id, "started_ns": started, "ended_ns": ended}
    return {**fact, "output": [{"role": "assistant", "parts": parts}]}


def test_calls_that_no_message_tells_are_told_by_the_transcript() -> None:
    untold = UntoldTools()
    untold.told({"tool_use_id": "seen"})
    ((begun, at),) = untold.learn(call_fact("seen", "t9", started=1, ended=2))
    assert (begun["hook_event_name"], begun["tool_use_id"], begun["agent_id"], at) == ("PreToolUse", "t9", "a2", 2)
    assert untold.learn({"kind": "result", "tool_use_id": "t9", "is_error": True, "text": "no"}) == []
    assert untold.learn(call_fact(started=3, ended=4, agent_id="another")) == []
    ((over, at),) = untold.learn(call_fact(started=5, ended=6))
    assert (over["hook_event_name"], over["error"], at) == ("PostToolUseFailure", "no", 5)
    assert untold.learn(call_fact("t9", started=7, ended=8)) == []


def test_calls_of_the_main_agent_are_told_by_messages() -> None:
    assert UntoldTools().learn(call_fact("t1", started=1, ended=2, agent_id="")) == []


def test_times_are_those_at_which_messages_were_made(recorded: Recorded, tmp_path: Path) -> None:
    with at.session("host"):
        told = Conversation(tmp_path)
        told.prompt({"type": "user", "message": {"content": "please"}})
        told.message(INIT)
        made = now()
        time.sleep(0.05)
        told.message(says("m1", calls("t1", "Bash", command="ls"), timestamp=made))
        told.message(says("m2", calls("t2", "Bash", command="ls"), timestamp="2001-01-01T00:00:00Z"))
        told.close()
    begun = {str((span.attributes or {}).get("gen_ai.tool.call.id")): span.start_time for span in recorded.spans()}
    assert abs((begun["t1"] or 0) - time_ns(made)) < 2_000_000
    assert (begun["t2"] or 0) >= (begun["t1"] or 0)


def test_a_guest_has_the_ids_of_its_own_session_and_the_folder_of_its_host(recorded: Recorded, tmp_path: Path) -> None:
    with at.session("host") as host:
        conversation(
            tmp_path, INIT, says("m1", text("so"), calls("t1", "Bash", command="ls")), result("t1", "a b"),
            says("m2", text("done")), over(),
        )  # fmt: skip
    assert recorded.sessions() == [host.id]
    spans = {span.name: span for span in recorded.spans()}
    tool = spans["execute_tool Bash"]
    assert tool.context is not None
    assert tool.context.span_id == derived_span_id(SESSION, "tool", "t1")
    assert dict(tool.attributes or {})["gen_ai.conversation.id"] == SESSION
    assert dict(tool.attributes or {})["session.id"] == host.id
    assert {span.context.trace_id for span in recorded.spans() if span.context} == {tool.context.trace_id}
    assert spans["invoke_agent host"].status.status_code.name == "UNSET"


def test_a_guests_calls_are_told_without_a_transcript(recorded: Recorded, tmp_path: Path) -> None:
    with at.session("host"):
        conversation(tmp_path, INIT, says("m1", text("so")), says("m1", text("it is")), over())
    (chat,) = [span for span in recorded.spans() if span.name.startswith("chat")]
    told = dict(chat.attributes or {})
    assert told["gen_ai.usage.input_tokens"] == 28
    assert "gen_ai.usage.output_tokens" not in told  # the message's own figure is that of its beginning
    assert [part["content"] for part in json.loads(str(told["gen_ai.output.messages"]))[0]["parts"]] == ["so", "it is"]
    (run,) = [span for span in recorded.spans() if "agent_trace.session.cost_usd" in (span.attributes or {})]
    assert run.name == "invoke_agent claude-code"
    assert (run.attributes or {})["agent_trace.session.cost_usd"] == 0.25


def test_two_runs_of_one_session_are_two_spans(recorded: Recorded, tmp_path: Path) -> None:
    with at.session("host"):
        conversation(tmp_path, INIT, says("m1", text("one")), over())
        conversation(tmp_path, INIT, says("m2", text("two")), over())
    ids = [span.context.span_id for span in recorded.spans() if span.context]
    assert len(ids) == len(set(ids)) == 7


def test_a_client_of_its_own_has_a_folder_of_its_own(recorded: Recorded, tmp_path: Path) -> None:
    at.configure()
    conversation(tmp_path, INIT, says("m1", text("so")), over())
    assert recorded.sessions() == [SESSION]
    told = [event.event_type for event in recorded.events()]
    assert told[:2] == ["session_start", "user_prompt"]
    assert told[-1] == "session_end"


def test_what_comes_after_the_end_or_without_a_session_is_left_alone(recorded: Recorded, tmp_path: Path) -> None:
    with at.session("host"):
        told = Conversation(tmp_path)
        told.message({"type": "assistant"})
        told.close()
        told.message(INIT)
        told.close()
        assert told.context_of_call("t1") is None
    assert [span.name for span in recorded.spans()] == ["invoke_agent host"]


def test_the_programs_own_work_hangs_under_the_call(recorded: Recorded, tmp_path: Path) -> None:
    from opentelemetry import context as context_api

    look_up = at.trace_tool(lambda: 1)
    with at.session("host"):
        told = Conversation(tmp_path)
        told.prompt({"type": "user", "message": {"content": "please"}})
        told.message(INIT)
        told.message(says("m1", calls("t1", "mcp__demo__add", a=1)))
        ctx = told.context_of_call("t1")
        assert ctx is not None
        token = context_api.attach(ctx)
        look_up()
        context_api.detach(token)
        told.close()
    spans = named(recorded)
    inner, outer = spans["execute_tool <lambda>"], spans["execute_tool mcp__demo__add"]
    assert inner.parent.span_id == outer.context.span_id


def transcript(tmp_path: Path, *lines: dict[str, Any]) -> None:
    path = tmp_path / "projects" / "-project" / f"{SESSION}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(line)}\n" for line in lines)


def now() -> str:
    return datetime.now(timezone.utc).isoformat()


def prompt_line(words: str, prompt_id: str) -> dict[str, Any]:
    return {"type": "user", "timestamp": now(), "promptId": prompt_id, "message": {"role": "user", "content": words}}


def answer_line(message_id: str, words: str, output: int) -> dict[str, Any]:
    usage = {**USAGE, "output_tokens": output}
    message = {"id": message_id, "role": "assistant", "model": "claude-x", "content": [text(words)], "usage": usage}
    return {"type": "assistant", "timestamp": now(), "message": {**message, "stop_reason": "end_turn"}}


def test_the_transcript_tells_what_messages_do_not(recorded: Recorded, tmp_path: Path) -> None:
    with at.session("host"):
        told = Conversation(tmp_path)
        told.prompt({"type": "user", "message": {"content": "please"}})
        told.message(INIT)
        transcript(tmp_path, prompt_line("please", "prompt-1"), answer_line("m1", "so", 44))
        time.sleep(0.06)  # it is not looked for at each message
        told.message(says("m1", text("so")))
        told.message(over())
        told.close()
    (chat,) = [span for span in recorded.spans() if span.name.startswith("chat")]
    assert dict(chat.attributes or {})["gen_ai.usage.output_tokens"] == 44
    (turn,) = [span for span in recorded.spans() if (span.attributes or {}).get("prompt.id") == "prompt-1"]
    assert turn.context is not None
    assert turn.context.span_id == derived_span_id(SESSION, "turn", "prompt-1")
    (response,) = [event for event in recorded.events() if event.event_type == "llm_response"]
    assert response.data["agent"] == "claude-code"


def test_a_prompt_whose_id_comes_late_keeps_its_calls(recorded: Recorded, tmp_path: Path) -> None:
    with at.session("host"):
        told = Conversation(tmp_path)
        for number in (1, 2):
            told.prompt({"type": "user", "message": {"content": f"question {number}"}})
            told.message(INIT)
            told.message(says(f"m{number}", text("so")))
            transcript(tmp_path, prompt_line(f"question {number}", f"p{number}"), answer_line(f"m{number}", "so", 4))
            time.sleep(0.06)
            told.message(over())
        told.close()
    by_id = {span.context.span_id: span for span in recorded.spans() if span.context}
    chats = [span for span in recorded.spans() if span.name.startswith("chat")]
    above = [by_id[span.parent.span_id] for span in chats if span.parent]
    assert [(span.attributes or {})["agent_trace.scope"] for span in above] == ["turn", "turn"]
    assert above[0] is not above[1]


def test_what_the_client_asks_itself_stands_in_the_transcript_alone(recorded: Recorded, tmp_path: Path) -> None:
    with at.session("host"):
        told = Conversation(tmp_path)
        transcript(tmp_path, prompt_line("by another way", "prompt-9"))
        told.message(INIT)
        told.message(says("m1", text("so")))
        told.message(over())
        told.close()
    assert [event.data["prompt"] for event in recorded.events() if event.event_type == "user_prompt"] == [
        "by another way"
    ]
