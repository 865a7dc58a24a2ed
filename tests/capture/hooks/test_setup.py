"""``agent-trace setup``: what it prints, writes and takes back, and that a registered command can never fail."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hook_processes import Hooks
from programs import wait_for
from session_folders import agent_trace

import agent_trace_otel
from agent_trace_otel.capture.hooks import state
from agent_trace_otel.capture.hooks.intake import control
from agent_trace_otel.capture.hooks.setup import installation, replacing
from agent_trace_otel.capture.hooks.setup.agents import CLAUDE_CODE
from agent_trace_otel.errors import UsageError

REPOSITORY = Path(__file__).parents[3]
_EVENTS = """
PreToolUse PostToolUse PostToolUseFailure PostToolBatch PermissionRequest PermissionDenied Notification UserPromptSubmit
UserPromptExpansion SessionStart SessionEnd Setup Stop StopFailure SubagentStart SubagentStop PreCompact PostCompact
PreModelSwitch PostModelSwitch TeammateIdle TaskCreated TaskCompleted Elicitation ElicitationResult ConfigChange
InstructionsLoaded CwdChanged DirectoryAdded
"""
EVENTS = set(_EVENTS.split())
PAYLOAD = b'{"session_id": "s1", "hook_event_name": "Stop"}'


class User:
    """Somebody with a home, a project and a terminal."""

    def __init__(self, folder: Path) -> None:
        self.hooks = Hooks(folder / "home")
        self.hooks.let_none_start()
        self.home = self.hooks.home
        self.project = folder / "my project"
        self.project.mkdir()
        (folder / "tmp").mkdir()
        # wherever these tests run, the interpreter is to count as one that stays
        self.environ = {"HOME": str(self.home), "TMPDIR": str(folder / "tmp"), "CLAUDE_CONFIG_DIR": ""}
        self.environ |= dict.fromkeys(("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"), "")

    def setup(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return agent_trace("setup", *arguments, cwd=self.project, env=self.environ | environ)

    def commands(self, path: Path) -> dict[str, str]:
        """Return the command of every event in a settings file, which must have one hook each."""
        hooks = json.loads(path.read_text(encoding="utf-8"))["hooks"]
        assert all(len(entries) == len(entries[0]["hooks"]) == 1 for entries in hooks.values())
        return {event: entries[0]["hooks"][0]["command"] for event, entries in hooks.items()}

    @property
    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.project)) for path in self.project.rglob("*") if path.is_file())


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path)


def test_without_write_it_prints_json_and_changes_nothing(user: User) -> None:
    shown = user.setup()
    hooks = json.loads(shown.stdout)["hooks"]
    assert hooks.keys() == EVENTS
    for event, (entry,) in hooks.items():
        seconds = 10 if event == "SessionEnd" else 5
        command = f"agent-trace hook {event} || exit 0"
        assert entry == {"hooks": [{"type": "command", "command": command, "timeout": seconds}]}
    assert shown.returncode == 0
    assert "nothing is written; with --write this is merged into" in shown.stderr
    assert user.files == []
    assert user.setup("claude-code").stdout == shown.stdout


def test_the_example_and_the_plugin_hold_what_it_prints(user: User) -> None:
    printed = user.setup().stdout
    example = (REPOSITORY / "examples" / "claude_code_config.md").read_text(encoding="utf-8")
    assert re.findall(r"^```json\n(.*?)^```", example, re.MULTILINE | re.DOTALL) == [printed]
    plugin = REPOSITORY / "plugin"
    assert (plugin / "hooks" / "hooks.json").read_text(encoding="utf-8") == printed
    about = json.loads((plugin / ".claude-plugin" / "plugin.json").read_text(encoding="utf-8"))
    market = json.loads((REPOSITORY / ".claude-plugin" / "marketplace.json").read_text(encoding="utf-8"))
    assert about["version"] == agent_trace_otel.__version__
    assert [(entry["name"], entry["source"]) for entry in market["plugins"]] == [(about["name"], "./plugin")]


def test_write_and_remove(user: User) -> None:
    path = user.project / ".claude" / "settings.json"
    path.parent.mkdir()
    path.write_text('{\n\t"model": "opus"\n}')
    path.chmod(0o640)
    done = user.setup("--write")
    assert (done.returncode, done.stdout) == (0, f"registered 29 hooks of Claude Code in {path}\n")
    assert (user.commands(path).keys(), path.stat().st_mode & 0o777) == (EVENTS, 0o640)
    written = path.read_text()
    assert user.setup("--write").stdout == f"{path} has the hooks already\n"
    assert path.read_text() == written
    path.write_text(written.replace("opus", "haiku"))
    user.setup("--write")
    user.setup("--remove")
    assert path.read_text() == '{\n\t"model": "haiku"\n}'
    assert user.files == [".claude/settings.json", f".claude/settings.json{replacing.BACKUP}"]
    assert path.with_name(path.name + replacing.BACKUP).read_text() == '{\n\t"model": "opus"\n}'
    assert user.setup("--remove").stdout == f"no hooks of ours in {path}\n"


@pytest.mark.parametrize("text", [b"[]", b"{", b'{"a": "\xff"}', b'{"hooks": 1}'])
@pytest.mark.parametrize("how", ["--write", "--remove"])
def test_a_file_that_is_no_json_object_is_refused(user: User, text: bytes, how: str) -> None:
    path = user.project / ".claude" / "settings.json"
    path.parent.mkdir()
    path.write_bytes(text)
    done = user.setup(how, *(["--no-redact"] if how == "--write" else []))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert str(path) in done.stderr
    assert path.read_bytes() == text
    assert user.files == [".claude/settings.json"]
    assert not (user.home / ".config").exists()


def test_a_link_to_a_repository_of_dotfiles_stays_one(user: User, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "claude.json"
    real.parent.mkdir()
    real.write_text("{}")
    link = user.home / ".claude" / "settings.json"
    link.parent.mkdir()
    link.symlink_to(real)
    user.setup("--global", "--write")
    assert link.is_symlink()
    assert len(user.commands(real)) == 29
    user.setup("--global", "--remove")
    assert (real.read_text(), list(real.parent.iterdir())) == ("{}", [real])


@pytest.mark.parametrize(
    ("scope", "variables", "where"),
    [
        ("--global", {}, "home/.claude/settings.json"),
        ("--global", {"CLAUDE_CONFIG_DIR": "elsewhere"}, "my project/elsewhere/settings.json"),
        ("--local", {}, "my project/.claude/settings.local.json"),
    ],
)
def test_a_users_own_settings_name_the_place(
    user: User, tmp_path: Path, scope: str, variables: dict[str, str], where: str
) -> None:
    done = user.setup(scope, "--write", **variables)
    assert (done.returncode, done.stderr) == (0, "")
    script = user.home / ".local" / "share" / "agent-trace" / "hook.py"
    command = user.commands(tmp_path / where)["Stop"]
    assert command == f"{sys.executable} -I -S {script} Stop || exit 0"
    ran = user.hooks.run_command(command, PAYLOAD)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
    assert [(frame.event, frame.version) for frame in user.hooks.spool] == [("Stop", agent_trace_otel.__version__)]
    portable = user.setup(scope, "--portable", "--write", **variables)
    assert portable.returncode == 0
    assert user.commands(tmp_path / where)["Stop"] == "agent-trace hook Stop || exit 0"


@pytest.mark.parametrize("gone", ["the interpreter", "our copy", "the package", "agent-trace"])
def test_a_registered_command_never_blocks_the_agent(user: User, tmp_path: Path, gone: str) -> None:
    user.hooks.script = user.home / "with 'quotes' and spaces" / "hook.py"
    script = installation.script()
    interpreter = sys.executable
    if gone == "the package":
        script = script.replace("from agent_trace_otel.", "from agent_trace_gone.")
    if gone != "our copy":
        replacing.replace(user.hooks.script, script)
    command = installation.absolute_command(user.hooks.script, CLAUDE_CODE, "PreToolUse")
    if gone == "the interpreter":
        command = command.replace(interpreter, f"{tmp_path}/python")
    if gone == "agent-trace":
        command = installation.portable_command(CLAUDE_CODE, "PreToolUse")
    ran = user.hooks.run_command(command, PAYLOAD)
    assert (ran.returncode, ran.stdout) == (0, b"")
    unguarded = user.hooks.run_command(command.removesuffix(" || exit 0"), PAYLOAD)
    codes = {"the interpreter": 127, "our copy": 2, "the package": 0, "agent-trace": 127}
    assert unguarded.returncode == codes[gone]


def test_an_interpreter_that_will_be_gone_is_refused(user: User) -> None:
    refused = user.setup("--global", "--write", TMPDIR=str(Path(sys.prefix).parent))
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert "uv tool install agent-trace-otel" in refused.stderr
    assert not (user.home / ".claude").exists()
    assert user.setup("--write", TMPDIR=str(Path(sys.prefix).parent)).returncode == 0


@pytest.mark.parametrize(
    ("executable", "stays"),
    [
        ("/home/me/.cache/uv/archive-v0/x1/bin/python", False),
        ("/srv/uv-cache/environments-v2/x1/bin/python", False),
        ("/home/me/.local/pipx/.cache/x1/bin/python", False),
        ("/home/me/.cache/pipx/x1/bin/python", False),
        ("/Users/me/Library/Caches/uv/x/bin/python", False),
        ("C:\\Users\\me\\AppData\\Local\\uv\\cache\\archive-v0\\x\\Scripts\\python.exe", False),
        ("/home/me/.local/share/uv/tools/agent-trace-otel/bin/python", True),
        ("/home/me/.local/pipx/venvs/agent-trace-otel/bin/python", True),
        ("/home/me/.cache/something/bin/python", True),
    ],
)
def test_where_interpreters_are_temporary(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, executable: str, *, stays: bool
) -> None:
    monkeypatch.setattr(installation.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "executable", executable)
    if stays:
        installation.check_lasting()
    else:
        with pytest.raises(UsageError, match="will be gone"):
            installation.check_lasting()


def test_what_records_twice_is_pointed_out(user: User) -> None:
    theirs = {"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "agent-strace hook stop"}]}]}}
    path = user.project / ".claude" / "settings.local.json"
    path.parent.mkdir()
    path.write_text(json.dumps(theirs))
    said = f"{path} has hooks of agent-strace too, which record everything a second time: agent-strace hook stop\n"
    assert user.setup().stderr.count(said) == 1
    user.setup("--global", "--write")
    assert f"{user.home}/.claude/settings.json has our hooks too" in user.setup("--write").stderr
    assert json.loads(path.read_text()) == theirs


def test_settings_for_otlp_go_into_the_config_file(user: User) -> None:
    config = user.home / ".config" / "agent-trace" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("# mine\ntrace_dir = '/t'\n")
    wishes = ["--endpoint", "https://otlp.example", "--service-name", "me"]
    wishes += ["--header", "DD-API-KEY: k", "--header", "x: y z"]
    shown = user.setup(*wishes)
    assert f"with --write {config} gets service_name, otlp.endpoint, otlp.headers\n" in shown.stderr
    assert config.read_text() == "# mine\ntrace_dir = '/t'\n"
    done = user.setup("--write", "--redact", *wishes)
    assert f"set redact, service_name, otlp.endpoint, otlp.headers in {config}\n" in done.stdout
    assert config.stat().st_mode & 0o777 == 0o600
    assert config.read_text() == (
        "# mine\ntrace_dir = '/t'\nredact = true\nservice_name = \"me\"\n\n[otlp]\n"
        'endpoint = "https://otlp.example"\nheaders = { "DD-API-KEY" = "k", "x" = "y z" }\n'
    )
    off = user.setup("--write", "--no-redact")
    assert "redaction is OFF" in off.stderr
    assert "redact = false\n" in config.read_text()
    moved = user.setup("--write", "--endpoint", "https://other.example")
    assert "the headers set before are sent to it too (DD-API-KEY, x); --header replaces them\n" in moved.stderr


def test_a_new_config_file_is_the_users_alone(user: User) -> None:
    user.setup("--write", "--endpoint", "http://127.0.0.1:4318", XDG_CONFIG_HOME=str(user.home / "c"))
    folder = user.home / "c" / "agent-trace"
    assert (folder.stat().st_mode & 0o777, (folder / "config.toml").stat().st_mode & 0o777) == (0o700, 0o600)


@pytest.mark.parametrize(
    "arguments",
    [
        ["emacs"],
        ["--global", "--local"],
        ["--endpoint", "nonsense", "--write"],
        ["--header", "nonsense", "--write"],
        ["--remove", "--endpoint", "http://h"],
        ["--remove", "--no-redact"],
        ["--redact", "--no-redact"],
    ],
)
def test_what_makes_no_sense_is_said(user: User, arguments: list[str]) -> None:
    done = user.setup(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert user.files == []


def test_remove_sends_the_recorder_away(user: User) -> None:
    (user.hooks.state / state.STARTING).unlink()
    user.hooks.run(PAYLOAD, "Stop")
    wait_for((user.hooks.state / state.SOCKET).exists, "the recorder listens")
    status = control.ask(str(user.hooks.state), control.STATUS)
    assert status is not None
    done = user.setup("--remove")
    assert "the recorder finishes what it has and leaves\n" in done.stdout
    wait_for(lambda: not Path(f"/proc/{status['pid']}").exists(), "the recorder is gone")
    assert list((user.hooks.state / state.SPOOL).iterdir()) == []


KEY = "hcaik_pl4nted0123456789abcdef"


def test_a_back_end_by_its_name_goes_into_the_config_file_with_its_key(user: User) -> None:
    config = user.home / ".config" / "agent-trace" / "config.toml"
    shown = user.setup("--to", "honeycomb:eu", HONEYCOMB_API_KEY=KEY)
    assert f"with --write {config} gets otlp.to, otlp.keys\n" in shown.stderr
    assert "HONEYCOMB_API_KEY would be kept in" in shown.stderr
    assert (shown.returncode, config.exists()) == (0, False)
    done = user.setup("--write", "--to", "honeycomb:eu", HONEYCOMB_API_KEY=KEY, DD_API_KEY="other")
    assert f"set otlp.to, otlp.keys in {config}\n" in done.stdout
    assert "hooks don't get your environment, so HONEYCOMB_API_KEY is kept in" in done.stderr
    assert config.stat().st_mode & 0o777 == 0o600
    assert config.read_text() == f'[otlp]\nto = "honeycomb:eu"\nkeys = {{ "HONEYCOMB_API_KEY" = "{KEY}" }}\n'
    assert [path for path in user.project.rglob("*") if path.is_file() and KEY in path.read_text()] == []
    assert KEY not in shown.stdout + shown.stderr + done.stdout + done.stderr
    again = user.setup("--write", "--to", "honeycomb")
    assert (again.returncode, 'to = "honeycomb"\n' in config.read_text(), KEY in config.read_text()) == (0, True, True)


def test_a_back_end_and_an_endpoint_replace_each_other(user: User) -> None:
    config = user.home / ".config" / "agent-trace" / "config.toml"
    user.setup("--write", "--endpoint", "http://localhost:4318", "--header", "x: y")
    user.setup("--write", "--to", "phoenix")
    assert config.read_text() == '[otlp]\nto = "phoenix"\n'
    user.setup("--write", "--endpoint", "http://localhost:4318")
    assert config.read_text() == '[otlp]\nendpoint = "http://localhost:4318"\n'
    user.setup("--write", "--to", "phoenix", "--endpoint", "http://localhost:6007")
    assert config.read_text() == '[otlp]\nendpoint = "http://localhost:6007"\nto = "phoenix"\n'


def test_a_back_end_without_its_key_is_refused_before_anything_is_written(user: User) -> None:
    done = user.setup("--write", "--to", "datadog")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "DD_API_KEY is not set: Datadog wants an API key there" in done.stderr
    assert (user.files, (user.home / ".config").exists()) == ([], False)
    assert "no back end 'datadig': did you mean datadog?" in user.setup("--to", "datadig").stderr
