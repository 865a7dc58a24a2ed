"""A run before it begins: its names, the variables of its processes, and options that keep an interpreter from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent_trace_otel import identity
from agent_trace_otel.capture.run import plan
from agent_trace_otel.capture.run.plan import SITE, Plan, never_traced, planned, program_of

HERE = {"XDG_CONFIG_HOME": "/nowhere", "HOME": "/nowhere"}


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("python my_agent.py --fast", "my_agent"),
        ("/usr/bin/python3.11 -W ignore src/agent.py", "agent"),
        ("python -m my.package run", "my.package"),
        ("python -c pass", "python"),
        ("uv run agent.py", "agent"),
        ("pytest -q tests", "pytest"),
        ("./agent", "agent"),
    ],
)
def test_a_run_is_called_like_its_program(command: str, name: str) -> None:
    assert program_of(command.split()) == name


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("python -I x.py", "-I"),
        ("python3.12 -uSB x.py", "-S"),
        ("python -X dev -E x.py", "-E"),
        ("python -Xdev -W error::EncodingWarning x.py", ""),
        ("python x.py -I", ""),
        ("python -m pkg -S", ""),
        ("python -cE", ""),
        ("python - -I", ""),
        ("python --help-all -I", ""),
        ("uv run python -I", ""),
        ("pypy3 -I", "-I"),
    ],
)
def test_options_that_keep_an_interpreter_from_ours_are_known(command: str, option: str) -> None:
    assert never_traced(command.split()) == option


@pytest.mark.parametrize(
    "given",
    ["", "nonsense", "00-0-0-01", f"ff-{1:032x}-{2:016x}-01", f"00-{0:032x}-{2:016x}-01", f"00-{1:032x}-{0:016x}-01"],
)
def test_a_traceparent_that_is_none_is_none(given: str) -> None:
    found = planned(["x"], trace_dir=Path("/t"), watched={}, environ={**HERE, "TRACEPARENT": given})
    assert found.parent == ""
    assert "TRACESTATE" not in found.environment({"TRACESTATE": "a=b"})


def test_the_session_is_known_before_it_is_opened() -> None:
    found = planned(["x"], trace_dir=Path("/t"), watched={}, environ=HERE)
    span_id = identity.derived_span_id(found.session_id, "run", "1")
    assert found.traceparent == f"00-{found.session_id.replace('-', '')}-{span_id:016x}-01"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", SITE),
        ("/a:/b", f"{SITE}:/a:/b"),
        (f"{SITE}:/a", f"{SITE}:/a"),
        (":/a", f"{SITE}::/a"),
        (f"/a:{SITE}", f"{SITE}:/a"),
    ],
)
def test_pythonpath_has_our_directory_first_and_once(before: str, after: str) -> None:
    found = Plan(("x",), "s", "x", Path("/t")).environment({"PYTHONPATH": before})
    assert found["PYTHONPATH"] == after


def test_settings_of_the_config_file_hold(tmp_path: Path) -> None:
    folder = tmp_path / "agent-trace"
    folder.mkdir()
    (folder / "config.toml").write_text('trace_dir = "/from/file"\nservice_name = "named"\n')
    given = {"XDG_CONFIG_HOME": str(tmp_path)}
    found = plan._settings(None, given)
    assert found[1] == "named"
    assert plan._settings(Path("/given"), given)[0] == Path("/given")


def test_without_a_config_file_the_environment_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert plan._settings(None, HERE) == (tmp_path / ".agent-traces", None)
    named = {**HERE, "AGENT_TRACE_DIR": "here", "AGENT_TRACE_SERVICE_NAME": "shop"}
    assert plan._settings(None, named) == (tmp_path / "here", "shop")
    assert plan._settings(Path("there"), named)[0] == tmp_path / "there"
