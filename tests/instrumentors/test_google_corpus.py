"""Every recorded call of Google's, through the real client: one span that says what was recorded.

``python tests/corpus_run.py google.generate_content google.stream_generate_content`` prints the table. The recordings
are not part of the repository (`recorded_calls`).
"""

from __future__ import annotations

import pytest
from google_recordings import APIS, WAYS, recordings, replay
from recorded_calls import CORPUS

pytest.importorskip("google.genai")

pytestmark = [
    pytest.mark.skipif(not CORPUS.exists(), reason="the recordings are not here"),
    # the client's own, of its HTTP library
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("api", APIS)
def test_a_replayed_call_is_one_span_that_says_what_was_recorded(api: str, way: str) -> None:
    found = list(recordings(api))
    assert len(found) > 10
    assert list(replay(found, way)) == []
