"""Live export and the ledger: what is acknowledged is noted, what is not comes again from the folder, nothing twice."""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from programs import wait_for
from scripted_backend import Reply, make_span, partial_success

from agent_trace_otel import guard
from agent_trace_otel.delivery import live_posting, live_sender
from agent_trace_otel.delivery.ledger import Ledger
from agent_trace_otel.delivery.live import live_processor
from agent_trace_otel.delivery.otlp import target_name
from agent_trace_otel.delivery.shipping import Shipper
from agent_trace_otel.delivery.standing import Standing, standings, undelivered
from agent_trace_otel.delivery.target import Target
from agent_trace_otel.store.spans_file import encode_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scripted_backend import Backend

    from agent_trace_otel.delivery.live import LiveProcessor

    Start = Callable[..., LiveProcessor]


@pytest.fixture
def start(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start live export to the back end, with short pauses."""
    monkeypatch.setattr(live_sender, "_FIRST_PAUSE", 0.05)
    monkeypatch.setattr(live_sender, "_LOCK_SECONDS", 0.1)
    monkeypatch.setattr(live_posting, "_LOCK_SECONDS", 0.1)
    guard.failures.clear()
    running: list[LiveProcessor] = []

    def begin(url: str = "", **limits: int) -> LiveProcessor:
        running.append(live_processor(Target(url or backend.url, **limits), timeout=5, shutdown_timeout=2))
        return running[-1]

    yield begin
    for processor in running:
        processor.shutdown()
    guard.failures.clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path, "session")


def make_folder(parent: Path, name: str) -> Path:
    folder = parent / "traces" / name
    folder.mkdir(parents=True)
    return folder


def end(processor: LiveProcessor, folder: Path, *numbers: int, size: int = 0) -> None:
    """Do what the session processor does: the span is in the folder before it is handed on."""
    with (folder / "spans.jsonl").open("ab") as file:
        for number in numbers:
            span = make_span(number, attributes={"text": "x" * size} if size else None)
            file.write(encode_line(span))
            file.flush()
            processor.on_end_in(span, folder)


def standing(folder: Path, backend: Backend) -> Standing:
    return standings(folder, [target_name(backend.url)])[target_name(backend.url)]


def ship(folder: Path, backend: Backend) -> int:
    with closing(Shipper(Target(backend.url), grace=lambda _: 1e9)) as shipper:
        return shipper.ship([folder]).delivered


def test_what_is_acknowledged_is_noted_and_nothing_is_left_to_ship(
    backend: Backend, start: Start, tmp_path: Path
) -> None:
    first, second = make_folder(tmp_path, "first"), make_folder(tmp_path, "second")
    processor = start()
    end(processor, first, *range(5))
    end(processor, second, *range(5, 7))
    assert processor.force_flush(5_000)
    assert len(backend.received) == 1  # one request for both
    assert standing(first, backend) == Standing(delivered=5)
    assert standing(second, backend) == Standing(delivered=2)
    assert ship(first, backend) == ship(second, backend) == 0


@pytest.mark.parametrize(
    "reply", [Reply(302), Reply(202), Reply(401), Reply(200, b"<html>", {"Content-Type": "text/html"})]
)
def test_what_is_not_plainly_taken_is_not_noted(backend: Backend, start: Start, folder: Path, reply: Reply) -> None:
    backend.always = lambda _: reply
    processor = start()
    end(processor, folder, 1)
    assert not processor.force_flush(2_000)
    processor.shutdown()
    assert standing(folder, backend) == Standing(waiting=1)


def test_once_the_back_end_takes_spans_again_the_process_sends_what_it_owes(
    backend: Backend, start: Start, folder: Path
) -> None:
    backend.always = lambda _: Reply(503)
    processor = start()
    end(processor, folder, *range(10))
    assert not processor.force_flush(10_000)
    assert undelivered(folder) == {target_name(backend.url): 10}  # the folder says whom it is meant for
    backend.received.clear()
    backend.always = lambda _: Reply()
    wait_for(lambda: standing(folder, backend) == Standing(delivered=10), "the spans without any new one")
    assert sorted(backend.span_ids) == sorted(f"{number + 1:016x}" for number in range(10))
    end(processor, folder, 10)
    assert processor.force_flush(5_000)
    assert backend.received[-1].span_count == 1


def test_it_sends_what_it_owes_at_five_hundred_a_second(backend: Backend, start: Start, folder: Path) -> None:
    backend.always = lambda _: Reply(503)
    processor = start()
    end(processor, folder, *range(600))
    processor.force_flush(10_000)
    times: list[float] = []
    backend.received.clear()
    backend.always = lambda _: times.append(time.monotonic()) or Reply()
    wait_for(lambda: standing(folder, backend) == Standing(delivered=600), "the spans")
    assert [received.span_count for received in backend.received] == [250, 250, 100]
    assert times[2] - times[0] >= 0.9


def test_what_another_process_has_delivered_meanwhile_is_not_sent(
    backend: Backend, start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    processor = start()
    end(processor, folder, *range(5))
    assert ship(folder, backend) == 5
    end(processor, folder, 5)
    assert processor.force_flush(5_000)
    assert [received.span_count for received in backend.received] == [5, 1]
    assert standing(folder, backend) == Standing(delivered=6)


def test_while_another_process_sends_the_session_its_spans_wait(backend: Backend, start: Start, folder: Path) -> None:
    ledger = Ledger(folder, target_name(backend.url))
    processor = start()
    with ledger.held():
        end(processor, folder, 1)
        assert not processor.force_flush(300)
        assert backend.received == []
    wait_for(lambda: standing(folder, backend) == Standing(delivered=1), "the span")


@pytest.mark.parametrize("status", [400, 413])
def test_a_refused_batch_is_sent_in_parts_at_once(backend: Backend, start: Start, folder: Path, status: int) -> None:
    backend.always = lambda received: Reply(status if received.span_count > 3 else 200)
    processor = start()
    end(processor, folder, *range(10))
    assert processor.force_flush(5_000)
    assert standing(folder, backend) == Standing(delivered=10)


def test_one_span_that_is_refused_is_set_aside_and_the_others_arrive(
    backend: Backend, start: Start, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backend.always = lambda received: Reply(400 if any(s.endswith("04") for s in ids(received)) else 200)
    processor = start()
    end(processor, folder, *range(10))
    assert not processor.force_flush(5_000)
    assert standing(folder, backend) == Standing(delivered=9, set_aside=1)
    assert len([record for record in caplog.records if "HTTP 400" in record.getMessage()]) == 1


def ids(received: object) -> list[str]:
    request = received.request  # type: ignore[attr-defined]
    return [span.span_id.hex() for r in request.resource_spans for scope in r.scope_spans for span in scope.spans]


def test_partial_success_is_noted_as_such_and_not_sent_again(backend: Backend, start: Start, folder: Path) -> None:
    backend.script = [partial_success(1, "too old")]
    processor = start()
    end(processor, folder, 1, 2)
    assert not processor.force_flush(5_000)
    end(processor, folder, 3)
    assert processor.force_flush(5_000)
    assert [received.span_count for received in backend.received] == [2, 1]
    assert standing(folder, backend) == Standing(delivered=1, set_aside=2)


@pytest.mark.parametrize("limits", [{"max_body_bytes": 4_000}, {"max_span_bytes": 4_000}])
def test_what_is_larger_than_the_target_takes_goes_in_parts_and_cut(
    backend: Backend, start: Start, folder: Path, limits: dict[str, int]
) -> None:
    processor = start(**limits)
    end(processor, folder, *range(5), size=3_000)
    end(processor, folder, 9, size=50_000)
    assert processor.force_flush(5_000)
    assert standing(folder, backend) == Standing(delivered=6)
    assert sum(b"[cut: " in received.body for received in backend.received) == 1


def test_a_batch_larger_than_a_request_may_be_goes_out_in_parts_at_once(
    backend: Backend, start: Start, tmp_path: Path
) -> None:
    folders = [make_folder(tmp_path, name) for name in ("one", "two", "three")]
    processor = start(max_body_bytes=20_000)
    for number in range(45):
        end(processor, folders[number % 3], number, size=1_000)
    assert processor.force_flush(5_000)
    assert [standing(folder, backend) for folder in folders] == [Standing(delivered=15)] * 3
    assert len(backend.span_ids) == len(set(backend.span_ids)) == 45
    assert [received.span_count for received in backend.received] == [11, 11, 11, 12]


def test_a_queue_that_is_full_drops_nothing_for_ever(
    backend: Backend, start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "16")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "16")
    processor = start()
    end(processor, folder, *range(300))
    processor.force_flush(10_000)
    wait_for(lambda: standing(folder, backend) == Standing(delivered=300), "all spans")
    assert len(backend.span_ids) == len(set(backend.span_ids)) == 300
    assert not any("Queue full" in record.getMessage() for record in caplog.records)


def test_a_folder_that_was_removed_does_not_keep_its_spans_from_being_sent(
    backend: Backend, start: Start, folder: Path
) -> None:
    processor = start()
    end(processor, folder, 1)
    shutil.rmtree(folder)
    assert processor.force_flush(5_000)
    assert backend.span_ids == [f"{2:016x}"]
    assert not folder.exists()


def test_after_the_end_spans_are_left_to_ship(backend: Backend, start: Start, folder: Path) -> None:
    processor = start()
    processor.shutdown()
    end(processor, folder, 1)
    assert backend.received == []
    assert ship(folder, backend) == 1


def test_many_sessions_need_few_requests_and_few_descriptors(backend: Backend, start: Start, tmp_path: Path) -> None:
    folders = [make_folder(tmp_path, f"session {number}") for number in range(100)]
    processor = start()
    for number, folder in enumerate(folders):
        end(processor, folder, number)
    assert processor.force_flush(5_000)
    assert len(backend.received) == 4
    assert {standing(folder, backend).delivered for folder in folders} == {1}
