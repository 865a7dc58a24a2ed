"""Session folders on disk: who may read them, whose they may be, and lines that stay whole."""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_trace_otel.errors import StoreError
from agent_trace_otel.store.folder import EVENTS, META, SPANS, SessionFolder

LINE = b'{"a":1}\n'
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX owners and modes")
needs_root = pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give files away")


def open_descriptors() -> int:
    """Count this process's descriptors, where the system shows them."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc to count descriptors in")
    return len(list(Path("/proc/self/fd").iterdir()))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Let the process's umask take nothing away."""
    before = os.umask(0)
    yield
    os.umask(before)


@posix
@pytest.mark.usefixtures("open_umask")
def test_nobody_else_may_read_a_session(tmp_path: Path) -> None:
    folder = SessionFolder(tmp_path / "traces", "s-1")
    folder.append_event(LINE)
    folder.append_span(LINE)
    with folder.locked():
        folder.replace_meta("{}")
    assert mode(tmp_path / "traces") == mode(folder.path) == 0o700
    files = [folder.path / name for name in (EVENTS, SPANS, META)] + [tmp_path / "traces" / ".gitignore"]
    assert [mode(file) for file in files] == [0o600] * 4


def test_git_ignores_the_trace_directory(tmp_path: Path) -> None:
    SessionFolder(tmp_path / "traces", "s-1").append_event(LINE)
    assert (tmp_path / "traces" / ".gitignore").read_text() == "*\n"


