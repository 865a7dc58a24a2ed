"""Flags of `os.open` for files that others may have laid in our way, on systems that lack some of them.

Called by whoever opens descriptors. Where a flag is missing nothing takes its place: Windows has no O_NOFOLLOW, but who
may lay links there may write the files, too. O_BINARY is Windows's alone: without it a line's end is two bytes there.
"""

from __future__ import annotations

import os
from typing import Final

GUARDS: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
"""For every file: no symbolic link is followed, no child inherits it, bytes stay as they are."""
READ: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | GUARDS
"""To read; a pipe put in the place of a file does not stop the reader."""
APPEND: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | GUARDS
"""To append, one write() a line."""
CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | GUARDS
"""To write a file that is not there yet."""
DIRECTORY: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | GUARDS
"""To hold on to a directory, which Windows can't."""
