"""An agent on OpenAI's client that knows nothing of tracing.

pip install openai
agent-trace run -- python examples/run/openai_agent.py && agent-trace replay
"""

from __future__ import annotations

import json

from local_model import local_model
from openai import OpenAI

FUNCTION = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}


def weather(city: str) -> str:
    """Look out of a window."""
    return f"snow in {city}"


with local_model() as url:
    client = OpenAI(base_url=f"{url}/v1", api_key="none")
    about = {"model": "gpt-4o-mini", "tools": [{"type": "function", "function": FUNCTION}]}
    messages = [{"role": "user", "content": "How is the weather in Oslo?"}]
    wish = client.chat.completions.create(messages=messages, **about).choices[0].message
    messages.append(wish.model_dump(exclude_none=True))
    for call in wish.tool_calls:
        result = weather(**json.loads(call.function.arguments))
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    for chunk in client.chat.completions.create(messages=messages, stream=True, **about):
        if chunk.choices:
            print(chunk.choices[0].delta.content or "", end="", flush=True)
    print()
