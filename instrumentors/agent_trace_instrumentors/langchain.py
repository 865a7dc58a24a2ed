"""LangChain and LangGraph -> spans of agents, graphs, nodes, tools, retrievers and model calls.

Comes in: LangChain's own callbacks, for which a handler is put into every configuration of callbacks. Goes out: spans
through `_langchain_runs`, which says what is a span; code that a run calls hangs under it, by `_langchain_context`.
Switched on by ``agent_trace_otel.instrument()``.

A model's span is lent to the client that LangChain calls: both instrumentors on, it is one span. A streamed call lends
it to what its first step calls, which is when every client makes its request.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agent_trace_instrumentors import _langchain_context as where
from agent_trace_instrumentors._base import Instrumentor, Library, Target
from agent_trace_instrumentors._langchain_handler import handler_of, runs
from agent_trace_otel import guard

if TYPE_CHECKING:
    from agent_trace_instrumentors._base import Wrapper

_MANAGER = "langchain_core.callbacks.manager"
_CHAT = "langchain_core.language_models.chat_models"
_TEXT = "langchain_core.language_models.llms"


def around_configure(_original: Callable[..., Any]) -> Wrapper:
    """Put the handler into each callback manager that is configured, for all runs below, too."""

    def configure(wrapped: Callable[..., Any], _instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - a manager
        manager = wrapped(*args, **kwargs)
        _add_handler(manager)
        return manager

    return configure


@guard.guarded("listen to LangChain")
def _add_handler(manager: Any) -> None:  # noqa: ANN401 - a callback manager
    handler = handler_of(sys.modules["langchain_core.callbacks.base"].BaseCallbackHandler)
    if not any(known is handler for known in manager.handlers):
        manager.add_handler(handler, True)  # noqa: FBT003 - its name has changed


class LangChainInstrumentor(Instrumentor):
    """Agents, graphs and their nodes, tools, retrievers, model calls."""

    name = "langchain"
    library = Library("langchain-core", oldest=(0, 3, 67), before=(2,))
    targets = (
        Target(_MANAGER, "_configure", around_configure),
        # the code of chains and tools
        Target("langchain_core.runnables.config", "_set_config_context", where.around_entering(runs)),
        Target("langgraph._internal._runnable", "_set_config_context", where.around_entering(runs)),
        # models: whoever calls the client
        Target(_CHAT, "BaseChatModel._generate_with_cache", where.around_generate(runs, 2, "run_manager")),
        Target(_CHAT, "BaseChatModel._agenerate_with_cache", where.around_agenerate(runs, 2, "run_manager")),
        Target(_TEXT, "BaseLLM._generate_helper", where.around_generate(runs, 2, "run_managers")),
        Target(_TEXT, "BaseLLM._agenerate_helper", where.around_agenerate(runs, 2, "run_managers")),
        # the same of streams, and where in them the model's run begins
        Target(_CHAT, "BaseChatModel.stream", where.around_stream),
        Target(_CHAT, "BaseChatModel.astream", where.around_astream),
        Target(_TEXT, "BaseLLM.stream", where.around_stream),
        Target(_TEXT, "BaseLLM.astream", where.around_astream),
        Target(_MANAGER, "CallbackManager.on_chat_model_start", where.around_start),
        Target(_MANAGER, "CallbackManager.on_llm_start", where.around_start),
        Target(_MANAGER, "AsyncCallbackManager.on_chat_model_start", where.around_astart),
        Target(_MANAGER, "AsyncCallbackManager.on_llm_start", where.around_astart),
    )
