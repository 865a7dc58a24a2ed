"""LangChain's runs -> spans: which of them people want to see, what each hangs under, how it ended.

Comes in: callbacks, each with its run's id and that of the run around it. Goes out: spans, and for each run the context
that its own code runs in. Called by `_langchain_handler`, which is given to LangChain, and by `langchain`.

    graph, AgentExecutor   invoke_agent {name}
    node of a graph        invoke_agent {node}, scope=node; the nodes that every agent has (model, tools) are none
    outermost chain        invoke_workflow {name}
    tool, retriever        execute_tool {name}
    model                  chat {model}, lent to the client's call below
    any other chain        no span: prompts, parsers, sequences say nothing that the calls in them don't

What a chain is shows when it does something: that it is a graph, by its first node. So the span of a chain begins with
the first thing in it.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar
from uuid import UUID

from opentelemetry import context as context_api

from agent_trace_instrumentors import _langchain_messages as messages
from agent_trace_instrumentors._base import is_suppressed
from agent_trace_instrumentors._loan import Loan
from agent_trace_otel import semconv, spans

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

P = ParamSpec("P")
R = TypeVar("R")
MAX_RUNS: Final = 10_000
"""Runs remembered: one whose end nobody tells must not stay for ever."""
_ENTERED: Final = context_api.create_key("agent-trace-langchain-run")
_GRAPH: Final = "LangGraph"
"""The name of a graph that was given none."""
_STEP: Final = "graph:step:"
_EVERY_AGENTS: Final = re.compile(r"(?:__.*|agent|model|tools|call_model)\Z|.*\.(?:before|after)_(?:agent|model)\Z")
"""Nodes of any agent that LangChain makes, its middleware's among them: what they do is told by the calls in them."""
_PIECES: Final = frozenset({"prompt", "parser"})
"""Types of runs that call nothing."""


class Run:
    """One run of LangChain's, open."""

    __slots__ = (
        "asked", "chunks", "context", "first", "given", "inside", "is_graph", "is_node", "is_piece", "is_root", "loan",
        "metadata", "name", "parent", "span", "started",
    )  # fmt: skip

    def __init__(self, name: str, parent: Run | None) -> None:
        self.name = name
        self.parent = parent
        self.context = _context_under(parent)
        """The context it begins in: that of the run around it, or of the code in that."""
        self.inside: Context | None = None
        """The context of its own code, once that is known."""
        self.span: Span | None = None
        self.loan: Loan | None = None
        """Of a model's run: what is lent to the client's call."""
        self.asked: Mapping[str, Any] = {}
        self.given: object = None
        self.metadata: Mapping[str, Any] = {}
        self.is_graph = self.is_node = self.is_piece = False
        self.is_root = parent is None and self.context.get(_ENTERED) is None
        self.started = time.perf_counter()
        self.first: float | None = None
        """Seconds until a model's first chunk."""
        self.chunks = 0

    def is_within(self, other: Run) -> bool:
        """Tell whether it is the other one, or in it."""
        run: Run | None = self
        while run is not None:
            if run is other:
                return True
            run = run.parent
        return False

    def enter(self) -> Context:
        """Return the context for its own code; a chain that is to be seen is a span from now on."""
        if self.inside is None:
            self._begin_chain()
            self.inside = context_api.set_value(_ENTERED, self, self._inner())
        return self.inside

    def _inner(self) -> Context:
        return self.context if self.span is None else _within(self.context, spans.context_of, self.span)

    def _begin_chain(self) -> None:
        if self.span is not None or self.is_piece:
            return
        if self.is_graph or self.name == "AgentExecutor":
            above = self.parent
            if above is not None and above.is_node and above.span is not None and self.name in (above.name, _GRAPH):
                return  # the node is the graph
            self.span = self._start_agent(semconv.INVOKE_AGENT)
        elif self.is_node:
            self.span = _within(self.context, spans.start_agent, self.name, attributes=_AS_NODE)
        elif self.is_root:
            self.span = self._start_agent(semconv.INVOKE_WORKFLOW)

    def _start_agent(self, operation: str) -> Span | None:
        attributes: dict[str, Any] = {}
        thread = self.metadata.get("thread_id")
        if thread is not None and self.is_root:
            attributes[semconv.CONVERSATION_ID] = str(thread)
        given = messages.messages_given(self.given) if spans.captures_content() else None
        if isinstance(given, list):
            told = spans.content_text(given)
            attributes |= {} if told is None else {semconv.INPUT_MESSAGES: told}
            given = None
        start = partial(spans.start_agent, self.name, given=given, operation=operation, attributes=attributes)
        return _within(self.context, start)


