"""Journals: queue order is file order, nothing torn stops a reader, memory and descriptors stay bounded."""

from __future__ import annotations

import json
import resource
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agent_trace_otel.capture.hooks.intake import journal
from agent_trace_otel.capture.hooks.intake.frames import SessionKey
from agent_trace_otel.capture.hooks.intake.journal import Entry, Journals

KEY = SessionKey("claude-code", "s1")


class Waiting:
    """A hook that waits."""

    def send(self) -> None:
        pytest.fail("the journal lets nobody go")


@pytest.fixture
def journals(tmp_path: Path) -> Journals:
    return Journals(tmp_path / "journals")


def entry(number: int, **data: object) -> Entry:
    return Entry("hook", number, {"kind": "hook", "at": number, "id": f"1-{number}", **data})


def file_of(journals: Journals, tmp_path: Path) -> Path:
    [path] = (tmp_path / "journals").glob("*.ndjson")
    return path


def taken(journals: Journals) -> list[journal.Delivery]:
    return list(iter(lambda: journals.next(0), None))


def test_what_is_appended_is_on_disk_before_it_is_handed_out(journals: Journals, tmp_path: Path) -> None:
    waiting = Waiting()
    journals.append(KEY, entry(1, text="caf\xe9 \ud800"), waiting)
    path = file_of(journals, tmp_path)
    assert (path.name, stat.S_IMODE(path.stat().st_mode)) == ("claude-code-s1.ndjson", 0o600)
    line = path.read_bytes().splitlines(keepends=True)[1]
    assert line == b'{"kind":"hook","at":1,"id":"1-1","text":"caf\\u00e9 \\ud800"}\n'
    delivery = journals.next(0)
    assert delivery == (KEY, path.read_bytes().index(line), entry(1, text="caf\xe9 \ud800"), waiting)


def test_offsets_are_what_replay_takes(journals: Journals) -> None:
    for number in range(5):
        journals.append(KEY, entry(number))
    for number, delivery in enumerate(taken(journals)):
        assert list(journals.replay(KEY, delivery.offset)) == [entry(before) for before in range(number)]
    assert list(journals.replay(KEY, journals.size(KEY))) == [entry(number) for number in range(5)]
    assert journals.first(KEY) == entry(0)
    assert journals.skipped == 0


def test_a_journal_knows_whose_it_is_whatever_the_id(journals: Journals, tmp_path: Path) -> None:
    keys = [KEY, SessionKey("codex", "../../up"), SessionKey("x" * 64, "y" * 128), SessionKey("a/b", "x" * 300)]
    for key in keys:
        journals.append(key, entry(1))
    assert set(Journals(tmp_path / "journals").keys()) == set(keys)
    assert [path.name for path in tmp_path.iterdir()] == ["journals"]
    assert Journals(tmp_path / "journals").first(keys[1]) == entry(1)
    assert Journals(tmp_path / "journals").first(SessionKey("codex", "other")) is None


def test_torn_and_odd_lines_are_passed_over_and_counted(journals: Journals, tmp_path: Path) -> None:
    journals.append(KEY, entry(1))
    with file_of(journals, tmp_path).open("ab") as file:
        file.write(b'[]\n{"kind":1,"at":2}\n\xff\n\0\0\0\n' + b"[" * 100_000 + b'\n{"kind":"hook","at":2,"te')
    later = Journals(tmp_path / "journals")
    later.append(KEY, entry(3))
    assert list(later.replay(KEY, later.size(KEY))) == [entry(1), entry(3)]
    assert later.skipped == 6


