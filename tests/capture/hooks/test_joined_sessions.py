"""A coding agent that a traced program starts becomes a part of that program's session."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hook_desk import Desk
from programs import wait_for
from recordings import Clients, Recording

import agent_trace_otel as at
from agent_trace_otel import identity, semconv
from agent_trace_otel.testing import Recorded, recording

pytestmark = pytest.mark.usefixtures("no_waiting")


def _play_inside(name: str, home: Path, clients: Clients, *, kills: bool) -> Recorded:
    """Play a recording below a tool call of a session of this process."""
    with recording(home / "traces", HOME=str(home)) as recorded:
        with at.session("conductor"):

            @at.trace_tool
            def delegate() -> None:
                current = identity.current()
                assert current is not None
                played = Recording(name, home)
                played.heard = [replace(one, env={**one.env, **current.environment()}) for one in played.heard]
                desk = Desk(home / "journals")
                for heard in played.play():
                    desk.hear(heard)
                    if kills:
                        desk.kill()
                        desk = Desk(home / "journals")
                clients.are_alive = False

                def is_over() -> bool:
                    desk.settle()
                    return desk.worker.open_sessions() == 0

                wait_for(is_over, "the end of the agent")
                clients.are_alive = True

            delegate()
        return recorded


@pytest.mark.parametrize("kills", [False, True], ids=["quiet", "killed"])
@pytest.mark.parametrize("name", ["basic", "resume", "subagent"])
def test_the_agent_is_in_the_session_and_the_trace_of_the_program(
    name: str, kills: bool, tmp_path: Path, clients: Clients
) -> None:
    recorded = _play_inside(name, tmp_path, clients, kills=kills)
    alone = tmp_path / "alone"
    alone.mkdir()
    with recording(alone / "none", HOME=str(alone)):
        played = Recording(name, alone)
        desk = Desk(alone / "journals")
        desk.hear_all(played.play())
        clients.are_alive = False
        desk.settle()
    by_itself = Recorded(played.store)

    (session_id,) = recorded.sessions()
    spans = recorded.spans()
    ids = {span.context.span_id: span for span in spans}
    assert len(ids) == len(spans)
    assert {span.context.trace_id for span in spans} == {identity.trace_id_of(session_id)}
    (root,) = (span for span in spans if span.parent is None)
    assert root.name == "invoke_agent conductor"
    (tool,) = (span for span in spans if span.name == "execute_tool delegate")
    runs = [
        span for span in spans if (span.attributes or {}).get(semconv.AGENT_ID) == played.heard[0].payload["session_id"]
    ]
    assert {span.parent.span_id for span in runs} == {tool.context.span_id}
    names = sorted(span.name for span in spans if span not in (root, tool))
    assert names == sorted(span.name for span in by_itself.spans())
    assert all(span.parent.span_id in ids for span in spans if span is not root)
    meta = by_itself.meta()
    assert recorded.meta().tool_calls == meta.tool_calls + 1
    assert (recorded.meta().llm_requests, recorded.meta().total_tokens) == (meta.llm_requests, meta.total_tokens)
    types = [event.event_type for event in recorded.events()]
    assert (types.count("session_start"), types.count("session_end")) == (1, 1)
