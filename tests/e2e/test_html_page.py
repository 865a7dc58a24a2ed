"""The HTML page in a real browser, opened as a file: what it shows, how it is steered, and what it refuses.

Needs a Chromium (``apt-get install chromium``, or its path in AGENT_TRACE_CHROMIUM); skipped without one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import html_sessions as made
import pytest
from browser import Page, browsing, chromium
from session_folders import ROOT, event, gone, session_start

from agent_trace_otel import semconv
from agent_trace_otel.replay.html.page import page
from agent_trace_otel.store.index import SessionIndex
from agent_trace_otel.store.reader import Session

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(chromium() is None, reason="no Chromium: apt-get install chromium")]

MANY = 10_000
LEAST_CONTRAST = 4.5  # WCAG 2.2, success criterion 1.4.3
TURN = {semconv.OPERATION_NAME: semconv.INVOKE_AGENT, semconv.SCOPE: semconv.SCOPE_TURN}


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browsing(tmp_path_factory.mktemp("browser")) as found:
        found.look()
        yield found


def write_page(folder: Path, into: Path) -> Path:
    session = Session(str(folder))
    file = into / "page.html"
    with SessionIndex(session.events_path) as index, file.open("w", encoding="utf-8") as out:
        session.recount(index)
        out.writelines(page(session, index))
    return file


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two turns, a failure among several tools, and a call that is still open."""
    said: list[object] = [{"type": "text", "content": "I'll **mend** it.\n```\ncode\n```"}]
    edit = {"file_path": "a.py", "old_string": "one\ntwo\nthree", "new_string": "one\n2\nthree"}
    spans = [
        made.model("1" * 16, 1, 2, said, parent="a" * 16, sent=[{"role": "user", "parts": [*said]}]),
        made.tool("2" * 16, "Bash", 3, 4, {"command": "pytest -q"}, parent="a" * 16, message="Exit code 1"),
        made.tool("3" * 16, "Edit", 7, 0.2, edit, {"stdout": "line\nline", "ok": True, "n": 1}, parent="a" * 16),
        made.span("a" * 16, "invoke_agent agent", 0.5, 8, TURN),
        made.tool("4" * 16, "Read", 11, 1, {"file_path": "b.py"}, "needle in the result", parent="b" * 16),
        made.span("b" * 16, "invoke_agent agent", 10, 5, TURN),
    ]
    events = (
        session_start(gone()),
        event("user_prompt", 0.5, {"prompt": "Mend it."}, span="a" * 16),
        event("user_prompt", 10, {"prompt": "And now?"}, span="b" * 16),
        event("tool_call", 20, {"tool_name": "WebFetch", "arguments": {}, "parent_span_id": ROOT}, span="c" * 16),
    )
    folder = tmp_path_factory.mktemp("story")
    return write_page(made.session_with_spans(folder, spans, *events), folder)


def names(tab: Page) -> list[str]:
    found: list[str] = tab.value("shown.map((index) => rows[index].name)")
    return found


def chosen(tab: Page) -> str:
    found: str = tab.value("document.querySelector('.row.selected .name').textContent")
    return found


def test_the_page_shows_the_session_and_asks_for_nothing(tab: Page, story: Path) -> None:
    tab.open(story)
    assert tab.requests == [story.as_uri()]
    assert tab.complaints == []
    every = ["agent", "Turn 1", "prompt", "demo-model-1", "Bash", "Edit", "Turn 2", "prompt", "Read", "WebFetch"]
    assert names(tab) == every
    assert tab.value("document.title") == "agent · 5e551017"
    assert tab.value("[...document.querySelectorAll('.row.failed .name')].map((name) => name.textContent)") == ["Bash"]
    assert tab.value("document.querySelector('.row.open.tool .took').textContent") == "still open, 0ms"
    assert "crashed" in tab.value("document.getElementById('state').textContent")


