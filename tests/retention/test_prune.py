"""`agent-trace prune`: what goes, what stays and why, and that nothing goes that is in use or somebody else's."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from session_folders import agent_trace, gone, session_start, write_session

from agent_trace_otel.delivery.ledger import Ledger
from agent_trace_otel.delivery.otlp import target_name
from agent_trace_otel.retention import removing

DAY = 86_400.0
URL = "http://collector.example:4318/v1/traces"
TARGET = target_name(URL)
SPANS = ("00f067aa0ba902b7", "b7ad6b7169203331")


class Store:
    """A trace directory, sessions of some age in it, and the command."""

    def __init__(self, folder: Path) -> None:
        self.home = folder
        self.traces = folder / ".agent-traces"
        self.traces.mkdir(mode=0o700)
        (self.traces / ".gitignore").write_text("*\n")

    def session(self, name: str, days: float, *lines: bytes, size: int = 0, **meta: Any) -> Path:
        """Write a session that ended so many days ago, or that was last written to then if it has lines of its own."""
        then = time.time() - days * DAY
        ended = {} if lines else {"started_at": then - 60, "ended_at": then}
        folder = write_session(self.traces, *lines, meta={**ended, **meta}, session_id=name)
        (folder / "spans.jsonl").write_bytes(b"\n" * size)
        for path in folder.iterdir():
            os.utime(path, (then, then))
        return folder

    def prune(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        home = {name: str(self.home) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME")}
        return agent_trace("prune", *arguments, cwd=self.home, env={**home, **env})

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.traces.iterdir() if path.name != ".gitignore")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def with_spans(folder: Path) -> Path:
    """Give a session two sampled spans, as old as the rest of it."""
    then = (folder / "meta.json").stat().st_mtime
    spans = [{"traceId": "1" * 32, "spanId": span_id, "name": "x", "flags": 1} for span_id in SPANS]
    (folder / "spans.jsonl").write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}) + "\n")
    os.utime(folder / "spans.jsonl", (then, then))
    return folder


def delivered(folder: Path, count: int, target: str = TARGET) -> None:
    ledger = Ledger(folder, target)
    with ledger.held():
        ledger.note_delivered(int(span_id, 16) for span_id in SPANS[:count])


def test_what_ended_long_ago_goes(store: Store) -> None:
    store.session("old", 31)
    store.session("young", 29)
    done = store.prune("--older-than", "30d")
    assert (done.returncode, done.stderr) == (0, "")
    assert store.names == ["young"]
    first, last = done.stdout.splitlines()
    assert first.split()[:3] == ["removed", "old", "31d"]
    assert first.endswith("too old")
    assert last.startswith("1 of 2 sessions removed, ")
    assert store.prune("--older-than", "30d").stdout.startswith("0 of 1 sessions removed, 0 B; ")


def test_a_dry_run_changes_nothing(store: Store) -> None:
    store.session("old", 31)
    before = removing.snapshot(str(store.traces / "old"))
    done = store.prune("--older-than", "30d", "--dry-run")
    assert done.stdout.startswith("would go   old ")
    assert "1 of 1 sessions would be removed" in done.stdout
    assert (store.names, removing.snapshot(str(store.traces / "old"))) == (["old"], before)


def test_of_what_is_too_much_the_oldest_goes_first(store: Store) -> None:
    for number in range(5):
        store.session(f"s{number}", 10 - number, size=100_000)
    done = store.prune("--max-size", "250KB")
    assert (done.returncode, store.names) == (0, ["s3", "s4"])
    assert ["too much" in line for line in done.stdout.splitlines()] == [True, True, True, False]
    assert store.prune("--max-size", "1GB").stdout.startswith("0 of 2 sessions removed")
    store.prune("--max-size", "1GB", "--older-than", "156h")
    assert store.names == ["s4"]


def test_a_session_that_runs_stays_whatever_is_asked(store: Store) -> None:
    store.session("running", 400, session_start())
    store.session("crashed", 400, session_start(gone()))
    done = store.prune("--older-than", "1d", "--undelivered-too")
    assert (done.returncode, store.names) == (0, ["running"])
    assert "kept       running" in done.stdout
    assert "it is running" in done.stdout


def test_a_session_that_nobody_ends_is_open_for_a_day(store: Store) -> None:
    elsewhere = session_start(host="another-host")
    store.session("silent", 2, elsewhere)
    store.session("speaking", 0.5, elsewhere)
    done = store.prune("--older-than", "6h")
    assert (done.returncode, store.names) == (0, ["speaking"])
    assert "nobody has ended it" in done.stdout


def test_undelivered_spans_keep_a_session(store: Store) -> None:
    delivered(with_spans(store.session("half", 40)), 1)
    delivered(with_spans(store.session("whole", 40)), 2)
    with_spans(store.session("never-sent", 40))
    done = store.prune("--older-than", "30d")
    assert (done.returncode, store.names) == (0, ["half"])
    assert f"undelivered spans: 1 to {TARGET}" in done.stdout
    assert "kept 1 for spans that a back end has not got: agent-trace ship --all, or --undelivered-too\n" in done.stderr
    done = store.prune("--older-than", "30d", "--undelivered-too")
    assert (done.returncode, store.names) == (0, [])


def test_refused_spans_are_undelivered(store: Store) -> None:
    folder = with_spans(store.session("refused", 40))
    ledger = Ledger(folder, TARGET)
    with ledger.held():
        ledger.note_delivered([int(SPANS[0], 16)])
        ledger.note_failed([int(SPANS[1], 16)], "refused", "no")
    assert (store.prune("--older-than", "30d").returncode, store.names) == (0, ["refused"])


@pytest.mark.parametrize(
    "env",
    [
        {"AGENT_TRACE_OTLP_ENDPOINT": "http://collector.example:4318"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.example:4318"},
        {"AGENT_TRACE_TO": "honeycomb"},
    ],
)
def test_what_the_configured_back_end_never_got_stays(store: Store, env: dict[str, str]) -> None:
    with_spans(store.session("never-sent", 40))
    store.session("crashed", 40, session_start(gone()))
    done = store.prune("--older-than", "30d", **env)  # no key is needed to know that
    assert (done.returncode, store.names) == (0, ["crashed", "never-sent"])
    assert "undelivered spans: 2 to " in done.stdout
    assert "it crashed, and ship has not told a back end of its end" in done.stdout
    assert (store.prune("--older-than", "30d").returncode, store.names) == (0, [])


def test_a_limit_that_can_not_be_reached_is_an_error(store: Store) -> None:
    delivered(with_spans(store.session("undelivered", 40)), 1)
    store.session("running", 1, session_start(), size=5000)
    done = store.prune("--max-size", "1KB")
    assert (done.returncode, store.names) == (1, ["running", "undelivered"])
    assert "still more than 1.0 KB: what is left is running, undelivered or could not be removed\n" in done.stderr


def test_nothing_is_followed_out_of_the_directory(store: Store) -> None:
    outside = store.home / "outside"
    outside.mkdir()
    (outside / "events.ndjson").write_text("precious")
    (store.traces / "linked").symlink_to(outside)
    folder = store.session("holds-a-link", 40)
    (folder / "delivered-x.log").symlink_to(outside / "events.ndjson")
    done = store.prune("--older-than", "30d", "--undelivered-too")
    assert (outside / "events.ndjson").read_text() == "precious"
    assert "emptied    holds-a-link" in done.stdout
    assert [path.name for path in folder.iterdir()] == ["delivered-x.log"]
    assert "left alone 1 folders that are links, another user's, or no sessions" in done.stderr


def test_what_others_put_there_stays(store: Store) -> None:
    folder = store.session("mine", 40)
    (folder / "notes.md").write_text("mine")
    (folder / "pictures").mkdir()
    (store.traces / "README.md").write_text("mine")
    (store.traces / "not-a-session").mkdir()
    (store.traces / "not-a-session" / "data.csv").write_text("mine")
    done = store.prune("--older-than", "1d", "--max-size", "1")
    assert store.names == ["README.md", "mine", "not-a-session"]
    assert sorted(path.name for path in folder.iterdir()) == ["notes.md", "pictures"]
    assert "other files are in its folder: notes.md, pictures" in done.stdout
    again = store.prune("--older-than", "1d")
    assert (again.returncode, again.stdout.startswith("0 of 2 sessions removed")) == (0, True)


def test_a_session_that_comes_alive_meanwhile_is_put_back(store: Store) -> None:
    old, resumed, made_anew = (store.session(name, 40) for name in ("old", "resumed", "made-anew"))

    def meanwhile(_: float) -> None:
        aside = {path.name.partition("~")[2]: path for path in store.traces.glob(f"{removing.MARK}*")}
        assert sorted(aside) == ["made-anew", "old", "resumed"]
        with (aside["resumed"] / "events.ndjson").open("ab") as file:  # by a process that had it open
            file.write(session_start())
        with (aside["made-anew"] / "spans.jsonl").open("ab") as file:
            file.write(b"{}\n")
        write_session(store.traces, session_start(), session_id="made-anew")

    done = removing.remove({str(one): removing.snapshot(str(one)) for one in (old, resumed, made_anew)}, meanwhile)
    assert (done.gone, done.alive, done.failed) == ([str(old)], [str(resumed), str(made_anew)], {})
    assert store.names == ["made-anew", "made-anew.before-1", "resumed"]
    assert (resumed / "events.ndjson").read_bytes() == session_start()


def test_a_folder_that_was_made_anew_for_meta_json_alone_is_joined(store: Store) -> None:
    folder = store.session("resumed", 40)

    def meanwhile(_: float) -> None:
        (aside,) = store.traces.glob(f"{removing.MARK}*")
        with (aside / "events.ndjson").open("ab") as file:
            file.write(session_start())
        folder.mkdir()
        (folder / "meta.json").write_text("{}")

    done = removing.remove({str(folder): removing.snapshot(str(folder))}, meanwhile)
    assert (done.alive, store.names) == ([str(folder)], ["resumed"])
    assert (folder / "meta.json").read_text() == "{}"
    assert (folder / "events.ndjson").read_bytes() == session_start()
    assert (folder / "spans.jsonl").exists()


def test_what_is_written_after_the_decision_keeps_a_session(store: Store) -> None:
    folder = store.session("resumed", 40)
    decided = removing.snapshot(str(folder))
    with (folder / "events.ndjson").open("ab") as file:
        file.write(session_start())
    done = removing.remove({str(folder): decided}, lambda _: None)
    assert (done.alive, done.gone, store.names) == ([str(folder)], [], ["resumed"])


def test_what_a_killed_prune_has_set_aside_comes_back(store: Store) -> None:
    folder = store.session("old", 40)
    folder.rename(store.traces / f"{removing.MARK}{gone().pid}~old")
    (store.traces / f"{removing.MARK}{os.getpid()}~busy").mkdir()
    done = store.prune("--older-than", "90d")
    assert "put back old, which a prune that was killed had set aside\n" in done.stderr
    assert store.names == [f"{removing.MARK}{os.getpid()}~busy", "old"]


def test_a_folder_that_can_not_be_removed_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = store.session("old", 40)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(removing.os, "unlink", refuse)
    decided = removing.snapshot(str(folder))
    done = removing.remove({str(folder): decided, str(store.traces / "gone"): decided}, lambda _: None)
    assert done.failed == {
        str(folder): "Permission denied",
        str(store.traces / "gone"): "No such file or directory",
    }
    assert store.names == ["old"]


@pytest.fixture
def untold(store: Store) -> Iterator[Store]:
    """A store one of whose sessions is in the recorder's journals."""
    from recorders import Home, frame

    home = Home(store.home)
    home.running()
    home.send(frame(1, {}))
    yield store
    home.end()


def test_what_the_recorder_has_more_to_tell_of_stays(untold: Store) -> None:
    untold.session("s1", 40)
    done = untold.prune("--older-than", "30d")
    assert (done.returncode, untold.names) == (0, ["s1"]), done.stderr
    assert "the recorder has more to tell of it" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "prune wants --older-than 30d, --max-size 2GB, or both"),
        (["--older-than", "30"], "--older-than: '30' is no duration such as 12h, 30d or 8w"),
        (["--older-than", "-1d"], "is no duration"),
        (["--max-size", "much"], "--max-size: 'much' is no size such as 500MB or 2GB"),
        (["--max-size", "-5GB"], "is no size"),
    ],
)
def test_what_makes_no_sense_is_said(store: Store, arguments: list[str], said: str) -> None:
    done = store.prune(*(f"{one}" for one in arguments))
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr or "expected one argument" in done.stderr


def test_where_there_is_no_trace_directory(tmp_path: Path) -> None:
    done = agent_trace("prune", "--older-than", "1d", cwd=tmp_path, env={"HOME": str(tmp_path)})
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
