"""``python tests/corpus_run.py``: replay every recorded model call through the installed clients and judge the spans.

usage: python tests/corpus_run.py [--way WAY ...] [API ...]

Each recording is answered by a local HTTP server and asked for by the real client, in several ways (sync, async, raw
responses). Then the session folder is read and compared with the recording (`recorded_calls`): exactly one span; model,
response id, finish reasons, every token number, error, messages and tool calls; a stream's time to its first chunk.
Prints a table and what differs; the exit code is 1 if anything does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import inspect
import json
import sys
import tempfile
import warnings
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "support"))

import google_recordings as google
import recorded_calls as judge
from model_server import RECORDING, Answer, ModelServer, serving
from recorded_calls import Recording

import agent_trace_otel as at
from agent_trace_otel.testing import Recorded, recording

LIBRARIES = {
    "openai.chat.completions": "openai",
    "openai.responses": "openai",
    "openai.embeddings": "openai",
    "anthropic.messages": "anthropic",
}
WAYS = ("sync", "async", "raw", "raw-async", "streaming", "streaming-async")
ERRORS = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
}


@dataclass
class Verdict:
    """What came of the recordings of one API in one way."""

    api: str
    way: str
    calls: int = 0
    streams: int = 0
    failures: int = 0
    differences: list[str] = field(default_factory=list)

    @property
    def right(self) -> int:
        """How many calls left exactly what they should."""
        return self.calls - len({difference.split(":")[0] for difference in self.differences})


def run(api: str, way: str, some: slice = slice(None)) -> Verdict:
    """Replay an API's recordings, or some of them, in one way; the instrumentor is switched on for it alone."""
    if api in google.APIS:
        calls = list(google.recordings(api))[some]
        streams, failures = sum(one.is_stream for one in calls), sum(one.status != 200 for one in calls)
        return Verdict(api, way, len(calls), streams, failures, list(google.replay(calls, way)))
    found = list(judge.recordings(api))[some]
    library = LIBRARIES[api]
    verdict = Verdict(api, way, len(found))
    with (
        tempfile.TemporaryDirectory() as folder,
        recording(folder) as recorded,
        serving({one.name: _answer(one) for one in found}) as server,
        _instrumented(library),
    ):
        if "async" in way:
            asyncio.run(_replay_async(library, way, server, found))
        else:
            _replay(library, way, server, found)
        for one in found:
            verdict.streams += one.is_stream
            verdict.failures += one.status != 200
            verdict.differences += [f"{one.name}: {said}" for said in _differences(recorded, one)]
    return verdict


@contextlib.contextmanager
def _instrumented(library: str) -> Iterator[None]:
    at.instrument(library)
    try:
        yield
    finally:
        at.uninstrument(library)


def _answer(one: Recording) -> Answer:
    if not one.is_stream:
        return Answer((one.text.encode(),), one.status, one.content_type)
    return Answer(
        tuple(f"{event}\n\n".encode() for event in one.text.strip().split("\n\n")), one.status, one.content_type
    )


# -- asking ------------------------------------------------------------------------------------------------------


def _client(library: str, server: ModelServer, *, is_async: bool) -> Any:
    module = importlib.import_module(library)
    name = {"openai": "OpenAI", "anthropic": "Anthropic"}[library]
    base_url = server.url + ("/v1" if library == "openai" else "")
    kind = getattr(module, f"Async{name}" if is_async else name)
    return kind(api_key="key", base_url=base_url, max_retries=0)


def _asked(client: Any, way: str, one: Recording) -> Callable[[], Any]:
    """Return the call: the method of the recorded API with what was sent; what it has no name for goes beside it."""
    resource = client
    for name in one.api.split(".")[1:]:
        resource = getattr(resource, name)
    known = inspect.signature(resource.create).parameters
    given = {name: value for name, value in one.request.items() if name in known}
    beside = {name: value for name, value in one.request.items() if name not in known}
    method = resource.create
    if way.startswith("raw"):
        method = resource.with_raw_response.create
    if way.startswith("streaming"):
        method = resource.with_streaming_response.create
    headers = {"extra_headers": {RECORDING: one.name}, **({"extra_body": beside} if beside else {})}
    return lambda: method(**given, **headers)


def _replay(library: str, way: str, server: ModelServer, found: Iterable[Recording]) -> None:
    client = _client(library, server, is_async=False)
    for one in found:
        with at.session(one.name, session_id=one.name), contextlib.suppress(Exception):
            _consume(_asked(client, way, one)(), way, one)
    client.close()


