"""Which back end a command means: its options, else the settings in force.

Called by the commands that send.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from agent_trace_otel.delivery.target import Target


def is_named(arguments: argparse.Namespace) -> bool:
    """Tell whether a command line names a back end."""
    return arguments.endpoint is not None or arguments.to is not None


def target_of(arguments: argparse.Namespace) -> Target:
    """Return the back end that --to, --endpoint and --header name, by default the configured one.

    Raises:
        UsageError: none is named or configured, or what is named makes no sense.
    """
    from agent_trace_otel import config
    from agent_trace_otel.commands import option_values
    from agent_trace_otel.delivery.configured import configured_target, target_at, target_named
    from agent_trace_otel.errors import UsageError

    settings = config.load()
    if arguments.to is not None:
        headers = option_values.headers(arguments.header)
        return target_named(arguments.to, headers, settings, endpoint=arguments.endpoint)
    if arguments.endpoint is not None:
        return target_at(arguments.endpoint, option_values.headers(arguments.header), settings)
    option_values.refuse(arguments, ("header",), "needs --endpoint or --to")
    target = configured_target(settings)
    if target is None:
        msg = (
            "no back end: name one with --to NAME or --endpoint URL, or for good with AGENT_TRACE_TO or the config file"
        )
        raise UsageError(msg)
    return target


def keys_of(arguments: argparse.Namespace) -> Mapping[str, str]:
    """Return the variables that the back end which --to names takes from the environment: its keys, region and URL.

    Raises:
        UsageError: one is missing, or there is no such back end.
    """
    import os

    from agent_trace_otel import config
    from agent_trace_otel.delivery import vendors

    given = {**config.load(complain=lambda _: None).keys, **{name: text for name, text in os.environ.items() if text}}
    vendors.resolve(arguments.to, given, endpoint=arguments.endpoint)
    return vendors.taken_from(arguments.to, given)


def names() -> dict[str, str]:
    """Return what --to takes, regions included, with what each is."""
    from agent_trace_otel.delivery import vendors

    found: dict[str, str] = {}
    for vendor in vendors.vendors().values():
        found[vendor.name] = vendor.title
        found |= {f"{vendor.name}:{region}": f"{vendor.title}, {region}" for region in vendor.regions}
    return found
