"""One OTLP request body -> what the back end said about it.

Comes in: a `Target` and serialised ExportTraceServiceRequest messages. Goes out: an `Answer` each, whose verdict says
what may be done next. Called by whoever sends; this module loads requests.

Rules are those of the OTLP specification, "OTLP/HTTP Response": 200 alone is success and may be partial; 429, 502, 503
and 504 are retryable, Retry-After counts; everything else is final. Redirects are not followed: a back end that
redirects took nothing, and headers hold keys.
"""

from __future__ import annotations

import gzip
import json
import os
import time
import zlib
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # googleapis-common-protos has no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from requests.utils import get_auth_from_url

if TYPE_CHECKING:
    from agent_trace_otel.delivery.target import Target

TIMEOUT: Final = 10.0
_PROTOBUF: Final = "application/x-protobuf"
_RETRYABLE: Final = frozenset({429, 502, 503, 504})
_ABOUT_THE_BATCH: Final = frozenset({400, 413, 422, 500})  # another batch may fare better
_MAX_ANSWER: Final = 2**20
_MAX_REASON: Final = 300
_FIRST_DELAY, _MAX_DELAY = 0.5, 8.0
_LONGEST_ASKED: Final = 24 * 3600.0
"""Seconds of a Retry-After that are believed; a thread can't sleep any number."""
_COMPRESSED_FROM: Final = 1024  # bytes: below that, compressing costs more than it saves
_FAST: Final = 1


class Verdict(Enum):
    """What an answer, or the lack of one, means for the spans that were sent."""

    TAKEN = auto()
    PARTIAL = auto()
    """Taken but for some that it does not name; OTLP forbids to send them again."""
    TOO_LARGE = auto()
    REFUSED = auto()
    """Final for these spans; others may fare better."""
    LATER = auto()
    """Not now. After a time-out the spans may have arrived all the same."""
    NEVER = auto()
    """A wrong key or address: nothing will be taken."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request.

    ``status`` is the HTTP status, 0 when there was no answer. ``rejected`` counts the spans that a partial success
    refuses. ``reason`` is one line, empty when all is well. ``wait`` is the seconds that the back end asks for before
    the next request; ``is_silent`` says that it gave no answer within the time-out.
    """

    verdict: Verdict
    reason: str = ""
    status: int = 0
    rejected: int = 0
    wait: float = 0.0
    is_silent: bool = False


