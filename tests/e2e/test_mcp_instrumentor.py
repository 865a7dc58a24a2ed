"""The mcp instrumentor with other versions than the one that is installed: its own tests, in environments of theirs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from packages import REPOSITORY, plain_environment, python_with

pytestmark = pytest.mark.e2e

VERSIONS = [
    ("mcp==1.10.0", "pydantic<2.12"),  # the oldest that is supported; pydantic has moved what it uses
    ("mcp==1.30.0",),
    ("mcp==2.0.0",),
    ("mcp==2.3.0",),
    ("fastmcp>=4.1,<5",),
]


@pytest.mark.parametrize("requirements", VERSIONS, ids=" ".join)
def test_its_tests_pass_with_other_versions(requirements: tuple[str, ...], tmp_path: Path) -> None:
    files = sorted(str(path) for path in (REPOSITORY / "tests" / "instrumentors").glob("test_mcp*.py"))
    # what other versions warn of is not ours
    quiet = ["-q", "-p", "no:cacheprovider", "-o", "filterwarnings=default", "--basetemp", str(tmp_path / "tests")]
    done = subprocess.run(
        [str(python_with("mcp-instrumentor", *requirements)), "-m", "pytest", *quiet, *files],
        cwd=REPOSITORY,
        env=plain_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert " passed" in done.stdout
