"""Settings in force: argument > environment > config file > default.

Comes in: keyword arguments of configure() and start_session(), the environment,
``$XDG_CONFIG_HOME/agent-trace/config.toml``. Goes out: one frozen `Settings`. Read once when the pipeline is set up,
never per span.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import unquote

from agent_trace_otel import guard
from agent_trace_otel.errors import UsageError

if TYPE_CHECKING:
    from agent_trace_otel.redact import Redactor

DEFAULT_TRACE_DIR = ".agent-traces"
_FALSE = frozenset({"0", "false", "no", "off"})
_TRUE = frozenset({"1", "true", "yes", "on"})
_TRACE_PER = ("session", "turn")
_REDACTION = ("keys", "patterns", "allow")
_FILE_KEYS: Mapping[str, tuple[str, ...]] = {
    "": ("trace_dir", "redact", "capture_content", "trace_per", "service_name"),
    "otlp": ("endpoint", "headers", "to", "keys"),
    "redaction": _REDACTION,
}
"""Table of the config file, "" for what stands before all -> its keys."""
_OTHER_VARIABLES = frozenset(
    f"AGENT_TRACE_{name}"
    for name in ("SESSION_ID", "RECORDER_IDLE", "FILES_UNDER", "RUN_REPORTS", "RUN_WATCH", "TOLD_BY", "E2E_CACHE")
)
"""Variables that others read: sessions of parent processes, the recorder, `agent-trace run`."""
_REPLACED_BY: Mapping[str, tuple[str, ...]] = {"to": ("endpoint", "headers"), "endpoint": ("to",)}


@dataclass(frozen=True, slots=True)
class Settings:
    """Every switch. The README's table of environment variables lists the same names."""

    trace_dir: Path = Path(DEFAULT_TRACE_DIR)
    """AGENT_TRACE_DIR. Absolute: a program that changes its directory keeps its folder."""
    has_trace_dir: bool = False
    """Whether somebody named it, so that readers look there and nowhere else."""
    redact: bool = True
    """AGENT_TRACE_REDACT=0 turns it off."""
    redaction: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """``[redaction]`` of the config file: ``keys``, ``patterns`` and ``allow`` of `Redactor`."""
    capture_content: bool = True
    """AGENT_TRACE_CAPTURE_CONTENT=false or OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=NO_CONTENT."""
    trace_per: Literal["session", "turn"] = "session"
    """AGENT_TRACE_TRACE_PER."""
    endpoint: str | None = None
    """AGENT_TRACE_OTLP_ENDPOINT: a base URL, or a full one that ends in /v1/traces or /v2/trace/otlp."""
    to: str | None = None
    """AGENT_TRACE_TO: a back end by its name, such as ``datadog`` or ``honeycomb:eu`` (`delivery.vendors`)."""
    keys: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """``[otlp.keys]`` of the config file: variables of such a back end, for processes that the environment doesn't
    reach, as those of hooks; the environment's own come first."""
    otel_endpoint: str | None = None
    """The full URL that the standard OTEL_EXPORTER_OTLP_* variables name."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """AGENT_TRACE_OTLP_HEADERS, ``k=v,k2=v2`` as in OTEL_EXPORTER_OTLP_HEADERS."""
    service_name: str | None = None
    """AGENT_TRACE_SERVICE_NAME: the resource's service.name, for programs that OTEL_SERVICE_NAME does not reach."""
    max_value_bytes: int = 16 * 1024
    """AGENT_TRACE_MAX_VALUE: a longer value is cut in events.ndjson, whole in spans.jsonl."""
    exit_timeout: float = 2.0
    """AGENT_TRACE_EXIT_TIMEOUT: seconds that sending may hold up the program's exit."""
    sending: bool = True
    """False if OTEL_TRACES_EXPORTER or OTEL_SDK_DISABLED turns sending off."""
    protocol: str = "http/protobuf"
    """OTEL_EXPORTER_OTLP_[TRACES_]PROTOCOL as given; anything but http/protobuf is warned about once."""

    def redactor(self) -> Redactor:
        """Return the built-in rules with those of the config file."""
        from agent_trace_otel.redact import Redactor

        keys, patterns, allow = (self.redaction.get(name, ()) for name in _REDACTION)
        return Redactor(keys=keys, patterns=patterns, allow=allow)


Complain = Callable[[UsageError], None]


