"""What a back end has acknowledged: noted in the folder, read back whatever a kill left there, one sender at a time."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from scripted_backend import make_span

from agent_trace_otel.delivery.ledger import PARTIAL, REFUSED, Ledger
from agent_trace_otel.delivery.span_ids import SpanIds
from agent_trace_otel.delivery.standing import Standing, standings, targets_in, undelivered
from agent_trace_otel.store.span_heads import heads_in, is_sampled
from agent_trace_otel.store.spans_file import encode_line

if TYPE_CHECKING:
    from pathlib import Path

TARGET = "example.com-0a1b2c3d"


def read_again(folder: Path) -> Ledger:
    ledger = Ledger(folder, TARGET)
    ledger.refresh()
    return ledger


def test_what_was_noted_is_known_to_the_next_reader(tmp_path: Path) -> None:
    with (ledger := Ledger(tmp_path, TARGET)).held() as is_held:
        assert is_held
        ledger.note_delivered([1, 2**64 - 1])
        ledger.note_failed([3], REFUSED, "HTTP 400\nBad \x1b[31mRequest")
    again = read_again(tmp_path)
    assert [again.is_waiting(span_id) for span_id in (1, 2**64 - 1, 3, 4)] == [False, False, False, True]
    ((span_id, kind, reason),) = again.failures()
    assert (span_id, kind, reason) == (3, REFUSED, "HTTP 400 Bad [31mRequest")
    assert (tmp_path / f"delivered-{TARGET}.log").read_text() == "0000000000000001\nffffffffffffffff\n"


def test_one_batch_is_one_write_and_nobody_else_may_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[int] = []
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: writes.append(len(data)) or write(fd, data))
    ledger = Ledger(tmp_path, TARGET)
    ledger.note_delivered(range(1, 513))
    ledger.note_failed([600, 601], PARTIAL, "no room")
    assert len(writes) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_what_was_refused_and_taken_later_is_no_failure(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, TARGET)
    ledger.note_failed([7, 8], REFUSED, "first")
    ledger.note_failed([8], REFUSED, "again")
    ledger.note_delivered([7])
    assert [(failure.span_id, failure.reason) for failure in ledger.failures()] == [(8, "again")]


def test_torn_lines_say_nothing_and_spoil_nothing(tmp_path: Path) -> None:
    log = tmp_path / f"delivered-{TARGET}.log"
    log.write_bytes(b"0000000000000001\n00000000000000")
    ledger = read_again(tmp_path)
    assert not ledger.is_waiting(1)
    ledger.note_delivered([2])
    with log.open("ab") as file:
        file.write(b"nonsense\n\n\x00\xff\n0000000000000003\n0000000000000004")
    assert [read_again(tmp_path).is_waiting(span_id) for span_id in (1, 2, 3, 0, 4)] == [False] * 3 + [True] * 2
    ledger.refresh()  # reads on from where it was
    assert not ledger.is_waiting(3)
    ledger.note_delivered([5])
    assert not read_again(tmp_path).is_waiting(4)  # it had come to lack its newline alone


def test_a_log_that_was_removed_is_begun_anew(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, TARGET)
    ledger.note_delivered(range(1, 100))
    ledger.refresh()
    (tmp_path / f"delivered-{TARGET}.log").unlink()
    ledger.note_delivered([200])
    ledger.refresh()
    assert not ledger.is_waiting(200)


def test_a_symlink_in_the_place_of_a_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / f"delivered-{TARGET}.log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"symbolic|Too many"):
        Ledger(tmp_path, TARGET).note_delivered([1])


def test_one_sender_at_a_time_and_it_knows_what_the_other_noted(tmp_path: Path) -> None:
    first, second = Ledger(tmp_path, TARGET), Ledger(tmp_path, TARGET)
    with first.held():
        with second.held() as is_held:
            assert not is_held
        first.note_delivered([1])
    with second.held() as is_held:
        assert is_held
        assert not second.is_waiting(1)
    Ledger(tmp_path, "other").held().__enter__()  # another back end is another matter


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from agent_trace_otel.delivery.ledger import Ledger\n"
        "with Ledger(sys.argv[1], sys.argv[2]).held():\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path), TARGET], check=False)
    with Ledger(tmp_path, TARGET).held() as is_held:
        assert is_held


def test_a_million_ids_take_little_memory() -> None:
    code = (
        "import resource, random\n"
        "from agent_trace_otel.delivery.span_ids import SpanIds\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "draw = random.Random(1).getrandbits\n"
        "ids = SpanIds(draw(64) | 1 for _ in range(1_000_000))\n"
        "again = random.Random(1).getrandbits\n"
        "assert all((again(64) | 1) in ids for _ in range(1000)) and len(ids) > 999_000\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(shown.stdout) <= 40  # MiB; a set of Python's takes more than 90


def test_a_set_of_ids_is_a_set() -> None:
    ids = SpanIds(range(1, 1000))
    assert len(ids) == 999
    assert all(number in ids for number in range(1, 1000))
    assert not any(number in ids for number in (0, 1000, 2**63))
    assert not ids.add(5)
    assert not ids.add(0)


def test_heads_are_read_from_any_producers_line() -> None:
    (head,) = heads_in(encode_line(make_span(4)))
    assert (head.span_id, head.parent_id, is_sampled(head)) == (5, 0, True)
    assert not is_sampled(heads_in(encode_line(make_span(4, sampled=False)))[0])
    nasty = make_span(
        6, attributes={"text": '"spans":[{"traceId":"' + "0" * 32 + '","spanId":"' + "1" * 16 + '","flags":1,'}
    )
    assert [head.span_id for head in heads_in(encode_line(nasty))] == [7]
    two = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"spanId":"0A"},{"spanId":"0b","flags":0}]}]}]}\n'
    assert [(head.span_id, is_sampled(head)) for head in heads_in(two)] == [(10, True), (11, False)]
    line = encode_line(make_span(8))
    assert [head.span_id for head in heads_in(line[:90] + line)] == [9]
    assert [heads_in(torn) for torn in (b"", b"\n", line[:-3], b"[]\n", b'{"resourceSpans":[7]}\n')] == [[]] * 5


def test_standings_add_up_to_the_sampled_spans(tmp_path: Path) -> None:
    lines = [encode_line(make_span(number, sampled=number != 0)) for number in range(6)]
    (tmp_path / "spans.jsonl").write_bytes(b"".join(lines) + lines[5] + lines[5][:50])
    ledger = Ledger(tmp_path, TARGET)
    ledger.note_delivered([2, 3])
    ledger.note_failed([4], REFUSED, "no")
    assert standings(tmp_path) == {TARGET: Standing(delivered=2, set_aside=1, waiting=2)}
    assert undelivered(tmp_path, ["new"]) == {TARGET: 3, "new": 5}
    assert targets_in(tmp_path) == [TARGET]
    assert undelivered(tmp_path / "nowhere") == {}


def test_asking_for_standings_loads_no_part_of_opentelemetry() -> None:
    code = (
        "import sys, agent_trace_otel.delivery.standing\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('requests', 'google', 'opentelemetry', 'urllib3')])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"
