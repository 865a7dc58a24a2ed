"""``python tests/benchmarks/compare.py``: the same work by agent-trace-otel and by its peers, side by side in one run.

usage: python tests/benchmarks/compare.py [--json FILE] [PEER ...]

Each peer is installed into an environment of its own (kept in AGENT_TRACE_E2E_CACHE) and does the work of
``peers.py`` there, in turns, so that the load of the machine falls on all alike. CPU and imports are ratios to a bare
SDK span and to importing the SDK; the rest are facts: what pip installs, whether a call that was killed in the middle
is on disk, whether a secret in an argument goes out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from statistics import median

sys.path.insert(1, str(Path(__file__).parents[1] / "support"))  # what the tests share

import packages
import peers
from results import document

BASE = "bare SDK span"
REQUIREMENTS: Mapping[str, str] = {
    BASE: "opentelemetry-sdk",
    "agent-trace-otel": "",
    "agent-strace 0.4.0": "agent-strace==0.4.0",
    "agent-strace": "agent-strace",
    "traceloop-sdk": "traceloop-sdk httpx",  # which it imports and does not require
    "logfire": "logfire",
    "openinference-instrumentation": "openinference-instrumentation",
    "mlflow-tracing": "mlflow-tracing opentelemetry-exporter-otlp-proto-http",  # by which it is told where to send
}
"""What is installed for each, this checkout for ours; versions that are not fixed are the newest when installed."""
_TURNS = 5
_SECRET = "AKIA" + "Q3EGRZ7XKJ5NDH2W"  # shaped like a key, and nobody's
_CLOCKED = "from time import perf_counter as now; began = now(); import {}; print(now() - began)"


@dataclass(frozen=True, slots=True)
class Compared:
    """One peer's line."""

    peer: str
    version: str
    distributions: int
    megabytes: int
    import_ratio: float
    call_ratio: float
    call_microseconds: float
    killed_call_on_disk: bool
    secret_goes_out: bool | None
    """None: nothing could be caught of what it would send."""


class Peer:
    """A peer in its environment.

    Raises:
        packages.UnavailableError: it can't be installed.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.own_name = name.partition(" 0.")[0]
        requirement = REQUIREMENTS[name]
        if requirement:
            self.python = packages.programs_of(*requirement.split()) / "python"
        else:
            self.python = (
                packages.install(packages.cache_dir() / "compared-checkout", str(packages.REPOSITORY)) / "python"
            )
        self.calls: list[float] = []
        self.imports: list[float] = []

    def run(self, what: str, folder: str, said: str = "") -> subprocess.CompletedProcess[str]:
        """Let it do its work in a directory."""
        command = [str(self.python), str(Path(peers.__file__)), self.own_name, what]
        return self._run(command, folder, said)

    def measure(self) -> None:
        """Take one more turn."""
        with tempfile.TemporaryDirectory() as folder:
            done = self.run("calls", folder)
            if done.returncode:
                message = f"{self.name} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}"
                raise SystemExit(message)
            self.calls.append(median(map(float, done.stdout.splitlines()[-1].split())))
            command = [str(self.python), "-c", _CLOCKED.format(peers.IMPORTS[self.own_name])]
            self.imports.append(float(self._run(command, folder).stdout.split()[-1]))

    def compared(self, base: Peer) -> Compared:
        """Return its line."""
        with tempfile.TemporaryDirectory() as folder:
            self.run("killed", folder)
            kept = b"".join(path.read_bytes() for path in Path(folder).rglob("*") if path.is_file())
        with tempfile.TemporaryDirectory() as folder:
            sent = self.run("secret", folder, _SECRET).stdout
            written = b"".join(path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()).decode(
                "utf-8", "replace"
            )
        pairs = zip(self.calls, base.calls, strict=True)
        listed = self._run([str(self.python), "-m", "pip", "list", "--format", "json"], "/").stdout
        versions = {found["name"]: found["version"] for found in json.loads(listed)}
        own = "opentelemetry-sdk" if self is base else self.own_name
        return Compared(
            self.name,
            versions[own],
            len(set(versions) - {"pip", "setuptools", "wheel"}),
            self._bytes() >> 20,
            min(self.imports) / min(base.imports),
            median(mine / bare for mine, bare in pairs),
            median(self.calls) / 1e3,
            peers.MARK.encode() in kept,
            _SECRET in sent + written if (sent + written).strip() else None,
        )

    def _bytes(self) -> int:
        """Return how much lies in its environment beside what every environment has."""
        files = (path for path in self.python.parents[1].glob("lib/*/site-packages/**/*") if path.is_file())
        return sum(path.stat().st_size for path in files if not {"pip", "setuptools", "__pycache__"} & set(path.parts))

    def _run(self, command: list[str], folder: str, said: str = "") -> subprocess.CompletedProcess[str]:
        environment = packages.plain_environment()
        return subprocess.run(
            command, cwd=folder, env=environment, input=said, capture_output=True, text=True, check=False, timeout=300
        )


def table(found: list[Compared]) -> str:
    """Return the lines as Markdown."""
    head = ["", "version", "distributions", "MB", "import", "a call", "killed call on disk", "secret in an argument"]
    rows = [head, ["---"] * len(head)]
    for one in found:
        secret = {True: "goes out", False: "withheld", None: "?"}[one.secret_goes_out]
        numbers = [f"{one.import_ratio:.2f}", f"{one.call_ratio:.1f} ({one.call_microseconds:.0f} µs)"]
        facts = ["yes" if one.killed_call_on_disk else "no", secret]
        rows.append([one.peer, one.version, str(one.distributions), str(one.megabytes), *numbers, *facts])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _installed(name: str) -> Peer | None:
    try:
        return Peer(name)
    except packages.UnavailableError as error:
        sys.stderr.write(f"left out: {error}\n")
        return None


def main() -> int:
    """Compare with everybody, or with those named."""
    parser = argparse.ArgumentParser(prog="python tests/benchmarks/compare.py", description=__doc__)
    parser.add_argument("peers", metavar="PEER", nargs="*", help=f"of {', '.join(REQUIREMENTS)} (default: all)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write figures, versions and machine facts as well")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.peers) - set(REQUIREMENTS))
    if unknown:
        parser.error(f"no peer named {', '.join(unknown)}")
    names = dict.fromkeys([BASE, *(arguments.peers or REQUIREMENTS)])
    chosen = [peer for name in names if (peer := _installed(name)) is not None]
    for turn in range(_TURNS):
        sys.stderr.write(f"turn {turn + 1} of {_TURNS} ...\n")
        for peer in chosen:
            peer.measure()
    found = [peer.compared(chosen[0]) for peer in chosen]
    sys.stdout.write(table(found) + "\n")
    if arguments.json:
        facts = document([], {})
        told = {"date": datetime.now(timezone.utc).date().isoformat(), "peers": [asdict(one) for one in found]}
        arguments.json.write_text(json.dumps({**told, **facts}, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
