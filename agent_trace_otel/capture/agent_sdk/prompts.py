"""The prompts of a transcript, and the ids that the client gave them.

Comes in: what a program asked, the path of the transcript. Goes out: ids, so that what the transcript tells of a prompt
is found again. Called by `conversation`. The program names no ids; the transcript may tell them a moment too late.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent_trace_otel.capture.agent_sdk.payloads import text_of
from agent_trace_otel.capture.hooks.transcript.facts import time_ns

_TAIL: Final = 1 << 18
"""Bytes of a transcript's end in which a prompt is looked for."""


@dataclass(frozen=True, slots=True)
class ToldPrompt:
    """A prompt as the transcript has it; ``at`` is in unix nanoseconds."""

    id: str
    text: str
    at: int


def told_prompts(path: str) -> Iterator[ToldPrompt]:
    """Yield the last prompts of a transcript, the last one first; none if the path is empty."""
    try:
        with Path(path).open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _TAIL, 0))
            lines = file.read().splitlines()
    except OSError:
        return
    for line in reversed(lines):
        if b'"promptId"' in line:
            try:
                told: Any = json.loads(line)
                said: Any = told["message"]["content"]
            except (ValueError, KeyError, TypeError):
                continue
            words = text_of(said)
            if told.get("type") == "user" and words and told["promptId"]:
                yield ToldPrompt(str(told["promptId"]), words, time_ns(told.get("timestamp")))


class Asked:
    """What was asked, and under which ids."""

    def __init__(self) -> None:
        self._made_up: dict[str, str] = {}
        """Ids that prompts were given here, by their text."""
        self._given: dict[str, str] = {}
        """The same by the prompts' own ids."""

    def id_of(self, text: str, path: str) -> str:
        """Return the id of a prompt: the client's own if the transcript has it, else one that is made up."""
        found = next((told.id for told in told_prompts(path) if told.text == text), "")
        return found or self._made_up.setdefault(text, str(uuid.uuid4()))

    def given_for(self, prompt_id: str, path: str) -> str:
        """Return the made-up id of the prompt that the client has given an id of its own, empty if it is another."""
        if prompt_id not in self._given:
            said = next((told.text for told in told_prompts(path) if told.id == prompt_id), "")
            self._given[prompt_id] = self._made_up.get(said, "")
        return self._given[prompt_id]
