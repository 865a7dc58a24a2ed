"""A call whose stream is a generator of the client's own: the request is made at its first step -> as part of the call.

Used by `google_genai` and `ollama`.
"""

from __future__ import annotations

from typing import Any

from agent_trace_instrumentors._model_call import ModelCall
from agent_trace_instrumentors._stream import Watch, has_method, watched


class GeneratorCall(ModelCall):
    """A call in whose context each step of its stream runs: what the client sends there hangs under it."""

    def take(self, result: Any) -> Any:  # noqa: ANN401 - the client's own values
        """Take an answer, or the chunks of one."""
        if has_method(result, "__next__", "__anext__"):
            return watched(result, Watch(self, self.context))
        return super().take(result)
