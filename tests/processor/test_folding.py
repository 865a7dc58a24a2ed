"""One call, told by several instrumentations, is one entry of the timeline: whoever ends first, live and exported."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from agent_trace_otel import AgentTraceSpanProcessor, FileSpanExporter, session, trace_llm_call
from agent_trace_otel.cli import main
from agent_trace_otel.processor.span_sessions import writer_for
from agent_trace_otel.testing import Recorded

AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"}
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m-1"}
USED = {"gen_ai.usage.input_tokens": 50, "gen_ai.usage.output_tokens": 7}
OF_ARIZE = {"openinference.span.kind": "LLM", "llm.model_name": "m-1"}
USED_ARIZE = {"llm.token_count.prompt": 50, "llm.token_count.completion": 7}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look"}
MCP_CALL = {**TOOL, "mcp.method.name": "tools/call", "gen_ai.tool.name": "search"}

Tracer = trace_api.Tracer


@pytest.fixture(params=["live", "exported one by one", "exported at once"])
def provider(request: pytest.FixtureRequest, recorded: Recorded) -> TracerProvider:
    """Return a provider of somebody else's, whose spans are recorded in one of three ways."""
    made = TracerProvider()
    if request.param == "live":
        made.add_span_processor(AgentTraceSpanProcessor())
    elif request.param == "exported one by one":
        made.add_span_processor(SimpleSpanProcessor(FileSpanExporter()))
    else:
        made.add_span_processor(BatchSpanProcessor(FileSpanExporter(), schedule_delay_millis=60_000))
    return made


@pytest.fixture
def tracer(provider: TracerProvider) -> Tracer:
    return provider.get_tracer("one.instrumentation")


@pytest.fixture
def spans_of(provider: TracerProvider, recorded: Recorded) -> Callable[[], dict[str, dict[str, Any]]]:
    """Return what gives the attributes of the spans that were written, by name."""

    def found() -> dict[str, dict[str, Any]]:
        provider.force_flush()
        return {span.name: dict(span.attributes or {}) for span in recorded.spans()}

    return found


@pytest.fixture
def counts(
    provider: TracerProvider, recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> Callable[[], dict[str, tuple[int, int]]]:
    """Return what gives (calls of models, tokens) as each view counts them."""

    def found() -> dict[str, tuple[int, int]]:
        provider.force_flush()
        (folder,) = [path for path in recorded.trace_dir.iterdir() if path.is_dir()]
        meta = writer_for(recorded.trace_dir, folder.name).meta()

        def told(*arguments: str) -> str:
            capsys.readouterr()
            assert main(["--trace-dir", str(recorded.trace_dir), *arguments]) == 0
            return capsys.readouterr().out

        stats = json.loads(told("stats", "--json"))
        (listed,) = json.loads(told("list", "--json"))
        events = json.loads(told("export", "--format", "json"))
        replayed, page = told("replay", "--no-color"), told("export", "--format", "html")
        tree, compared = told("replay", "--tree", "--no-color"), told("diff", folder.name, folder.name)
        rows = json.loads(page.partition('class="rows">')[2].partition("</script>")[0])
        kind, tokens = rows["columns"].index("kind"), rows["columns"].index("tokens")
        models = [row for row in rows["rows"] if row[kind] == "model"]
        responses = [event["data"].get("total_tokens", 0) for event in events if event["event_type"] == "llm_response"]
        return {
            "meta": (meta.llm_requests, meta.total_tokens),
            "stats": tuple(sum(model[name] for model in stats["models"]) for name in ("calls", "total_tokens")),
            "list": (listed["llm_requests"], listed["total_tokens"]),
            "json": (sum(event["event_type"] == "llm_request" for event in events), sum(responses)),
            "replay": (replayed.count("llm_request"), 57 * replayed.count("(57 tokens")),
            "tree": (tree.count("⬆ m-1"), sum(map(int, re.findall(r"⬆ m-1 .*?(\d+)$", tree, re.MULTILINE)))),
            "diff": tuple(_number(rf"^{name} +(\d+)", compared) for name in ("LLM calls", "Tokens")),
            "explain": tuple(_number(rf"(\d+) {name}", told("explain")) for name in ("LLM calls?", "tokens")),
            "html": (len(models), sum(row[tokens] for row in models)),
        }

    return found


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text, re.MULTILINE)
    return int(found[1]) if found else 0


