"""An asynchronous agent: parallel tools, a streamed model answer, a sub-agent, a failure.

python examples/async_agent.py
agent-trace replay
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import agent_trace_otel as at


@at.trace_tool
async def fetch(page: str) -> str:
    """Stand in for a slow request."""
    await asyncio.sleep(0.05)
    if page == "missing":
        message = f"no page {page}"
        raise LookupError(message)
    return f"contents of {page}"


@at.trace_llm_call(model="rules-1")
async def stream_answer(prompt: str) -> AsyncIterator[str]:
    """Stand in for a model that streams."""
    for word in ("Two ", "pages ", "say ", "the ", "same."):
        await asyncio.sleep(0.01)
        yield word


@at.trace_agent(name="reader")
async def read_all(pages: list[str]) -> list[str]:
    """Read pages in parallel; a page that fails is left out."""
    answers = await asyncio.gather(*(fetch(page) for page in pages), return_exceptions=True)
    return [answer for answer in answers if isinstance(answer, str)]


async def main() -> None:
    """Run the agent."""
    async with at.session("async-agent"):
        at.log_user_prompt("Do the pages agree?")
        found = await read_all(["a", "b", "missing"])
        answer = "".join([word async for word in stream_answer(f"compare {found}")])
        at.log_assistant_response(answer)


if __name__ == "__main__":
    asyncio.run(main())
