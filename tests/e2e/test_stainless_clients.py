"""openai, anthropic and the further clients of their shape, in other versions, in environments of their own.

The scenarios of `tests/instrumentors/test_model_clients.py`, every recorded call in every way (`tests/corpus_run.py`),
and one program that asks the further clients.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from packages import REPOSITORY, plain_environment, python_with
from recorded_calls import CORPUS

pytestmark = pytest.mark.e2e

OLDEST = ("openai==1.0.0", "anthropic==0.20.0", "httpx<0.28")  # clients that hand httpx what it has dropped since
NEWEST = ("openai>=3", "anthropic>=2")
VERSIONS = [
    OLDEST,
    ("openai==1.66.0", "anthropic==0.49.0", "httpx<0.28"),
    ("openai==2.0.0", "anthropic==1.0.0"),
    ("openai>=3", "anthropic==1.17.0"),
    NEWEST,
]
FURTHER = ("groq", "together>=2", "cerebras-cloud-sdk", "sambanova", "perplexityai", "writer-sdk", "fireworks-ai>=1")
OLD_FURTHER = (
    *("groq==0.9.0", "together==2.10.0", "cerebras_cloud_sdk==1.0.0", "sambanova==1.1.0", "perplexityai==0.16.0"),
    *("writer-sdk==2.0.0", "fireworks-ai==1.2.0", "httpx<0.28"),
)


def run(python: Path, *arguments: str) -> str:
    """Run the interpreter in the repository; what it says if it fails is the test's."""
    done = subprocess.run(
        [str(python), *arguments],
        cwd=REPOSITORY,
        env=plain_environment(PYTHONPATH=f"{REPOSITORY}/tests/support"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("requirements", VERSIONS, ids=" ".join)
def test_the_scenarios_pass_with_other_versions(requirements: tuple[str, ...], tmp_path: Path) -> None:
    tests = str(REPOSITORY / "tests" / "instrumentors" / "test_model_clients.py")
    # what other versions warn of is not ours
    quiet = ["-q", "-p", "no:cacheprovider", "-o", "filterwarnings=default", "--basetemp", str(tmp_path / "tests")]
    said = run(python_with("stainless-clients", *requirements), "-m", "pytest", *quiet, tests)
    assert " passed" in said


@pytest.mark.skipif(not CORPUS.exists(), reason="the recordings are not here")
@pytest.mark.parametrize("requirements", [OLDEST, NEWEST], ids=["oldest", "newest"])
def test_every_recorded_call_is_told_right_in_every_way(requirements: tuple[str, ...]) -> None:
    apis = ["openai.chat.completions", "openai.embeddings", "anthropic.messages"]
    if requirements is OLDEST:  # Responses came with 1.66, streaming responses with 1.2
        run(
            python_with("stainless-clients", *requirements),
            "tests/corpus_run.py",
            *apis[:2],
            "--way",
            "sync",
            "--way",
            "async",
            "--way",
            "raw",
        )
        run(python_with("stainless-clients", *requirements), "tests/corpus_run.py", apis[2])
    else:
        run(python_with("stainless-clients", *requirements), "tests/corpus_run.py", *apis, "openai.responses")


@pytest.mark.parametrize("requirements", [FURTHER, OLD_FURTHER], ids=["newest", "oldest"])
def test_the_further_clients_calls_are_one_span_each(requirements: tuple[str, ...], tmp_path: Path) -> None:
    program = REPOSITORY / "tests" / "e2e" / "model_clients" / "stainless_calls.py"
    told = json.loads(
        run(python_with("stainless-clients", *requirements), "-W", "ignore", str(program), str(tmp_path)).splitlines()[
            -1
        ]
    )
    assert set(told) == {"groq", "together", "cerebras", "sambanova", "perplexity", "writer", "fireworks"}
    for name, found in told.items():
        assert (found["unpatched"], found["failures"]) == ([], {}), name
        assert len(found["calls"]) == 4, name
        for number, call in enumerate(found["calls"]):
            assert call["gen_ai.provider.name"] == name
            assert call["gen_ai.response.id"] == "c1"
            assert (call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]) == (3, 2), name
            assert "Sea green." in call["gen_ai.output.messages"]
            assert ("gen_ai.response.time_to_first_chunk" in call) is (number % 2 == 1)
