"""From a version's digest to what can be started: its files, and an interpreter that satisfies their lock."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from holdfast.digest import Digest
from holdfast.errors import NotFound
from holdfast.registry.interface import Registry
from holdfast.runtime.at_hand import archive_of
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.environment import Environments, Interpreter
from holdfast.runtime.limits import Limits
from holdfast.runtime.materialise import materialise
from holdfast.runtime.predictor import SERVED
from holdfast.store.interface import Store

__all__ = ["Opened", "Opener", "opener"]


@dataclass(frozen=True, slots=True)
class Opened:
    """A bundle on this machine, the interpreter to run it with, and what its process may use."""

    files: BundleFiles
    interpreter: Interpreter
    limits: Limits = SERVED


Opener: TypeAlias = Callable[[Digest], Opened]
"""Fetches a version; called in a thread, and may take as long as a download and an installation."""


def opener(
    store: Store,
    cache: Path,
    registry: Registry | None = None,
    environments: Environments | None = None,
    limits: Limits = SERVED,
) -> Opener:
    """The opener that takes bundles from the store and keeps them, and their environments, in `cache`.

    The registry is asked where a bundle is not in the store, for it may have been archived.
    """
    kept = environments or Environments(cache, store)

    def fetch(digest: Digest) -> Opened:
        try:
            files = materialise(store, digest, cache)
        except NotFound as error:
            if registry is not None and (archive := archive_of(digest, registry)) is not None:
                raise archive.away() from error
            raise
        return Opened(files, kept.interpreter_for(files), limits)

    return fetch
