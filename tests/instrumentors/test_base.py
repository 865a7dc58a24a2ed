"""Any instrumentor: patched on import, put back exactly, tolerant of libraries that changed, never in the way."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import wrapt
from opentelemetry import context as context_api

from agent_trace_instrumentors import INSTRUMENTORS, load
from agent_trace_instrumentors._base import Instrumentor, Library, Target
from agent_trace_otel import guard, instrument, uninstrument
from agent_trace_otel.errors import UsageError

LIBRARY = """
class Base:
    def inherited(self):
        return "inherited"

class Greeter(Base):
    def hello(self, name):
        return "hello " + name

    @staticmethod
    def static(name):
        return "static " + name

    @classmethod
    def of_class(cls, name):
        return cls.__name__ + " " + name

def shout(name):
    if not name:
        raise ValueError("nobody")
    return name.upper()
"""


def loud(_original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap with something that shows."""

    def wrapper(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return f"<{wrapped(*args, **kwargs)}>"

    return wrapper


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Put a library on the path under a name of this test's own; nobody has imported it yet."""
    name = f"greetings_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


@pytest.fixture(autouse=True)
def _fresh_failures() -> Iterator[None]:
    guard.failures.clear()
    yield
    guard.failures.clear()


def make(module: str, *paths: str, library: Library | None = None, while_suppressed: bool = False) -> Instrumentor:
    """Return an instrumentor of its own class for some attributes of a module."""
    listed = tuple(Target(module, path, loud, while_suppressed=while_suppressed) for path in paths)
    members: dict[str, Any] = {"name": "greetings", "targets": listed, "library": library}
    made: Instrumentor = type("GreetingsInstrumentor", (Instrumentor,), members)()
    return made


# -- patching ----------------------------------------------------------------------------------------------------


def test_a_library_is_patched_when_the_program_imports_it(library: str) -> None:
    instrumentor = make(library, "Greeter.hello", "shout")
    instrumentor.instrument()
    assert library not in sys.modules
    module = importlib.import_module(library)
    assert module.Greeter().hello("you") == "<hello you>"
    assert module.shout("you") == "<YOU>"
    assert instrumentor.unpatched == ()


def test_a_library_that_is_there_is_patched_at_once(library: str) -> None:
    module = importlib.import_module(library)
    greeter = module.Greeter()
    make(library, "Greeter.hello").instrument()
    assert greeter.hello("you") == "<hello you>"


def test_static_and_class_methods_keep_their_kind(library: str) -> None:
    module = importlib.import_module(library)
    make(library, "Greeter.static", "Greeter.of_class").instrument()
    assert module.Greeter.static("a") == module.Greeter().static("a") == "<static a>"
    assert module.Greeter.of_class("a") == module.Greeter().of_class("a") == "<Greeter a>"


def test_instrument_twice_wraps_once_whichever_instance_is_asked(library: str) -> None:
    module = importlib.import_module(library)
    instrumentor = make(library, "shout")
    instrumentor.instrument()
    instrumentor.instrument()
    type(instrumentor)().instrument(skip_dep_check=True, raise_exception_on_conflict=True, tracer_provider=None)
    assert module.shout("a") == "<A>"
    assert type(instrumentor)().is_active


def test_uninstrument_restores_the_originals_exactly(library: str) -> None:
    module = importlib.import_module(library)
    before = {**vars(module)}, {**vars(module.Greeter)}
    instrumentor = make(library, "Greeter.hello", "Greeter.static", "Greeter.of_class", "Greeter.inherited", "shout")
    instrumentor.instrument()
    assert module.Greeter().inherited() == "<inherited>"
    assert module.Base().inherited() == "inherited"
    instrumentor.uninstrument(tracer_provider=None)
    assert ({**vars(module)}, {**vars(module.Greeter)}) == before
    assert "inherited" not in vars(module.Greeter)
    assert not instrumentor.is_active


def test_on_again_wraps_once_again(library: str) -> None:
    module = importlib.import_module(library)
    instrumentor = make(library, "shout")
    for _ in range(3):
        instrumentor.instrument()
        assert module.shout("a") == "<A>"
        instrumentor.uninstrument()
        assert module.shout("a") == "A"


def test_switched_off_before_the_import_patches_nothing(library: str) -> None:
    instrumentor = make(library, "shout")
    instrumentor.instrument()
    instrumentor.uninstrument()
    assert importlib.import_module(library).shout("a") == "A"


def test_off_and_on_before_the_import_patches_once(library: str) -> None:
    instrumentor = make(library, "shout")
    instrumentor.instrument()
    instrumentor.uninstrument()
    instrumentor.instrument()
    assert importlib.import_module(library).shout("a") == "<A>"


def test_under_somebody_elses_wrapper_ours_falls_silent_and_theirs_stays(library: str) -> None:
    module = importlib.import_module(library)
    instrumentor = make(library, "shout")
    instrumentor.instrument()
    wrapt.wrap_function_wrapper(module, "shout", lambda wrapped, _i, args, kwargs: f"[{wrapped(*args, **kwargs)}]")
    assert module.shout("a") == "[<A>]"
    instrumentor.uninstrument()
    assert module.shout("a") == "[A]"
    instrumentor.instrument()
    assert module.shout("a") == "<[A]>"


# -- what does not fit -------------------------------------------------------------------------------------------


def test_a_missing_attribute_is_listed_and_logged_once_and_the_rest_is_patched(
    library: str, caplog: pytest.LogCaptureFixture
) -> None:
    instrumentor = make(library, "Greeter.gone", "Missing.hello", "shout")
    instrumentor.instrument()
    with caplog.at_level(logging.WARNING, logger="agent_trace_otel"):
        module = importlib.import_module(library)
    assert module.shout("a") == "<A>"
    assert [found.target for found in instrumentor.unpatched] == [f"{library}.Greeter.gone", f"{library}.Missing.hello"]
    assert "gone" in instrumentor.unpatched[0].reason
    assert len(caplog.records) == 2
    assert f"could not trace {library}.Greeter.gone" in caplog.text
    instrumentor.uninstrument()
    assert instrumentor.unpatched == ()


def test_a_wrapper_that_cant_be_made_does_not_break_the_import(library: str) -> None:
    def refuse(_original: Callable[..., Any]) -> Callable[..., Any]:
        raise LookupError

    broken = make(library)
    type(broken).targets = (Target(library, "shout", refuse),)
    broken.instrument()
    assert importlib.import_module(library).shout("a") == "A"
    assert broken.unpatched[0].reason == "LookupError"


@pytest.mark.parametrize(
    ("installed", "oldest", "before", "fits"),
    [
        ("1.2.3", (1, 0), None, True),
        ("1.2.3", (1, 2, 3), (2,), True),
        ("2.0rc1", (1, 0), (2,), False),
        ("2.0.0", (1, 0), (2,), False),
        ("0.9", (1,), None, False),
        ("1.10", (1, 9), None, True),
        ("1.0.0.dev5+local.7", (1, 0), (2,), True),
    ],
)
def test_versions_outside_the_declared_range_are_left_alone(  # noqa: PLR0913 - a table
    library: str,
    tmp_path: Path,
    installed: str,
    oldest: tuple[int, ...],
    before: tuple[int, ...] | None,
    fits: bool,
) -> None:
    about = tmp_path / f"{library}-{installed}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {library}\nVersion: {installed}\n")
    instrumentor = make(library, "shout", library=Library(library, oldest, before))
    instrumentor.instrument()
    assert importlib.import_module(library).shout("a") == ("<A>" if fits else "A")
    if not fits:
        assert f"{library} {installed} is installed, >=" in instrumentor.unpatched[0].reason


