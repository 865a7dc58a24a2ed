"""Back ends as data: every entry is whole, every URL and header is what its documentation says, no key is shown."""

from __future__ import annotations

import base64
import re
from urllib.parse import urlsplit

import pytest

from agent_trace_otel.delivery import vendors
from agent_trace_otel.delivery.otlp import traces_url
from agent_trace_otel.delivery.vendor_table import VENDORS
from agent_trace_otel.delivery.vendors import Vendor
from agent_trace_otel.errors import UsageError

NEEDED = {
    *("datadog", "datadog-agent", "honeycomb", "newrelic", "splunk", "grafana", "tempo", "jaeger", "langfuse"),
    *("phoenix", "langsmith", "braintrust", "mlflow", "logfire"),
}
PLANTED = "pl4nted-k3y"


def everything_set(vendor: Vendor) -> dict[str, str]:
    found = {variable.name: f"{PLANTED}-{variable.name}" for variable in vendor.variables}
    if not vendor.base:
        found[vendor.base_from[0]] = "https://mine.example"
    found.pop("DD_AGENT_HOST", None)
    return found


def region_of(vendor: Vendor) -> str:
    if "{region}" not in vendor.base or vendor.region:
        return vendor.name
    return f"{vendor.name}:{next(iter(vendor.regions), 'prod-us-east-0')}"


def test_the_back_ends_that_must_be_there_are() -> None:
    assert set(VENDORS) >= NEEDED
    assert all(name == vendor.name for name, vendor in VENDORS.items())


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=lambda vendor: vendor.name)
def test_every_entry_is_whole(vendor: Vendor) -> None:
    assert re.fullmatch(r"[a-z][a-z-]*[a-z]", vendor.name)
    assert urlsplit(vendor.docs).scheme == "https"
    assert urlsplit(vendor.docs).path
    assert vendor.checked.startswith(("2026-", "not checked"))
    assert vendor.recognises
    assert vendor.title
    names = [name for variable in vendor.variables for name in (variable.name, *variable.also)]
    names += [*vendor.base_from, *vendor.region_from]
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", name) for name in names)
    assert len(names) == len(set(names))
    used = set(re.findall(r"\{([A-Z_0-9]+)\}", " ".join([vendor.base, *vendor.headers.values()])))
    assert used == {variable.name for variable in vendor.variables}
    target = vendors.resolve(region_of(vendor), everything_set(vendor))
    parts = urlsplit(target.url)
    assert parts.scheme == "https" or parts.hostname == "localhost"
    assert "{" not in target.url + "".join(target.headers.values())
    assert target.url.endswith(("/v1/traces", "/v2/trace/otlp"))
    assert all(header.isascii() and header.isprintable() for pair in target.headers.items() for header in pair)
    assert set(target.key_names) == {variable.name for variable in vendor.variables if variable.is_key}
    assert target.max_body_bytes >= 500_000


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=lambda vendor: vendor.name)
def test_every_variable_that_must_be_given_is_named_when_it_is_missing(vendor: Vendor) -> None:
    for variable in vendor.variables:
        environ = everything_set(vendor)
        environ.pop(variable.name, None)
        if variable.default is None:
            with pytest.raises(
                UsageError, match=rf"^{variable.name}\b.* is not set: .*{re.escape(vendor.docs)}"
            ) as error:
                vendors.resolve(region_of(vendor), environ)
            assert PLANTED not in str(error.value)
            assert "\n" not in str(error.value)
        else:
            vendors.resolve(region_of(vendor), environ)


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=lambda vendor: vendor.name)
def test_a_key_is_in_no_repr_and_a_url_round_trips(vendor: Vendor) -> None:
    target = vendors.resolve(region_of(vendor), everything_set(vendor))
    assert PLANTED not in repr(target)
    assert traces_url(target.url) == target.url
    host = urlsplit(target.url).hostname or ""
    if vendor.base and host != "localhost":
        bare = f"https://{host}"
        assert traces_url(bare) == target.url
        assert vendors.at(target.url).vendor == vendor.name


