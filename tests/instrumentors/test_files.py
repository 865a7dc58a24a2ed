"""Files that a program opens are told, in a session and under the working directory; and `open` stays what it was."""

# open is what is tested
# ruff: noqa: PTH123, SIM115

from __future__ import annotations

import builtins
import codecs
import contextlib
import copy
import gc
import importlib
import inspect
import io
import json
import os
import pathlib
import pickle
import runpy
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context as context_api

import agent_trace_otel as at
from agent_trace_instrumentors.files import FilesInstrumentor
from agent_trace_otel import guard
from agent_trace_otel.testing import Recorded

ORIGINAL = io.open


@pytest.fixture(autouse=True)
def _told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tell of files during the test, in a working directory of its own; nothing of ours may fail meanwhile."""
    guard.failures.clear()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    at.instrument("files")
    yield
    assert guard.failures == {}
    at.uninstrument()


def told(recorded: Recorded) -> list[tuple[str, str, Any, Any]]:
    """Return what was told of files: type, name below the working directory, mode, bytes."""
    return [
        (event.event_type, os.path.relpath(event.data["uri"]), event.data.get("mode"), event.data.get("bytes"))
        for event in recorded.events()
        if event.event_type.startswith("file_")
    ]


# -- what is told ------------------------------------------------------------------------------------------------


def test_what_is_written_and_read_is_told_with_mode_and_bytes(opened: Recorded) -> None:
    with open("a.txt", "w", encoding="utf-8") as file:
        file.write("grüße\n")
    with open("a.txt", encoding="utf-8") as file:
        assert file.read() == "grüße\n"
    with open("a.txt", "ab", 4) as raw:
        raw.write(b"more")
    with open("a.txt", "rb") as raw:
        assert raw.read(2) == b"gr"
    assert told(opened) == [
        ("file_write", "a.txt", "w", 8),
        ("file_read", "a.txt", "r", 8),
        ("file_write", "a.txt", "ab", 4),
        ("file_read", "a.txt", "rb", 12),  # the buffer that was filled
    ]


WAYS = {
    "pathlib text": (lambda p: p.write_text("four"), lambda p: p.read_text()),
    "pathlib bytes": (lambda p: p.write_bytes(b"four"), lambda p: p.read_bytes()),
    "io": (lambda p: io.open(p, "w").write("four"), lambda p: io.open(p).read()),  # noqa: UP020
    "bytes path": (lambda p: open(os.fsencode(p), "x").write("four"), lambda p: open(os.fsencode(p)).read()),
    "codecs": (lambda p: codecs.open(str(p), "w").write("four"), lambda p: codecs.open(str(p)).read()),
    "keywords": (lambda p: open(mode="w", file=p).write("four"), lambda p: open(file=p).read()),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore")
def test_every_way_to_open_a_file_is_seen(opened: Recorded, way: str) -> None:
    write, read = WAYS[way]
    reads_by_no_buffer = way == "pathlib bytes" and sys.version_info >= (3, 14)
    write(Path("a.txt"))
    read(Path("a.txt"))
    assert [(kind, name, count) for kind, name, _, count in told(opened)] == [
        ("file_write", "a.txt", 4),
        ("file_read", "a.txt", None if reads_by_no_buffer else 4),
    ]


def test_a_file_that_is_read_and_written_is_told_twice(opened: Recorded) -> None:
    Path("a.txt").write_text("one two")
    with open("a.txt", "r+") as file:
        assert file.read(3) == "one"
        file.seek(0)
        file.write("ONE")
    assert told(opened)[1:] == [("file_read", "a.txt", "r+", 7), ("file_write", "a.txt", "r+", 3)]


def test_what_goes_past_the_buffers_is_told_without_bytes(opened: Recorded) -> None:
    Path("a.txt").write_text("copied")
    shutil.copyfile("a.txt", "b.txt")
    with open("c.bin", "wb", 0) as raw:
        raw.write(b"unbuffered")
    assert [(kind, name) for kind, name, *_ in told(opened)] == [
        ("file_write", "a.txt"),
        ("file_write", "b.txt"),
        ("file_read", "a.txt"),
        ("file_write", "c.bin"),
    ]


def test_a_file_hangs_under_the_call_that_closed_it(opened: Recorded) -> None:
    @at.trace_tool
    def save() -> None:
        Path("a.txt").write_text("x")

    save()
    (call,) = [span for span in opened.spans() if span.name == "execute_tool save"]
    (event,) = call.events
    assert event.name == "agent_trace.file_write"
    assert event.attributes == {
        "file.path": str(Path("a.txt").absolute()),
        "agent_trace.file.open_mode": "w",
        "agent_trace.file.bytes": 1,
    }


def test_a_file_that_is_only_forgotten_is_closed_and_told(opened: Recorded) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        gc.disable()
        try:
            open("a.txt", "w").write("kept")
        finally:
            gc.enable()
    assert [one.category for one in warned] == [ResourceWarning]
    with ORIGINAL("a.txt") as file:
        assert file.read() == "kept"
    assert told(opened) == [("file_write", "a.txt", "w", 4)]


def test_an_open_file_is_told_when_the_program_ends(tmp_path: Path) -> None:
    code = (
        "import agent_trace_otel as at; at.instrument('files'); at.start_session('x')\n"
        "kept = open('a.txt', 'w'); kept.write('k'); kept.flush()"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env={**os.environ, "AGENT_TRACE_DIR": "t"})
    recorded = Recorded(tmp_path / "t")
    assert [event.event_type for event in recorded.events()] == ["session_start", "file_write", "session_end"]
    assert recorded.events()[1].data["bytes"] == 1


def test_threads_are_told_too(opened: Recorded) -> None:
    threads = [threading.Thread(target=Path(f"{number}.txt").write_text, args=("x",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(name for _, name, *_ in told(opened)) == [f"{number}.txt" for number in range(8)]


# -- what is not -------------------------------------------------------------------------------------------------


def test_outside_a_session_nothing_is_told(recorded: Recorded) -> None:
    Path("a.txt").write_text("x")
    assert recorded.sessions() == []


def test_files_elsewhere_and_those_that_are_not_the_programs_are_not_told(opened: Recorded) -> None:
    for folder in ("site-packages/x", "__pycache__", ".agent-traces/y", "lib/dist-packages"):
        Path(folder).mkdir(parents=True)
        Path(folder, "a.txt").write_text("x")
    Path("a.pyc").write_bytes(b"x")
    Path("../outside.txt").write_text("x")
    Path("/dev/null").write_text("x")
    Path(opened.trace_dir, "note.txt").write_text("x")
    Path(inspect.__file__).read_bytes()
    descriptor = os.open("b.txt", os.O_CREAT | os.O_WRONLY)
    with open(descriptor, "w") as file:
        file.write("x")
    with contextlib.suppress(FileNotFoundError):
        open("missing.txt")
    assert told(opened) == []


def test_what_is_imported_or_run_is_not_told(opened: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("imported_here.py").write_text("one = 1\n")
    monkeypatch.syspath_prepend(Path.cwd())
    assert importlib.import_module("imported_here").one == 1
    assert runpy.run_path("imported_here.py")["one"] == 1
    sys.modules.pop("imported_here")
    assert [kind for kind, *_ in told(opened)] == ["file_write"]


def test_a_trace_directory_of_any_name_is_not_told(tmp_path: Path) -> None:
    with at.session("x", trace_dir="here"):
        Path("here", "mine.txt").parent.mkdir(exist_ok=True)
        Path("here", "mine.txt").write_text("x")
        at.current_session()
        Path("a.txt").write_text("x")
    assert [name for _, name, *_ in told(Recorded(Path("here")))] == ["a.txt"]


def test_other_directories_are_told_if_they_are_named(
    opened: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at.uninstrument("files")
    monkeypatch.setenv("AGENT_TRACE_FILES_UNDER", f"{tmp_path / 'data'}{os.pathsep}/nowhere")
    at.instrument("files")
    (tmp_path / "data").mkdir()
    Path("a.txt").write_text("x")
    (tmp_path / "data" / "b.txt").write_text("x")
    assert [name for _, name, *_ in told(opened)] == ["../data/b.txt"]


def test_a_working_directory_that_has_another_name_is_known_by_both(
    opened: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "work")
    monkeypatch.chdir(tmp_path / "link")
    monkeypatch.setenv("PWD", str(tmp_path / "link"))
    from agent_trace_instrumentors import files

    files._known.clear()
    (tmp_path / "link" / "a.txt").write_text("x")
    (tmp_path / "work" / "b.txt").write_text("x")
    files._known.clear()
    assert len(told(opened)) == 2


def test_a_suppressed_context_tells_nothing(opened: Recorded) -> None:
    token = context_api.attach(context_api.set_value("suppress_instrumentation", value=True))
    Path("a.txt").write_text("x")
    context_api.detach(token)
    assert told(opened) == []


def test_so_many_files_are_told_and_no_more(opened: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    from agent_trace_instrumentors import files

    monkeypatch.setattr(files, "_MOST", files._watch.count + 2)
    for number in range(4):
        Path(f"{number}.txt").write_text("x")
    assert [name for _, name, *_ in told(opened)] == ["0.txt", "1.txt"]
    assert guard.failures.pop("tell of a file") == 2


# -- open stays what it was --------------------------------------------------------------------------------------


def test_files_keep_their_type_and_attributes(opened: Recorded) -> None:
    for mode, buffering in (("w", -1), ("wb", -1), ("wb", 0), ("w+b", -1), ("r", -1), ("rb", -1)):
        Path("a.txt").write_text("x")
        with open("a.txt", mode, buffering) as ours, ORIGINAL("a.txt", mode, buffering) as original:
            assert type(ours) is type(original)
            assert {*dir(ours)} == {*dir(original)}
            assert (ours.name, ours.mode, vars(ours)) == (original.name, original.mode, vars(original))


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (("missing.txt",), {}),
        (("a.txt", "zz"), {}),
        ((), {}),
        ((None,), {}),
        (("a.txt",), {"no_such": 1}),
        (("a.txt", "r", -1, "no-such-encoding"), {}),
        (("\0",), {}),
        ((99_999,), {}),
    ],
)
def test_what_open_raises_is_unchanged(opened: Recorded, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    ORIGINAL("a.txt", "w").close()

    def failure(opening: Any) -> tuple[type, str, Any, Any]:
        with pytest.raises((OSError, ValueError, TypeError, LookupError)) as raised:
            opening(*args, **kwargs)
        return type(raised.value), str(raised.value), raised.value.__cause__, raised.value.__context__

    assert failure(open) == failure(ORIGINAL)


def test_what_writing_raises_is_unchanged(opened: Recorded) -> None:
    at.uninstrument("files")
    os.environ["AGENT_TRACE_FILES_UNDER"] = "/"
    at.instrument("files")
    with pytest.raises(OSError, match="No space left") as raised, open("/dev/full", "w") as file:
        file.write("x")
    assert (type(raised.value), raised.value.errno) == (OSError, 28)
    assert told(opened)[0][0] == "file_write"


def test_open_is_found_copied_pickled_and_asked_as_before(recorded: Recorded) -> None:
    assert open is io.open is builtins.open
    assert copy.deepcopy(open) is open
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(open, protocol)) is open
    assert inspect.signature(open) == inspect.signature(ORIGINAL)
    assert (open.__name__, open.__doc__, repr(open)) == (ORIGINAL.__name__, ORIGINAL.__doc__, repr(ORIGINAL))

    class Holder:
        opens = open

    with Holder().opens("a.txt", "w") as file:  # a builtin does not become a method
        json.dump([], file)


def test_switching_off_puts_the_originals_back(recorded: Recorded) -> None:
    taken = open
    assert taken is not ORIGINAL
    at.uninstrument("files")
    assert open is ORIGINAL
    assert io.open is ORIGINAL
    with at.session("x"), taken("a.txt", "w") as file:  # what somebody has kept passes through
        file.write("x")
    assert told(recorded) == []
    at.instrument("files", "files")
    assert open is taken
    assert "files" in at.instrument("files")
    assert FilesInstrumentor().unpatched == ()


def test_a_forked_child_leaves_the_parents_files_to_the_parent(opened: Recorded) -> None:
    with open("a.txt", "w") as file:
        file.write("x")
        file.flush()
        pid = os.fork()
        if pid == 0:
            file.close()
            os._exit(0)
        os.waitpid(pid, 0)
    assert told(opened) == [("file_write", "a.txt", "w", 1)]


def test_pathlib_is_not_changed(recorded: Recorded) -> None:
    assert "open" in vars(pathlib.Path)
    assert pathlib.Path.open.__module__.startswith("pathlib")
