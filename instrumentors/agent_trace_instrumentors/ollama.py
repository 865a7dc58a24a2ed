"""The ollama package -> one span a call: chat, generate, embed.

Comes in: calls of `ollama.Client` and `ollama.AsyncClient`, and of the module's own client. Goes out: spans with
messages, thinking, tool calls and the counts of the last chunk. Switched on by ``agent_trace_otel.instrument()``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from agent_trace_instrumentors._base import Instrumentor, Library, Target
from agent_trace_instrumentors._generator_call import GeneratorCall
from agent_trace_instrumentors._model_call import ModelCall, begin, run, run_async
from agent_trace_otel import guard, semconv

if TYPE_CHECKING:
    from agent_trace_instrumentors._base import Wrapper

_PROVIDER: Final = "ollama"
_PORTS: Final = {"http": 80, "https": 443}


class _Call(GeneratorCall):
    """A call, which may fail with a ResponseError."""

    def failure(self, error: BaseException) -> dict[str, Any]:
        """Return the status that a ResponseError has; one in the midst of a stream has none."""
        status = getattr(error, "status_code", None)
        return {semconv.HTTP_RESPONSE_STATUS_CODE: status} if isinstance(status, int) and status > 0 else {}


_OPERATIONS: Final = {
    "/api/chat": semconv.CHAT,
    "/api/generate": semconv.TEXT_COMPLETION,
    "/api/embed": semconv.EMBEDDINGS,
    "/api/embeddings": semconv.EMBEDDINGS,
}


def _begin(client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ModelCall | None:  # noqa: ANN401 - an ollama client
    try:
        operation = _OPERATIONS.get(args[-1]) if args else None
        if operation is None:
            return None
        asked: dict[str, Any] = kwargs["json"]
        if asked.get("images"):
            asked = {**asked, "messages": [{"role": "user", "content": asked.get("prompt"), "images": asked["images"]}]}
        return begin(asked, kind=_Call, provider=_PROVIDER, operation=operation, attributes=_server(client))
    except Exception as error:  # noqa: BLE001 - never the user's problem
        guard.report("trace an Ollama call", error)
        return None


def _server(client: Any) -> dict[str, Any]:  # noqa: ANN401 - an ollama client
    url = client._client.base_url  # noqa: SLF001 - the HTTP client has no other name
    port = url.port or _PORTS.get(str(url.scheme))
    return {semconv.SERVER_ADDRESS: str(url.host), **({} if port is None else {semconv.SERVER_PORT: int(port)})}


def _around(_original: Callable[..., Any]) -> Wrapper:
    def request(wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        return run(_begin(instance, args, kwargs), wrapped, args, kwargs)

    return request


def _around_async(_original: Callable[..., Any]) -> Wrapper:
    async def request(
        wrapped: Callable[..., Awaitable[Any]], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        return await run_async(_begin(instance, args, kwargs), wrapped, args, kwargs)

    return request


class OllamaInstrumentor(Instrumentor):
    """One span a call of a model: what was asked and answered, tokens, time to first chunk.

    What is wrapped lies under chat and generate: ``ollama.chat`` is bound once, when the package is imported.
    """

    name = "ollama"
    library = Library("ollama", oldest=(0, 4), before=(1,))
    targets = (
        Target("ollama._client", "Client._request", _around),
        Target("ollama._client", "AsyncClient._request", _around_async),
    )
