"""A call whose stream is a generator of the client's own: the request is made at its first step -> as part of the call.

Used by `google_genai` and `ollama`.
"""

from __future__ import annotations

from typing import Any

from agent_trace_instrumentors._model_call import ModelCall
from agent_trace_instrumentors._stream import Watch, has_method, watched


class GeneratorCall(ModelCall):
    """A call in whose context the first step of its stream runs: what the client sends there hangs under it."""

    _watch: Watch | None = None

    def take(self, result: Any) -> Any:  # noqa: ANN401 - the client's own values
        """Take an answer, or the chunks of one."""
        if has_method(result, "__next__", "__anext__"):
            self._watch = Watch(self, self.context)
            return watched(result, self._watch)
        return super().take(result)

    def chunk(self, item: Any, /) -> None:  # noqa: ANN401 - the client's own values
        """Take the first chunk; by now the request has been made, and what is left is reading."""
        if self._watch is not None:
            self._watch.context, self._watch = None, None
        super().chunk(item)
