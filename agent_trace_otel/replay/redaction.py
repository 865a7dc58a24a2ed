"""What redaction would withhold from a file, and why: lines for `agent-trace redact`.

Comes in: text, of a JSON document, of JSON lines or of anything else. Goes out: one line a place, never the secret
itself. Called by `cli`.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_trace_otel.redact import Redactor

_NEWLINE = "\n"


def report(text: str, redactor: Redactor) -> Iterator[str]:
    """Yield a line for each value that would be withheld, then how many there are.

    A place in JSON is told as a path ("$.args[2]", with the line before it for JSON lines), a place in other text as
    line:column, both from 1.
    """
    count = 0
    for place in _places(text, redactor):
        count += 1
        yield place + _NEWLINE
    yield f"{count} value{'' if count == 1 else 's'} would be withheld{_NEWLINE}"


def _places(text: str, redactor: Redactor) -> Iterator[str]:
    whole = _parsed(text)
    if whole is not None:
        for finding in redactor.findings(whole):
            yield f"{finding.kind:<24} {finding.path}"
        return
    lines = text.splitlines()
    values = [_parsed(line) for line in lines if line.strip()]
    if values and all(value is not None for value in values):
        for number, value in enumerate(values, 1):
            for finding in redactor.findings(value):
                yield f"{finding.kind:<24} line {number}: {finding.path}"
        return
    for finding in redactor.findings(text):
        before = text[: finding.start]
        line, column = before.count(_NEWLINE) + 1, finding.start - before.rfind(_NEWLINE)
        yield f"{finding.kind:<24} {line}:{column}"


def _parsed(text: str) -> object:
    """Return a JSON object or array, None for any other text."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
