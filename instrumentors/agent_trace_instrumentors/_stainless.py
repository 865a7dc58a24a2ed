"""Clients that the generator Stainless makes: the one method that every request comes by -> spans.

Called by `openai`, `anthropic` and `stainless`, whose libraries share a shape: ``_base_client.SyncAPIClient.request``
sends whatever a resource's method asks for, retries included, and gives the parsed answer, a ``Stream``, or, for
``with_raw_response`` and ``with_streaming_response``, an object around the HTTP response. So create, parse, stream, the
beta helpers and the tool runners are one span a request without a word about any of them.

A stream is followed where it is made: ``Stream.__stream__`` gives the chunks, whoever iterates (the user, a helper on
top of it, a stream parsed out of a raw response), and the HTTP response's body tells when it was closed or dropped. The
user's objects stay what they are.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as context_api

from agent_trace_instrumentors import _model_call as model_call
from agent_trace_instrumentors._base import Target
from agent_trace_instrumentors._http_body import ReceivedBody, WatchedBody, is_events, parsed, read_events
from agent_trace_instrumentors._loan import Loan
from agent_trace_instrumentors._stream import AsyncStream, Watch, has_method
from agent_trace_otel import guard, model_io, semconv, spans

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from agent_trace_instrumentors._base import Wrapper

_REQUEST: Final = context_api.create_key("agent-trace-client-request")
_HTTP_PORTS: Final = {"http": 80, "https": 443}

BATCHES: Final = (
    (re.compile(r"^POST .*/batches$"), "batches.create"),
    (re.compile(r"^GET .*/batches$"), "batches.list"),
    (re.compile(r"^POST .*/batches/[^/]+/cancel$"), "batches.cancel"),
    (re.compile(r"^GET .*/batches/[^/]+$"), "batches.retrieve"),
)
"""Requests about batches, as OpenAI has them and those who are compatible."""


@dataclass(frozen=True, slots=True)
class Client:
    """One client library.

    Args:
        package: the package's import name.
        provider: the value of gen_ai.provider.name for its own servers, and for those that nobody knows.
        operations: the end of a POST's path -> the operation of ``semconv.MODEL_OPERATIONS``.
        plain: patterns of ``METHOD path`` that are told as requests and are no model calls -> the span's name.
        providers: whole labels (or from a ``-`` on) that a host's name ends in, or ``:port``, -> who answers there.
        classes: a client's class, or one that it is of -> who answers it.
    """

    package: str
    provider: str
    operations: Mapping[str, str]
    plain: Sequence[tuple[re.Pattern[str], str]] = ()
    providers: Mapping[str, str] = field(default_factory=dict[str, str])
    classes: Mapping[str, str] = field(default_factory=dict[str, str])

    def targets(self) -> tuple[Target, ...]:
        """Return what is wrapped of the library."""
        base, streaming = f"{self.package}._base_client", f"{self.package}._streaming"
        return (
            Target(base, "SyncAPIClient.request", self._around_request),
            Target(base, "AsyncAPIClient.request", self._around_async_request),
            # finish what a request started
            Target(streaming, "Stream.__stream__", _around_chunks, while_suppressed=True),
            Target(streaming, "AsyncStream.__stream__", _around_async_chunks, while_suppressed=True),
        )

    def _around_request(self, _original: Callable[..., Any]) -> Wrapper:
        def request(
            wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> Any:  # noqa: ANN401 - the client's own values
            return model_call.run(self._begin(instance, args, kwargs), wrapped, args, kwargs)

        return request

    def _around_async_request(self, _original: Callable[..., Any]) -> Wrapper:
        async def request(
            wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> Any:  # noqa: ANN401 - the client's own values
            return await model_call.run_async(self._begin(instance, args, kwargs), wrapped, args, kwargs)

        return request

    def _begin(self, client: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> model_call.ModelCall | None:
        try:
            if not spans.traces_here():
                return None
            return self._begun(client, kwargs["options"] if "options" in kwargs else args[1])
        except Exception as error:  # noqa: BLE001 - never the user's problem
            guard.report("trace a request", error)
            return None

    def _begun(self, client: Any, options: Any) -> model_call.ModelCall | None:  # noqa: ANN401 - the client and its FinalRequestOptions
        path = str(options.url).partition("?")[0].rstrip("/")
        method = str(options.method).upper()
        operation = next((made for end, made in self.operations.items() if path.endswith(end)), None)
        if method != "POST" or operation is None:
            return self._begun_plain(client, method, path)
        body = options.json_data
        extra = getattr(options, "extra_json", None)
        asked: dict[str, Any] = {**(body if isinstance(body, Mapping) else {}), **(extra or {})}
        call = model_call.begin(
            asked, kind=ClientCall, provider=self.provider_of(client), operation=operation, attributes=_server(client)
        )
        if call is not None:
            call.client = client
            call.see_before_parsing(options)
        return call

    def _begun_plain(self, client: Any, method: str, path: str) -> model_call.ModelCall | None:  # noqa: ANN401 - the client
        asked = f"{method} {path}"
        name = next((name for pattern, name in self.plain if pattern.search(asked)), None)
        if name is None:
            return None
        span = spans.start_plain(name, {semconv.PROVIDER_NAME: self.provider_of(client), **_server(client)})
        if span is None:
            return None
        request = _PlainRequest(span)
        request.client = client
        return request

    def provider_of(self, client: Any) -> str:  # noqa: ANN401 - the client
        """Return who answers, as far as the client's class and the address tell."""
        named = (self.classes.get(kind.__name__) for kind in type(client).__mro__)
        by_class = next(filter(None, named), None)
        if by_class is not None:
            return by_class
        url = client.base_url
        host, port = f".{url.host}", f":{url.port}"
        ends = ((end if end[0] in ":-" else f".{end}", provider) for end, provider in self.providers.items())
        return next((provider for end, provider in ends if port == end or host.endswith(end)), self.provider)


