"""Finding and reading sessions: trace directory -> session folders -> one Session.

Comes in: what the user said (--trace-dir, an id or its first characters). Goes out: a Session with its counts and its
state, or an error of one line that says where was looked and what to do next. Called by the CLI's reading commands.

A session that ended is read from meta.json alone; of any other, meta.json is as old as its last write, so it is counted
again from events.ndjson (`Session.recount`).
"""

from __future__ import annotations

import os
import re

from agent_trace_otel.errors import SessionNotFoundError, StoreError
from agent_trace_otel.store.index import SessionIndex, open_regular, read_small
from agent_trace_otel.store.lines import as_text, is_list, is_number, read_event, read_head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEFAULT_TRACE_DIR = ".agent-traces"
_SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}").fullmatch
_NUMBERS = (
    "started_at",
    "ended_at",
    "total_duration_ms",
    "tool_calls",
    "llm_requests",
    "errors",
    "total_tokens",
)
_PLAIN = frozenset({int, float})
_MOST = 2**63  # NaN and the infinities are not below it either
_NAMED = 5  # candidates named in an error


class Session:
    """One session folder: what meta.json says, or what a recount found.

    Times are unix seconds, ``duration_ms`` milliseconds. ``state`` is ``ended``, ``running``, ``crashed`` (its process
    is gone), or ``unknown`` (nothing counted yet, no process named, or one of another host). ``pid`` is the process of
    a session that has no end. ``meta_problem`` says what is wrong with meta.json, "" when nothing is.
    """

    __slots__ = (
        "agent_name",
        "command",
        "duration_ms",
        "ended_at",
        "errors",
        "folder",
        "llm_requests",
        "meta_problem",
        "pid",
        "session_id",
        "started_at",
        "state",
        "tool_calls",
        "total_tokens",
    )

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.session_id = folder.rpartition(os.sep)[2]
        self.meta_problem = ""
        self.pid: int | None = None
        meta = self._read_meta()
        self.agent_name = _string(meta, "agent_name")
        self.command = _string(meta, "command")
        # a list reads thousands of these: the numbers are taken at once, and looked at one by one only when one is odd
        numbers = [meta.get(name, 0) for name in _NUMBERS]
        if not _PLAIN.issuperset(map(type, numbers)) or not 0 <= sum(numbers) < _MOST:
            numbers = [value if is_number(value) else 0 for value in numbers]
        self.started_at, ended_at, self.duration_ms = float(numbers[0]), float(numbers[1]), float(numbers[2])
        self.ended_at = ended_at or None
        self.tool_calls, self.llm_requests, self.errors, self.total_tokens = map(int, numbers[3:])
        self.state = "unknown" if self.ended_at is None else "ended"
        if self.ended_at is not None and not self.duration_ms:
            self.duration_ms = max(0.0, (self.ended_at - self.started_at) * 1000)

    @property
    def events_path(self) -> str:
        """The timeline."""
        return os.path.join(self.folder, "events.ndjson")

    @property
    def spans_path(self) -> str:
        """The spans, as OTLP JSON lines."""
        return os.path.join(self.folder, "spans.jsonl")

    def recount(self, index: SessionIndex) -> None:
        """Take counts, times and state from the timeline, if meta.json doesn't have the last word."""
        if self.ended_at is not None:
            return
        self.tool_calls, self.llm_requests = index.count("tool_call"), index.count("llm_request")
        self.errors, self.total_tokens = index.count("error"), index.total_tokens()
        if len(index):
            first, last = (index.timestamps[index.order[end]] for end in (0, -1))
            self.started_at = self.started_at or first
            self.duration_ms = max(0.0, (last - self.started_at) * 1000)
        starts, ends = list(index.of_type("session_start")), list(index.of_type("session_end"))
        if starts and not self.agent_name:
            start = index.data(starts[0])
            self.agent_name = _string(start, "agent_name")
            command = start.get("command")
            if not self.command and is_list(command):
                self.command = " ".join(map(as_text, command))
        self.update_state(index)
        if self.state == "ended":
            self.ended_at = index.timestamps[ends[-1]]
        elif self.state == "running":
            import time

            self.duration_ms = max(self.duration_ms, (time.time() - self.started_at) * 1000)

    def update_state(self, index: SessionIndex) -> None:
        """Take only the state and the process from the timeline: whether a session that is followed still runs."""
        self.state, self.pid = _state(index, list(index.of_type("session_start")), list(index.of_type("session_end")))

    def _read_meta(self) -> dict[str, Any]:
        try:
            meta = read_event(read_small(self.folder + "/meta.json"))
        except FileNotFoundError:
            self.meta_problem = "meta.json is missing"
        except OSError as error:
            self.meta_problem = f"meta.json can't be read ({error.strerror})"
        else:
            if not meta:
                self.meta_problem = "meta.json is broken"
            return meta
        return {}


def find_trace_dir(given: str | None = None) -> str:
    """Return the trace directory: ``given``, else AGENT_TRACE_DIR, else the config file's, else the nearest upwards.

    The nearest is .agent-traces in the current directory or in one above it.

    Raises:
        SessionNotFoundError: there is none; the message says where was looked.
        StoreError: it is a symlink, no directory, or another user's.
    """
    named = given or os.environ.get("AGENT_TRACE_DIR") or configured_trace_dir()
    if named:
        if not os.path.lexists(named):
            msg = f"no trace directory at {named}: record something first (agent-trace demo), or name another"
            raise SessionNotFoundError(msg)
        _check_directory(named)
        return named
    here = os.getcwd()
    directory = here
    while True:
        candidate = os.path.join(directory, DEFAULT_TRACE_DIR)
        if os.path.lexists(candidate):
            _check_directory(candidate)
            return candidate
        above = os.path.dirname(directory)
        if above == directory:
            break
        directory = above
    msg = (
        f"no {DEFAULT_TRACE_DIR} in {here} or above it: "
        "record something first (agent-trace demo), or name one with --trace-dir"
    )
    raise SessionNotFoundError(msg)


