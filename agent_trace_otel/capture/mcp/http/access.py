"""Who may talk to `record-http`: Host and Origin of a request -> why it is refused, or nothing.

The server behind the proxy guards itself against DNS rebinding by these two headers; the proxy sends it the server's
own Host, so it has to keep watch on its own side (MCP 2026-07-28, Streamable HTTP, Security). Pure; called by `http`
and `http_exchange`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ANY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104 - no binding, but what a Host header never says


@dataclass(frozen=True, slots=True)
class Access:
    """What the listening side answers to."""

    hosts: frozenset[str]
    """Host names and addresses, lower case, without brackets; with our port or none."""
    hosts_with_port: frozenset[str]
    """More of them, each with a port of its own."""
    origins: frozenset[str]
    """Whole origins such as ``https://app.example``, or bare host names that stand for any scheme and port."""
    port: int

    def refusal(self, hosts: Sequence[str], origins: Sequence[str]) -> tuple[str, str]:
        """Tell if a request with these Host and Origin headers is refused.

        Returns:
            ``host`` or ``origin``, whichever is why, and a sentence that says so; both empty if it is not.
        """
        if len(hosts) != 1 or not self._has_host(hosts[0]):
            return "host", f"Host {', '.join(hosts) or '(none)'} is not this proxy's; --allow-host adds one"
        for origin in origins:
            if not self._has_origin(origin):
                return "origin", f"Origin {origin} is not allowed; --allow-origin adds one"
        return "", ""

    def _has_host(self, host: str) -> bool:
        name, port = _name_and_port(host)
        return host.lower() in self.hosts_with_port or (name in self.hosts and port in (None, self.port))

    def _has_origin(self, origin: str) -> bool:
        scheme, mark, authority = origin.lower().partition("://")
        if origin.lower() in self.origins:
            return True
        name, _ = _name_and_port(authority)
        return bool(mark) and scheme in ("http", "https") and (name in LOOPBACK or name in self.origins)


def access(bind: str, port: int, allow_hosts: Sequence[str], allow_origins: Sequence[str]) -> Access:
    """Return who may talk to a proxy.

    Args:
        bind: the address that it listens on; a request that names it is no rebinding.
        port: its port.
        allow_hosts: more host names, with or without a port.
        allow_origins: more origins (RFC 6454), or host names for any scheme and port.
    """
    given = [host.strip().lower() for host in allow_hosts]
    bare = {_name_and_port(host)[0] for host in given if _name_and_port(host)[1] is None}
    bound = set[str]() if bind in _ANY_ADDRESS else {bind.lower()}
    return Access(
        hosts=frozenset({*LOOPBACK, *bare, *bound}),
        hosts_with_port=frozenset(host for host in given if _name_and_port(host)[1] is not None),
        origins=frozenset(origin.strip().rstrip("/").lower() for origin in allow_origins),
        port=port,
    )


def _name_and_port(authority: str) -> tuple[str, int | None]:
    """Return host and port of ``host[:port]``; an empty host for what is none."""
    try:
        split = urlsplit(f"//{authority}")
        name, port = split.hostname or "", split.port
    except ValueError:
        return "", None
    return (name, port) if split.netloc == authority and "@" not in authority else ("", None)
