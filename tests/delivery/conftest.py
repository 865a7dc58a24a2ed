"""What the delivery tests share: a back end that answers as told, and spans.jsonl files to send to it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from scripted_backend import Backend, make_span

from agent_trace_otel.store.spans_file import encode_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a proxy of the developer's out of the way to the loopback interface."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def backend() -> Iterator[Backend]:
    running = Backend()
    yield running
    running.stop()


@pytest.fixture
def dead_url() -> str:
    """Return a URL that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1/traces"


@pytest.fixture
def spans_file(tmp_path: Path) -> Callable[..., Path]:
    def write(count: int, **parts: dict[str, object]) -> Path:
        path = tmp_path / "spans.jsonl"
        path.write_bytes(b"".join(encode_line(make_span(number, **parts)) for number in range(count)))  # type: ignore[arg-type]
        return path

    return write
