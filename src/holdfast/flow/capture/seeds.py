"""The seeds of a process: watched, and set when asked.

Standard library only, and nothing of Holdfast: this file is also executed by path inside the user's own process, whose
interpreter may be older (Python 3.8) and may not have Holdfast at all.

    watch = SeedWatch()
    watch.start()                  # random.seed, numpy.random.seed, numpy.random.default_rng, torch.manual_seed
    ...                            # the training
    watch.calls()                  # [{"name": "random.seed", "value": 7, "order": 1, "times": 1, "by_holdfast": False}]
    watch.stop()                   # every function is the original again

A library that is imported later is wrapped when it arrives, and seeded then when `seed` was given.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself is never imported: that alone would take as long as everything else here
    from collections.abc import Callable
    from typing import Any

__all__ = ["SeedWatch", "set_seeds"]

_TARGETS = {
    "random": {"seed": "random.seed"},
    "numpy.random": {"seed": "numpy.random.seed", "default_rng": "numpy.random.default_rng"},
    "torch": {"manual_seed": "torch.manual_seed"},
    "torch.random": {"manual_seed": "torch.manual_seed"},
}
"""Module, function in it, and the name under which a call is told."""

_NUMPY_SEEDS = 2**32
"""NumPy's legacy generator takes seeds below this; a larger one is taken modulo."""

_TEXT_MAX = 200
"""Characters of a seed that is text: it is evidence to read, not data."""


_SEED_NOTHING = {"NoneType", "Generator", "RandomState"}
"""`default_rng()` of these is no seed: it draws one, or passes a generator on."""

_LIBRARIES = ("site-packages", "dist-packages")


def _by_library() -> bool:
    """Whether the call being noted was made by a library: they make generators of their own all the time."""
    frame = sys._getframe(3)  # noqa: SLF001 - the only way to a caller; 1 is note, 2 the wrapper, 3 who called it
    return any(name in frame.f_code.co_filename for name in _LIBRARIES)


def set_seeds(seed: int) -> list[str]:
    """Seeds every generator that is loaded already, and says which.

    `PYTHONHASHSEED` cannot be set in a running process; `run_command` sets it before the process starts.
    """
    return [name for module in _TARGETS for name in _seed_module(module, seed)]


def _seed_module(name: str, seed: int) -> list[str]:
    module = sys.modules.get(name)
    if name == "random" and module is not None:
        module.seed(seed)
        return ["random.seed"]
    if name == "numpy.random" and module is not None and hasattr(module, "seed"):
        module.seed(seed % _NUMPY_SEEDS)
        return ["numpy.random.seed"]
    if name == "torch" and module is not None and hasattr(module, "manual_seed"):
        module.manual_seed(seed)
        return ["torch.manual_seed"]
    return []


def _value(seed: Any) -> Any:
    """A JSON value for what was passed as a seed."""
    if seed is None or isinstance(seed, (bool, float)):
        return seed
    if hasattr(seed, "__index__"):
        return seed.__index__()
    if isinstance(seed, (str, bytes)):
        return repr(seed)[:_TEXT_MAX]
    if isinstance(seed, (list, tuple)):
        return repr(seed)[:_TEXT_MAX]
    return type(seed).__name__


class SeedWatch:
    """Wraps the seeding functions so that their calls are known.

    Args:
        seed: set in every library as it becomes available; None leaves seeding to the user.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.failures = 0
        self._seed = seed
        self._calls: dict[str, dict[str, Any]] = {}
        self._order = 0
        self._by_holdfast = False
        self._wrapped: list[tuple[Any, str, Any, Any]] = []
        self._finder = _LaterImports(self._arrived)

    def start(self) -> None:
        """Wraps what is loaded, and waits for the rest."""
        for name in _TARGETS:
            if name in sys.modules:
                self._arrived(sys.modules[name])
        sys.meta_path.insert(0, self._finder)

    def stop(self) -> None:
        """Puts every original back, unless somebody else has replaced it since."""
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        for module, name, original, wrapper in reversed(self._wrapped):
            if getattr(module, name, None) is wrapper:
                setattr(module, name, original)
        self._wrapped.clear()

    def calls(self) -> list[dict[str, Any]]:
        """The last call of each seeding function, in the order in which they were made."""
        return sorted((dict(call) for call in self._calls.values()), key=lambda call: call["order"])

    def _arrived(self, module: Any) -> None:
        for name, told in _TARGETS[module.__name__].items():
            original = getattr(module, name, None)
            if original is None:
                continue
            if getattr(original, "_holdfast_watch", None) is self:
                # Imported from a module whose function is wrapped already: only the way back is needed.
                self._wrapped.append((module, name, original.__wrapped__, original))
                continue
            wrapper = _wrap(original, self, told)
            setattr(module, name, wrapper)
            self._wrapped.append((module, name, original, wrapper))
        if self._seed is not None:
            self._by_holdfast = True
            try:
                _seed_module(module.__name__, self._seed)
            finally:
                self._by_holdfast = False

    def note(self, told: str, args: Any, keywords: Any) -> None:
        """Remembers a call; never raises."""
        try:
            seed = args[0] if args else next(iter(keywords.values()), None)
            if told.endswith("default_rng") and (type(seed).__name__ in _SEED_NOTHING or _by_library()):
                return
            self._order += 1
            times = self._calls.get(told, {}).get("times", 0) + 1
            self._calls[told] = {
                "name": told,
                "value": _value(seed),
                "order": self._order,
                "times": times,
                "by_holdfast": self._by_holdfast,
            }
        except Exception:  # noqa: BLE001 - the edge of the user's process: their seeding must not fail because we looked
            self.failures += 1


def _wrap(original: Callable[..., Any], watch: SeedWatch, told: str) -> Callable[..., Any]:
    def seeded(*args: Any, **keywords: Any) -> Any:
        watch.note(told, args, keywords)
        return original(*args, **keywords)

    # functools.wraps would do this; importing functools would cost the start of every process.
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        if hasattr(original, name):
            setattr(seeded, name, getattr(original, name))
    seeded.__wrapped__ = original  # type: ignore[attr-defined]
    seeded._holdfast_watch = watch  # type: ignore[attr-defined]  # noqa: SLF001 - our own mark on our own function
    return seeded


class _LaterImports:
    """A meta-path finder that finds nothing itself: it hears when a watched module has been executed."""

    def __init__(self, arrived: Callable[[Any], None]) -> None:
        self.failures = 0
        self._arrived = arrived
        self._asking = False

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The spec that the other finders give, with a loader that tells us once it is done."""
        if name not in _TARGETS or self._asking:
            return None
        self._asking = True
        try:
            spec = self._ask_others(name, path, target)
        finally:
            self._asking = False
        if spec is not None and spec.loader is not None:
            self._listen(spec.loader)
        return spec

    def _ask_others(self, name: str, path: Any, target: Any) -> Any:
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None and finder is not self else None
            if spec is not None:
                return spec
        return None

    def _listen(self, loader: Any) -> None:
        original = loader.exec_module

        def exec_module(module: Any) -> None:
            # The loader is as it was before the module can look at it.
            del loader.exec_module
            original(module)
            try:
                self._arrived(module)
            except Exception:  # noqa: BLE001 - the edge of the user's process: their import must not fail because of us
                self.failures += 1

        try:
            loader.exec_module = exec_module
        except (AttributeError, TypeError):
            return  # A loader that takes no attributes goes unwatched.
