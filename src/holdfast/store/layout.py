"""Where a local store keeps what: docs/FORMAT.md, "Layout of a local store", in code."""

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from holdfast.canonical import JsonObject, Reader, decode, encode
from holdfast.digest import Digest
from holdfast.errors import NotFound, UnsupportedFormat
from holdfast.store.disk import CREATE, READ, fsync_folder, refusing, write_all
from holdfast.store.formats import accepted_version

__all__ = ["CONFIG_NAME", "FORMAT_NAME", "SCRATCH_PREFIX", "Layout"]

FORMAT_NAME = "holdfast.store"
CONFIG_NAME = "config.json"
SCRATCH_PREFIX = "writer-"

_FORMAT_MAJOR = 1
_CONFIG: JsonObject = {"format": FORMAT_NAME, "layout": "files", "version": "1.0"}

_CONFIG_BYTES_MAX = 64 << 10
"""The config has three short fields; a file past this is not one, and is not read into memory."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one local store; nothing here reads a blob.

    Attributes:
        root: its folder.
    """

    root: Path

    @property
    def blobs(self) -> Path:
        """The folder of the folders of blobs."""
        return self.root / "blobs"

    @property
    def tmp(self) -> Path:
        """The folder of the writers' scratch folders."""
        return self.root / "tmp"

    def shard(self, digest: Digest) -> Path:
        """The folder of the blob: 256 of them keep each small enough for every file system."""
        return self.blobs / digest.hex[:2]

    def blob(self, digest: Digest) -> Path:
        """The file that holds the bytes."""
        return self.blobs / digest.hex[:2] / digest.hex

    def mark(self, digest: Digest) -> Path:
        """The empty file that stands while the blob is known to be damaged."""
        return self.root / "damaged" / digest.hex

    def prepare(self) -> None:
        """Make the store, or check that what stands here is one.

        The config is written first and whole: two processes that make the same store at the same time write the same
        bytes, a crash in between leaves what the next one can go on with, and a folder in which somebody keeps other
        things is never taken for a store.

        Raises:
            UnsupportedFormat: a folder that holds something else, or a store of a format that is not read here.
            NoSpace, PermissionRefused: the operating system refused.
        """
        with refusing(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            if not (self.root / CONFIG_NAME).exists():
                self._create()
        self._check()
        with refusing(self.root):
            for folder, mode in ((self.blobs, 0o777), (self.tmp, 0o700)):
                if not folder.is_dir():
                    folder.mkdir(mode=mode, exist_ok=True)
                    fsync_folder(self.root)

    def _create(self) -> None:
        others = [path.name for path in self.root.iterdir() if not path.name.startswith(CONFIG_NAME)]
        if others and not (self.root / CONFIG_NAME).exists():
            raise UnsupportedFormat(
                f"{self.root} holds {min(others)!r} and no {CONFIG_NAME}: it is not a store",
                hint="Name an empty folder, or restore config.json from a backup.",
                path=str(self.root),
            )
        temporary = self.root / f"{CONFIG_NAME}.{secrets.token_hex(8)}.part"
        descriptor = os.open(temporary, CREATE, 0o444)
        try:
            try:
                write_all(descriptor, encode(_CONFIG) + b"\n")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.replace(self.root / CONFIG_NAME)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        fsync_folder(self.root)

    def _check(self) -> None:
        path = self.root / CONFIG_NAME
        with refusing(path):
            descriptor = os.open(path, READ)
            try:
                data = os.read(descriptor, _CONFIG_BYTES_MAX)
            finally:
                os.close(descriptor)
        document = Reader(decode(data, what=str(path)), str(path))
        accepted_version(document, name=FORMAT_NAME, major=_FORMAT_MAJOR)
        layout = document.text("layout")
        if layout != _CONFIG["layout"]:
            raise UnsupportedFormat(
                f"{path}: the layout {layout[:80]!r} is not read by this Holdfast",
                hint="Use the Holdfast that wrote it, or a newer one.",
                found=layout[:80],
                expected=_CONFIG["layout"],
            )

    def mark_damaged(self, digest: Digest) -> None:
        """Remember that the blob is damaged, so that adding its bytes again replaces it.

        Best effort: on a read-only disk nothing can be remembered, and nothing can be added either.
        """
        with suppress(OSError):
            mark = self.mark(digest)
            mark.parent.mkdir(exist_ok=True)
            os.close(os.open(mark, CREATE, 0o444))

    def forget_damage(self, digest: Digest) -> None:
        """The blob was found whole, or was replaced."""
        with suppress(OSError):
            self.mark(digest).unlink()

    def is_marked(self, digest: Digest) -> bool:
        """Whether the blob is known to be damaged."""
        try:
            with refusing(self.root):
                self.mark(digest).lstat()
        except NotFound:
            return False
        return True
