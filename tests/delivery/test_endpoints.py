"""Which URL an endpoint means, and what a back end is called in file names."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

from agent_trace_otel.delivery.otlp import protocol_warning, shown_url, target_name, traces_url
from agent_trace_otel.errors import UsageError


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://localhost:4318", "http://localhost:4318/v1/traces"),
        ("http://localhost:4318/", "http://localhost:4318/v1/traces"),
        (" http://localhost:4318\n", "http://localhost:4318/v1/traces"),
        ("http://localhost:4318/v1/traces", "http://localhost:4318/v1/traces"),
        ("http://localhost:4318/v1/traces/", "http://localhost:4318/v1/traces/"),
        ("https://cloud.example.com/api/public/otel", "https://cloud.example.com/api/public/otel/v1/traces"),
        ("https://cloud.example.com/otel/v1/traces", "https://cloud.example.com/otel/v1/traces"),
        ("https://ingest.example.com/v2/trace/otlp", "https://ingest.example.com/v2/trace/otlp"),
        ("https://example.com/v1/traces/more", "https://example.com/v1/traces/more/v1/traces"),
        ("https://example.com/base?key=a#top", "https://example.com/base/v1/traces?key=a"),
        ("https://user:pw@example.com", "https://user:pw@example.com/v1/traces"),
        ("http://[::1]:4318", "http://[::1]:4318/v1/traces"),
        ("HTTP://localhost", "http://localhost/v1/traces"),
        ("http://localhost:4317", "http://localhost:4317/v1/traces"),
    ],
)
def test_an_endpoint_is_a_base_unless_it_ends_in_a_traces_path(endpoint: str, url: str) -> None:
    assert traces_url(endpoint) == url


@pytest.mark.parametrize(
    "endpoint",
    ["", "localhost:4318", "localhost", "ftp://example.com", "grpc://example.com", "http://", "http://:80",
     "/v1/traces", "http://[::1", "http://host:port", "http://host:99999", "http://a b",
     "http://h/\udcff"],
)  # fmt: skip
def test_what_is_no_http_url_is_a_usage_error_of_one_line(endpoint: str) -> None:
    with pytest.raises(UsageError, match=r"no OTLP endpoint") as caught:
        traces_url(endpoint)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("endpoint", ["user:hunter2@host", "ftp://user:hunter2@host", "ftp://host/?key=hunter2"])
def test_a_usage_error_tells_no_secrets(endpoint: str) -> None:
    with pytest.raises(UsageError) as caught:
        traces_url(endpoint)
    assert "hunter2" not in str(caught.value)


def sha(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:8]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.example.com/v1/traces", "api.example.com-" + sha("https://api.example.com/v1/traces")),
        ("https://user:pw@API.example.com/v1/traces?key=1", "api.example.com-" + sha("https://api.example.com/v1/traces")),
        ("http://127.0.0.1:4318/v1/traces", "127.0.0.1-4318-" + sha("http://127.0.0.1:4318/v1/traces")),
        ("http://[::1]:4318/v1/traces", "--1-4318-" + sha("http://[::1]:4318/v1/traces")),
        ("http://my_host/v1/traces", "my-host-" + sha("http://my_host/v1/traces")),
    ],
)  # fmt: skip
def test_a_target_is_named_by_host_port_and_hash(url: str, name: str) -> None:
    assert target_name(url) == name


def test_a_target_name_fits_into_a_file_name() -> None:
    assert len(f"delivered-{target_name('http://' + 'h' * 253 + ':65535/')}.log") < 255


@pytest.mark.parametrize(
    ("url", "protocol", "warned"),
    [
        ("http://localhost:4318/v1/traces", None, False),
        ("http://localhost:4318/v1/traces", "", False),
        ("http://localhost:4318/v1/traces", "http/protobuf", False),
        ("http://localhost:4318/v1/traces", "grpc", True),
        ("http://localhost:4318/v1/traces", "http/json", True),
        ("http://user:hunter2@localhost:4317/v1/traces?key=hunter2", None, True),
    ],
)
def test_grpc_is_warned_about_in_one_line(url: str, protocol: str | None, warned: bool) -> None:
    warning = protocol_warning(url, protocol)
    assert (warning is not None) == warned
    if warning is not None:
        assert "http/protobuf" in warning
        assert "hunter2" not in warning
        assert "\n" not in warning


def test_a_shown_url_has_neither_user_info_nor_query() -> None:
    assert shown_url("https://u:p@Example.com:1/a/b?key=1#x") == "https://example.com:1/a/b"


def test_telling_urls_apart_loads_neither_requests_nor_protobuf_nor_opentelemetry() -> None:
    code = (
        "import sys, agent_trace_otel.delivery.otlp\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('requests', 'google', 'opentelemetry', 'urllib3')])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"
