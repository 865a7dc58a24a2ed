"""What a release uploads: built once from a clone, checked as the index checks it, run without being installed."""

from __future__ import annotations

import email
import re
import shutil
import subprocess
import tarfile
import zipfile
from email.message import Message
from pathlib import Path

import packages
import pytest

pytestmark = pytest.mark.e2e

_IN_THE_WHEEL = {"agent_trace_otel", "agent_trace_instrumentors"}
_SMALL = 1_500_000
"""Bytes of a wheel that a laptop installs without noticing; it held 0.6 MB when this was written."""


def _run(*command: str | Path, cwd: Path, **variables: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=packages.plain_environment(**variables),
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tools() -> Path:
    """Return the folder of the programs that build and check."""
    return packages.programs_of("twine", "build", "uv")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory, tools: Path) -> Path:
    """Build from a clone of what is committed, sdist first and the wheel out of it, and return the folder."""
    folder = tmp_path_factory.mktemp("release")
    clone = folder / "clone"
    _run("git", "clone", "--quiet", packages.REPOSITORY, clone, cwd=folder)
    _run(tools / "python", "-m", "build", "--outdir", folder / "dist", clone, cwd=folder)
    shutil.rmtree(clone)
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def sdist(dist: Path) -> Path:
    (found,) = dist.glob("*.tar.gz")
    return found


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def test_the_index_takes_both(dist: Path, tools: Path) -> None:
    said = _run(tools / "python", "-m", "twine", "check", "--strict", *sorted(dist.iterdir()), cwd=dist)
    assert said.count("PASSED") == 2


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    info = {name.partition("/")[0] for name in names} - _IN_THE_WHEEL
    assert [name for name in info if not name.endswith(".dist-info")] == []
    assert {"py.typed", "__main__.py"} <= {Path(name).name for name in names}
    assert [name for name in names if re.search(r"(^|/)(tests?|fixtures|golden|\.agent-traces)/|\.pyc$", name)] == []
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert wheel.stat().st_size < _SMALL


def test_the_wheel_has_every_file_of_the_packages_that_is_committed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    listed = _run("git", "ls-files", "agent_trace_otel", "instrumentors", cwd=packages.REPOSITORY).split()
    assert names == {name.removeprefix("instrumentors/") for name in listed}


def test_the_metadata_says_what_an_installer_and_a_reader_need(metadata: Message) -> None:
    assert metadata["Name"] == "agent-trace-otel"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.10"
    required = [text for text in metadata.get_all("Requires-Dist", []) if "extra ==" not in text]
    assert {re.split(r"[<>=;]", text)[0] for text in required} == {
        "opentelemetry-api",
        "opentelemetry-sdk",
        "opentelemetry-exporter-otlp-proto-http",
        "wrapt",
        "tomli",
    }
    assert str(metadata.get_payload()).startswith("# agent-trace-otel")


def test_the_changelog_has_the_version(metadata: Message) -> None:
    changelog = (packages.REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(metadata['Version'])}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE)


def test_the_sdist_holds_what_a_distributor_tests_and_reads(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"pyproject.toml", "PKG-INFO", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE"}
    assert wanted <= names
    assert {"tests/conftest.py", "examples/full_agent.py", "docs/libraries.md"} <= names
    assert [name for name in names if re.search(r"__pycache__|\.pyc$|\.venv|\.agent-traces|\.hypothesis", name)] == []


def test_it_runs_from_the_wheel_without_being_installed(wheel: Path, tools: Path, tmp_path: Path) -> None:
    variables = {"HOME": str(tmp_path), "UV_CACHE_DIR": str(tmp_path / "uv"), "UV_PYTHON": str(tools / "python")}
    uvx = (tools / "uv", "tool", "run", "--quiet", "--from", wheel, "agent-trace")
    assert "Session Summary" in _run(*uvx, "demo", cwd=tmp_path, **variables)
    assert "demo-agent" in _run(*uvx, "list", cwd=tmp_path, **variables)
