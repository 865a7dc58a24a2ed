"""The back end that is meant: names, endpoints and headers of arguments, environment and config file -> a `Target`.

Called by `pipeline` for live export, by the commands that send, and by doctor; loads no part of OpenTelemetry.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from agent_trace_otel.config import Settings, parse_headers
from agent_trace_otel.delivery import vendors
from agent_trace_otel.delivery.otlp import traces_url
from agent_trace_otel.delivery.target import Target


def configured_target(
    settings: Settings, environ: Mapping[str, str] | None = None, *, with_otel: bool = True
) -> Target | None:
    """Return the back end that the settings name, None if they name none.

    Args:
        settings: those in force.
        environ: where a vendor's key is looked for, before the config file, and OTEL_EXPORTER_OTLP_HEADERS, which go
            to endpoints alone; headers of our own settings win over them.
        with_otel: whether the standard OTEL_EXPORTER_OTLP_* endpoint counts; a provider of the user's own has an
            exporter for it.

    Raises:
        UsageError: the endpoint is no http or https URL, or the vendor wants a key that is not set.
    """
    if settings.to is not None:
        return target_named(settings.to, settings.headers, settings, environ, endpoint=settings.endpoint)
    if settings.endpoint is not None:
        url = traces_url(settings.endpoint)
    elif with_otel and settings.otel_endpoint is not None:
        url = settings.otel_endpoint
    else:
        return None
    return vendors.at(url, {**otel_headers(environ), **settings.headers})


def configured_url(settings: Settings, environ: Mapping[str, str] | None = None) -> str | None:
    """Return the final URL of the back end that the settings name, None if they name none; no key is needed for it.

    Raises:
        UsageError: see `configured_target`.
    """
    if settings.to is not None:
        return vendors.url_of(settings.to, _with_keys(settings, environ), endpoint=settings.endpoint)
    return traces_url(settings.endpoint) if settings.endpoint is not None else settings.otel_endpoint


def target_named(
    name: str,
    headers: Mapping[str, str],
    settings: Settings,
    environ: Mapping[str, str] | None = None,
    *,
    endpoint: str | None = None,
) -> Target:
    """Return the back end that ``--to`` names; its keys come from the environment, else from the config file.

    Raises:
        UsageError: see `vendors.resolve`.
    """
    target = vendors.resolve(name, _with_keys(settings, environ), endpoint=endpoint)
    return replace(target, headers={**target.headers, **headers})


def otel_headers(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the headers of the standard variables (OTLP exporter specification); those of traces win as a whole."""
    env = os.environ if environ is None else environ
    names = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
    return parse_headers(next((env[name] for name in names if env.get(name)), ""))


def target_at(
    endpoint: str, headers: Mapping[str, str], settings: Settings, environ: Mapping[str, str] | None = None
) -> Target:
    """Return the back end that an endpoint names; configured headers go along only to the configured URL.

    Raises:
        UsageError: the endpoint is no http or https URL.
    """
    url = traces_url(endpoint)
    known = configured_target(settings, environ)
    if known is not None and known.url == url:
        return replace(known, headers={**known.headers, **headers})
    return vendors.at(url, headers)


def _with_keys(settings: Settings, environ: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return the environment with what the config file has of it, where the environment has nothing."""
    env = os.environ if environ is None else environ
    return {**settings.keys, **{variable: value for variable, value in env.items() if value}}