class Connection:
    """A kept-alive connection to one back end.

    Args:
        target: the back end.
        timeout: seconds to connect, and seconds between two bytes of an answer; by default OTEL_EXPORTER_OTLP_TIMEOUT,
            else 10 s.
    """

    def __init__(self, target: Target, *, timeout: float | None = None) -> None:
        self._target = target
        self._timeout = _timeout_of_environment() if timeout is None else timeout
        self._headers = {"User-Agent": "agent-trace-otel", **target.headers, "Content-Type": _PROTOBUF}
        self._encoding = (_of_environment("COMPRESSION") or ("gzip" if target.gzip else "")).strip().lower()
        self._was_answered = False
        self._session = requests.Session()
        # given with each request: with the session, requests lets REQUESTS_CA_BUNDLE win over it
        self._verify = _of_environment("CERTIFICATE") or True
        certificate, key = _of_environment("CLIENT_CERTIFICATE"), _of_environment("CLIENT_KEY")
        self._session.cert = (certificate, key) if certificate and key else certificate
        # set in any case: without an auth, requests puts that of ~/.netrc in place of the Authorization header given
        user_info = get_auth_from_url(target.url)
        self._session.auth = user_info if any(user_info) else _unchanged

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def post_patiently(self, body: bytes, patience: float) -> Answer:
        """Send one request, again and again for so many seconds if OTLP allows that, and return the last answer."""
        deadline = time.monotonic() + patience
        delays = Delays()
        while True:
            answer = self.post(body)
            if answer.verdict is not Verdict.LATER:
                return answer
            wait = delays.next(answer.wait)
            if time.monotonic() + wait > deadline:
                return answer
            time.sleep(wait)

    def post(self, body: bytes) -> Answer:
        """Send one request once. Nothing is raised: what goes wrong is an answer, too."""
        answer = self._post(body)
        if not answer.status and answer.verdict is Verdict.LATER and not answer.is_silent and self._was_answered:
            # the back end may have closed a connection that was idle just when we used it: a new one tells
            self._was_answered = False
            answer = self._post(body)
        self._was_answered = answer.status != 0
        return answer

    def _post(self, body: bytes) -> Answer:
        body, encoding = self._compressed(body)
        headers = {**self._headers, "Content-Encoding": encoding} if encoding else self._headers
        try:
            with self._session.post(
                self._target.url,
                data=body,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
                verify=self._verify,
            ) as response:
                return self._read(response, _content(response))
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            verdict = Verdict.NEVER if _is_no_trust(error) else Verdict.LATER
            return Answer(verdict, self._line(_cause(error)), is_silent=isinstance(error, requests.Timeout))
        except requests.exceptions.InvalidHeader:  # whose text shows the value, and that may be a key
            return Answer(Verdict.NEVER, "a header holds what can't be sent (its value is not shown)")
        except (requests.RequestException, ValueError, OSError) as error:  # such as a missing certificate
            return Answer(Verdict.NEVER, self._line(f"{type(error).__name__}: {error}"))

    def _read(self, response: requests.Response, content: bytes) -> Answer:
        status = response.status_code
        if status in self._target.accepted:
            return self._taken(response, content)
        said = f"HTTP {status} {response.reason or ''} {_explanation(response, content)}"
        reason = self._line(said) + self._target.key_hint(status)
        if status in _RETRYABLE:
            wait = _retry_after(response.headers.get("Retry-After"))
            asked = f" (asks to wait {wait:.0f} s)" if wait else ""
            return Answer(Verdict.LATER, reason + asked, status, wait=wait)
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return Answer(Verdict.TOO_LARGE, reason, status)
        return Answer(Verdict.REFUSED if status in _ABOUT_THE_BATCH else Verdict.NEVER, reason, status)

    def _compressed(self, body: bytes) -> tuple[bytes, str]:
        if len(body) < _COMPRESSED_FROM and not _of_environment("COMPRESSION"):
            return body, ""
        if self._encoding == "gzip":
            return gzip.compress(body, _FAST, mtime=0), "gzip"
        if self._encoding == "deflate":
            return zlib.compress(body), "deflate"
        return body, ""

    def _taken(self, response: requests.Response, content: bytes) -> Answer:
        status = response.status_code
        if status != HTTPStatus.OK:
            return Answer(Verdict.TAKEN, status=status)  # a vendor's own way to say so, whose body is not OTLP's
        try:
            rejected, message = _partial_success(response, content)
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError, DecodeError):
            kind = response.headers.get("Content-Type", "no content type")
            return Answer(
                Verdict.NEVER, self._line(f"HTTP 200, but the body ({kind}) is not OTLP: wrong address?"), status
            )
        if rejected:
            reason = self._line(f"the back end refused {rejected} spans: {message or 'no reason given'}")
            return Answer(Verdict.PARTIAL, reason, status, rejected=rejected)
        return Answer(Verdict.TAKEN, self._line(message), status)

    def _line(self, text: str) -> str:
        """Return text from the network on one line, without control characters and keys, cut to a readable length."""
        parts = urlsplit(self._target.url)
        user_info, at, _ = parts.netloc.rpartition("@")
        for secret in (f"?{parts.query}" if parts.query else "", user_info + at):
            text = text.replace(secret, "") if secret else text
        printable = "".join(char if char.isprintable() else " " for char in self._target.without_keys(text))
        return " ".join(printable.split())[:_MAX_REASON]


class Delays:
    """The pauses between attempts: longer each time, never shorter than the back end asks for."""

    def __init__(self, first: float = _FIRST_DELAY, longest: float = _MAX_DELAY) -> None:
        self._first, self._longest = first, longest
        self._delay = first

    def next(self, asked: float) -> float:
        """Return the seconds to wait; ``asked`` is what a Retry-After said."""
        wait = max(asked, self._delay)
        self._delay = min(self._delay * 2, self._longest)
        return wait

    def reset(self) -> None:
        """Begin with the shortest again."""
        self._delay = self._first


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _of_environment(name: str) -> str | None:
    return os.environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or os.environ.get(f"OTEL_EXPORTER_OTLP_{name}") or None


def _timeout_of_environment() -> float:
    try:
        return float(_of_environment("TIMEOUT") or TIMEOUT)
    except ValueError:
        return TIMEOUT


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
    if isinstance(reason, BaseException):
        innermost = reason
    below = innermost.__cause__
    said = below.strerror if isinstance(below, OSError) else None
    return f"no answer: {said or innermost}"


def _is_no_trust(error: requests.RequestException) -> bool:
    """Tell whether TLS failed for a reason that stays: no trust in the certificate, or no TLS on the other side."""
    if not isinstance(error, requests.exceptions.SSLError):
        return False
    return any(sign in str(error) for sign in ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER", "doesn't match"))


def _retry_after(value: str | None) -> float:
    """Return the seconds of a Retry-After header, a number or an HTTP date; 0 when there is none (RFC 9110, 10.2.3)."""
    if value is None:
        return 0.0
    try:
        asked = float(value) if value.strip().isdigit() else _seconds_until(value)
    except (ValueError, OverflowError):  # a year that no date has
        return 0.0
    return min(max(asked, 0.0), _LONGEST_ASKED)


def _seconds_until(date: str) -> float:
    when = parsedate_to_datetime(date)
    aware = when if when.tzinfo is not None else when.replace(tzinfo=timezone.utc)
    return aware.timestamp() - time.time()
