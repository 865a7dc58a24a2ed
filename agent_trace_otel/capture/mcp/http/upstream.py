"""The server that `record-http` stands before: where a client's request goes, and how the server's URLs look from here.

Comes in: the URL given on the command line, request targets, URLs in answers. Goes out: URLs. No input or output of its
own; called by `http` and `http_exchange`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from agent_trace_otel.errors import UsageError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LIES_AT_THE_ROOT = ("/authorize", "/token", "/register")
"""Where a server without metadata has its OAuth endpoints (MCP 2025-03-26, Authorization, 2.3.3)."""
_KEY = re.compile(r"[A-Za-z0-9]{16,}|(?i:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})")
"""What no one would make up as a name."""
_MOST_ANNOUNCED = 4096  # paths; a server may put a session into each


@dataclass(frozen=True, slots=True)
class Upstream:
    """The MCP server: an origin, and the path and query of its endpoint there."""

    origin: str
    """Scheme, host and port as written, such as ``https://example.com:8443``."""
    path: str
    """Path of the URL, empty or beginning with ``/``."""
    query: str
    """Query of the URL; some servers take their key there, so it is never recorded."""

    @property
    def host(self) -> str:
        """Host name or address, lower case."""
        return _place(urlsplit(self.origin))[1]

    @property
    def port(self) -> int:
        """Port, the scheme's own if none is written."""
        return _place(urlsplit(self.origin))[2]

    @property
    def shown(self) -> str:
        """The URL without its query, and without what looks like a key in its path."""
        return f"{self.origin}{without_keys(self.path)}"


def without_keys(path: str) -> str:
    """Return a path whose segments that look like keys are left out: some servers know their users by those alone."""
    return "/".join("[REDACTED]" if _is_key(segment) else segment for segment in path.split("/"))


def _is_key(segment: str) -> bool:
    return any(re.search("[0-9]", run) and re.search("[A-Za-z]", run) for run in _KEY.findall(segment))


def parse(url: str) -> Upstream:
    """Return the server that a URL names.

    Raises:
        UsageError: it is no absolute http or https URL, or it has user info, whose place is --header.
    """
    try:
        split = urlsplit(url)
        scheme, host, port = _place(split)
    except ValueError:
        split, scheme, host, port = urlsplit(""), "", "", 0
    if scheme not in _DEFAULT_PORTS or not host or not port or not url.isprintable() or " " in url:
        msg = "record-http wants the server's URL, such as https://example.com/mcp"
        raise UsageError(msg)
    if "@" in split.netloc:
        msg = 'record-http takes no user info in the URL; give it as --header "Authorization: ..."'
        raise UsageError(msg)
    return Upstream(f"{scheme}://{split.netloc.lower()}", split.path, split.query)


class Routes:
    """Paths of the proxy and paths of the server: which is which.

    The proxy's ``/`` is the URL as given. What lies under the URL's own path has the same path on both sides, and so
    has what lies at an origin's root by its specification and what the server itself has announced; anything else lies
    below the URL's path.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._announced: dict[str, None] = {}

    def url_of(self, target: str) -> str:
        """Return where a request goes.

        Args:
            target: the request line's target (RFC 9112, section 3.2).
        """
        if not target.startswith("/"):  # absolute form, or the asterisk of OPTIONS
            target = _path_and_query(urlsplit(target)) if "://" in target else "/"
        path, mark, query = target.partition("?")
        whole = self._upstream.path
        base = whole.rstrip("/")
        if path in ("/", whole):
            path = whole or "/"
            if not mark and self._upstream.query:
                mark, query = "?", self._upstream.query
        elif not (
            path == base
            or path.startswith((f"{base}/", "/.well-known/"))
            or path in _LIES_AT_THE_ROOT
            or path in self._announced
        ):
            path = base + path
        return f"{self._upstream.origin}{path}{mark}{query}"

    def moved(self, url: str, here: str) -> str:
        """Return an absolute URL of the server's as a client of the proxy has to see it; another's stays as it is.

        Args:
            url: what stands in an answer.
            here: the origin by which the client knows the proxy.
        """
        path = self._own_path(url)
        return url if path is None else here + path

    def moved_endpoint(self, url: str, target: str, here: str) -> str | None:
        """Return the URL of an `endpoint` event as a client of the proxy has to see it, None if it is another server's.

        Args:
            url: what stands in the event, absolute or relative.
            target: the target of the request that the event answers.
            here: the origin by which the client knows the proxy.
        """
        asked = self.url_of(target)
        path = self._own_path(urljoin(asked, url))
        if path is None:
            return None
        if urlsplit(url).scheme:
            return here + path
        # relative to the same path it means the same on both sides
        return url if asked == self._upstream.origin + target else path

    def _own_path(self, url: str) -> str | None:
        """Return path and query of a URL of the server's, which is announced thereby; None for another's."""
        try:
            split = urlsplit(url)
            if _place(split) != _place(urlsplit(self._upstream.origin)):
                return None
        except ValueError:  # a port that is no number
            return None
        while len(self._announced) >= _MOST_ANNOUNCED:
            del self._announced[next(iter(self._announced))]
        self._announced[split.path or "/"] = None
        return _path_and_query(split)


def _path_and_query(split: SplitResult) -> str:
    return (split.path or "/") + (f"?{split.query}" if split.query else "")


def _place(split: SplitResult) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL; ValueError if the port is none."""
    port = split.port
    return split.scheme, split.hostname or "", _DEFAULT_PORTS.get(split.scheme, 0) if port is None else port
