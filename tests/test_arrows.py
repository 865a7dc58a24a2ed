"""Data flows left to right and never back: who may import whom."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agent_trace_otel import semconv

PACKAGE = Path(__file__).parents[1] / "agent_trace_otel"
INSTRUMENTORS = Path(__file__).parents[1] / "instrumentors" / "agent_trace_instrumentors"

# Leaves know nothing of sessions, files or OpenTelemetry and may be imported from anywhere.
LEAVES = {
    *("semconv", "errors", "guard", "config", "process", "content", "encodable", "ids", "mcp_io", "model_io", "redact"),
    *("dialects", "open_flags"),
}

# A room may import itself, the leaves, and what stands beside it here.
MAY_IMPORT: dict[str, set[str]] = {
    "store": set(),
    "identity": set(),
    "provider": set(),
    "delivery": {"store"},
    "processor": {"identity", "store"},
    "exporter": {"processor"},
    "pipeline": {"delivery", "identity", "processor", "provider"},
    "spans": {"identity", "pipeline", "processor"},
    "capture": {"identity", "instrumentation", "pipeline", "prices", "processor", "spans", "store"},
    "replay": {"prices", "store"},
    "retention": {"delivery", "store"},
    "instrumentation": {"pipeline"},
    "doctor": {"capture", "delivery", "instrumentation", "replay", "store"},
    "testing": {"identity", "pipeline", "processor", "spans", "store"},
    "commands": {"capture", "instrumentation", "replay", "store", "delivery", "demo", "doctor", "retention"},
    "cli": {"commands"},
    "__main__": {"capture", "cli"},
}
READERS = (
    *("store.reader", "store.tally", "replay.timeline", "replay.text", "replay.stats"),
    *("replay.explain.facts", "replay.diff.differences", "replay.html.page", "replay.perfetto", "cli"),
    *("replay.tree", "replay.follow", "replay.showing", "replay.span_notes", "replay.completion", "replay.pager"),
    *("doctor.settings", "doctor.deliveries", "doctor.report", "retention.looking", "delivery.configured"),
)
LOAD_NO_SDK = ("", "semconv", "config", "redact", "content", "store.events", "capture.decorators", *READERS)
_NAMES = {
    value for value in vars(semconv).values() if isinstance(value, str) and re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", value)
}
HEAVY = ("opentelemetry.sdk", "opentelemetry.exporter", "requests", "asyncio", "wrapt")


def _loaded(module: str, prefixes: tuple[str, ...], *, beside: str = "sys") -> str:
    """Return what importing a module loads under some prefixes, beside what another module loads by itself."""
    name = f"agent_trace_otel.{module}" if module else "agent_trace_otel"
    code = (
        f"import sys, {beside}; before = set(sys.modules); import {name}; "
        f"print([m for m in sys.modules if m not in before and m.startswith({prefixes!r})])"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@functools.cache
def _rooms() -> dict[str, set[str]]:
    """Return for every room the rooms that its files import, read from the source."""
    found: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        room = parts[0]
        imports = found.setdefault(room, set())
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "agent_trace_otel":
                below = node.module.split(".")[1:]
                names = below[:1] or [alias.name for alias in node.names if alias.name != "__version__"]
                imports.update(names)
            elif isinstance(node, ast.Import):
                imports.update(a.name.split(".")[1] for a in node.names if a.name.startswith("agent_trace_otel."))
    return found


@pytest.mark.parametrize("room", sorted(_rooms().keys() - {"__init__"}))
def test_rooms_import_only_what_stands_to_their_right(room: str) -> None:
    imported = _rooms()[room] - {room} - LEAVES
    allowed = MAY_IMPORT.get(room, set())
    assert imported <= allowed, f"{room} imports {sorted(imported - allowed)}"


def test_instrumentors_import_only_what_makes_spans() -> None:
    imported: dict[str, set[str]] = {}
    for path in sorted(INSTRUMENTORS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "agent_trace_otel":
                below = node.module.split(".")[1:]
                imported.setdefault(path.name, set()).update(below[:1] or [alias.name for alias in node.names])
            elif isinstance(node, ast.Import):
                names = {alias.name for alias in node.names if alias.name.startswith("agent_trace_otel")}
                imported.setdefault(path.name, set()).update(names)
    assert "subprocesses.py" in imported
    # the last two read what is said
    allowed = {"spans", "semconv", "guard", "mcp_io", "model_io"}
    imported["claude_agent_sdk.py"] -= {"capture"}  # whose story is that of the client's hooks
    beyond = {name: sorted(found - allowed) for name, found in imported.items()}
    assert {name: found for name, found in beyond.items() if found} == {}


def test_only_the_public_switch_imports_instrumentors() -> None:
    importing = [path.name for path in PACKAGE.rglob("*.py") if "import agent_trace_instrumentors" in path.read_text()]
    importing += [path.name for path in PACKAGE.rglob("*.py") if "from agent_trace_instrumentors" in path.read_text()]
    assert importing == ["instrumentation.py"]


def test_nobody_imports_the_cli() -> None:
    assert [room for room, imports in _rooms().items() if "cli" in imports and room != "__main__"] == []


@pytest.mark.parametrize("room", sorted(LEAVES))
def test_leaves_import_only_leaves(room: str) -> None:
    assert _rooms()[room] <= LEAVES


@pytest.mark.parametrize("module", LOAD_NO_SDK)
def test_what_reads_and_configures_loads_no_sdk(module: str) -> None:
    # OpenTelemetry's API loaded wrapt itself in older versions
    beside = "opentelemetry.trace" if module.startswith("capture") else "sys"
    assert _loaded(module, HEAVY, beside=beside) == "[]\n"


@pytest.mark.parametrize("module", READERS)
def test_readers_load_no_part_of_opentelemetry(module: str) -> None:
    assert _loaded(module, ("opentelemetry",)) == "[]\n"


def _sources() -> dict[str, ast.Module]:
    """Return the product's files, parsed, by their path below the package that they are of."""
    return {
        path.relative_to(root).as_posix(): ast.parse(path.read_text())
        for root in (PACKAGE, INSTRUMENTORS)
        for path in sorted(root.rglob("*.py"))
    }


def test_spans_are_started_in_one_place() -> None:
    starting = {
        name
        for name, tree in _sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"start_span", "start_as_current_span"}
    }
    # these two stand in for another's tracer, and pass on what it is asked for
    assert starting - {"capture/run/stand_in.py", "_mcp_fastmcp.py"} == {"spans/start.py"}


def test_attribute_names_are_spelled_in_one_place() -> None:
    spelled = {
        f"{name}: {node.value}"
        for name, tree in _sources().items()
        # what others call theirs is what a table of their words is made of
        if name != "semconv.py" and not name.startswith(("dialects/", "capture/collect/logs/"))
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in _NAMES
    }
    assert spelled == set()


def test_every_module_of_the_root_and_every_room_is_in_the_table() -> None:
    page = (PACKAGE.parent / "CONTRIBUTING.md").read_text()
    table = "\n".join(line for line in page.splitlines() if line.startswith("| `"))
    modules = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py", "__main__.py"}
    rooms = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
    assert {name for name in modules | rooms if f"`{name}`" not in table} == set()


def test_every_room_of_the_table_exists() -> None:
    page = (PACKAGE.parent / "CONTRIBUTING.md").read_text()
    table = page.partition("| room | theme |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert cells
    named = [word.strip("`, ") for cell in cells for word in cell.split(",")]
    assert [name for name in named if not ((PACKAGE / name).exists() or (PACKAGE.parent / name).exists())] == []