def test_bars_lie_where_their_times_are(tab: Page, story: Path) -> None:
    tab.open(story)
    track, bash, edit = (
        tab.value(
            f"(({{left, width}}) => [left, width])(document.querySelector({json.dumps(place)}).getBoundingClientRect())"
        )
        for place in ("#row-0 .track", "#row-4 .bar", "#row-5 .bar")
    )
    per_second = track[1] / tab.value("(view.to - view.from) / 1000")
    assert bash[0] - track[0] == pytest.approx(3 * per_second, abs=2)
    assert bash[1] == pytest.approx(4 * per_second, abs=1)
    assert edit[0] - track[0] == pytest.approx(7 * per_second, abs=2)


def test_keys_move_fold_and_find_failures(tab: Page, story: Path) -> None:
    tab.open(story)
    tab.press("j", "j")
    assert chosen(tab) == "Turn 1"
    tab.press("ArrowLeft")
    assert names(tab) == ["agent", "Turn 1", "Turn 2", "prompt", "Read", "WebFetch"]
    tab.press("e")
    assert chosen(tab) == "Bash"  # unfolds what hides it
    tab.press("k", "k")
    assert chosen(tab) == "prompt"
    tab.press("h")
    assert chosen(tab) == "Turn 1"
    tab.press("G")
    assert chosen(tab) == "WebFetch"
    tab.press("Home", "ArrowDown", "ArrowRight")
    assert chosen(tab) == "prompt"
    tab.press("Shift+ArrowLeft")
    assert names(tab) == ["agent", "Turn 1", "Turn 2", "WebFetch"]
    tab.press("Shift+ArrowRight")
    assert len(names(tab)) == 10


def test_enter_goes_to_the_details_and_escape_back(tab: Page, story: Path) -> None:
    tab.open(story)
    tab.click("#row-4 .name")
    assert tab.value("document.querySelector('#detail h2').textContent") == "tool Bash"
    tab.press("Enter")
    assert tab.value("document.activeElement.id") == "detail"
    tab.press("Escape")
    assert tab.value("document.activeElement.id") == "rows"
    tab.press("Escape")
    assert tab.value("getComputedStyle(document.getElementById('detail')).display") == "none"


def test_details_show_changes_json_and_messages_as_such(tab: Page, story: Path) -> None:
    tab.open(story, "#" + "3" * 16)
    assert chosen(tab) == "Edit"
    lines = tab.value("[...document.querySelectorAll('.diff span')].map((line) => [line.className, line.textContent])")
    assert lines == [["same", "  one\n"], ["removed", "- two\n"], ["added", "+ 2\n"], ["same", "  three\n"]]
    result = tab.value("document.querySelectorAll('.part .json')[1].innerText")
    assert result == "{\n  stdout: \nline\nline\n,\n  ok: true,\n  n: 1\n}"
    tab.click("#row-3 .name")
    assert tab.value("document.querySelector('.prose strong').textContent") == "mend"
    assert tab.value("document.querySelector('.prose pre').textContent") == "code"
    facts = tab.value("document.querySelector('#detail .facts').innerText")
    assert re.search(r"Input tokens\s+1,812", facts)
    assert re.search(r"Cost\s+\$0\.0026", facts)


def test_search_finds_names_and_what_stands_in_details(tab: Page, story: Path) -> None:
    tab.open(story)
    tab.press("/", *"needle")
    tab.until("!document.getElementById('count').textContent.includes('searching') && shown.length < 10")
    assert names(tab) == ["agent", "Turn 2", "Read"]  # with what it stands in
    assert tab.value("document.getElementById('count').textContent") == "1 of 10 rows"
    tab.press("Enter", "c")
    assert len(names(tab)) == 10
    assert tab.value("document.getElementById('search').value") == ""
    tab.value("search('attributes')")  # a word of the page's own
    tab.until("!isSearching")
    assert names(tab) == []


def test_filters_are_buttons_that_say_whether_they_are_on(tab: Page, story: Path) -> None:
    tab.open(story)
    tab.press("f")
    assert tab.value("document.activeElement.textContent") == "Agents 3"
    tab.press("Enter")
    assert names(tab) == ["agent", "Turn 1", "Turn 2"]
    assert tab.value("document.activeElement.getAttribute('aria-pressed')") == "true"
    tab.click("#clear")
    tab.click("#errors")
    assert names(tab) == ["agent", "Turn 1", "Bash"]
    tab.click("#errors")
    tab.value("(tool.value = 'Read', tool.dispatchEvent(new Event('change')))")
    assert names(tab) == ["agent", "Turn 2", "Read"]


