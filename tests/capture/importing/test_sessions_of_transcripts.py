"""What is made of transcripts that no recording has: of older clients, of killed ones, odd ones, growing ones."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest
from conftest import import_all
from recordings import Recording
from transcript_lines import block, request, result, synthetic, text, tool_use, user, write

from agent_trace_otel import process, semconv
from agent_trace_otel.capture.importing import command
from agent_trace_otel.capture.importing.session_import import Added
from agent_trace_otel.testing import Recorded, recording

ID = "0ebdfeaf-eb6e-4ea2-9fe6-913cbb9cc5c4"
CALLING = {"stop_reason": "tool_use", "sessionId": ID}


def prompt(second: float, words: str = "go", identity: str = "p1", **extra: Any) -> dict[str, Any]:
    return user(second, words, promptId=identity, sessionId=ID, **extra)


def imported(home: Path, *lines: Any, is_over: bool = True) -> Recorded:
    folder = home / ".claude" / "projects" / "-project"
    folder.mkdir(parents=True, exist_ok=True)
    (home / "project").mkdir(exist_ok=True)
    write(folder / f"{ID}.jsonl", *lines)
    with recording(home / "none", HOME=str(home)):
        import_all(home, is_over=is_over)
    return Recorded(home / "project" / ".agent-traces")


def outcomes(recorded: Recorded) -> list[tuple[str, str]]:
    """Return what was told, in order of time; of what began at once, what took longer comes first."""
    spans = sorted(recorded.spans(), key=lambda span: span.name[0] != "i")
    spans.sort(key=lambda span: (span.start_time or 0, -(span.end_time or 0)))
    return [(span.name, str((span.attributes or {}).get(semconv.OUTCOME))) for span in spans]


def events(recorded: Recorded) -> list[str]:
    return [event.event_type for event in recorded.events()]


def test_an_older_client_names_no_requests_no_stops_and_no_costs(tmp_path: Path) -> None:
    found = imported(
        tmp_path,
        {"type": "summary", "summary": "About", "leafUuid": "x"},
        prompt(1),
        block("m1", 2, tool_use("t1"), **CALLING),
        result(3, "t1", sessionId=ID),
        block("m2", 4, text("Done."), sessionId=ID),
        prompt(10, "more", "p2"),
        block("m3", 12, text("More done."), sessionId=ID),
    )
    assert outcomes(found) == [
        ("invoke_agent claude-code", "ok"),
        ("invoke_agent claude-code", "ok"),
        ("chat claude-opus-5-5", "ok"),
        ("execute_tool Bash", "ok"),
        ("chat claude-opus-5-5", "ok"),
        ("invoke_agent claude-code", "ok"),
        ("chat claude-opus-5-5", "ok"),
    ]
    assert events(found).count("assistant_response") == 2
    assert found.meta().ended_at is not None


def test_turns_of_clients_that_name_no_prompts_have_their_calls(tmp_path: Path) -> None:
    asked = [user(1, "go", sessionId=ID, uuid="u1"), user(9, [{"type": "image"}], sessionId=ID, uuid="u2")]
    answers = [block("m1", 2, text("Gone."), sessionId=ID), block("m2", 10, text("Seen."), sessionId=ID)]
    found = imported(tmp_path, asked[0], answers[0], asked[1], answers[1])
    names = {
        span.context.span_id: (span.attributes or {}).get(semconv.PROMPT_ID) for span in found.spans() if span.context
    }
    calls = [span for span in found.spans() if span.name.startswith("chat")]
    assert [names[span.parent.span_id] for span in calls if span.parent] == ["u1", "u2"]
    assert [event.data["prompt"] for event in found.events() if event.event_type == "user_prompt"] == ["go", "[image]"]


def test_a_client_that_was_interrupted_goes_on_with_another_turn(tmp_path: Path) -> None:
    refusal = {
        "type": "tool_result",
        "tool_use_id": "t1",
        "is_error": True,
        "content": "The user doesn't want to do it",
    }
    found = imported(
        tmp_path,
        prompt(1),
        block("m1", 2, tool_use("t1"), **CALLING),
        user(3, [refusal], sessionId=ID),
        user(3, [text("[Request interrupted by user for tool use]")], sessionId=ID),
        prompt(10, "else", "p2"),
        block("m2", 12, text("Done."), sessionId=ID),
    )
    told = outcomes(found)
    assert told[1] == ("invoke_agent claude-code", "interrupted")
    assert ("execute_tool Bash", "interrupted") in told
    assert told[-2:] == [("invoke_agent claude-code", "ok"), ("chat claude-opus-5-5", "ok")]


def test_a_client_that_was_killed_in_a_call_is_lost(tmp_path: Path) -> None:
    found = imported(tmp_path, prompt(1), request("r", 1.5), block("m1", 2, tool_use("t1"), requestRef="r", **CALLING))
    assert outcomes(found) == [
        ("invoke_agent claude-code", "lost"),
        ("invoke_agent claude-code", "lost"),
        ("chat claude-opus-5-5", "ok"),
        ("execute_tool Bash", "lost"),
    ]


def test_what_is_being_written_stays_open_until_it_is_told_on(tmp_path: Path) -> None:
    begun = [prompt(1), block("m1", 2, tool_use("t1"), **CALLING)]
    found = imported(tmp_path, *begun, is_over=False)
    assert events(found) == ["session_start", "user_prompt", "tool_call"]
    assert found.meta().ended_at is None
    found = imported(tmp_path, *begun, result(3, "t1"), block("m2", 4, text("Done.")), prompt(5, "more", "p2"))
    assert events(found).count("tool_call") == events(found).count("tool_result") == 1
    assert found.meta().ended_at is not None
    assert len({span.context.span_id for span in found.spans() if span.context}) == len(found.spans())


def test_a_failed_turn_names_the_failure(tmp_path: Path) -> None:
    failure = synthetic(3, isApiErrorMessage=True, apiErrorType="overloaded_error", error="server_error")
    found = imported(tmp_path, prompt(1), request("r", 2), failure, prompt(9, "again", "p2"))
    (turn,) = [span for span in found.spans() if (span.attributes or {}).get(semconv.PROMPT_ID) == "p1"]
    assert (turn.attributes or {})[semconv.ERROR_TYPE] == "overloaded_error"


def test_secrets_are_withheld(tmp_path: Path) -> None:
    secret = "sk-ant-api03-" + "aB3" * 30
    found = imported(
        tmp_path,
        prompt(1, f"use {secret}"),
        block("m1", 2, {**tool_use("t1"), "input": {"command": f"export API_KEY={secret}"}}, **CALLING),
        result(3, "t1", toolUseResult={"stdout": secret}),
        block("m2", 4, text(f"Used {secret}.")),
    )
    assert secret not in found.text()
    assert "export API_KEY" in found.text()


def test_a_run_that_hooks_record_just_now_is_left_to_them(tmp_path: Path) -> None:
    here = process.current()
    lines = [prompt(1), block("m1", 2, text("Done."))]
    found = imported(tmp_path, *lines)
    events_file = found.trace_dir / ID / "events.ndjson"
    start = json.loads(events_file.read_text().splitlines()[0])
    start["timestamp"] -= 1
    start["data"] |= {"pid": here.pid, "pid_start": here.pid_start, "boot_id": here.boot_id, "host": here.host}
    events_file.write_text(json.dumps(start, separators=(",", ":")) + "\n")
    (found.trace_dir / ID / "spans.jsonl").unlink()
    before = events_file.read_bytes()
    with recording(tmp_path / "none", HOME=str(tmp_path)):
        (added,) = import_all(tmp_path)
    assert (added.is_recorded, added.spans) == (True, {})
    assert command.shown(added).endswith("nothing new; hooks record it just now")
    assert events_file.read_bytes() == before


def test_what_a_killed_recorder_left_open_is_completed(tmp_path: Path) -> None:
    lines = [prompt(1), block("m1", 2, tool_use("t1"), **CALLING), result(3, "t1"), block("m2", 4, text("Done."))]
    found = imported(tmp_path, *lines)
    whole = outcomes(found)
    folder = found.trace_dir / ID
    kept = (folder / "events.ndjson").read_text().splitlines()[:4]
    start = json.loads(kept[0])
    start["timestamp"] -= 1
    start["data"] |= {"pid": 1 << 22, "pid_start": "1", "boot_id": process.boot_id(), "host": process.current().host}
    (folder / "events.ndjson").write_text("".join(f"{line}\n" for line in [json.dumps(start), *kept[1:]]))
    (folder / "spans.jsonl").unlink()
    (folder / "meta.json").unlink()
    found = imported(tmp_path, *lines)
    assert outcomes(found) == whole
    assert events(found).count("user_prompt") == 1


@pytest.mark.parametrize("seed", range(12))
def test_odd_lines_keep_no_session_from_being_imported(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    texts = ["", "\ud800\x1b[2J", "x" * 9]
    odd: list[Any] = [None, 0, -1, 1e400, True, [], {}, [[]], [{"type": "text"}], {"content": 7}, *texts]
    names = ["basic", "subagent", "resume", "denied", "compact", "two_prompts", "nested_fg"]
    Recording(chance.choice(names), tmp_path).write_until(1 << 63)
    (tmp_path / "project").mkdir()
    for path in (tmp_path / ".claude").rglob("*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in chance.sample(lines, len(lines) // 3):
            _spoil(line, chance, odd)
        chance.shuffle(lines) if chance.random() < 0.3 else None
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines) + '{"torn')
    with recording(tmp_path / "none", HOME=str(tmp_path)):
        import_all(tmp_path)
        before = Recorded(tmp_path / "project" / ".agent-traces").text()
        import_all(tmp_path)
    assert Recorded(tmp_path / "project" / ".agent-traces").text() == before


def _spoil(value: Any, chance: random.Random, odd: list[Any]) -> None:
    """Put something else in the place of a member, somewhere within; the session's id stays."""
    keys = [key for key in value if key != "sessionId"] if isinstance(value, dict) else list(range(len(value)))
    if not keys:
        return
    key = chance.choice(keys)
    if isinstance(value[key], (dict, list)) and value[key] and chance.random() < 0.7:
        _spoil(value[key], chance, odd)
    else:
        value[key] = copy.deepcopy(chance.choice(odd))


def test_a_session_that_is_not_understood_is_said_and_the_next_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Recording("fork", tmp_path).write_until(1 << 63)
    original = command.SessionImport.run
    calls: list[int] = []

    def fail_once(one: command.SessionImport) -> Added:
        calls.append(1)
        if len(calls) == 1:
            raise KeyError(len(calls))
        return original(one)

    monkeypatch.setattr(command.SessionImport, "run", fail_once)
    with recording(tmp_path / "traces", HOME=str(tmp_path)):
        found, _ = command.find([], 0.0)
        first, second = command.import_each(found)
    assert isinstance(first, str)
    assert "not understood (KeyError" in first
    assert isinstance(second, Added)
