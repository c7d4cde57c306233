"""Adding blobs to a local store.

Records go into packs, and large new blobs into exact files, in the writer's own scratch folder; `commit` makes their
contents durable, gives each its name, makes the names durable, and only then writes the index file that makes all of it
visible. What can be seen is therefore always whole, and a crash leaves nothing but packs that nobody refers to.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from pathlib import Path
from threading import Lock

from blake3 import blake3

from holdfast.digest import Digest
from holdfast.errors import HoldfastError
from holdfast.store.catalog import Catalog
from holdfast.store.codec import PLAIN, ZSTD, pack_bytes
from holdfast.store.cut import HEAD_BYTES, Chunk, Cutting
from holdfast.store.disk import CREATE, fsync_folder, refusing
from holdfast.store.faults import left
from holdfast.store.index import EXACT, Segment, index_bytes, row_bytes, rows_inside
from holdfast.store.interface import Stored
from holdfast.store.large import Cut, cut_pieces, deserves_exact_file
from holdfast.store.layout import Layout
from holdfast.store.naming import gathered
from holdfast.store.pack import BLOB, CHUNK, ID_BYTES, RECIPE, recipe_bytes
from holdfast.store.packing import PACK_BYTES, Packing
from holdfast.store.parallel import WORKERS
from holdfast.store.relying import Relying
from holdfast.store.scratch import Scratch
from holdfast.store.steady import Steady, read_steady, steady
from holdfast.store.turns import undisturbed
from holdfast.store.uncached import UncachedWriter

__all__ = ["ROWS_MAX", "LocalWriter"]

ROWS_MAX = 250_000
"""Rows held before the writer makes visible what it has: at about 300 bytes each, and whatever the number of files."""

_PIECE_BYTES = 4 << 20
"""Read at once of a large file: it is still in the processor's cache when it is named and cut."""

_BATCH_BYTES = 2 << 20
_BATCH_FILES = 64
"""Enough work that handing it over costs nothing beside it, and still in the processor's cache when it is taken up."""

_PUBLISH_FILES = 50_000
"""After so many files the writer looks whether it holds too many rows."""

_BATCHES_AHEAD = 4
"""Read before the first of them has been packed: the reader never waits, and memory stays flat."""


