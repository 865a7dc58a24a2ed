"""What a session is called that nobody named."""

from __future__ import annotations

import shlex

import pytest

from agent_trace_otel.capture.mcp.naming import name_of


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("npx -y @modelcontextprotocol/server-filesystem@2 .", "server-filesystem"),
        ("docker run -i --rm -e GITHUB_TOKEN ghcr.io/github/github-mcp-server:v1", "github-mcp-server"),
        ("docker run -i --mount type=bind,src=/a,dst=/b mcp/filesystem /b", "filesystem"),
        ("uv --directory /home/ann/weather run weather.py", "weather.py"),
        ("uvx --from git+https://github.com/oraios/serena serena start", "serena"),
        ("env TOKEN=hush python3.11 -m my_server", "my_server"),
        ("/usr/bin/env node build/index.js", "index.js"),
        ("sh -c 'curl -H \"Authorization: Bearer hush\" x'", "curl"),
        ("bash -c 'TOKEN=hush exec server'", "bash"),
        ("cat", "cat"),
        ("https://mcp.example.com/mcp", "mcp.example.com"),
        ("''", ""),
    ],
)
def test_the_server_of_a_command_line_gives_the_name(command: str, name: str) -> None:
    assert name_of(shlex.split(command)) == name
