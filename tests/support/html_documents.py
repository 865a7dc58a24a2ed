"""An HTML page as a browser would take it apart: its elements, its scripts and the data in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from agent_trace_otel.replay.html.page import page
from agent_trace_otel.store.index import SessionIndex
from agent_trace_otel.store.reader import Session

VOID = {"meta", "link", "input"}


class Document(HTMLParser):
    """A page as a browser would see it: its elements, and the texts of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.data: dict[str, list[Any]] = {"details": [], "rows": [], "session": []}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        within = self.open[-1] if self.open else ""
        if within == "style":
            self.styles.append(data)
        elif within == "script":
            of = self.elements[-1][1]
            if of.get("type") == "application/json":
                self.data[of["class"] or ""].append(json.loads(data, parse_constant=pytest.fail))
            else:
                self.scripts.append(data)

    @property
    def rows(self) -> list[dict[str, Any]]:
        (table,) = self.data["rows"]
        return [dict(zip(table["columns"], cells, strict=True)) for cells in table["rows"]]

    @property
    def session(self) -> dict[str, Any]:
        (found,) = self.data["session"]
        assert isinstance(found, dict)
        return found

    def detail(self, name: str) -> dict[str, Any]:
        (row,) = [row for row in self.rows if row["name"] == name]
        block, place = row["place"]
        found = self.data["details"][block][place]
        assert isinstance(found, dict)
        return found

    def part(self, name: str, title: str) -> Any:
        (part,) = [part for part in self.detail(name)["parts"] if part["title"] == title]
        return part["form"], part["value"]


def text_of(folder: Path) -> str:
    session = Session(str(folder))
    with SessionIndex(session.events_path) as index:
        session.recount(index)
        return "".join(page(session, index))


def document(folder: Path) -> Document:
    return Document(text_of(folder))


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
