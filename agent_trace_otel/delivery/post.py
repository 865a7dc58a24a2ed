"""One OTLP request body -> what the back end said about it, tried again where OTLP allows that.

Comes in: the final URL, headers and serialised ExportTraceServiceRequest messages. Goes out: an `Answer` each. Called
by `otlp.send_file`; this module loads requests.

Rules are those of the OTLP specification, "OTLP/HTTP Response": 200 alone is success and may be partial; 429, 502, 503
and 504 are retryable, Retry-After counts; everything else is final. Redirects are not followed: a back end that
redirects took nothing, and headers hold keys.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import requests
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # googleapis-common-protos has no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from requests.utils import get_auth_from_url

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROTOBUF: Final = "application/x-protobuf"
_RETRYABLE: Final = frozenset({429, 502, 503, 504})
_ABOUT_THE_BATCH: Final = frozenset({400, 413, 422, 500})  # another batch may fare better
_MAX_ANSWER: Final = 2**20
_FIRST_DELAY, _MAX_DELAY = 0.5, 8.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request: ``accepted``, though for ``rejected`` of its spans, or not for a ``reason``."""

    answered: bool
    accepted: bool = False
    rejected: int = 0
    too_large: bool = False
    reason: str = ""


class Connection:
    """A kept-alive connection to one back end.

    ``hopeless`` becomes true when an answer, or the lack of one, says that more requests would fare no better.
    """

    def __init__(self, url: str, headers: Mapping[str, str], *, timeout: float, patience: float) -> None:
        self.hopeless = False
        self._url, self._timeout, self._patience = url, timeout, patience
        self._headers = {"User-Agent": "agent-trace-otel", **headers, "Content-Type": _PROTOBUF}
        self._session = requests.Session()
        self._session.verify = _of_environment("CERTIFICATE") or True
        certificate, key = _of_environment("CLIENT_CERTIFICATE"), _of_environment("CLIENT_KEY")
        self._session.cert = (certificate, key) if certificate and key else certificate
        # set in any case: without an auth, requests puts that of ~/.netrc in place of the Authorization header given
        user_info = get_auth_from_url(url)
        self._session.auth = user_info if any(user_info) else _unchanged

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def post(self, body: bytes) -> Answer:
        """Send one request, again and again within the patience if OTLP allows that, and return the last answer."""
        deadline = time.monotonic() + self._patience
        delay = _FIRST_DELAY
        while True:
            answer, wait = self._post_once(body)
            if wait is None:
                return answer
            wait = max(wait, delay)
            if time.monotonic() + wait > deadline:
                self.hopeless = True
                return answer
            time.sleep(wait)
            delay = min(delay * 2, _MAX_DELAY)

    def _post_once(self, body: bytes) -> tuple[Answer, float | None]:
        """Return the answer and, when it is retryable, the seconds it asks to wait."""
        try:
            with self._session.post(
                self._url, data=body, headers=self._headers, timeout=self._timeout, allow_redirects=False, stream=True
            ) as response:
                content = _content(response)
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            return Answer(answered=False, reason=_line(_cause(error))), 0.0
        except (requests.RequestException, ValueError) as error:  # a header or URL that can't be sent
            self.hopeless = True
            return Answer(answered=False, reason=_line(f"{type(error).__name__}: {error}")), None
        status = response.status_code
        if status == HTTPStatus.OK:
            return self._taken(response, content), None
        reason = _line(f"HTTP {status} {response.reason or ''} {_explanation(response, content)}")
        if status in _RETRYABLE:
            return Answer(answered=False, reason=reason), _retry_after(response.headers.get("Retry-After"))
        self.hopeless = status not in _ABOUT_THE_BATCH
        return Answer(answered=True, too_large=status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason=reason), None

    def _taken(self, response: requests.Response, content: bytes) -> Answer:
        try:
            rejected, message = _partial_success(response, content)
        except (ValueError, TypeError, AttributeError, DecodeError):
            self.hopeless = True
            kind = response.headers.get("Content-Type", "no content type")
            return Answer(answered=True, reason=_line(f"HTTP 200, but the body ({kind}) is not OTLP: wrong address?"))
        if rejected:
            message = f"the back end refused {rejected} spans: {message or 'no reason given'}"
        return Answer(answered=True, accepted=True, rejected=rejected, reason=_line(message))


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _of_environment(name: str) -> str | None:
    return os.environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or os.environ.get(f"OTEL_EXPORTER_OTLP_{name}") or None


def _content(response: requests.Response) -> bytes:
    content = b""
    for chunk in response.iter_content(65536):
        content += chunk
        if len(content) > _MAX_ANSWER:
            break
    return content


def _is_json(response: requests.Response) -> bool:
    return "json" in response.headers.get("Content-Type", "")


def _partial_success(response: requests.Response, content: bytes) -> tuple[int, str]:
    if not content:
        return 0, ""  # an ExportTraceServiceResponse without any member
    if _is_json(response):
        partial: dict[str, Any] = json.loads(content).get("partialSuccess") or {}
        return int(partial.get("rejectedSpans") or 0), str(partial.get("errorMessage") or "")
    found = ExportTraceServiceResponse.FromString(content).partial_success
    return found.rejected_spans, found.error_message


def _explanation(response: requests.Response, content: bytes) -> str:
    if "protobuf" in response.headers.get("Content-Type", ""):
        try:
            return str(Status.FromString(content).message)
        except DecodeError:
            return ""
    location = response.headers.get("Location")
    return f"to {location}: use that address" if location else content[:500].decode(errors="replace")


def _cause(error: requests.RequestException) -> str:
    """Return what went wrong below requests and urllib3, whose own text repeats itself and the URL."""
    innermost: BaseException = error
    while innermost.args and isinstance(innermost.args[-1], BaseException):
        innermost = innermost.args[-1]
    reason = getattr(innermost, "reason", None)
    return f"no answer: {reason if isinstance(reason, BaseException) else innermost}"


def _retry_after(value: str | None) -> float:
    """Return the seconds of a Retry-After header, a number or an HTTP date; 0 when there is none (RFC 9110, 10.2.3)."""
    if value is None:
        return 0.0
    try:
        return max(float(value), 0.0) if value.strip().isdigit() else _seconds_until(value)
    except ValueError:
        return 0.0


def _seconds_until(date: str) -> float:
    when = parsedate_to_datetime(date)
    aware = when if when.tzinfo is not None else when.replace(tzinfo=timezone.utc)
    return max(aware.timestamp() - time.time(), 0.0)


def _line(text: str) -> str:
    """Return text from the network on one line without control characters, cut to a readable length."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())[:300]
