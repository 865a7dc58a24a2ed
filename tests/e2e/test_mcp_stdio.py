"""Real MCP clients and servers over stdio, once straight and once through `record`: nobody can tell.

    pytest -m e2e tests/e2e/test_mcp_stdio.py

Python SDK 1.x and 2.x, TypeScript SDK, the inspector, server-everything, -filesystem and -memory come from their
registries (AGENT_TRACE_E2E_CACHE keeps them). The official conformance suite has no server over stdio; see
test_mcp_http.py.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import packages
import pytest
from mcp_peers import node_packages
from programs import wait_for

from agent_trace_otel import semconv
from agent_trace_otel.testing import Recorded

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

pytestmark = pytest.mark.e2e

_PEERS = Path(__file__).parent / "mcp_peers"
_GOLDEN = Path(__file__).parents[1] / "data" / "mcp" / "everything_session.txt"
_SDK_1, _SDK_2 = "mcp==1.30.0", "mcp==2.3.0"
_SECONDS = 240
_CHANGING = re.compile(r'\d{1,2}:\d\d:\d\d(\s?[AP]M)?|\d{4}-\d\d-\d\dT[\d:.]+Z?|(?<="blob":")[\w+/=]+')
_SHORT = 100


def _python(sdk: str, program: str, *arguments: str) -> list[str]:
    return [str(packages.programs_of(sdk) / "python"), str(_PEERS / program), *arguments]


def _typescript(server: str) -> list[str]:
    sdk = node_packages.modules(node_packages.SDK)
    return [str(node_packages.node()), str(_PEERS / "sdk_client.mjs"), "stdio", server, str(sdk)]


CLIENTS: dict[str, Callable[[str], list[str]]] = {
    "python 1.x": lambda server: _python(_SDK_1, "sdk_client.py", "stdio", server),
    "python 2.x": lambda server: _python(_SDK_2, "sdk_client.py", "stdio", server),
    "typescript": _typescript,
}


def _recording(folder: Path, server: list[str]) -> list[str]:
    """Return the command that records a server into ``folder``, with a witness beside it."""
    record = [sys.executable, "-m", "agent_trace_otel", "--trace-dir", str(folder / "traces"), "record", "--"]
    return [*record, sys.executable, str(_PEERS / "witness.py"), str(folder / "said"), *server]


def _run(command: list[str], folder: Path, data: bytes | None = None) -> bytes:
    variables = packages.plain_environment(PYTHONPATH=str(packages.REPOSITORY), XDG_CONFIG_HOME=str(folder))
    done = subprocess.run(
        command, env=variables, cwd=folder, input=data, capture_output=True, timeout=_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def _requests(folder: Path) -> Counter[tuple[str, str, str]]:
    """Return what the witness saw asked: by whom, with which method and id."""
    found: Counter[tuple[str, str, str]] = Counter()
    for line in (folder / "said").read_bytes().split(b"\n"):
        message = json.loads(line[1:]) if line else {}
        if "method" in message and "id" in message:
            found["CLIENT" if line[:1] == b"<" else "SERVER", message["method"], str(message["id"])] += 1
    return found


def _attributes(span: ReadableSpan) -> Mapping[str, Any]:
    return span.attributes or {}


def _spans(folder: Path) -> list[ReadableSpan]:
    """Return what was recorded, once the recording has its end."""
    recorded = Recorded(folder / "traces")
    wait_for(lambda: '"session_end"' in recorded.text(), "the end of the session")
    return recorded.spans()


def _recorded_requests(spans: list[ReadableSpan]) -> Counter[tuple[str, str, str]]:
    requests = [(span.kind.name, _attributes(span)) for span in spans if semconv.MCP_METHOD_NAME in _attributes(span)]
    return Counter(
        (kind, str(told[semconv.MCP_METHOD_NAME]), str(told[semconv.JSONRPC_REQUEST_ID])) for kind, told in requests
    )


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_gets_the_same_answers_and_each_request_is_one_span(tmp_path: Path, client: str) -> None:
    server = node_packages.everything("stdio")
    straight = json.loads(_run(CLIENTS[client](json.dumps(server)), tmp_path))
    proxied = json.loads(_run(CLIENTS[client](json.dumps(_recording(tmp_path, server))), tmp_path))
    assert {step for step, found in proxied.items() if found != straight[step]} == set()
    spans = _spans(tmp_path)
    assert _recorded_requests(spans) == _requests(tmp_path)
    assert sum(_requests(tmp_path).values()) == len(spans) - 1
    names = Counter(span.name for span in spans)
    for from_server in ("sampling/createMessage", "elicitation/create", "roots/list"):
        assert names[from_server] == 1


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_both_eras_of_the_protocol_pass(tmp_path: Path, mode: str) -> None:
    server = _python(_SDK_2, "reference_server.py", "stdio")
    straight = json.loads(_run(_python(_SDK_2, "sdk_client.py", "stdio", json.dumps(server), mode), tmp_path))
    recording = json.dumps(_recording(tmp_path, server))
    proxied = json.loads(_run(_python(_SDK_2, "sdk_client.py", "stdio", recording, mode), tmp_path))
    assert {step for step, found in proxied.items() if found != straight[step]} == set()
    spans = _spans(tmp_path)
    assert _recorded_requests(spans) == _requests(tmp_path)
    versions = {_attributes(span).get(semconv.MCP_PROTOCOL_VERSION) for span in spans}
    assert ("2026-07-28" in versions) is (mode == "auto")


def test_the_session_of_a_long_talk_is_the_one_we_reviewed(tmp_path: Path) -> None:
    recording = json.dumps(_recording(tmp_path, node_packages.everything("stdio")))
    _run(CLIENTS["python 2.x"](recording), tmp_path)
    spans = _spans(tmp_path)
    names = {span.context.span_id: span.name for span in spans if span.context is not None}
    lines = sorted(_line(span, names) for span in spans if semconv.MCP_METHOD_NAME in _attributes(span))
    assert lines == _GOLDEN.read_text(encoding="utf-8").splitlines()


def _line(span: ReadableSpan, names: Mapping[int, str]) -> str:
    """Return what a span tells, in one line, with what changes from run to run taken out."""
    told = _attributes(span)
    parent = "nothing" if span.parent is None else names.get(span.parent.span_id, "another trace").split()[0]
    said = [told.get(name) for name in (semconv.TOOL_CALL_ARGUMENTS, semconv.TOOL_CALL_RESULT)]
    said += [told.get(name) for name in (semconv.MCP_PARAMS, semconv.MCP_RESULT)]
    said += [told.get(name) for name in (semconv.INPUT_MESSAGES, semconv.OUTPUT_MESSAGES)]
    events = Counter(str((event.attributes or {}).get(semconv.MCP_METHOD_NAME, event.name)) for event in span.events)
    return " | ".join(
        (
            f"{span.kind.name} {span.name}",
            f"under {parent}, {len(span.links)} links",
            f"{told[semconv.OUTCOME]} {told.get(semconv.ERROR_TYPE, '')} {span.status.status_code.name}",
            *(_shown(str(text)) for text in said if text is not None),
            *(f"{name} x{count}" for name, count in sorted(events.items())),
        )
    )


def _shown(text: str) -> str:
    text = _CHANGING.sub("<varies>", text)
    if len(text) <= _SHORT:
        return text.encode("ascii", "backslashreplace").decode()
    return f"<{len(text)} {hashlib.sha256(text.encode()).hexdigest()[:16]}>"


def test_files_are_served_byte_for_byte_as_without_us(tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    served = (tmp_path / "served").resolve()
    program = node_packages.modules(node_packages.FILESYSTEM) / "dist" / "index.js"
    server = [str(node_packages.node()), str(program), str(served)]
    calls: list[tuple[str, dict[str, object]]] = [
        ("write_file", {"path": f"{served}/a \u2028 \u4e16.txt", "content": "\u00e9\u2028\n" * 300_000}),
        ("read_text_file", {"path": f"{served}/a \u2028 \u4e16.txt"}),
        ("read_text_file", {"path": "/etc/passwd"}),
        ("list_directory", {"path": str(served)}),
    ]
    shake = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bytes", "version": "1"}}
    messages: list[dict[str, Any]] = [
        {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": shake},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        *(
            {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
            for number, (name, arguments) in enumerate(calls, 1)
        ),
    ]
    straight, proxied = (_answered(command, messages, tmp_path) for command in (server, _recording(tmp_path, server)))
    assert proxied == straight
    spans = _spans(tmp_path)
    assert _recorded_requests(spans) == _requests(tmp_path)
    outcomes = [_attributes(span)[semconv.OUTCOME] for span in spans]
    assert outcomes == ["ok", "ok", "ok", "error", "ok", "ok"]


def _answered(command: list[str], messages: list[dict[str, Any]], folder: Path) -> list[bytes]:
    """Send messages, each after the answer to the one before; return the lines that came."""
    variables = packages.plain_environment(PYTHONPATH=str(packages.REPOSITORY), XDG_CONFIG_HOME=str(folder))
    with subprocess.Popen(
        command, env=variables, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        lines: list[bytes] = []
        for message in messages:
            server.stdin.write(json.dumps(message, ensure_ascii=False).encode() + b"\n")
            server.stdin.flush()
            if "id" in message:
                lines.append(server.stdout.readline())
        server.stdin.close()
        lines += server.stdout.readlines()
        assert server.wait(_SECONDS) == 0
    return lines


def test_the_inspector_sees_the_same_tools(tmp_path: Path) -> None:
    inspector = node_packages.modules(node_packages.INSPECTOR).parent.parent / ".bin" / "mcp-inspector"
    program = node_packages.modules(node_packages.MEMORY) / "dist" / "index.js"
    server = [str(node_packages.node()), str(program)]
    shown: list[bytes] = []
    for command in (server, _recording(tmp_path, server)):
        script = tmp_path / "server.sh"  # the inspector takes -- for its own
        words = " ".join(f"'{word}'" for word in command)
        script.write_text(f"#!/bin/sh\nMEMORY_FILE_PATH={tmp_path}/memory exec {words}\n")
        script.chmod(0o755)
        call = [str(node_packages.node()), str(inspector), "--cli", str(script), "--method", "tools/list"]
        shown.append(_run(call, tmp_path))
    assert shown[0] == shown[1]
    assert b"create_entities" in shown[0]
    assert _recorded_requests(_spans(tmp_path)) == _requests(tmp_path)
