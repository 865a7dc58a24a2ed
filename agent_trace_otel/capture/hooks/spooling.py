"""The hook's slow path: an event that nobody took -> a spool file without secrets, and a recorder that will take it.

Called by `client` alone, in its process, when the recorder did not answer. The file is there before the hook returns,
so that no later event, which may find the recorder, overtakes this one: what is imported here is felt by a user.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import agent_trace_otel
from agent_trace_otel import open_flags
from agent_trace_otel.capture.hooks import client, state

if TYPE_CHECKING:
    from agent_trace_otel.redact import Redactor

_START_SECONDS = 10.0  # a recorder that does not listen after this long never will
_BEYOND_STDIO = (3, 4096)
_IDS = ("hook_event_name", "session_id", "prompt_id", "tool_use_id", "tool_name", "agent_id")
_LONGEST_ID = 200
_WISHES = ("AGENT_TRACE_REDACT", "AGENT_TRACE_CAPTURE_CONTENT")
_HARMLESS = ("CLAUDE_", "TRACE", "PPID", "PIDNS", "AGENT_TRACE_DIR")


def spool(fields: Mapping[bytes, bytes], payload: bytes, environ: Mapping[bytes, bytes]) -> None:
    """Leave one delivery in the spool of this user's state directory and see that a recorder is on its way.

    Copies of the client that earlier versions have made call this, too: its name, place and arguments stay as they are.

    Args:
        fields: of the frame, as `client.fields_of` returned them.
        payload: what stood on stdin.
        environ: this process's environment.

    Raises:
        OSError: the state directory can't be made or written, or is another user's: then nothing can be kept.
    """
    frame = _without_secrets(fields, payload)
    os.umask(0o077)  # folders above the state directory that have to be made are this user's alone, too
    state.enter(os.fsdecode(client.state_directory(environ)))
    os.makedirs(state.SPOOL, mode=0o700, exist_ok=True)  # noqa: PTH103 - pathlib would cost a tenth of this path
    _write(f"{int(fields[b'at']):020}-{os.getpid()}.hook", frame)
    if _is_first_to_start():
        _start_recorder(environ)


def _without_secrets(fields: Mapping[bytes, bytes], payload: bytes) -> bytes:
    """Return the frame as it may touch the disk; if redaction fails, no more of it than says which event it was."""
    env = {os.fsdecode(name[4:]): os.fsdecode(value) for name, value in fields.items() if name.startswith(b"env.")}
    try:
        from agent_trace_otel.capture.hooks.intake import frames

        redactor, with_content = _rules()
        value, raw = frames.redacted(payload, redactor, with_content=with_content)
        text = raw if value is None else json.dumps(value, separators=(",", ":"))
        env = frames.public_environment(env)
    except Exception:  # noqa: BLE001 - whatever it was, the event must not be lost, nor a secret be written
        text = json.dumps(_ids_of(payload))
        env = {name: value for name, value in env.items() if name.startswith(_HARMLESS)}
    kept = {name: value for name, value in fields.items() if not name.startswith(b"env.")}
    kept |= {b"env." + os.fsencode(name): os.fsencode(value) for name, value in env.items()}
    return client.frame({**kept, b"redacted": b"1"}, text.encode("utf-8", "replace"))


def _rules() -> tuple[Redactor | None, bool]:
    """Return the redactor in force, None if the user wants none, and whether what was said may be kept.

    What rules of one's own cost is felt only by who has some.
    """
    file = _config_file()
    if not any(map(os.environ.get, _WISHES)) and b"redact" not in file and b"capture_content" not in file:
        from agent_trace_otel.redact import DEFAULT

        return DEFAULT, True
    if sys.version_info < (3, 11):
        import site

        site.main()  # the hook runs with -S, and tomli need not lie beside the package
    from agent_trace_otel import config

    settings = config.load(complain=lambda _: None)
    return settings.redactor() if settings.redact else None, settings.capture_content


def _config_file() -> bytes:
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111 - as above
    try:
        with open(f"{home}/agent-trace/config.toml", "rb") as file:  # noqa: PTH123 - as above
            return file.read()
    except OSError:
        return b""


def _ids_of(payload: bytes) -> dict[str, str] | None:
    try:
        found = json.loads(payload)
        ids = {name: found.get(name) for name in _IDS}
    except (ValueError, RecursionError, AttributeError):
        return None
    return {name: value for name, value in ids.items() if isinstance(value, str) and len(value) <= _LONGEST_ID}


def _write(name: str, data: bytes) -> None:
    """Write a spool file; nobody ever sees half of one."""
    unfinished, finished = f"{state.SPOOL}/.{name}", f"{state.SPOOL}/{name}"
    fd = os.open(unfinished, open_flags.CREATE, 0o600)
    try:
        while data:
            data = data[os.write(fd, data) :]
        os.close(fd)
        os.rename(unfinished, finished)  # noqa: PTH104 - as above
    except OSError:
        os.unlink(unfinished)  # noqa: PTH108 - as above
        raise


def _is_first_to_start() -> bool:
    """Tell whether nobody else is starting a recorder; if two should think so, the recorder's lock decides."""
    for _ in range(2):
        try:
            os.close(os.open(state.STARTING, open_flags.CREATE, 0o600))
        except FileExistsError:  # noqa: PERF203 - two rounds at most
            if abs(time.time() - os.stat(state.STARTING).st_mtime) < _START_SECONDS:  # noqa: PTH116 - as above
                return False
            os.unlink(state.STARTING)  # noqa: PTH108 - as above
        else:
            return True
    return False


def _start_recorder(environ: Mapping[bytes, bytes]) -> None:
    """Start the recorder in the working directory, with nothing of this process: not its group, files or variables."""
    package_parent = os.path.dirname(agent_trace_otel.__path__[0])  # noqa: PTH120 - as above
    main = "from agent_trace_otel.capture.hooks.recorder import main; main()"
    command = [sys.executable, "-c", f"import sys; sys.path[0] = {package_parent!r}; {main}"]
    if sys.platform == "win32":  # the arguments are joined to one line there, and sockets need SYSTEMROOT
        os.spawnve(os.P_DETACH, sys.executable, [f'"{part}"' for part in command], os.environ)  # noqa: S606 - our own
        return
    kept = {name: value for name, value in environ.items() if name in (b"HOME", b"PATH") or name.startswith(b"XDG_")}
    if os.fork():
        return
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        os.closerange(*_BEYOND_STDIO)
        os.execve(sys.executable, command, kept)  # noqa: S606 - our own
    finally:
        os._exit(1)
