"""What a client is told: OTLP's own answers in the encoding that it speaks, plain text for everything else.

Comes in: what became of a request. Goes out: `Answer`. Pure; called by `serving`. The rules are those of the OTLP
specification, "OTLP/HTTP Response": a good answer and a refusal have the request's own encoding, a refusal is a
google.rpc.Status, and 503 asks for the request again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # googleapis-common-protos has no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTracePartialSuccess as Partial
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
ENCODINGS: Final = (PROTOBUF, JSON)

_RETRYABLE: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_RPC_CODES: Final = {413: 8, 429: 8, 503: 14}  # google.rpc.Code: RESOURCE_EXHAUSTED, UNAVAILABLE
_INVALID_ARGUMENT: Final = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    ``closes`` says that the rest of the request was not read, so that nothing more can come over the connection.
    """

    status: HTTPStatus
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    closes: bool = False


class RefusedError(Exception):
    """A request that can't be taken; the message is for the client.

    Args:
        status: the HTTP status.
        message: why, in one sentence.
        retry_after: seconds after which the client may try again, where it may.
    """

    def __init__(self, status: HTTPStatus, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


def accepted(content_type: str, rejected: int = 0, reason: str = "") -> Answer:
    """Return the answer to spans that were taken, all but ``rejected`` of them.

    An answer without a partial success is an empty message, which is the same for spans, logs and metrics.
    """
    if content_type == JSON:
        told = {"partialSuccess": {"rejectedSpans": str(rejected), "errorMessage": reason}} if rejected else {}
        return Answer(HTTPStatus.OK, JSON, json.dumps(told).encode())
    message = ExportTraceServiceResponse()
    if rejected:
        message.partial_success.CopyFrom(Partial(rejected_spans=rejected, error_message=reason))
    return Answer(HTTPStatus.OK, PROTOBUF, message.SerializeToString())


def refused(error: RefusedError, content_type: str, *, closes: bool) -> Answer:
    """Return the answer to a request that was not taken."""
    headers = {"Retry-After": str(error.retry_after)} if error.status in _RETRYABLE else {}
    code = _RPC_CODES.get(error.status, _INVALID_ARGUMENT)
    if content_type == JSON:
        body = json.dumps({"code": code, "message": str(error)}).encode()
    elif content_type == PROTOBUF:
        body = Status(code=code, message=str(error)).SerializeToString()
    else:
        return text(error.status, str(error), closes=closes)
    return Answer(error.status, content_type, body, headers, closes)


def text(status: HTTPStatus, message: str, *, headers: Mapping[str, str] | None = None, closes: bool = False) -> Answer:
    """Return an answer in plain text."""
    return Answer(status, "text/plain; charset=utf-8", f"{message}\n".encode(), headers or {}, closes)
