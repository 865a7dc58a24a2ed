"""A program of its own that the agent starts; traced as well, it is a part of the agent's session."""

from __future__ import annotations

import agent_trace_otel as at


@at.trace_tool
def count_words(text: str) -> int:
    """Count the words of a text."""
    return len(text.split())


if __name__ == "__main__":
    print(count_words("cart: sum prices in cents"))