@pytest.mark.parametrize(
    ("name", "environ", "url", "headers"),
    [
        (
            *("datadog", {"DD_API_KEY": "k"}, "https://otlp.datadoghq.com/v1/traces"),
            {"dd-api-key": "k", "dd-otlp-source": "llmobs"},
        ),
        (
            *("datadog", {"DD_API_KEY": " k\n", "DD_SITE": "us5.datadoghq.com", "DD_OTLP_SOURCE": "datadog"}),
            "https://otlp.us5.datadoghq.com/v1/traces",
            {"dd-api-key": "k", "dd-otlp-source": "datadog"},
        ),
        (
            *("datadog:eu1", {"DD_API_KEY": "k", "DD_SITE": "us5.datadoghq.com"}),
            "https://otlp.datadoghq.eu/v1/traces",
            {"dd-api-key": "k", "dd-otlp-source": "llmobs"},
        ),
        ("datadog-agent", {"DD_AGENT_HOST": "10.0.0.7"}, "http://10.0.0.7:4318/v1/traces", {}),
        ("honeycomb", {"HONEYCOMB_API_KEY": "k"}, "https://api.honeycomb.io/v1/traces", {"x-honeycomb-team": "k"}),
        (
            *("HONEYCOMB:EU", {"HONEYCOMB_API_KEY": "k", "HONEYCOMB_DATASET": "d"}),
            "https://api.eu1.honeycomb.io/v1/traces",
            {"x-honeycomb-team": "k", "x-honeycomb-dataset": "d"},
        ),
        ("newrelic:eu", {"NEW_RELIC_LICENSE_KEY": "k"}, "https://otlp.eu01.nr-data.net/v1/traces", {"api-key": "k"}),
        (
            *("newrelic:fedramp", {"NEW_RELIC_LICENSE_KEY": "k"}),
            "https://gov-otlp.nr-data.net/v1/traces",
            {"api-key": "k"},
        ),
        (
            *("splunk", {"SPLUNK_ACCESS_TOKEN": "k", "SPLUNK_REALM": "us1"}),
            "https://ingest.us1.signalfx.com/v2/trace/otlp",
            {"X-SF-Token": "k"},
        ),
        (
            *("grafana:prod-eu-west-2", {"GRAFANA_CLOUD_INSTANCE_ID": "12", "GRAFANA_CLOUD_API_KEY": "glc_x"}),
            "https://otlp-gateway-prod-eu-west-2.grafana.net/otlp/v1/traces",
            {"Authorization": "Basic " + base64.b64encode(b"12:glc_x").decode()},
        ),
        ("tempo", {}, "http://localhost:4318/v1/traces", {}),
        ("phoenix", {"PHOENIX_COLLECTOR_ENDPOINT": "http://p:6006/"}, "http://p:6006/v1/traces", {}),
        (
            *("phoenix", {"PHOENIX_API_KEY": "k", "PHOENIX_PROJECT_NAME": "mine"}, "http://localhost:6006/v1/traces"),
            {"Authorization": "Bearer k", "x-project-name": "mine"},
        ),
        ("mlflow", {}, "http://localhost:5000/v1/traces", {"x-mlflow-experiment-id": "0"}),
        (
            *("langfuse:us", {"LANGFUSE_PUBLIC_KEY": "pk", "LANGFUSE_SECRET_KEY": "sk"}),
            "https://us.cloud.langfuse.com/api/public/otel/v1/traces",
            {
                "Authorization": "Basic " + base64.b64encode(b"pk:sk").decode(),
                "x-langfuse-ingestion-version": "4",
            },
        ),
        (
            *("langsmith", {"LANGSMITH_API_KEY": "k", "LANGSMITH_ENDPOINT": "https://smith.mine/otel"}),
            "https://smith.mine/otel/v1/traces",
            {"x-api-key": "k"},
        ),
        (
            *("braintrust", {"BRAINTRUST_API_KEY": "k"}, "https://api.braintrust.dev/otel/v1/traces"),
            {"Authorization": "Bearer k", "x-bt-parent": "project_name:agent-trace"},
        ),
        (
            *(
                "arize",
                {"ARIZE_SPACE_ID": "s", "ARIZE_API_KEY": "k", "ARIZE_COLLECTOR_ENDPOINT": "https://a.example/v1"},
            ),
            "https://a.example/v1/traces",
            {"Authorization": "k", "arize-space-id": "s"},
        ),
        ("logfire:eu", {"LOGFIRE_TOKEN": "k"}, "https://logfire-eu.pydantic.dev/v1/traces", {"Authorization": "k"}),
        (
            *("dynatrace", {"DT_API_TOKEN": "k", "DT_ENDPOINT": "https://abc.live.dynatrace.com/api/v2/otlp"}),
            "https://abc.live.dynatrace.com/api/v2/otlp/v1/traces",
            {"Authorization": "Api-Token k"},
        ),
    ],
)
def test_urls_and_headers(name: str, environ: dict[str, str], url: str, headers: dict[str, str]) -> None:
    target = vendors.resolve(name, environ)
    assert (target.url, dict(target.headers)) == (url, headers)


