"""What the client printed -> what two runs of one scenario must have in common.

Called by ``test_claude_code`` to compare a run with hooks and one without. Ids, times, ports and scratch paths differ
from run to run; that hooks run at all is told by the client itself in messages of its own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from claude_code.workspace import Ran, Workspace

_CHANGING_KEY = re.compile(
    r"(^|_)(uuid|id|ids|timestamp|ms|cwd|path|memory_paths)$|^(duration|ttft|session|request)_|(Ms|Id)$"
)
_CHANGING_TEXT = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b(msg|req|toolu)_fake_[0-9a-f]+|\ba[0-9a-f]{16}\b"
    r"|127\.0\.0\.1:\d+|\d+(\.\d+)?m?s\b|\bb[a-z0-9]{8}\b"
)


def comparable(ran: Ran, workspace: Workspace) -> tuple[int, list[Any], str]:
    """Return exit code, messages and stderr without what changes from run to run."""
    told = [message for message in ran.messages if not str(message.get("subtype", "")).startswith("hook_")]
    return ran.code, [_still(message, str(workspace.root)) for message in told], _still(ran.err, str(workspace.root))


def _still(value: Any, root: str) -> Any:
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value).items()
        return {name: _still(member, root) for name, member in members if not _CHANGING_KEY.search(name)}
    if isinstance(value, list):
        return [_still(item, root) for item in cast("list[object]", value)]
    if isinstance(value, str):
        return _CHANGING_TEXT.sub("*", value.replace(root, ""))
    return round(value, 9) if isinstance(value, float) else value  # the sum of costs depends on their order
