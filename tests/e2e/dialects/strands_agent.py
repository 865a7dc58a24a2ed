"""An agent of Strands with a tool, traced by itself."""

from model import MODEL, WEATHER, model
from recording import Samples, provider
from strands import Agent, tool
from strands.models.openai import OpenAIModel


@tool
def weather(city: str) -> str:
    """Tell the weather of a city."""
    return WEATHER


samples = Samples()
provider(samples)
with model() as server:
    asked = OpenAIModel(client_args={"base_url": f"{server.url}/v1", "api_key": "k"}, model_id=MODEL)
    Agent(model=asked, tools=[weather], system_prompt="Be brief.", callback_handler=None)("How is the weather?")
samples.write()