def test_a_gitignore_of_the_users_is_kept(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine")
    SessionFolder(tmp_path, "s-1").append_event(LINE)
    assert (tmp_path / ".gitignore").read_text() == "mine"


def test_nothing_is_made_before_the_first_line(tmp_path: Path) -> None:
    folder = SessionFolder(tmp_path / "traces", "s-1")
    assert not folder.has_events()
    assert folder.read_meta() is None
    assert not (tmp_path / "traces").exists()


def test_make_says_whether_the_folder_is_new(tmp_path: Path) -> None:
    assert SessionFolder(tmp_path / "a" / "b" / "traces", "s-1").make() is True
    assert SessionFolder(tmp_path / "a" / "b" / "traces", "s-1").make() is False


# -- what is refused ---------------------------------------------------------------------------------------------


def refused(folder: SessionFolder, match: str) -> None:
    for append in (folder.append_event, folder.append_span):
        with pytest.raises((StoreError, OSError), match=match):
            append(LINE)


@pytest.mark.parametrize("exists", [False, True], ids=["new session", "existing session"])
def test_a_trace_directory_that_is_a_symlink_is_refused(tmp_path: Path, exists: bool) -> None:
    target = tmp_path / "target"
    target.mkdir()
    if exists:
        (target / "s-1").mkdir()
    (tmp_path / "traces").symlink_to(target)
    refused(SessionFolder(tmp_path / "traces", "s-1"), "symbolic link")
    assert not list(target.rglob("*.*"))


def test_a_session_folder_that_is_a_symlink_is_refused(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "traces").mkdir()
    (tmp_path / "traces" / "s-1").symlink_to(tmp_path / "target")
    refused(SessionFolder(tmp_path / "traces", "s-1"), "symbolic link")
    assert list((tmp_path / "target").iterdir()) == []


@pytest.mark.parametrize("name", [EVENTS, SPANS])
def test_a_file_that_is_a_symlink_is_not_followed(tmp_path: Path, name: str) -> None:
    target = tmp_path / "target"
    target.write_text("")
    (tmp_path / "traces" / "s-1").mkdir(parents=True)
    (tmp_path / "traces" / "s-1" / name).symlink_to(target)
    folder = SessionFolder(tmp_path / "traces", "s-1")
    with pytest.raises(OSError, match="symbolic link"):
        (folder.append_event if name == EVENTS else folder.append_span)(LINE)
    assert target.read_bytes() == b""


def test_meta_that_is_a_symlink_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("theirs")
    folder = SessionFolder(tmp_path / "traces", "s-1")
    folder.make()
    (folder.path / META).symlink_to(target)
    with folder.locked():
        folder.replace_meta("{}")
    assert target.read_text() == "theirs"
    assert (folder.path / META).read_text() == "{}"
    assert not (folder.path / META).is_symlink()


@needs_root
@pytest.mark.parametrize("whose", ["trace directory", "session folder"])
def test_what_belongs_to_another_user_is_refused(tmp_path: Path, whose: str) -> None:
    folder = SessionFolder(tmp_path / "traces", "s-1")
    folder.make()
    os.chown(folder.path if whose == "session folder" else folder.path.parent, 65534, 65534)
    refused(SessionFolder(tmp_path / "traces", "s-1"), "belongs to another user")
    assert list(folder.path.iterdir()) == []


def test_a_file_in_the_place_of_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(SessionFolder(tmp_path / "file", "s-1"), "is not a directory")
    (tmp_path / "traces").mkdir()
    (tmp_path / "traces" / "s-1").write_text("")
    refused(SessionFolder(tmp_path / "traces", "s-1"), "is not a directory")


def test_a_folder_that_cant_be_made_is_not_tried_again_at_once(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    folder = SessionFolder(blocked, "s-1")
    refused(folder, "is not a directory")
    blocked.unlink()
    refused(folder, "is not a directory")
    assert not blocked.exists()
    folder._not_before = 0.0
    folder.append_event(LINE)
    assert (blocked / "s-1" / EVENTS).read_bytes() == LINE


# -- lines -------------------------------------------------------------------------------------------------------


def test_lines_are_appended_to_what_is_there(tmp_path: Path) -> None:
    SessionFolder(tmp_path, "s-1").append_event(b"one\n")
    SessionFolder(tmp_path, "s-1").append_event(b"two\n")
    assert (tmp_path / "s-1" / EVENTS).read_bytes() == b"one\ntwo\n"


def test_a_line_after_a_torn_one_stands_on_a_line_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "s-1").mkdir()
    (tmp_path / "s-1" / EVENTS).write_bytes(b'{"event_type":"tool_c')
    folder = SessionFolder(tmp_path, "s-1")
    folder.append_event(b"one\n")
    folder.append_event(b"two\n")
    assert (tmp_path / "s-1" / EVENTS).read_bytes() == b'{"event_type":"tool_c\none\ntwo\n'


def test_a_line_that_another_writer_is_writing_is_not_taken_for_a_torn_one(tmp_path: Path) -> None:
    line = b"x" * 200_000 + b"\n"
    writing = SessionFolder(tmp_path, "s-1")

    def write() -> None:
        for _ in range(500):
            writing.append_event(line)

    writer = threading.Thread(target=write)
    writer.start()
    opened = 0
    while writer.is_alive():
        reading = SessionFolder(tmp_path, "s-1")
        reading.append_event(LINE)
        reading.close()
        opened += 1
    writer.join()
    lines = (writing.path / EVENTS).read_bytes().splitlines(keepends=True)
    assert lines.count(b"\n") == 0
    assert (lines.count(line), lines.count(LINE)) == (500, opened)


@pytest.mark.parametrize("written", ["some", "nothing"])
def test_after_a_short_or_failed_write_the_next_line_stands_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    folder = SessionFolder(tmp_path, "s-1")
    folder.append_event(b"one\n")
    write = os.write

    def short(descriptor: int, line: bytes) -> int:
        if written == "nothing":
            raise OSError(28, "No space left on device")
        return write(descriptor, line[:2])

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(OSError, match=r"were written|No space left"):
        folder.append_event(b"two\n")
    monkeypatch.undo()
    folder.append_event(b"three\n")
    folder.append_event(b"four\n")
    lines = (tmp_path / "s-1" / EVENTS).read_bytes().split(b"\n")
    assert [line for line in lines if line] == [b"one", *([b"tw"] if written == "some" else []), b"three", b"four"]


def test_a_thousand_sessions_in_one_process_need_few_descriptors(tmp_path: Path) -> None:
    before = open_descriptors()
    folders = [SessionFolder(tmp_path, f"s-{number}") for number in range(1000)]
    for turn in range(2):
        for folder in folders:
            folder.append_event(b"%d\n" % turn)
            folder.append_span(LINE)
    assert open_descriptors() - before <= 130
    assert {(folder.path / EVENTS).read_bytes() for folder in folders} == {b"0\n1\n"}
    for folder in folders:
        folder.close()
    assert open_descriptors() <= before


def test_threads_that_push_each_others_files_out_lose_no_line(tmp_path: Path) -> None:
    folders = [SessionFolder(tmp_path, f"s-{number}") for number in range(200)]

    def write(name: int) -> None:
        for folder in folders:
            folder.append_event(b"%d\n" % name)

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for folder in folders:
        assert sorted((folder.path / EVENTS).read_bytes().split()) == [b"0", b"1", b"2", b"3"]


def test_files_that_were_removed_are_made_anew(tmp_path: Path) -> None:
    folder = SessionFolder(tmp_path / "traces", "s-1")
    folder.append_event(b"one\n")
    assert folder.reopen_if_gone() is False
    (folder.path / EVENTS).unlink()
    folder.path.rmdir()
    (tmp_path / "traces" / ".gitignore").unlink()
    (tmp_path / "traces").rmdir()
    assert folder.reopen_if_gone() is True
    folder.append_event(b"two\n")
    assert (folder.path / EVENTS).read_bytes() == b"two\n"
    assert (tmp_path / "traces" / ".gitignore").exists()


def test_meta_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = SessionFolder(tmp_path, "s-1")
    with folder.locked():
        folder.replace_meta("before")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"), folder.locked():
        folder.replace_meta("after")
    assert (folder.path / META).read_text() == "before"
    assert [path.name for path in folder.path.iterdir()] == [META]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_the_folder_is_locked_locks_nobody_out(tmp_path: Path) -> None:
    import fcntl

    folder = SessionFolder(tmp_path, "s-1")
    reading, writing = os.pipe()
    with folder.locked():
        child = os.fork()
        if child == 0:  # holds copies of all descriptors until the parent is done
            os.read(reading, 1)
            os._exit(0)
    descriptor = os.open(folder.path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)
        os.write(writing, b"x")
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)


def test_a_folder_that_goes_while_it_is_opened_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = SessionFolder(tmp_path, "s-1")
    make, made = SessionFolder.make, []

    def taken_away_at_first(self: SessionFolder) -> bool:
        made.append(make(self))
        if len(made) == 1:
            self.path.rename(tmp_path / ".pruned-1~s-1")
        return made[-1]

    monkeypatch.setattr(SessionFolder, "make", taken_away_at_first)
    folder.append_event(LINE)
    assert (folder.path / EVENTS).read_bytes() == LINE
