"""What tracing adds to a model call: the openai and anthropic clients with files on, against the bare clients.

Both sides ask a server on this machine, round by round side by side; CPU time of the calling thread, since that is what
the traced program pays. A streamed chunk is measured inside its stream, without the call around it: many chunks, sent
in one piece.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from model_server import RECORDING, Answer, answer_json, serving
from results import Row, SkippedError, ratio_row

import agent_trace_otel as at
from agent_trace_otel import guard
from agent_trace_otel.testing import recording

_ROUNDS = 24
_CALLS = 20
_CHUNKS = 2_000
_MICROSECONDS_A_CALL = 1e-3 / _CALLS
_CHUNK_BUDGET = 5.0

_TEXT = "The sea is green where it is shallow and the sand is light. " * 8
_ASKED: dict[str, Any] = {
    "model": "colour-1",
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": _TEXT}],
    "max_tokens": 100,
}
_CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "colour-1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": _TEXT}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 90, "completion_tokens": 90, "total_tokens": 180},
}
_MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "colour-1",
    "content": [{"type": "text", "text": _TEXT}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 90, "output_tokens": 90},
}


def _numbered(body: dict[str, Any]) -> list[Answer]:
    """Return an answer a call, each with an id of its own: calls with one id would be one call."""
    return [answer_json({**body, "id": f"id-{number}"}) for number in range((2 * _ROUNDS + 1) * _CALLS)]


def _events(events: Iterable[dict[str, Any]], *, named: bool) -> Answer:
    lines = (f"event: {event.get('type')}\n" * named + f"data: {json.dumps(event)}\n\n" for event in events)
    return Answer(("".join(lines).encode(),), content_type="text/event-stream")


def _chat_chunks() -> Iterator[dict[str, Any]]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "colour-1"}
    for number in range(_CHUNKS):
        yield {**head, "choices": [{"index": 0, "delta": {"content": f" word{number}"}, "finish_reason": None}]}


def _message_events() -> Iterator[dict[str, Any]]:
    yield {"type": "message_start", "message": {**_MESSAGE, "content": []}}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    for number in range(_CHUNKS):
        delta = {"type": "text_delta", "text": f" word{number}"}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "message_stop"}


@contextmanager
def _client(name: str) -> Iterator[Callable[..., Any]]:
    """Yield what makes a call; ``x-recording`` says whether it is answered whole or streamed."""
    answers: dict[str, Answer | list[Answer]] = {
        "openai": {"whole": _numbered(_CHAT), "stream": _events(_chat_chunks(), named=False)},
        "anthropic": {"whole": _numbered(_MESSAGE), "stream": _events(_message_events(), named=True)},
    }[name]
    with tempfile.TemporaryDirectory(prefix="agent-trace-bench-") as folder, recording(Path(folder)):
        with serving(answers) as server:
            try:
                if name == "openai":
                    import openai

                    client: Any = openai.OpenAI(api_key="key", base_url=f"{server.url}/v1")
                    create = client.chat.completions.create
                else:
                    import anthropic

                    client = anthropic.Anthropic(api_key="key", base_url=server.url)
                    asked = {**_ASKED, "system": "Be brief.", "messages": _ASKED["messages"][1:]}
                    create = lambda **more: client.messages.create(**{**asked, **more})  # noqa: E731
            except ImportError as error:
                raise SkippedError(str(error)) from error
            if name == "openai":
                plain = create
                create = lambda **more: plain(**_ASKED, **more)  # noqa: E731
            yield lambda which: create(stream=which == "stream", extra_headers={RECORDING: which})
            client.close()
        if guard.failures:
            message = f"not all was traced: {dict(guard.failures)}"
            raise RuntimeError(message)


def _both(name: str, measure: Callable[[], float]) -> tuple[list[float], list[float]]:
    """Measure bare and traced, in changing order."""
    bare: list[float] = []
    traced: list[float] = []

    def run_traced() -> None:
        at.instrument(name)
        at.start_session("bench")
        traced.append(measure())
        at.end_session()
        at.uninstrument(name)

    measure()
    for _ in range(_ROUNDS):
        sides = [lambda: bare.append(measure()), run_traced]
        random.shuffle(sides)
        for side in sides:
            side()
    return bare, traced


def whole_calls() -> Iterable[Row]:
    """Measure calls that are answered whole."""
    for name in ("openai", "anthropic"):
        with _client(name) as call:

            def measure(call: Callable[..., Any] = call) -> float:
                began = time.thread_time_ns()
                for _ in range(_CALLS):
                    call("whole")
                return time.thread_time_ns() - began

            bare, traced = _both(name, measure)
        yield ratio_row(f"{name} call", traced, bare, None, "µs", _MICROSECONDS_A_CALL)


def chunks() -> Iterable[Row]:
    """Measure what each chunk of a stream pays more."""
    for name in ("openai", "anthropic"):
        with _client(name) as call:

            def measure(call: Callable[..., Any] = call) -> float:
                stream = iter(call("stream"))
                for _ in range(3):
                    next(stream)
                began = time.thread_time_ns()
                for _ in range(_CHUNKS - 10):
                    next(stream)
                spent = time.thread_time_ns() - began
                for _ in stream:
                    pass
                return spent / (_CHUNKS - 10) / 1000

            bare, traced = _both(name, measure)
        more = [ours - base for ours, base in zip(traced, bare, strict=True)]
        low, _, high = quantiles(more, n=4)
        shown = f"{median(traced):,.1f} against {median(bare):,.1f} µs"
        yield Row(f"{name}, a streamed chunk", median(more), _CHUNK_BUDGET, low, high, unit="µs", detail=shown)
