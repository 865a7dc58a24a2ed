"""``python -m agent_trace_otel``: the command line without its console script."""

from __future__ import annotations

import sys

from agent_trace_otel.cli import main

if __name__ == "__main__":
    sys.exit(main())