class LocalWriter:
    """See `StoreWriter`. Made by `LocalStore.writer`, which leaves it.

    It is used by one thread, and has others at work in turn: everything below the lock may be done by any of them.
    """

    def __init__(self, layout: Layout, catalog: Catalog, cutting: Cutting, scratch: Scratch) -> None:
        self._layout = layout
        self._catalog = catalog
        self._cutting = cutting
        self._scratch = scratch
        self._marked = set(layout.names(layout.damaged))
        self._relying = Relying(layout, catalog)
        self._lock = Lock()
        self._names = 0
        self._claimed: set[bytes] = set()
        self._rows: dict[bytes, bytes] = {}
        self._segments: list[tuple[str, Segment | Future[Segment]]] = []
        self._exact_rows: list[bytes] = []
        self._met: set[Path] = set()
        self._data: tuple[int, Packing] | None = None
        self._recipes: tuple[int, Packing] | None = None
        self._recipe_packs: set[str] = set()
        self._pen = ThreadPoolExecutor(1, "holdfast-write")
        self._is_left = False

    def leave(self) -> None:
        """Let go of everything; every call is refused from now on."""
        self._is_left = True
        self._pen.shutdown(wait=True)
        for open_pack in (self._data, self._recipes):
            if open_pack is not None:
                open_pack[1].close()

    def add_bytes(self, data: bytes) -> Stored:
        """See `StoreWriter.add_bytes`."""
        self._still_open()
        data = bytes(data)
        if len(data) < self._cutting.large_bytes_min:
            return self._add_small(data)
        return self._add_cut(_sliced(data))

    def add_pieces(self, pieces: Iterable[bytes]) -> Stored:
        """See `StoreWriter.add_pieces`."""
        self._still_open()
        rest = gathered(pieces, HEAD_BYTES)
        head = next(rest, b"")
        if len(head) < self._cutting.large_bytes_min:
            return self._add_small(head)
        return self._add_cut(chain([head], rest))

    def add_file(self, path: str | Path) -> Stored:
        """See `StoreWriter.add_file`."""
        self._still_open()
        (batch,) = self._batches([path])
        (stored,) = self._add_batch(batch, None)
        self._publish_if_much()
        return stored

    def add_files(self, paths: Sequence[str | Path], progress: Callable[[int], None] | None = None) -> list[Stored]:
        """See `StoreWriter.add_files`.

        One thread reads small files, others name and pack them, one more writes the packs: handing over a batch costs
        less than two threads that read would lose by waiting for the interpreter at every call.
        """
        self._still_open()
        answers: list[Stored] = []
        for start in range(0, len(paths), _PUBLISH_FILES):
            answers += self._add_some(paths[start : start + _PUBLISH_FILES], progress)
            self._publish_if_much()
        return answers

    def commit(self) -> None:
        """See `StoreWriter.commit`."""
        self._still_open()
        self._is_left = True  # until all is done: after a failed sync a second one may succeed without the bytes
        self._publish()
        self._is_left = False

    # Adding

    def _add_some(self, paths: Sequence[str | Path], progress: Callable[[int], None] | None) -> list[Stored]:
        answers: list[Future[list[Stored]]] = []
        with ThreadPoolExecutor(WORKERS, "holdfast-name") as naming:
            try:
                for batch in self._batches(paths):
                    answers.append(naming.submit(self._add_batch, batch, progress))
                    if len(answers) > _BATCHES_AHEAD:
                        answers[-_BATCHES_AHEAD].result()
                return [stored for answer in answers for stored in answer.result()]
            except BaseException:
                for answer in answers:
                    answer.cancel()
                raise

    def _batches(self, paths: Iterable[str | Path]) -> Iterator[list[bytes | str | Path]]:
        """The bytes of small files, and the paths of large ones, in order and in batches of similar size."""
        batch: list[bytes | str | Path] = []
        held = 0
        for path in paths:
            data = read_steady(path, self._cutting.large_bytes_min - 1)
            batch.append(path if data is None else data)
            held += _BATCH_BYTES if data is None else len(data)
            if held >= _BATCH_BYTES or len(batch) >= _BATCH_FILES:
                yield batch
                batch, held = [], 0
        if batch:
            yield batch

    def _add_batch(self, batch: Sequence[bytes | str | Path], progress: Callable[[int], None] | None) -> list[Stored]:
        answers = []
        for source in batch:
            if isinstance(source, bytes):
                answers.append(self._add_small(source))
                if progress is not None:
                    progress(answers[-1].size)
            else:
                answers.append(self._add_large(source, progress))
        return answers

    def _add_large(self, path: str | Path, report: Callable[[int], None] | None) -> Stored:
        with steady(Path(path)) as source:
            with refusing(source.path):
                is_new = deserves_exact_file(source.descriptor, source.size, self._cutting, self._is_chunk_known)
            if is_new:
                name, cut = self._copy_exactly(source, report)
            else:
                name, cut = None, cut_pieces(_told(source, report), self._cutting, self._put_chunk)
        # Only here is it known that the file held still; before, nothing was staged under its digest.
        return self._stage_cut(cut, name)

    def _add_small(self, data: bytes) -> Stored:
        id_ = hashlib.sha256(data).digest()
        new = self._put(BLOB, id_, data, ZSTD)
        return Stored(Digest(id_.hex()), len(data), new, len(data) if new else 0)

    def _add_cut(self, pieces: Iterable[bytes]) -> Stored:
        return self._stage_cut(cut_pieces(pieces, self._cutting, self._put_chunk), None)

    def _put_chunk(self, id_: bytes, chunk: Chunk) -> bool:
        return self._put(CHUNK, id_, chunk.data, chunk.hint)

    def _put(self, kind: int, id_: bytes, data: bytes, hint: int) -> bool:
        """Add a record unless it is known; whether it was new."""
        with self._lock:
            if id_ in self._claimed or self._is_known(id_, len(data)):
                return False
            self._claimed.add(id_)
        try:
            packed = pack_bytes(data, hint)
            with self._lock:
                number, packing = self._data = self._data or self._new_pack()
                self._rows[id_] = row_bytes(packing.append(id_, kind, len(data), packed), number)
                if self._is_ended(number, packing):
                    self._data = None
        finally:
            with self._lock:
                self._claimed.discard(id_)
        return True

    def _is_known(self, id_: bytes, size: int) -> bool:
        """Whether the blob or chunk is here with the right size, and not known to be damaged. Nothing is hashed."""
        if id_ in self._rows:
            return True
        if self._marked and id_.hex() in self._marked:
            return False
        found = (place.segment for place in self._catalog.places(id_) if place.length == size)
        return any(map(self._relying.on, found)) or self._is_exact(id_, size)

    def _is_chunk_known(self, chunk: Chunk) -> bool:
        return self._is_known(blake3(chunk.data).digest(), len(chunk.data))

    def _is_exact(self, id_: bytes, size: int) -> bool:
        """Whether an exact file of the blob is here; it may be older than the index."""
        path = self._layout.exact(digest := Digest(id_.hex()))
        if self._layout.exact_size(digest) != size or not self._relying.on(Segment(EXACT, digest.hex, size)):
            return False
        self._met.add(Path(path).parent)
        return True

    def _copy_exactly(self, source: Steady, report: Callable[[int], None] | None) -> tuple[str, Cut]:
        """The bytes of the source in a file of the scratch folder, under the name that is returned."""
        with self._lock:
            name = self._next_name()
        with refusing(self._scratch.path / name):
            descriptor = os.open(name, CREATE, 0o444, dir_fd=self._scratch.descriptor)
        try:
            sink = UncachedWriter(descriptor, HEAD_BYTES)

            def written() -> Iterator[bytes]:
                for piece in _told(source, report):
                    with refusing(self._scratch.path / name):
                        sink.write(piece)
                    yield piece

            return name, cut_pieces(written(), self._cutting, lambda _id, _chunk: True)
        except BaseException:
            self._remove(name)
            raise
        finally:
            os.close(descriptor)

    def _stage_cut(self, cut: Cut, name: str | None) -> Stored:
        """Record how the chunks make the blob; `name` is the scratch file that holds it as it is."""
        id_ = bytes.fromhex(cut.digest.hex)
        with self._lock:
            # An exact file that was made takes the place of one that is lost or spoilt, though a recipe is known.
            known = self._is_known(id_, cut.size) and (name is None or self._is_exact(id_, cut.size))
            if known or id_ in self._rows:
                if name is not None:
                    self._remove(name)
                return Stored(cut.digest, cut.size, new=False, added=0)
            number, packing = self._recipes = self._recipes or self._new_pack()
            self._recipe_packs.add(packing.name)
            recipe = recipe_bytes(cut.chunks)
            record = packing.append(id_, RECIPE, len(recipe), (PLAIN, recipe))
            self._rows[id_] = row_bytes(record._replace(length=cut.size), number)
            if name is not None:
                self._segments.append((name, Segment(EXACT, cut.digest.hex, cut.size)))
                self._exact_rows += rows_inside(cut.chunks, len(self._segments) - 1)
            if self._is_ended(number, packing):
                self._recipes = None
        return Stored(cut.digest, cut.size, new=True, added=cut.added)

    def _new_pack(self) -> tuple[int, Packing]:
        packing = Packing(self._scratch, self._next_name(), self._pen)
        self._segments.append((packing.name, Future()))
        return len(self._segments) - 1, packing

    def _finish(self, number: int, packing: Packing) -> None:
        self._segments[number] = (packing.name, packing.finish())

    def _is_ended(self, number: int, packing: Packing) -> bool:
        """Whether the pack was full, and could be ended."""
        with suppress(HoldfastError):  # what is added next says it, or the commit; the record is in the pack
            if packing.size >= PACK_BYTES:
                self._finish(number, packing)
                return True
        return False

    def _next_name(self) -> str:
        self._names += 1
        return str(self._names)

    def _remove(self, name: str) -> None:
        with suppress(OSError):
            os.unlink(name, dir_fd=self._scratch.descriptor)

    # Making visible

    def _publish_if_much(self) -> None:
        if len(self._rows) + len(self._exact_rows) > ROWS_MAX:
            self._is_left = True
            self._publish()
            self._is_left = False

    def _publish(self) -> None:
        if not self._rows and not self._segments:
            with undisturbed(self._layout):
                self._relying.settle()
                # Who wrote what was known may not have come so far as to make its name durable.
                self._sync([*self._met, self._layout.blobs, self._layout.index])
            return
        # (2) the contents; docs/FORMAT.md, "Order of writing and reading", has the same numbers
        for open_pack in (self._data, self._recipes):
            if open_pack is not None:
                self._finish(*open_pack)
        self._data = self._recipes = None
        segments = []
        for name, made in self._segments:
            segments.append(made.result() if isinstance(made, Future) else made)
            if segments[-1].kind == EXACT:
                self._fsync(name)
        with undisturbed(self._layout):
            self._relying.settle()
            self._make_visible(segments)

    def _make_visible(self, segments: list[Segment]) -> None:
        # (3) the names; recipes come last, so that an index made from the packs finds none without its chunks
        named = [
            (name, Path(self._layout.segment(one))) for (name, _), one in zip(self._segments, segments, strict=True)
        ]
        named.sort(key=lambda pair: pair[0] in self._recipe_packs)
        folders = {self._give_name(name, target) for name, target in named}
        # (4) the folders
        self._sync([*sorted(folders | self._met), self._layout.packs, self._layout.blobs])
        # (5) the index
        self._catalog.write(self._scratch, index_bytes(segments, [*self._rows.values(), *self._exact_rows]))
        if self._marked:
            written = {row[:ID_BYTES].hex() for row in [*self._rows.values(), *self._exact_rows]}
            for id_ in self._marked & written:
                self._layout.forget_damage(id_)
                self._marked.discard(id_)
        self._rows, self._exact_rows, self._segments = {}, [], []
        self._catalog.refresh()
        with suppress(HoldfastError):  # housekeeping: all that was asked for is durable and visible by now
            self._merge_index()

    def _merge_index(self) -> None:
        if (merged := self._catalog.to_merge()) is not None:
            data, names = merged
            made = self._catalog.write(self._scratch, data)
            self._catalog.drop(name for name in names if name != made)  # one of them may have said it all
            self._catalog.refresh()

    def _sync(self, folders: Iterable[Path]) -> None:
        for folder in folders:
            with refusing(folder):
                fsync_folder(folder)

    def _fsync(self, name: str) -> None:
        with refusing(self._scratch.path / name):
            descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._scratch.descriptor)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _give_name(self, name: str, target: Path) -> Path:
        """Rename a scratch file to its place; the folder that it is in now."""
        with refusing(target):
            try:
                os.rename(name, target, src_dir_fd=self._scratch.descriptor)
            except FileNotFoundError:
                target.parent.mkdir(exist_ok=True)
                os.rename(name, target, src_dir_fd=self._scratch.descriptor)
        return target.parent

    def _still_open(self) -> None:
        if self._is_left:
            raise left()


def _told(source: Steady, report: Callable[[int], None] | None) -> Iterator[bytes]:
    for piece in source.pieces(_PIECE_BYTES, first=HEAD_BYTES):
        yield piece
        if report is not None:
            report(len(piece))


def _sliced(data: bytes) -> Iterator[bytes]:
    yield from (data[at : at + HEAD_BYTES] for at in range(0, len(data), HEAD_BYTES))
