"""Amazon Bedrock through botocore (boto3, aiobotocore) -> one span a model call.

Comes in: Converse, ConverseStream, InvokeModel and InvokeModelWithResponseStream of ``bedrock-runtime`` clients; calls
of other services pass by. Goes out: spans with what `model_io` reads of each model's JSON. Switched on by
``agent_trace_otel.instrument()``.

An answer of InvokeModel lies in a body that the program reads itself, so the span ends when it has been read; the
headers count tokens for models whose answers don't. Guardrails, CountTokens and the asynchronous jobs ask no model here
and now; the two-way stream of Nova Sonic is no request with an answer. None of them is traced.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from agent_trace_instrumentors import _bedrock_bodies as bodies
from agent_trace_instrumentors._base import Instrumentor, Library, Target
from agent_trace_instrumentors._model_call import ModelCall, begin, run, run_async
from agent_trace_instrumentors._stream import Watch
from agent_trace_otel import guard, model_io, semconv

if TYPE_CHECKING:
    from agent_trace_instrumentors._base import Wrapper

_SERVICE: Final = "bedrock-runtime"
_COUNTS: Final = (
    (semconv.USAGE_INPUT_TOKENS, "input-token-count"),
    (semconv.USAGE_OUTPUT_TOKENS, "output-token-count"),
)


class _Call(ModelCall):
    """A call whose answer may lie in a stream or a body inside the result."""

    _metadata: Mapping[str, Any] = {}

    def take(self, result: Any) -> Any:  # noqa: ANN401 - the client's own values
        """Take the parsed answer; what is still to be read of it gets a stand-in."""
        self._metadata = result.get("ResponseMetadata") or {}
        if "stream" in result:
            result["stream"] = bodies.events(result["stream"], Watch(self))
        elif "body" not in result:
            self.answered(result)
        elif hasattr(result["body"], "read"):
            length = self._headers().get("content-length")
            result["body"] = bodies.body(result["body"], Watch(_Body(self)), length)
        else:
            result["body"] = bodies.events(result["body"], Watch(self))
        return result

    def finish(self, attributes: dict[str, Any], **how: Any) -> None:
        """End the span with what the headers tell beside the answer."""
        request_id = self._metadata.get("RequestId")
        headers = self._headers()
        for name, header in _COUNTS:
            count = str(headers.get(f"x-amzn-bedrock-{header}", ""))
            if name not in attributes and count.isdecimal():
                attributes[name] = int(count)
        if request_id:
            attributes[semconv.REQUEST_ID] = request_id
        super().finish(attributes, **how)

    def failure(self, error: BaseException) -> dict[str, Any]:
        """Return what a ClientError tells."""
        response = getattr(error, "response", None)
        if not isinstance(response, Mapping):
            return {}
        self._metadata = cast("Mapping[str, Any]", response).get("ResponseMetadata") or {}
        status = self._metadata.get("HTTPStatusCode")
        return {semconv.HTTP_RESPONSE_STATUS_CODE: status} if isinstance(status, int) else {}

    def _headers(self) -> Mapping[str, Any]:
        return self._metadata.get("HTTPHeaders") or {}


class _Body:
    """The hooks of a body that holds one answer: its pieces are parsed together."""

    def __init__(self, call: _Call) -> None:
        self._call = call
        self._pieces = bodies.Pieces()

    def chunk(self, item: bytes) -> None:
        """Take some bytes."""
        self._pieces.add(item)

    def end(self, *, is_abandoned: bool) -> None:
        """End the call with what was read."""
        outcome = semconv.OUTCOME_ABANDONED if is_abandoned else semconv.OUTCOME_OK
        self._call.finish(model_io.read_response(self._pieces.parsed()), outcome=outcome)

    def error(self, error: BaseException) -> None:
        """End the call with what reading raised."""
        self._call.failed(error)


def _begin(client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ModelCall | None:  # noqa: ANN401 - a botocore client
    try:
        meta = client.meta
        if meta.service_model.service_name != _SERVICE:  # every call of every service passes here
            return None
        operation, params = (*args, *kwargs.values())[:2]
        if operation not in _OPERATIONS:
            return None
        attributes = {**_server(meta.endpoint_url), **_OPERATIONS[operation]}
        return begin(params, kind=_Call, provider="aws.bedrock", attributes=attributes)
    except Exception as error:  # noqa: BLE001 - never the user's problem
        guard.report("trace a Bedrock call", error)
        return None


_OPERATIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "Converse": {},
    "ConverseStream": {semconv.REQUEST_STREAM: True},
    "InvokeModel": {},
    "InvokeModelWithResponseStream": {semconv.REQUEST_STREAM: True},
}


def _server(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return {semconv.SERVER_ADDRESS: parts.hostname or "", **({} if port is None else {semconv.SERVER_PORT: port})}


def _around(_original: Callable[..., Any]) -> Wrapper:
    def call(wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        return run(_begin(instance, args, kwargs), wrapped, args, kwargs)

    return call


def _around_async(_original: Callable[..., Any]) -> Wrapper:
    async def call(
        wrapped: Callable[..., Awaitable[Any]], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        return await run_async(_begin(instance, args, kwargs), wrapped, args, kwargs)

    return call


class BedrockInstrumentor(Instrumentor):
    """One span a model call: messages, tools, tokens, why the model stopped, failure."""

    name = "bedrock"
    library = Library("botocore", oldest=(1, 34, 116), before=(2,))  # the first with Converse
    targets = (
        Target("botocore.client", "BaseClient._make_api_call", _around),
        Target("aiobotocore.client", "AioBaseClient._make_api_call", _around_async),
    )
