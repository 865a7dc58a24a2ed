"""Real OTLP back ends from PyPI: started, and asked through their own API what arrived.

Each back end tells spans in its own words; `Seen` is what they have in common, and `seen_in_folder` says the same of a
spans.jsonl, so that a test compares the two.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import packages
from servers import free_port, get, serving

from agent_trace_otel.store.spans_file import read_spans

PHOENIX = "arize-phoenix==20.26.1"
MLFLOW = "mlflow==3.17.2"
ROTEL = "rotel==0.0.1a15"
_ARRIVAL_SECONDS = 60


class Seen(NamedTuple):
    """One span, as far as every back end tells it. Times are unix nanoseconds."""

    span_id: str
    parent_id: str
    name: str
    start_ns: int
    end_ns: int
    status: str
    tool: str
    input_tokens: int | None
    output_tokens: int | None
    session: str
    event_names: tuple[str, ...]


def seen_in_folder(folder: Path) -> list[Seen]:
    """Return the spans of a session folder, sorted."""
    return sorted(span for spans in traces_in_folder(folder).values() for span in spans)


def traces_in_folder(folder: Path) -> dict[str, list[Seen]]:
    """Return the spans of a session folder by their trace id in hex, each list sorted."""
    found: dict[str, list[Seen]] = {}
    for span in read_spans(folder / "spans.jsonl"):
        attributes: dict[str, Any] = dict(span.attributes or {})
        assert span.context is not None
        found.setdefault(f"{span.context.trace_id:032x}", []).append(
            Seen(
                f"{span.context.span_id:016x}",
                f"{span.parent.span_id:016x}" if span.parent else "",
                span.name,
                span.start_time or 0,
                span.end_time or 0,
                span.status.status_code.name,
                attributes.get("gen_ai.tool.name", ""),
                attributes.get("gen_ai.usage.input_tokens"),
                attributes.get("gen_ai.usage.output_tokens"),
                attributes.get("session.id", ""),
                tuple(event.name for event in span.events),
            )
        )
    return {trace_id: sorted(spans) for trace_id, spans in found.items()}


def wait_until_same(arrived: Callable[[], list[Seen]], wanted: list[Seen]) -> list[Seen]:
    """Return what arrived, as soon as it is what was wanted or does not become so: ingestion is asynchronous."""
    deadline = time.monotonic() + _ARRIVAL_SECONDS
    while (found := arrived()) != wanted and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


class Phoenix:
    """Arize Phoenix, by its REST API (``/openapi.json`` lists it)."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.headers: dict[str, str] = {}

    def spans(self, trace_id: str) -> list[Seen]:
        """Return what has arrived of a trace, sorted: /v1/projects/default/spans."""
        answer = json.loads(get(f"{self.url}/v1/projects/default/spans?limit=1000&trace_id={trace_id}"))
        return sorted(self._seen(span) for span in answer["data"] if span["context"]["trace_id"] == trace_id)

    @staticmethod
    def _seen(span: dict[str, Any]) -> Seen:
        attributes = span["attributes"]
        return Seen(
            span["context"]["span_id"],
            span["parent_id"] or "",
            span["name"],
            _nanoseconds(datetime.fromisoformat(span["start_time"])),
            _nanoseconds(datetime.fromisoformat(span["end_time"])),
            span["status_code"],
            attributes.get("tool.name", ""),
            attributes.get("llm.token_count.prompt"),
            attributes.get("llm.token_count.completion"),
            attributes.get("session.id", ""),
            tuple(event["name"] for event in span["events"]),
        )

    def as_kept(self, span: Seen) -> Seen:
        """Return a span with times as its database has them: whole microseconds, made of seconds as a float."""
        start, end = (datetime.fromtimestamp(time_ns / 1e9, timezone.utc) for time_ns in (span.start_ns, span.end_ns))
        return span._replace(start_ns=_nanoseconds(start), end_ns=_nanoseconds(end))

    def traces_of_session(self, session_id: str) -> list[str]:
        """Return the trace ids (hex) under a session: /v1/sessions/{id}."""
        return [trace["trace_id"] for trace in self._session(session_id)["traces"]]

    def tokens_of_session(self, session_id: str) -> int:
        """Return the total of a session: /v1/sessions/{id}."""
        return int(self._session(session_id)["token_count_total"])

    def _session(self, session_id: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(get(f"{self.url}/v1/sessions/{session_id}"))["data"]
        return found


class MLflow:
    """MLflow's tracking server, by its REST API, version 3."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.headers = {"x-mlflow-experiment-id": "0"}

    def spans(self, trace_id: str) -> list[Seen]:
        """Return what has arrived of a trace, sorted, nothing if it is not known yet: /traces/get."""
        try:
            answer = get(f"{self.url}/api/3.0/mlflow/traces/get?trace_id=tr-{trace_id}")
        except OSError:  # 404: not there yet
            return []
        return sorted(self._seen(span) for span in json.loads(answer)["trace"].get("spans", []))

    @staticmethod
    def _seen(span: dict[str, Any]) -> Seen:
        attributes = {pair["key"]: _value(pair["value"]) for pair in span["attributes"]}
        return Seen(
            _hex(span["span_id"]),
            _hex(span.get("parent_span_id", "")),
            span["name"],
            int(span["start_time_unix_nano"]),
            int(span["end_time_unix_nano"]),
            span.get("status", {}).get("code", "").removeprefix("STATUS_CODE_") or "UNSET",
            attributes.get("gen_ai.tool.name", ""),
            attributes.get("gen_ai.usage.input_tokens"),
            attributes.get("gen_ai.usage.output_tokens"),
            attributes.get("session.id", ""),
            tuple(event["name"] for event in span.get("events", [])),
        )

    def as_kept(self, span: Seen) -> Seen:
        """Return a span as it is: nanoseconds are kept."""
        return span

    def traces_of_session(self, session_id: str) -> list[str]:
        """Return the trace ids (hex) under the session that MLflow made of the spans' attributes: /traces/search."""
        return [info["trace_id"].removeprefix("tr-") for info in self._search(session_id)]

    def tokens_of_session(self, session_id: str) -> int:
        """Return the total of the token usage that MLflow keeps with each trace."""
        told = [info["trace_metadata"].get("mlflow.trace.tokenUsage", "{}") for info in self._search(session_id)]
        return sum(int(json.loads(usage).get("total_tokens", 0)) for usage in told)

    def _search(self, session_id: str) -> list[dict[str, Any]]:
        where = {
            "locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}],
            "filter": f"metadata.`mlflow.trace.session` = '{session_id}'",
            "max_results": 10,
        }
        answer = json.loads(get(f"{self.url}/api/3.0/mlflow/traces/search", json.dumps(where).encode()))
        found: list[dict[str, Any]] = answer.get("traces", [])
        return found


BackEnd = Phoenix | MLflow
"""A running back end. Both tell a trace's spans, the traces of a session and its tokens."""


def _nanoseconds(moment: datetime) -> int:
    return int(moment.replace(microsecond=0).timestamp()) * 1_000_000_000 + moment.microsecond * 1000


def _value(value: dict[str, Any]) -> Any:
    """Return a text or a number; MLflow reads JSON texts into structures, of which nothing is asked here."""
    return value.get("string_value", value.get("int_value"))


def _hex(identifier: str) -> str:
    return base64.b64decode(identifier).hex()


@contextmanager
def phoenix(folder: Path) -> Iterator[BackEnd]:
    """Run Phoenix; its HTTP port obeys PHOENIX_HOST, its gRPC port does not."""
    port = free_port()
    environment = packages.plain_environment(
        PHOENIX_HOST="127.0.0.1",
        PHOENIX_PORT=str(port),
        PHOENIX_GRPC_PORT=str(free_port()),
        PHOENIX_WORKING_DIR=str(folder),
        PHOENIX_TELEMETRY_ENABLED="false",
        PHOENIX_ALLOW_EXTERNAL_RESOURCES="false",
        PHOENIX_DISABLE_AGENT_ASSISTANT="true",
    )
    command = [str(packages.programs_of(PHOENIX) / "phoenix"), "serve"]
    with serving(command, environment, folder, port, "/healthz") as url:
        yield Phoenix(url)


@contextmanager
def mlflow(folder: Path) -> Iterator[BackEnd]:
    """Run MLflow's server without its job workers, 230 MB each."""
    port = free_port()
    environment = packages.plain_environment(
        MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"
    )
    command = [
        *[str(packages.programs_of(MLFLOW) / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port)],
        *["--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"],
        *["--default-artifact-root", str(folder / "artifacts")],
    ]
    with serving(command, environment, folder, port, "/health") as url:
        yield MLflow(url)


@contextmanager
def collector(folder: Path, forwards_to: BackEnd) -> Iterator[str]:
    """Run rotel in front of a back end; yields the URL that it receives at."""
    with rotel(folder, forwards_to.url, forwards_to.headers) as url:
        yield url


@contextmanager
def rotel(folder: Path, endpoint: str, headers: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run rotel, an OpenTelemetry collector, in front of an OTLP endpoint; yields the URL that it receives at."""
    programs = packages.programs_of(ROTEL)
    (agent,) = programs.parent.glob("lib/python*/site-packages/rotel/rotel-agent")
    port = free_port()
    command = [
        *[str(agent), "start", "--otlp-http-endpoint", f"127.0.0.1:{port}"],
        *["--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}", "--pid-file", str(folder / "pid")],
        *["--exporter", "otlp", "--otlp-exporter-endpoint", endpoint, "--otlp-exporter-protocol", "http"],
        *(f"--otlp-exporter-traces-custom-headers={name}={value}" for name, value in (headers or {}).items()),
    ]
    with serving(command, packages.plain_environment(), folder, port, "") as url:
        yield url