def _server(client: Any) -> dict[str, Any]:  # noqa: ANN401 - the client
    url = client.base_url
    port = url.port or _HTTP_PORTS.get(str(url.scheme))
    return {semconv.SERVER_ADDRESS: str(url.host), **({} if port is None else {semconv.SERVER_PORT: int(port)})}


# -- calls -------------------------------------------------------------------------------------------------------


class ClientRequest(model_call.ModelCall):
    """One request of a client, known in its context to those who look from inside of it.

    Attributes:
        client: the client that sends it.
        is_joined: whether the client's own tracing has joined its span.
    """

    def __init__(self, span: Span, loan: Loan | None = None) -> None:
        super().__init__(span, loan)
        self.context = context_api.set_value(_REQUEST, self, self.context)
        self.client: Any = None
        self.is_joined = False


def current_request() -> ClientRequest | None:
    """Return the request that is being sent here."""
    request = context_api.get_value(_REQUEST)
    return request if isinstance(request, ClientRequest) else None


class ClientCall(ClientRequest):
    """A model call whose result may be an answer, a stream, or an object around the HTTP response."""

    def __init__(self, span: Span, loan: Loan | None = None) -> None:
        super().__init__(span, loan)
        self._seen: object = None
        self._received: ReceivedBody | None = None

    def see_before_parsing(self, options: Any) -> None:  # noqa: ANN401 - the client's FinalRequestOptions
        """Note the answer before a helper parses it: one that can't be parsed has cost as much, and raises."""
        parse = getattr(options, "post_parser", None)
        if callable(parse) and not isinstance(parse, type):

            def seen(answer: object) -> object:
                self._seen = answer
                return parse(answer)

            options.post_parser = seen

    def take(self, result: Any) -> Any:  # noqa: ANN401 - the client's own values
        """Take what the client's ``request`` returned, and return it."""
        is_stream = has_method(result, "__stream__")
        response = result.response if is_stream else getattr(result, "http_response", result)
        if not hasattr(response, "is_stream_consumed"):
            self.answered(result if self._seen is None else self._seen)
        elif is_stream or not response.is_closed:
            self._received = ReceivedBody(response)
            watch = Watch(self)
            response.stream = WatchedBody(response.stream, watch, self.receive)
            watch.end_with(response)
        else:
            self._read(response.content, response.headers)
        return result

    def receive(self, piece: bytes) -> None:
        """Take a piece of a body that the program reads itself."""
        if self._first is None:
            self._first = time.perf_counter() - self._started
        if self._received is not None:
            self._received.add(piece)

    def end(self, *, is_abandoned: bool) -> None:
        """End the call with its stream, or with the body that the program has read itself."""
        received = self._received
        if self._reading is None and received is not None and received.pieces and not is_abandoned:
            self._read(received.decoded(), received.headers)
        else:
            super().end(is_abandoned=is_abandoned)

    def streamed(self) -> dict[str, Any]:
        """Return what has come so far, in chunks or as bytes."""
        received = self._received
        if self._reading is None and received is not None and received.pieces:
            self._reading = read_events(received.decoded())
        return super().streamed()

    def _read(self, body: bytes, headers: Mapping[str, str]) -> None:
        """End the call with a body that nobody has parsed."""
        if is_events(body, headers):
            self._reading = read_events(body)
            super().end(is_abandoned=False)
        else:
            self.answered(parsed(body))

    def failure(self, error: BaseException) -> dict[str, Any]:
        """Return what an API error tells, and the answer that could not be parsed."""
        seen = self._seen if self._seen is not None else getattr(error, "completion", None)
        told: dict[str, object] = {
            semconv.HTTP_RESPONSE_STATUS_CODE: getattr(error, "status_code", None),
            semconv.REQUEST_ID: getattr(error, "request_id", None),
            semconv.ERROR_CODE: _code_of(error),
        }
        known = {name: value for name, value in told.items() if isinstance(value, (int, str))}
        return {**({} if seen is None else model_io.read_response(seen)), **known}


