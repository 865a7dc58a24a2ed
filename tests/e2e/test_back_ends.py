"""A whole session reaches real back ends, live and from its folder, and reads back as what spans.jsonl holds."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import packages
import pytest
from back_ends import (
    BackEnd,
    Phoenix,
    Seen,
    collector,
    mlflow,
    phoenix,
    seen_in_folder,
    traces_in_folder,
    wait_until_same,
)
from capture_paths import PATHS, CapturePath

pytestmark = pytest.mark.e2e

# MLflow's first answer after its start takes 10 s
_PATIENCE = {"AGENT_TRACE_EXIT_TIMEOUT": "90", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "90"}


@pytest.fixture(scope="module", params=[phoenix, mlflow], ids=["phoenix", "mlflow"])
def back_end(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackEnd]:
    with request.param(tmp_path_factory.mktemp("server")) as running:
        yield running


@dataclass(frozen=True)
class Recorded:
    """A demo session that was recorded."""

    trace_dir: Path
    folder: Path

    @property
    def spans(self) -> list[Seen]:
        return seen_in_folder(self.folder)

    @property
    def trace_id(self) -> str:
        return self.folder.name.replace("-", "")

    def export(self, url: str, headers: dict[str, str]) -> str:
        given = [word for name, value in headers.items() for word in ("--header", f"{name}: {value}")]
        done = _agent_trace(self.trace_dir, {}, "export", "--format", "otlp", "--endpoint", url, *given)
        return done.stdout


def _agent_trace(trace_dir: Path, variables: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = packages.plain_environment(
        PYTHONPATH=str(packages.REPOSITORY), XDG_CONFIG_HOME=str(trace_dir), no_proxy="127.0.0.1", **variables
    )
    command = [sys.executable, "-m", "agent_trace_otel", "--trace-dir", str(trace_dir), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return done


def _demo(directory: Path, endpoint: str | None = None, headers: dict[str, str] | None = None) -> Recorded:
    variables = {} if endpoint is None else {"AGENT_TRACE_OTLP_ENDPOINT": endpoint, **_PATIENCE}
    if headers:
        variables["AGENT_TRACE_OTLP_HEADERS"] = ",".join(f"{name}={value}" for name, value in headers.items())
    trace_dir = directory / "traces"
    done = _agent_trace(trace_dir, variables, "demo")
    assert not done.stderr
    (folder,) = (path for path in trace_dir.iterdir() if path.is_dir())
    return Recorded(trace_dir, folder)


def _assert_arrived(back_end: BackEnd, recorded: Recorded) -> None:
    wanted = [back_end.as_kept(span) for span in recorded.spans]
    assert {span.status for span in wanted} >= {"UNSET", "ERROR"}
    assert any(span.tool for span in wanted)
    assert wait_until_same(lambda: back_end.spans(recorded.trace_id), wanted) == wanted
    assert back_end.traces_of_session(recorded.folder.name) == [recorded.trace_id]
    meta = json.loads((recorded.folder / "meta.json").read_text())
    assert back_end.tokens_of_session(recorded.folder.name) == meta["total_tokens"]


def test_a_live_session_arrives_whole_and_sending_its_folder_as_well_doubles_nothing(
    back_end: BackEnd, tmp_path: Path
) -> None:
    recorded = _demo(tmp_path, back_end.url, back_end.headers)
    _assert_arrived(back_end, recorded)
    said = recorded.export(back_end.url, back_end.headers)
    assert f"{len(recorded.spans)} spans accepted" in said
    _assert_arrived(back_end, recorded)


def test_an_exported_session_arrives_whole_and_sending_it_again_doubles_nothing(
    back_end: BackEnd, tmp_path: Path
) -> None:
    recorded = _demo(tmp_path)
    assert back_end.spans(recorded.trace_id) == []
    for _ in range(2):
        recorded.export(back_end.url, back_end.headers)
        _assert_arrived(back_end, recorded)


def test_a_collector_in_the_middle_passes_a_live_session_on(back_end: BackEnd, tmp_path: Path) -> None:
    with collector(tmp_path, back_end) as url:
        recorded = _demo(tmp_path, url)
        _assert_arrived(back_end, recorded)


def test_a_session_is_shipped_to_a_back_end_by_its_name_and_doctor_sees_it(back_end: BackEnd, tmp_path: Path) -> None:
    name, base = (
        ("phoenix", {"PHOENIX_COLLECTOR_ENDPOINT": back_end.url})
        if isinstance(back_end, Phoenix)
        else ("mlflow", {"MLFLOW_TRACKING_URI": back_end.url})
    )
    recorded = _demo(tmp_path)
    variables = {**base, "AGENT_TRACE_TO": name, **_PATIENCE}
    before = json.loads(_agent_trace(recorded.trace_dir, variables, "doctor", "--json").stdout)
    assert (before["back_end"]["status"], before["back_end"]["url"]) == (200, f"{back_end.url}/v1/traces")
    ((_, waiting),) = before["deliveries"]["targets"].items()
    assert (waiting["waiting"], waiting["delivered"]) == (len(recorded.spans), 0)
    kept = _agent_trace(recorded.trace_dir, variables, "prune", "--older-than", "0s")
    assert f"undelivered spans: {len(recorded.spans)} to 127.0.0.1-" in kept.stdout
    assert f"{len(recorded.spans)} spans delivered" in _agent_trace(recorded.trace_dir, variables, "ship").stdout
    _assert_arrived(back_end, recorded)
    after = json.loads(_agent_trace(recorded.trace_dir, variables, "doctor", "--json", "--no-send").stdout)
    ((_, left),) = after["deliveries"]["targets"].items()
    assert (left["waiting"], left["delivered"]) == (0, len(recorded.spans))
    assert "1 of 1 sessions removed" in _agent_trace(recorded.trace_dir, variables, "prune", "--max-size", "1").stdout


@pytest.mark.parametrize("record", PATHS, ids=lambda path: path.__name__)
def test_a_session_of_each_capture_path_arrives_whole(back_end: BackEnd, record: CapturePath, tmp_path: Path) -> None:
    variables = {"AGENT_TRACE_OTLP_ENDPOINT": back_end.url, **_PATIENCE}
    if back_end.headers:
        variables["AGENT_TRACE_OTLP_HEADERS"] = ",".join(f"{name}={value}" for name, value in back_end.headers.items())
    folder = record(tmp_path, variables)
    traces = traces_in_folder(folder)
    assert any(span.tool for spans in traces.values() for span in spans)
    for trace_id, spans in traces.items():
        wanted = [back_end.as_kept(span) for span in spans]
        assert wait_until_same(lambda trace=trace_id: back_end.spans(trace), wanted) == wanted  # type: ignore[misc]
    assert sorted(back_end.traces_of_session(folder.name)) == sorted(traces)
    meta = json.loads((folder / "meta.json").read_text())
    assert back_end.tokens_of_session(folder.name) == meta.get("total_tokens", 0)
