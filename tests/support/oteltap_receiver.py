"""An independent OTLP receiver, oteltap, and what it got; skips the tests of those who have none."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest

from agent_trace_otel.delivery.protobuf import items_of_request
from agent_trace_otel.store.spans_file import requests_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

oteltap = pytest.importorskip("oteltap", reason="oteltap needs opentelemetry-proto 1.30 or newer")


def received_by_oteltap(send: Callable[[str], object], count: int) -> list[Any]:
    """Return the first ``count`` spans that arrive while ``send`` runs with the receiver's base URL."""

    async def receive() -> list[Any]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = oteltap.OtelTapHttpProtobufReceiverSettings(http_port=port)
        async with oteltap.OtelTapHttpProtobufReceiver(settings) as receiver:
            stream = receiver.stream_traces()
            sending = asyncio.create_task(asyncio.to_thread(send, f"http://127.0.0.1:{port}"))
            found = [await asyncio.wait_for(anext(stream), 20) for _ in range(count)]
            await sending
            return found

    return asyncio.run(receive())


def spans_in(path: Path) -> list[Any]:
    return [item.span for request in requests_of(path) for item in items_of_request(request)]
