"""An agent of google-adk with a tool and a model made of words, traced by itself."""

import asyncio
import os
from collections.abc import AsyncGenerator

os.environ |= {"OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental"}
os.environ |= {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY"}

from google.adk.agents import Agent
from google.adk.models import BaseLlm, LlmRequest, LlmResponse
from google.adk.runners import InMemoryRunner
from google.genai import types
from model import ANSWER, CITY, WEATHER
from recording import Samples, provider

samples = Samples()
provider(samples)
USAGE = types.GenerateContentResponseUsageMetadata(
    prompt_token_count=100,
    cached_content_token_count=40,
    candidates_token_count=15,
    thoughts_token_count=5,
    total_token_count=120,
)


class Scripted(BaseLlm):
    """Calls the tool, then answers."""

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        """Give the next answer."""
        has_result = any(part.function_response for content in llm_request.contents for part in content.parts or [])
        call = types.FunctionCall(id="call_1", name="weather", args={"city": CITY})
        part = types.Part(text=ANSWER) if has_result else types.Part(function_call=call)
        content = types.Content(role="model", parts=[part])
        yield LlmResponse(content=content, usage_metadata=USAGE, finish_reason=types.FinishReason.STOP)


def weather(city: str) -> dict[str, str]:
    """Tell the weather."""
    return {"weather": WEATHER}


async def main() -> None:
    """Ask once."""
    agent = Agent(name="forecaster", model=Scripted(model="gemini-2.5-flash"), instruction="Be brief.", tools=[weather])
    runner = InMemoryRunner(agent=agent, app_name="weather")
    session = await runner.session_service.create_session(app_name="weather", user_id="u", session_id="talk-1")
    question = types.Content(role="user", parts=[types.Part(text="How is the weather?")])
    async for _ in runner.run_async(user_id="u", session_id=session.id, new_message=question):
        pass


asyncio.run(main())
samples.write()
