"""Sending spans.jsonl over OTLP/HTTP: which URL is meant, and the file sent as it is with a report of what was taken.

Comes in: an endpoint as people write it, and the path of a spans.jsonl file. Goes out: the final URL, requests in OTLP
protobuf with the original ids and times, and a `SendReport`. Called by `pipeline`, by the CLI's export and by `ship`.
What only sending needs (protobuf, requests) is imported by `send_file`.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import SplitResult, urlsplit, urlunsplit

from agent_trace_otel.delivery import vendors
from agent_trace_otel.errors import UsageError
from agent_trace_otel.semconv import SERVICE_NAME
from agent_trace_otel.store.spans_file import SpansReader, parse_line

if TYPE_CHECKING:
    import os

    from agent_trace_otel.delivery.post import Connection
    from agent_trace_otel.delivery.protobuf import Item
    from agent_trace_otel.delivery.target import Target

MAX_SPANS: Final = 512  # the SDK's own batch size
PATIENCE: Final = 10.0

_TRACES_PATHS: Final = ("/v1/traces", "/v2/trace/otlp")
_GRPC_PORT: Final = 4317


def traces_url(endpoint: str) -> str:
    """Return the URL that spans are posted to.

    An endpoint is a base URL, to which /v1/traces is added as OTEL_EXPORTER_OTLP_ENDPOINT has it (OTLP exporter
    specification, "Endpoint URLs for OTLP/HTTP"), unless its path already ends in /v1/traces or /v2/trace/otlp. Where
    there is no path at all and the host is a vendor's (`vendors`), the path is the vendor's.

        traces_url("http://localhost:4318")  # "http://localhost:4318/v1/traces"

    Raises:
        UsageError: it is no http or https URL, or a vendor's host that takes no spans.
    """
    endpoint = endpoint.strip()
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        usable = usable and not re.search(r"[\s\ud800-\udfff]", endpoint)
    except ValueError:  # an unclosed bracket, a port that is no number
        parts, usable = urlsplit(""), False
    if not usable:
        msg = f"{_without_secrets(endpoint)!r} is no OTLP endpoint: it must be a URL such as http://localhost:4318"
        raise UsageError(msg)
    path = parts.path.rstrip("/")
    of_host = vendors.path_at(parts.hostname or "")
    if path.endswith(_TRACES_PATHS):
        return urlunsplit(parts._replace(fragment=""))
    return urlunsplit(parts._replace(path=path + _TRACES_PATHS[0] if path else of_host, fragment=""))


def protocol_warning(url: str, protocol: str | None) -> str | None:
    """Return one line when the endpoint or OTEL_EXPORTER_OTLP_PROTOCOL asks for what is not spoken here, else None."""
    spoken = f"sending http/protobuf to {shown_url(url)}"
    if protocol not in (None, "", "http/protobuf"):
        return f"OTLP protocol {protocol!r} is not supported; {spoken}"
    if urlsplit(url).port == _GRPC_PORT:
        return (
            f"port {_GRPC_PORT} is usually OTLP over gRPC, which is not supported (http is usually on 4318); {spoken}"
        )
    return None


def target_name(url: str) -> str:
    """Return the name of a back end in file names: host[-port] and 8 hex digits that tell its paths apart.

    Neither user info nor query nor headers count, so a new key does not make another target.

        target_name("https://api.example.com/v1/traces?key=1")  # "api.example.com-" and 8 hex digits
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    name = re.sub(r"[^A-Za-z0-9.-]", "-", host if parts.port is None else f"{host}-{parts.port}")
    return f"{name[:200]}-{hashlib.sha256(shown_url(url).encode()).hexdigest()[:8]}"


def shown_url(url: str) -> str:
    """Return the URL without user info, query and fragment, which may hold keys."""
    parts = urlsplit(url)
    return urlunsplit(SplitResult(parts.scheme, parts.netloc.rpartition("@")[2].lower(), parts.path, "", ""))


def _without_secrets(endpoint: str) -> str:
    return re.sub(r"^([^/]*//)?[^/]*@", r"\1", endpoint).partition("?")[0]


