"""ship: what a back end has not acknowledged is sent once, whatever it answers; what it refuses is set aside."""

from __future__ import annotations

import json
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from scripted_backend import Reply, make_span, partial_success

from agent_trace_otel.delivery.following import Following
from agent_trace_otel.delivery.ledger import PARTIAL, REFUSED, Ledger
from agent_trace_otel.delivery.otlp import target_name
from agent_trace_otel.delivery.shipping import Shipper, ShipReport
from agent_trace_otel.delivery.standing import Standing, standings
from agent_trace_otel.delivery.target import Target
from agent_trace_otel.store.spans_file import encode_line

if TYPE_CHECKING:
    from pathlib import Path

    from scripted_backend import Backend, Received

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an ended session's folder."""
    path = tmp_path / "traces" / "session"
    path.mkdir(parents=True)
    (path / "meta.json").write_text(json.dumps({"session_id": "session", "ended_at": 1.0}))
    (path / "events.ndjson").write_text('{"event_type":"session_end","timestamp":1.0,"data":{}}\n')
    return path


def write(folder: Path, first: int, last: int, **parts: Any) -> None:
    with (folder / "spans.jsonl").open("ab") as file:
        file.writelines(encode_line(make_span(number, **parts)) for number in range(first, last))


def ship(folder: Path, backend: Backend, **options: Any) -> ShipReport:
    target = Target(backend.url, **options.pop("target", {}))
    with closing(Shipper(target, **{"patience": 5.0, **options})) as shipper:
        return shipper.ship([folder])


def ledger_of(folder: Path, backend: Backend) -> Ledger:
    ledger = Ledger(folder, target_name(backend.url))
    ledger.refresh()
    return ledger


def refuses(*numbers: int, status: int = 400) -> Any:
    """Refuse whatever holds one of these spans."""
    refused = {f"{number + 1:016x}" for number in numbers}
    return lambda received: Reply(status if refused & set(ids(received)) else 200)


def ids(received: Received) -> list[str]:
    return [s.span_id.hex() for r in received.request.resource_spans for scope in r.scope_spans for s in scope.spans]


def test_what_was_acknowledged_is_not_sent_again_and_what_came_since_is(folder: Path, backend: Backend) -> None:
    write(folder, 0, 600)
    assert str(ship(folder, backend)) == f"{backend.url}: 600 spans delivered"
    assert str(ship(folder, backend)) == f"{backend.url}: 0 spans delivered"
    assert [received.span_count for received in backend.received] == [512, 88]
    write(folder, 600, 603)
    assert ship(folder, backend).delivered == 3
    assert len(backend.span_ids) == len(set(backend.span_ids)) == 603


def test_a_span_that_the_folder_holds_twice_is_sent_once(folder: Path, backend: Backend) -> None:
    write(folder, 0, 3)
    write(folder, 0, 3)
    assert ship(folder, backend).delivered == 3
    write(folder, 0, 3)
    assert ship(folder, backend).delivered == 0


def test_only_sampled_spans_are_sent_unless_all_are_asked_for(folder: Path, backend: Backend) -> None:
    write(folder, 0, 3)
    write(folder, 3, 5, sampled=False)
    assert ship(folder, backend).delivered == 3
    assert ship(folder, backend, unsampled_too=True).delivered == 2


def test_batches_are_as_large_as_the_target_takes_and_compressed_if_it_does(folder: Path, backend: Backend) -> None:
    write(folder, 0, 40, attributes={"long": "x" * 1000})
    assert ship(folder, backend, target={"max_body_bytes": 8000}).delivered == 40
    assert max(len(received.body) for received in backend.received) <= 8000
    write(folder, 40, 41, attributes={"long": "x" * 100_000})
    backend.received.clear()
    backend.always = lambda received: Reply(200 if received.headers["content-encoding"] == "gzip" else 400)
    assert ship(folder, backend, target={"gzip": True}).delivered == 1
    assert len(backend.received[0].body) < 10_000


