"""Targets as data -> attributes of other people's modules, wrapped on import and put back exactly.

Comes in: an `Instrumentor` subclass that lists its targets. Goes out: wrapt wrappers in their places. Called by
`agent_trace_otel.instrument` and, through entry points, by `opentelemetry-instrument`.

Instrumenting imports no library: a module that is there is patched at once, any other when the program imports it.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar, Final

import wrapt
from opentelemetry import context as context_api

from agent_trace_otel import guard

Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]
"""What stands around a call: ``(wrapped, instance, args, kwargs) -> result``, as wrapt calls it.

It calls ``wrapped`` exactly once, raises nothing of its own and lets the user's exceptions pass unchanged.
"""

_SUPPRESS_KEYS: Final = (
    "suppress_instrumentation",  # what instrumentations set
    str(getattr(context_api, "_SUPPRESS_INSTRUMENTATION_KEY", "")),  # what the SDK sets: another one in each process
)
_INHERITED: Final = object()


@dataclass(frozen=True, slots=True)
class Target:
    """One callable to wrap.

    Args:
        module: the module's name; it is never imported on the target's account.
        path: dotted path inside the module, such as ``Popen.__init__``.
        make_wrapper: called with the original once, when it is patched; what it raises means "can't be patched".
        while_suppressed: True for what only finishes what another target started: it runs in a context that suppresses
            instrumentation, too.
        may_be_missing: True for what some of the supported versions have not.
        is_replacement: True if what is made is put there as it is, without wrapt around it: for what is called too
            often. It has to see to suppression, and to being switched off, by itself.
    """

    module: str
    path: str
    make_wrapper: Callable[[Callable[..., Any]], Wrapper]
    while_suppressed: bool = False
    may_be_missing: bool = False
    is_replacement: bool = False

    def __str__(self) -> str:
        return f"{self.module}.{self.path}"


@dataclass(frozen=True, slots=True)
class Library:
    """The distribution that the targets belong to, and which versions of it are known to fit.

    Args:
        distribution: its name on the package index.
        oldest: the first supported version's numbers, such as ``(1, 40)``.
        before: the first version that is not supported any more; None for no such limit.
    """

    distribution: str
    oldest: tuple[int, ...]
    before: tuple[int, ...] | None = None

    @property
    def supported(self) -> str:
        """The versions that fit, as a specifier such as ``>=1.40,<3``."""
        return f">={_dotted(self.oldest)}" + (f",<{_dotted(self.before)}" if self.before else "")

    def fits(self, installed: str) -> bool:
        """Tell whether a version is among them."""
        # PEP 440: the release segment; a pre-release counts as the release that it leads to
        numbers = tuple(int(part) for part in re.split(r"[^\d.]", installed)[0].split(".") if part)
        return numbers >= self.oldest and (self.before is None or numbers < self.before)

    def misfit(self) -> str:
        """Return why the installed version does not fit, empty if it does."""
        from importlib.metadata import version

        installed = version(self.distribution)
        if self.fits(installed):
            return ""
        return f"{self.distribution} {installed} is installed, {self.supported} is supported"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


@dataclass(frozen=True, slots=True)
class Unpatched:
    """A target that is not traced, and why."""

    target: str
    reason: str


class _Patch:
    """A wrapper in its place, which can be taken out again."""

    def __init__(self, module: ModuleType, target: Target) -> None:
        self.target = target
        self._is_active = True
        self._owner, self._attribute, original = wrapt.resolve_path(module, target.path)
        self._replaced: object = vars(self._owner).get(self._attribute, _INHERITED)
        enabled = self._enabled_while_suppressed if target.while_suppressed else self._enabled
        made = target.make_wrapper(original)
        self._wrapper = made if target.is_replacement else wrapt.FunctionWrapper(original, made, enabled=enabled)
        wrapt.apply_patch(self._owner, self._attribute, self._wrapper)

    def remove(self) -> None:
        """Put the original back; under somebody else's wrapper ours stays in its place and passes calls through."""
        self._is_active = False
        if vars(self._owner).get(self._attribute) is not self._wrapper:
            return
        if self._replaced is _INHERITED:
            delattr(self._owner, self._attribute)
        else:
            setattr(self._owner, self._attribute, self._replaced)

    def _enabled(self) -> bool:
        return self._is_active and not is_suppressed()

    def _enabled_while_suppressed(self) -> bool:
        return self._is_active


