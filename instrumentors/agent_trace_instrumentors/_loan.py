"""A framework's span of a model call, lent to the client below: both instrumentors on, it is one span.

Comes in: the span that a framework's instrumentor started. Goes out: the same span, filled in by the client's call
rather than joined by a second one. Lent by the instrumentors of frameworks, taken by `_model_call.begin`:

    span = spans.start_model_call(...)
    loan = Loan(span)
    token = context_api.attach(loan.context())     # around each step, if it is a generator
    ...                                            # the framework calls the client
    spans.end(span, {**what_the_framework_knows, **loan.attributes})

Only the first call under a loan takes it: a second one, such as a retry with another model, has a span of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as context_api

from agent_trace_otel import spans

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

_LOAN: Final = context_api.create_key("agent-trace-loan")


class Loan:
    """A framework's span of a model call, to be filled in by the client's call below.

    Attributes:
        span: the span; whoever lends it ends it.
        attributes: what the client's call has filled in so far, more exact than what a framework makes of it.
    """

    __slots__ = ("_offers", "attributes", "span")

    def __init__(self, span: Span) -> None:
        self.span = span
        self.attributes: dict[str, Any] = {}
        self._offers = [True]  # list.pop is atomic: one call is the first

    def context(self) -> Context:
        """Return the context to run the client in: the span is current, and lent."""
        return context_api.set_value(_LOAN, self, spans.context_of(self.span))

    def take(self) -> bool:
        """Take the loan, if it is still to be had."""
        try:
            return self.span.is_recording() and self._offers.pop()
        except IndexError:
            return False

    def fill(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes; on a span that its owner has ended there is nothing to set."""
        self.attributes.update(attributes)
        if self.span.is_recording():
            self.span.set_attributes(attributes)


def taken_loan() -> Loan | None:
    """Take the loan that the current context offers, and return it; None where there is none to be had."""
    loan = context_api.get_value(_LOAN)
    return loan if isinstance(loan, Loan) and loan.take() else None