def test_time_is_zoomed_by_keys_wheel_and_dragging(tab: Page, story: Path) -> None:
    tab.open(story)
    whole = tab.value("view.to - view.from")
    tab.press("+", "+")
    assert tab.value("view.to - view.from") == pytest.approx(whole / 4)
    tab.press("-", "0")
    assert tab.value("[view.from, view.to - view.from]") == [0, whole]
    tab.drag("#overview", 0.25, 0.5)
    assert tab.value("view.from") == pytest.approx(whole / 4, rel=0.02)
    assert tab.value("view.to") == pytest.approx(whole / 2, rel=0.02)
    tab.press("0")
    tab.wheel("#row-4 .track", down=-300, ctrl=True)
    tab.until("view.to - view.from < whole.to / 2")
    assert tab.value("view.from") > 0
    tab.press("e", "z")
    assert tab.value("[view.from, view.to]") == pytest.approx([3000 - 400, 3000 + 4 * 1200], abs=1)


def test_help_and_theme_have_keys(tab: Page, story: Path) -> None:
    tab.open(story)
    tab.press("?")
    assert tab.value("help.open") is True
    tab.press("Escape")
    assert tab.value("help.open") is False
    light = tab.value("getComputedStyle(document.body).backgroundColor")
    tab.press("t")
    assert tab.value("getComputedStyle(document.body).backgroundColor") != light
    tab.press("t")
    assert tab.value("getComputedStyle(document.body).backgroundColor") == light


def test_hostile_content_stays_text(tab: Page, tmp_path: Path) -> None:
    tab.open(write_page(made.hostile_session(tmp_path), tmp_path))
    count = tab.value("rows.length")
    assert count > 80
    for index in range(count):
        tab.value(f"select({index})")
    tab.value("search('harmed')")
    tab.until("!isSearching")
    tab.value("document.querySelectorAll('details').forEach((part) => (part.open = true))")
    tab.drawn()
    assert tab.value("globalThis.harmed") is None
    assert tab.value("document.querySelectorAll('img, svg, iframe, object, embed, a, [onerror], [onload]').length") == 0
    seen: str = tab.value("document.body.innerText")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202e\u2028]", seen)
    assert tab.requests == [(tmp_path / "page.html").as_uri()]
    assert tab.complaints == []


@pytest.mark.parametrize(
    "attempt",
    [
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'globalThis.harmed = 1'}))",
        "document.body.innerHTML = '<b>x</b>'",
        "new Function('globalThis.harmed = 1')()",
        "setTimeout('globalThis.harmed = 1')",
        "fetch('https://example.invalid/').catch(() => 0)",
        "fetch('data:text/plain,x')",
        "document.body.append(Object.assign(new Image(), {src: 'https://example.invalid/x.png'}))",
        "document.body.append(Object.assign(document.createElement('iframe'), {src: 'https://example.invalid/'}))",
        "document.body.append(Object.assign(document.createElement('style'), {textContent: 'body {color: red}'}))",
        "new Worker('data:text/javascript,0')",
        "navigator.sendBeacon('https://example.invalid/')",
    ],
)
def test_the_policy_refuses_what_an_attack_would_need(attempt: str, tab: Page, story: Path) -> None:
    tab.open(story)
    colour = tab.value("getComputedStyle(document.body).color")
    thrown = tab.value(
        f"new Promise((done) => {{ let e = ''; try {{ {attempt}; }} catch (found) {{ e = String(found); }}"
        " setTimeout(() => done(e), 50); })"
    )
    assert tab.complaints or "Content Security Policy" in thrown
    assert tab.value("globalThis.harmed") is None
    assert tab.value("document.querySelector('#rows') !== null && document.querySelector('body > b') === null") is True
    assert tab.value("getComputedStyle(document.body).color") == colour
    # a request that the policy stops may be told, but never leaves
    assert [url for url in tab.answered if url.startswith("http")] == []