def configured_trace_dir() -> str | None:
    """Return the config file's ``trace_dir``; where there is no config file, looking costs one system call."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    if not os.path.exists(os.path.join(home, "agent-trace", "config.toml")):
        return None
    from agent_trace_otel import config

    settings = config.of_program()
    return str(settings.trace_dir) if settings.has_trace_dir else None


def session_folders(trace_dir: str) -> tuple[list[str], int]:
    """Return the session folders of a trace directory, in no order, and how many others were left out.

    Left out are symlinks and other users' folders; what doesn't look like a session is not counted.

    Raises:
        StoreError: the directory can't be read.
    """
    folders: list[str] = []
    refused = 0
    user = _user()
    try:
        with os.scandir(trace_dir) as entries:
            for entry in entries:
                if _SESSION_ID(entry.name) is None or not entry.is_dir():
                    continue
                if entry.is_symlink() or user not in (None, entry.stat(follow_symlinks=False).st_uid):
                    refused += 1
                else:
                    folders.append(entry.path)
    except OSError as error:
        msg = f"can't read {trace_dir}: {error.strerror}"
        raise StoreError(msg) from error
    return folders, refused


def find_session(trace_dir: str, wanted: str | None = None) -> Session:
    """Return the session that ``wanted`` names, by its id or its first characters; the newest one when None.

    Raises:
        SessionNotFoundError: none or more than one answers to it.
        StoreError: the folder is a symlink or another user's.
    """
    if wanted is None:
        sessions = [Session(folder) for folder in session_folders(trace_dir)[0]]
        if not sessions:
            msg = f"no sessions in {trace_dir}: record something first (agent-trace demo)"
            raise SessionNotFoundError(msg)
        return max(sessions, key=lambda session: (started_at(session), session.session_id))
    wanted = wanted.rstrip("…")  # as the summary shows it
    exact = os.path.join(trace_dir, wanted)
    if _SESSION_ID(wanted) and os.path.lexists(exact):
        _check_directory(exact)
        return Session(exact)
    names = sorted(os.path.basename(folder) for folder in session_folders(trace_dir)[0])
    found = [name for name in names if name.startswith(wanted)]
    if len(found) == 1:
        return Session(os.path.join(trace_dir, found[0]))
    if found:
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        msg = f"{wanted!r} is ambiguous: {', '.join(found[:_NAMED])}{more}"
    else:
        msg = f"no session {wanted!r} among the {len(names)} in {trace_dir}: see agent-trace list"
    raise SessionNotFoundError(msg)


def started_at(session: Session) -> float:
    """Return when a session began, in unix seconds: as meta.json says, else its first event, else its folder's time."""
    if session.started_at:
        return session.started_at
    try:
        with open_regular(session.events_path) as file:
            head = read_head(file.readline())
        return float(head[1]) if head is not None else os.stat(session.folder).st_mtime
    except (OSError, ValueError):
        return 0.0


def _check_directory(path: str) -> None:
    try:
        found = os.lstat(path)
    except OSError as error:
        msg = f"can't read {path}: {error.strerror}"
        raise StoreError(msg) from error
    if os.path.islink(path):
        msg = f"{path} is a symlink, which a trace directory must not be: name the directory itself"
    elif not os.path.isdir(path):
        msg = f"{path} is no directory"
    elif _user() not in (None, found.st_uid):
        msg = f"{path} belongs to another user (uid {found.st_uid}): copy it to read it"
    else:
        return
    raise StoreError(msg)


def _state(index: SessionIndex, starts: list[int], ends: list[int]) -> tuple[str, int | None]:
    """Return state and process. Several runs may have written one session: it runs while any of them does."""
    over = {index.data(end).get("span_id") for end in ends}
    unfinished = [data for data in map(index.data, starts) if data.get("span_id") not in over]
    if ends and len(starts) <= len(ends):  # of writers that name no spans, the counts must do
        unfinished = [data for data in unfinished if data.get("span_id")]
    if not unfinished:
        return ("ended" if ends else "unknown"), None
    state, pid = "crashed", None
    for data in unfinished:
        pid = data.get("pid") if isinstance(data.get("pid"), int) else None
        running = _is_running(data)
        if running:
            return "running", pid
        if running is None:
            state = "unknown"
    # a run that was killed is history once a later one has ended
    return ("ended", None) if ends and starts and ends[-1] > starts[-1] else (state, pid)


def _is_running(start: dict[str, Any]) -> bool | None:
    pid, host = start.get("pid"), start.get("host")
    if not isinstance(pid, int) or not isinstance(host, str):
        return None
    from agent_trace_otel.process import ProcessIdentity, is_running

    return is_running(ProcessIdentity(pid, str(start.get("pid_start", "")), str(start.get("boot_id", "")), host))


def _user() -> int | None:
    return os.geteuid() if hasattr(os, "geteuid") else None


def _string(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""