def _consume(result: Any, way: str, one: Recording) -> None:
    if way == "streaming":
        with result as response:
            list(response.iter_lines())
        return
    if way == "raw":
        result = result.parse()
    if one.is_stream:
        for _ in result:
            pass


async def _replay_async(library: str, way: str, server: ModelServer, found: Iterable[Recording]) -> None:
    client = _client(library, server, is_async=True)
    for one in found:
        with at.session(one.name, session_id=one.name), contextlib.suppress(Exception):
            await _consume_async(_asked(client, way, one)(), way, one)
    await client.close()


async def _consume_async(result: Awaitable[Any] | Any, way: str, one: Recording) -> None:
    if way == "streaming-async":
        async with result as response:
            async for _ in response.iter_lines():
                pass
        return
    found = await result
    if way == "raw-async":
        found = found.parse()
        found = await found if inspect.isawaitable(found) else found
    if one.is_stream:
        async for _ in found:
            pass


# -- judging -----------------------------------------------------------------------------------------------------


def _differences(recorded: Recorded, one: Recording) -> Iterator[str]:
    """Yield what the folder says otherwise than the recording."""
    # all but the session's own
    spans = [span for span in recorded.spans(one.name) if "agent_trace.scope" not in (span.attributes or {})]
    if len(spans) != 1:
        yield f"{len(spans)} spans"
        return
    events = [event.event_type for event in recorded.events(one.name)]
    told = dict(spans[0].attributes or {})
    said = judge.answered(one)
    library = LIBRARIES[one.api]
    error = None if one.status == 200 else f"{library}.{ERRORS.get(one.status, 'InternalServerError')}"
    operation = "embeddings" if one.api.endswith("embeddings") else "chat"
    facts, system = judge.asked(one)
    is_unread = one.status == 200 and not one.text  # what becomes of it is the client's affair
    expected = {
        "operation": (told.get("gen_ai.operation.name"), operation),
        "provider": (told.get("gen_ai.provider.name"), library),
        "model asked": (told.get("gen_ai.request.model"), one.request["model"]),
        "model": (told.get("gen_ai.response.model"), said.model),
        "id": (told.get("gen_ai.response.id"), said.id),
        "reasons": (list(told.get("gen_ai.response.finish_reasons", ())), said.reasons),
        "usage": ({n[13:]: v for n, v in told.items() if n.startswith("gen_ai.usage.")}, said.usage),
        "error": (told.get("error.type") if not is_unread else None, error),
        "asked": (judge.facts_of(json.loads(told.get("gen_ai.input.messages", "[]"))), facts),
        "system": ([part["content"] for part in json.loads(told.get("gen_ai.system_instructions", "[]"))], system),
        "said": (judge.facts_of(json.loads(told.get("gen_ai.output.messages", "[]"))), said.facts),
        "timeline": (
            events,
            ["session_start", "llm_request", "error" if error else "llm_response", "session_end"]
            if not is_unread
            else events,
        ),
        "first chunk": (told.get("gen_ai.response.time_to_first_chunk", 0) > 0, one.is_stream and one.status == 200),
    }
    for name, (found, wanted) in expected.items():
        if found != wanted:
            yield f"{name} {found!r} is not {wanted!r}"[:600]


def main() -> int:
    """Replay what was asked for, all by default."""
    apis = {**LIBRARIES, **dict.fromkeys(google.APIS, "google-genai")}
    parser = argparse.ArgumentParser(prog="python tests/corpus_run.py", description=__doc__)
    parser.add_argument("apis", metavar="API", nargs="*", help=f"one or more of {', '.join(apis)} (default: all)")
    parser.add_argument("--way", action="append", choices=WAYS, help="how to ask (default: in every way)")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # clients warn of the models of the recordings
    ways = arguments.way or WAYS
    asked = [(api, way) for api in arguments.apis or apis for way in ways if api in LIBRARIES or way in google.WAYS]
    verdicts = [run(api, way) for api, way in asked]
    lines = [("API", "CLIENT", "WAY", "CALLS", "STREAMS", "FAILURES", "RIGHT")]
    for one in verdicts:
        client = f"{apis[one.api]} {version(apis[one.api])}"
        lines.append((one.api, client, one.way, *map(str, (one.calls, one.streams, one.failures, one.right))))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        sys.stdout.write(
            "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() + "\n"
        )
    differences = [(one.way, difference) for one in verdicts for difference in one.differences]
    for way, difference in differences:
        sys.stdout.write(f"{way} {difference}\n")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
