"""An agent of pydantic-ai with a tool, traced by itself."""

from model import MODEL, WEATHER, model
from pydantic_ai import Agent, InstrumentationSettings
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from recording import Samples, provider

samples = Samples()
with model() as server:
    settings = InstrumentationSettings(tracer_provider=provider(samples))
    client = OpenAIProvider(base_url=f"{server.url}/v1", api_key="k")
    agent = Agent(OpenAIChatModel(MODEL, provider=client), instructions="Be brief.", name="forecaster")
    agent.instrument = settings

    @agent.tool_plain
    def weather(city: str) -> str:
        """Tell the weather."""
        return WEATHER

    agent.run_sync("How is the weather?")
samples.write()
