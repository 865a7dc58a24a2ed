"""What a session holds never gets out of its page alive: markup, control characters, code, requests."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import html_sessions as made
import pytest
from html_documents import Document, document, strings, text_of
from session_folders import gone, session_start, write_session

from agent_trace_otel.replay.html import page as pages
from agent_trace_otel.replay.html.readable import VALUE_LIMIT

NOT_ALIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    return text_of(made.hostile_session(tmp_path_factory.mktemp("hostile")))


def test_a_page_is_one_whole_document_with_nothing_from_outside(tmp_path: Path) -> None:
    text = text_of(
        made.session_with_spans(tmp_path, [made.root(1), made.tool("a" * 16, "Bash", 0, 1, {"command": "ls"})])
    )
    found = Document(text)
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert text.isascii() or text.encode("utf-8")
    assert found.open == []
    taken = {
        (tag, key): value for tag, of in found.elements for key, value in of.items() if key in ("src", "href", "data")
    }
    assert taken == {("link", "href"): "data:,"}
    assert [of for _, of in found.elements if any(key.startswith("on") or key == "style" for key in of)] == []
    assert "http" not in text.replace("http-equiv", "")


def test_the_policy_allows_the_scripts_and_the_style_of_the_page_and_nothing_else(hostile: str) -> None:
    found = Document(hostile)
    (policy,) = [of["content"] or "" for _, of in found.elements if of.get("http-equiv") == "Content-Security-Policy"]
    rules = {name: values for name, *values in (rule.split() for rule in policy.split(";"))}

    def hashes(texts: list[str]) -> list[str]:
        return [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts]

    assert rules == {
        "default-src": ["'none'"],
        "script-src": hashes(found.scripts),
        "style-src": hashes(found.styles),
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
        "require-trusted-types-for": ["'script'"],
        "trusted-types": ["'none'"],
    }
    assert len(found.scripts) == len(pages.SCRIPTS)
    before = [tag for tag, _ in found.elements[: [tag for tag, _ in found.elements].index("style")]]
    assert "script" not in before  # the policy is there before anything that it rules


def test_hostile_content_makes_no_element_and_ends_none(hostile: str, tmp_path: Path) -> None:
    harmless = document(made.session_with_spans(tmp_path, [made.root(1)]))
    found = Document(hostile)
    assert found.open == []

    def shape(of: Document) -> list[tuple[str, dict[str, str | None]]]:
        return [one for one in of.elements if one[1].get("class") != "details" and one[0] != "meta"]

    assert shape(found) == shape(harmless)
    assert found.scripts == harmless.scripts
    data = hostile[hostile.index('class="details"') : hostile.rindex('<script type="application/json"')]
    assert not re.search(r"<(?!/?script[ >])|&", data)


def test_hostile_content_is_shown_with_nothing_in_it_alive(hostile: str) -> None:
    found = Document(hostile)
    every = list(strings(found.data))
    assert [text for text in every if NOT_ALIVE.search(text)] == []
    assert any(
        "a\\x1b[2Jb\\x1b]0;title\\x07c\\x1b]52;c;aGFybQ==\\x07d\\x00e\\u202ef\\u200bg\\u2028h\\ud800i\\x9bj\nk\tl"
        in text
        for text in every
    )
    assert any(made.MARKUP[0] in text for text in every)
    assert "<title>&lt;/script&gt;" in hostile
    assert [note for note in found.session["notes"] if "2 unreadable lines or spans of spans.jsonl" in note]


def test_a_value_of_megabytes_is_cut_and_says_so(hostile: str) -> None:
    longest = max(strings(Document(hostile).data), key=len)
    assert longest == f"{'x' * VALUE_LIMIT}… [cut: {5_000_000 - VALUE_LIMIT} characters]"


def test_nothing_in_the_page_makes_html_or_code_of_a_string() -> None:
    for name in pages.SCRIPTS:
        script = pages.asset(name)
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|\bfetch\(", script
        )
        assert not re.search(r"</script|<!--|@[a-z]+@", script, re.IGNORECASE)
        assert script.isascii() or script.encode("utf-8").decode("utf-8") == script


def test_spans_behind_a_symlink_are_not_read(tmp_path: Path) -> None:
    folder = write_session(tmp_path / "traces", session_start(gone()))
    (tmp_path / "elsewhere").write_bytes(made.tool("a" * 16, "Secret", 0, 1, {}))
    (folder / "spans.jsonl").symlink_to(tmp_path / "elsewhere")
    assert "Secret" not in text_of(folder)
