"""What our own TracerProvider does differently: its ids, its sampler, its limits.

Called by `pipeline`; `spans` hands ids over through `ids_of_next_span`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import lru_cache
from random import getrandbits
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Decision, Sampler, SamplingResult
from opentelemetry.trace import TraceFlags, get_current_span

from agent_trace_otel.ids import ids_of_next_span

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind, TraceState
    from opentelemetry.util.types import Attributes


class SessionIdGenerator(RandomIdGenerator):
    """Gives a span the ids that were derived for it, any other span random ones."""

    def generate_trace_id(self) -> int:
        """Return the trace id of a span without a parent."""
        given = ids_of_next_span.get()
        return super().generate_trace_id() if given is None or not given[0] else given[0]

    def generate_span_id(self) -> int:
        """Return the id of the span that is being started."""
        given = ids_of_next_span.get()
        if given is None:
            return getrandbits(64) or 1
        ids_of_next_span.set(None)  # what starts spans while this one starts, such as a processor, gets ids of its own
        return given[1]


class RecordingSampler(Sampler):
    """Lets another sampler decide what is sent; everything is recorded.

    Ratio samplers compare the low 64 bits of the trace id, of which a UUID's are not random (RFC 9562, section 5.4:
    the variant), so they are shown the SHA-256 of the id instead.
    """

    def __init__(self, decides: Sampler) -> None:
        self._decides = decides
        self._follows_parent = decides is DEFAULT_ON

    def should_sample(  # noqa: PLR0913 - the SDK's interface
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,  # noqa: ARG002 - the SDK's interface
    ) -> SamplingResult:
        """Return the other sampler's decision, RECORD_ONLY in place of DROP."""
        if self._follows_parent:  # the default; asked for every span, so it is decided here
            parent = get_current_span(parent_context).get_span_context()
            if parent.is_valid:
                sampled = parent.trace_flags & TraceFlags.SAMPLED
                decision = Decision.RECORD_AND_SAMPLE if sampled else Decision.RECORD_ONLY
                return SamplingResult(decision, attributes, parent.trace_state)
        result = self._decides.should_sample(parent_context, _hashed(trace_id), name, kind, attributes, links)
        if result.decision is not Decision.DROP:
            return result
        return SamplingResult(Decision.RECORD_ONLY, attributes, result.trace_state)

    def get_description(self) -> str:
        """Return the sampler's name as the SDK logs it."""
        return f"RecordingSampler{{{self._decides.get_description()}}}"


@lru_cache(maxsize=1024)
def _hashed(trace_id: int) -> int:
    return int.from_bytes(hashlib.sha256(trace_id.to_bytes(16, "big")).digest()[:16], "big")


def span_limits() -> SpanLimits:
    """Return limits that lose nothing, unless the standard OTEL_*_LIMIT variables set some.

    The SDK's default of 128 drops the oldest attribute and the oldest event of a span.
    """

    def limit(*variables: str) -> int | None:
        return None if any(os.environ.get(name) for name in variables) else SpanLimits.UNSET

    attributes = limit("OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT")
    return SpanLimits(
        max_attributes=attributes,
        max_span_attributes=attributes,
        max_events=limit("OTEL_SPAN_EVENT_COUNT_LIMIT"),
        max_links=limit("OTEL_SPAN_LINK_COUNT_LIMIT"),
    )
