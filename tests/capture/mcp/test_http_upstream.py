"""Where a client's request goes, and how the server's URLs look to the client."""

from __future__ import annotations

import pytest

from agent_trace_otel.capture.mcp.http.upstream import Routes, parse
from agent_trace_otel.errors import UsageError

HERE = "http://localhost:3100"


@pytest.mark.parametrize(
    ("url", "target", "goes_to"),
    [
        # an origin: every path is the same on both sides
        ("http://h:1", "/mcp", "http://h:1/mcp"),
        ("http://h:1/", "/", "http://h:1/"),
        ("http://h:1", "/", "http://h:1/"),
        ("http://h:1", "/a%20b/../c?x=%2F&y=1#", "http://h:1/a%20b/../c?x=%2F&y=1#"),
        ("http://h:1", "//double", "http://h:1//double"),
        ("http://h:1", "http://proxy/mcp?x=1", "http://h:1/mcp?x=1"),
        ("http://h:1", "*", "http://h:1/"),
        # an endpoint: "/" is the endpoint, and its own path too
        ("https://h/mcp", "/", "https://h/mcp"),
        ("https://h/mcp", "/mcp", "https://h/mcp"),
        ("https://h/mcp", "/mcp/", "https://h/mcp/"),
        ("https://h/mcp", "/mcp?x=1", "https://h/mcp?x=1"),
        ("https://h/mcp", "/mcpx", "https://h/mcp/mcpx"),
        # a key in the URL belongs to the endpoint alone
        ("https://h/mcp?key=k", "/", "https://h/mcp?key=k"),
        ("https://h/mcp?key=k", "/mcp", "https://h/mcp?key=k"),
        ("https://h/mcp?key=k", "/mcp?x=1", "https://h/mcp?x=1"),
        ("https://h/mcp?key=k", "/mcp/sub", "https://h/mcp/sub"),
        # a prefix: paths lie below it, whichever way it is written
        ("https://h/api", "/sse", "https://h/api/sse"),
        ("https://h/api/", "/sse", "https://h/api/sse"),
        ("https://h/api/", "/api/sse", "https://h/api/sse"),
        ("https://h/api/", "/", "https://h/api/"),
        ("https://h/api/", "/api", "https://h/api"),
        # what lies at the root wherever the endpoint is
        (
            "https://h/mcp",
            "/.well-known/oauth-protected-resource/mcp",
            "https://h/.well-known/oauth-protected-resource/mcp",
        ),
        ("https://h/mcp", "/register", "https://h/register"),
    ],
)
def test_a_request_goes_where_a_client_means(url: str, target: str, goes_to: str) -> None:
    assert Routes(parse(url)).url_of(target) == goes_to


@pytest.mark.parametrize(
    ("url", "asked", "endpoint", "shown", "then"),
    [
        # relative, and the paths are the same: as it is
        ("http://h:1", "/sse", "/messages?sessionId=1", "/messages?sessionId=1", "http://h:1/messages?sessionId=1"),
        ("http://h:1", "/sse", "messages?s=1", "messages?s=1", None),
        ("http://h:1/sse", "/sse", "/messages?s=1", "/messages?s=1", "http://h:1/messages?s=1"),
        # absolute: by the client's name for the proxy
        ("http://h:1", "/sse", "http://h:1/messages?s=1", f"{HERE}/messages?s=1", "http://h:1/messages?s=1"),
        ("http://h:1/sse", "/", "http://H:1/messages", f"{HERE}/messages", "http://h:1/messages"),
        ("https://h", "/sse", "https://h:443/messages", f"{HERE}/messages", "https://h/messages"),
        # relative, and the client asked for another path
        ("http://h:1/api", "/sse", "messages?s=1", "/api/messages?s=1", "http://h:1/api/messages?s=1"),
        ("http://h:1/api/sse", "/", "messages?s=1", "/api/messages?s=1", "http://h:1/api/messages?s=1"),
        ("http://h:1/api", "/sse", "/other?s=1", "/other?s=1", "http://h:1/other?s=1"),
        # somebody else's
        ("http://h:1", "/sse", "http://other:1/messages", None, None),
        ("http://h:1", "/sse", "https://h:1/messages", None, None),
        ("http://h:1", "/sse", "http://h:2/messages", None, None),
        ("http://h:1", "/sse", "http://h:x/messages", None, None),
    ],
)
def test_an_endpoint_leads_to_the_same_place_through_the_proxy(
    url: str, asked: str, endpoint: str, shown: str | None, then: str | None
) -> None:
    routes = Routes(parse(url))
    assert routes.moved_endpoint(endpoint, asked, HERE) == shown
    if shown is not None and then is not None:
        assert routes.url_of(shown.removeprefix(HERE)) == then


def test_other_urls_are_moved_only_if_they_are_the_servers() -> None:
    routes = Routes(parse("https://h/mcp"))
    assert routes.moved("https://h/mcp", HERE) == f"{HERE}/mcp"
    assert routes.moved("https://elsewhere/mcp", HERE) == "https://elsewhere/mcp"
    assert routes.moved("/relative", HERE) == "/relative"


def test_a_server_that_announces_without_end_is_remembered_to_a_limit() -> None:
    routes = Routes(parse("http://h:1/sse"))
    for number in range(5000):
        routes.moved_endpoint(f"/messages/{number}", "/sse", HERE)
    assert routes.url_of("/messages/4999") == "http://h:1/messages/4999"
    assert routes.url_of("/messages/0") == "http://h:1/sse/messages/0"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://h/",
        "http://",
        "http:///mcp",
        "http://h:x/",
        "http://h:99999/",
        "http://h /",
        "http://h/\n",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="wants the server's URL"):
        parse(url)


def test_user_info_has_another_place_and_is_not_repeated() -> None:
    with pytest.raises(UsageError, match="--header") as refused:
        parse("https://user:geheim@h/mcp")
    assert "geheim" not in str(refused.value)


def test_a_key_in_the_query_is_not_shown() -> None:
    upstream = parse("https://Example.com/mcp?key=geheim")
    assert (upstream.shown, upstream.host, upstream.port) == ("https://example.com/mcp", "example.com", 443)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/api/mcp/s/MjY4NzQ5YTQtNGQwZS00/mcp", "/api/mcp/s/[REDACTED]/mcp"),
        ("/0f8fad5b-d9cb-469f-a165-70867728950e/slack", "/[REDACTED]/slack"),
        ("/sk_live_4eC39HqLyjWDarjtT1zdp7dc", "/[REDACTED]"),
        ("/v2/server-everything-2026-07-28/sse/", "/v2/server-everything-2026-07-28/sse/"),
        ("/internationalization/12345678901234567890", "/internationalization/12345678901234567890"),
        ("", ""),
    ],
)
def test_a_key_in_the_path_is_not_shown(path: str, shown: str) -> None:
    assert parse(f"https://h{path}").shown == f"https://h{shown}"
