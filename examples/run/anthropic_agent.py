"""An agent on Anthropic's client that knows nothing of tracing.

pip install anthropic
agent-trace run -- python examples/run/anthropic_agent.py && agent-trace replay
"""

from __future__ import annotations

from anthropic import Anthropic
from local_model import local_model

TOOL = {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}


def weather(city: str) -> str:
    """Look out of a window."""
    return f"snow in {city}"


with local_model() as url:
    client = Anthropic(base_url=url, api_key="none")
    about = {"model": "claude-sonnet-5", "max_tokens": 1024, "tools": [TOOL]}
    messages = [{"role": "user", "content": "How is the weather in Oslo?"}]
    wish = client.messages.create(messages=messages, **about)
    calls = [block for block in wish.content if block.type == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": weather(**call.input)} for call in calls]
    messages += [{"role": "assistant", "content": wish.content}, {"role": "user", "content": results}]
    print(client.messages.create(messages=messages, **about).content[0].text)
