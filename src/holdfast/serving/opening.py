"""From a version's digest to what can be started: its files, and an interpreter that satisfies their lock."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from holdfast.digest import Digest
from holdfast.errors import IntegrityError, NotFound, Unavailable
from holdfast.names import ByDigest, Reference
from holdfast.registry.interface import Registry
from holdfast.runtime.at_hand import archive_of
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.environment import Environments, Interpreter
from holdfast.runtime.limits import Limits
from holdfast.runtime.materialise import materialise
from holdfast.runtime.predictor import SERVED
from holdfast.runtime.signed import keep_signature, kept_signature_holds, require_signed
from holdfast.serving.queueing import Batching
from holdfast.store.interface import Store

__all__ = ["Opened", "Opener", "opener"]


@dataclass(frozen=True, slots=True)
class Opened:
    """A bundle on this machine, the interpreter to run it with, and how.

    Attributes:
        files: the bundle.
        interpreter: what satisfies its lock.
        limits: what its process may use.
        batching: how its requests are answered together, where it answers each row for itself; None: one by one.
    """

    files: BundleFiles
    interpreter: Interpreter
    limits: Limits = SERVED
    batching: Batching | None = None


Opener: TypeAlias = Callable[[Digest], Opened]
"""Fetches a version; called in a thread, and may take as long as a download and an installation."""


def opener(
    store: Store,
    cache: Path,
    registry: Registry | None = None,
    environments: Environments | None = None,
    *,
    limits: Limits = SERVED,
    signed_by: Collection[Digest] = (),
    batching: Batching | None = None,
) -> Opener:
    """The opener that takes bundles from the store and keeps them, and their environments, in `cache`.

    Args:
        store: has the bundles.
        cache: where they are kept on this machine.
        registry: asked where a bundle is not in the store, for it may have been archived; and for signatures.
        environments: where the interpreters come from; None: built in `cache`.
        limits: what a worker may use.
        signed_by: fingerprints of keys, one of which must have signed a bundle before anything of it is started; empty:
            none is asked for. They are this machine's own: whoever may write to the registry cannot change them.
        batching: how requests are answered together; None: one by one.
    """
    kept = environments or Environments(cache, store)

    def fetch(digest: Digest) -> Opened:
        try:
            files = materialise(store, digest, cache)
        except NotFound as error:
            if registry is not None and (archive := archive_of(digest, registry)) is not None:
                raise archive.away() from error
            raise
        if signed_by:
            _require_signed(files, registry, signed_by, cache / "vouched" / files.digest.hex)
        return Opened(files, kept.interpreter_for(files), limits, batching)

    return fetch


def _require_signed(files: BundleFiles, registry: Registry | None, signed_by: Collection[Digest], kept: Path) -> None:
    """Makes sure that a key signed the files that the worker will read, each of which it hashes against the manifest.

    A signature proves itself: one that was good is kept on this machine, for when the registry is away.

    Raises:
        IntegrityError: none of these keys did.
        Unavailable: the registry is away, and no such signature was kept.
    """
    if registry is None:
        raise IntegrityError("nobody keeps signatures here", hint="Open the bundle through a registry.")
    try:
        version = registry.resolve(Reference(files.manifest.model, ByDigest(str(files.digest))))
        vouched = require_signed(version, files.manifest, registry, signed_by)
    except Unavailable:
        if not kept_signature_holds(files.manifest, kept, signed_by):
            raise
    else:
        keep_signature(vouched, kept)