@dataclass(slots=True)
class SendReport:
    """What became of the spans of one file; the numbers add up to the spans in it.

    ``rejected``: the back end said no, or took the batch and named this many as refused. ``not_sent``: no answer came,
    or an answer came before that speaks against trying on (a wrong key or address). ``unreadable``: lines passed over.
    ``reason``: why, on one line, the first cause that was met.
    """

    url: str
    accepted: int = 0
    rejected: int = 0
    not_sent: int = 0
    unreadable: int = 0
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether the back end has every span."""
        return not self.rejected and not self.not_sent

    def __str__(self) -> str:
        """Return the report as one line for people."""
        parts = [f"{self.accepted} spans accepted"]
        parts += [f"{self.rejected} rejected"] if self.rejected else []
        parts += [f"{self.not_sent} not sent"] if self.not_sent else []
        parts += [f"{self.unreadable} unreadable lines passed over"] if self.unreadable else []
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.url}: {', '.join(parts)}{reason}"


def send_file(  # noqa: PLR0913 - limits with a default each
    path: str | os.PathLike[str],
    target: Target,
    *,
    service_name: str | None = None,
    max_bytes: int | None = None,
    max_spans: int = MAX_SPANS,
    timeout: float | None = None,
    patience: float = PATIENCE,
) -> SendReport:
    """Send every span of a spans.jsonl file and say what was taken.

    A span counts as accepted when its request was answered with HTTP 200 and an OTLP body that does not reject it.
    A batch that is too large for the back end (413) is sent again in halves. What OTLP calls retryable (429, 502, 503,
    504, no connection) is tried again for at most ``patience`` seconds; redirects are not followed.

    Args:
        path: the file.
        target: the back end.
        service_name: replaces the resource attribute `service.name` of every span.
        max_bytes: largest request body, before any compression, by default the target's; a span that is larger alone
            is sent alone.
        max_spans: most spans in one request.
        timeout: seconds to connect, and seconds between two bytes of an answer.
        patience: seconds that one batch may wait for its turn after a retryable answer.

    Raises:
        OSError: the file can't be read.
    """
    from agent_trace_otel.delivery import cutting, protobuf  # slow, and nothing else here needs it
    from agent_trace_otel.delivery.post import Connection  # loads requests

    longest = target.max_attribute_chars

    def items_of(line: bytes) -> list[Item]:
        items = protobuf.items_of_request(_renamed(parse_line(line), service_name))
        return items if longest is None else [cutting.with_short_values(item, longest) for item in items]

    report = SendReport(shown_url(target.url))
    reader = SpansReader(path)
    max_bytes = target.max_body_bytes if max_bytes is None else max_bytes
    goes_on = True
    with closing(Connection(target, timeout=timeout)) as connection:
        for batch in protobuf.batches(reader.each(items_of), max_bytes=max_bytes, max_spans=max_spans):
            if goes_on:
                goes_on = _send(connection, batch, report, patience)
            else:
                report.not_sent += len(batch)
    report.unreadable = reader.skipped
    return report


def _send(connection: Connection, batch: list[Item], report: SendReport, patience: float) -> bool:
    """Send one batch; False when there is no point in sending another."""
    from agent_trace_otel.delivery.post import Verdict
    from agent_trace_otel.delivery.protobuf import request_of

    answer = connection.post_patiently(request_of(batch).SerializeToString(), patience)
    if answer.verdict is Verdict.TOO_LARGE and len(batch) > 1:
        half = len(batch) // 2
        if not _send(connection, batch[:half], report, patience):
            report.not_sent += len(batch) - half
            return False
        return _send(connection, batch[half:], report, patience)
    report.reason = report.reason or answer.reason
    if answer.verdict is Verdict.LATER or not answer.status:
        report.not_sent += len(batch)
        return False
    is_taken = answer.verdict in (Verdict.TAKEN, Verdict.PARTIAL)
    rejected = min(answer.rejected, len(batch)) if is_taken else len(batch)
    report.accepted += len(batch) - rejected
    report.rejected += rejected
    return answer.verdict is not Verdict.NEVER


def collect_request(path: str | os.PathLike[str], service_name: str | None = None) -> dict[str, Any]:
    """Return a spans.jsonl file as one ExportTraceServiceRequest, spans grouped by resource and scope.

    Members are kept as they are in the file; ``service_name`` replaces the resource attribute `service.name`.
    Unreadable lines are passed over.

    Raises:
        OSError: the file can't be read.
    """
    resources: dict[str, dict[str, Any]] = {}
    scopes: dict[tuple[str, str], dict[str, Any]] = {}
    for request in SpansReader(path).requests():
        for resource_spans in _objects(_renamed(request, service_name), "resourceSpans"):
            outer = {name: value for name, value in resource_spans.items() if name != "scopeSpans"}
            resource_key = json.dumps(outer, sort_keys=True)
            for scope_spans in _objects(resource_spans, "scopeSpans"):
                inner = {name: value for name, value in scope_spans.items() if name != "spans"}
                scope_key = (resource_key, json.dumps(inner, sort_keys=True))
                if scope_key not in scopes:
                    scopes[scope_key] = {**inner, "spans": []}
                    group = resources.setdefault(resource_key, {**outer, "scopeSpans": []})
                    group["scopeSpans"].append(scopes[scope_key])
                scopes[scope_key]["spans"] += _objects(scope_spans, "spans")
    return {"resourceSpans": list(resources.values())}


def _renamed(request: dict[str, Any], service_name: str | None) -> dict[str, Any]:
    if service_name is not None:
        for resource_spans in _objects(request, "resourceSpans"):
            resource: dict[str, Any] = resource_spans.get("resource") or {}
            others = [pair for pair in _objects(resource, "attributes") if pair.get("key") != SERVICE_NAME]
            named = {"key": SERVICE_NAME, "value": {"stringValue": service_name}}
            resource_spans["resource"] = {**resource, "attributes": [*others, named]}
    return request


def _objects(holder: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the JSON objects of a list member, whatever a foreign line has there."""
    items: object = holder.get(name)
    if not isinstance(items, list):
        return []
    return [item for item in cast("list[object]", items) if isinstance(item, dict)]
