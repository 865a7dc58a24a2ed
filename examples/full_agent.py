"""Every way of recording at once, in one session: decorators, a model client, MCP in two ways, a child process, hooks.

    pip install openai mcp 'agent-trace-otel[http]'
    agent-trace run --subprocesses -- python examples/full_agent.py && agent-trace replay --tree

The agent writes release notes. Its tools are decorated; its model client is traced by `agent-trace run`; one MCP server
stands behind `agent-trace record`, the same one again behind `agent-trace record-http`; a child process is traced
itself; and a coding agent with hooks, started by the agent, becomes a part of the agent's session. Works offline.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import openai
from full_agent_parts.model import model_server
from mcp import Client, StdioServerParameters

import agent_trace_otel as at

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam

PARTS = Path(__file__).parent / "full_agent_parts"
TOOLS_SERVER = str(PARTS / "tools_server.py")
AGENT_TRACE = str(Path(sys.executable).with_name("agent-trace"))


@at.trace_tool
def read_version(path: str) -> str:
    """Read the last release's version."""
    at.log_file_read(path)
    return "1.3.0"


@at.trace_tool
def count_words() -> str:
    """Let another program count."""
    done = subprocess.run([sys.executable, PARTS / "worker.py"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@at.trace_tool
def delegate(task: str) -> None:
    """Let a coding agent do it."""
    subprocess.run([sys.executable, PARTS / "coding_agent.py"], check=True)


@at.trace_agent(name="collector")
async def collect_commits(since: str) -> list[str]:
    """Ask one MCP server for a list over streams, and another for its items over HTTP."""
    over_streams = StdioServerParameters(command=AGENT_TRACE, args=["record", "--", sys.executable, TOOLS_SERVER])
    async with Client(over_streams) as tools:
        listed = await tools.call_tool("list_commits", {"since": since})
    with http_server() as url:
        async with Client(url) as tools:
            shown = [await tools.call_tool("show_commit", {"commit": one}) for one in ("a1f3", "b2c4", "nope")]
    return [str(answer.structured_content) for answer in (listed, *shown)]


@contextmanager
def http_server() -> Generator[str]:
    """Run the MCP server behind HTTP, and our proxy before it; yields the proxy's URL."""
    behind, before = free_port(), free_port()
    server = subprocess.Popen(
        [sys.executable, TOOLS_SERVER, str(behind)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(behind)
    proxy = subprocess.Popen(
        [AGENT_TRACE, "record-http", f"http://127.0.0.1:{behind}/mcp", "--port", str(before)], stderr=subprocess.DEVNULL
    )
    wait_for(before)
    try:
        yield f"http://127.0.0.1:{before}/"
    finally:
        for process in (proxy, server):
            process.terminate()
            process.wait()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(600):
        with closing(socket.socket()) as trying:
            if trying.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    msg = f"nobody listens on {port}"
    raise TimeoutError(msg)


def main() -> None:
    """Write release notes."""
    at.log_user_prompt("Write the release notes since 1.3.0.")
    with model_server() as base_url:
        model = openai.OpenAI(api_key="none", base_url=base_url)
        question = f"What is new since {read_version('pyproject.toml')}?"
        messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": question}]
        model.chat.completions.create(model="small", messages=messages)
        commits = asyncio.run(collect_commits("1.3.0"))
        messages.append({"role": "assistant", "content": "Looking."})
        messages.append({"role": "user", "content": "\n".join(commits)})
        answer = model.chat.completions.create(model="small", messages=messages)
    print(count_words(), "words")
    delegate("Put the new release into CHANGELOG.md.")
    at.log_decision("release as 1.4.0", reason="nothing breaks", alternatives=["2.0.0"])
    at.log_assistant_response(answer.choices[0].message.content or "")


if __name__ == "__main__":
    main()
