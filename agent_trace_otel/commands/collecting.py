"""The command that receives other programs' spans."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def collect(arguments: argparse.Namespace) -> int:
    """Receive spans over OTLP until a signal comes."""
    from dataclasses import replace
    from pathlib import Path

    from agent_trace_otel import config
    from agent_trace_otel.capture.collect import collector
    from agent_trace_otel.commands import option_values
    from agent_trace_otel.delivery.configured import configured_target

    settings = config.load(
        trace_dir=Path(arguments.trace_dir) if arguments.trace_dir else None,
        redact=False if arguments.no_redact else None,
        endpoint=arguments.endpoint,
        to=arguments.to,
        headers=option_values.headers(arguments.header) or None,
    )
    if settings.otel_endpoint and collector.is_itself(settings.otel_endpoint, arguments.bind, arguments.port):
        settings = replace(settings, otel_endpoint=None)  # set for the agents of this shell, and meant for them
    target = configured_target(settings)
    given = collector.Options(
        port=arguments.port,
        bind=arguments.bind,
        allow_hosts=arguments.allow_host,
        allow_origins=arguments.allow_origin,
    )
    return collector.collect(settings, target.url if target is not None else "", given)
