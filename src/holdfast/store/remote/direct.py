"""A store whose bytes are in a remote: for machines that share one, and have little disk of their own.

It reads as a local store reads, from packs of the remote through a cache of bounded size, and proves every byte the
same way. It writes as a local store writes, into a folder of the writer's own; `commit` then sends the packs and the
exact files, and after each of them what makes it visible to everybody.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from blake3 import blake3

from holdfast.digest import Digest
from holdfast.errors import IntegrityError
from holdfast.store.catalog import Catalog
from holdfast.store.check import check_store
from holdfast.store.codec import base_of, unpack_bytes
from holdfast.store.disk import refusing
from holdfast.store.faults import UNREADABLE, left
from holdfast.store.index import IndexFile, Place
from holdfast.store.interface import EVERYTHING, Depth, StoreCheck, Stored
from holdfast.store.layout import SCRATCH_PREFIX, Layout
from holdfast.store.local import LocalStore
from holdfast.store.local_check import LocalCheck
from holdfast.store.local_writer import LocalWriter
from holdfast.store.pack import CHUNK
from holdfast.store.remote.ranges import RangeCache, Windows
from holdfast.store.remote.relisting import list_again
from holdfast.store.remote.remote import Remote, RemoteCatalog
from holdfast.store.remote.sending import send_index, send_segment
from holdfast.store.scratch import scratch

__all__ = ["RemoteStore"]


class RemoteStore(LocalStore):
    """See `Store`. What a read has found damaged is noted on this machine alone.

    Args:
        remote: where the bytes are; its cache holds copies of index files, and blocks.
        cache_bytes_max: how many bytes of blocks are kept.
    """

    _reads_archives: ClassVar[bool] = True

    def __init__(self, remote: Remote, cache_bytes_max: int) -> None:
        super().__init__(remote.cache)
        self._remote = remote
        self._catalog = remote.catalog
        self._segments = self._ranges = RangeCache(remote.transport, remote.cache / "blocks", cache_bytes_max)

    @contextmanager
    def writer(self) -> "Iterator[_Writer]":  # type: ignore[override]  # sends what a local one only keeps
        """See `Store.writer`."""
        cutting = self._remote.prepare()
        self._layout.prepare_to_write()
        if not self._catalog.refresh():
            self._catalog.look_for_segments()
        with scratch(self._layout.tmp, SCRATCH_PREFIX) as mine:
            staging = Layout(mine.path / "store")
            staging.prepare()
            staging.prepare_to_write()
            marks = set(self._layout.names(self._layout.damaged))
            for name in marks:
                staging.mark_damaged(name)
            with scratch(staging.tmp, SCRATCH_PREFIX) as pen:
                inner = LocalWriter(staging, _Both(staging, self._remote.catalog), cutting, pen)
                writer = _Writer(inner, staging, self._remote, lambda: self._forget(marks, staging))
                try:
                    yield writer
                finally:
                    writer.is_left = True
                    inner.leave()

    def pieces(self, digest: Digest) -> Iterator[bytes]:
        """See `Store.pieces`. What was found damaged is asked for again at the next read."""
        try:
            yield from super().pieces(digest)
        except IntegrityError:
            self._ask_again(bytes.fromhex(digest.hex))
            raise

    def between(self, digest: Digest, begin: int, end: int) -> Iterator[bytes]:
        """See `Store.between`. What was found damaged is asked for again at the next read."""
        try:
            yield from super().between(digest, begin, end)
        except IntegrityError:
            self._ask_again(bytes.fromhex(digest.hex))
            raise

    def check(self, depth: Depth = EVERYTHING, progress: Callable[[int, int], None] | None = None) -> StoreCheck:
        """See `Store.check`. The remote itself is read, not what is kept of it on this machine.

        Of an archive every blob is put together and read, however little was asked for: its records rest on others.
        """
        self._remote.catalog.read_anew()
        if self._remote.is_archive():
            for segment in {segment for file in self._catalog.files.values() for segment in file.segments}:
                self._ranges.forget(segment)
            found = check_store(self, progress)
        else:
            reader = Windows(self._remote.transport, self._layout.root)
            found = LocalCheck(self._layout, self._catalog, depth, progress, reader).run()
        notes = [f"the index file {name} is damaged" for name in sorted(self._remote.catalog.damaged)]
        return replace(found, notes=(*found.notes, *notes))

    def repair(self) -> tuple[str, ...]:
        """See `Store.repair`: what no index file lists is listed again, and index files that are damaged go."""
        return list_again(self._remote)

    def _chunk(self, id_: bytes, length: int) -> bytes:
        try:
            return super()._chunk(id_, length)
        except IntegrityError:
            self._ask_again(id_)
            raise

    def _bytes(self, found: Place) -> bytes:
        stored = self._segments.read(found.segment, found.offset, found.stored)
        base = base_of(found.codec, stored) if found.kind == CHUNK else None
        return unpack_bytes(found.codec, stored, found.length, None if base is None else self._base(base, found.length))

    def _base(self, id_: bytes, length: int) -> bytes:
        """The chunk that another one rests on, verified, and never one that rests on a third."""
        wrong = "it is not there"
        for found in self._remote.catalog.bases(id_, length):
            try:
                for data in self._attempts(found):
                    if blake3(data).digest() == id_:
                        return data
                    wrong = "its bytes hash to something else"
            except UNREADABLE as error:
                wrong = str(error)
            self._ranges.forget(found.segment)  # so that it is asked for again at the next read
        raise IntegrityError(
            f"its base b3:{id_.hex()} is damaged: {wrong}", hint="Push the data again from where it is whole."
        )

    def _ask_again(self, id_: bytes) -> None:
        for place in self._catalog.places(id_):
            self._ranges.forget(place.segment)

    def _forget(self, marks: set[str], staging: Layout) -> None:
        """What the writer has written again counts as here again, now that it was sent."""
        for name in marks - set(staging.names(staging.damaged)):
            self._layout.forget_damage(name)


class _Both(Catalog):
    """What a writer has staged, and what the remote has; nothing is deleted from either."""

    shrinks: ClassVar[bool] = False

    def __init__(self, staging: Layout, remote: RemoteCatalog) -> None:
        super().__init__(staging)
        self._remote = remote

    def places(self, id_: bytes) -> Iterator[Place]:
        """See `Catalog.places`."""
        yield from super().places(id_)
        yield from filter(self._remote.serves, self._remote.places(id_))

    def to_merge(self) -> tuple[bytes, list[str]] | None:
        """Never: each is sent as it is."""
        return None


class _Writer:
    """See `StoreWriter`."""

    def __init__(self, inner: LocalWriter, staging: Layout, remote: Remote, sent: Callable[[], None]) -> None:
        self._inner = inner
        self._staging = staging
        self._remote = remote
        self._sent = sent
        self.is_left = False

    def add_bytes(self, data: bytes) -> Stored:
        """See `StoreWriter.add_bytes`."""
        self._still_open()
        return self._inner.add_bytes(data)

    def add_pieces(self, pieces: Iterable[bytes]) -> Stored:
        """See `StoreWriter.add_pieces`."""
        self._still_open()
        return self._inner.add_pieces(pieces)

    def add_file(self, path: str | Path) -> Stored:
        """See `StoreWriter.add_file`."""
        self._still_open()
        return self._inner.add_file(path)

    def add_files(self, paths: Sequence[str | Path], progress: Callable[[int], None] | None = None) -> list[Stored]:
        """See `StoreWriter.add_files`."""
        self._still_open()
        return self._inner.add_files(paths, progress)

    def commit(self) -> None:
        """See `StoreWriter.commit`."""
        self._still_open()
        self.is_left = True
        self._inner.commit()
        for name in sorted(self._staging.names(self._staging.index)):
            path = self._staging.index / name
            with refusing(path):
                data = path.read_bytes()
            for segment in IndexFile(data).segments:
                send_segment(self._remote, segment, Path(self._staging.segment(segment)))
            send_index(self._remote, data)
            with refusing(path):
                path.unlink()
        for path in [*self._staging.packs.glob("*/*"), *self._staging.blobs.glob("*/*")]:
            with suppress(OSError):
                path.unlink()
        self._sent()
        self.is_left = False

    def _still_open(self) -> None:
        if self.is_left:
            raise left()
