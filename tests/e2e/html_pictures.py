"""Makes the README's pictures of the HTML page anew: ``python tests/e2e/html_pictures.py``.

Comes in: the session told below, the same on every run. Goes out: docs/html-light.png and docs/html-dark.png. Needs a
Chromium, as ``test_html_page`` does.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "support"), str(REPOSITORY / "tests" / "e2e")]

import html_sessions as made  # noqa: E402 - found by the line above
from browser import browsing, chromium  # noqa: E402
from session_folders import event, session_start  # noqa: E402

from agent_trace_otel import semconv  # noqa: E402
from agent_trace_otel.replay.html.page import page  # noqa: E402
from agent_trace_otel.store.index import SessionIndex  # noqa: E402
from agent_trace_otel.store.reader import Session  # noqa: E402

SIZE = {"width": 1280, "height": 760}
FIRST, SECOND, SCOUT, FETCH = "a" * 16, "b" * 16, "c" * 16, "e" * 16

PROMPT = "The date filter of the order list is off by one day. Find out why and mend it."
ANSWER = (
    "**Mended.** `parse_range()` took the end of the range for midnight at its start: the last day was left out.\n\n"
    "- `orders/filters.py`: the end is now exclusive, one day later\n- a test for the last day of a month\n\n"
    "All 48 tests pass."
)
EDIT = {
    "file_path": "orders/filters.py",
    "old_string": "def parse_range(text):\n    begin, end = map(parse_date, text.split('..'))\n    return begin, end\n",
    "new_string": (
        "def parse_range(text):\n    begin, last = map(parse_date, text.split('..'))\n"
        "    return begin, last + timedelta(days=1)  # the end is exclusive\n"
    ),
}


def _turn(prompt: str, answer: str) -> dict[str, object]:
    said = [{"role": "assistant", "parts": [{"type": "text", "content": answer}]}]
    return {
        semconv.OPERATION_NAME: semconv.INVOKE_AGENT,
        semconv.SCOPE: semconv.SCOPE_TURN,
        semconv.INPUT_MESSAGES: json.dumps([{"role": "user", "parts": [{"type": "text", "content": prompt}]}]),
        semconv.OUTPUT_MESSAGES: json.dumps(said),
    }


def _said(text: str, *tools: str) -> list[object]:
    return [
        {"type": "text", "content": text},
        *({"type": "tool_call", "name": name, "arguments": {}} for name in tools),
    ]


def session(trace_dir: Path) -> Path:
    """Write the session and return its folder."""
    scout = {semconv.OPERATION_NAME: semconv.INVOKE_AGENT, semconv.AGENT_NAME: "explorer", semconv.AGENT_ID: "a1"}
    wrong = {"file_path": "orders/filters.py", "old_string": "return begin, end", "new_string": "return begin, last"}
    failed = "FAILED tests/test_filters.py::test_last_day - AssertionError: 30 != 31\n1 failed, 46 passed in 3.41s"
    spans = [
        made.model("10" * 8, 0.4, 3.1, _said("I'll reproduce it first.", "Bash", "Agent"), parent=FIRST),
        made.tool(
            "11" * 8, "Bash", 3.6, 4.2, {"command": "pytest -q tests/test_filters.py"}, parent=FIRST, message=failed
        ),
        made.tool(FETCH, "Agent", 3.7, 14.0, {"prompt": "Where are ranges of dates parsed?"}, parent=FIRST),
        made.span(SCOUT, "invoke_agent explorer", 3.9, 13.7, scout, parent=FETCH),
        made.model("12" * 8, 4.0, 2.6, _said("Searching for the parser.", "Grep", "Glob"), parent=SCOUT),
        made.tool("13" * 8, "Grep", 6.7, 0.3, {"pattern": "def parse_"}, "orders/filters.py:12", parent=SCOUT),
        made.tool("14" * 8, "Glob", 6.7, 0.2, {"pattern": "**/test_filters*"}, parent=SCOUT),
        made.tool("15" * 8, "Read", 9.6, 0.2, {"file_path": "orders/filters.py"}, parent=SCOUT),
        made.model("16" * 8, 7.1, 2.4, _said("It is in `orders/filters.py`.", "Read"), parent=SCOUT),
        made.model("17" * 8, 10.0, 7.4, _said("`parse_range` drops the last day."), parent=SCOUT),
        made.model(
            "18" * 8, 18.0, 5.2, _said("The end is inclusive here, and exclusive in the query.", "Edit"), parent=FIRST
        ),
        made.tool("19" * 8, "Edit", 23.3, 0.1, wrong, parent=FIRST, message="String to replace not found in file."),
        made.model("1a" * 8, 23.6, 3.0, _said("Once more, with the lines as they stand.", "Edit"), parent=FIRST),
        made.tool("1b" * 8, "Edit", 26.7, 0.1, EDIT, {"linesAdded": 2, "linesRemoved": 2}, parent=FIRST),
        made.tool(
            "1c" * 8, "Bash", 27.0, 4.9, {"command": "pytest -q"}, {"stdout": "48 passed in 3.52s"}, parent=FIRST
        ),
        made.model("1d" * 8, 32.1, 3.8, _said(ANSWER), parent=FIRST),
        made.span(FIRST, "invoke_agent claude-code", 0.2, 36.0, _turn(PROMPT, ANSWER)),
        made.model("20" * 8, 39.4, 2.2, _said("I'll push the branch.", "Bash"), parent=SECOND),
        made.tool("21" * 8, "Bash", 41.8, 2.1, {"command": "git push -u origin date-filter"}, parent=SECOND),
        made.span(SECOND, "invoke_agent claude-code", 39.2, 7.5, _turn("Good. Push it.", "Pushed.")),
        made.root(47.0, name="claude-code", command="claude"),
    ]
    decision = {
        "choice": "make the end exclusive",
        "reason": "the query compares with <",
        "alternatives": ["compare with <="],
    }
    events = (
        session_start(agent_name="claude-code", command=["claude"]),
        event("user_prompt", 0.2, {"prompt": PROMPT}, span=FIRST),
        event("decision", 23.2, decision, span=FIRST),
        event("assistant_response", 36.1, {"text": ANSWER}, span=FIRST),
        event("user_prompt", 39.2, {"prompt": "Good. Push it."}, span=SECOND),
        event("assistant_response", 46.6, {"text": "Pushed."}, span=SECOND),
        event("session_end", 47.0, {}),
    )
    counts = {"tool_calls": 9, "llm_requests": 8, "errors": 2, "total_tokens": 14_816}
    return made.session_with_spans(
        trace_dir, spans, *events, agent_name="claude-code", ended_at=made.START + 47, **counts
    )


def main() -> None:
    """Write the pictures."""
    if chromium() is None:
        sys.exit("no Chromium: install one, or name it in AGENT_TRACE_CHROMIUM")
    docs = REPOSITORY / "docs"
    docs.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, browsing(Path(folder)) as tab:
        found = Session(str(session(Path(folder) / "traces")))
        file = Path(folder) / "page.html"
        with SessionIndex(found.events_path) as index, file.open("w", encoding="utf-8") as out:
            out.writelines(page(found, index))
        for name, dark, row in (("light", False, "1b" * 8), ("dark", True, "11" * 8)):
            tab.look(dark=dark, **SIZE)
            tab.open(file, f"#{row}")
            (docs / f"html-{name}.png").write_bytes(tab.picture())


if __name__ == "__main__":
    main()
