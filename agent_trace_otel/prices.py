"""What a model call costs: provider, model and token counts in, US dollars out.

Called by the hooks' recorder for each model call that a transcript tells. Prices are those of `genai-prices`, which the
extra ``cost`` installs; it knows them by date and asks no server.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

_PROVIDERS = {
    "aws.bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "mistral_ai": "mistral",
    "x_ai": "x-ai",
}
"""gen_ai.provider.name -> id of genai-prices, where they differ."""


class _Counts:
    """Usage as genai-prices reads it: by attribute; one that a version asks for and we don't count is None."""

    def __init__(self, usage: Mapping[str, int]) -> None:
        read, written = usage.get("cache_read", 0), usage.get("cache_creation", 0)
        self.input_tokens = usage.get("input", 0) + read + written
        self.cache_read_tokens = read
        self.cache_write_tokens = written
        self.cache_write_1h_tokens = min(usage.get("cache_creation_1h", 0), written)
        self.output_tokens = usage.get("output", 0)
        self.web_searches = usage.get("web_searches", 0)

    def __getattr__(self, name: str) -> None:
        return None


def cost_usd(
    provider: str, model: str, usage: Mapping[str, int], *, at_ns: int | None = None, speed: str | None = None
) -> float | None:
    """Return what a call costs in US dollars, None if its model has no known price or the extra is missing.

    The first call imports genai-prices, which takes about as long as the whole SDK.

    Args:
        provider: gen_ai.provider.name, such as "anthropic"; "" leaves it to the model's name.
        model: the model that answered.
        usage: token counts: ``input`` (neither read from nor written to a cache), ``cache_read``, ``cache_creation``
            and its part ``cache_creation_1h``, ``output`` (reasoning included), and ``web_searches``.
        at_ns: when the call was made, in unix ns: prices change. None: now.
        speed: a speed that has a price of its own, such as "fast".

    Example:
        >>> cost_usd("anthropic", "claude-haiku-4-5", {"input": 1000, "output": 100})
        0.0015
    """
    price = _pricing()
    if price is None or not usage:
        return None
    asked: dict[str, Any] = {"provider_id": _PROVIDERS.get(provider, provider) or None}
    counts = _Counts(usage)
    try:
        if at_ns is not None:
            asked["genai_request_timestamp"] = _EPOCH + timedelta(microseconds=at_ns // 1000)
        usd = price(counts, model, **asked).total_price
        if speed is not None:
            standard, usd = usd, price(counts, model, price_context={"speed": speed}, **asked).total_price
            if usd == standard:  # no price of that speed is known
                return None
        return float(usd)
    except Exception:  # noqa: BLE001 - an unknown model or provider, or counts that a version takes for impossible
        return None


def missing_hint() -> str | None:
    """Return one line that says how to get prices, None if they are there."""
    if importlib.util.find_spec("genai_prices") is not None:
        return None
    return 'no prices, so no cost of single model calls: pip install "agent-trace-otel[cost]"'


@functools.cache
def _pricing() -> Callable[..., Any] | None:
    try:
        calc_price: Callable[..., Any] = importlib.import_module("genai_prices").calc_price
    except Exception:  # noqa: BLE001 - missing, or broken by what it imports
        return None
    return calc_price
