"""Settings: argument > environment > config file > default; what can't be understood is named."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agent_trace_otel import AgentTraceSpanProcessor, config, configure, guard, session, trace_tool
from agent_trace_otel.errors import UsageError
from agent_trace_otel.testing import recording


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """Return an environment whose config file is ``tmp_path``/agent-trace/config.toml."""
    (tmp_path / "agent-trace").mkdir()
    return {"XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)}


def write_config(home: dict[str, str], text: str) -> None:
    config.config_file(home).write_text(text, encoding="utf-8")


def test_defaults(home: dict[str, str]) -> None:
    settings = config.load(home)
    assert settings.trace_dir == Path.cwd() / ".agent-traces"
    assert (settings.redact, settings.capture_content, settings.trace_per) == (True, True, "session")
    assert (settings.endpoint, settings.otel_endpoint, dict(settings.headers), settings.sending) == (
        None,
        None,
        {},
        True,
    )
    assert (settings.max_value_bytes, settings.exit_timeout, settings.protocol) == (16384, 2.0, "http/protobuf")


def test_argument_beats_environment_beats_file_beats_default(home: dict[str, str]) -> None:
    write_config(
        home,
        """
trace_dir = "/from/file"
redact = false
capture_content = false
trace_per = "turn"
[otlp]
endpoint = "http://file:1"
headers = { x-key = "file" }
""",
    )
    of_file = config.load(home)
    assert (of_file.trace_dir, of_file.redact, of_file.capture_content) == (Path("/from/file"), False, False)
    assert (of_file.trace_per, of_file.endpoint, of_file.headers) == ("turn", "http://file:1", {"x-key": "file"})
    environ = home | {
        "AGENT_TRACE_DIR": "/from/env",
        "AGENT_TRACE_REDACT": "yes",
        "AGENT_TRACE_CAPTURE_CONTENT": "1",
        "AGENT_TRACE_TRACE_PER": "Session",
        "AGENT_TRACE_OTLP_ENDPOINT": "http://env:1",
        "AGENT_TRACE_OTLP_HEADERS": "x-key=a%20b , Other=c",
    }
    of_env = config.load(environ)
    assert (of_env.trace_dir, of_env.redact, of_env.capture_content) == (Path("/from/env"), True, True)
    assert (of_env.trace_per, of_env.endpoint) == ("session", "http://env:1")
    assert of_env.headers == {"x-key": "a b", "other": "c"}
    given = config.load(environ, trace_dir=Path("/given"), redact=False, endpoint="http://given:1", headers={"k": "v"})
    assert (given.trace_dir, given.redact, given.endpoint, given.headers) == (
        Path("/given"),
        False,
        "http://given:1",
        {"k": "v"},
    )
    assert given.capture_content is True


def test_service_name_of_file_and_environment(home: dict[str, str]) -> None:
    assert config.load(home).service_name is None
    write_config(home, 'service_name = "of-file"')
    assert config.load(home).service_name == "of-file"
    assert config.load(home | {"AGENT_TRACE_SERVICE_NAME": "of-env"}).service_name == "of-env"


@pytest.mark.parametrize("value", ["0", "false", "No", " off "])
def test_ways_to_say_no(home: dict[str, str], value: str) -> None:
    assert config.load(home | {"AGENT_TRACE_REDACT": value}).redact is False


@pytest.mark.parametrize(
    ("variables", "sending"),
    [
        ({}, True),
        ({"OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_TRACES_EXPORTER": "agent_traces"}, False),
        ({"OTEL_TRACES_EXPORTER": "agent_traces, otlp"}, True),
        ({"OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_SDK_DISABLED": "no"}, True),
    ],
    ids=str,
)
def test_standard_variables_turn_sending_off(home: dict[str, str], variables: dict[str, str], sending: bool) -> None:
    assert config.load(home | variables).sending is sending


def test_the_general_endpoint_is_a_base_and_the_one_for_traces_is_not(home: dict[str, str]) -> None:
    general = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318/"}
    assert config.load(home | general).otel_endpoint == "http://h:4318/v1/traces"
    both = general | {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t/x"}
    assert config.load(home | both).otel_endpoint == "http://t/x"


def test_no_content_of_the_convention_is_overruled_by_our_own_variable(home: dict[str, str]) -> None:
    theirs = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "no_content"}
    assert config.load(home | theirs).capture_content is False
    assert config.load(home | theirs | {"AGENT_TRACE_CAPTURE_CONTENT": "true"}).capture_content is True


BAD = {
    "AGENT_TRACE_REDACT": "maybe",
    "AGENT_TRACE_CAPTURE_CONTENT": "perhaps",
    "AGENT_TRACE_TRACE_PER": "hour",
    "AGENT_TRACE_MAX_VALUE": "-1",
    "AGENT_TRACE_EXIT_TIMEOUT": "nan",
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_bad_variable_is_named_with_what_it_takes(home: dict[str, str], name: str) -> None:
    with pytest.raises(UsageError, match=f"{name}='{BAD[name]}': expected "):
        config.load(home | {name: BAD[name]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("redact = 'no'", "redact is not a bool"),
        ("trace_dir = 3", "trace_dir is not a str"),
        ("[otlp]\nheaders = 'k=v'", "headers is not a dict"),
        ("[otlp", "config.toml: "),
        ("trace_per = 'hour'", "trace_per"),
    ],
)
def test_a_bad_config_file_is_named(home: dict[str, str], text: str, message: str) -> None:
    write_config(home, text)
    with pytest.raises(UsageError, match=message):
        config.load(home)


@pytest.mark.parametrize("text", ["otlp = 3", "unknown = 1", ""])
def test_what_the_config_file_has_besides_is_ignored(home: dict[str, str], text: str) -> None:
    write_config(home, text)
    assert config.load(home).redact is True


def test_a_directory_in_the_place_of_the_config_file_is_none(home: dict[str, str]) -> None:
    config.config_file(home).mkdir()
    assert config.load(home).redact is True


def test_one_bad_variable_leaves_the_others_in_force(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    variables = {"AGENT_TRACE_EXIT_TIMEOUT": "soon", "AGENT_TRACE_CAPTURE_CONTENT": "false"}
    with recording(tmp_path / "traces", **variables) as recorded:
        with session("agent"):
            trace_tool(lambda text: text)("the-content")
        assert len(recorded.spans()) == 2
        assert "the-content" not in recorded.text()
        assert guard.failures.total() == 1
    (warning,) = caplog.records
    assert "AGENT_TRACE_EXIT_TIMEOUT='soon'" in warning.message


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_bad_variable_stops_neither_configure_nor_a_processor_of_the_users(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with recording(tmp_path / "traces", **{name: BAD[name]}):
        assert AgentTraceSpanProcessor().settings.redact is True
        configure()
        with session("agent"):
            pass
    assert {name in record.message for record in caplog.records} == {True}


def test_a_bad_config_file_leaves_the_variables_in_force(tmp_path: Path) -> None:
    (tmp_path / "xdg" / "agent-trace").mkdir(parents=True)
    (tmp_path / "xdg" / "agent-trace" / "config.toml").write_text("[otlp")
    with recording(tmp_path / "traces", XDG_CONFIG_HOME=str(tmp_path / "xdg")) as recorded:
        with session("agent"):
            pass
        assert len(recorded.spans()) == 1


def test_readers_look_where_the_config_file_says(tmp_path: Path) -> None:
    (tmp_path / "agent-trace").mkdir()
    (tmp_path / "agent-trace" / "config.toml").write_text(f'trace_dir = "{tmp_path / "elsewhere"}"\n')
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AGENT_TRACE_")}
    variables = kept | {"XDG_CONFIG_HOME": str(tmp_path)}
    for command in ("demo", "list"):
        words = [sys.executable, "-m", "agent_trace_otel", command]
        done = subprocess.run(words, env=variables, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert "demo-agent" in done.stdout
    assert (tmp_path / "elsewhere").is_dir()
    assert not (tmp_path / ".agent-traces").exists()


def test_a_config_file_that_cant_be_read_captures_no_content(tmp_path: Path) -> None:
    (tmp_path / "agent-trace").mkdir()
    (tmp_path / "agent-trace" / "config.toml").write_text("capture_content = false\n[oops\n")
    told: list[str] = []
    found = config.load({"XDG_CONFIG_HOME": str(tmp_path)}, complain=lambda error: told.append(str(error)))
    assert not found.capture_content
    assert len(told) == 1


def test_a_back_end_named_higher_up_takes_no_key_of_the_one_below(home: dict[str, str]) -> None:
    write_config(home, '[otlp]\nendpoint = "https://a.example"\nheaders = { "x-a" = "key of a" }\n')
    settings = config.load({**home, "AGENT_TRACE_TO": "honeycomb"})
    assert (settings.to, settings.endpoint, dict(settings.headers)) == ("honeycomb", None, {})
    settings = config.load({**home, "AGENT_TRACE_TO": "honeycomb"}, endpoint="https://b.example")
    assert (settings.to, settings.endpoint) == (None, "https://b.example")
    write_config(home, '[otlp]\nto = "honeycomb:eu"\nkeys = { HONEYCOMB_API_KEY = "planted" }\n')
    settings = config.load(home)
    assert (settings.to, dict(settings.keys)) == ("honeycomb:eu", {"HONEYCOMB_API_KEY": "planted"})
    assert "planted" not in repr(settings)
    settings = config.load({**home, "AGENT_TRACE_OTLP_ENDPOINT": "http://localhost:4318"})
    assert (settings.to, settings.endpoint) == (None, "http://localhost:4318")
    together = {"AGENT_TRACE_TO": "honeycomb", "AGENT_TRACE_OTLP_ENDPOINT": "http://proxy:1"}
    settings = config.load({**home, **together})
    assert (settings.to, settings.endpoint) == ("honeycomb", "http://proxy:1")


def test_keys_that_are_no_text_are_named(home: dict[str, str]) -> None:
    write_config(home, '[otlp]\nto = "datadog"\nkeys = { DD_API_KEY = 12345 }\n')
    told: list[str] = []
    assert dict(config.load(home, complain=lambda error: told.append(str(error))).keys) == {}
    assert ["otlp.keys holds something else than text" in line for line in told] == [True]
    assert "12345" not in str(told)


def test_where_a_setting_comes_from_is_known(home: dict[str, str]) -> None:
    assert config.sources(home) == {}
    write_config(home, 'redact = false\nservice_name = "mine"\n[otlp]\nendpoint = "http://a"\nheaders = { a = "b" }\n')
    path = str(config.config_file(home))
    given = {"AGENT_TRACE_SERVICE_NAME": "other", "AGENT_TRACE_TO": "datadog", "OTEL_TRACES_EXPORTER": "none"}
    assert config.sources({**home, **given}) == {
        "redact": path,
        "service_name": "AGENT_TRACE_SERVICE_NAME",
        "to": "AGENT_TRACE_TO",
        "sending": "OTEL_TRACES_EXPORTER",
    }
    standard = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "AGENT_TRACE_REDACT": "perhaps"}
    assert config.sources({**home, **standard})["otel_endpoint"] == "OTEL_EXPORTER_OTLP_ENDPOINT"
    assert config.sources({**home, **standard})["redact"] == path


def test_what_is_no_setting_is_found(home: dict[str, str]) -> None:
    assert config.unknown(home) == []
    text = 'redaktion = 1\ntrace_per = "turn"\n[otlp]\nenpoint = "x"\n[redaction]\nkeys = []\n[mine]\na = 1\n'
    write_config(home, text)
    variables = {"AGENT_TRACE_ENDPOINT": "http://a", "AGENT_TRACE_DIR": "/t", "AGENT_TRACE_SESSION_ID": "s"}
    path = config.config_file(home)
    assert config.unknown({**home, **variables}) == [
        "AGENT_TRACE_ENDPOINT is no setting: did you mean AGENT_TRACE_OTLP_ENDPOINT?",
        f"{path}: redaktion is no setting: did you mean redact?",
        f"{path}: mine is no setting",
        f"{path}: enpoint is no setting: did you mean endpoint?",
    ]
    write_config(home, "[")
    assert config.unknown(home) == []


def test_every_variable_that_the_source_reads_is_known() -> None:
    source = Path(config.__file__).parent
    places = [*source.rglob("*.py"), *(source.parent / "instrumentors").rglob("*.py")]
    named = {name for path in places for name in re.findall(r"\bAGENT_TRACE_[A-Z_]*[A-Z]\b", path.read_text())}
    assert named
    assert config.unknown(dict.fromkeys(named, "x")) == []
