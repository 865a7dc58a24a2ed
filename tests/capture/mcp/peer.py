"""A scripted server over stdio: does what its arguments say with raw bytes, and knows JSON-RPC only where it must.

usage: peer.py MODE [ARGUMENT...]
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

CHUNK = 1 << 16


def _read(size: int = CHUNK) -> bytes:
    return os.read(0, size)


def _write(data: bytes, descriptor: int = 1) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _lines() -> Iterator[bytes]:
    waiting = b""
    while chunk := _read():
        *lines, waiting = (waiting + chunk).split(b"\n")
        yield from lines


def echo() -> None:
    """Give every byte back."""
    while chunk := _read():
        _write(chunk)


def keep(path: str) -> None:
    """Write what comes to a file."""
    with Path(path).open("wb") as file:
        while chunk := _read():
            file.write(chunk)


def both_ways(size: str) -> None:
    """Say ``size`` bytes while reading as many, and then how many came."""
    data = bytes(range(256)) * (int(size) // 256)
    if os.fork() == 0:
        _write(data)
        os._exit(0)
    came = 0
    while chunk := _read():
        came += len(chunk)
    os.wait()
    _write(b"\ncame %d" % came)


def answer(*errors: str) -> None:
    """Answer requests one by one; those with a method of ``errors`` by an error."""
    for line in _lines():
        head, _, rest = line.partition(b'"id":')
        if not rest:
            continue
        number = rest.partition(b",")[0]
        failed = any(error.encode() in head + rest for error in errors)
        said = b'"error":{"code":-1,"message":"no"}' if failed else b'"result":{"content":[]}'
        _write(b'{"jsonrpc":"2.0","id":' + number + b"," + said + b"}\n")


def silent() -> None:
    """Take everything and say nothing."""
    while _read():
        pass


def exits(code: str) -> None:
    """Say something without an end of line on both outputs, and exit while the input is still open."""
    _write(b"last words")
    _write(b"complaint", 2)
    sys.exit(int(code))


def dies(number: str) -> None:
    """Be ended by a signal of its own."""
    os.kill(os.getpid(), int(number))
    time.sleep(60)


def burst(count: str) -> None:
    """Say many lines and exit at once."""
    _write(
        b"".join(
            b'{"jsonrpc":"2.0","method":"notifications/message","params":{"n":%d}}\n' % n for n in range(int(count))
        )
    )


def stubborn(code: str) -> None:
    """Name every signal that comes, and exit at the end of the input."""
    for number in (
        *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP),
        *(signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2),
    ):
        signal.signal(number, lambda number, _: _write(signal.Signals(number).name.encode() + b"\n"))
    _write(b"ready\n")
    while _read():
        pass
    sys.exit(int(code))


def mortal() -> None:
    """Let signals do what they do, also one that whoever runs the tests ignores, as nohup does."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    _write(b"ready\n")
    time.sleep(60)


def immortal() -> None:
    """Outlive the end of the input."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _write(b"%d\n" % os.getpid())
    silent()
    time.sleep(60)


def closes_input() -> None:
    """Close the input, then say so and wait to be ended by whoever notices."""
    os.close(0)
    _write(b"closed\n")
    time.sleep(60)


def closes_output() -> None:
    """Close the output and go on reading; exit 5 at the end of the input."""
    _write(b"bye")
    os.close(1)
    silent()
    sys.exit(5)


def leaves_a_child() -> None:
    """Exit at once, with a process left behind that holds the output open."""
    _write(b"done\n")
    if os.fork() == 0:
        time.sleep(20)
    os._exit(4)


def outlives_its_reader() -> None:
    """Write until nobody reads; exit 6 when it can't."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        while True:
            _write(b"x" * 1000 + b"\n")
    except BrokenPipeError:
        sys.exit(6)


def environment(name: str) -> None:
    """Say what a variable holds, and which descriptors are open."""
    descriptors = sorted(int(entry.name) for entry in Path("/dev/fd").iterdir())
    _write(os.environ.get(name, "").encode() + b"\n" + repr(descriptors).encode())


MODES: dict[str, Callable[..., None]] = {
    mode.__name__: mode
    for mode in (
        answer,
        both_ways,
        burst,
        closes_input,
        closes_output,
        dies,
        echo,
        environment,
        exits,
        immortal,
        keep,
        leaves_a_child,
        mortal,
        outlives_its_reader,
        silent,
        stubborn,
    )
}

if __name__ == "__main__":
    MODES[sys.argv[1]](*sys.argv[2:])
