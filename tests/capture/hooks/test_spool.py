"""The spool: one file that is odd holds up no other, and loses nothing."""

from __future__ import annotations

from pathlib import Path

from agent_trace_otel.capture.hooks.intake.spool import Spool


def test_a_file_that_can_not_be_read_or_recorded_holds_up_no_other(tmp_path: Path) -> None:
    spool, recorded = Spool(tmp_path), list[bytes]()
    (tmp_path / "01-1.hook").symlink_to("/nowhere")
    (tmp_path / "02-1.hook").write_bytes(b"odd")
    (tmp_path / "03-1.hook").write_bytes(b"good")

    def record(data: bytes) -> None:
        if data == b"odd":
            raise ValueError
        recorded.append(data)

    assert (spool.drain(record), spool.drain(record)) == (1, 0)
    assert recorded == [b"good"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["01-1.hook", "02-1.hook"]


def test_order_is_kept_while_the_journals_can_not_be_written(tmp_path: Path) -> None:
    spool, recorded, is_full = Spool(tmp_path), list[bytes](), True
    for number in range(3):
        (tmp_path / f"0{number}-1.hook").write_bytes(b"%d" % number)

    def record(data: bytes) -> None:
        if is_full:
            raise OSError(28, "full")
        recorded.append(data)

    assert spool.drain(record) == 0
    is_full = False
    assert spool.drain(record) == 3
    assert recorded == [b"0", b"1", b"2"]
