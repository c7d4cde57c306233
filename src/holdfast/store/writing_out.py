"""The files of a checkout, made one after the other below one open folder, by descriptors alone."""

import errno
import hashlib
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock

from holdfast.digest import READ_BYTES, Digest
from holdfast.errors import AlreadyExists, IntegrityError, PermissionRefused
from holdfast.store.disk import CREATE, FOLDER, READ, refusal
from holdfast.store.interface import Store
from holdfast.store.parallel import WORKERS
from holdfast.store.resuming import Resuming
from holdfast.store.sharing import SHARED_BYTES_MIN, can_clone, clone, link
from holdfast.store.tree_stream import Row

__all__ = ["LeftoverDiffers", "WritingOut"]

_BATCH_FILES = 128
"""Files handed to a thread at once: what that costs no longer shows, and the threads still end together."""

_BATCH_BYTES = 16 << 20
"""So that one batch of large files does not leave the other thread without work."""

_BATCHES_WAITING = 2 * WORKERS
"""So that a thread never waits for the tree to be read, and the tree is never far ahead."""

_FOLDERS_OPEN_MAX = 32
"""Open folders on the way to a file, for each thread: real trees are seldom deeper, and a process may have 1024 files
open. What is deeper is walked to from there."""

_TOLD_BYTES = 4 << 20
"""How often progress is told inside one large file."""


class LeftoverDiffers(Exception):
    """What an earlier checkout left is not what a checkout of this tree leaves; never goes past `store.checkout`."""


class WritingOut:
    """One checkout in progress.

    Args:
        store: where the bytes are.
        place: the folder to fill.
        target: what it will be called, for errors.
        link: whether files may be hard links to the store's.
        progress: called with the bytes done and the bytes in all, by one thread at a time.
        total: the bytes in all.
    """

    def __init__(
        self,
        store: Store,
        place: Resuming,
        target: Path,
        *,
        link: bool,
        progress: Callable[[int, int], None] | None,
        total: int,
    ) -> None:
        self._store = store
        self._place = place
        self._target = target
        self._link = link
        self._progress = progress
        self._total = total
        self._done = 0
        self._lock = Lock()
        self._clones: bool | None = None

    def write(self, rows: Iterable[Row]) -> tuple[int, int, int]:
        """Make the files, in order and on more than one core; how many, their bytes, and how many are links.

        Raises:
            LeftoverDiffers: something that no checkout of this tree has made stands in the way.
            As `checkout_snapshot`; and whatever `rows` raises.
        """
        files = size = linked = 0
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="holdfast-store") as pool:
            running: deque[Future[tuple[int, int, int]]] = deque()
            try:
                for batch in _batches(rows):
                    running.append(pool.submit(self._write_batch, batch))
                    if len(running) > _BATCHES_WAITING:
                        answer = running.popleft().result()
                        files, size, linked = files + answer[0], size + answer[1], linked + answer[2]
                while running:
                    answer = running.popleft().result()
                    files, size, linked = files + answer[0], size + answer[1], linked + answer[2]
            except BaseException:
                for future in running:
                    future.cancel()
                raise
        return files, size, linked

    def _write_batch(self, rows: Sequence[Row]) -> tuple[int, int, int]:
        """Rows are sorted, so neighbours share folders, which stay open for all of them."""
        linked = 0
        folders, sink = _Folders(self._place, self._target), _Sink(self._report)
        try:
            for row in rows:
                above, _, name = row.path.rpartition("/")
                try:
                    linked += self._write_file(row, name, folders.open(above), sink)
                except OSError as error:
                    raise refusal(error, self._target / row.path) from error
            sink.tell()
        finally:
            folders.close()
        return len(rows), sum(row.size for row in rows), linked

    def _write_file(self, row: Row, name: str, folder: int, sink: "_Sink") -> bool:
        """Make one file; whether it is a link."""
        there = self._found(row, name, folder) if self._place.has_files else None
        if there is not None:
            sink.count(row.size)
            return there
        digest, is_large = Digest(row.hex), row.size >= SHARED_BYTES_MIN
        # The store's file cannot be executed, and must not be made so.
        if is_large and self._link and row.mode == 0o644 and self._linked(row, digest, name, folder):  # noqa: PLR2004
            sink.count(row.size)
            return True
        try:
            descriptor = os.open(name, CREATE, row.mode, dir_fd=folder)
        except FileExistsError as error:
            raise self._same_name(row) from error
        try:
            if is_large and self._can_clone() and clone(self._store, digest, descriptor):
                size = os.fstat(descriptor).st_size
                sink.count(size)
            else:
                sink.descriptor = descriptor
                size = self._store.write_to(digest, sink)
        finally:
            os.close(descriptor)
        if size != row.size:
            raise _wrong_size(row, size)
        return False

    def _linked(self, row: Row, digest: Digest, name: str, folder: int) -> bool:
        try:
            if not link(self._store, digest, name, folder):
                return False
        except FileExistsError as error:
            raise self._same_name(row) from error
        size = os.stat(name, dir_fd=folder, follow_symlinks=False).st_size
        if size != row.size:
            raise _wrong_size(row, size)
        return True

    def _can_clone(self) -> bool:
        with self._lock:
            if self._clones is None:
                self._clones = can_clone(self._place.outer)
            return self._clones

    def _found(self, row: Row, name: str, folder: int) -> bool | None:
        """Whether the file that an earlier checkout made here is a link; None when there is none that is whole.

        Then the name is free.
        """
        try:
            descriptor = os.open(name, READ | os.O_NONBLOCK, dir_fd=folder)
        except FileNotFoundError:
            return None
        except OSError:  # a link, a socket: nothing of ours
            raise LeftoverDiffers from None
        try:
            status = os.fstat(descriptor)
            is_linked = status.st_nlink > 1
            if not stat.S_ISREG(status.st_mode) or (is_linked and not self._link):
                raise LeftoverDiffers
            if _fits(status, row) and _hash(descriptor) == row.hex:
                return is_linked
        finally:
            os.close(descriptor)
        os.unlink(name, dir_fd=folder)
        return None

    def _same_name(self, row: Row) -> AlreadyExists:
        return AlreadyExists(
            f"{row.path} is the same file as another path of the tree on this file system",
            hint="Check it out on a file system that tells capitals and Unicode forms apart.",
            path=row.path,
        )

    def _report(self, size: int) -> None:
        if self._progress is not None:
            with self._lock:
                self._done += size
                self._progress(self._done, self._total)


