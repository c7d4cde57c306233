"""A bundle as a directory, of which no byte is believed before it has been hashed."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import IntegrityError, NotFound
from holdfast.manifest import MANIFEST_BYTES_MAX, MANIFEST_NAME, Manifest
from holdfast.names import RelativePath

__all__ = ["BundleFiles"]


@dataclass(frozen=True, slots=True)
class BundleFiles:
    """The files of one bundle.

    Attributes:
        root: the directory.
        manifest: what the directory must hold.
        digest: the version's digest: the SHA-256 of the manifest's bytes.
    """

    root: Path
    manifest: Manifest
    digest: Digest

    @classmethod
    def open(cls, root: Path, *, expected: Digest | None = None) -> "BundleFiles":
        """The bundle in the directory `root`.

        Args:
            root: a directory with a `holdfast.json`.
            expected: the version's digest, when the caller knows it.

        Raises:
            NotFound: no bundle there.
            IntegrityError: it is not the version that was expected.
        """
        data = _read(root, MANIFEST_NAME, MANIFEST_BYTES_MAX + 1)
        return cls(root, Manifest.parse(data, expected=expected), hash_bytes(data))

    def verified(self) -> "BundleFiles":
        """The same, after every file that the manifest names was read and found to be what it is named by.

        Raises:
            NotFound, IntegrityError: as `read`.
        """
        for entry in self.manifest.files:
            self.read(entry.path)
        return self

    def read(self, path: RelativePath) -> bytes:
        """The bytes of one file, verified.

        Raises:
            NotFound: the manifest lists no such file, or the directory lacks it.
            IntegrityError: the bytes are not those that the manifest names.
        """
        entry = self.manifest.file(path)
        data = _read(self.root, str(path), entry.size + 1)
        found = hash_bytes(data)
        if found != entry.digest:
            raise IntegrityError(
                f"{path} in the bundle {self.digest.short} should be {entry.digest} and is {found}",
                hint="Take the bundle from the store again with: holdfast checkout; then run: holdfast check",
                path=str(path),
                expected=str(entry.digest),
                found=str(found),
            )
        return data


def _read(root: Path, name: str, size_max: int) -> bytes:
    try:
        # Without blocking: a pipe in a file's place would keep the reader waiting for ever.
        handle = os.open(root / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NotFound(
            f"{root} holds no {name}", hint="Check a bundle out with: holdfast checkout churn@4 FOLDER"
        ) from error
    except OSError as error:
        raise _unreadable(root, name, str(error.strerror)) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _unreadable(root, name, "it is no regular file")
    try:
        with os.fdopen(handle, "rb", buffering=0) as stream:
            pieces, left = [], size_max
            while left > 0 and (piece := stream.read(left)):
                pieces.append(piece)
                left -= len(piece)
    except OSError as error:
        raise _unreadable(root, name, str(error.strerror)) from error
    return b"".join(pieces)


def _unreadable(root: Path, name: str, why: str) -> IntegrityError:
    return IntegrityError(
        f"{name} in {root} cannot be read: {why}",
        hint="Take the bundle from the store again with: holdfast checkout",
        path=name,
    )
