"""Which back end a command means: its options, else the settings in force.

Called by the commands that send.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from agent_trace_otel.delivery.target import Target


def target_of(arguments: argparse.Namespace) -> Target:
    """Return the back end that --to, --endpoint and --header name, by default the configured one.

    Raises:
        UsageError: none is named or configured, or what is named makes no sense.
    """
    from agent_trace_otel import config, options
    from agent_trace_otel.delivery.configured import configured_target, target_at, target_named
    from agent_trace_otel.errors import UsageError

    settings = config.load()
    if arguments.to is not None:
        headers = options.headers(arguments.header)
        return target_named(arguments.to, headers, settings, endpoint=arguments.endpoint)
    if arguments.endpoint is not None:
        return target_at(arguments.endpoint, options.headers(arguments.header), settings)
    options.refuse(arguments, ("header",), "needs --endpoint or --to")
    target = configured_target(settings)
    if target is None:
        msg = (
            "no back end: name one with --to NAME or --endpoint URL, or for good with AGENT_TRACE_TO or the config file"
        )
        raise UsageError(msg)
    return target
