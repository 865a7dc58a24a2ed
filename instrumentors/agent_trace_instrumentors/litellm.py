"""The litellm package -> one span a call: completion, text_completion, embedding, responses, and their async twins.

Comes in: calls of the package's functions, the router's among them. Goes out: spans with what litellm answers, made
more exact by the client below it: a call of the openai package that litellm makes fills this span and has none of its
own. Switched on by ``agent_trace_otel.instrument()``.

With litellm's own OpenTelemetry callback on, litellm tells its calls itself, and nothing is made here. Its interface
for callbacks is not used to make spans: it tells of the end of a call in another thread, later, and never of the end of
a stream that is left.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as context_api

from agent_trace_instrumentors._base import Instrumentor, Library, Target
from agent_trace_instrumentors._loan import Loan
from agent_trace_instrumentors._model_call import ModelCall, begin, run, run_async
from agent_trace_instrumentors._stream import AsyncStream, SyncStream, Watch, has_method
from agent_trace_otel import guard, model_io, semconv

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from agent_trace_instrumentors._base import Wrapper

_INSIDE: Final = context_api.create_key("agent-trace-litellm")

_PROVIDERS: Final = {
    "anthropic": "anthropic",
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "deepseek": "deepseek",
    "gemini": "gcp.gemini",
    "groq": "groq",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "ollama": "ollama",
    "ollama_chat": "ollama",
    "openai": "openai",
    "perplexity": "perplexity",
    "text-completion-openai": "openai",
    "vertex_ai": "gcp.vertex_ai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""litellm's word for a provider -> the convention's; any other stands for itself."""


class _Call(ModelCall):
    """A call that lends its span to the client below, and tells what both know."""

    stand_in: type[SyncStream | AsyncStream] = SyncStream  # litellm's stream is both kinds at once

    def __init__(self, span: Span, loan: Loan | None = None) -> None:
        super().__init__(span, loan)
        self._lent = Loan(span)
        self.context = context_api.set_value(_INSIDE, self, self._lent.context())
        self._kept: Iterable[object] = ()

    def take(self, result: Any) -> Any:  # noqa: ANN401 - the client's own values
        """Take an answer, or a stream, whose request may be made at its first step."""
        if not has_method(result, "__next__", "__anext__"):
            self.answered(result)
            return result
        watch = Watch(self, self.context)
        self._kept = getattr(result, "chunks", ())  # not the stream itself: it is to become garbage
        stand_in = self.stand_in(result, watch)
        watch.end_with(stand_in)  # litellm keeps the stream itself for longer than the program does
        return stand_in

    def answered(self, answer: object) -> None:
        """End the call with its whole answer, which says who gave it."""
        hidden: Any = getattr(answer, "_hidden_params", None)
        provider: object = hidden.get("custom_llm_provider") if issubclass(type(hidden), dict) else None
        found = model_io.read_response(answer)
        if isinstance(provider, str):
            found[semconv.PROVIDER_NAME] = _PROVIDERS.get(provider, provider)
        self.finish(found)

    def streamed(self) -> dict[str, Any]:
        """Return what the chunks tell, and what litellm keeps of them for itself: the usage that nobody asked for."""
        found = super().streamed()
        if semconv.USAGE_OUTPUT_TOKENS not in found:
            found |= _usage_of(self._kept)
        return found

    def failure(self, error: BaseException) -> dict[str, Any]:
        """Return the status that the provider answered with."""
        status = getattr(error, "status_code", None)
        return {semconv.HTTP_RESPONSE_STATUS_CODE: status} if isinstance(status, int) else {}

    def finish(self, attributes: dict[str, Any], **how: Any) -> None:
        """End the call; the client below knows its answer best, this call what the program has seen of it."""
        of_stream = (semconv.CHUNKS, semconv.RESPONSE_TIME_TO_FIRST_CHUNK)
        seen = {name: attributes[name] for name in of_stream if name in attributes}
        super().finish({**attributes, **self._lent.attributes, **seen}, **how)


class _AsyncCall(_Call):
    stand_in = AsyncStream


def _usage_of(chunks: Iterable[object]) -> dict[str, int]:
    """Return the counts of chunks that have some; a provider counts input first and output last."""
    found: dict[str, int] = {}
    for chunk in chunks:
        usage = getattr(chunk, "usage", None)
        if usage is not None:
            told = model_io.read_response({"object": "chat.completion", "choices": [], "usage": usage})
            for name, count in told.items():
                found[name] = max(count, found.get(name, 0))
    return {name: count for name, count in found.items() if count}


# -- around the package's functions ------------------------------------------------------------------------------


def _begin(
    kind: type[_Call], operation: str, names: tuple[str, ...], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> ModelCall | None:
    if context_api.get_value(_INSIDE) or _tells_itself():
        return None
    try:
        asked: dict[str, Any] = {**dict(zip(names, args, strict=False)), **kwargs}
        model: object = asked.get("model")
        named: object = asked.get("custom_llm_provider")
        provider: str | None = str(named) if named else None
        if isinstance(model, str):
            route, slash, rest = model.partition("/")
            if slash and (provider is None or provider == route) and route in _PROVIDERS:
                provider, asked["model"] = route, rest
        return begin(
            asked,
            kind=kind,
            operation=operation,
            provider=None if provider is None else _PROVIDERS.get(provider, provider),
        )
    except Exception as error:  # noqa: BLE001 - never the user's problem
        guard.report("trace a litellm call", error)
        return None


def _tells_itself() -> bool:
    """Tell whether litellm's OpenTelemetry callback is on."""
    package = sys.modules.get("litellm")
    for name in ("callbacks", "success_callback", "_async_success_callback"):
        for callback in getattr(package, name, None) or ():
            if callback == "otel" or type(callback).__name__ in ("OpenTelemetry", "OpenTelemetryV2"):
                return True
    return False


def _around(operation: str, *names: str) -> Callable[[Callable[..., Any]], Wrapper]:
    def around(_original: Callable[..., Any]) -> Wrapper:
        def ask(wrapped: Callable[..., Any], _module: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
            return run(_begin(_Call, operation, names, args, kwargs), wrapped, args, kwargs)

        return ask

    return around


def _around_async(operation: str, *names: str) -> Callable[[Callable[..., Any]], Wrapper]:
    def around(_original: Callable[..., Any]) -> Wrapper:
        async def ask(
            wrapped: Callable[..., Awaitable[Any]], _module: object, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> object:
            return await run_async(_begin(_AsyncCall, operation, names, args, kwargs), wrapped, args, kwargs)

        return ask

    return around


_FUNCTIONS: Final = (
    ("completion", semconv.CHAT, ("model", "messages")),
    ("text_completion", semconv.TEXT_COMPLETION, ("prompt", "model")),
    ("embedding", semconv.EMBEDDINGS, ("model", "input")),
    ("responses", semconv.CHAT, ("input", "model")),
)


def _targets() -> Iterable[Target]:
    for function, operation, names in _FUNCTIONS:
        yield Target("litellm", function, _around(operation, *names))
        yield Target("litellm", f"a{function}", _around_async(operation, *names))


class LitellmInstrumentor(Instrumentor):
    """One span a call, whoever answers it."""

    name = "litellm"
    library = Library("litellm", oldest=(1, 80), before=(2,))
    targets = tuple(_targets())