def test_a_line_that_does_not_fit_on_the_disk_leaves_nothing(tmp_path: Path) -> None:
    program = f"""
import resource
import shutil
from pathlib import Path
from agent_trace_otel.capture.hooks.intake.frames import SessionKey
from agent_trace_otel.capture.hooks.intake.journal import Entry, Journals
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
journals = Journals(Path({str(tmp_path / "journals")!r}))
key = SessionKey("a", "b")
journals.append(key, Entry("hook", 1, {{}}))
for size in (8000, 3000, 3000):
    try:
        journals.append(key, Entry("hook", 2, {{"text": "x" * size}}))
    except OSError as error:
        print("refused", size)
journals.append(key, Entry("hook", 3, {{}}))
print([entry.at for entry in journals.replay(key, journals.size(key))], journals.skipped, journals.waiting)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("refused 8000\nrefused 3000\n[1, 2, 3] 0 3\n", "")


def test_secret_variables_reach_the_worker_and_no_line(
    journals: Journals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = {"AGENT_TRACE_OTLP_HEADERS": "x-key=planted", "PPID": "7"}
    monkeypatch.setattr(journal, "_MAX_QUEUED_BYTES", 0)
    journals.append(KEY, entry(1, env=env))
    journals.append(KEY, entry(2, env=env))  # this one is read back
    assert [delivery.entry for delivery in taken(journals)] == [entry(1, env=env), entry(2, env=env)]
    assert journals.replace(KEY, [entry(3, env=env)], processed=10**9)
    assert "planted" not in file_of(journals, tmp_path).read_text()
    assert journals.first(KEY) == entry(3, env={"PPID": "7"})


def test_replacing_is_refused_while_something_was_not_taken(journals: Journals, tmp_path: Path) -> None:
    journals.append(KEY, entry(1))
    journals.append(KEY, entry(2))
    first = journals.next(0)
    assert first is not None
    assert not journals.replace(KEY, [], processed=first.offset)
    assert not journals.remove(KEY)
    second = journals.next(0)
    assert second is not None
    assert not journals.replace(KEY, [], processed=first.offset)
    assert journals.replace(KEY, [Entry("checkpoint", 2, {"kind": "checkpoint", "at": 2})], processed=second.offset)
    journals.append(KEY, entry(3))
    third = journals.next(0)
    assert third is not None
    assert [kept.at for kept in journals.replay(KEY, third.offset)] == [2]
    assert [kept.at for kept in Journals(tmp_path / "journals").replay(KEY, 10**9)] == [2, 3]
    assert Journals(tmp_path / "journals").keys() == [KEY]
    assert journals.remove(KEY)
    assert (journals.keys(), list((tmp_path / "journals").iterdir())) == ([], [])


def test_a_journal_that_somebody_removed_is_begun_anew(journals: Journals, tmp_path: Path) -> None:
    journals.append(KEY, entry(1))
    file_of(journals, tmp_path).unlink()
    journals.append(KEY, entry(2))
    assert list(journals.replay(KEY, 10**9)) == [entry(2)]


def test_a_link_in_the_place_of_a_journal_is_not_followed(journals: Journals, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.touch()
    (tmp_path / "journals" / "claude-code-s1.ndjson").symlink_to(target)
    with pytest.raises(OSError, match="symbolic"):
        journals.append(KEY, entry(1))
    assert (target.read_bytes(), journals.next(0)) == (b"", None)


def test_many_sessions_need_few_descriptors_and_a_long_queue_little_memory(
    journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr(journal, "_MAX_QUEUED_BYTES", 100_000)
    used = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 64
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(used + 100, soft), hard))
    try:
        for number in range(400):
            journals.append(SessionKey("a", str(number % 200)), entry(number, text="x" * 1000))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert sum(item.entry is not None for item in journals._queue) < 110
    assert [delivery.entry.at for delivery in taken(journals)] == list(range(400))


def test_the_queue_has_the_order_of_the_files_whoever_writes(journals: Journals) -> None:
    keys = [SessionKey("a", str(number)) for number in range(3)]

    def write(base: int) -> None:
        for number in range(base, base + 200):
            journals.append(keys[number % 3], entry(number))

    writers = [threading.Thread(target=write, args=(base,)) for base in (0, 1000, 2000)]
    for writer in writers:
        writer.start()
    deliveries = [journals.next(10) for _ in range(600)]
    for writer in writers:
        writer.join()
    for key in keys:
        handed = [found.entry for found in deliveries if found is not None and found.key == key]
        assert handed == list(journals.replay(key, journals.size(key)))
        assert len(handed) == 200


def test_waiting_ends_with_an_entry_or_when_the_journals_are_closed(journals: Journals) -> None:
    assert not journals.is_idle
    found: list[journal.Delivery | None] = []
    waiter = threading.Thread(target=lambda: found.extend([journals.next(60), journals.next(60), journals.next(60)]))
    waiter.start()
    journals.append(KEY, entry(1))
    journals.append(KEY, entry(2))
    journals.close()
    waiter.join(30)
    assert [delivery and delivery.entry.at for delivery in found] == [1, 2, None]
    assert journals.is_idle


def test_the_worker_is_idle_when_it_has_taken_all(journals: Journals) -> None:
    assert journals.next(0) is None
    assert journals.is_idle
    journals.append(KEY, entry(1))
    assert not journals.is_idle
    assert journals.next(0) is not None
    assert not journals.is_idle
    journals.taken()
    assert journals.is_idle


def test_lines_of_megabytes_come_back_whole(journals: Journals) -> None:
    journals.append(KEY, entry(1, text="x" * 8_000_000))
    assert json.dumps(journals.first(KEY).data) == json.dumps(entry(1, text="x" * 8_000_000).data)  # type: ignore[union-attr]


def test_what_is_no_journal_hides_none(journals: Journals, tmp_path: Path) -> None:
    journals.append(KEY, entry(1))
    (tmp_path / "journals" / "codex-gone.ndjson").symlink_to("/nowhere")
    (tmp_path / "journals" / "codex-folder.ndjson").mkdir()
    assert Journals(tmp_path / "journals").keys() == [KEY]


def test_a_directory_that_somebody_removed_is_made_anew(journals: Journals, tmp_path: Path) -> None:
    journals.append(KEY, entry(1))
    shutil.rmtree(tmp_path / "journals")
    journals.append(KEY, entry(2))
    assert [found.at for found in journals.replay(KEY, journals.size(KEY))] == [2]
    assert stat.S_IMODE((tmp_path / "journals").stat().st_mode) == 0o700
