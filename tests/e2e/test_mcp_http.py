"""Real MCP clients and servers over HTTP, once straight and once through `record-http`: nobody can tell.

    pytest -m e2e tests/e2e/test_mcp_http.py

Python SDK 1.x and 2.x, TypeScript SDK, server-everything and the official conformance suite come from their registries
(AGENT_TRACE_E2E_CACHE keeps them).
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import packages
import pytest
from mcp_peers import node_packages
from servers import free_port, serving

from agent_trace_otel.testing import Recorded

pytestmark = pytest.mark.e2e

_PEERS = Path(__file__).parent / "mcp_peers"
_SDK_1, _SDK_2 = "mcp==1.30.0", "mcp==2.3.0"
_CLIENT_SECONDS = 240
_SUITE_SECONDS = 600
_SCENARIO = re.compile(r"^\s*[✓✗~]\s+([\w/.-]+):\s+(\d+ passed, \d+ failed)", re.MULTILINE)
_OURS_IS_STRICTER = {"dns-rebinding-protection"}
"""Scenarios that a server without a guard fails and the proxy, which has one, passes."""


def _python(sdk: str, program: str, *arguments: str) -> list[str]:
    return [str(packages.programs_of(sdk) / "python"), str(_PEERS / program), *arguments]


@contextlib.contextmanager
def _server(command: Callable[[int], list[str]], folder: Path) -> Iterator[str]:
    """Run a server on a free port and yield its origin."""
    port = free_port()
    variables = packages.plain_environment(PORT=str(port))
    with serving(command(port), variables, folder, port, "") as origin:
        yield origin


@dataclass(frozen=True, slots=True)
class Proxied:
    """A running proxy."""

    origin: str
    recorded: Recorded


@contextlib.contextmanager
def _proxy(origin: str, folder: Path) -> Iterator[Proxied]:
    port = free_port()
    command = [sys.executable, "-m", "agent_trace_otel", "--trace-dir", str(folder / "traces")]
    variables = packages.plain_environment(PYTHONPATH=str(packages.REPOSITORY), XDG_CONFIG_HOME=str(folder))
    with serving([*command, "record-http", origin, "--port", str(port)], variables, folder, port, "") as here:
        yield Proxied(here, Recorded(folder / "traces"))


def _said(command: list[str], **variables: str) -> dict[str, Any]:
    """Return what a client prints."""
    done = subprocess.run(
        command,
        env=packages.plain_environment(**variables),
        capture_output=True,
        text=True,
        timeout=_CLIENT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _typescript(transport: str, url: str) -> list[str]:
    sdk = node_packages.modules(node_packages.SDK)
    return [str(node_packages.node()), str(_PEERS / "sdk_client.mjs"), transport, url, str(sdk)]


CLIENTS: dict[str, Callable[[str, str], list[str]]] = {
    "python 1.x": lambda transport, url: _python(_SDK_1, "sdk_client.py", transport, url),
    "python 2.x": lambda transport, url: _python(_SDK_2, "sdk_client.py", transport, url),
    "typescript": _typescript,
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("transport", "kind", "path"), [("http", "streamableHttp", "/mcp"), ("sse", "sse", "/sse")])
def test_a_client_gets_the_same_answers_and_each_request_is_one_span(
    tmp_path: Path, client: str, transport: str, kind: str, path: str
) -> None:
    with _server(lambda _: node_packages.everything(kind), tmp_path) as origin:
        straight = _said(CLIENTS[client](transport, origin + path))
        with _proxy(origin, tmp_path) as proxy:
            proxied = _said(CLIENTS[client](transport, proxy.origin + path))
    assert {step for step, found in proxied.items() if found != straight[step]} == set()
    assert proxied["many at once"]
    assert isinstance(proxied["sampling"], dict)
    spans = proxy.recorded.spans()
    names = Counter(span.name for span in spans)
    assert names["tools/call get-sum"] == 51 + (client != "typescript")
    assert names["tools/call echo"] == 3 + (client != "typescript")
    kinds = {span.name: span.kind.name for span in spans}
    for from_server in ("sampling/createMessage", "elicitation/create", "roots/list"):
        assert (names[from_server], kinds[from_server]) == (1, "SERVER")
    outcomes = Counter(str((span.attributes or {})["agent_trace.outcome"]) for span in spans)
    assert set(outcomes) <= {"ok", "error", "interrupted", "lost"}
    assert outcomes["interrupted"] + outcomes["lost"] == 1  # the call that was given up; SDK 1.x does not say so


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_both_eras_of_the_protocol_pass(tmp_path: Path, mode: str) -> None:
    def command(port: int) -> list[str]:
        return _python(_SDK_2, "reference_server.py", "http", str(port))

    with _server(command, tmp_path) as origin:
        straight = _said(_python(_SDK_2, "sdk_client.py", "http", f"{origin}/mcp", mode))
        with _proxy(origin, tmp_path) as proxy:
            proxied = _said(_python(_SDK_2, "sdk_client.py", "http", f"{proxy.origin}/mcp", mode))
    assert {step for step, found in proxied.items() if found != straight[step]} == set()
    versions = {(span.attributes or {}).get("mcp.protocol.version") for span in proxy.recorded.spans()}
    assert ("2026-07-28" in versions) is (mode == "auto")


SERVERS: dict[str, Callable[[int], list[str]]] = {
    "reference": lambda port: _python(_SDK_2, "reference_server.py", "http", str(port)),
    "everything": lambda _: node_packages.everything("streamableHttp"),
}


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(
    ("suite", "options"),
    [
        (node_packages.CONFORMANCE, []),
        (node_packages.CONFORMANCE_NEXT, ["--requirements", "2025-11-25"]),
        (node_packages.CONFORMANCE_NEXT, ["--requirements", "2026-07-28"]),
    ],
)
def test_a_server_conforms_through_the_proxy_as_it_does_without(
    tmp_path: Path, server: str, suite: str, options: list[str]
) -> None:
    found: list[dict[str, str]] = []
    for is_proxied in (False, True):
        with contextlib.ExitStack() as running:
            origin = running.enter_context(_server(SERVERS[server], tmp_path))
            if is_proxied:
                origin = running.enter_context(_proxy(origin, tmp_path)).origin
            found.append(_scenarios(suite, origin.replace("127.0.0.1", "localhost"), options, tmp_path))
    straight, proxied = found
    assert straight
    assert {name for name, outcome in proxied.items() if straight.get(name) != outcome} <= _OURS_IS_STRICTER
    assert proxied.keys() == straight.keys()


def _scenarios(suite: str, origin: str, options: list[str], folder: Path) -> dict[str, str]:
    """Return what the conformance suite says of each scenario."""
    program = node_packages.modules(suite).parent.parent / ".bin" / "conformance"
    done = subprocess.run(
        [str(node_packages.node()), str(program), "server", "--url", f"{origin}/mcp", *options],
        cwd=folder,
        env=packages.plain_environment(),
        capture_output=True,
        text=True,
        timeout=_SUITE_SECONDS,
        check=False,
    )
    return dict(_SCENARIO.findall(done.stdout))
