"""Real recorded calls, replayed through the real clients: each is one span that says what was recorded.

A fifth of the recordings sync, another async; ``python tests/corpus_run.py`` and `tests/e2e/test_stainless_clients.py`
replay all of them in every way. The recordings are not part of the repository (`recorded_calls`).
"""

from __future__ import annotations

import pytest
from corpus_run import LIBRARIES, run
from recorded_calls import CORPUS

pytestmark = [
    pytest.mark.skipif(not CORPUS.exists(), reason="the recordings are not here"),
    pytest.mark.filterwarnings("ignore:The model :DeprecationWarning"),
]


@pytest.mark.parametrize("api", LIBRARIES)
@pytest.mark.parametrize(("way", "some"), [("sync", slice(0, None, 5)), ("async", slice(2, None, 5))])
def test_a_replayed_call_is_one_span_that_says_what_was_recorded(api: str, way: str, some: slice) -> None:
    verdict = run(api, way, some)
    assert verdict.calls > 1
    assert verdict.differences == []