def test_a_span_over_the_targets_limit_is_cut_before_it_is_sent(folder: Path, backend: Backend) -> None:
    write(folder, 0, 1, attributes={"long": "x" * 100_000})
    assert ship(folder, backend, target={"max_span_bytes": 10_000}).ok
    (received,) = backend.received
    assert len(received.body) < 10_000
    assert b"[cut: " in received.body
    backend.received.clear()
    write(folder, 1, 2, attributes={"long": "x" * 100_000})
    assert ship(folder, backend, target={"max_span_bytes": 10_000}).cut == 1
    assert b"x" * 100_000 in (folder / "spans.jsonl").read_bytes()


def test_one_bad_span_costs_no_other_and_is_set_aside_with_the_reason(folder: Path, backend: Backend) -> None:
    write(folder, 0, 100)
    backend.always = refuses(7, 50)
    report = ship(folder, backend)
    assert (report.delivered, report.set_aside, report.ok) == (98, 2, False)
    assert "2 set aside (agent-trace ship --failed): HTTP 400 Bad Request" in str(report)
    assert [(f.span_id, f.kind, f.reason) for f in ledger_of(folder, backend).failures()] == [
        (8, REFUSED, "HTTP 400 Bad Request"),
        (51, REFUSED, "HTTP 400 Bad Request"),
    ]
    assert standings(folder) == {target_name(backend.url): Standing(delivered=98, set_aside=2)}


def test_what_is_set_aside_is_tried_once_more_by_hand(folder: Path, backend: Backend) -> None:
    write(folder, 0, 3)
    backend.always = refuses(1)
    assert ship(folder, backend).set_aside == 1
    backend.received.clear()
    assert ship(folder, backend).set_aside == 1
    assert backend.span_ids == [f"{2:016x}"]
    backend.always = lambda _: Reply()
    assert (report := ship(folder, backend)).delivered == 1
    assert report.ok
    assert ledger_of(folder, backend).failures() == []


def test_many_spans_that_stay_refused_do_not_keep_new_ones_from_being_sent(folder: Path, backend: Backend) -> None:
    write(folder, 0, 60)
    backend.always = refuses(*range(0, 60, 2))
    assert ship(folder, backend).set_aside == 30
    write(folder, 60, 70)
    report = ship(folder, backend)
    assert report.delivered == 10
    assert standings(folder)[target_name(backend.url)] == Standing(delivered=40, set_aside=30)


def test_a_span_too_large_for_the_back_end_is_cut_until_it_fits(folder: Path, backend: Backend) -> None:
    write(folder, 0, 4)
    write(folder, 4, 5, attributes={"long": "x" * 100_000})
    backend.always = lambda received: Reply(413 if len(received.body) > 9_000 else 200)
    report = ship(folder, backend)
    assert (report.delivered, report.cut, report.ok) == (5, 1, True)
    assert "5 spans delivered (1 cut, whole in the folder)" in str(report)


def test_partial_success_is_noted_and_not_sent_again_but_by_hand_until_the_span_is_known(
    folder: Path, backend: Backend
) -> None:
    write(folder, 0, 16)
    backend.script = [partial_success(1, "too old")]
    report = ship(folder, backend)
    assert (report.delivered, report.set_aside, len(backend.received)) == (0, 16, 1)
    assert {failure.kind for failure in ledger_of(folder, backend).failures()} == {PARTIAL}
    backend.always = lambda received: partial_success(1, "too old") if f"{10:016x}" in ids(received) else Reply()
    report = ship(folder, backend)
    assert (report.delivered, report.set_aside) == (15, 1)
    assert [(f.span_id, f.kind) for f in ledger_of(folder, backend).failures()] == [(10, REFUSED)]


@pytest.mark.parametrize("status", [401, 404, 302])
def test_a_wrong_key_or_address_is_said_at_once_and_nothing_is_set_aside(
    folder: Path, backend: Backend, status: int
) -> None:
    write(folder, 0, 1500)
    backend.always = lambda _: Reply(status)
    report = ship(folder, backend)
    assert (report.delivered, report.set_aside, report.waiting) == (0, 0, 1500)
    assert f"HTTP {status}" in str(report)
    assert len(backend.received) == 1


def test_a_back_end_that_refuses_everything_is_not_about_the_spans(folder: Path, backend: Backend) -> None:
    write(folder, 0, 500)
    backend.always = lambda _: Reply(500)
    report = ship(folder, backend)
    assert report.set_aside < 10
    assert report.waiting == 500 - report.set_aside
    assert len(backend.received) < 40
    assert "refuses every span" in report.reason


