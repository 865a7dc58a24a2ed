"""Which request a message opens, answers, cancels or tells of: ids, directions, sessions, retries, races."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent_trace_otel.capture.mcp.copies import FROM_CLIENT, FROM_SERVER
from agent_trace_otel.capture.mcp.framing import Framed
from agent_trace_otel.capture.mcp.messages import Message, read
from agent_trace_otel.capture.mcp.pairing import (
    ACKNOWLEDGED,
    CANCELLED,
    REUSED,
    Answered,
    Began,
    Exchange,
    Left,
    Noted,
    Pairing,
    Request,
    Step,
    Stray,
)
from agent_trace_otel.content import to_json
from agent_trace_otel.mcp_io import PROTOCOL_VERSION_KEY, SUBSCRIPTION_KEY

NEWEST = {"_meta": {PROTOCOL_VERSION_KEY: "2026-07-28"}}


class Conversation:
    """A pairing, spoken to in Python; the clock ticks once a message."""

    def __init__(self) -> None:
        self.pairing = Pairing()
        self.stdio = Exchange(1)
        self.now = 0

    def says(self, direction: int, on: Exchange | None = None, at: int = 0, **members: Any) -> list[Step]:
        self.now += 10
        return list(self.pairing.take(_message(members), direction, on or self.stdio, at or self.now))

    def client(self, on: Exchange | None = None, at: int = 0, **members: Any) -> list[Step]:
        return self.says(FROM_CLIENT, on, at, **members)

    def server(self, on: Exchange | None = None, at: int = 0, **members: Any) -> list[Step]:
        return self.says(FROM_SERVER, on, at, **members)


def _message(members: Mapping[str, Any]) -> Message:
    (message,), _ = read(Framed(to_json({"jsonrpc": "2.0", **members}).encode()))
    return message


def _begun(steps: list[Step]) -> Request:
    (step,) = steps
    assert isinstance(step, Began)
    return step.request


def _answered(steps: list[Step]) -> Request:
    (step,) = steps
    assert isinstance(step, Answered)
    return step.request


def test_answers_meet_requests_in_any_order_and_ids_keep_their_type() -> None:
    talk = Conversation()
    number, text = _begun(talk.client(id=1, method="a")), _begun(talk.client(id="1", method="b"))
    assert _answered(talk.server(id="1", result={})) is text
    assert _answered(talk.server(id=1.0, result={})) is number


def test_client_and_server_count_their_ids_apart() -> None:
    talk = Conversation()
    call, sampling = _begun(talk.client(id=0, method="tools/call")), _begun(talk.server(id=0, method="sampling"))
    assert sampling.related is call
    assert _answered(talk.client(id=0, result={})) is sampling
    assert _answered(talk.server(id=0, result={})) is call


def test_an_id_may_be_used_again_once_it_is_answered() -> None:
    talk = Conversation()
    first = _begun(talk.client(id=1, method="a"))
    talk.server(id=1, result={})
    second = _begun(talk.client(id=1, method="a"))
    assert first is not second
    assert _answered(talk.server(id=1, error={"code": 1})) is second


def test_an_id_that_is_used_twice_at_once_ends_the_first() -> None:
    talk = Conversation()
    first = _begun(talk.client(id=1, method="a"))
    left, began = talk.client(id=1, method="b")
    assert left == Left(first, REUSED, 20)
    assert isinstance(began, Began)
    assert _answered(talk.server(id=1, result={})) is began.request


def test_answers_to_nothing_are_told() -> None:
    talk = Conversation()
    talk.client(id=1, method="a")
    for answer in ({"id": 5, "result": {}}, {"id": "1", "result": {}}, {"id": None, "error": {"code": -32700}}):
        (stray,) = talk.server(**answer)
        assert isinstance(stray, Stray)


def test_a_cancelled_request_ends_and_its_late_answer_is_nothing() -> None:
    talk = Conversation()
    request = _begun(talk.client(id=1, method="tools/call"))
    noted, left = talk.client(method="notifications/cancelled", params={"requestId": 1})
    assert isinstance(noted, Noted)
    assert left == Left(request, CANCELLED, 20)
    assert talk.server(id=1, result={}) == []


def test_only_who_asked_can_cancel() -> None:
    talk = Conversation()
    request = _begun(talk.client(id=1, method="tools/call"))
    (noted,) = talk.server(method="notifications/cancelled", params={"requestId": 1})
    assert isinstance(noted, Noted)
    assert _answered(talk.server(id=1, result={})) is request


def test_progress_belongs_to_the_request_that_gave_the_token() -> None:
    talk = Conversation()
    request = _begun(talk.client(id=1, method="tools/call", params={"_meta": {"progressToken": 7}}))
    _begun(talk.client(id=2, method="tools/call", params={"_meta": {"progressToken": "7"}}))
    (noted,) = talk.server(method="notifications/progress", params={"progressToken": 7})
    assert isinstance(noted, Noted)
    assert noted.request is request
    talk.server(id=1, result={})
    (late,) = talk.server(method="notifications/progress", params={"progressToken": 7})
    assert isinstance(late, Noted)
    assert late.request is None


def test_a_log_message_belongs_to_the_only_open_request() -> None:
    talk = Conversation()
    request = _begun(talk.client(id=1, method="tools/call"))
    (alone,) = talk.server(method="notifications/message", params={"data": "x"})
    _begun(talk.client(id=2, method="tools/call"))
    (between,) = talk.server(method="notifications/message", params={"data": "x"})
    assert isinstance(alone, Noted)
    assert isinstance(between, Noted)
    assert (alone.request, between.request) == (request, None)


def test_a_subscription_ends_when_it_is_acknowledged() -> None:
    talk = Conversation()
    request = _begun(talk.client(id=3, method="subscriptions/listen", params=NEWEST))
    meta = {"_meta": {SUBSCRIPTION_KEY: 3}}
    _, left = talk.server(method="notifications/subscriptions/acknowledged", params=meta)
    assert left == Left(request, ACKNOWLEDGED, 20)
    assert talk.server(id=3, result={}) == []


def test_a_retry_with_input_is_linked_by_state_or_by_the_call_itself() -> None:
    talk = Conversation()
    call = {"name": "ask", "arguments": {"a": 1}}
    first = _begun(talk.client(id=1, method="tools/call", params=call))
    talk.server(id=1, result={"resultType": "input_required", "requestState": "s"})
    assert _begun(talk.client(id=2, method="tools/call", params=call)).retry_of is None
    second = _begun(talk.client(id=3, method="tools/call", params={**call, "requestState": "s", "inputResponses": {}}))
    assert second.retry_of is first
    talk.server(id=3, result={"resultType": "input_required"})
    other = {**call, "arguments": {"a": 2}, "inputResponses": {}}
    assert _begun(talk.client(id=4, method="tools/call", params=other)).retry_of is None
    assert _begun(talk.client(id=5, method="tools/call", params={**call, "inputResponses": {}})).retry_of is second


def test_before_stateless_mcp_an_answer_may_come_on_another_exchange_of_the_session() -> None:
    talk = Conversation()
    first, second = Exchange(1, session="s"), Exchange(2, session="s")
    other = Exchange(3, session="t")
    request = _begun(talk.client(first, id=1, method="a"))
    _begun(talk.client(other, id=1, method="a"))
    assert list(talk.pairing.close(first, "gone", 50)) == []
    assert _answered(talk.server(second, id=1, result={})) is request


def test_initialize_is_answered_though_its_session_has_a_name_only_then() -> None:
    talk = Conversation()
    exchange = Exchange(1)
    request = _begun(talk.client(exchange, id=0, method="initialize"))
    exchange.session = "s"
    assert _answered(talk.server(exchange, id=0, result={})) is request


def test_without_sessions_the_only_request_with_that_id_is_meant() -> None:
    talk = Conversation()
    request = _begun(talk.server(Exchange(1), id=1, method="sampling/createMessage"))
    assert _answered(talk.client(Exchange(2), id=1, result={})) is request


def test_stateless_exchanges_are_each_for_themselves() -> None:
    talk = Conversation()
    one, two = Exchange(1, session="ignored"), Exchange(2, session="ignored", protocol="2026-07-28")
    first = _begun(talk.client(one, id=1, method="a", params=NEWEST))
    second = _begun(talk.client(two, id=1, method="a"))
    assert _answered(talk.server(two, id=1, result={})) is second
    assert list(talk.pairing.close(one, "gone", 50)) == [Left(first, "gone", 50)]
    assert talk.server(one, id=1, result={}) == []


def test_a_refused_exchange_ends_what_it_brought() -> None:
    talk = Conversation()
    exchange = Exchange(1, session="s")
    request = _begun(talk.client(exchange, id=1, method="a"))
    closed = list(talk.pairing.close(exchange, "HTTP status 401", 50, error_type="401", is_final=True))
    assert closed == [Left(request, "HTTP status 401", 50, "401")]


def test_at_the_end_every_open_request_is_told() -> None:
    talk = Conversation()
    requests = [_begun(talk.client(id=1, method="a")), _begun(talk.server(id=1, method="b"))]
    assert [left.request for left in talk.pairing.close_all("over", 99)] == requests
    assert list(talk.pairing.close_all("over", 99)) == []
