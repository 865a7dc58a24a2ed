"""An MCP server with two tools, over standard streams or, with a port, over HTTP: ``tools_server.py [PORT]``."""

from __future__ import annotations

import sys

from mcp.server import MCPServer

server = MCPServer("changelog")

COMMITS = {
    "a1f3": "cart: sum prices in cents",
    "b2c4": "cart: refuse negative quantities",
    "c3d5": "readme: say which Python is needed",
}


@server.tool()
def list_commits(since: str) -> list[str]:
    """List the commits since a release."""
    return list(COMMITS)


@server.tool()
def show_commit(commit: str) -> str:
    """Tell what a commit changed."""
    if commit not in COMMITS:
        msg = f"no commit {commit}"
        raise ValueError(msg)
    return COMMITS[commit]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
    else:
        server.run()
