"""docs/platforms.md names every file that leans on what not every system has."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "platforms.md").read_text(encoding="utf-8")
# what every class with a lock does (os.register_at_fork) has one row for all
NOT_EVERYWHERE = {
    *(
        "AF_UNIX",
        "MSG_DONTWAIT",
        "O_DIRECTORY",
        "O_NOFOLLOW",
        "O_NONBLOCK",
        "SIGALRM",
        "SIGCHLD",
        "SIGHUP",
        "SO_PEERCRED",
    ),
    *("fchdir", "fchmod", "flock", "geteuid", "getuid", "mkfifo", "posix_spawn", "pread", "prctl"),
    *("pthread_sigmask", "sendmsg", "set_wakeup_fd", "setsid", "sigwait", "sigwaitinfo", "supports_dir_fd"),
}
ASKS_FOR_PRUNE = "agent_trace_otel/commands/pruning.py"
ASKS_FOR_SIGNALS = "agent_trace_otel/commands/capturing.py"
READS_A_PLAIN_FILE = "agent_trace_otel/capture/hooks/dialects/codex_rollout.py"


def _leans(source: str) -> bool:
    return any(
        (isinstance(node, ast.Attribute) and node.attr in NOT_EVERYWHERE)
        or (isinstance(node, ast.Constant) and node.value in NOT_EVERYWHERE)
        for node in ast.walk(ast.parse(source))
    )


def test_every_file_that_leans_on_a_system_is_on_the_page() -> None:
    leaning = {
        path.relative_to(ROOT).as_posix()
        for room in ("agent_trace_otel", "instrumentors")
        for path in (ROOT / room).rglob("*.py")
        if _leans(path.read_text(encoding="utf-8"))
    }
    named = {path for path in leaning if f"| `{path}` |" in PAGE}
    assert leaning - named <= {ASKS_FOR_PRUNE, ASKS_FOR_SIGNALS, READS_A_PLAIN_FILE}
    assert len(named) > 15
