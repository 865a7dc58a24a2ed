"""The console scripts, and ``python -m agent_trace_otel``: a hook's event to its process, all else to the command line.

A coding agent waits for ``agent-trace hook EVENT`` at every tool call, so that is looked for before anything is loaded.
"""

from __future__ import annotations

import os
import sys

import agent_trace_otel


def main() -> int:
    """Run what the arguments ask for and return its exit code; a hook's process ends here, with 0."""
    command, first = (*sys.argv[1:3], "", "")[:2]
    if command == "hook" and not first.startswith("-"):
        from agent_trace_otel.capture.hooks import client

        package_parent = os.path.dirname(agent_trace_otel.__path__[0])  # noqa: PTH120 - pathlib takes 4 ms
        client.main(sys.argv[2:], agent_trace_otel.__version__, package_parent)
    from agent_trace_otel import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
