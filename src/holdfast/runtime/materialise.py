"""From the store to a directory: the one way in which a bundle comes out of the store."""

import shutil
from pathlib import Path
from uuid import uuid4

from holdfast.digest import Digest
from holdfast.errors import AlreadyExists, HoldfastError
from holdfast.manifest import MANIFEST_BYTES_MAX, MANIFEST_NAME, Manifest
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.store.disk import refusing
from holdfast.store.interface import Store

__all__ = ["checkout_bundle", "materialise", "read_manifest"]


def read_manifest(store: Store, digest: Digest) -> Manifest:
    """The manifest of the version `digest`, verified.

    Raises:
        NotFound: the store does not hold it.
        IntegrityError: what it holds is something else.
    """
    return Manifest.parse(store.read(digest, bytes_max=MANIFEST_BYTES_MAX), expected=digest)


def materialise(store: Store, digest: Digest, cache: Path) -> BundleFiles:
    """The bundle in the cache, checked out if it is not there; files are verified again whenever they are read."""
    folder = cache / "bundles" / digest.hex
    if folder.is_dir():
        try:
            return BundleFiles.open(folder, expected=digest).verified()
        except HoldfastError:
            # A damaged copy in the cache costs one more checkout and nothing else.
            shutil.rmtree(folder, ignore_errors=True)
    with refusing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        return checkout_bundle(store, digest, folder)
    except AlreadyExists:
        return BundleFiles.open(folder, expected=digest)


def checkout_bundle(store: Store, digest: Digest, folder: Path) -> BundleFiles:
    """Write the bundle into `folder`, which must not exist or be empty; it appears whole or not at all.

    Raises:
        AlreadyExists: the folder holds something.
        NotFound: the store lacks a file of the bundle.
        IntegrityError: a blob is damaged.
        NoSpace, PermissionRefused: the folder cannot be written.
    """
    manifest = read_manifest(store, digest)
    with refusing(folder):
        taken = folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir())))
    if taken:
        raise AlreadyExists(f"{folder} is not empty", hint="Name a folder that does not exist yet.", path=str(folder))
    scratch = folder.with_name(f".{folder.name}.{uuid4().hex}")
    try:
        with refusing(folder):
            scratch.mkdir(parents=True, mode=0o700)
            for entry in manifest.files:
                target = scratch / str(entry.path)
                target.parent.mkdir(parents=True, exist_ok=True)
                store.copy_to(entry.digest, target, mode=0o644)
            (scratch / MANIFEST_NAME).write_bytes(manifest.encode())
        try:
            scratch.rename(folder)
        except OSError as error:
            raise AlreadyExists(
                f"{folder} was filled by somebody else meanwhile", hint="Use it, or name another.", path=str(folder)
            ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return BundleFiles.open(folder, expected=digest)
