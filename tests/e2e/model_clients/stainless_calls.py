"""Each further client of the Stainless shape against a server of its own, and what the sessions say of it, as JSON.

Run by `tests/e2e/test_stainless_clients.py` in an environment that holds the clients. Argument: the trace directory.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from typing import Any

from model_server import RECORDING, answer_events, answer_json, serving

import agent_trace_otel as at
from agent_trace_instrumentors import load
from agent_trace_otel import guard
from agent_trace_otel.testing import recording

CLIENTS = {
    "groq": ("groq", "Groq"),
    "together": ("together", "Together"),
    "cerebras": ("cerebras.cloud.sdk", "Cerebras"),
    "sambanova": ("sambanova", "SambaNova"),
    "perplexity": ("perplexity", "Perplexity"),
    "writer": ("writerai", "Writer"),
    "fireworks": ("fireworks", "Fireworks"),
}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "Sea green."}, "finish_reason": "stop"}
CHAT = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m-1", "choices": [CHOICE], "usage": USAGE}


def chunk(text: str, reason: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": reason}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m-1", "choices": [choice], **more}


STREAM = [chunk("Sea"), chunk(" green.", "stop", usage=USAGE)]
ASKED: dict[str, Any] = {"model": "m-1", "messages": [{"role": "user", "content": "Name a colour."}]}


def create(client: Any) -> Any:
    return client.chat.completions.create if hasattr(client.chat, "completions") else client.chat.chat


def headers(name: str) -> dict[str, Any]:
    return {"extra_headers": {RECORDING: name}}


async def ask_async(kind: Any, url: str) -> None:
    client = kind(api_key="key", base_url=url, max_retries=0)
    await create(client)(**ASKED, **headers("whole"))
    async for _ in await create(client)(**ASKED, stream=True, **headers("stream")):
        pass
    await client.close()


def main() -> None:
    told: dict[str, Any] = {}
    for name, (package, kind) in CLIENTS.items():
        answers = {"whole": answer_json(CHAT), "stream": answer_events(STREAM, done=True)}
        with recording(f"{sys.argv[1]}/{name}") as recorded, serving(answers) as server:
            at.instrument(name)
            module = importlib.import_module(package)
            with at.session("test"):
                client = getattr(module, kind)(api_key="key", base_url=server.url, max_retries=0)
                create(client)(**ASKED, **headers("whole"))
                for _ in create(client)(**ASKED, stream=True, **headers("stream")):
                    pass
                client.close()
                asyncio.run(ask_async(getattr(module, f"Async{kind}"), server.url))
            found = [dict(span.attributes or {}) for span in recorded.spans()]
            told[name] = {
                "calls": [one for one in found if "agent_trace.scope" not in one],
                "unpatched": [str(one) for one in load(name)().unpatched],
                "failures": dict(guard.failures),
            }
            at.uninstrument(name)
    sys.stdout.write(json.dumps(told) + "\n")


main()
