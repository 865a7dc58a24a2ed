"""Recordings of the real client become the sessions that were reviewed: in order, out of order, and over kills.

After a change that is meant, ``REVIEW=1 pytest tests/capture/hooks/test_recordings.py`` writes the reviewed sessions
anew; read the difference.
"""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hook_desk import Desk
from programs import wait_for
from recordings import DATA, NAMES, Clients, Heard, Recording, shuffled
from span_tree import shown

from agent_trace_otel.capture.hooks.intake.withheld import without_content
from agent_trace_otel.testing import Recorded, recording

GOLDEN = DATA / "golden"

pytestmark = pytest.mark.usefixtures("no_waiting")


def _play(played: Recording, desk: Desk, clients: Clients) -> None:
    desk.hear_all(played.play())
    _finish(desk, clients)


def _finish(desk: Desk, clients: Clients) -> None:
    """Let the clients exit, and the worker notice."""
    clients.are_alive = False

    def are_over() -> bool:
        desk.settle()
        return desk.worker.open_sessions() == 0

    wait_for(are_over, "the end of the sessions")
    clients.are_alive = True


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_becomes_the_reviewed_session(name: str, tmp_path: Path, clients: Clients) -> None:
    with recording(tmp_path / "none", HOME=str(tmp_path)):
        played = Recording(name, tmp_path)
        _play(played, Desk(tmp_path / "journals"), clients)
    found = shown(Recorded(played.store), home=str(tmp_path))
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("REVIEW"):
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(found)
    assert found == golden.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_hooks_that_run_side_by_side_may_come_in_any_order(name: str, tmp_path: Path, clients: Clients) -> None:
    trees: dict[str, list[str]] = {}
    with recording(tmp_path / "none", HOME=str(tmp_path)):
        count = len(shuffled(Recording(name, tmp_path / "count").heard)) + 1
        for number in range(count):
            home = tmp_path / str(number)
            home.mkdir()
            played = Recording(name, home)
            played.heard = [played.heard, *shuffled(played.heard)][number]
            _play(played, Desk(home / "journals"), clients)
            tree = shown(Recorded(played.store), times=False, home=str(home))
            trees.setdefault(tree, []).append(str(number))
    assert len(trees) == 1, f"the orders {list(trees.values())[1:]} tell another story"


@pytest.mark.parametrize("name", NAMES)
def test_a_recorder_killed_between_any_two_hooks_goes_on(name: str, tmp_path: Path, clients: Clients) -> None:
    with recording(tmp_path / "none", HOME=str(tmp_path)):
        played = Recording(name, tmp_path)
        desk = Desk(tmp_path / "journals")
        for heard in played.play():
            desk.hear(heard)
            desk.kill()
            desk = Desk(tmp_path / "journals")
        _finish(desk, clients)
    assert shown(Recorded(played.store), home=str(tmp_path)) == (GOLDEN / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_a_recorder_killed_anywhere_goes_on(name: str, tmp_path: Path, clients: Clients) -> None:
    chance = random.Random(name)
    with recording(tmp_path / "none", HOME=str(tmp_path)):
        played = Recording(name, tmp_path)
        desk = Desk(tmp_path / "journals")
        told: list[tuple[Heard, str]] = []
        for number, heard in enumerate(played.play()):
            told.append((heard, f"delivery-{number}"))
            desk.hear(heard, f"delivery-{number}", steps=chance.randrange(6))
            if chance.random() < 0.5:
                desk.kill()
                desk = Desk(tmp_path / "journals")
                if chance.random() < 0.5:  # its hook had no answer in time, and left it in the spool
                    desk.hear(*told[-1])
        desk.settle()
        _finish(desk, clients)
    found = shown(Recorded(played.store), times=False, home=str(tmp_path))
    with recording(tmp_path / "none", HOME=str(tmp_path)):
        again = Recording(name, tmp_path / "again")
        _play(again, Desk(tmp_path / "others"), clients)
    assert found == shown(Recorded(again.store), times=False, home=str(tmp_path / "again"))


@pytest.mark.parametrize("name", NAMES)
def test_hooks_registered_twice_tell_the_session_once(name: str, tmp_path: Path, clients: Clients) -> None:
    with recording(tmp_path / "none", HOME=str(tmp_path)):
        played = Recording(name, tmp_path)
        desk = Desk(tmp_path / "journals")
        for heard in played.play():
            desk.hear(heard, steps=0)
            desk.hear(replace(heard, at=heard.at + 1_000_000))
        _finish(desk, clients)
    assert shown(Recorded(played.store), home=str(tmp_path)) == (GOLDEN / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_without_what_was_said_the_story_has_the_same_spans(name: str, tmp_path: Path, clients: Clients) -> None:
    with recording(tmp_path / "none", HOME=str(tmp_path)):
        played = Recording(name, tmp_path)
        played.heard = [replace(heard, payload=without_content(heard.payload)) for heard in played.heard]
        _play(played, Desk(tmp_path / "journals"), clients)
    found, golden = shown(Recorded(played.store), home=str(tmp_path)), (GOLDEN / f"{name}.txt").read_text()
    assert _spans_of(found) == _spans_of(golden)


def _spans_of(text: str) -> list[str]:
    """Return the lines about spans, without what was said."""
    trees = [block.split("\n  timeline:")[0] for block in f"\n{text}".split("\nsession ")]
    return [line for tree in trees for line in tree.splitlines() if not line.strip().startswith(("says ", "* "))]
