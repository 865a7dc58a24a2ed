"""Makes the README's picture of a session in Phoenix anew: ``python tests/e2e/phoenix_picture.py``.

Comes in: Phoenix from PyPI (`back_ends`), and a recording of Claude Code that is played to its hooks. Goes out:
docs/phoenix.png. Needs a Chromium, as ``test_html_page`` does.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "support"), str(REPOSITORY / "tests" / "e2e")]

import capture_paths  # noqa: E402 - found by the line above
from back_ends import phoenix, traces_in_folder, wait_until_same  # noqa: E402
from browser import browsing, chromium  # noqa: E402
from servers import get  # noqa: E402

SIZE = {"width": 1440, "height": 900}
_DRAWN_SECONDS = 4  # its page goes on drawing after everything is there
_CLICK = (
    "[...document.querySelectorAll('button, [role=button]')].find((one) => one.innerText.includes('chat ')).click()"
)
"""Shows the first model call beside the tree."""


def main() -> None:
    """Write the picture."""
    if chromium() is None:
        sys.exit("no Chromium: install one, or name it in AGENT_TRACE_CHROMIUM")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "server").mkdir()
        (folder / "session").mkdir()
        with phoenix(folder / "server") as server:
            session = capture_paths.hooks(folder / "session", {"AGENT_TRACE_OTLP_ENDPOINT": server.url})
            ((trace_id, spans),) = traces_in_folder(session).items()
            wanted = [server.as_kept(span) for span in spans]
            assert wait_until_same(lambda: server.spans(trace_id), wanted) == wanted
            (project,) = json.loads(get(f"{server.url}/v1/projects"))["data"]
            with browsing(folder) as tab:
                tab.look(dark=True, **SIZE)
                tab.visit(f"{server.url}/projects/{project['id']}/traces/{trace_id}")
                name = json.dumps(spans[0].name)
                tab.until(f"document.body.innerText.includes({name})")
                tab.value(_CLICK)
                time.sleep(_DRAWN_SECONDS)
                tab.drawn()
                (REPOSITORY / "docs" / "phoenix.png").write_bytes(tab.picture())


if __name__ == "__main__":
    main()
