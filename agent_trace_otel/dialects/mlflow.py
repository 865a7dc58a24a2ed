"""MLflow's tracing (scopes ``mlflow.*``), 3.x: every value is JSON, texts in quotes too.

Source: its `tracing/constant.py` and `anthropic/autolog.py`, and our recording of mlflow-tracing. Input tokens count
cached ones.
"""

from __future__ import annotations

from typing import Any

from agent_trace_otel import model_io, semconv
from agent_trace_otel.dialects import said
from agent_trace_otel.dialects.gen_ai import provider
from agent_trace_otel.dialects.given import Given, Values, count, member, parsed, table, text, unquoted
from agent_trace_otel.dialects.table import Dialect

_OPERATIONS = {
    "LLM": semconv.CHAT,
    "CHAT_MODEL": semconv.CHAT,
    "EMBEDDING": semconv.EMBEDDINGS,
    "TOOL": semconv.EXECUTE_TOOL,
    "AGENT": semconv.INVOKE_AGENT,
    "CHAIN": "invoke_workflow",
    "WORKFLOW": "invoke_workflow",
    "TASK": "invoke_workflow",
    "RETRIEVER": "retrieval",
    "RERANKER": "retrieval",
}
_PREFIX = "mlflow."


def _derived(given: Given) -> dict[str, Any]:
    values = given.attributes
    found: dict[str, Any] = {semconv.CONVERSATION_ID: _plain(values, "trace.session")}
    operation = _OPERATIONS.get(_plain(values, "spanType") or "")
    if operation is None:
        return found
    found[semconv.OPERATION_NAME] = operation
    name = _plain(values, "spanFunctionName") or given.name
    if operation in semconv.MODEL_OPERATIONS:
        found |= _model_call(values)
    elif operation == semconv.EXECUTE_TOOL:
        found |= {semconv.TOOL_NAME: name, semconv.TOOL_CALL_ARGUMENTS: values.get("mlflow.spanInputs")}
        found[semconv.TOOL_CALL_RESULT] = unquoted(values.get("mlflow.spanOutputs"))
    elif operation == semconv.INVOKE_AGENT:
        found[semconv.AGENT_NAME] = name
    return found


def _model_call(values: Values) -> dict[str, Any]:
    asked, got = table(values.get("mlflow.spanInputs")), parsed(values.get("mlflow.spanOutputs"))
    request = model_io.read_request(asked or {})
    answer = table(got)
    found: dict[str, Any] = dict(model_io.read_response(answer)) if answer is not None else {}
    found |= {semconv.INPUT_MESSAGES: said.json_text(request.messages), **request.attributes}
    found[semconv.SYSTEM_INSTRUCTIONS] = said.json_text(request.system)
    model = _plain(values, "llm.model")
    found[semconv.REQUEST_MODEL] = request.model or model
    found.setdefault(semconv.RESPONSE_MODEL, model)
    owner = _plain(values, "llm.provider") or _plain(values, "message.format")
    found[semconv.PROVIDER_NAME] = provider(owner) or request.provider
    used = table(values.get("mlflow.chat.tokenUsage"))
    if used is not None:
        found[semconv.USAGE_INPUT_TOKENS] = count(used.get("input_tokens"))
        found[semconv.USAGE_OUTPUT_TOKENS] = count(used.get("output_tokens"))
        found[semconv.USAGE_CACHE_READ_INPUT_TOKENS] = count(used.get("cache_read_input_tokens"))
        found[semconv.USAGE_CACHE_WRITE_INPUT_TOKENS] = count(used.get("cache_creation_input_tokens"))
    found[semconv.COST] = member(table(values.get("mlflow.llm.cost")), "total_cost")
    return found


def _plain(values: Values, name: str) -> str | None:
    return text(unquoted(values.get(_PREFIX + name)))


MLFLOW = Dialect(
    name="mlflow",
    scopes=("mlflow.",),
    marks=("mlflow.spanType", "mlflow.spanInputs", "mlflow.traceRequestId", "mlflow.chat."),
    derived=_derived,
    content=(
        "mlflow.spanInputs",
        "mlflow.spanOutputs",
        "mlflow.traceInputs",
        "mlflow.traceOutputs",
        "mlflow.chunk.value",
    ),
)