def once(counts: Callable[[], dict[str, tuple[int, int]]], *, calls: int = 1) -> None:
    """Hold that every view counts so many calls, and 57 tokens for each."""
    found = counts()
    assert found == dict.fromkeys(found, (calls, 57 * calls))


def test_a_call_that_an_inner_span_tells_too_is_told_by_the_outer_one(
    tracer: Tracer, spans_of: Any, counts: Any
) -> None:
    agent = tracer.start_as_current_span("agent", attributes=AGENT)
    with agent, tracer.start_as_current_span("outer", attributes=CHAT) as outer:
        with tracer.start_as_current_span("inner", attributes=CHAT) as inner:
            inner.set_attributes({**USED, "gen_ai.response.id": "r-1"})
        outer.set_attributes({**USED, "gen_ai.response.id": "r-1"})
    inner_id = trace_api.format_span_id(inner.get_span_context().span_id)
    assert spans_of()["outer"]["agent_trace.duplicates"] == (inner_id,)
    assert "agent_trace.duplicates" not in spans_of()["inner"]
    once(counts)


def test_model_and_usage_say_the_same_as_a_response_id(tracer: Tracer, spans_of: Any, counts: Any) -> None:
    agent = tracer.start_as_current_span("agent", attributes=AGENT)
    with agent, tracer.start_as_current_span("outer", attributes=CHAT) as outer:
        with tracer.start_as_current_span("http"), tracer.start_as_current_span("inner", attributes=CHAT) as inner:
            inner.set_attributes(USED)
        outer.set_attributes(USED)
    assert len(spans_of()["outer"]["agent_trace.duplicates"]) == 1
    once(counts)


def test_an_outer_call_has_one_inner_one(tracer: Tracer, spans_of: Any) -> None:
    agent = tracer.start_as_current_span("agent", attributes=AGENT)
    with agent, tracer.start_as_current_span("outer", attributes={**CHAT, **USED}):
        for _ in range(3):
            tracer.start_span("inner", attributes={**CHAT, **USED}).end()
    assert len(spans_of()["outer"]["agent_trace.duplicates"]) == 1


def test_a_call_that_ends_after_the_one_around_it_names_that_one(tracer: Tracer, spans_of: Any, counts: Any) -> None:
    agent = tracer.start_span("agent", attributes=AGENT)
    outer = tracer.start_span("outer", context=trace_api.set_span_in_context(agent), attributes=CHAT)
    inner = tracer.start_span("inner", context=trace_api.set_span_in_context(outer), attributes=CHAT)
    for span in (outer, inner, agent):
        span.set_attributes({**USED, "gen_ai.response.id": "r-1"} if span is not agent else {})
        span.end()
    outer_id = trace_api.format_span_id(outer.get_span_context().span_id)
    assert spans_of()["inner"]["agent_trace.duplicates"] == (outer_id,)
    once(counts)


def test_spans_beside_each_other_are_one_call_by_their_response_id(tracer: Tracer, spans_of: Any, counts: Any) -> None:
    with tracer.start_as_current_span("agent", attributes=AGENT):
        first, second = (tracer.start_span(name, attributes={**CHAT, **USED}) for name in ("first", "second"))
        for span in (first, second):
            span.set_attribute("gen_ai.response.id", "r-1")
            span.end()
    first_id = trace_api.format_span_id(first.get_span_context().span_id)
    assert spans_of()["second"]["agent_trace.duplicates"] == (first_id,)
    once(counts)


