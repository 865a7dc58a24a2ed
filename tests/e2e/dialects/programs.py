"""The programs beside this file that say how each instrumentation tells its spans: what each needs, and how it is run.

``PYTHONPATH=tests/support:tests/e2e python -m dialects.programs [NAME ...]`` records anew into tests/data/dialects;
then ``REVIEW=1 pytest tests/dialects/test_recorded_spans.py`` writes how they are read, and you read the difference.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from dialects.model import model
from packages import REPOSITORY, cache_dir, install, plain_environment

HERE = Path(__file__).parent
DATA = REPOSITORY / "tests" / "data" / "dialects"
_SDK = "opentelemetry-sdk"
_CLIENTS = ("openai", "anthropic", _SDK)


@dataclass(frozen=True, slots=True)
class Program:
    """One program: its file, what it needs, and its arguments."""

    file: str
    requirements: tuple[str, ...]
    arguments: tuple[str, ...] = ()


BESIDE_OURS = (
    *(*_CLIENTS, "opentelemetry-instrumentation-genai-openai", "opentelemetry-instrumentation-genai-anthropic"),
    *("openinference-instrumentation-openai", "openinference-instrumentation-anthropic"),
    *("opentelemetry-instrumentation-openai", "opentelemetry-instrumentation-anthropic"),
    *("-e", str(REPOSITORY)),
)
"""What `beside_ours.py` needs."""

PROGRAMS = {
    "genai": Program(
        "model_clients.py",
        (*_CLIENTS, "opentelemetry-instrumentation-genai-openai", "opentelemetry-instrumentation-genai-anthropic"),
        ("genai",),
    ),
    "openinference": Program(
        "model_clients.py",
        (*_CLIENTS, "openinference-instrumentation-openai", "openinference-instrumentation-anthropic"),
        ("openinference",),
    ),
    "openllmetry": Program(
        "model_clients.py",
        (*_CLIENTS, "opentelemetry-instrumentation-openai", "opentelemetry-instrumentation-anthropic"),
        ("openllmetry",),
    ),
    "anthropic": Program("model_clients.py", _CLIENTS, ("anthropic",)),
    "traceloop": Program("traceloop_functions.py", ("traceloop-sdk", "httpx")),
    "pydantic_ai": Program("pydantic_ai_agent.py", ("pydantic-ai-slim[openai]", _SDK)),
    "google_adk": Program("google_adk_agent.py", ("google-adk", _SDK)),
    "strands": Program("strands_agent.py", ("strands-agents[openai]", _SDK)),
    "logfire": Program("logfire_clients.py", ("logfire", "openai")),
    "langfuse": Program("langfuse_functions.py", ("langfuse", "openai")),
    "mlflow": Program(
        "mlflow_functions.py",
        ("mlflow-tracing", "openai", "sqlparse", "pyyaml", "opentelemetry-exporter-otlp-proto-http"),
    ),
    "langsmith": Program("langsmith_functions.py", ("langsmith[otel]", "openai")),
    "fastmcp": Program("fastmcp_server.py", ("fastmcp", _SDK)),
    "mcp": Program("mcp_server.py", ("mcp>=2", _SDK)),
    "vercel_ai": Program("vercel_ai.mjs", ("ai", "@ai-sdk/openai", "@ai-sdk/otel"), ("new",)),
    "vercel_ai_legacy": Program("vercel_ai.mjs", ("ai", "@ai-sdk/openai", "@ai-sdk/otel"), ("legacy",)),
}


def record(name: str, into: Path) -> None:
    """Run a program in an environment of its own, made on first use, and write its samples.

    Raises:
        UnavailableError: what it needs can't be installed.
        AssertionError: it failed.
    """
    program = PROGRAMS[name]
    if program.file.endswith(".mjs"):
        with model() as server:
            run(["node", str(_node_folder(program) / program.file), str(into), server.url, *program.arguments])
    else:
        run([str(python_with(*program.requirements)), str(HERE / program.file), str(into), *program.arguments])


def run(command: list[str]) -> None:
    """Run a program of this folder.

    Raises:
        AssertionError: it failed.
    """
    environment = plain_environment(PYTHONPATH=os.pathsep.join([str(REPOSITORY / "tests" / "support"), str(HERE)]))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-4000:]


def python_with(*requirements: str) -> Path:
    """Return the interpreter of the environment that all programs with these requirements use, made on first use."""
    key = hashlib.sha256(" ".join([*requirements, sys.prefix]).encode()).hexdigest()[:12]
    folder = cache_dir() / f"dialects-{key}"
    ready = folder / "installed"  # written last: an interrupted installation starts anew
    if not ready.exists():
        install(folder, *requirements)
        ready.touch()
    return folder / "bin" / "python"


def _node_folder(program: Program) -> Path:
    """Return a folder that holds the program and its packages: node looks for them beside it."""
    folder = cache_dir() / "dialects-vercel-ai"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "installed").exists():
        packages = [*program.requirements, "@opentelemetry/api", "@opentelemetry/sdk-trace-node"]
        npm = ["npm", "install", "--no-fund", "--no-audit", "--loglevel=error", *packages]
        subprocess.run(npm, cwd=folder, check=True, capture_output=True)
        (folder / "installed").touch()
    (folder / program.file).write_bytes((HERE / program.file).read_bytes())
    return folder


if __name__ == "__main__":
    for named in sys.argv[1:] or PROGRAMS:
        record(named, DATA / f"{named}.jsonl")
        sys.stdout.write(f"{named}\n")
