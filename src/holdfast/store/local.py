"""A store in a local folder: one file for each blob. docs/FORMAT.md describes the bytes.

Durable (every commit is synced), deduplicating by file, verifying on every read, and safe beside other processes.
What a crash leaves behind is swept when the store is next opened; see `holdfast.store.scratch` for why that is safe
beside writers that are alive.

A blob that is there already is compared with the bytes being added by its size, not by its bytes. One that a read has
found damaged is marked, counts as missing, and is replaced when its bytes are added again.
"""

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from holdfast.digest import READ_BYTES, Digest
from holdfast.errors import IntegrityError, NotFound, UsageError
from holdfast.store.disk import READ, place, refusal, refusing
from holdfast.store.faults import absent, damaged, too_large
from holdfast.store.interface import Sink
from holdfast.store.layout import SCRATCH_PREFIX, Layout
from holdfast.store.local_writer import LocalWriter
from holdfast.store.scratch import scratch, sweep

__all__ = ["LocalStore"]

_SHARD = re.compile(r"[0-9a-f]{2}\Z")


class LocalStore:
    """The store in the folder `root`, which is made when it does not exist.

    Raises:
        UnsupportedFormat: a folder that holds something else, or a store of a format that is not read here.
        NoSpace, PermissionRefused: the operating system refused.
    """

    def __init__(self, root: Path) -> None:
        self._layout = Layout(root.absolute())
        self._layout.prepare()
        sweep(self._layout.tmp, SCRATCH_PREFIX)

    @property
    def root(self) -> Path:
        """The folder of this store."""
        return self._layout.root

    @contextmanager
    def writer(self) -> Iterator[LocalWriter]:
        """See `Store.writer`."""
        with scratch(self._layout.tmp, SCRATCH_PREFIX) as mine:
            writer = LocalWriter(self._layout, mine)
            try:
                yield writer
            finally:
                writer.is_left = True

    def has(self, digest: Digest) -> bool:
        """See `Store.has`."""
        try:
            self.size(digest)
        except (NotFound, IntegrityError):
            return False
        return not self._layout.is_marked(digest)

    def missing(self, digests: Iterable[Digest]) -> set[Digest]:
        """See `Store.missing`."""
        return {digest for digest in digests if not self.has(digest)}

    def size(self, digest: Digest) -> int:
        """See `Store.size`."""
        path = self._layout.blob(digest)
        with refusing(path):
            try:
                status = path.lstat()
            except FileNotFoundError:
                raise absent(digest) from None
        if not stat.S_ISREG(status.st_mode):
            raise damaged(digest, "something that is not a file stands in its place")
        return status.st_size

    def read(self, digest: Digest, *, bytes_max: int) -> bytes:
        """See `Store.read`."""
        with self._handle(digest) as handle:
            size = os.fstat(handle.fileno()).st_size
            if size > bytes_max:
                raise too_large(digest, size, bytes_max)
            return b"".join(self._verified(handle, digest))

    def open(self, digest: Digest) -> BinaryIO:
        """See `Store.open`.

        The handle that was verified is the one that is handed out: replacing the file afterwards changes nothing.
        """
        with self._handle(digest) as handle:
            for _ in self._verified(handle, digest):
                pass
            handle.seek(0)
            return os.fdopen(os.dup(handle.fileno()), "rb")

    def pieces(self, digest: Digest) -> Iterator[bytes]:
        """See `Store.pieces`."""
        with self._handle(digest) as handle:
            yield from self._verified(handle, digest)

    def exact(self, digest: Digest) -> Path | None:
        """See `Store.exact`."""
        self.verify(digest)
        return self._layout.blob(digest)

    def write_to(self, digest: Digest, sink: Sink) -> int:
        """See `Store.write_to`."""
        with self._handle(digest) as handle:
            return sum(sink.write(piece) for piece in self._verified(handle, digest))

    def copy_to(self, digest: Digest, target: Path, *, mode: int) -> None:
        """See `Store.copy_to`."""
        with self._handle(digest) as handle:  # before a temporary file is made for nothing
            place(target, mode, lambda sink: sink.writelines(self._verified(handle, digest)))

    def verify(self, digest: Digest) -> int:
        """See `Store.verify`."""
        with self._handle(digest) as handle:
            size = sum(len(piece) for piece in self._verified(handle, digest))
        self._layout.forget_damage(digest)
        return size

    def digests(self) -> Iterator[Digest]:
        """See `Store.digests`."""
        for shard in _names(self._layout.blobs):
            if not _SHARD.match(shard):
                continue
            for name in _names(self._layout.blobs / shard):
                # Anything else here is not ours, and no reason to refuse what is.
                if name.startswith(shard) and _is_hex(name):
                    yield Digest(name)

    @contextmanager
    def _handle(self, digest: Digest) -> Iterator[BinaryIO]:
        self.size(digest)
        path = self._layout.blob(digest)
        with refusing(path):
            try:
                descriptor = os.open(path, READ)
            except FileNotFoundError:
                raise absent(digest) from None
        # Unbuffered: reads are of READ_BYTES, and a buffer would only copy them once more.
        with os.fdopen(descriptor, "rb", buffering=0) as handle:
            yield handle

    def _verified(self, handle: BinaryIO, digest: Digest) -> Iterator[bytes]:
        """The bytes in pieces; after the last one it raises unless they were the ones that the digest names."""
        state = hashlib.sha256()
        while piece := self._piece(handle, digest):
            state.update(piece)
            yield piece
        found = Digest(state.hexdigest())
        if found != digest:
            self._layout.mark_damaged(digest)
            raise damaged(digest, found)

    def _piece(self, handle: BinaryIO, digest: Digest) -> bytes:
        try:
            return handle.read(READ_BYTES)
        except OSError as error:
            if error.errno != errno.EIO:
                raise refusal(error, self._layout.blob(digest)) from error
            self._layout.mark_damaged(digest)
            raise damaged(digest, f"the disk could not read it ({error.strerror})") from error


def _names(folder: Path) -> list[str]:
    with refusing(folder):
        try:
            return sorted(path.name for path in folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []


def _is_hex(name: str) -> bool:
    try:
        Digest(name)
    except UsageError:
        return False
    return True