def test_a_call_that_says_only_at_its_end_what_it_is(provider: TracerProvider, spans_of: Any, counts: Any) -> None:
    tracer, arize = provider.get_tracer("one"), provider.get_tracer("openinference.instrumentation.langchain")
    agent = tracer.start_as_current_span("agent", attributes=AGENT)
    with agent, arize.start_as_current_span("ChatOpenAI") as outer:
        with tracer.start_as_current_span("inner", attributes=CHAT) as inner:
            inner.set_attributes(USED)
        outer.set_attributes({**OF_ARIZE, **USED_ARIZE})
    assert len(spans_of()["ChatOpenAI"]["agent_trace.duplicates"]) == 1
    once(counts)


def test_an_outer_call_that_knows_no_tokens_tells_those_of_the_inner_one(tracer: Tracer, counts: Any) -> None:
    agent = tracer.start_as_current_span("agent", attributes=AGENT)
    with agent, tracer.start_as_current_span("outer", attributes=CHAT):
        tracer.start_span("inner", attributes={**CHAT, **USED}).end()
    once(counts)


def test_numbers_of_an_instrumentation_that_counts_twice_are_believed_last(
    provider: TracerProvider, recorded: Recorded, counts: Any
) -> None:
    tracer = provider.get_tracer("com.anthropic.sdk.python")
    rough = provider.get_tracer("opentelemetry.instrumentation.anthropic")
    agent = tracer.start_as_current_span("agent", attributes=AGENT)
    with agent, rough.start_as_current_span("anthropic.chat", attributes=CHAT) as outer:
        tracer.start_span("inner", attributes={**CHAT, **USED, "gen_ai.response.id": "r"}).end()
        outer.set_attributes({**USED, "gen_ai.usage.output_tokens": 8, "gen_ai.response.id": "r"})
    once(counts)


def test_a_call_beside_one_whose_inner_span_knows_the_answer(provider: TracerProvider, counts: Any) -> None:
    tracer = provider.get_tracer("one")
    with tracer.start_as_current_span("agent", attributes=AGENT) as agent:
        outer = tracer.start_span("outer", attributes=CHAT)
        beside = tracer.start_span("beside", context=trace_api.set_span_in_context(agent), attributes=CHAT)
        answered = {**CHAT, **USED, "gen_ai.response.id": "r"}
        tracer.start_span("inner", context=trace_api.set_span_in_context(outer), attributes=answered).end()
        beside.set_attributes(answered)
        beside.end()
        outer.end()
    once(counts)


def test_calls_with_other_answers_are_other_calls(tracer: Tracer, counts: Any) -> None:
    with tracer.start_as_current_span("agent", attributes=AGENT):
        for identity in ("r-1", "r-2"):
            tracer.start_span("chat", attributes={**CHAT, **USED, "gen_ai.response.id": identity}).end()
    once(counts, calls=2)


def test_the_same_answer_in_another_trace_is_another_call(tracer: Tracer, recorded: Recorded, counts: Any) -> None:
    for _ in range(2):
        attributes = {**CHAT, **USED, "gen_ai.response.id": "r-1", "gen_ai.conversation.id": "talk"}
        tracer.start_span("chat", attributes=attributes).end()
    once(counts, calls=2)


def test_two_spans_of_one_stream_are_one_call(provider: TracerProvider, counts: Any) -> None:
    tracer, logfire = provider.get_tracer("one"), provider.get_tracer("logfire.openai")
    asked = {**CHAT, "request_data": '{"model": "m-1"}'}
    with tracer.start_as_current_span("agent", attributes=AGENT):
        logfire.start_span("Chat Completion with m-1", attributes=asked).end()
        logfire.start_span("streaming response", attributes={**asked, **USED, "logfire.span_type": "log"}).end()
    once(counts)


def test_a_call_that_failed_inside_another_one_is_one_error(tracer: Tracer, counts: Any, recorded: Recorded) -> None:
    with tracer.start_as_current_span("agent", attributes=AGENT):
        outer = tracer.start_span("outer", attributes=CHAT)
        inner = tracer.start_span("inner", context=trace_api.set_span_in_context(outer), attributes=CHAT)
        for span in (inner, outer):
            span.set_status(StatusCode.ERROR, "refused")
            span.end()
    assert counts()["meta"] == (1, 0)
    assert [event.event_type for event in recorded.events()].count("error") == 1


