"""A store in memory: the simplest statement of the contract, used where nothing has to outlive the process."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from holdfast.digest import Digest, hash_bytes
from holdfast.store.check import check_store
from holdfast.store.disk import place
from holdfast.store.faults import absent, damaged, left, too_large
from holdfast.store.interface import EVERYTHING, Depth, Sink, StoreCheck, Stored
from holdfast.store.steady import steady

__all__ = ["MemoryStore"]


class MemoryStore:
    """Bytes by digest in a dictionary; durable as long as the process, and never shared with another."""

    def __init__(self) -> None:
        self._blobs: dict[Digest, bytes] = {}
        self._damaged: set[Digest] = set()

    @contextmanager
    def writer(self) -> "Iterator[_MemoryWriter]":
        """See `Store.writer`."""
        writer = _MemoryWriter(self)
        try:
            yield writer
        finally:
            writer.left = True

    def has(self, digest: Digest) -> bool:
        """See `Store.has`."""
        return digest in self._blobs and digest not in self._damaged

    def missing(self, digests: Iterable[Digest]) -> set[Digest]:
        """See `Store.missing`."""
        return {digest for digest in digests if not self.has(digest)}

    def size(self, digest: Digest) -> int:
        """See `Store.size`."""
        return len(self._held(digest))

    def read(self, digest: Digest, *, bytes_max: int) -> bytes:
        """See `Store.read`."""
        data = self._held(digest)
        if len(data) > bytes_max:
            raise too_large(digest, len(data), bytes_max)
        found = hash_bytes(data)
        if found != digest:
            self._damaged.add(digest)
            raise damaged(digest, found)
        self._damaged.discard(digest)
        return data

    def open(self, digest: Digest) -> BinaryIO:
        """See `Store.open`."""
        return io.BytesIO(self.read(digest, bytes_max=self.size(digest)))

    def pieces(self, digest: Digest) -> Iterator[bytes]:
        """See `Store.pieces`."""
        yield self.read(digest, bytes_max=self.size(digest))

    def between(self, digest: Digest, begin: int, end: int) -> Iterator[bytes]:
        """See `Store.between`."""
        yield self.read(digest, bytes_max=self.size(digest))[begin:end]

    def exact(self, digest: Digest) -> Path | None:
        """See `Store.exact`; there are no files here."""
        self.verify(digest)
        return None

    def write_to(self, digest: Digest, sink: Sink) -> int:
        """See `Store.write_to`."""
        return sink.write(self.read(digest, bytes_max=self.size(digest)))

    def copy_to(self, digest: Digest, target: Path, *, mode: int) -> None:
        """See `Store.copy_to`."""
        place(target, mode, lambda sink: self.write_to(digest, sink))

    def verify(self, digest: Digest) -> int:
        """See `Store.verify`."""
        return len(self.read(digest, bytes_max=self.size(digest)))

    def check(self, depth: Depth = EVERYTHING, progress: Callable[[int, int], None] | None = None) -> StoreCheck:
        """See `Store.check`; everything is read, however little was asked for."""
        del depth
        return check_store(self, progress)

    def repair(self) -> tuple[str, ...]:
        """See `Store.repair`; there is nothing to repair from."""
        return ()

    def claim(self, digest: Digest) -> None:
        """See `Store.claim`; nothing is ever deleted from memory."""

    def digests(self) -> Iterator[Digest]:
        """See `Store.digests`."""
        yield from sorted(self._blobs)

    def _held(self, digest: Digest) -> bytes:
        try:
            return self._blobs[digest]
        except KeyError:
            raise absent(digest) from None

    def _share(self, staged: dict[Digest, bytes]) -> None:
        self._blobs.update(staged)
        self._damaged.difference_update(staged)

    def _knows(self, digest: Digest, size: int) -> bool:
        return self.has(digest) and len(self._blobs[digest]) == size


class _MemoryWriter:
    """See `StoreWriter`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._staged: dict[Digest, bytes] = {}
        self.left = False

    def add_bytes(self, data: bytes) -> Stored:
        """See `StoreWriter.add_bytes`."""
        self._still_open()
        digest = hash_bytes(data)
        new = digest not in self._staged and not self._store._knows(digest, len(data))  # noqa: SLF001 - one module
        if new:
            self._staged[digest] = bytes(data)
        return Stored(digest, len(data), new, len(data) if new else 0)

    def add_pieces(self, pieces: Iterable[bytes]) -> Stored:
        """See `StoreWriter.add_pieces`."""
        self._still_open()
        return self.add_bytes(b"".join(pieces))

    def add_file(self, path: str | Path) -> Stored:
        """See `StoreWriter.add_file`."""
        self._still_open()
        with steady(Path(path)) as source:
            data = b"".join(source.pieces())
        return self.add_bytes(data)

    def add_files(self, paths: Sequence[str | Path], progress: Callable[[int], None] | None = None) -> list[Stored]:
        """See `StoreWriter.add_files`; on one core, for there is no disk to wait for."""
        answers = []
        for path in paths:
            answers.append(self.add_file(path))
            if progress is not None:
                progress(answers[-1].size)
        return answers

    def commit(self) -> None:
        """See `StoreWriter.commit`."""
        self._still_open()
        self._store._share(self._staged)  # noqa: SLF001 - one module
        self._staged = {}

    def _still_open(self) -> None:
        if self.left:
            raise left()
