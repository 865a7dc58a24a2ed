"""Inside the processes of a run: what is imported before the program, which libraries are traced, what is kept."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from runs import PYTHON, Ended, Place

from agent_trace_instrumentors import INSTRUMENTORS

ACTIVE = """
import sys
before = sorted(name for name in sys.modules if name.split(".")[0] in ("wrapt", "opentelemetry", "asyncio", "typing"))
import {library}
loaded = sorted(name for name in ("wrapt", "opentelemetry.sdk", "opentelemetry.exporter") if name in sys.modules)
from agent_trace_otel import instrumentation
print([before, loaded, list(instrumentation._active())])
"""
CUSTOM = (
    "import sys\nprint('custom', __name__, sys.modules[__name__].__file__ == __file__, 'run/site' in str(sys.path))\n"
)


WITH_LIB = f'PYTHONPATH="$PYTHONPATH:lib" exec {PYTHON} x.py'


def library(place: Place, name: str, *modules: str, version: str = "1.0") -> None:
    """Write a library that stands in for a real one."""
    for module in ("__init__", *modules):
        place.write(f"lib/{name}/{module}.py", "")
    place.write(
        f"lib/{name}-{version}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    )


# -- which libraries -----------------------------------------------------------------------------------------------


def active(place: Place, name: str, *options: str) -> list[list[str]]:
    """Return what is loaded before a library's import, what after it, and which instrumentors are on then."""
    place.write("x.py", ACTIVE.format(library=name))
    ran = place.run(PYTHON, "x.py", options=options, PYTHONPATH=str(place.path / "lib"))
    assert (ran.code, ran.err) == (0, "")
    found: list[list[str]] = ast.literal_eval(ran.out)
    return found


def test_a_library_is_traced_when_it_is_imported_and_nothing_is_loaded_before(place: Place) -> None:
    library(place, "ollama", "_client")
    before, loaded, on = active(place, "ollama")
    assert before == []
    assert "wrapt" in loaded
    assert on == ["ollama"]


def test_another_library_switches_nothing_on(place: Place) -> None:
    assert active(place, "json") == [[], [], []]


@pytest.mark.parametrize(
    ("options", "expected"),
    [(["--skip", "mcp,ollama"], []), (["--only", "ollama", "--skip", "mcp"], ["ollama"])],
)
def test_libraries_may_be_chosen(place: Place, options: list[str], expected: list[str]) -> None:
    library(place, "ollama", "_client")
    assert active(place, "ollama", *options)[2] == expected


def test_what_has_to_be_asked_for_is_on_from_the_start(place: Place) -> None:
    assert active(place, "json", "--subprocesses")[2] == ["subprocesses"]
    assert active(place, "json", "--only", "subprocesses")[2] == ["subprocesses"]


def test_with_files_what_an_unchanged_program_opens_is_told(place: Place) -> None:
    place.write(
        "x.py",
        "import pathlib, sys\nopen('/etc/hostname').close()\nprint('opentelemetry.sdk' in sys.modules)\n"
        "pathlib.Path('a.txt').write_text('four')\nprint(open('a.txt').read(), type(open('a.txt')).__name__)\n",
    )
    ran = place.run(PYTHON, "-W", "ignore", "x.py", options=["--files"])
    assert ran == Ended(0, "False\nfour TextIOWrapper\n", "")
    told = [(event.event_type, event.data["uri"], event.data.get("bytes")) for event in place.recorded.events()[1:-1]]
    path = str(place.path / "a.txt")
    assert told == [("file_write", path, 4), ("file_read", path, 4), ("file_read", path, None)]
    assert place.problems() == []


def test_a_library_that_is_not_installed_is_missed_as_ever(place: Place) -> None:
    place.write("x.py", "import no_such_module_anywhere, ollamas")
    assert place.run(PYTHON, "x.py") == place.direct(PYTHON, "x.py", AGENT_TRACE_DIR="")
    place.write(
        "x.py", "import sys\ntry:\n    import litellm.nothing\nexcept ImportError:\n    print('wrapt' in sys.modules)"
    )
    assert place.run(PYTHON, "x.py").out == "False\n"


