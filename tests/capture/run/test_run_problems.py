"""What runs could not do is kept for doctor: bounded, redacted, this user's alone."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

import pytest

from agent_trace_otel.capture.hooks import state
from agent_trace_otel.capture.run import problems


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def path() -> Path:
    return Path(state.directory(), problems.FILE)


def test_nothing_is_kept_where_nothing_failed() -> None:
    assert problems.problems() == []
    assert not path().parent.exists()


def test_problems_of_a_kind_are_told_once_the_newest_last() -> None:
    problems.keep("trace a.b", "no b", program="python x.py", session="one")
    problems.keep("trace c.d", "no d")
    problems.keep("trace a.b", "no b", program="python y.py", session="two")
    first, second = problems.problems()
    assert (first.what, first.why, first.count) == ("trace c.d", "no d", 1)
    assert (second.what, second.program, second.session, second.count) == ("trace a.b", "python y.py", "two", 2)
    assert abs(second.at - time.time()) < 60


def test_the_file_is_this_users_alone_and_tells_no_secret() -> None:
    problems.keep("read the key", "sk-ant-api03-" + "aB3" * 31 + "-AAAAAAAA is refused")
    assert stat.S_IMODE(path().stat().st_mode) == 0o600
    assert stat.S_IMODE(path().parent.stat().st_mode) == 0o700
    assert "aB3aB3" not in path().read_text()
    assert problems.problems()[0].why.endswith("is refused")


def test_the_file_stays_small_and_keeps_what_is_young() -> None:
    for number in range(1000):
        problems.keep(f"trace number {number}", "x" * 300)
    assert path().stat().st_size < 70_000
    assert problems.problems()[-1].what == "trace number 999"


def test_old_problems_and_torn_lines_are_passed_over() -> None:
    problems.keep("trace a.b", "no b")
    with path().open("a") as file:
        file.write(json.dumps({"at": time.time() - 8 * 86_400, "what": "old", "why": "old"}) + "\n")
        file.write('[]\n{"at": "x"}\n\xff\n{"at": 1')
    assert [found.what for found in problems.problems()] == ["trace a.b"]


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="links are followed here")
def test_a_link_is_not_followed_and_a_directory_that_cant_be_made_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path().parent.mkdir(parents=True)
    target = tmp_path / "elsewhere"
    target.write_text("kept\n")
    path().symlink_to(target)
    problems.keep("trace a.b", "no b")
    assert target.read_text() == "kept\n"
    monkeypatch.setenv("XDG_STATE_HOME", str(target))
    problems.keep("trace a.b", "no b")
    assert problems.problems() == []
