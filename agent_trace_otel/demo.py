"""An offline agent that mends a small project: what `agent-trace demo` records and replays.

Its tools are real: they search a source tree, run tests in a subprocess and edit a file, all in a temporary folder.
Only its model is not: `think` is a function that answers by rules, so that no key and no network is needed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import agent_trace_otel as at

PROMPT = "The tests of this project fail. Find out why and mend it."

_PROJECT = {
    "slugs/text.py": (
        '"""Titles to slugs."""\n\nimport re\n\n\ndef slug(title: str) -> str:\n'
        '    return re.sub(r"[^a-z0-9]", "-", title.lower())\n'
    ),
    "slugs/__init__.py": "",
    "tests/test_text.py": (
        "import unittest\n\nfrom slugs.text import slug\n\n\nclass SlugTest(unittest.TestCase):\n"
        '    def test_words(self):\n        self.assertEqual(slug("Hello World"), "hello-world")\n\n'
        '    def test_punctuation(self):\n        self.assertEqual(slug("What, again?"), "what-again")\n'
    ),
}


class TestsFailedError(Exception):
    """The project's tests failed; the text is what they printed last."""


class Workspace:
    """The agent's tools, bound to one project folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @at.trace_tool(name="Glob")
    def find_files(self, pattern: str) -> list[str]:
        """Return the files that match a pattern."""
        return sorted(path.relative_to(self._root).as_posix() for path in self._root.glob(pattern))

    @at.trace_tool(name="Grep")
    def search(self, pattern: str) -> list[str]:
        """Return the lines that match a regular expression, as ``file:line: text``."""
        found: list[str] = []
        for path in sorted(self._root.rglob("*.py")):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if re.search(pattern, line):
                    found.append(f"{path.relative_to(self._root).as_posix()}:{number}: {line.strip()}")
        return found

    @at.trace_tool(name="Read")
    def read(self, file_path: str) -> str:
        """Return a file's text."""
        text = (self._root / file_path).read_text()
        at.log_file_read(file_path)
        return text

    @at.trace_tool(name="Edit")
    def edit(self, file_path: str, old_string: str, new_string: str) -> str:
        """Replace a text that stands in a file exactly once."""
        path = self._root / file_path
        text = path.read_text()
        if text.count(old_string) != 1:
            message = f"{old_string!r} stands in {file_path} {text.count(old_string)} times"
            raise ValueError(message)
        path.write_text(text.replace(old_string, new_string))
        at.log_file_write(file_path)
        return f"edited {file_path}"

    @at.trace_tool(name="Bash")
    def run_tests(self, command: str = "python -m unittest") -> str:
        """Run the project's tests in a process of their own."""
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-B", *command.split()[1:]], cwd=self._root, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise TestsFailedError(_last_words(done.stderr))
        return done.stderr.strip().splitlines()[-1]


def _last_words(output: str) -> str:
    failed = re.findall(r"^(AssertionError: .*|\w*Error: .*)$", output, re.MULTILINE)
    verdict = output.strip().splitlines()[-1]
    return "; ".join([*failed, verdict])


@at.trace_llm_call(provider="anthropic")
def think(messages: list[dict[str, str]], model: str = "demo-model-1") -> dict[str, Any]:
    """Answer as a model would: by rules, from the last thing that was said."""
    said = messages[-1]["content"]
    if said == PROMPT:
        answer = "I'll look at what there is, then run the tests."
    elif "No such file" in said:
        answer = "That path was a guess. The search says where the function is."
    elif "AssertionError" in said:
        answer = "Each odd character becomes a dash of its own. One dash for a run of them, none at the ends."
    else:
        answer = (
            "**Mended.** `slug()` made a dash of *every* odd character; now a run of them makes one. All tests pass."
        )
    return {
        "id": f"msg_demo_{len(messages)}",
        "type": "message",
        "model": model,
        "role": "assistant",
        "content": [{"type": "text", "text": answer}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": sum(len(m["content"]) for m in messages) // 4, "output_tokens": len(answer) // 4},
    }


@at.trace_agent(name="scout")
def scout(tools: Workspace, question: str) -> list[str]:  # noqa: ARG001 - shown in the trace
    """A sub-agent that only looks."""
    tools.find_files("**/*.py")
    return tools.search(r"def slug")


class Agent:
    """Asks the model what to do and does it, until the tests pass."""

    def __init__(self, tools: Workspace) -> None:
        self._tools = tools
        self._messages: list[dict[str, str]] = []

    def _ask(self, said: str) -> str:
        self._messages.append({"role": "user", "content": said})
        answer = str(think(list(self._messages))["content"][0]["text"])
        self._messages.append({"role": "assistant", "content": answer})
        return answer

    def run(self, prompt: str) -> str:
        """Carry out one prompt and return the final answer."""
        tools = self._tools
        at.log_user_prompt(prompt)
        self._ask(prompt)
        try:
            tools.run_tests()
        except TestsFailedError as failure:
            self._ask(str(failure))
        found = scout(tools, question="Where is slug() defined?")
        try:
            tools.read("slugs/slug.py")
        except FileNotFoundError as missing:
            self._ask(f"{missing.strerror}: slugs/slug.py")
        where = found[0].split(":")[0]
        tools.read(where)
        at.log_decision(
            "collapse runs in the pattern",
            reason="one place, and the other callers keep their signature",
            alternatives=["strip afterwards in each caller", "loop over the characters"],
        )
        tools.edit(where, 'r"[^a-z0-9]", "-", title.lower())', 'r"[^a-z0-9]+", "-", title.lower()).strip("-")')
        answer = self._ask(tools.run_tests())
        at.log_assistant_response(answer)
        return answer


def run(trace_dir: Path) -> str:
    """Let the agent work in a temporary folder, recording into ``trace_dir``.

    Returns:
        The id of the session.
    """
    with tempfile.TemporaryDirectory(prefix="agent-trace-demo-") as folder:
        for name, text in _PROJECT.items():
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        Path(folder, "tests", "__init__.py").touch()
        with at.session("demo-agent", trace_dir=trace_dir) as session:
            Agent(Workspace(Path(folder))).run(PROMPT)
    return session.id