def test_an_endpoint_of_ones_own_gets_the_vendors_path_and_headers() -> None:
    target = vendors.resolve("honeycomb", {"HONEYCOMB_API_KEY": "k"}, endpoint="http://refinery:8080")
    assert (target.url, dict(target.headers)) == ("http://refinery:8080/v1/traces", {"x-honeycomb-team": "k"})
    target = vendors.resolve("splunk", {"SPLUNK_ACCESS_TOKEN": "k"}, endpoint="http://proxy:1/x/v1/traces")
    assert target.url == "http://proxy:1/x/v1/traces"


def test_an_endpoint_that_makes_no_sense_is_not_laid_at_a_variables_door() -> None:
    with pytest.raises(UsageError, match=r"^the endpoint is no URL"):
        vendors.resolve("honeycomb", {"HONEYCOMB_API_KEY": "k"}, endpoint="nonsense")
    with pytest.raises(UsageError, match=r"https://otlp\.datadoghq\.com/v1/traces"):
        vendors.resolve("datadog", {"DD_API_KEY": "k"}, endpoint="https://http-intake.logs.datadoghq.com")


def test_a_region_that_is_named_counts_more_than_a_url_in_the_environment() -> None:
    environ = {"HONEYCOMB_API_KEY": "k", "HONEYCOMB_API_ENDPOINT": "https://refinery.example"}
    assert vendors.resolve("honeycomb", environ).url == "https://refinery.example/v1/traces"
    assert vendors.resolve("honeycomb:eu", environ).url == "https://api.eu1.honeycomb.io/v1/traces"
    assert vendors.url_of("honeycomb:eu", {}) == "https://api.eu1.honeycomb.io/v1/traces"


def test_limits_come_with_the_name_and_with_the_host() -> None:
    for target in (
        vendors.resolve("newrelic", {"NEW_RELIC_LICENSE_KEY": "k"}),
        vendors.at("https://otlp.nr-data.net:4318/v1/traces", {"api-key": "k"}),
    ):
        assert (target.max_body_bytes, target.max_attribute_chars, target.gzip) == (1_000_000, 4095, True)
    datadog = vendors.resolve("datadog", {"DD_API_KEY": "k"})
    assert (datadog.accepted, datadog.max_body_bytes) == ({200, 202}, 3_200_000)
    plain = vendors.at("http://localhost:4318/v1/traces", {"a": "b"})
    assert (plain.vendor, plain.gzip, plain.accepted, dict(plain.headers)) == ("", False, {200}, {"a": "b"})


@pytest.mark.parametrize(
    ("host", "right"),
    [
        ("http-intake.logs.datadoghq.com", "https://otlp.datadoghq.com/v1/traces"),
        ("http-intake.logs.us3.datadoghq.com", "https://otlp.us3.datadoghq.com/v1/traces"),
        ("api.datadoghq.eu", "https://otlp.datadoghq.eu/v1/traces"),
        ("trace.agent.ap1.datadoghq.com", "https://otlp.ap1.datadoghq.com/v1/traces"),
        ("browser-intake-datadoghq.com", "https://otlp.datadoghq.com/v1/traces"),
        ("app.datadoghq.com", "https://otlp.datadoghq.com/v1/traces"),
        ("ui.eu1.honeycomb.io", "https://api.eu1.honeycomb.io/v1/traces"),
        ("app.us1.signalfx.com", "https://ingest.us1.signalfx.com/v2/trace/otlp"),
        ("trace-api.newrelic.com", "https://otlp.nr-data.net/v1/traces"),
        ("log-api.eu.newrelic.com", "https://otlp.eu01.nr-data.net/v1/traces"),
        ("eu.smith.langchain.com", "https://eu.api.smith.langchain.com/otel/v1/traces"),
    ],
)
@pytest.mark.parametrize("path", ["", "/v1/traces", "/api/v2/logs"])
def test_a_vendors_other_hosts_are_refused_with_the_right_url(host: str, right: str, path: str) -> None:
    with pytest.raises(UsageError, match=re.escape(right)) as said:
        traces_url(f"https://{PLANTED}@{host}{path}?dd-api-key={PLANTED}")
    assert PLANTED not in str(said.value)


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("https://ingest.us0.signalfx.com", "https://ingest.us0.signalfx.com/v2/trace/otlp"),
        ("https://ingest.us0.signalfx.com/v1/traces", "https://ingest.us0.signalfx.com/v1/traces"),
        ("https://cloud.langfuse.com/", "https://cloud.langfuse.com/api/public/otel/v1/traces"),
        ("https://cloud.langfuse.com/api/public/otel", "https://cloud.langfuse.com/api/public/otel/v1/traces"),
        ("https://otlp-gateway-prod-a-0.grafana.net", "https://otlp-gateway-prod-a-0.grafana.net/otlp/v1/traces"),
        ("https://evil.otlp.nr-data.net.example", "https://evil.otlp.nr-data.net.example/v1/traces"),
        ("https://cloudflare.integrations.otlp.datadoghq.com", None),
        ("http://localhost:4318", "http://localhost:4318/v1/traces"),
    ],
)
def test_an_endpoint_without_a_path_gets_its_vendors(endpoint: str, url: str | None) -> None:
    assert traces_url(endpoint) == (url or f"{endpoint}/v1/traces")


