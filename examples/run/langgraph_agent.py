"""A LangGraph agent that knows nothing of tracing.

pip install langchain langchain-openai
agent-trace run -- python examples/run/langgraph_agent.py && agent-trace replay --tree
"""

from __future__ import annotations

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from local_model import local_model


def weather(city: str) -> str:
    """Look out of a window."""
    return f"snow in {city}"


with local_model() as url:
    model = ChatOpenAI(model="gpt-4o-mini", base_url=f"{url}/v1", api_key="none")
    agent = create_agent(model, tools=[weather])
    state = agent.invoke({"messages": [{"role": "user", "content": "How is the weather in Oslo?"}]})
    print(state["messages"][-1].content)
