"""The callback handler that LangChain is given: its callbacks -> `_langchain_runs`.

Made by `langchain` once langchain-core is imported, since it has to be a class of LangChain's: never raises, runs in
the caller's own task, is the same object in every copy of a configuration.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from agent_trace_instrumentors import _langchain_context as where
from agent_trace_instrumentors._langchain_runs import Runs
from agent_trace_otel import guard

runs: Final = Runs()


class Callbacks:
    """What LangChain calls, by its names; mixed with its own base class."""

    name = "agent_trace"
    run_inline = True
    """In the task of what is traced, and before other handlers."""

    def __copy__(self) -> Callbacks:
        return self

    def __deepcopy__(self, _memo: object) -> Callbacks:
        return self

    def __reduce__(self) -> tuple[Callable[[], object], tuple[()]]:
        return _the_one, ()

    @guard.guarded("trace a LangChain chain")
    def on_chain_start(
        self, serialized: Mapping[str, Any] | None, inputs: object, *, run_id: UUID, **kwargs: Any
    ) -> None:
        """Take the start of a chain, a graph or a node."""
        runs.begin_chain(run_id, _name(serialized, kwargs, "chain"), inputs, kwargs)

    @guard.guarded("end the span of a LangChain chain")
    def on_chain_end(self, outputs: object, *, run_id: UUID, **_: Any) -> None:
        """Take the end of a chain."""
        runs.end_chain(run_id, outputs)

    @guard.guarded("trace a LangChain tool")
    def on_tool_start(
        self, serialized: Mapping[str, Any] | None, input_str: str, *, run_id: UUID, **kwargs: Any
    ) -> None:
        """Take the start of a tool call."""
        given = kwargs.get("inputs")
        runs.begin_tool(run_id, _name(serialized, kwargs, "tool"), input_str if given is None else _told(given), kwargs)

    @guard.guarded("end the span of a LangChain tool")
    def on_tool_end(self, output: object, *, run_id: UUID, **_: Any) -> None:
        """Take the end of a tool call."""
        runs.end_tool(run_id, output)

    @guard.guarded("trace a LangChain retriever")
    def on_retriever_start(
        self, serialized: Mapping[str, Any] | None, query: str, *, run_id: UUID, **kwargs: Any
    ) -> None:
        """Take the start of a look-up."""
        runs.begin_retriever(run_id, _name(serialized, kwargs, "retriever"), query, kwargs)

    @guard.guarded("end the span of a LangChain retriever")
    def on_retriever_end(self, documents: object, *, run_id: UUID, **_: Any) -> None:
        """Take what a look-up found."""
        runs.end_tool(run_id, documents)

    @guard.guarded("trace a LangChain model call")
    def on_chat_model_start(
        self,
        serialized: object,  # noqa: ARG002
        messages: Sequence[Sequence[Any]],
        *,
        run_id: UUID,
        **kwargs: Any,
    ) -> None:
        """Take the start of a chat model's call."""
        where.begun(runs.begin_model(run_id, messages[0] if messages else (), None, kwargs))

    @guard.guarded("trace a LangChain model call")
    def on_llm_start(
        self,
        serialized: object,  # noqa: ARG002
        prompts: Sequence[str],
        *,
        run_id: UUID,
        **kwargs: Any,
    ) -> None:
        """Take the start of a text model's call."""
        where.begun(runs.begin_model(run_id, None, prompts[0] if prompts else "", kwargs))

    @guard.guarded("read a chunk of a LangChain model")
    def on_llm_new_token(self, token: object, *, run_id: UUID, **_: Any) -> None:  # noqa: ARG002
        """Take note of a chunk."""
        runs.chunk(run_id)

    @guard.guarded("end the span of a LangChain model call")
    def on_llm_end(self, response: object, *, run_id: UUID, **_: Any) -> None:
        """Take a model's answer."""
        runs.end_model(run_id, response)

    @guard.guarded("end the span of a LangChain run")
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Take what a run raised."""
        runs.fail(run_id, error, kwargs.get("response"))

    on_tool_error = on_chain_error
    on_retriever_error = on_chain_error
    on_llm_error = on_chain_error


def _name(serialized: Mapping[str, Any] | None, kwargs: Mapping[str, Any], otherwise: str) -> str:
    """Return a run's name: as it was called, else as what runs is called."""
    told = serialized or {}
    name = kwargs.get("name") or told.get("name")
    path = told.get("id")
    return str(name or (path[-1] if path else otherwise))


def _told(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tool's arguments without what LangChain hands in beside them."""
    return {name: value for name, value in arguments.items() if not type(value).__module__.startswith(_THEIRS)}


_THEIRS: Final = ("langgraph.", "langchain_core.runnables", "langchain_core.callbacks")


@functools.cache
def handler_of(base: type) -> object:
    """Return the handler, of LangChain's own base class."""
    return type("AgentTraceHandler", (Callbacks, base), {})()


def _the_one() -> object:
    from importlib import import_module  # in a process that was sent one, LangChain is being imported anyway

    return handler_of(import_module("langchain_core.callbacks.base").BaseCallbackHandler)
