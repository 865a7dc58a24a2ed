"""Instrumentors of model clients with other versions than the installed ones, and with libraries of their own size.

The tests themselves are those of ``tests/instrumentors`` and of ``tests/e2e/model_clients``; each runs here in an
environment that holds what it is about.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from packages import REPOSITORY, plain_environment, python_with

pytestmark = pytest.mark.e2e

GOOGLE = ("tests/instrumentors/test_google_genai.py", "tests/instrumentors/test_google_corpus.py")
OLLAMA = ("tests/instrumentors/test_ollama.py",)
BEDROCK = ("tests/e2e/model_clients/bedrock_calls.py",)
LITELLM = ("tests/e2e/model_clients/litellm_calls.py",)

ENVIRONMENTS = {
    "google-genai, the oldest": (("google-genai==1.32.0",), GOOGLE),
    "google-genai 2": (("google-genai>=2,<3",), GOOGLE),
    "google-genai, the newest": (("google-genai",), GOOGLE),
    "ollama, the oldest": (("ollama==0.4.0",), OLLAMA),
    "ollama, the newest": (("ollama",), OLLAMA),
    "boto3, the oldest": (("boto3==1.34.116", "botocore==1.34.116"), BEDROCK),
    "boto3, the newest": (("boto3",), BEDROCK),
    "aiobotocore": (("aiobotocore",), BEDROCK),
    "litellm, the oldest": (("litellm==1.80.0", "mcp"), LITELLM),
    "litellm, the newest": (("litellm", "mcp"), LITELLM),
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_its_tests_pass_with_other_versions(name: str, tmp_path: Path) -> None:
    requirements, files = ENVIRONMENTS[name]
    # what other versions warn of is not ours
    quiet = ["-q", "-p", "no:cacheprovider", "-o", "filterwarnings=default", "--basetemp", str(tmp_path / "tests")]
    done = subprocess.run(
        [str(python_with("model-client", *requirements)), "-m", "pytest", *quiet, *files],
        cwd=REPOSITORY,
        env=plain_environment(PYTHONPATH=str(REPOSITORY / "tests" / "e2e" / "model_clients")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert " passed" in done.stdout
