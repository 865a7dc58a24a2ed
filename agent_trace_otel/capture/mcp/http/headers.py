"""Headers of an exchange: raw ones as they arrived -> those that go on, and the few that are recorded.

Called by `http_exchange`, for requests and answers alike. Names keep their case and their order, repeated ones stay
repeated.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

Headers = list[tuple[str, str]]

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",  # trailers themselves are dropped: neither side of the HTTP library hands them on
        "transfer-encoding",
        "upgrade",
    }
)
"""RFC 9110, section 7.6.1, and RFC 2616, section 13.5.1."""

_VOUCHES_FOR_BODY = frozenset(
    {"content-digest", "content-md5", "digest", "repr-digest", "signature", "signature-input", "x-amz-content-sha256"}
)
"""RFC 9530, RFC 9421, and their older kin."""


def decoded(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return headers as text."""
    return [(name.decode("ascii", "replace"), value.decode("utf-8", "surrogateescape")) for name, value in raw]


def end_to_end(headers: Headers) -> Headers:
    """Return the headers that go on to the other side."""
    named = {token.strip().lower() for value in values(headers, "connection") for token in value.split(",")}
    return without(headers, _HOP_BY_HOP | named)


def without(headers: Headers, names: Container[str]) -> Headers:
    """Return headers but those of some lower-case names."""
    return [(name, value) for name, value in headers if name.lower() not in names]


def values(headers: Headers, name: str) -> list[str]:
    """Return the values of every header of a lower-case name."""
    return [value for found, value in headers if found.lower() == name]


def first(headers: Headers, name: str) -> str:
    """Return the first value of a lower-case name, empty if there is none."""
    return next(iter(values(headers, name)), "")


def with_set(headers: Headers, given: Sequence[tuple[str, str]]) -> Headers:
    """Return headers with some set: each takes the place of the first of its name, or comes last."""
    found = list(headers)
    for name, value in given:
        places = [at for at, (other, _) in enumerate(found) if other.lower() == name.lower()]
        for at in reversed(places[1:]):
            del found[at]
        if places:
            found[places[0]] = (found[places[0]][0], value)
        else:
            found.append((name, value))
    return found


def spelled_alike(headers: Headers) -> Headers:
    """Return headers with repeated ones spelled as the first of their name: aiohttp keeps only those (seen: 3.14.5)."""
    spelling: dict[str, str] = {}
    return [(spelling.setdefault(name.lower(), name), value) for name, value in headers]


def media_type(headers: Headers) -> str:
    """Return type and subtype of the body, lower case, without parameters."""
    return first(headers, "content-type").partition(";")[0].strip().lower()


def is_event_stream(headers: Headers) -> bool:
    """Tell whether the body is a stream of server-sent events."""
    return media_type(headers) == "text/event-stream"


def is_encoded(headers: Headers) -> bool:
    """Tell whether the body is compressed or otherwise encoded, so that its bytes can't be read as text."""
    return first(headers, "content-encoding").strip().lower() not in ("", "identity")


def may_be_changed(headers: Headers) -> bool:
    """Tell whether a request's body is plain JSON that no header vouches for, so that it may be changed."""
    names = {name.lower() for name, _ in headers}
    return media_type(headers) == "application/json" and not is_encoded(headers) and not names & _VOUCHES_FOR_BODY