def is_suppressed() -> bool:
    """Tell whether the current context asks instrumentations to be silent."""
    return any(context_api.get_value(key) for key in _SUPPRESS_KEYS)


class Instrumentor:
    """Base of all instrumentors; a subclass is a name, a list of targets and the functions that wrap them.

    What is patched belongs to the class, as a library belongs to the process: every instance answers for it, among them
    the one that `opentelemetry-instrument` makes for itself.

    Example:
        class GreetInstrumentor(Instrumentor):
            name = "greet"
            targets = (Target("greet", "hello", around_hello),)
            library = Library("greet", oldest=(1, 0))
    """

    name: ClassVar[str]
    """As in `agent_trace_instrumentors.INSTRUMENTORS`."""
    targets: ClassVar[Sequence[Target]]
    library: ClassVar[Library | None] = None
    """None for the standard library."""

    _lock: ClassVar[threading.RLock]
    _is_active: ClassVar[bool]
    _awaited: ClassVar[set[str]]
    _patches: ClassVar[list[_Patch]]
    _unpatched: ClassVar[dict[str, Unpatched]]

    def __init_subclass__(cls) -> None:
        cls._lock = threading.RLock()
        cls._is_active = False
        cls._awaited, cls._patches, cls._unpatched = set(), [], {}

    def instrument(self, **_kwargs: Any) -> None:
        """Patch what is imported and watch for the rest; a second call changes nothing.

        Keyword arguments are those of OpenTelemetry's own instrumentors (skip_dep_check, tracer_provider, ...): taken
        and not needed, since spans come from the provider that agent-trace-otel is set up with.
        """
        cls = type(self)
        with cls._lock:
            if cls._is_active:
                return
            cls._is_active = True
            for name in dict.fromkeys(target.module for target in self.targets):
                module = sys.modules.get(name)
                if module is not None:
                    cls._patch_module(module)
                elif name not in cls._awaited:
                    cls._awaited.add(name)
                    wrapt.register_post_import_hook(cls._imported, name)

    def uninstrument(self, **_kwargs: Any) -> None:
        """Put every original back; modules that are imported later stay as they are."""
        cls = type(self)
        with cls._lock:
            cls._is_active = False
            for patch in reversed(cls._patches):
                guard.guarded(f"restore {patch.target}")(patch.remove)()
            cls._patches.clear()
            cls._unpatched.clear()

    @property
    def is_active(self) -> bool:
        """Whether it is switched on."""
        return self._is_active

    @property
    def patched(self) -> tuple[str, ...]:
        """What is patched now."""
        return tuple(str(patch.target) for patch in self._patches)

    @property
    def unpatched(self) -> tuple[Unpatched, ...]:
        """What could not be patched, in a library that changed or does not fit; also logged once."""
        return tuple(self._unpatched.values())

    @classmethod
    def _imported(cls, module: ModuleType) -> None:
        """Patch a module that the program has just imported: wrapt calls this once a registration."""
        with cls._lock:
            cls._awaited.discard(module.__name__)
            if cls._is_active:
                cls._patch_module(module)

    @classmethod
    def _patch_module(cls, module: ModuleType) -> None:
        """Wrap the targets of a module; never raises, since it runs inside the program's own import statement."""
        for target in cls.targets:
            if target.module != module.__name__:
                continue
            try:
                misfit = cls.library.misfit() if cls.library is not None else ""
                if misfit:
                    raise LookupError(misfit)  # noqa: TRY301 - one way to tell of anything that can't be patched
                cls._patches.append(_Patch(module, target))
            except AttributeError as error:
                if not target.may_be_missing:
                    cls._cannot(target, error)
            except Exception as error:  # noqa: BLE001 - never the user's problem
                cls._cannot(target, error)

    @classmethod
    def _cannot(cls, target: Target, error: Exception) -> None:
        cls._unpatched[str(target)] = Unpatched(str(target), str(error) or type(error).__name__)
        guard.report(f"trace {target}", error)