def test_a_namespace_package_is_found_by_what_is_in_it(place: Place) -> None:
    place.write("lib/google/genai/__init__.py", "import google.genai.models\n")
    place.write("lib/google/genai/models.py", "")
    place.write("x.py", "import google.genai, google\nprint(google.__path__ != [], google.genai.models.__name__)")
    ran = place.run(PYTHON, "-S", "x.py", PYTHONPATH=str(place.path / "lib"))
    assert ran.out == "True google.genai.models\n"


def test_what_a_library_raises_when_it_is_imported_passes(place: Place) -> None:
    place.write("lib/ollama/__init__.py", "raise RuntimeError('built for another machine')\n")
    place.write("x.py", "import ollama")
    path = str(place.path / "lib")
    direct, ran = place.direct(PYTHON, "x.py", PYTHONPATH=path), place.run(PYTHON, "x.py", PYTHONPATH=path)
    assert ran.err.splitlines()[-1] == direct.err.splitlines()[-1] == "RuntimeError: built for another machine"
    assert "agent_trace" not in ran.err


@pytest.mark.parametrize("name", INSTRUMENTORS)
def test_every_instrumentor_can_be_chosen(name: str) -> None:
    from agent_trace_otel import instrumentation

    assert list(instrumentation.watched([name])) == [name]
    assert name not in instrumentation.watched(skip=[name], also=[name])


# -- spans that libraries make by themselves ------------------------------------------------------------------------

NATIVE = """
from opentelemetry import trace
tracer = trace.get_tracer("library", "1.0")
def chat():
    told = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt"}
    with tracer.start_as_current_span("chat gpt", attributes=told):
        tracer.start_span("http").end()
"""


def test_a_librarys_own_spans_are_recorded_without_a_provider(place: Place) -> None:
    place.write("x.py", NATIVE + "print(type(trace.get_tracer_provider()).__name__)\nchat()\n")
    ran = place.run(PYTHON, "x.py")
    assert ran == Ended(0, "ProxyTracerProvider\n", "")
    assert place.types() == ["session_start", "llm_request", "llm_response", "session_end"]
    http, call, root = place.recorded.spans()
    assert http.parent is not None
    assert call.parent is not None
    assert (http.parent.span_id, call.parent.span_id) == (call.context.span_id, root.context.span_id)
    assert call.instrumentation_scope is not None
    assert (call.instrumentation_scope.name, call.instrumentation_scope.version) == ("library", "1.0")


def test_a_provider_that_the_program_sets_up_later_is_the_one_and_is_joined(place: Place) -> None:
    place.write(
        "x.py",
        NATIVE + "from opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.trace.export import SimpleSpanProcessor\n"
        "from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter\n"
        "chat()\nmine, provider = InMemorySpanExporter(), TracerProvider()\n"
        "provider.add_span_processor(SimpleSpanProcessor(mine))\ntrace.set_tracer_provider(provider)\n"
        "print(trace.get_tracer_provider() is provider)\nchat()\n"
        "print([span.name for span in mine.get_finished_spans()])\n",
    )
    assert place.run(PYTHON, "x.py") == Ended(0, "True\n['http', 'chat gpt']\n", "")
    assert place.types() == ["session_start", *["llm_request", "llm_response"] * 2, "session_end"]


# -- what is kept ----------------------------------------------------------------------------------------------------