class _Sink:
    """Takes bytes for one open file after the other, and counts them."""

    def __init__(self, report: Callable[[int], None]) -> None:
        self.descriptor = -1
        self._report = report
        self._untold = 0

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """Write all of `data`; how many bytes that were."""
        size = written = os.write(self.descriptor, data)
        if written < len(data):  # the operating system may take it in pieces
            left = memoryview(data)[written:]
            while left:
                written = os.write(self.descriptor, left)
                left = left[written:]
                size += written
        self.count(size)
        return size

    def count(self, size: int) -> None:
        """So many bytes of the target are there."""
        self._untold += size
        if self._untold >= _TOLD_BYTES:
            self.tell()

    def tell(self) -> None:
        """Report what has not been reported."""
        self._report(self._untold)
        self._untold = 0


class _Folders:
    """The folders on the way to the file that is being written, opened name by name and made where they are missing."""

    def __init__(self, place: Resuming, target: Path) -> None:
        self._place = place
        self._target = target
        self._above = ""
        self._names: list[str] = []
        self._open = [os.dup(place.root)]
        self._deep = -1

    def open(self, above: str) -> int:
        """The folder `above`, open until the next call."""
        if above != self._above:
            self._walk(above)
            self._above = above
        return self._deep if self._deep >= 0 else self._open[-1]

    def close(self) -> None:
        """Close all of them."""
        self._leave_deep()
        while self._open:
            os.close(self._open.pop())

    def _walk(self, above: str) -> None:
        self._leave_deep()
        names = above.split("/") if above else []
        near = names[:_FOLDERS_OPEN_MAX]
        while self._names != near[: len(self._names)]:
            os.close(self._open.pop())
            self._names.pop()
        for name in near[len(self._names) :]:
            self._open.append(self._enter(self._open[-1], name, above))
            self._names.append(name)
        for name in names[_FOLDERS_OPEN_MAX:]:
            parent = self._deep if self._deep >= 0 else self._open[-1]
            inner = self._enter(parent, name, above)
            self._leave_deep()
            self._deep = inner

    def _leave_deep(self) -> None:
        if self._deep >= 0:
            os.close(self._deep)
            self._deep = -1

    def _enter(self, parent: int, name: str, above: str) -> int:
        try:
            with suppress(FileExistsError):  # the other thread, or an earlier batch, made it
                os.mkdir(name, dir_fd=parent)
            return os.open(name, FOLDER, dir_fd=parent)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENOTDIR}:
                if self._place.has_files:
                    raise LeftoverDiffers from error
                raise PermissionRefused(
                    f"somebody put a link or a file in the place of the folder {above!r} while it was written",
                    hint="Find out who writes there; nothing was followed, and the checkout was withdrawn.",
                    path=above,
                ) from error
            raise refusal(error, self._target / above) from error


def _fits(status: os.stat_result, row: Row) -> bool:
    return status.st_size == row.size and bool(status.st_mode & stat.S_IXUSR) == (row.mode == 0o755)  # noqa: PLR2004


def _hash(descriptor: int) -> str:
    state = hashlib.sha256()
    while piece := os.read(descriptor, READ_BYTES):
        state.update(piece)
    return state.hexdigest()


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += row.size
        if len(batch) == _BATCH_FILES or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _wrong_size(row: Row, found: int) -> IntegrityError:
    return IntegrityError(
        f"{row.path} has {found} bytes; its tree says {row.size}",
        hint="The tree was not written by Holdfast; take the snapshot again.",
        path=row.path,
        expected=row.size,
        found=found,
    )
