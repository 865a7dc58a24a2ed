"""Which Host and Origin headers the listening side answers to."""

from __future__ import annotations

import pytest

from agent_trace_otel.capture.mcp.http.access import access

LOCAL = access("127.0.0.1", 3100, [], [])


@pytest.mark.parametrize(
    "host", ["127.0.0.1:3100", "127.0.0.1", "localhost:3100", "LocalHost", "[::1]:3100", "[::1]", "localhost:"]
)
def test_this_machines_own_names_are_answered(host: str) -> None:
    assert LOCAL.refusal([host], []) == ("", "")


@pytest.mark.parametrize(
    "hosts",
    [
        ["evil.example"],
        ["evil.example:3100"],
        ["127.0.0.1:3101"],
        ["localhost.evil.example:3100"],
        ["localhost@evil.example"],
        ["localhost:3100", "localhost:3100"],
        ["localhost:x"],
        ["localhost/"],
        ["[::1"],
        [""],
        [],
    ],
)
def test_another_host_is_refused(hosts: list[str]) -> None:
    refused, why = LOCAL.refusal(hosts, [])
    assert refused == "host"
    assert "--allow-host" in why


@pytest.mark.parametrize("origin", ["http://localhost:5173", "http://127.0.0.1", "https://[::1]:1", "HTTP://LOCALHOST"])
def test_pages_of_this_machine_may_ask(origin: str) -> None:
    assert LOCAL.refusal(["localhost"], [origin]) == ("", "")


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://localhost.evil.example", "null", "", "localhost", "file://", "app://localhost"],
)
def test_pages_from_elsewhere_are_refused(origin: str) -> None:
    refused, why = LOCAL.refusal(["localhost"], [origin])
    assert refused == "origin"
    assert "--allow-origin" in why


def test_more_hosts_and_origins_by_option() -> None:
    more = access("0.0.0.0", 3100, ["Proxy.example", "other.example:80"], ["https://app.example/", "bare.example"])
    for host in ("proxy.example", "proxy.example:3100", "other.example:80", "localhost:3100"):
        assert more.refusal([host], []) == ("", "")
    for host in ("proxy.example:80", "other.example", "0.0.0.0:3100"):
        assert more.refusal([host], [])[0] == "host"
    for origin in ("https://app.example", "http://bare.example:8080", "https://bare.example"):
        assert more.refusal(["localhost"], [origin]) == ("", "")
    for origin in ("http://app.example", "https://app.example:8443"):
        assert more.refusal(["localhost"], [origin])[0] == "origin"


def test_the_address_bound_to_is_answered() -> None:
    assert access("192.0.2.7", 3100, [], []).refusal(["192.0.2.7:3100"], []) == ("", "")
    assert access("192.0.2.7", 3100, [], []).refusal(["192.0.2.8:3100"], [])[0] == "host"
