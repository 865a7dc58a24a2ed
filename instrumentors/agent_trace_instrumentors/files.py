"""Files that a program opens -> file_read and file_write events: path, mode and bytes, as ``strace`` would show them.

Comes in: open, io.open, and what goes through them (pathlib, shutil, codecs, json.load(open(...)), ...). Goes out: one
event when a file is closed, on the span that is current then. Switched on by ``agent_trace_otel.instrument("files")``.

Told are files under the working directory, and only in a session. Never told: our own, the interpreter's and its
packages'. Other directories: AGENT_TRACE_FILES_UNDER, separated as in PATH; ``/`` is every file. Not seen: os.open, and
what C code opens by itself, such as databases.

`open` is called too often for a wrapper that asks much, so what stands in its place is an object of our own, and what
is asked first is cheap. What it returns is what `open` returned. Bytes are counted where they meet the system, on the
raw file below the buffers: a file of which one line is read tells of the buffer that was filled.
"""

# pathlib comes by here itself, and takes longer than what it stands for
# ruff: noqa: PTH100, PTH109, PTH117, PTH118, PTH120

from __future__ import annotations

import atexit
import io
import os
import re
import sys
from _thread import get_ident
from collections.abc import Callable
from typing import Any, Final

from agent_trace_instrumentors._base import Instrumentor, Target, is_suppressed
from agent_trace_otel import guard, semconv, spans
from agent_trace_otel.spans import point_events

UNDER_VARIABLE: Final = "AGENT_TRACE_FILES_UNDER"
_NEVER: Final = re.compile(r"(?:^|/)(?:\.agent-traces|site-packages|dist-packages|__pycache__)/|\.pyc\Z")
_INTERPRETER: Final = (
    os.path.join(os.path.dirname(os.__file__), ""),
    # of a virtual environment, which may stand in the working directory, or be it
    *([os.path.join(sys.prefix, "lib", "")] if sys.prefix != sys.base_prefix else []),
)
_MOST: Final = 10_000  # events of one process: they stay in memory until their span ends
_TOO_MANY: Final = f"{_MOST} are told already"
_IMPORTS: Final = ("<frozen importlib._bootstrap_external>", "<frozen zipimport>", "<frozen runpy>")
_WRITES: Final = frozenset("wax")


class _Watch:
    """What all of the process's `open`s share."""

    def __init__(self) -> None:
        self.is_on = False
        self.is_awake = False
        """Whether a file was opened that might be told."""
        self.busy: set[int] = set()
        """Threads that are in here: what they open meanwhile is ours."""
        self.open: dict[int, _Told] = {}
        """Files that have not been closed yet."""
        self.under: tuple[str, ...] = ()
        self.count = 0
        """Events so far."""
        self._watches_exit = False

    def begin(self) -> None:
        named = os.environ.get(UNDER_VARIABLE, "")
        self.under = tuple(os.path.join(os.path.abspath(part), "") for part in named.split(os.pathsep) if part)
        self.is_on = True

    def follow(self, told: _Told) -> None:
        if not self._watches_exit:
            # registered after the provider was made, so called before it shuts down
            self._watches_exit = True
            atexit.register(self.tell_all)
        self.open[id(told)] = told

    def tell_all(self) -> None:
        """Tell of what the program never closed."""
        while self.open:
            self.open.popitem()[1].tell()

    def after_fork_in_child(self) -> None:
        """Leave the parent's files to the parent."""
        self.open.clear()
        self.busy.clear()


_watch = _Watch()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_watch.after_fork_in_child)


class _Told:
    """One file between its opening and its end."""

    __slots__ = ("mode", "path", "read", "written")

    def __init__(self, path: str, mode: str) -> None:
        self.path, self.mode = path, mode
        self.read = self.written = 0

    def end(self) -> None:
        """Tell of it, unless the program's end or a fork has come before."""
        if _watch.open.pop(id(self), None) is self:
            self.tell()

    def tell(self) -> None:
        writes = not _WRITES.isdisjoint(self.mode)
        if self.read or not (writes or self.written):
            _log(semconv.FILE_READ_EVENT, self, self.read)
        if self.written or writes:
            _log(semconv.FILE_WRITE_EVENT, self, self.written)


@guard.guarded("tell of a file")
def _log(event: str, told: _Told, count: int) -> None:
    thread = get_ident()
    is_busy = thread in _watch.busy
    _watch.busy.add(thread)
    try:
        _watch.count += 1
        if _watch.count > _MOST:
            raise OverflowError(_TOO_MANY)
        # what has passed by no buffer may have passed all the same, by sendfile(2) or mmap(2)
        more = {semconv.FILE_OPEN_MODE: told.mode, **({semconv.FILE_BYTES: count} if count else {})}
        point_events.log_file(event, told.path, more)
    finally:
        if not is_busy:
            _watch.busy.discard(thread)


class _Open:
    """What stands in the place of `open`; no function, which would bind as a method where a builtin does not."""

    __module__ = "io"

    def __init__(self, original: Callable[..., Any]) -> None:
        self.__wrapped__ = original
        self.__name__ = self.__qualname__ = "open"
        self.__doc__ = original.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as open's
        opened = self.__wrapped__(*args, **kwargs)
        if _watch.is_on:
            try:
                if (_in_session() if _watch.is_awake else _wakes(args, kwargs)) and get_ident() not in _watch.busy:
                    _follow(opened, args, kwargs)
            except Exception as error:  # noqa: BLE001 - never the user's problem
                guard.report("follow a file", error)
        return opened

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def __reduce__(self) -> str:
        return "open"  # pickled by name, as it was


