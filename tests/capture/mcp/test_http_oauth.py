"""What --rewrite-oauth changes, and that it changes nothing else."""

from __future__ import annotations

import pytest

from agent_trace_otel.capture.mcp.http import oauth as http_oauth


def _moved(url: str) -> str:
    return url.replace("https://h", "http://localhost:3100")


def test_the_challenge_leads_to_the_proxy() -> None:
    given = 'Bearer realm="x", resource_metadata="https://h/.well-known/oauth-protected-resource", scope="a b"'
    wanted = given.replace("https://h", "http://localhost:3100")
    basic = ("www-authenticate", 'Basic realm="https://h"')
    headers = [("X", given), ("WWW-Authenticate", given), basic]
    assert http_oauth.challenged(headers, _moved) == [("X", given), ("WWW-Authenticate", wanted), basic]


def test_the_metadata_speak_of_the_proxy_and_keep_every_other_byte() -> None:
    given = (
        b'{ "authorization_servers":["https://h/as"],\n  "x": "\\"resource\\": \\"no\\"", '
        b'"resource" : "https:\\/\\/h/mcp" , "n":1.0}'
    )
    wanted = given.replace(b'"https:\\/\\/h/mcp"', b'"http://localhost:3100/mcp"')
    assert http_oauth.metadata(given, _moved) == wanted
    gathered = http_oauth.Metadata(_moved)
    assert (gathered.feed(given[:50]), gathered.feed(given[50:]), gathered.rest()) == (b"", b"", wanted)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b"{}",
        b'{"resource": 1}',
        b'{"other": {"resource": "https://h"}}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_what_is_no_metadata_stays_as_it_is(body: bytes) -> None:
    assert http_oauth.metadata(body, _moved) == body
