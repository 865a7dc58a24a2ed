"""Google's Gen AI client (google-genai) -> one span a request to the model.

Comes in: generate_content, generate_content_stream and embed_content of `client.models` and `client.aio.models`; what
`client.chats` sends comes by the same way. Goes out: spans with the numbers of that one request. Switched on by
``agent_trace_otel.instrument()``.

The client calls functions by itself and asks the model again (automatic function calling), and goes on where an answer
was cut off (automatic continuation): one call of the user's, several of the model, each with tokens of its own. So what
is wrapped is the step that every request comes by, and the user's own objects stay as they are. count_tokens asks
for no answer and is not traced.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from opentelemetry import context as context_api

from agent_trace_instrumentors._base import Instrumentor, Library, Target
from agent_trace_instrumentors._generator_call import GeneratorCall
from agent_trace_instrumentors._loan import Loan
from agent_trace_instrumentors._model_call import ModelCall, begin, run, run_async
from agent_trace_otel import guard, model_io, semconv

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from agent_trace_instrumentors._base import Wrapper

_PARAMETERS: Final = ("model", "contents", "config")
_PORTS: Final = {"http": 80, "https": 443}
_CALL: Final = context_api.create_key("agent-trace-google-genai-call")


class _Call(GeneratorCall):
    """A call, which may fail with an APIError, or because the client can't read the answer, which has cost as much."""

    def __init__(self, span: Span, loan: Loan | None = None) -> None:
        super().__init__(span, loan)
        self.context = context_api.set_value(_CALL, self, self.context)
        self.received: Any = None
        """What the client's HTTP layer gave: a response with its body."""

    def failure(self, error: BaseException) -> dict[str, Any]:
        """Return the status that an APIError has, or the answer that could not be read."""
        status = getattr(error, "code", None)
        told = {semconv.HTTP_RESPONSE_STATUS_CODE: status} if isinstance(status, int) else {}
        return {**model_io.read_response(_parsed(getattr(self.received, "body", None))), **told}


def _parsed(body: object) -> object:
    if not isinstance(body, (str, bytes)):
        return None
    try:
        value: object = json.loads(body)
    except ValueError:
        return None
    return value


def _around_request(_original: Callable[..., Any]) -> Wrapper:
    def request(
        wrapped: Callable[..., Any], _instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        result = wrapped(*args, **kwargs)
        _note(result)
        return result

    return request


def _around_async_request(_original: Callable[..., Any]) -> Wrapper:
    async def request(
        wrapped: Callable[..., Awaitable[Any]], _owner: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        result = await wrapped(*args, **kwargs)
        _note(result)
        return result

    return request


def _note(result: object) -> None:
    call = context_api.get_value(_CALL)
    if isinstance(call, _Call):
        call.received = result


class _Asked:
    """How one method of the client asks a model: what its wrappers, sync and async, begin a call with."""

    def __init__(self, operation: str, *, is_stream: bool = False) -> None:
        self._operation = operation
        self._attributes: dict[str, Any] = {semconv.REQUEST_STREAM: True} if is_stream else {}

    def around(self, _original: Callable[..., Any]) -> Wrapper:
        """Trace a method that returns an answer or a generator."""

        def ask(wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
            return run(self._begin(instance, args, kwargs), wrapped, args, kwargs)

        return ask

    def around_async(self, _original: Callable[..., Any]) -> Wrapper:
        """Trace a coroutine function that returns an answer or an async generator."""

        async def ask(
            wrapped: Callable[..., Awaitable[Any]], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> object:
            return await run_async(self._begin(instance, args, kwargs), wrapped, args, kwargs)

        return ask

    def _begin(self, models: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ModelCall | None:  # noqa: ANN401 - a Models
        try:
            client = models._api_client  # noqa: SLF001 - it has no other name
            return begin(
                {**dict(zip(_PARAMETERS, args, strict=False)), **kwargs},
                kind=_Call,
                provider="gcp.vertex_ai" if client.vertexai else "gcp.gemini",
                operation=self._operation,
                attributes={**self._attributes, **_server(client)},
            )
        except Exception as error:  # noqa: BLE001 - never the user's problem
            guard.report("trace a call of Gemini", error)
            return None


def _server(client: Any) -> dict[str, Any]:  # noqa: ANN401 - a BaseApiClient
    parts = urlsplit(str(client._http_options.base_url))  # noqa: SLF001 - it has no other name
    port = parts.port or _PORTS.get(parts.scheme)
    return {semconv.SERVER_ADDRESS: parts.hostname or "", **({} if port is None else {semconv.SERVER_PORT: port})}


_GENERATE = _Asked(semconv.GENERATE_CONTENT)
_STREAM = _Asked(semconv.GENERATE_CONTENT, is_stream=True)
_EMBED = _Asked(semconv.EMBEDDINGS)


class GoogleGenaiInstrumentor(Instrumentor):
    """One span a request to a model: what was asked and answered, tokens, tool calls, failure."""

    name = "google_genai"
    library = Library("google-genai", oldest=(1, 32), before=(4,))
    targets = (
        Target("google.genai.models", "Models._generate_content", _GENERATE.around),
        Target("google.genai.models", "Models._generate_content_stream", _STREAM.around),
        Target("google.genai.models", "Models.embed_content", _EMBED.around),
        Target("google.genai.models", "AsyncModels._generate_content", _GENERATE.around_async),
        Target("google.genai.models", "AsyncModels._generate_content_stream", _STREAM.around_async),
        Target("google.genai.models", "AsyncModels.embed_content", _EMBED.around_async),
        Target("google.genai._api_client", "BaseApiClient.request", _around_request),
        Target("google.genai._api_client", "BaseApiClient.async_request", _around_async_request),
    )
