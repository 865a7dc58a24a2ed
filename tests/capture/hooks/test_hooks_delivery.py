"""What hooks tell reaches a back end as it is in the folder, and a back end that is dead costs the agent nothing."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from chaos import receiver
from hook_feed import are_over, feed, recorder_of
from hook_processes import Hooks
from odd_servers import Answering, answering
from oteltap_receiver import received_by_oteltap, spans_in
from programs import wait_for
from recordings import Recording

from agent_trace_otel.delivery.standing import Standing, standings
from agent_trace_otel.store.spans_file import requests_of

SECRET = "sk-ant-api03-" + "q7Xw9Lr2Tn5Vb8Kc3Md6Hf1Jg4Ps0ZaYeUiOtRyQwEr-AA"
HEADER = "Bearer 9f8e7d6c5b4a39281706f5e4d3c2b1a0"


def _play(tmp_path: Path, hooks: Hooks, name: str = "denied", **environ: str) -> Recording:
    played = Recording(name, tmp_path)
    (tmp_path / "project").mkdir(exist_ok=True)
    hooks.environ |= environ
    feed(played, hooks)
    wait_for(lambda: are_over(hooks), "the end of the session")
    return played


def test_a_receiver_gets_the_spans_of_the_folder(tmp_path: Path) -> None:
    hooks = Hooks(tmp_path / "home")

    def send(base: str) -> None:
        with recorder_of(hooks):
            _play(tmp_path, hooks, AGENT_TRACE_OTLP_ENDPOINT=base)

    found = received_by_oteltap(send, 7)
    (session,) = (tmp_path / "project" / ".agent-traces").glob("*-*")
    expected = spans_in(session / "spans.jsonl")
    assert sorted(map(str, found)) == sorted(map(str, expected))
    (standing,) = standings(session).values()
    assert standing == Standing(delivered=len(expected))
    (service,) = {str(_service(request)) for request in requests_of(session / "spans.jsonl")}
    assert service == "claude-code"


def test_a_back_end_by_its_name_gets_the_key_that_the_config_file_keeps(tmp_path: Path) -> None:
    hooks = Hooks(tmp_path / "home")
    key = "hcaik_pl4nted0123456789"
    file = hooks.home / ".config" / "agent-trace" / "config.toml"
    file.parent.mkdir(parents=True)
    with answering(Answering()) as server, recorder_of(hooks):
        keys = f'keys = {{ HONEYCOMB_API_KEY = "{key}" }}'
        file.write_text(f'[otlp]\nto = "honeycomb"\nendpoint = "{server.url}"\n{keys}\n')
        _play(tmp_path, hooks)
        wait_for(lambda: len(server.got) > 0, "spans")
    assert {headers.get("x-honeycomb-team") for _, headers, _ in server.got} == {key}
    (session,) = (tmp_path / "project" / ".agent-traces").glob("*-*")
    assert [name for name in _files_with(tmp_path, hooks, key.encode()) if name != str(file)] == []
    assert session.exists()


def test_the_recorder_sends_what_it_owes_once_the_back_end_takes_spans_again(tmp_path: Path) -> None:
    hooks = Hooks(tmp_path / "home")
    with receiver(tmp_path, "503") as to, recorder_of(hooks):
        _play(tmp_path, hooks, AGENT_TRACE_OTLP_ENDPOINT=to.base)
        wait_for(lambda: to.lines("requests") != [], "a first request")
        (session,) = (tmp_path / "project" / ".agent-traces").glob("*-*")
        to.be("well")
        wait_for(lambda: [*standings(session).values()] == [Standing(delivered=7)], "the spans")
        assert len(to.lines("taken")) == 7


def test_a_black_hole_costs_the_agent_nothing(tmp_path: Path) -> None:
    hooks = Hooks(tmp_path / "home")
    with socket.socket() as hole, recorder_of(hooks):
        hole.bind(("127.0.0.1", 0))
        hole.listen(1)  # takes connections and never says a word
        endpoint = f"http://127.0.0.1:{hole.getsockname()[1]}"
        played = _play(tmp_path, hooks, AGENT_TRACE_OTLP_ENDPOINT=endpoint)
        (session,) = played.store.glob("*-*")
        assert b'"session_end"' in (session / "events.ndjson").read_bytes()


def test_secrets_of_payloads_transcripts_and_environment_stay_out_of_every_file(tmp_path: Path) -> None:
    hooks = Hooks(tmp_path / "home")
    played = Recording("denied", tmp_path)
    (tmp_path / "project").mkdir(exist_ok=True)
    for heard in played.heard:
        heard.payload["note"] = f"use {SECRET}"
        if "tool_input" in heard.payload:
            heard.payload["tool_input"]["env"] = {"ANTHROPIC_API_KEY": SECRET}
    played.plant(SECRET)
    hooks.environ |= {
        "AGENT_TRACE_OTLP_ENDPOINT": f"http://user:{SECRET}@127.0.0.1:9",
        "AGENT_TRACE_OTLP_HEADERS": f"authorization={HEADER}",
        "ANTHROPIC_API_KEY": SECRET,
        "CLAUDE_CODE_MESSAGING_TOKEN": SECRET,
    }
    seen: list[str] = []
    with recorder_of(hooks):
        feed(played, hooks, after=lambda: seen.extend(_files_with(tmp_path, hooks)))
        wait_for(lambda: are_over(hooks), "the end of the session")
        seen += _files_with(tmp_path, hooks)
    assert seen == []
    (session,) = played.store.glob("*-*")
    assert "[REDACTED:" in (session / "spans.jsonl").read_text()


SAID = (b"Please do the test", b"I was not allowed", b"touch denied.txt")


def test_without_content_nothing_that_was_said_reaches_any_file(tmp_path: Path) -> None:
    hooks = Hooks(tmp_path / "home", {"AGENT_TRACE_CAPTURE_CONTENT": "false"})
    played = Recording("denied", tmp_path)
    (tmp_path / "project").mkdir(exist_ok=True)
    seen: list[str] = []
    with recorder_of(hooks):
        feed(played, hooks, after=lambda: seen.extend(_files_with(tmp_path, hooks, *SAID)))
        wait_for(lambda: are_over(hooks), "the end of the session")
    assert seen == []
    (session,) = played.store.glob("*-*")
    told = (session / "events.ndjson").read_text() + (session / "spans.jsonl").read_text()
    assert not [said for said in SAID if said.decode() in told]
    assert told.count('"permission_denied"') >= 2
    assert "touch" in told


def _files_with(home: Path, hooks: Hooks, *words: bytes) -> list[str]:
    """Return the files of ours that hold some words, by default the secrets; the client's own transcripts do."""
    words = words or (SECRET.encode(), HEADER.encode())
    places = [hooks.state, hooks.home, home / "project"]
    files = {path for place in places for path in place.rglob("*") if path.is_file() and not path.is_socket()}
    return [str(path) for path in files if any(word in _bytes(path) for word in words)]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # the spool and its marks come and go
        return b""


def _service(request: dict[str, Any]) -> object:
    for resource in request["resourceSpans"]:
        for attribute in resource["resource"]["attributes"]:
            if attribute["key"] == "service.name":
                return attribute["value"]["stringValue"]
    return None
