"""The spans that Anthropic's own Python client makes since 2.0, scope ``com.anthropic.sdk.python``.

Source: its `_tracing.py` and `lib/_tracing`. Messages speak gen_ai, and input tokens are the sum with cached ones
(`lib/_tracing/_response.py`); ``count_tokens`` names no operation and asks no model. A tool's result has a name of its
own, and why a message stopped stands in the words of the API.
"""

from __future__ import annotations

from agent_trace_otel import semconv
from agent_trace_otel.dialects.table import Dialect

ANTHROPIC = Dialect(
    name="anthropic",
    scopes=("com.anthropic.sdk",),
    marks=("anthropic.message.", "anthropic.usage.", "anthropic.tool_result."),
    names={
        "anthropic.message.stop_reason": semconv.RESPONSE_FINISH_REASONS,
        "anthropic.tool_result.content": semconv.TOOL_CALL_RESULT,
        "anthropic.request.id": semconv.REQUEST_ID,
    },
    content=("anthropic.tool_result.content",),
)