def test_everything_has_a_name_for_those_who_do_not_see_it(tab: Page, story: Path) -> None:
    tab.open(story)
    tab.press("e")
    told = tab.named()
    assert [
        role for role, name in told if role in ("button", "searchbox", "combobox", "treeitem", "tree") and not name
    ] == []
    rows = [name for role, name in told if role == "treeitem"]
    assert "tool Bash, pytest -q · Exit code 1, 4.00s, failed: error, at 3.00s" in rows
    assert len(rows) == 10
    assert tab.value("document.getElementById('rows').getAttribute('aria-activedescendant')") == "row-4"


CONTRAST = """(() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const paint = (colours) => {
    context.clearRect(0, 0, 1, 1);
    for (const colour of colours) { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); }
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = {};
  for (const element of document.querySelectorAll("body *:not(script, noscript *, style, dialog:not([open]) *)")) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== "");
    if (!text || !element.checkVisibility() || element.closest(".around, :disabled")) continue;
    const grounds = [];
    for (let at = element; at; at = at.parentElement) grounds.unshift(getComputedStyle(at).backgroundColor);
    const ground = paint(["#fff", ...grounds]);
    const ink = paint(["#fff", ...grounds, getComputedStyle(element).color]);
    const [light, dark] = [luminance(ground), luminance(ink)].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    const name = `${element.tagName}.${element.className} in ${element.closest("[id]")?.id}`;
    found[name] = Math.min(found[name] ?? 99, ratio);
  }
  return found;
})()"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_has_contrast_enough(dark: bool, tab: Page, story: Path) -> None:
    tab.look(dark=dark)
    found: dict[str, float] = {}
    for selected in ("2" * 16, "3" * 16, "1" * 16):
        tab.open(story, f"#{selected}")
        tab.value("document.querySelectorAll('details').forEach((part) => (part.open = true))")
        found.update(tab.value(CONTRAST))
    tab.look()
    assert len(found) > 40
    assert {name: ratio for name, ratio in found.items() if ratio < LEAST_CONTRAST} == {}


@pytest.mark.parametrize("width", [360, 700, 1280, 2400])
def test_no_width_makes_the_page_scroll_sideways(width: int, tab: Page, story: Path) -> None:
    tab.look(width=width, height=740)
    tab.open(story)
    tab.press("e")
    overflow = tab.value("document.documentElement.scrollWidth - innerWidth")
    row = tab.value("document.getElementById('row-4').getBoundingClientRect().height")
    detail = tab.value("document.getElementById('detail').getBoundingClientRect().height")
    tab.look()
    assert overflow <= 0
    assert row == 26
    assert detail > 200


def test_of_ten_thousand_events_only_those_in_sight_are_elements(
    tab: Page, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    lines = [session_start(gone())]
    for number in range(MANY // 2):
        call = {"tool_name": "Bash", "arguments": {"command": f"echo {number}"}}
        lines.append(event("tool_call", number, call, event_id=f"{number:016x}", span=f"{number:016x}"))
        lines.append(event("tool_result", number + 0.5, {"result": "x" * 500}, parent_id=f"{number:016x}"))
    tab.open(write_page(made.session_with_spans(tmp_path, [], *lines), tmp_path))
    assert tab.value("rows.length") == MANY // 2 + 1
    most: Any = tab.value(
        """new Promise((done) => {
          let most = 0;
          let longest = 0;
          let last = performance.now();
          let frames = 0;
          const step = (now) => {
            longest = frames > 2 ? Math.max(longest, now - last) : 0;
            last = now;
            most = Math.max(most, document.querySelectorAll(".row").length);
            scroller.scrollTop += 700;
            if (++frames < 120) requestAnimationFrame(step);
            else done([most, longest, performance.getEntriesByType("navigation")[0].loadEventEnd]);
          };
          requestAnimationFrame(step);
        })"""
    )
    record_property("loaded_ms", most[2])
    record_property("longest_frame_ms", most[1])
    assert most[0] < 100
    tab.press("End")
    assert tab.value("document.querySelector('.row.selected .summary').textContent") == f"echo {MANY // 2 - 1}"
    tab.value(f"search('echo {MANY // 2 - 7}')")
    tab.until("!isSearching")
    assert tab.value("shown.length") == 2