_in_session = spans.in_session


def _wakes(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Tell whether a file is the first that might be told; only then it is worth to find out if there is a session."""
    thread = get_ident()
    if thread in _watch.busy or _path_to_tell(args, kwargs) is None or _is_import():
        return False
    _watch.busy.add(thread)  # whatever that opens
    try:
        is_in_session = _in_session()
        _watch.is_awake = True
    finally:
        _watch.busy.discard(thread)
    return is_in_session


def _follow(opened: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:  # noqa: ANN401 - what open returns
    """Follow a file that was opened, if it is to be told."""
    path = _path_to_tell(args, kwargs)
    if path is not None and not (_is_import() or is_suppressed() or spans.is_of_session(path)):
        _begin(opened, _Told(path, str(args[1] if len(args) > 1 else kwargs.get("mode", "r"))))


def _is_import() -> bool:
    """Tell whether the import system has opened the file: io.open_code() and zipimport come by io.open, too."""
    try:
        caller = sys._getframe(3).f_code.co_filename  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - of open
    except ValueError:  # C code alone, before the program's first line
        return True
    return caller in _IMPORTS or caller.endswith("runpy.py")


def _begin(opened: Any, told: _Told) -> None:  # noqa: ANN401 - as above
    _watch.follow(told)
    raw = opened
    while not isinstance(raw, io.FileIO):
        raw = getattr(raw, "buffer", None) or raw.raw
    if raw is opened:  # unbuffered: it would refer to itself, and not be closed when it is forgotten
        told.end()
    else:
        _count(raw, told)


def _path_to_tell(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """Return the absolute path of a file that is one of the program's own; None for any other, or a descriptor."""
    file = args[0] if args else kwargs["file"]
    if not isinstance(file, (str, bytes, os.PathLike)):
        return None
    path = os.fsdecode(file)  # pyright: ignore[reportUnknownArgumentType] - os.PathLike of whatever
    if _NEVER.search(path):
        return None
    here = os.getcwd()
    path = os.path.normpath(os.path.join(here, path))
    if not path.startswith(_watch.under or _places(here)) or path.startswith(_INTERPRETER):
        return None
    return path


_known: dict[str, tuple[str, ...]] = {}


def _places(here: str) -> tuple[str, ...]:
    """Return the working directory as paths begin with it: by its real name, and by the one that the user knows."""
    found = _known.get(here)
    if found is None:
        named = os.environ.get("PWD", "")
        names = {here, named} if os.path.isabs(named) and os.path.realpath(named) == here else {here}
        found = _known[here] = tuple(os.path.join(name, "") for name in names)
    return found


def _count(raw: io.FileIO, told: _Told) -> None:
    """Count what passes between a raw file and the system, until it is closed.

    The hooks are attributes of the raw file alone, and refer back to it. So it is freed later than without them, but
    closed when it would have been: the buffers above it, which nothing refers back to, do that when they are freed.
    """
    read_into, read_all, write, close = raw.readinto, raw.readall, raw.write, raw.close

    def counted_read_into(buffer: Any) -> int | None:  # noqa: ANN401 - whatever can be written to
        count = read_into(buffer)
        told.read += count or 0
        return count

    def counted_read_all() -> bytes | None:
        data = read_all()
        told.read += len(data or b"")
        return data

    def counted_write(data: Any) -> int | None:  # noqa: ANN401 - whatever can be read from
        count = write(data)
        told.written += count or 0
        return count

    def closed() -> None:
        for name in hooks:
            vars(raw).pop(name, None)
        try:
            close()
        finally:
            told.end()

    hooks = {"readinto": counted_read_into, "readall": counted_read_all, "write": counted_write, "close": closed}
    vars(raw).update(hooks)


_ours: dict[int, _Open] = {}


def _in_place_of(original: Callable[..., Any]) -> Any:  # noqa: ANN401 - what is put there
    """Return one object for all the names of one `open`, so that pickle finds it under any of them."""
    if isinstance(original, _Open):  # a module that was imported meanwhile has taken it for the original
        return original
    return _ours.setdefault(id(original), _Open(original))


class FilesInstrumentor(Instrumentor):
    """One event a file, when it is closed."""

    name = "files"
    targets = (
        Target("builtins", "open", _in_place_of, is_replacement=True),
        Target("io", "open", _in_place_of, is_replacement=True),
        Target("_io", "open", _in_place_of, is_replacement=True),
        # Python 3.10 keeps the original there; later ones look it up in io
        Target("pathlib", "_NormalAccessor.open", _in_place_of, is_replacement=True, may_be_missing=True),
    )

    def instrument(self, **kwargs: Any) -> None:
        """Begin to tell of files."""
        _watch.begin()
        super().instrument(**kwargs)

    def uninstrument(self, **kwargs: Any) -> None:
        """Put the originals back, and tell of nothing any more; files that are open are told when they are closed."""
        _watch.is_on = False
        super().uninstrument(**kwargs)