def _code_of(error: BaseException) -> str | None:
    """Return what the provider calls an error: most clients take the envelope off its body, the first kept nothing."""
    body: object = getattr(error, "body", None)
    content = _content_of(getattr(error, "response", None))
    for said in (body, {"error": body}, parsed(content) if isinstance(content, bytes) else None):
        failure = model_io.read_failure(said)
        if failure is not None and failure[0] != "error":
            return failure[0]
    return None


def _content_of(response: Any) -> object:  # noqa: ANN401 - an HTTP response
    try:
        return response.content
    except Exception:  # noqa: BLE001 - that of a stream is not there
        return None


class _PlainRequest(ClientRequest):
    """A request to a model's provider that asks no model: it has no usage, whatever its answer repeats."""

    def take(self, result: Any) -> Any:  # noqa: ANN401 - the client's own values
        self.finish({})
        return result


# -- streams -----------------------------------------------------------------------------------------------------


def _around_chunks(_original: Callable[..., Any]) -> Wrapper:
    def chunks(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - a Stream
        return _followed(wrapped(*args, **kwargs), instance.response)

    return chunks


def _around_async_chunks(_original: Callable[..., Any]) -> Wrapper:
    def chunks(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - an AsyncStream
        return _AsyncChunks(wrapped(*args, **kwargs), instance.response)

    return chunks


class _Nobody:
    """The hooks of a stream that is not traced."""

    def chunk(self, item: object) -> None:
        """Take nothing."""

    def end(self, *, is_abandoned: bool) -> None:
        """Take nothing."""

    def error(self, error: BaseException) -> None:
        """Take nothing."""


_UNWATCHED: Final = Watch(_Nobody())
_UNWATCHED.end()


def _watch_of(response: Any) -> Watch:  # noqa: ANN401 - an HTTP response
    """Return who watches a response; a stream is made before anybody does, so this is asked at its first step."""
    body = getattr(response, "stream", None)
    return body.agent_trace_watch if isinstance(body, WatchedBody) else _UNWATCHED


def _followed(chunks: Any, response: Any) -> Iterator[Any]:  # noqa: ANN401 - a generator, an HTTP response
    """Do what `SyncStream` does to the generator of a stream's chunks, as the generator that the stream expects.

    One that is dropped drops ``chunks``, which closes the response.
    """
    watch = _watch_of(response)
    del response
    while True:
        watch.is_stepping = True
        try:
            item = next(chunks)
        except StopIteration:
            watch.is_stepping = False
            watch.end()
            return
        except BaseException as error:
            watch.is_stepping = False
            watch.error(error)
            raise
        watch.is_stepping = False
        watch.chunk(item)
        try:
            yield item
        except GeneratorExit:
            chunks.close()
            raise


class _AsyncChunks(AsyncStream):
    """The generator of an async stream's chunks; another async generator around it would be closed beside it."""

    def __init__(self, chunks: object, response: object) -> None:
        super().__init__(chunks, _UNWATCHED)
        self._self_response: object = response

    async def __anext__(self) -> Any:  # noqa: ANN401 - the client's own values
        if self._self_response is not None:
            self._self_watch, self._self_response = _watch_of(self._self_response), None
        return await super().__anext__()
