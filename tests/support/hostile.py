"""Hypothesis strategies of hostile data: any JSON, and known documents with anything in some of their places."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("AGENT_TRACE_FUZZ", "25"))
"""Examples of each test; the default is a check, a night's run takes thousands."""

fuzzed = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""What a test of hostile data runs under; its fixtures hold nothing that an example changes."""

ODD_TEXTS = ("", "\0", "../../etc/passwd", "\x1b[2J", "\u2028", "\ud800", "9" * 400, "NaN", "-0", "[]", "null", "\t")
ODD_NUMBERS = (0, -1, 2**31, 2**53, 2**63, 2**64, 10**30, 1e308, float("nan"), float("inf"), True)

texts = st.one_of(st.text(max_size=20), st.sampled_from(ODD_TEXTS))
numbers = st.one_of(st.integers(), st.floats(), st.sampled_from(ODD_NUMBERS))
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)
"""Any value that some JSON parser takes, NaN and lone surrogates included."""


@st.composite
def mutated(draw: st.DrawFn, document: Any) -> Any:
    """Return a copy of a JSON document with other values, or none, in up to four of its places."""
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(0, 4))):
        places = list(_places(changed))
        if not places:
            return draw(values)
        holder, key = draw(st.sampled_from(places))
        if isinstance(holder, dict) and draw(st.integers(0, 3)) == 0:
            del holder[key]
        else:
            holder[key] = draw(values)
    return changed


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Yield where every value of a document stands."""
    keys: Any = document.keys() if isinstance(document, dict) else range(len(document))
    for key in list(keys):
        yield document, key
        if isinstance(document[key], dict | list):
            yield from _places(document[key])


@st.composite
def mutated_lines(draw: st.DrawFn, lines: list[bytes]) -> bytes:
    """Return a file of JSON lines, some of them changed, torn, doubled, out of order, or no JSON at all."""
    found: list[bytes] = []
    touched = draw(st.sets(st.integers(0, max(len(lines) - 1, 0)), max_size=6))
    for number, line in enumerate(lines):
        if number not in touched:
            found.append(line)
            continue
        match draw(st.integers(0, 5)):
            case 0:
                found += [line, line]
            case 1:
                found.append(line[: draw(st.integers(0, len(line)))])
            case 2:
                found.append(draw(st.binary(max_size=40)))
            case 3:
                found.insert(0, line)
            case _:
                # what Python writes for NaN and lone surrogates is what a careless writer would leave
                found.append(json.dumps(draw(mutated(json.loads(line)))).encode())
    end = draw(st.sampled_from([b"\n", b"", b"\r\n", b'\n{"torn']))
    return b"\n".join(found) + end
