"""Which transcripts there are, whose they are, and what is said of files that are none."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from recordings import Recording
from transcript_lines import block, request, text, user, write

from agent_trace_otel.capture.hooks.transcript import reader
from agent_trace_otel.capture.importing import command, transcripts
from agent_trace_otel.capture.importing.transcripts import lines_of, look_at, transcripts_in
from agent_trace_otel.errors import SessionNotFoundError, StoreError

ID = "0ebdfeaf-eb6e-4ea2-9fe6-913cbb9cc5c4"
PROMPT = user(1, "go", promptId="p1", promptSource="sdk", sessionId=ID, cwd="/somewhere")


def test_a_session_is_known_by_its_file_and_its_first_lines(tmp_path: Path) -> None:
    found = look_at(write(tmp_path / f"{ID}.jsonl", {"type": "mode", "mode": "normal"}, PROMPT, request("r", 2)))
    assert (found.session_id, found.cwd, found.own_from) == (ID, "/somewhere", 0)
    renamed = look_at(write(tmp_path / "copy.jsonl", PROMPT))
    assert renamed.session_id == ID


def test_a_forks_own_lines_begin_with_its_own_prompt(tmp_path: Path) -> None:
    Recording("fork", tmp_path).write_until(1 << 63)
    forked = next((tmp_path / ".claude").rglob("5f2fefe6*.jsonl"))
    found = look_at(forked)
    (own,) = [line for line in lines_of(forked, Counter()) if line.place == found.own_from]
    assert own.value["turnPosition"]["turnIndex"] == 2
    assert not look_at(next((tmp_path / ".claude").rglob("c3c54433*.jsonl"))).is_copy


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no transcript: it is empty"),
        (b"\n\n", "no transcript of Claude Code"),
        (b"root:x:0:0\n", "no transcript of Claude Code"),
        (b'{"a": 1}\n[]\n7\n', "no transcript of Claude Code"),
        (b'{"event_type":"session_start","session_id":"x"}\n', "no transcript of Claude Code"),
        (os.urandom(4096), "no transcript of Claude Code"),
        (b"[" * 200_000, "no transcript of Claude Code"),
    ],
)
def test_what_is_no_transcript_is_said_in_one_line(content: bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    path.write_bytes(content)
    with pytest.raises(StoreError) as raised:
        look_at(path)
    assert str(raised.value) == f"{path}: {problem}"


def test_a_fork_that_nothing_was_asked_of_is_none(tmp_path: Path) -> None:
    copied = block("m1", 2, text("hi"), requestRef="r1", requestSessionId="another", sessionId=ID)
    with pytest.raises(StoreError, match="a fork that nothing was asked of"):
        look_at(write(tmp_path / f"{ID}.jsonl", PROMPT, copied))


def test_pipes_directories_missing_files_and_sub_agents_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    write(tmp_path / "agent-a1.jsonl", PROMPT)
    for name, problem in {
        "pipe.jsonl": "no regular file",
        "none.jsonl": "no such file",
        "agent-a1.jsonl": "a sub-agent's transcript: name that of its session",
    }.items():
        with pytest.raises(StoreError, match=problem):
            look_at(tmp_path / name)
    (tmp_path / "sub").mkdir()
    with pytest.raises(StoreError, match="no transcripts"):
        transcripts_in(tmp_path / "sub")
    told = {**user(1, "go", agentId="a1", isSidechain=True), "sessionId": ID}
    with pytest.raises(StoreError, match="a sub-agent's transcript"):
        look_at(write(tmp_path / "renamed.jsonl", told))


def test_a_project_and_all_projects_are_searched_but_not_sub_agents(tmp_path: Path) -> None:
    Recording("subagent", tmp_path).write_until(1 << 63)
    projects = tmp_path / ".claude" / "projects"
    (main,) = transcripts_in(projects)
    assert main.stem == ID
    assert transcripts_in(main.parent) == [main]
    assert len(look_at(main).sub_agents()) == 3


def test_the_clients_own_directory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "elsewhere"))
    with pytest.raises(SessionNotFoundError, match="no transcripts of Claude Code"):
        command.find([], 0.0)
    monkeypatch.delenv("CLAUDE_CONFIG_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    Recording("resume", tmp_path).write_until(1 << 63)
    found, problems = command.find([], 0.0)
    assert ([one.session_id[:8] for one in found], problems) == (["364b1744"], [])


def test_only_sessions_that_were_written_to_since_are_taken(tmp_path: Path) -> None:
    old, new = write(tmp_path / "old.jsonl", PROMPT), write(tmp_path / "new.jsonl", PROMPT)
    os.utime(old, (1_000_000, 1_000_000))
    os.utime(new, (2_000_000, 2_000_000))
    assert [one.path.name for one in command.find([tmp_path], 1_500_000.0)[0]] == ["new.jsonl"]


def test_lines_are_read_whole_wherever_blocks_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = [{"n": n, "text": "é\u2028" * n} for n in range(40)]
    path = tmp_path / "file.jsonl"
    path.write_text("".join(f"{json.dumps(value, ensure_ascii=n % 2 == 0)}\r\n" for n, value in enumerate(values)))
    whole = path.read_bytes()
    for size in (1, 7, 64, 1 << 18):
        monkeypatch.setattr(transcripts, "_BLOCK", size)
        found = list(lines_of(path, Counter()))
        assert [line.value for line in found] == values
        assert [json.loads(whole[line.place :].split(b"\n")[0]) for line in found] == values


def test_a_torn_end_and_endless_lines_are_passed_over_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcripts, "MAX_LINE", 1000)
    monkeypatch.setattr(reader, "MAX_LINE", 1000)
    monkeypatch.setattr(transcripts, "_BLOCK", 100)
    path = tmp_path / "file.jsonl"
    path.write_bytes(b'{"a":1}\n{"long":"' + b"x" * 3000 + b'"}\n{"b":2}\nno json\n{"torn":')
    unknown = Counter[str]()
    assert [line.value for line in lines_of(path, unknown)] == [{"a": 1}, {"b": 2}]
    assert set(unknown) == {"(too long)", "(no JSON)", "(torn)"}