_AS_NODE: Final = {semconv.SCOPE: semconv.SCOPE_NODE}


def entered() -> Run | None:
    """Return the run whose code runs here, None outside of any."""
    found = context_api.get_value(_ENTERED)
    return found if isinstance(found, Run) else None


def _context_under(parent: Run | None) -> Context:
    """Return the context of what begins now: the current one, where it is that of the parent's own code."""
    current = context_api.get_current()
    if parent is None:
        return current
    here = current.get(_ENTERED)
    return current if isinstance(here, Run) and here.is_within(parent) else parent.enter()


def _within(ctx: Context, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    token = context_api.attach(ctx)
    try:
        return function(*args, **kwargs)
    finally:
        context_api.detach(token)


class Runs:
    """The runs that are open in this process."""

    def __init__(self) -> None:
        self._open: OrderedDict[UUID, Run] = OrderedDict()

    def of(self, run_id: UUID | None) -> Run | None:
        """Return a run by its id."""
        return self._open.get(run_id) if run_id is not None else None

    def _begin(self, run_id: UUID, parent_id: UUID | None, name: str) -> Run | None:
        if is_suppressed() or not spans.traces_here():
            return None
        run = Run(name, self.of(parent_id))
        self._open[run_id] = run
        if len(self._open) > MAX_RUNS:
            self._open.popitem(last=False)
        return run

    # -- beginnings ----------------------------------------------------------------------------------------------

    def begin_chain(self, run_id: UUID, name: str, inputs: object, kwargs: Mapping[str, Any]) -> None:
        """Take note of a chain; ``kwargs`` is what else the callback got."""
        metadata: Mapping[str, Any] = kwargs.get("metadata") or {}
        tags: Sequence[str] = kwargs.get("tags") or ()
        parent = self.of(kwargs.get("parent_run_id"))
        is_step = any(tag.startswith(_STEP) for tag in tags)
        if is_step and parent is not None and parent.span is None:
            parent.is_graph = True
        run = self._begin(run_id, kwargs.get("parent_run_id"), name)
        if run is not None:
            run.given, run.metadata = inputs, metadata
            run.is_piece = kwargs.get("run_type") in _PIECES
            # a task has no step of its own; a graph that is a node has a run in the node's
            is_own = is_step or parent is None or parent.name != name
            run.is_node = is_own and metadata.get("langgraph_node") == name and not _EVERY_AGENTS.match(name)

    def begin_tool(self, run_id: UUID, name: str, arguments: object, kwargs: Mapping[str, Any]) -> None:
        """Begin the span of a tool call."""
        run = self._begin(run_id, kwargs.get("parent_run_id"), name)
        if run is not None:
            call_id = kwargs.get("tool_call_id")
            run.span = _within(
                run.context, spans.start_tool, name, arguments, call_id=str(call_id) if call_id else None
            )

    def begin_retriever(self, run_id: UUID, name: str, query: str, kwargs: Mapping[str, Any]) -> None:
        """Begin the span of a look-up, which is a tool's call that nobody but the program asked for."""
        run = self._begin(run_id, kwargs.get("parent_run_id"), name)
        if run is not None:
            run.span = _within(run.context, spans.start_tool, name, {"query": query})
            if run.span is not None:
                run.span.set_attribute(semconv.TOOL_TYPE, "datastore")

    def begin_model(
        self, run_id: UUID, given: Sequence[Any] | None, prompt: str | None, kwargs: Mapping[str, Any]
    ) -> Run | None:
        """Begin the span of a model call: of a chat model with messages, or of a text model with a prompt."""
        run = self._begin(run_id, kwargs.get("parent_run_id"), "")
        if run is None:
            return None
        body, provider = messages.request_of(given, prompt, kwargs)
        request = messages.read_request(body)
        run.span = _within(
            run.context,
            spans.start_model_call,
            request.model,
            operation=semconv.CHAT if prompt is None else semconv.TEXT_COMPLETION,
            provider=provider or request.provider,
            messages=request.messages,
            attributes=request.attributes,
        )
        if run.span is not None:
            run.loan = Loan(run.span)
        return run

    def chunk(self, run_id: UUID) -> None:
        """Take note of a chunk of a model's answer."""
        run = self._open.get(run_id)
        if run is not None:
            run.chunks += 1
            if run.first is None:
                run.first = time.perf_counter() - run.started

    # -- ends ----------------------------------------------------------------------------------------------------

    def end_chain(self, run_id: UUID, outputs: object) -> None:
        """End a chain that went well."""
        run = self._open.pop(run_id, None)
        if run is None or run.span is None:
            return
        made = messages.messages_made(outputs) if spans.captures_content() else None
        told = spans.messages_json("assistant", made) if isinstance(made, str) else None
        if isinstance(made, list):
            told = spans.content_text([_finished(message) for message in made])
        spans.end(run.span, {} if told is None else {semconv.OUTPUT_MESSAGES: told})

    def end_tool(self, run_id: UUID, output: object) -> None:
        """End a tool call that returned, if only to say that it failed."""
        run = self._open.pop(run_id, None)
        if run is None or run.span is None:
            return
        result, has_failed, call_id = messages.tool_result(output)
        if call_id:
            run.span.set_attribute(semconv.TOOL_CALL_ID, str(call_id))
        if not has_failed:
            spans.end_tool(run.span, result)
            return
        told = spans.content_text(result)
        attributes: dict[str, Any] = {semconv.ERROR_TYPE: semconv.TOOL_ERROR}
        if told is not None:
            attributes[semconv.TOOL_CALL_RESULT] = told
        spans.end(run.span, attributes, outcome=semconv.OUTCOME_ERROR, message=told or semconv.TOOL_ERROR)

    def end_model(self, run_id: UUID, result: object) -> None:
        """End a model call that went well."""
        run = self._open.pop(run_id, None)
        if run is not None:
            spans.end(run.span, self._answer(run, result))

    def fail(self, run_id: UUID, error: BaseException, result: object = None) -> None:
        """End a run with what it raised; ``result`` is what a model had said so far."""
        run = self._open.pop(run_id, None)
        if run is None:
            return
        if run.span is None and run.is_root and not run.is_piece:
            run.enter()  # it failed before it did anything, and nobody else would tell
        if not isinstance(error, Exception):
            # a tool whose task is cancelled says nothing; what is in it goes first
            inside = [one for one, other in reversed(tuple(self._open.items())) if other.is_within(run)]
            for one in inside:
                self.fail(one, error)
        attributes = self._answer(run, result) if run.loan is not None else {}
        outcome = outcome_of(error)
        if outcome is not None:
            spans.end(run.span, attributes, outcome=outcome)
        else:
            spans.end(run.span, attributes, error=error)

    def _answer(self, run: Run, result: object) -> dict[str, Any]:
        """Return what a model's answer tells; what the client's call has told already is more exact."""
        attributes = messages.answer_attributes(result)
        if run.chunks:
            attributes |= {
                semconv.CHUNKS: run.chunks,
                semconv.REQUEST_STREAM: True,
                semconv.RESPONSE_TIME_TO_FIRST_CHUNK: run.first,
            }
        return {**attributes, **run.loan.attributes} if run.loan is not None else attributes


def outcome_of(error: BaseException) -> str | None:
    """Return how a run ended that only seems to have failed, None if it did fail.

    LangGraph raises where a graph waits for a person, or goes on in another graph.
    """
    names = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "langgraph.errors"]
    if "GraphBubbleUp" in names:
        return semconv.OUTCOME_INTERRUPTED if "GraphInterrupt" in names else semconv.OUTCOME_OK
    return semconv.OUTCOME_ABANDONED if isinstance(error, GeneratorExit) else None


def _finished(message: dict[str, Any]) -> dict[str, Any]:
    return {**message, "finish_reason": "stop"} if message.get("role") == "assistant" else message
