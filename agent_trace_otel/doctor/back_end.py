"""The back end, as doctor sees it: one test span is sent there, and the answer is told in plain words.

Comes in: a `Target`. Goes out: facts and their section. Called by `report` when a back end is named; this module loads
what sending needs only when it sends.
"""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from agent_trace_otel import semconv
from agent_trace_otel.delivery import vendors
from agent_trace_otel.delivery.otlp import shown_url
from agent_trace_otel.doctor.section import Section

if TYPE_CHECKING:
    from agent_trace_otel.delivery.target import Target

SPAN_NAME: Final = "agent-trace doctor"
SERVICE_NAME: Final = "agent-trace-doctor"
_TIMEOUT: Final = 5.0
_TIMEOUT_VARIABLES: Final = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
_GRPC_PORT: Final = 4317


@dataclass(frozen=True, slots=True)
class BackEndFacts:
    """What became of one test span."""

    url: str
    """Final, without keys."""
    ok: bool = False
    status: int = 0
    """Of the HTTP answer; 0 when there was none."""
    said: str = ""
    """What the back end, or the way to it, said; a line."""
    meaning: str = ""
    """That in plain words, and what to do."""
    milliseconds: float = 0.0
    trace_id: str = ""
    vendor: str = ""


def look_at_back_end(target: Target, *, timeout: float | None = None) -> BackEndFacts:
    """Send one span, without trying again, and tell what happened.

    Args:
        target: the back end.
        timeout: seconds to wait for it; by default five, unless OTEL_EXPORTER_OTLP_TIMEOUT says otherwise.
    """
    from contextlib import closing

    from agent_trace_otel.delivery.post import Connection, Verdict

    if timeout is None and not any(os.environ.get(name) for name in _TIMEOUT_VARIABLES):
        timeout = _TIMEOUT
    trace_id, body = _test_span()
    began = time.monotonic()
    with closing(Connection(target, timeout=timeout)) as connection:
        answer = connection.post(body)
    ok = answer.verdict is Verdict.TAKEN
    return BackEndFacts(
        shown_url(target.url),
        ok=ok,
        status=answer.status,
        said=answer.reason,
        meaning="" if ok else meaning_of(answer.status, answer.reason, target),
        milliseconds=round((time.monotonic() - began) * 1000, 1),
        trace_id=trace_id,
        vendor=target.vendor,
    )


def section_of_back_end(found: BackEndFacts) -> Section:
    """Return what there is to say of the back end."""
    lines = [("url", found.url)]
    if found.ok:
        took = f"took a test span in {found.milliseconds:.0f} ms (HTTP {found.status})"
        lines += [("answer", took), ("trace id", found.trace_id)]
        if found.vendor:
            lines.append(("shows", vendors.named(found.vendor).recognises))
        notes = (f"it says: {found.said}",) if found.said else ()
        return Section("back end", tuple(lines), asdict(found), notes=notes)
    lines.append(("answer", found.said or f"HTTP {found.status}"))
    return Section("back end", tuple(lines), asdict(found), (f"{found.url} took no span: {found.meaning}",))


def meaning_of(status: int, said: str, target: Target) -> str:
    """Return an answer in plain words, with what to do; ``status`` 0 is no answer at all.

    Args:
        status: of HTTP.
        said: the answer, or the error in its place, on a line.
        target: that was asked.
    """
    if not status:
        return _no_answer(said, target)
    if status in _STATUSES:
        return _STATUSES[status].format(**_words(target))
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return "it sends elsewhere, and keys are not sent after it: use the address that it names"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"it has trouble of its own (HTTP {status}); spans stay in the session folder until it takes them"
    if status == HTTPStatus.OK and "refused" in said:
        return f"it answered, but refused the span: {said}"
    if status == HTTPStatus.OK:
        return "something answers there, but not OTLP: a user interface, a proxy's page, or the wrong path"
    return f"it answered HTTP {status}, which OTLP doesn't know: is that the right address?"


_STATUSES: Final = {
    400: "it understood the request, but not what is in it: is that its OTLP address?",
    401: "{keys}",
    403: "{keys}, or is it another region or site?",
    404: "there is nothing at the path {path}: a base URL such as http://localhost:4318 gets the right one",
    405: "{path} takes no POST: the address of a user interface, or the wrong path",
    406: "it doesn't answer in protobuf: is that its OTLP address?",
    408: "it waited in vain for the request: try again",
    411: "it wants another kind of request: a proxy that is no OTLP receiver?",
    413: "it takes less than even one small span: a proxy in between limits the size of requests",
    415: "it doesn't take protobuf: that is not its OTLP/HTTP address",
    429: "it takes nothing just now, since it gets too much; what waits is sent later",
}
_OTHER_SPEECH: Final = "{host}:{port} speaks something else than HTTP/1.1, such as gRPC or https"
_PHRASES: Final = (
    (
        ("name or service not known", "nodename nor servname", "name resolution", "getaddrinfo failed"),
        "the name {host} is not known to DNS: a typing error, or no network",
    ),
    (
        ("connection refused", "actively refused"),
        "nobody listens at {host}:{port}: is it running, and is that its port?",
    ),
    (("certificate verify failed",), "its certificate is not trusted: OTEL_EXPORTER_OTLP_CERTIFICATE names a CA file"),
    (("wrong_version_number", "wrong version number", "record layer"), "it speaks plain HTTP: use http://"),
    (("ssl", "tls"), "the encrypted connection fails: is it https there at all?"),
    (("network is unreachable", "no route to host"), "there is no way to {host} from here: no network, or a VPN"),
    (("timed out", "timeout"), "no answer from {host}:{port} in time: a firewall, or the wrong port"),
    (("closed connection", "connection aborted", "reset by peer", "broken pipe"), _OTHER_SPEECH),
)


def _no_answer(said: str, target: Target) -> str:
    words, lowered = _words(target), said.lower()
    if urlsplit(target.url).port == _GRPC_PORT:
        return "port 4317 is for gRPC, which is not spoken here: OTLP over HTTP is usually on port 4318"
    for phrases, meaning in _PHRASES:
        if any(phrase in lowered for phrase in phrases):
            return meaning.format(**words)
    # bytes that are no HTTP leave nothing to say after that
    return said if said.removeprefix("no answer:").strip() else _OTHER_SPEECH.format(**words)


def _words(target: Target) -> dict[str, str]:
    parts = urlsplit(target.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    keys = "it refuses the key"
    if target.key_names:
        keys += f" of {' and '.join(target.key_names)}: is it whole, and may it write traces"
    elif not target.headers:
        keys = "it wants a key: is --to or --header missing"
    return {"host": parts.hostname or "", "port": str(port), "path": parts.path or "/", "keys": keys}


def _test_span() -> tuple[str, bytes]:
    """Return a trace id and a request with one span of no length."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    trace_id, now = secrets.token_bytes(16), time.time_ns()
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    service = resource_spans.resource.attributes.add()
    service.key, service.value.string_value = semconv.SERVICE_NAME, SERVICE_NAME
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "agent_trace_otel.doctor"
    scope_spans.spans.add(
        trace_id=trace_id,
        span_id=secrets.token_bytes(8),
        name=SPAN_NAME,
        kind=1,
        start_time_unix_nano=now,
        end_time_unix_nano=now,
        flags=1,
    )
    return trace_id.hex(), request.SerializeToString()
