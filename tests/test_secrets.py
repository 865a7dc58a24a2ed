"""Twenty secrets, planted wherever a traced program can hold one: none of them is written, sent, printed or logged.

The values are built at run time, so that no secret scanner trips over this file.
"""

from __future__ import annotations

import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from programs import environment

_OPAQUE = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
SECRETS = {
    "prompt": "sk-" + "proj-" + _OPAQUE,
    "response": "sk-" + "ant-api03-" + _OPAQUE + _OPAQUE,
    "argument": "ghp_" + _OPAQUE,
    "nested argument": "github_" + "pat_" + _OPAQUE + "_x",
    "argument under a key": "hunter2-hunter2",
    "result": "AKIA" + "IOSFODNN7EXAMPL3",
    "result under a key": "correct-horse-9",
    "error": "xoxb-" + "123456789012-" + _OPAQUE,
    "decision": "glpat-" + _OPAQUE[:20],
    "reason": "AIza" + _OPAQUE[:35],
    "url": "pg-p4ssw0rd-in-url",
    "bearer": "Bearer " + _OPAQUE,
    "jwt": "eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0." + _OPAQUE,
    "argv": "hf_" + _OPAQUE,
    "argv flag": "flagged-pass-77",
    "header": "header-key-" + _OPAQUE,
    "chunk": "npm_" + _OPAQUE,
    "model message": "sk_" + "live_" + _OPAQUE,
    "agent": "dop_v1_" + "0123456789abcdef" * 4,
    "resource": "SG." + _OPAQUE[:22] + "." + _OPAQUE + "abcdefg",
}

PROGRAM = """
import json, sys
import agent_trace_otel as at

S = json.loads(sys.stdin.read())

@at.trace_tool
def tool(query, options, password):
    print("a tool ran")
    return {"found": S["result"], "api_key": S["result under a key"], "url": f"postgres://u:{S['url']}@db/x"}

@at.trace_tool
def failing(authorization):
    raise RuntimeError("denied for " + S["error"])

@at.trace_tool
def stream(n):
    yield "ok"
    yield S["chunk"]

@at.trace_llm_call(model="m")
def ask(messages):
    return S["response"]

@at.trace_agent
def agent(task):
    tool(S["argument"], {"deep": [{"x": S["nested argument"]}]}, S["argument under a key"])
    list(stream(1))
    return "done with " + S["jwt"]

with at.session("planted"):
    at.log_user_prompt("use " + S["prompt"])
    agent("with " + S["agent"])
    at.log_decision("take " + S["decision"], reason="because " + S["reason"])
    ask([{"role": "user", "content": S["model message"]}])
    try:
        failing(S["bearer"])
    except RuntimeError:
        pass
    at.log_assistant_response("ok")
"""


FOREIGN = """
import json, os, subprocess, sys
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
import agent_trace_otel as at

S = json.loads(sys.stdin.read())
provider = TracerProvider(resource=Resource.create())
trace.set_tracer_provider(provider)
if sys.argv[1] == "exporter":
    provider.add_span_processor(SimpleSpanProcessor(at.FileSpanExporter()))
else:
    at.configure()
tracer = trace.get_tracer("somebody's instrumentation")
attributes = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "deploy",
    "gen_ai.conversation.id": "talk-1",
    "gen_ai.tool.call.arguments": json.dumps({"q": S["argument"], "password": S["argument under a key"]}),
    "http.request.header.authorization": S["bearer"],
    "url.full": f"https://u:{S['url']}@example.org/?api_key={S['result under a key']}",
    "process.command_args": ["tool", "--password", S["argv flag"], S["argv"]],
}
link = trace.Link(trace.SpanContext(1, 2, False), {"note": S["reason"]})
with tracer.start_as_current_span("deploy " + S["agent"], attributes=attributes, links=[link]) as span:
    span.set_attribute("gen_ai.tool.call.result", "printed " + S["result"])
    span.add_event("log", {"body": S["chunk"]})
    try:
        raise RuntimeError("denied for " + S["error"])
    except RuntimeError as error:
        span.record_exception(error)
        span.set_status(trace.StatusCode.ERROR, "denied for " + S["error"])
    if sys.argv[1] == "subprocesses":
        at.instrument("subprocesses")
        with at.session("child"):
            environment = {**os.environ, "API_KEY": S["model message"]}
            subprocess.run([sys.executable, "-c", "pass", "--token", S["jwt"]], env=environment, check=True)
print("a tool ran")
provider.shutdown()
"""


