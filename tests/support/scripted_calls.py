"""Sessions for tests of explain and diff: what an agent did, written as calls one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from session_folders import SESSION_ID, START, event, session_start, write_session


class Script:
    """Writes events a second apart, with ids that count: c0000001 is the first call, e0000001 what closed it."""

    def __init__(self) -> None:
        self.lines: list[bytes] = [session_start()]
        self._at = 0.0
        self._count = 0
        self._counts = dict.fromkeys(("tool_calls", "llm_requests", "errors", "total_tokens"), 0)

    def call(  # noqa: PLR0913 - what a call is made of
        self,
        name: str,
        result: str | None = "done",
        *,
        error: str = "",
        outcome: str = "",
        agent: str = "",
        run: str = "",
        took: float = 0.5,
        wait: float = 1.0,
        **arguments: Any,
    ) -> Script:
        """Add a call: with ``result`` None and no error it stays open; ``run`` names one run of a sub-agent."""
        at, number = self._tick(wait)
        self._counts["tool_calls"] += 1
        self._counts["errors"] += bool(error)
        common: dict[str, Any] = {"tool_name": name}
        place: dict[str, Any] = {"agent": agent, "parent_span_id": run or agent} if agent else {}
        call_id = f"c{number:07x}{0:08x}"
        self.lines.append(event("tool_call", at, {**common, "arguments": arguments, **place}, event_id=call_id))
        said = {"outcome": outcome} if outcome else {}
        closing = {"event_id": f"e{number:07x}", "parent_id": call_id, "duration_ms": took * 1000}
        if error:
            data = {**common, "error": "tool_error", "message": error, **said, **place}
            self.lines.append(event("error", at + took, data, **closing))
        elif result is not None:
            self.lines.append(event("tool_result", at + took, {**common, "result": result, **said, **place}, **closing))
        return self

    def model(self, model: str = "m-1", *, error: str = "", **usage: Any) -> Script:
        """Add a model call."""
        at, number = self._tick(1.0)
        call_id = f"m{number:07x}"
        self._counts["llm_requests"] += 1
        self._counts["errors"] += bool(error)
        self._counts["total_tokens"] += usage.get("total_tokens", 0)
        self.lines.append(event("llm_request", at, {"model": model}, event_id=call_id))
        closing = {"event_id": f"n{number:07x}", "parent_id": call_id}
        if error:
            data = {"model": model, "error": "api_error", "message": error}
            self.lines.append(event("error", at + 0.5, data, **closing))
        else:
            self.lines.append(event("llm_response", at + 0.5, {"model": model, **usage}, **closing))
        return self

    def say(self, event_type: str, **data: Any) -> Script:
        """Add a prompt, an answer, a decision, or an error that closes nothing."""
        at, number = self._tick(1.0)
        self.lines.append(event(event_type, at, data, event_id=f"p{number:07x}"))
        return self

    def prompt(self, text: str) -> Script:
        """Add what a person asked for."""
        return self.say("user_prompt", prompt=text)

    def answer(self, text: str) -> Script:
        """Add what the agent said."""
        return self.say("assistant_response", text=text)

    def write(self, trace_dir: Path, session_id: str = SESSION_ID) -> Path:
        """Write the session, ended, and return its folder."""
        ended = event("session_end", self._at + 1, event_id="end")
        meta = {"agent_name": "agent", "started_at": START, "ended_at": START + self._at + 1}
        return write_session(trace_dir, *self.lines, ended, session_id=session_id, meta={**meta, **self._counts})

    def _tick(self, seconds: float) -> tuple[float, int]:
        self._at += seconds
        self._count += 1
        return self._at, self._count