@pytest.mark.parametrize("reply", [Reply(429, headers={"Retry-After": "1"}), Reply(503), Reply(reset=True)])
def test_a_back_end_that_is_away_is_waited_for(folder: Path, backend: Backend, reply: Reply) -> None:
    write(folder, 0, 3)
    backend.script = [reply, reply]
    waits: list[float] = []
    said: list[str] = []
    report = ship(folder, backend, sleep=waits.append, say=said.append)
    assert report.ok
    assert waits == ([1.0, 1.0] if reply.status == 429 else [0.5, 1.0])
    assert len(said) == 1
    assert "trying again" in said[0]


def test_patience_comes_to_an_end(folder: Path, dead_url: str) -> None:
    write(folder, 0, 3)
    waits: list[float] = []
    with closing(Shipper(Target(dead_url), patience=4.0, sleep=waits.append)) as shipper:
        report = shipper.ship([folder])
    assert (report.waiting, report.ok) == (3, False)
    assert "no answer" in report.reason
    assert waits == [0.5, 1.0, 2.0]


def test_after_a_time_out_the_same_spans_are_sent_with_the_same_ids(folder: Path, backend: Backend) -> None:
    write(folder, 0, 3)
    backend.script = [Reply(wait=True)]
    assert ship(folder, backend, timeout=0.2, sleep=lambda _: None).delivered == 3
    assert backend.received[0].body == backend.received[1].body


def test_two_shippers_of_one_session_send_nothing_twice(folder: Path, backend: Backend) -> None:
    write(folder, 0, 5000)
    backend.always = lambda _: time.sleep(0.01) or Reply()
    reports: list[ShipReport] = []
    threads = [threading.Thread(target=lambda: reports.append(ship(folder, backend))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.delivered for report in reports) == 5000
    assert all(report.ok for report in reports)
    assert len(backend.span_ids) == len(set(backend.span_ids)) == 5000


def test_a_session_that_another_process_holds_for_ever_is_said(folder: Path, backend: Backend) -> None:
    write(folder, 0, 3)
    with closing(Shipper(Target(backend.url))) as shipper, ledger_of(folder, backend).held():
        shipper.fresh._lock_seconds = 0.05
        report = shipper.ship([folder])
    assert (report.waiting, report.ok) == (3, False)
    assert "another process" in report.reason


def test_lines_that_nobody_can_read_are_counted_and_passed_over(folder: Path, backend: Backend) -> None:
    write(folder, 0, 2)
    line = encode_line(make_span(2))
    with (folder / "spans.jsonl").open("ab") as file:
        file.write(b"nonsense\n" + line[:80] + encode_line(make_span(3)) + line[:90])
    report = ship(folder, backend)
    assert (report.delivered, report.unreadable) == (3, 1)
    write(folder, 9, 10)  # on the same line as the torn one
    assert ship(folder, backend).delivered == 1


def test_a_ledger_that_cannot_be_written_ends_the_run(folder: Path, backend: Backend) -> None:
    write(folder, 0, 3)
    (folder / f"delivered-{target_name(backend.url)}.log").mkdir()
    with pytest.raises(OSError, match="not a regular file"):
        ship(folder, backend)


def test_following_sends_what_comes_and_waits_for_a_back_end_that_is_away(folder: Path, backend: Backend) -> None:
    write(folder, 0, 2)
    said: list[str] = []
    rounds: list[float] = []

    def next_round(pause: float) -> None:
        rounds.append(pause)
        backend.always = (lambda _: Reply(503)) if len(rounds) in {2, 3} else (lambda _: Reply())
        write(folder, 10 + len(rounds), 11 + len(rounds))

    with closing(Shipper(Target(backend.url), say=said.append)) as shipper:
        report = Following(shipper, next_round).run(lambda: [folder], until=lambda: len(rounds) == 6)
    assert (report.delivered, report.ok) == (8, True)
    assert [line.split()[1:3] for line in said] == [["takes", "no"], ["takes", "spans"]]
    assert rounds == [0.5, 0.5, 0.5, 1.0, 0.5, 0.5]
    assert standings(folder)[target_name(backend.url)] == Standing(delivered=8)
