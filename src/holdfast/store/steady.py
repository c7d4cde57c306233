"""Reading a file that has to hold still while it is read."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast.digest import READ_BYTES, Digest
from holdfast.errors import SourceChanged, UsageError
from holdfast.store.disk import refusal, refusing

__all__ = ["Identity", "Steady", "hash_steady", "identity", "read_fully", "read_steady", "steady"]

Identity = tuple[int, int, int, int, int]
"""Device, inode, size, modification and change time in nanoseconds: what cannot stay the same when bytes are
rewritten."""

# A fifo opened for reading would wait for a writer for ever; without blocking it opens, and is refused by its kind.
_SOURCE = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


def identity(status: os.stat_result) -> Identity:
    """What has to be the same before and after."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class Steady:
    """An open source file.

    Attributes:
        path: its name.
        size: bytes, when it was opened.
    """

    path: Path
    size: int
    descriptor: int

    def pieces(self, size: int = READ_BYTES, *, first: int | None = None) -> Iterator[bytes]:
        """Its bytes, `size` at a time, but the first time `first`.

        Raises:
            SourceChanged: there are more or fewer than there were when it was opened; a file that keeps growing cannot
                keep the reader for ever.
        """
        done = 0
        while True:
            with refusing(self.path):
                piece = read_fully(self.descriptor, (first or size) if done == 0 else size)
            done += len(piece)
            if done > self.size or (not piece and done < self.size):
                raise _changed(self.path)
            if not piece:
                return
            yield piece


@contextmanager
def steady(path: Path) -> Iterator[Steady]:
    """The regular file at `path`, opened for one read; leaving it checks that it is still the same file, unchanged.

    What was read counts only after the `with` block has been left.

    Raises:
        SourceChanged: it changed, or another file stands in its place.
        NotFound: no such file.
        UsageError: not a regular file.
        PermissionRefused, IntegrityError: the operating system refused, or the disk failed.
    """
    with refusing(path):
        descriptor = os.open(path, _SOURCE)
    try:
        with refusing(path):
            before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise _not_regular(path)
        yield Steady(path, before.st_size, descriptor)
        with refusing(path):
            after = os.fstat(descriptor)
        try:
            named = path.stat()
        except OSError as error:
            raise _changed(path) from error
        if not identity(before) == identity(after) == identity(named):
            raise _changed(path)
    finally:
        os.close(descriptor)


def read_steady(path: str | Path, bytes_max: int) -> bytes | None:
    """The bytes of a small file that held still; None when it has more than `bytes_max`.

    The same as `steady`, in as few calls as possible: it is done once for each of a million files.

    Raises:
        As `steady`.
    """
    try:
        descriptor = os.open(path, _SOURCE)
        try:
            before = os.fstat(descriptor)
            size = before.st_size
            if not stat.S_ISREG(before.st_mode):
                raise _not_regular(Path(path))
            if size > bytes_max:
                return None
            data = os.read(descriptor, size + 1)  # one more, to see that it ends there
            if len(data) < size:
                data += read_fully(descriptor, size + 1 - len(data))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise refusal(error, Path(path)) from error
    try:
        after = os.stat(path)  # noqa: PTH116 - hot; by the name, which says as much of the open file if it is the same
    except OSError as error:
        raise _changed(Path(path)) from error
    if len(data) != size or identity(before) != identity(after):
        raise _changed(Path(path))
    return data


def read_fully(descriptor: int, size: int) -> bytes:
    """So many bytes, or all there are; the operating system may give them in pieces."""
    data = os.read(descriptor, size)
    if not data or len(data) == size:
        return data
    pieces, done = [data], len(data)
    while done < size and (data := os.read(descriptor, size - done)):
        pieces.append(data)
        done += len(data)
    return b"".join(pieces)


def hash_steady(path: Path) -> Digest:
    """The digest of the file's bytes.

    Raises:
        As `steady`.
    """
    state = hashlib.sha256()
    with steady(path) as source:
        for piece in source.pieces():
            state.update(piece)
    return Digest(state.hexdigest())


def _not_regular(path: Path) -> UsageError:
    return UsageError(
        f"{path} is not a regular file",
        hint="Freeze regular files; leave folders, pipes, sockets and devices out.",
        path=str(path),
    )


def _changed(path: Path) -> SourceChanged:
    return SourceChanged(
        f"{path} changed while it was read; nothing was recorded",
        hint="Wait until whatever writes it has finished, then repeat.",
        path=str(path),
    )