@pytest.mark.parametrize(
    ("name", "environ", "said"),
    [
        (
            "honycomb",
            {},
            "no back end 'honycomb': did you mean honeycomb\\? there are collector, .*--endpoint",
        ),
        ("", {}, "no back end ''"),
        ("honeycomb:mars", {"HONEYCOMB_API_KEY": "k"}, "Honeycomb has no region 'mars': there are us, eu$"),
        ("phoenix:eu", {}, "Phoenix has no regions"),
        ("splunk", {"SPLUNK_ACCESS_TOKEN": "k"}, "wants a region: SPLUNK_REALM or --to splunk:REGION; there are us0"),
        ("splunk", {"SPLUNK_ACCESS_TOKEN": "k", "SPLUNK_REALM": "none"}, "no region 'none'"),
        ("datadog", {"DD_API_KEY": "k", "DD_SITE": "evil.example/?"}, "no region"),
        ("datadog", {"DD_API_KEY": "   "}, "DD_API_KEY is not set"),
        ("datadog", {"DD_API_KEY": f"{PLANTED}\x00x"}, "DD_API_KEY holds characters"),
        ("datadog", {"DD_API_KEY": f"{PLANTED}\r\nHost: x"}, "DD_API_KEY holds characters"),
        ("langsmith", {"LANGSMITH_API_KEY": ""}, "LANGSMITH_API_KEY \\(or LANGCHAIN_API_KEY\\) is not set"),
        ("mlflow", {"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}, "MLFLOW_TRACKING_URI is no URL such as"),
        ("dynatrace", {"DT_API_TOKEN": "k"}, "DT_ENDPOINT is not set: it holds the URL of your own Dynatrace"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_without_a_value(name: str, environ: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        vendors.resolve(name, environ)
    assert PLANTED not in str(error.value)
    assert str(error.value).isprintable()


def test_only_a_refused_key_is_hinted_at() -> None:
    target = vendors.resolve("langfuse", {"LANGFUSE_PUBLIC_KEY": "p", "LANGFUSE_SECRET_KEY": PLANTED})
    assert target.key_hint(401) == "; the key is that of LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY"
    assert target.key_hint(403) == target.key_hint(401)
    assert (target.key_hint(404), vendors.at("http://h/v1/traces").key_hint(401)) == ("", "")


def test_a_key_that_a_back_end_repeats_is_withheld() -> None:
    basic = vendors.resolve("langfuse", {"LANGFUSE_PUBLIC_KEY": "pk-1", "LANGFUSE_SECRET_KEY": PLANTED})
    encoded = basic.headers["Authorization"].removeprefix("Basic ")
    said = f"no such key {PLANTED} of pk-1 in {encoded} (version 4)"
    assert basic.without_keys(said) == "no such key [key] of [key] in [key] (version 4)"
    bearer = vendors.resolve("braintrust", {"BRAINTRUST_API_KEY": PLANTED})
    assert bearer.without_keys(f"Bearer {PLANTED}! {PLANTED}?") == "[key]! [key]?"
