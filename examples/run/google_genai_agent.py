"""An agent on Google's client that knows nothing of tracing; the client calls the tool by itself.

pip install google-genai
agent-trace run -- python examples/run/google_genai_agent.py && agent-trace replay
"""

from __future__ import annotations

from google import genai
from google.genai import types
from local_model import local_model


def weather(city: str) -> str:
    """Look out of a window."""
    return f"snow in {city}"


with local_model() as url:
    client = genai.Client(api_key="none", http_options=types.HttpOptions(base_url=url))
    chat = client.chats.create(model="gemini-2.5-flash", config=types.GenerateContentConfig(tools=[weather]))
    print(chat.send_message("How is the weather in Oslo?").text)
