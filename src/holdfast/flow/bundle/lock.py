"""The lock of a bundle: pins for everything that opening it will import."""

import ast
import re
from collections.abc import Iterable, Mapping

from holdfast.flow.bundle.modules import parsed
from holdfast.flow.capture.probe import used_distributions

__all__ = ["completed_lock", "imported_by"]

_NAMED = re.compile(r"\s*(?:([A-Za-z0-9][A-Za-z0-9._-]*)|#\s*([A-Za-z0-9][A-Za-z0-9._-]*)==)")
"""A requirement of any kind, or the comment that stands where a pin would bring something else."""


def completed_lock(lock: str, modules: Iterable[str]) -> str:
    """The lock, with a pin for every distribution that brings one of the modules and that it does not name yet.

    A run pins what training used. Opening the bundle needs more: what reads the weights, and the kind of frame that the
    holdout came in. Those are pinned as they are here, where the bundle is about to show that it works.
    """
    named = {_key(match[1] or match[2]) for line in lock.splitlines() if (match := _NAMED.match(line))}
    found = used_distributions({module.partition(".")[0] for module in modules})
    pins = [f"{one.name}=={one.version}\n" for one in found if _key(one.name) not in named]
    return lock + ("\n" if lock and not lock.endswith("\n") and pins else "") + "".join(pins)


def imported_by(sources: Mapping[str, bytes]) -> set[str]:
    """The top-level modules that these sources import."""
    found: set[str] = set()
    for name, source in sources.items():
        for node in ast.walk(parsed(source, name)):
            if isinstance(node, ast.Import):
                found.update(one.name.partition(".")[0] for one in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.partition(".")[0])
    return found


def _key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
