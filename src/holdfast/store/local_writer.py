"""Adding blobs to a local store.

Bytes go into files of the writer's own scratch folder; `commit` makes their contents durable, gives each its name among
the blobs, and makes the names durable, in that order. A blob that can be seen is therefore always whole, and a crash
leaves nothing but a scratch folder without an owner.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from holdfast.digest import Digest, hash_bytes
from holdfast.store.disk import CREATE, READ, fsync_folder, refusing, write_all
from holdfast.store.faults import left
from holdfast.store.interface import Stored
from holdfast.store.layout import Layout
from holdfast.store.parallel import batches, on_all_workers
from holdfast.store.scratch import Scratch
from holdfast.store.steady import Steady, steady

__all__ = ["SMALL_BYTES_MAX", "LocalWriter"]

SMALL_BYTES_MAX = 4 << 20
"""A file up to this size is read whole and written only when it is new; two threads hold at most two of them. A
larger one is written while it is hashed, so that memory stays flat, and dropped when it turns out to be known."""


class LocalWriter:
    """See `StoreWriter`. Made by `LocalStore.writer`, which leaves it."""

    def __init__(self, layout: Layout, scratch: Scratch) -> None:
        self._layout = layout
        self._scratch = scratch
        self._lock = Lock()
        self._files = 0
        self._staged: dict[Digest, str] = {}
        self._shards: set[Path] = set()
        self.is_left = False

    def add_bytes(self, data: bytes) -> Stored:
        """See `StoreWriter.add_bytes`."""
        self._still_open()
        return self._add_whole(data)

    def add_pieces(self, pieces: Iterable[bytes]) -> Stored:
        """See `StoreWriter.add_pieces`."""
        self._still_open()
        return self._add_whole(b"".join(pieces))

    def add_file(self, path: str | Path) -> Stored:
        """See `StoreWriter.add_file`."""
        self._still_open()
        return self._add_source(Path(path), None)

    def add_files(self, paths: Sequence[str | Path], progress: Callable[[int], None] | None = None) -> list[Stored]:
        """See `StoreWriter.add_files`."""
        self._still_open()
        told = Lock()

        def report(count: int) -> None:
            if progress is not None:
                with told:
                    progress(count)

        def work(batch: Sequence[str | Path]) -> list[Stored]:
            return [self._add_source(Path(path), report) for path in batch]

        answers = on_all_workers(work, list(batches(paths, _size)))
        return [stored for batch in answers for stored in batch]

    def commit(self) -> None:
        """See `StoreWriter.commit`."""
        self._still_open()
        self.is_left = True  # until all is done: after a failed sync a second one may succeed without the bytes
        # (1) the contents
        staged = sorted(self._staged.items())
        on_all_workers(self._fsync, list(batches([name for _, name in staged], lambda _: 0)))
        # (2) the names; a blob that stands there already is replaced by the same bytes, or a damaged one by whole ones
        for digest, name in staged:
            self._share(digest, name)
        # (3) the folders: also those of blobs that were known, for the process that wrote them may not have come this
        # far
        folders = [*sorted(self._shards), self._layout.blobs]
        on_all_workers(_fsync_folder, folders)
        self._shards.clear()
        self.is_left = False

    def _add_source(self, path: Path, report: Callable[[int], None] | None) -> Stored:
        with steady(path) as source:
            if source.size > SMALL_BYTES_MAX:
                name, digest = self._stream(source, report)
                data = None
            else:
                data = b"".join(source.pieces())
        # Only here is it known that the file held still; before, nothing was staged under any digest.
        if data is None:
            return self._stage_file(digest, source.size, name)
        stored = self._add_whole(data)
        if report is not None:
            report(stored.size)
        return stored

    def _add_whole(self, data: bytes) -> Stored:
        digest = hash_bytes(data)
        with self._claimed(digest, len(data)) as name:
            if name is not None:
                with self._created(name) as descriptor:
                    write_all(descriptor, data)
        return Stored(digest, len(data), name is not None)

    def _stream(self, source: Steady, report: Callable[[int], None] | None) -> tuple[str, Digest]:
        state, name = hashlib.sha256(), self._new_name()
        with self._created(name) as descriptor:
            for piece in source.pieces():
                state.update(piece)
                write_all(descriptor, piece)
                if report is not None:
                    report(len(piece))
        return name, Digest(state.hexdigest())

    def _stage_file(self, digest: Digest, size: int, streamed: str) -> Stored:
        with self._claimed(digest, size) as name, refusing(self._scratch.path):
            if name is None:
                os.unlink(streamed, dir_fd=self._scratch.descriptor)
            else:
                os.rename(streamed, name, src_dir_fd=self._scratch.descriptor, dst_dir_fd=self._scratch.descriptor)
        return Stored(digest, size, name is not None)

    @contextmanager
    def _claimed(self, digest: Digest, size: int) -> Iterator[str | None]:
        """A scratch name under which the caller must leave the bytes, or None when they are here already.

        A caller that raises gives the claim back, so that `commit` never looks for a file that was not written.
        """
        known = self._is_known(digest, size)
        with self._lock:
            known = known or digest in self._staged
            name = None if known else self._next_name()
            if name is not None:
                self._staged[digest] = name
        try:
            yield name
        except BaseException:
            with self._lock:
                if name is not None:
                    del self._staged[digest]
            raise
        with self._lock:
            self._shards.add(self._layout.shard(digest))

    def _is_known(self, digest: Digest, size: int) -> bool:
        """Whether the blob is here with the right size, and not known to be damaged. Nothing is hashed."""
        path = self._layout.blob(digest)
        with refusing(path):
            try:
                status = path.lstat()
            except FileNotFoundError:
                return False
        return stat.S_ISREG(status.st_mode) and status.st_size == size and not self._layout.is_marked(digest)

    def _next_name(self) -> str:
        self._files += 1
        return str(self._files)

    def _new_name(self) -> str:
        with self._lock:
            return self._next_name()

    @contextmanager
    def _created(self, name: str) -> Iterator[int]:
        with refusing(self._scratch.path / name):
            descriptor = os.open(name, CREATE, 0o444, dir_fd=self._scratch.descriptor)
        try:
            with refusing(self._scratch.path / name):
                yield descriptor
        except BaseException:
            os.unlink(name, dir_fd=self._scratch.descriptor)
            raise
        finally:
            os.close(descriptor)

    def _fsync(self, names: Sequence[str]) -> None:
        with refusing(self._scratch.path):
            for name in names:
                descriptor = os.open(name, READ, dir_fd=self._scratch.descriptor)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)

    def _share(self, digest: Digest, name: str) -> None:
        target = self._layout.blob(digest)
        with refusing(target):
            try:
                os.rename(name, target, src_dir_fd=self._scratch.descriptor)
            except FileNotFoundError:
                target.parent.mkdir(exist_ok=True)
                os.rename(name, target, src_dir_fd=self._scratch.descriptor)
        del self._staged[digest]
        self._layout.forget_damage(digest)

    def _still_open(self) -> None:
        if self.is_left:
            raise left()


def _fsync_folder(folder: Path) -> None:
    with refusing(folder):
        fsync_folder(folder)


def _size(path: str | Path) -> int:
    """Bytes, for sharing out the work; what cannot be looked at is found out by whoever reads it."""
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0