def test_a_library_without_metadata_is_left_alone(library: str) -> None:
    instrumentor = make(library, "shout", library=Library(library, (1,)))
    instrumentor.instrument()
    assert importlib.import_module(library).shout("a") == "A"
    assert len(instrumentor.unpatched) == 1


# -- calls -------------------------------------------------------------------------------------------------------


def test_the_users_exceptions_pass_unchanged(library: str) -> None:
    module = importlib.import_module(library)
    make(library, "shout").instrument()
    with pytest.raises(ValueError, match="nobody") as raised:
        module.shout("")
    assert type(raised.value) is ValueError
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


@pytest.mark.parametrize("key", ["suppress_instrumentation", context_api._SUPPRESS_INSTRUMENTATION_KEY])
def test_a_suppressed_context_silences_all_but_what_finishes(library: str, key: str) -> None:
    module = importlib.import_module(library)
    make(library, "shout").instrument()
    make(library, "Greeter.hello", while_suppressed=True).instrument()
    token = context_api.attach(context_api.set_value(key, value=True))
    try:
        assert module.shout("a") == "A"
        assert module.Greeter().hello("a") == "<hello a>"
    finally:
        context_api.detach(token)
    assert module.shout("a") == "<A>"


# -- by name -----------------------------------------------------------------------------------------------------


def test_without_names_no_opt_in_is_switched_on() -> None:
    try:
        assert set(instrument()) == {name for name, entry in INSTRUMENTORS.items() if not entry.opt_in}
    finally:
        assert uninstrument() == ()


def test_by_name_opt_ins_are_switched_on_and_off() -> None:
    try:
        assert "subprocesses" in instrument("subprocesses")
        assert isinstance(vars(subprocess.Popen)["__init__"], wrapt.FunctionWrapper)
    finally:
        assert "subprocesses" not in uninstrument("subprocesses")
    assert not isinstance(vars(subprocess.Popen)["__init__"], wrapt.FunctionWrapper)


def test_an_unknown_name_is_told_and_nothing_is_switched_on() -> None:
    with pytest.raises(UsageError, match="no instrumentor 'subproces'; did you mean 'subprocesses'"):
        instrument("subprocesses", "subproces")
    with pytest.raises(UsageError, match=r"no instrumentor 'zzz'; there are: .*subprocesses"):
        uninstrument("zzz")
    assert not isinstance(vars(subprocess.Popen)["__init__"], wrapt.FunctionWrapper)


@pytest.mark.parametrize("name", INSTRUMENTORS)
def test_every_instrumentor_is_what_the_table_says(name: str) -> None:
    found = load(name)
    assert issubclass(found, Instrumentor)
    assert found.name == name
    assert found.targets


@pytest.mark.parametrize("name", INSTRUMENTORS)
def test_every_target_lies_in_a_module_that_is_watched(name: str) -> None:
    modules = INSTRUMENTORS[name].modules
    targets = {target.module for target in load(name).targets}
    beyond = {module for module in targets if not f"{module}.".startswith(tuple(f"{above}." for above in modules))}
    assert not modules or beyond == set(), "`agent-trace run` would not see it imported: name it in `watches`"
    assert modules or all(module.split(".")[0] in sys.stdlib_module_names for module in targets)


PROGRAM = """
import sys
import wrapt
import agent_trace_otel.spans
import agent_trace_otel
before = set(sys.modules)
agent_trace_otel.instrument(*{names!r})
print(sorted(name for name in set(sys.modules) - before if not name.startswith("agent_trace_")))
"""


def test_instrumenting_imports_no_library() -> None:
    program = PROGRAM.format(names=sorted(INSTRUMENTORS))
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"
    assert shown.stderr == ""
