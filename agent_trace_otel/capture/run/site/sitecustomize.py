"""Imported by each Python process of ``agent-trace run`` as it starts, in the place of the user's own sitecustomize.

Comes in: the variables of `plan`. Goes out: libraries watched for (`inside`), one line to the command, and the
sitecustomize that would have been imported without us, or none.

Everything here happens before the program's first line: nothing may be printed, raised or imported that the program
does not need. It must be readable by every Python 3, for an interpreter that is not ours is told of, too.
"""

# ruff: noqa: INP001 - the directory is to hold nothing else

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec


def _begin() -> "tuple[str, str, str]":
    """Watch for libraries; return what to tell: kind, interpreter, reason."""
    try:
        __import__("agent_trace_otel")
    except ImportError:
        return "absent", sys.executable or "python", ""
    try:
        from agent_trace_otel.capture.run import inside

        inside.begin()
    except Exception as error:  # noqa: BLE001 - another version of ours, or one that is broken
        return "failed", sys.executable or "python", type(error).__name__ + ": " + str(error)
    return "traced", "", ""


def _tell(words: "tuple[str, str, str]") -> None:
    """Write one line to the command; one that is gone, or busy, misses it."""
    path = os.environ.get("AGENT_TRACE_RUN_REPORTS")
    if not path:
        return
    try:
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            line = "\t".join(word.replace("\t", " ").replace("\n", " ")[:1000] for word in words)
            os.write(pipe, line.encode("utf-8", "replace") + b"\n")
        finally:
            os.close(pipe)
    except Exception:  # noqa: BLE001, S110 - there is nobody else to tell
        pass


def _hidden() -> "ModuleSpec | None":
    """Take our directory out of sys.path; return the spec of the sitecustomize that it hid."""
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib is not loaded yet
    sys.path[:] = [entry for entry in sys.path if entry != here]
    from _frozen_importlib_external import PathFinder  # is there; importlib.machinery would have to be loaded

    return PathFinder.find_spec("sitecustomize")


if os.environ.get("AGENT_TRACE_RUN_WATCH") is not None:
    _tell(_begin())
_spec = _hidden()
if _spec is None or _spec.loader is None:
    # what `site` expects where there is no sitecustomize, and passes over; it forgets this module, too
    raise ImportError("no sitecustomize but ours", name="sitecustomize")  # noqa: TRY003, EM101
from _frozen_importlib import module_from_spec  # noqa: E402 - most programs have no sitecustomize

sys.modules["sitecustomize"] = _module = module_from_spec(_spec)
_spec.loader.exec_module(_module)