def load(
    environ: Mapping[str, str] | None = None,
    *,
    complain: Complain | None = None,
    **arguments: Any,
) -> Settings:
    """Return the settings in force.

    Args:
        environ: environment variables, the process's own by default.
        complain: is told what can't be understood, one value at a time; the next lower source then decides.
        arguments: fields of `Settings`; None means not given.

    Raises:
        UsageError: a value can't be understood, and there is nobody to complain to; names the variable or key and what
            it takes.
    """
    env, tell = os.environ if environ is None else environ, complain or _raise
    given = {name: value for name, value in arguments.items() if value is not None}
    values = _merged(_from_file(config_file(env), tell), _from_environment(env, tell), given)
    values["has_trace_dir"] = "trace_dir" in values
    values["trace_dir"] = absolute(Path(values.get("trace_dir", DEFAULT_TRACE_DIR)))
    return Settings(**values)


def sources(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return where each field of `Settings` that is no default comes from: a variable's name, or the config file."""
    env = os.environ if environ is None else environ
    path = config_file(env)
    in_file = {name: str(path) for name, value in _from_file(path, lambda _: None).items() if value != {}}
    in_environment = {name: _variable_of(name, env) for name in _from_environment(env, lambda _: None)}
    return _merged(in_file, {name: variable for name, variable in in_environment.items() if variable})


def unknown(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return what looks like a setting and is none, variables and keys of the config file, with what may be meant."""
    env = os.environ if environ is None else environ
    found = [
        _not_known(name, (*_VARIABLES, *_OTHER_VARIABLES))
        for name in sorted(env)
        if name.startswith("AGENT_TRACE_") and name not in _VARIABLES and name not in _OTHER_VARIABLES
    ]
    table = _table_of(config_file(env), lambda _: None) or {}
    for name, known in _FILE_KEYS.items():
        inner: Any = table.get(name, {}) if name else table
        tables = [key for key in _FILE_KEYS if key and not name]
        if isinstance(inner, dict):
            keys = cast("dict[str, object]", inner)
            found += [f"{config_file(env)}: {_not_known(key, known)}" for key in keys if key not in (*known, *tables)]
    return found


def of_program(**arguments: Any) -> Settings:
    """Return the settings in force in a traced program: a bad variable is reported, and is no reason to stop it."""
    return load(complain=lambda error: guard.report("use a setting", error), **arguments)


def _merged(*levels: Mapping[str, Any]) -> dict[str, Any]:
    """Return what counts of several levels, the last of which is the highest."""
    values: dict[str, Any] = {}
    for level in levels:
        # who names another back end doesn't mean the key of the one before to be sent there
        for name in _REPLACED_BY.get(next((name for name in ("to", "endpoint") if name in level), ""), ()):
            values.pop(name, None)
        values.update(level)
    return values


def absolute(path: Path) -> Path:
    """Return a path that a later change of directory does not move, ``~`` replaced."""
    try:
        return path.expanduser().absolute()
    except (OSError, RuntimeError):  # the working directory was removed; nobody's home is known
        return path


def _raise(error: UsageError) -> None:
    raise error


def config_file(environ: Mapping[str, str]) -> Path:
    """Return where the config file is looked for (XDG Base Directory Specification)."""
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME") or "~").expanduser() / ".config")
    return Path(home) / "agent-trace" / "config.toml"


def _not_known(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, [*known], n=1)
    return f"{name} is no setting" + (f": did you mean {near[0]}?" if near else "")


def _table_of(path: Path, complain: Complain) -> dict[str, Any] | None:
    """Return the config file's content, empty if there is none, None if it can't be understood."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        complain(UsageError(f"{path}: {error}; what it says of content is not known, so none is captured"))
        return None


def _from_file(path: Path, complain: Complain) -> dict[str, Any]:
    table = _table_of(path, complain)
    if table is None:
        return {"capture_content": False}
    otlp = table.get("otlp", {})
    values: dict[str, Any] = {name: table[name] for name in _FILE_KEYS[""] if name in table}
    if isinstance(otlp, dict):
        values.update({name: otlp[name] for name in _FILE_KEYS["otlp"] if name in otlp})
    values["redaction"] = _redaction_of(path, table.get("redaction", {}), complain)
    kinds = {"redaction": dict, "redact": bool, "capture_content": bool, "headers": dict, "keys": dict}
    for name, value in tuple(values.items()):
        kind = kinds.get(name, str)
        if not isinstance(value, kind):
            complain(UsageError(f"{path}: {name} is not a {kind.__name__}"))
            del values[name]
        elif not all(isinstance(text, str) for text in _texts_of(name, values[name])):
            complain(UsageError(f"{path}: otlp.{name} holds something else than text"))
            del values[name]
        elif name == "trace_per" and value not in _TRACE_PER:
            complain(UsageError(f"{path}: trace_per is none of {', '.join(_TRACE_PER)}"))
            del values[name]
    return values


def _texts_of(name: str, table: object) -> Iterable[object]:
    """Return the values of a table that must be text."""
    return cast("dict[str, object]", table).values() if name in {"headers", "keys"} else ()


def _redaction_of(path: Path, table: object, complain: Complain) -> dict[str, tuple[str, ...]]:
    """Read the user's own rules; one that can't be used is told, and the others hold."""
    rules: dict[str, tuple[str, ...]] = {}
    for name, given in cast("dict[str, object]", table).items() if isinstance(table, dict) else ():
        if name not in _REDACTION or not isinstance(given, list):
            complain(UsageError(f"{path}: redaction.{name} is none of {', '.join(_REDACTION)}, or no list"))
            continue
        kept: list[str] = []
        for rule in cast("list[object]", given):
            try:
                kept.append(rule if name == "keys" and isinstance(rule, str) else re.compile(str(rule)).pattern)
            except re.error as error:  # noqa: PERF203 - the other rules hold
                complain(UsageError(f"{path}: redaction.{name}: {rule!r} is no regular expression: {error}"))
        rules[name] = tuple(kept)
    return rules


def _from_environment(env: Mapping[str, str], complain: Complain) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if env.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "").strip().upper() == "NO_CONTENT":
        values["capture_content"] = False
    for name, (field_name, read) in _VARIABLES.items():
        text = env.get(name)
        if text:
            try:
                values[field_name] = read(text)
            except ValueError as error:
                complain(UsageError(f"{name}={text!r}: expected {error}"))
    values.update(_from_otel_environment(env))
    return values


def _from_otel_environment(env: Mapping[str, str]) -> dict[str, Any]:
    """Read the standard variables (OpenTelemetry specification, SDK environment variables and OTLP exporter)."""
    values: dict[str, Any] = {}
    exporters = {name.strip() for name in env.get("OTEL_TRACES_EXPORTER", "").split(",") if name.strip()}
    disabled = env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    values["sending"] = not disabled and (not exporters or "otlp" in exporters)
    if env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        values["otel_endpoint"] = env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
    elif env.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        values["otel_endpoint"] = env["OTEL_EXPORTER_OTLP_ENDPOINT"].rstrip("/") + "/v1/traces"
    protocol = env.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or env.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol:
        values["protocol"] = protocol.strip().lower()
    return values


def parse_headers(text: str) -> dict[str, str]:
    """Read ``k=v,k2=v2`` with percent-encoded values (OTLP exporter specification, W3C Baggage form)."""
    pairs = (part.partition("=") for part in text.split(",") if "=" in part)
    return {key.strip().lower(): unquote(value.strip()) for key, _, value in pairs}


def _boolean(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered not in _TRUE | _FALSE:
        msg = "true or false"
        raise ValueError(msg)
    return lowered in _TRUE


def _trace_per(text: str) -> str:
    lowered = text.strip().lower()
    if lowered not in _TRACE_PER:
        msg = f"one of {', '.join(_TRACE_PER)}"
        raise ValueError(msg)
    return lowered


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        msg = "a number that is not negative"
        raise ValueError(msg)
    return number


_VARIABLES: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "AGENT_TRACE_DIR": ("trace_dir", str),
    "AGENT_TRACE_REDACT": ("redact", _boolean),
    "AGENT_TRACE_CAPTURE_CONTENT": ("capture_content", _boolean),
    "AGENT_TRACE_TRACE_PER": ("trace_per", _trace_per),
    "AGENT_TRACE_OTLP_ENDPOINT": ("endpoint", str),
    "AGENT_TRACE_OTLP_HEADERS": ("headers", parse_headers),
    "AGENT_TRACE_TO": ("to", str.strip),
    "AGENT_TRACE_SERVICE_NAME": ("service_name", str),
    "AGENT_TRACE_MAX_VALUE": ("max_value_bytes", lambda text: int(_number(text))),
    "AGENT_TRACE_EXIT_TIMEOUT": ("exit_timeout", _number),
}
"""Variable -> field, and how its text is read; a reader raises ValueError with what it expects."""

_STANDARD_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "capture_content": ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",),
    "otel_endpoint": ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    "protocol": ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"),
    "sending": ("OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER"),
}


def _variable_of(name: str, env: Mapping[str, str]) -> str:
    """Return the variable that a field was read from, empty if it is there by default."""
    ours = [variable for variable, (field_name, _) in _VARIABLES.items() if field_name == name]
    return next((variable for variable in (*ours, *_STANDARD_VARIABLES.get(name, ())) if env.get(variable)), "")
