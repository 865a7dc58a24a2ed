"""Copies never hold anybody up: what the child is too slow for waits, then is dropped and counted, in its place."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from programs import wait_for

from agent_trace_otel.capture.mcp import copies
from agent_trace_otel.capture.mcp.copies import Copy, CopySender
from agent_trace_otel.capture.mcp.copy_reading import number_of, read_copies


class Child:
    """The child's end of the socket, read when the test says so."""

    def __init__(self, sender: CopySender) -> None:
        self.end = sender._childs
        self.found: list[Copy] = []
        self._reading = threading.Thread(target=self._read)

    def read(self) -> None:
        self._reading.start()

    def _read(self) -> None:
        self.found.extend(read_copies(self.end))
        self.end.send(copies.WRITTEN)
        self.end.close()

    def join(self) -> list[Copy]:
        self._reading.join(30)
        assert not self._reading.is_alive()
        return self.found


@pytest.fixture
def sender() -> Iterator[CopySender]:
    made = CopySender(limit=1 << 20)
    yield made
    made._end.close()
    made._childs.close()


def test_records_come_as_they_were_sent(sender: CopySender) -> None:
    child = Child(sender)
    child.read()
    sender.send(copies.OPEN, 1)
    sender.send(copies.DATA, 1, copies.FROM_SERVER, b"bytes \x00\xff", at=5)
    sender.send(copies.DATA, 70_000, copies.FROM_CLIENT, b"x" * 300_000, at=1 << 62)
    sender.send(copies.META, copies.SESSION, content=b"{}")
    assert sender.finish(30)
    found = child.join()
    assert [(copy.kind, copy.direction, copy.connection, copy.content) for copy in found] == [
        (copies.OPEN, 0, 1, b""),
        (copies.DATA, copies.FROM_SERVER, 1, b"bytes \x00\xff"),
        (copies.DATA, copies.FROM_CLIENT, 70_000, b"x" * 300_000),
        (copies.META, 0, copies.SESSION, b"{}"),
    ]
    assert [found[1].at, found[2].at] == [5, 1 << 62]
    assert abs(found[0].at - time.time_ns()) < 60e9


def test_what_was_sent_is_in_the_kernels_hands(sender: CopySender) -> None:
    sender.send(copies.DATA, 1, 0, b"once")
    sender._end.close()  # as a kill would
    assert [copy.content for copy in read_copies(sender._childs)] == [b"once"]


def test_a_child_that_is_behind_loses_nothing_within_the_limit(sender: CopySender) -> None:
    child = Child(sender)
    chunks = [os.urandom(1000) * 60 for _ in range(16)]
    for chunk in chunks:
        sender.send(copies.DATA, 1, 0, chunk)
    assert sender.dropped == 0
    child.read()
    sender.send(copies.CLOSE, 1)
    assert sender.finish(30)
    assert [copy.content for copy in child.join()] == [*chunks, b""]


def test_beyond_the_limit_copies_are_dropped_and_counted_where_they_are_missing(sender: CopySender) -> None:
    child = Child(sender)
    for number in range(100):
        sender.send(copies.DATA, 1 + number % 2, 0, b"%d" % number * 50_000)
    dropped = sender.dropped
    assert dropped > 50
    child.read()
    wait_for(lambda: sender._flusher is None, "the child catches up")
    sender.send(copies.DATA, 1, 0, b"after")
    assert sender.finish(30)
    found = child.join()
    kinds = [(copy.kind, copy.connection) for copy in found]
    assert kinds[-3:] == [(copies.LOST, 1), (copies.LOST, 2), (copies.DATA, 1)]
    assert sum(number_of(copy.content) for copy in found if copy.kind == copies.LOST) == dropped
    assert len([copy for copy in found if copy.kind == copies.DATA]) == 101 - dropped


def test_facts_have_room_when_bytes_have_not(sender: CopySender) -> None:
    child = Child(sender)
    for _ in range(100):
        sender.send(copies.DATA, 1, 0, b"x" * 60_000)
    sender.send(copies.CLOSE, 1)
    child.read()
    assert sender.finish(30)
    assert child.join()[-1].kind == copies.CLOSE


def test_a_child_that_never_reads_holds_nobody_up(sender: CopySender) -> None:
    for _ in range(1000):
        sender.send(copies.DATA, 1, 0, b"x" * 60_000)
    assert sender.finish(0.1) is False
    assert sender.dropped > 900


def test_a_child_that_is_gone_is_nobodys_problem(sender: CopySender) -> None:
    sender._childs.close()
    for _ in range(100):
        sender.send(copies.DATA, 1, 0, b"x" * 60_000)
    assert sender.finish(5) is False
    assert sender._waiting_bytes < 1 << 20


def test_a_child_that_ends_without_a_word_has_not_written_all(sender: CopySender) -> None:
    sender.send(copies.DATA, 1, 0, b"x")
    assert next(read_copies(sender._childs)).content == b"x"
    sender._childs.close()
    assert sender.finish(30) is False


def test_several_records_are_handed_over_at_once(sender: CopySender) -> None:
    records = [Copy(copies.DATA, 1, 1, number + 1, b"%d" % number * 70_000) for number in range(12)]
    sender.send_all(records[:4])
    sender.send_all(records[4:])
    sender.send(copies.CLOSE, 1)
    child = Child(sender)
    child.read()
    assert sender.finish(30)
    assert child.join()[:-1] == records
    sender.send_all(records)


def test_two_threads_do_not_tear_each_others_records(sender: CopySender) -> None:
    child = Child(sender)
    child.read()

    def send(direction: int) -> None:
        for number in range(500):
            sender.send(copies.DATA, 1, direction, b"%d " % number * (1 + number % 997), at=number + 1)

    threads = [threading.Thread(target=send, args=(direction,)) for direction in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sender.finish(30)
    found = child.join()
    for direction in (0, 1):
        mine = [copy for copy in found if copy.direction == direction and copy.kind == copies.DATA]
        assert all(copy.content == b"%d " % (copy.at - 1) * (1 + (copy.at - 1) % 997) for copy in mine)
        assert [copy.at for copy in mine] == sorted(copy.at for copy in mine)
    assert len(found) + sender.dropped >= 1000


def test_a_torn_last_record_is_left_out() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        record = copies.HEADER.pack(copies.DATA, 0, 1, 1, 5) + b"whole"
        ours.sendall(record + record[:-1])
        ours.shutdown(socket.SHUT_WR)
        assert [copy.content for copy in read_copies(theirs)] == [b"whole"]