def test_a_tool_calls_mcp_request_is_the_tool_call(
    tracer: Tracer, provider: TracerProvider, recorded: Recorded
) -> None:
    with tracer.start_as_current_span("agent", attributes=AGENT):
        with (
            tracer.start_as_current_span("tool", attributes=TOOL),
            tracer.start_as_current_span("MCP send tools/call search", attributes={"mcp.method.name": "tools/call"}),
        ):
            tracer.start_span("tools/call search", attributes=MCP_CALL).end()
        tracer.start_span("tools/call search", attributes=MCP_CALL).end()
    provider.force_flush()
    (folder,) = [path for path in recorded.trace_dir.iterdir() if path.is_dir()]
    assert writer_for(recorded.trace_dir, folder.name).meta().tool_calls == 2


def test_a_decorated_function_around_a_client_is_one_call(
    recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    provider = TracerProvider()
    provider.add_span_processor(AgentTraceSpanProcessor())
    trace_api.set_tracer_provider(provider)
    client = trace_api.get_tracer("opentelemetry.instrumentation.genai.openai")

    @trace_llm_call(provider="openai", model="m-1")
    def ask(prompt: str) -> str:
        with client.start_as_current_span("chat m-1", attributes={**CHAT, **USED, "gen_ai.response.id": "r"}):
            return "fine"

    with session("main") as opened:
        ask("well?")
    meta = json.loads((recorded.trace_dir / opened.id / "meta.json").read_text())
    assert (meta["llm_requests"], meta["total_tokens"]) == (1, 57)
    kinds = [event.event_type for event in recorded.events()]
    assert [kinds.count(kind) for kind in ("llm_request", "llm_response")] == [1, 1]


def test_otlp_gets_every_span(recorded: Recorded) -> None:
    sent = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(AgentTraceSpanProcessor(delivery=SimpleSpanProcessor(sent)))
    tracer = provider.get_tracer("x")
    with tracer.start_as_current_span("outer", attributes={**CHAT, **USED}):
        tracer.start_span("inner", attributes={**CHAT, **USED}).end()
    spans: dict[str, ReadableSpan] = {span.name: span for span in sent.get_finished_spans()}
    assert set(spans) == {"outer", "inner"}
    assert "agent_trace.duplicates" in (spans["outer"].attributes or {})


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in path.read_text().splitlines())


def test_processes_that_told_one_call_each_count_it_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def event(kind: str, at: float, identity: str, span: str, parent: str, data: dict[str, Any]) -> str:  # noqa: PLR0913 - one line
        placed = {**data, "trace_id": "a" * 32, "span_id": span, "parent_span_id": parent}
        line = {"event_type": kind, "timestamp": at, "event_id": identity, "session_id": "s"}
        line |= {"parent_id": span} if kind == "llm_response" else {}
        return json.dumps({**line, "data": placed}, separators=(",", ":")) + "\n"

    answered = {"content_preview": "", "total_tokens": 57, "model": "m-1", "response_id": "r"}
    lines = [
        event("llm_request", 1, "1" * 16, "1" * 16, "f" * 16, {"method": "chat", "model": "m-1"}),
        event("llm_request", 2, "2" * 16, "2" * 16, "e" * 16, {"method": "chat", "model": "m-1"}),
        event("llm_response", 3, "3" * 12, "2" * 16, "e" * 16, answered),
        event("llm_response", 4, "4" * 12, "1" * 16, "f" * 16, answered),
    ]
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / "events.ndjson").write_text("".join(lines))
    assert main(["--trace-dir", str(tmp_path), "stats", "--json"]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    assert (model["calls"], model["total_tokens"]) == (1, 57)
    assert main(["--trace-dir", str(tmp_path), "list", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["llm_requests"], listed["total_tokens"]) == (1, 57)