def test_targets_that_cant_be_patched_are_kept_for_doctor_and_shown_to_nobody(place: Place) -> None:
    library(place, "ollama", "_client", version="0.0.1")
    place.write("x.py", "import ollama._client\nprint('ran')")
    ran = place.run(PYTHON, "x.py", PYTHONPATH=str(place.path / "lib"))
    assert ran == Ended(0, "ran\n", "")
    kept = place.problems()
    assert kept
    assert {problem.session for problem in kept} == set(place.recorded.sessions())
    assert all(problem.what.startswith("trace ollama._client.") for problem in kept)
    assert all("ollama 0.0.1 is installed" in problem.why for problem in kept)
    assert {problem.program for problem in kept} == {PYTHON}


def test_a_broken_instrumentor_is_kept_and_the_library_works(place: Place) -> None:
    library(place, "ollama", "_client")
    place.write("lib/wrapt/__init__.py", "raise RuntimeError('no wrapt here')\n")
    place.write("x.py", "import ollama\nprint('ran')")
    ran = place.run("sh", "-c", WITH_LIB)
    assert ran == Ended(0, "ran\n", "")
    assert [(problem.what, problem.why) for problem in place.problems()] == [
        ("trace ollama", "RuntimeError: no wrapt here")
    ]


# -- other people's sitecustomize --------------------------------------------------------------------------------------


def customized(place: Place, text: str) -> tuple[Ended, Ended]:
    """Return the ends of a program that has a sitecustomize of its own, started directly and by run."""
    place.write("lib/sitecustomize.py", text)
    place.write("x.py", "import sys\nmodule = sys.modules.get('sitecustomize')\nprint(module and module.__file__)\n")
    command = ["sh", "-c", WITH_LIB]  # not for the command itself, which is a Python as well
    return place.direct(*command), place.run(*command)


def test_the_users_own_sitecustomize_is_imported_once_under_its_name(place: Place) -> None:
    direct, ran = customized(place, CUSTOM)
    assert ran == direct
    assert ran.out == f"custom sitecustomize True False\n{place.path}/lib/sitecustomize.py\n", ran


@pytest.mark.parametrize("text", ["raise ValueError('broken')", "raise ImportError('x', name='sitecustomize')", "("])
def test_a_broken_sitecustomize_is_told_of_as_ever(place: Place, text: str) -> None:
    direct, ran = customized(place, text)
    assert ran == direct
    assert direct.out == "None\n"


def test_a_sitecustomize_that_leaves_leaves(place: Place) -> None:
    direct, ran = customized(place, "import sys; sys.exit(9)")
    assert (ran.code, ran.out) == (direct.code, direct.out)
    assert ran.err.splitlines()[-1] == direct.err.splitlines()[-1] == "SystemExit: 9"


def test_a_package_or_zip_may_be_the_sitecustomize(place: Place) -> None:
    place.write("lib/sitecustomize/__init__.py", "from sitecustomize import more\n")
    place.write("lib/sitecustomize/more.py", "print('more')\n")
    place.write("x.py", "import sitecustomize.more\n")
    assert place.run("sh", "-c", WITH_LIB) == Ended(0, "more\n", "")


def test_pythonpath_stays_what_it_was_for_the_program_and_traces_its_children(place: Place) -> None:
    for name in ("a", "b"):
        place.write(f"{name}/mod_{name}.py", "")
    place.write("x.py", "import mod_a, mod_b, sys; print(sys.path)")
    path = f"{place.path / 'a'}:{place.path / 'b'}::relative"
    assert place.run(PYTHON, "x.py", PYTHONPATH=path) == place.direct(PYTHON, "x.py", PYTHONPATH=path)


def test_pth_files_come_first_as_ever(place: Place, tmp_path_factory: pytest.TempPathFactory) -> None:
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("with pth")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = Path(folder).glob("lib/*/site-packages")
    (packages / "first.pth").write_text("import sys; sys.first = 'sitecustomize' in sys.modules\n")
    place.write("x.py", "import sys; print(sys.first)")
    python = str(folder / "bin" / "python")
    assert place.run(python, "x.py").out == place.direct(python, "x.py").out == "False\n"
