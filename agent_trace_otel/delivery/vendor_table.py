"""Back ends as data, one entry each: URL, regions, headers, the variables of their keys, limits, documentation.

Read by `vendors`. To add one, add an entry; `checked` says when it was held against what, or "not checked". Nothing
here was tried against the hosted service itself: that takes an account. Phoenix and MLflow are run by the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agent_trace_otel.delivery.vendors import Variable, Vendor

_DOCS: Final = "2026-11-23, against a copy of its documentation"
_ANY_GENAI: Final = "gen_ai.* attributes are searchable like any other"
_MB: Final = 1_000_000

_DATADOG_SITES: Final = {
    "us1": "datadoghq.com",
    "us3": "us3.datadoghq.com",
    "us5": "us5.datadoghq.com",
    "eu1": "datadoghq.eu",
    "ap1": "ap1.datadoghq.com",
    "ap2": "ap2.datadoghq.com",
}
_DATADOG_HOSTS: Final = r"(?!.*\botlp\.)(?:[a-z0-9.-]+?[.-])?(?P<site>(?:[a-z]{2}\d\.)?datadoghq\.(?:com|eu))"

_ENTRIES: Final = (
    Vendor(
        name="collector",
        title="OpenTelemetry Collector",
        base="http://localhost:4318",
        gzip=True,
        docs="https://opentelemetry.io/docs/specs/otlp/#otlphttp-default-port",
        checked="2026-11-23: port and path are OTLP's own; rotel in the tests",
        recognises="passes everything on",
    ),
    Vendor(
        name="datadog",
        title="Datadog",
        base="https://otlp.{region}",
        regions=_DATADOG_SITES,
        region="us1",
        region_from=("DD_SITE",),
        region_pattern=r"[a-z]{2}\d\.datadoghq\.(?:com|eu)",
        headers={"dd-api-key": "{DD_API_KEY}", "dd-otlp-source": "{DD_OTLP_SOURCE}"},
        variables=(
            Variable("DD_API_KEY", "an API key", is_key=True),
            Variable("DD_OTLP_SOURCE", "the product that the spans are for", default="llmobs"),
        ),
        max_body_bytes=3_200_000,
        gzip=True,
        accepted=frozenset({200, 202}),
        wrong_hosts={_DATADOG_HOSTS: "https://otlp.{site}/v1/traces"},
        docs="https://docs.datadoghq.com/llm_observability/instrumentation/otel_instrumentation/",
        checked=f"{_DOCS}; an older copy has dd-otlp-source=datadog, and calls the intake a preview to be asked for",
        recognises="LLM Observability takes gen_ai.* of semantic conventions 1.37 and newer; ml_app is service.name",
    ),
    Vendor(
        name="datadog-agent",
        title="Datadog Agent",
        base="http://{DD_AGENT_HOST}:4318",
        variables=(Variable("DD_AGENT_HOST", "the host of the agent", default="localhost"),),
        gzip=True,
        docs="https://docs.datadoghq.com/opentelemetry/setup/otlp_ingest_in_the_agent/",
        checked=_DOCS,
        recognises=f"its OTLP receiver must be turned on (otlp_config.receiver.protocols.http); {_ANY_GENAI}",
    ),
    Vendor(
        name="honeycomb",
        title="Honeycomb",
        base="https://{region}",
        regions={"us": "api.honeycomb.io", "eu": "api.eu1.honeycomb.io"},
        region="us",
        base_from=("HONEYCOMB_API_ENDPOINT",),
        headers={"x-honeycomb-team": "{HONEYCOMB_API_KEY}", "x-honeycomb-dataset": "{HONEYCOMB_DATASET}"},
        variables=(
            Variable("HONEYCOMB_API_KEY", "an ingest key", is_key=True),
            Variable("HONEYCOMB_DATASET", "the dataset (Classic alone wants one)", default=""),
        ),
        gzip=True,
        wrong_hosts={
            r"ui(?P<region>\.eu1)?\.honeycomb\.io": "https://api{region}.honeycomb.io/v1/traces",
            r"www\.honeycomb\.io": "https://api.honeycomb.io/v1/traces",
        },
        docs="https://docs.honeycomb.io/send-data/opentelemetry/",
        checked=f"{_DOCS}; limits not checked",
        recognises=f"the dataset is service.name; {_ANY_GENAI}",
    ),
    Vendor(
        name="newrelic",
        title="New Relic",
        base="https://{region}",
        regions={"us": "otlp.nr-data.net", "eu": "otlp.eu01.nr-data.net", "fedramp": "gov-otlp.nr-data.net"},
        region="us",
        headers={"api-key": "{NEW_RELIC_LICENSE_KEY}"},
        variables=(Variable("NEW_RELIC_LICENSE_KEY", "a licence (ingest) key", is_key=True),),
        max_body_bytes=_MB,
        max_attribute_chars=4095,
        gzip=True,
        wrong_hosts={
            r"(?:log|trace|metric|insights-collector|collector)(?:-api)?\.(?:newrelic\.com|nr-data\.net)": (
                "https://otlp.nr-data.net/v1/traces"
            ),
            r"(?:log|trace|metric|insights-collector)(?:-api)?\.eu(?:01)?\.(?:newrelic\.com|nr-data\.net)": (
                "https://otlp.eu01.nr-data.net/v1/traces"
            ),
        },
        docs="https://docs.newrelic.com/docs/opentelemetry/best-practices/opentelemetry-otlp/",
        checked=_DOCS,
        recognises=f"attribute values up to 4095 characters, names up to 255, arrays up to 64; {_ANY_GENAI}",
    ),
    Vendor(
        name="splunk",
        title="Splunk Observability Cloud",
        base="https://ingest.{region}.signalfx.com",
        path="/v2/trace/otlp",
        base_from=("SPLUNK_INGEST_URL",),
        regions={name: name for name in ("us0", "us1", "us2", "eu0", "eu1", "eu2", "au0", "jp0", "sg0")},
        region_from=("SPLUNK_REALM",),
        region_pattern=r"[a-z]{2,4}\d",
        headers={"X-SF-Token": "{SPLUNK_ACCESS_TOKEN}"},
        variables=(Variable("SPLUNK_ACCESS_TOKEN", "an access token with the scope ingest", is_key=True),),
        gzip=True,
        wrong_hosts={
            r"(?:api|app|stream)\.(?P<realm>[a-z]{2,4}\d)\.signalfx\.com": (
                "https://ingest.{realm}.signalfx.com/v2/trace/otlp"
            )
        },
        docs="https://help.splunk.com/en/splunk-observability-cloud/manage-data/other-data-ingestion-methods",
        checked=f"{_DOCS} and users of it; the newer ingest.<realm>.observability.splunkcloud.com is not checked",
        recognises=_ANY_GENAI,
    ),
    Vendor(
        name="grafana",
        title="Grafana Cloud",
        base="https://otlp-gateway-{region}.grafana.net/otlp",
        base_from=("GRAFANA_CLOUD_OTLP_ENDPOINT",),
        region_pattern=r"[a-z]+-[a-z0-9-]+",
        region_from=("GRAFANA_CLOUD_REGION",),
        headers={"Authorization": "Basic {GRAFANA_CLOUD_INSTANCE_ID}:{GRAFANA_CLOUD_API_KEY}"},
        variables=(
            Variable("GRAFANA_CLOUD_INSTANCE_ID", "the number of the stack's OTLP instance"),
            Variable(
                "GRAFANA_CLOUD_API_KEY",
                "an access policy token with traces:write",
                is_key=True,
            ),
        ),
        gzip=True,
        docs="https://grafana.com/docs/grafana-cloud/send-data/otlp/send-data-otlp/",
        checked=f"{_DOCS}; the variables are those that Grafana Alloy's examples use",
        recognises=f"Tempo keeps 2048 bytes of an attribute unless told otherwise; {_ANY_GENAI}",
    ),
    Vendor(
        name="tempo",
        title="Grafana Tempo",
        base="http://localhost:4318",
        gzip=True,
        docs="https://grafana.com/docs/tempo/latest/configuration/#distributor",
        checked=_DOCS,
        recognises=f"keeps 2048 bytes of an attribute (max_attribute_bytes); {_ANY_GENAI}",
    ),
    Vendor(
        name="jaeger",
        title="Jaeger",
        base="http://localhost:4318",
        gzip=True,
        docs="https://www.jaegertracing.io/docs/latest/architecture/apis/#opentelemetry-protocol-stable",
        checked="not checked; port and path are OTLP's own",
        recognises=_ANY_GENAI,
    ),
    Vendor(
        name="langfuse",
        title="Langfuse",
        base="https://{region}",
        path="/api/public/otel/v1/traces",
        base_from=("LANGFUSE_BASE_URL", "LANGFUSE_HOST"),
        regions={
            "eu": "cloud.langfuse.com",
            "us": "us.cloud.langfuse.com",
            "jp": "jp.cloud.langfuse.com",
            "hipaa": "hipaa.cloud.langfuse.com",
        },
        region="eu",
        headers={
            "Authorization": "Basic {LANGFUSE_PUBLIC_KEY}:{LANGFUSE_SECRET_KEY}",
            "x-langfuse-ingestion-version": "4",
        },
        variables=(
            Variable("LANGFUSE_PUBLIC_KEY", "a project's public key (pk-lf-...)", is_key=True),
            Variable("LANGFUSE_SECRET_KEY", "a project's secret key (sk-lf-...)", is_key=True),
        ),
        gzip=True,
        docs="https://langfuse.com/integrations/native/opentelemetry",
        checked=f"{_DOCS}, and langfuse 5.0.4; a request may have 5 MB",
        recognises="gen_ai.* attributes; session.id groups traces",
    ),
    Vendor(
        name="phoenix",
        title="Phoenix",
        base="http://localhost:6006",
        base_from=("PHOENIX_COLLECTOR_ENDPOINT",),
        headers={"Authorization": "Bearer {PHOENIX_API_KEY}", "x-project-name": "{PHOENIX_PROJECT}"},
        variables=(
            Variable("PHOENIX_API_KEY", "an API key", is_key=True, default=""),
            Variable("PHOENIX_PROJECT", "the project", default="", also=("PHOENIX_PROJECT_NAME",)),
        ),
        gzip=True,
        docs="https://arize.com/docs/phoenix/release-notes/05-2026/05-08-2026-otlp-project-header",
        checked=f"{_DOCS}, arize-phoenix-otel 0.17.2, and Phoenix itself in the tests; the project header since 15.5",
        recognises="gen_ai.* and OpenInference attributes; session.id groups traces",
    ),
    Vendor(
        name="arize",
        title="Arize AX",
        base="https://{region}",
        regions={"us": "otlp.arize.com", "eu": "otlp.eu-west-1a.arize.com"},
        region="us",
        base_from=("ARIZE_COLLECTOR_ENDPOINT",),
        headers={"Authorization": "{ARIZE_API_KEY}", "arize-space-id": "{ARIZE_SPACE_ID}"},
        variables=(
            Variable("ARIZE_SPACE_ID", "the space's id"),
            Variable("ARIZE_API_KEY", "an API key", is_key=True),
        ),
        wrong_hosts={r"app\.arize\.com": "https://otlp.arize.com/v1/traces"},
        docs="https://arize.com/docs/ax/integrations/opentelemetry/opentelemetry-arize-otel",
        checked=f"{_DOCS}, and arize-otel 0.14.1, which calls the headers api_key and space_id deprecated",
        recognises="wants the resource attribute openinference.project.name (OTEL_RESOURCE_ATTRIBUTES)",
    ),
    Vendor(
        name="langsmith",
        title="LangSmith",
        base="https://{region}",
        path="/otel/v1/traces",
        base_from=("LANGSMITH_ENDPOINT",),
        regions={
            "us": "api.smith.langchain.com",
            "eu": "eu.api.smith.langchain.com",
            "apac": "apac.api.smith.langchain.com",
            "aws": "aws.api.smith.langchain.com",
        },
        region="us",
        headers={"x-api-key": "{LANGSMITH_API_KEY}", "Langsmith-Project": "{LANGSMITH_PROJECT}"},
        variables=(
            Variable("LANGSMITH_API_KEY", "an API key", is_key=True, also=("LANGCHAIN_API_KEY",)),
            Variable("LANGSMITH_PROJECT", "the project", default="", also=("LANGCHAIN_PROJECT",)),
        ),
        wrong_hosts={
            r"(?P<region>(?:eu|apac|aws)\.)?smith\.langchain\.com": (
                "https://{region}api.smith.langchain.com/otel/v1/traces"
            )
        },
        docs="https://docs.langchain.com/langsmith/trace-with-opentelemetry",
        checked=f"{_DOCS}, and langsmith 0.15.0",
        recognises="gen_ai.* attributes",
    ),
    Vendor(
        name="braintrust",
        title="Braintrust",
        base="https://{region}",
        path="/otel/v1/traces",
        base_from=("BRAINTRUST_API_URL",),
        regions={"us": "api.braintrust.dev", "eu": "api-eu.braintrust.dev"},
        region="us",
        headers={"Authorization": "Bearer {BRAINTRUST_API_KEY}", "x-bt-parent": "{BRAINTRUST_PARENT}"},
        variables=(
            Variable("BRAINTRUST_API_KEY", "an API key", is_key=True),
            Variable("BRAINTRUST_PARENT", "where traces go, project_name:NAME", default="project_name:agent-trace"),
        ),
        gzip=True,
        wrong_hosts={r"(?:www\.)?braintrust\.dev": "https://api.braintrust.dev/otel/v1/traces"},
        docs="https://www.braintrust.dev/docs/integrations/sdk-integrations/opentelemetry",
        checked=f"{_DOCS}, and braintrust 0.48.1; a request may have 10 MB",
        recognises="gen_ai.* attributes",
    ),
    Vendor(
        name="mlflow",
        title="MLflow",
        base="http://localhost:5000",
        base_from=("MLFLOW_TRACKING_URI",),
        headers={
            "x-mlflow-experiment-id": "{MLFLOW_EXPERIMENT_ID}",
            "Authorization": "Basic {MLFLOW_TRACKING_USERNAME}:{MLFLOW_TRACKING_PASSWORD}",
        },
        variables=(
            Variable("MLFLOW_EXPERIMENT_ID", "the experiment's id", default="0"),
            Variable("MLFLOW_TRACKING_USERNAME", "the user", default=""),
            Variable("MLFLOW_TRACKING_PASSWORD", "the password", is_key=True, default=""),
        ),
        docs="https://mlflow.org/docs/latest/genai/tracing/opentelemetry/ingest/",
        checked=f"{_DOCS}, and MLflow itself in the tests; from 3.6.0, with a SQL store",
        recognises="gen_ai.* attributes; session.id groups traces",
    ),
    Vendor(
        name="logfire",
        title="Logfire",
        base="https://{region}",
        base_from=("LOGFIRE_BASE_URL",),
        regions={"us": "logfire-us.pydantic.dev", "eu": "logfire-eu.pydantic.dev"},
        region="us",
        headers={"Authorization": "{LOGFIRE_TOKEN}"},
        variables=(Variable("LOGFIRE_TOKEN", "a write token", is_key=True),),
        gzip=True,
        wrong_hosts={
            r"logfire(?:-api)?\.pydantic\.dev": (
                "https://logfire-us.pydantic.dev/v1/traces or https://logfire-eu.pydantic.dev/v1/traces"
            )
        },
        docs="https://logfire.pydantic.dev/docs/how-to-guides/alternative-clients/",
        checked=_DOCS,
        recognises="gen_ai.* attributes",
    ),
    Vendor(
        name="weave",
        title="W&B Weave",
        base="https://trace.wandb.ai",
        path="/otel/v1/traces",
        base_from=("WF_TRACE_SERVER_URL",),
        headers={"wandb-api-key": "{WANDB_API_KEY}", "project_id": "{WANDB_ENTITY}/{WANDB_PROJECT}"},
        variables=(
            Variable("WANDB_API_KEY", "an API key", is_key=True),
            Variable("WANDB_ENTITY", "the team or user"),
            Variable("WANDB_PROJECT", "the project"),
        ),
        wrong_hosts={r"(?:api\.)?wandb\.ai": "https://trace.wandb.ai/otel/v1/traces"},
        docs="https://docs.wandb.ai/weave/guides/tracking/otel",
        checked=f"{_DOCS}; its other intake, /agents/otel/v1/traces, takes the same key",
        recognises="gen_ai.* attributes; spans are filed by project_id, or by wandb.entity and wandb.project",
    ),
    Vendor(
        name="opik",
        title="Opik",
        base="https://www.comet.com/opik/api",
        path="/v1/private/otel/v1/traces",
        base_from=("OPIK_URL_OVERRIDE",),
        headers={
            "Authorization": "{OPIK_API_KEY}",
            "Comet-Workspace": "{OPIK_WORKSPACE}",
            "projectName": "{OPIK_PROJECT_NAME}",
        },
        variables=(
            Variable("OPIK_API_KEY", "an API key", is_key=True, default=""),
            Variable("OPIK_WORKSPACE", "the workspace", default=""),
            Variable("OPIK_PROJECT_NAME", "the project", default=""),
        ),
        docs="https://www.comet.com/docs/opik/integrations/opentelemetry",
        checked=_DOCS,
        recognises="gen_ai.* attributes",
    ),
    Vendor(
        name="dynatrace",
        title="Dynatrace",
        base="",
        base_from=("DT_ENDPOINT",),
        path="/api/v2/otlp/v1/traces",
        headers={"Authorization": "Api-Token {DT_API_TOKEN}"},
        variables=(Variable("DT_API_TOKEN", "a token with the scope openTelemetryTrace.ingest", is_key=True),),
        gzip=True,
        docs="https://docs.dynatrace.com/docs/ingest-from/opentelemetry/otlp-api",
        checked=_DOCS,
        recognises=f"takes no span that ended more than 60 minutes ago, so ship in time; {_ANY_GENAI}",
    ),
    Vendor(
        name="elastic",
        title="Elastic Cloud",
        base="",
        base_from=("ELASTIC_OTLP_ENDPOINT",),
        headers={"Authorization": "ApiKey {ELASTIC_API_KEY}"},
        variables=(Variable("ELASTIC_API_KEY", "an API key of the managed OTLP endpoint", is_key=True),),
        gzip=True,
        docs="https://www.elastic.co/docs/reference/opentelemetry/motlp/managed-otlp-endpoint",
        checked=f"{_DOCS}; the variables are those of its examples",
        recognises=_ANY_GENAI,
    ),
    Vendor(
        name="signoz",
        title="SigNoz Cloud",
        base="https://ingest.{region}.signoz.cloud",
        regions={name: name for name in ("us", "eu", "in", "in2")},
        region_from=("SIGNOZ_REGION",),
        region_pattern=r"[a-z]{2}\d?",
        headers={"signoz-ingestion-key": "{SIGNOZ_INGESTION_KEY}"},
        variables=(Variable("SIGNOZ_INGESTION_KEY", "an ingestion key", is_key=True),),
        gzip=True,
        docs="https://signoz.io/docs/ingestion/signoz-cloud/overview/",
        checked=_DOCS,
        recognises=_ANY_GENAI,
    ),
    Vendor(
        name="axiom",
        title="Axiom",
        base="https://api.axiom.co",
        headers={"Authorization": "Bearer {AXIOM_TOKEN}", "X-Axiom-Dataset": "{AXIOM_DATASET}"},
        variables=(
            Variable("AXIOM_TOKEN", "an API token", is_key=True),
            Variable("AXIOM_DATASET", "the dataset"),
        ),
        docs="https://axiom.co/docs/send-data/opentelemetry",
        checked="2026-11-23, against another product's page on it",
        recognises=_ANY_GENAI,
    ),
)

VENDORS: Final[Mapping[str, Vendor]] = {vendor.name: vendor for vendor in _ENTRIES}
"""By name, in the order in which people are told of them."""