class _Receiver(BaseHTTPRequestHandler):
    """Keeps the bodies it is sent."""

    bodies: list[bytes]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _run(tmp_path: Path, source: str = PROGRAM, *arguments: str, **variables: str) -> dict[str, str]:
    """Run the program with a receiver; return everything that anybody could read afterwards."""
    handler = type("Handler", (_Receiver,), {"bodies": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    variables = {
        "AGENT_TRACE_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "AGENT_TRACE_OTLP_HEADERS": f"x-api-key={SECRETS['header']}",
        "OTEL_RESOURCE_ATTRIBUTES": f"deployment.key={SECRETS['resource']}",
        **variables,
    }
    program = tmp_path / "program.py"
    program.write_text(source)
    command = [sys.executable, program, *(arguments or (SECRETS["argv"], "--password", SECRETS["argv flag"]))]
    try:
        done = subprocess.run(
            command,
            env=environment(tmp_path, **variables),
            input=json.dumps(SECRETS),
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        server.shutdown()
        server.server_close()
    assert done.stdout == "a tool ran\n"
    written = {str(path): path.read_text() for path in (tmp_path / "traces").rglob("*") if path.is_file()}
    sent = b"".join(handler.bodies).decode("utf-8", "replace")
    assert source is not PROGRAM or "execute_tool tool" in sent
    agent_trace = [sys.executable, "-m", "agent_trace_otel", "--trace-dir", str(tmp_path / "traces")]
    shown = {
        name: subprocess.run([*agent_trace, *words], capture_output=True, text=True, check=True).stdout
        for name, words in {
            "replay": ["replay", "--full"],
            "inspect": ["inspect"],
            "otlp": ["export", "--format", "otlp"],
        }.items()
    }
    return {**written, **shown, "sent": sent, "stdout": done.stdout, "stderr": done.stderr}


def test_no_planted_secret_gets_out(tmp_path: Path) -> None:
    places = _run(tmp_path)
    leaks = [(name, where) for name, secret in SECRETS.items() for where, text in places.items() if secret in text]
    assert leaks == []
    assert "[REDACTED" in places["replay"]


@pytest.mark.parametrize("path", ["processor", "exporter", "subprocesses"])
def test_no_secret_of_another_instrumentation_gets_out(tmp_path: Path, path: str) -> None:
    places = _run(tmp_path, FOREIGN, path)
    leaks = [(name, where) for name, secret in SECRETS.items() for where, text in places.items() if secret in text]
    assert leaks == []
    assert "deploy" in "".join(places.values())
    assert "[REDACTED" in "".join(places.values())


def test_with_redaction_off_they_are_there(tmp_path: Path) -> None:
    places = _run(tmp_path, AGENT_TRACE_REDACT="0")
    everything = "".join(places.values())
    missing = [name for name, secret in SECRETS.items() if secret not in everything]
    assert missing == ["header"]  # the key of the back end is no part of the story, redacted or not


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (json.dumps({"a": [{"password": SECRETS["result under a key"]}]}), ["$.a[0].password"]),
        (f'{{"x": 1}}\n{{"q": "{SECRETS["argument"]}"}}\n', ["line 2: $.q"]),
        (f"first line\nexport TOKEN={SECRETS['argument']}\n", ["2:14"]),
        ("nothing here", []),
    ],
)
def test_the_redact_command_tells_places_and_never_secrets(tmp_path: Path, text: str, places: list[str]) -> None:
    command = [sys.executable, "-m", "agent_trace_otel", "redact", "-"]
    done = subprocess.run(command, env=environment(tmp_path), input=text, capture_output=True, text=True, check=True)
    *found, summary = done.stdout.splitlines()
    assert [line[25:] for line in found] == places
    assert summary == f"{len(places)} value{'' if len(places) == 1 else 's'} would be withheld"
    assert not [name for name, secret in SECRETS.items() if secret in done.stdout]


def test_the_config_file_adds_rules(tmp_path: Path) -> None:
    (tmp_path / "agent-trace").mkdir()
    rules = '[redaction]\nkeys = ["badge number"]\npatterns = ["EMP-[0-9]{4}", "("]\nallow = ["EMP-0000"]\n'
    (tmp_path / "agent-trace" / "config.toml").write_text(rules)
    program = tmp_path / "program.py"
    program.write_text(
        "import agent_trace_otel as at\n"
        "with at.session('rules'):\n"
        "    at.log_user_prompt('EMP-1234 and EMP-0000')\n"
        "    at.trace_tool(lambda badgeNumber: None)(badgeNumber='purple')\n"
    )
    command = [sys.executable, program]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, check=True)
    text = "".join(path.read_text() for path in (tmp_path / "traces").rglob("*.*") if path.is_file())
    assert "EMP-0000" in text
    assert "EMP-1234" not in text
    assert "purple" not in text
    assert "no regular expression" in done.stderr
