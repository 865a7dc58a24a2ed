"""What a tool call or a command line does: exploring, editing, testing, or something else."""

from __future__ import annotations

from typing import Any

import pytest

from agent_trace_otel.replay.activities import STRONGEST
from agent_trace_otel.replay.shell_commands import activity_of
from agent_trace_otel.replay.tool_calls import activity


@pytest.mark.parametrize(
    ("command", "does", "program"),
    [
        ("ls -la", "exploring", "ls"),
        ("cd app && rg 'a|b' > /dev/null 2>&1", "exploring", "rg"),
        ("find . -name '*.py' | xargs grep -l foo", "exploring", "find"),
        ("git status && git diff HEAD~1", "exploring", "git status"),
        ("sed -n 1,3p a.py", "exploring", "sed"),
        ("sed -i s/a/b/ a.py", "editing", "sed"),
        ("cat > a.py <<'EOF'\npytest\nEOF\n", "editing", "cat"),
        ("echo hi >> a.txt", "editing", "echo"),
        ("echo 'a > b'", "running", "echo"),
        ("mkdir -p a && touch a/b", "editing", "mkdir"),
        ("apply_patch <<'E'\n*** Begin Patch\nE", "editing", "apply_patch"),
        ("cd app && pytest -q 2>&1 | tail -3", "testing", "pytest"),
        ("FOO=1 BAR=2 uv run pytest x", "testing", "pytest"),
        ("python -m unittest -v", "testing", "unittest"),
        ("python3 -m pytest > out.txt", "testing", "pytest"),
        ("timeout 60 go test ./...", "testing", "go test"),
        ("npm test", "testing", "npm test"),
        ("npm run test:unit -- --watch", "testing", "npm test:unit"),
        ("make test", "testing", "make test"),
        ("./run_tests.sh", "testing", "run_tests.sh"),
        ("python tests/test_x.py", "testing", "test_x.py"),
        ("python manage.py test app", "testing", "manage.py test"),
        ("bash -lc 'cd x && cargo test'", "testing", "cargo test"),
        ("for f in *; do pytest $f; done", "testing", "pytest"),
        ("make", "checking", "make"),
        ("npm run build && npx tsc --noEmit", "checking", "npm build"),
        ("ruff check --fix .", "checking", "ruff"),
        ("git commit -am 'run pytest'", "committing", "git commit"),
        ("git add . && git commit -m x && pytest", "testing", "pytest"),
        ("python script.py >> log", "running", "python"),
        ("sleep 1", "running", ""),
        ("docker run x pytest", "running", "docker"),
        ("latest --contests", "running", "latest"),
        ("", "running", ""),
        ("&& ; |", "running", ""),
        ("'unclosed \" quotes", "running", "unclosed"),
    ],
)
def test_a_command_line_does_what_its_strongest_command_does(command: str, does: str, program: str) -> None:
    assert activity_of(command) == (does, program)


@pytest.mark.parametrize("piece", ["<<x ", "'", '"', "\\", "<<a\n", "(", "bash -c ", "x=1 ", "a;", "sudo "])
def test_hostile_command_lines_are_read_to_an_end(piece: str) -> None:
    does, program = activity_of(piece * 100_000)
    assert does in STRONGEST
    assert len(program) <= 40


@pytest.mark.parametrize(
    ("tool", "arguments", "does"),
    [
        ("Read", {}, "exploring"),
        ("read_file", {}, "exploring"),
        ("view", {}, "exploring"),
        ("mcp__files__read_file", {}, "exploring"),
        ("MCP:read-file", {}, "exploring"),
        ("WebFetch", {}, "exploring"),
        ("MultiEdit", {}, "editing"),
        ("apply_patch", {"command": "*** Begin Patch"}, "editing"),
        ("replace", {}, "editing"),
        ("str_replace_based_edit_tool", {"command": "view", "path": "a"}, "exploring"),
        ("str_replace_based_edit_tool", {"command": "create", "path": "a"}, "editing"),
        ("Bash", {"command": "pytest"}, "testing"),
        ("run_shell_command", {"command": "npm test"}, "testing"),
        ("shell", {"command": ["bash", "-lc", "go test ./..."]}, "testing"),
        ("Shell", {"command": ["git", "log"]}, "exploring"),
        ("exec_command", {"cmd": "ls"}, "exploring"),
        ("Bash", {"command": {"odd": 1}}, "running"),
        ("Agent", {}, "delegating"),
        ("spawn_agent", {}, "delegating"),
        ("TodoWrite", {}, "planning"),
        ("AskUserQuestion", {}, "asking"),
        ("get_weather", {}, "other"),
        ("", {}, "other"),
    ],
)
def test_a_tool_does_what_the_tables_say_and_nothing_is_read_out_of_a_name(
    tool: str, arguments: dict[str, Any], does: str
) -> None:
    assert activity(tool, arguments)[0] == does
