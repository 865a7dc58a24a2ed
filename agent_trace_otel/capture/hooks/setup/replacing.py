"""Files of other programs, and of the user, replaced whole or not at all. Called by `setup`."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

BACKUP = ".agent-trace-backup"


def read(path: Path) -> str | None:
    """Return a text file as it is, line ends included; None when there is none.

    Raises:
        OSError: it can't be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None


def replace(path: Path, text: str, *, mode: int | None = None, folder_mode: int = 0o777, backup: bool = False) -> None:
    """Write a text file: whoever reads it meanwhile finds the old one or the new one.

    A symbolic link stays, and what it points to is replaced: people keep such files in a repository of dotfiles.

    Args:
        path: the file; missing folders are made.
        text: all of it, line ends included.
        mode: its permissions; None keeps those it has, or what the user's umask gives a new file.
        folder_mode: permissions of folders that are made.
        backup: whether to keep the first state ever replaced, beside it.

    Raises:
        OSError: it can't be written; then nothing has changed.
    """
    path.parent.mkdir(mode=folder_mode, parents=True, exist_ok=True)
    real = Path(os.path.realpath(path))
    if mode is None:
        with contextlib.suppress(FileNotFoundError):
            mode = real.stat().st_mode & 0o7777
    if backup and real.exists():
        kept = path.with_name(path.name + BACKUP)
        if not kept.exists():
            shutil.copy2(real, kept)
    fd, name = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)
    new = Path(name)
    try:
        with open(fd, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(fd)
        new.chmod(_new_file_mode() if mode is None else mode)
        new.replace(real)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def _new_file_mode() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return 0o666 & ~mask
