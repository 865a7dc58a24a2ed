"""OpenAI's client, plain and streamed, traced by Logfire."""

import logfire
import openai
from model import MODEL, model
from recording import Samples

samples = Samples()
logfire.configure(send_to_logfire=False, console=False, additional_span_processors=[samples])
with model() as server:
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="k")
    logfire.instrument_openai(client)
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How is the weather?"}]
    with logfire.span("a question"):
        client.chat.completions.create(model=MODEL, messages=asked)
        for _ in client.chat.completions.create(model=MODEL, messages=asked, stream=True):
            pass
        client.responses.create(model=MODEL, input="How is the weather?")
samples.write()
