"""A store in a local folder: packs of blobs and chunks, and an index of them. docs/FORMAT.md describes the bytes.

Durable (every commit is synced), deduplicating by chunk, verifying on every read, and safe beside other processes. What
a crash leaves behind is swept when the store is next opened; see `holdfast.store.scratch` for why that is safe beside
writers that are alive.

What is there already is not read again when the same bytes are added. A blob or chunk that a read has found damaged is
marked, counts as missing, and is written again when its bytes are next added. Where the same bytes are kept twice, a
reader that meets damage in one place goes on in the other.
"""

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from heapq import merge
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, ClassVar

from blake3 import blake3

from holdfast.digest import Digest
from holdfast.errors import IntegrityError, NotFound
from holdfast.store.catalog import Catalog
from holdfast.store.chunked import ChunkedFile, within
from holdfast.store.codec import unpack_bytes
from holdfast.store.disk import place
from holdfast.store.exact_files import ExactFiles
from holdfast.store.faults import UNREADABLE, absent, damaged, too_large
from holdfast.store.index import EXACT, IndexFile, Place, Segment
from holdfast.store.interface import EVERYTHING, Depth, Sink, StoreCheck
from holdfast.store.layout import SCRATCH_PREFIX, Layout
from holdfast.store.local_check import LocalCheck
from holdfast.store.local_writer import LocalWriter
from holdfast.store.naming import Naming, gathered
from holdfast.store.pack import BLOB, CHUNK, RECORD_BYTES_MAX, recipe_chunks
from holdfast.store.proved import Proved
from holdfast.store.rebuild import rebuilt_index
from holdfast.store.scratch import scratch, sweep
from holdfast.store.segments import Segments
from holdfast.store.turns import undisturbed

__all__ = ["LocalStore"]

_PIECE_BYTES = 1 << 20
"""Chunks handed out together: writing them costs nothing beside their bytes then."""


class LocalStore:
    """The store in the folder `root`, which is made when it does not exist.

    Raises:
        UnsupportedFormat: a folder that holds something else, or a store of a format that is not read here.
        NoSpace, PermissionRefused: the operating system refused.
    """

    _reads_archives: ClassVar[bool] = False

    def __init__(self, root: Path) -> None:
        self._layout = Layout(root.absolute())
        self._layout.prepare(archive=self._reads_archives)
        sweep(self._layout.tmp, SCRATCH_PREFIX)
        self._catalog = Catalog(self._layout)
        self._segments = Segments(self._layout)
        self._exact = ExactFiles(self._layout)
        self._proved = Proved()

    @property
    def root(self) -> Path:
        """The folder of this store."""
        return self._layout.root

    @contextmanager
    def writer(self) -> Iterator[LocalWriter]:
        """See `Store.writer`."""
        cutting = self._layout.prepare_to_write()
        with scratch(self._layout.tmp, SCRATCH_PREFIX) as mine:
            self._catalog.refresh()  # whether a segment stands, the writer asks of those that it relies on
            self._catalog.write_what_was_lost(mine)
            writer = LocalWriter(self._layout, self._catalog, cutting, mine)
            try:
                yield writer
            finally:
                writer.leave()

    def has(self, digest: Digest) -> bool:
        """See `Store.has`."""
        return self._stands(digest) and not self._layout.is_marked(digest.hex)

    def missing(self, digests: Iterable[Digest]) -> set[Digest]:
        """See `Store.missing`."""
        self._catalog.refresh()
        marked = set(self._layout.names(self._layout.damaged))
        asked = {bytes.fromhex(digest.hex): digest for digest in digests}
        # A recipe that stands says nothing of its chunks, which may be lost, or deleted where nothing needed the blob.
        doubtful = self._catalog.lacks_whole(asked)
        absent = {asked[id_] for id_ in doubtful if not self._stands(asked[id_])}
        return absent | {digest for digest in asked.values() if digest.hex in marked} if marked else absent

    def size(self, digest: Digest) -> int:
        """See `Store.size`."""
        sizes = {found.length for found in self._places(digest)}
        if len(sizes) > 1:  # all but one say something that is not so
            return sum(len(piece) for piece in self.pieces(digest))
        return sizes.pop() if sizes else self._exact.size(digest)

    def read(self, digest: Digest, *, bytes_max: int) -> bytes:
        """See `Store.read`."""
        size = self.size(digest)
        if size > bytes_max:
            raise too_large(digest, size, bytes_max)
        pieces, left = [], bytes_max
        for piece in self.pieces(digest):
            pieces.append(piece)
            left -= len(piece)
            if left < 0:
                self._layout.mark_damaged(digest.hex)
                raise damaged(digest, f"it has more than {bytes_max} bytes where it should have {size}")
        return b"".join(pieces)

    def open(self, digest: Digest) -> BinaryIO:
        """See `Store.open`.

        A handle on an exact file is the one that was verified: replacing the file afterwards changes nothing. One on
        chunks verifies each again when it is read.
        """
        try:
            return self._exact.handle(digest)
        except IntegrityError:
            self.verify(digest)  # a later writer may have put into a pack what the exact file has lost
        except NotFound:
            pass
        if self.size(digest) <= RECORD_BYTES_MAX:
            return io.BytesIO(self.read(digest, bytes_max=RECORD_BYTES_MAX))
        for _ in self.pieces(digest):
            pass
        recipes = []
        for found in self._places(digest):
            with suppress(*UNREADABLE):
                recipes.append(self._recipe(found))
        return ChunkedFile.buffered(list(self._recipe_that_holds(digest, recipes)), self._chunk)

    def pieces(self, digest: Digest) -> Iterator[bytes]:
        """See `Store.pieces`."""
        state = self._catalog.state
        wrong: Digest | str | None = None
        recipes: dict[bytes, None] = {}
        for found in self._places(digest):
            try:
                if found.kind == BLOB:
                    for data in self._attempts(found):
                        hashed = Digest(hashlib.sha256(data).hexdigest())
                        if hashed == digest:
                            yield data
                            return
                        wrong = hashed
                else:
                    recipes[self._recipe(found)] = None
            except UNREADABLE as error:
                wrong = str(error)
        if recipes:
            yield from self._put_together(digest, self._recipe_that_holds(digest, list(recipes)))
        elif wrong is None or self._exact.stands(digest):
            yield from self._exact.pieces(digest)
        elif self._catalog.has_changed_since(state):  # it was moved, to make room; nothing was handed out yet
            yield from self.pieces(digest)
        else:
            self._layout.mark_damaged(digest.hex)
            raise damaged(digest, wrong)

    def between(self, digest: Digest, begin: int, end: int) -> Iterator[bytes]:
        """See `Store.between`."""
        size = self.size(digest)
        if size <= RECORD_BYTES_MAX:
            yield self.read(digest, bytes_max=RECORD_BYTES_MAX)[begin:end]
            return
        state, recipe = self._catalog.state, self._proved_recipe(digest)
        if recipe is None:
            yield from self._between_without_recipe(digest, begin, end, state)
            return
        chunks, start = within(recipe_chunks(recipe), begin, end)
        at = start
        for piece in gathered(self._chunks(digest, chunks, start), _PIECE_BYTES):
            yield piece[max(0, begin - at) : max(0, end - at)]
            at += len(piece)

    def exact(self, digest: Digest) -> Path | None:
        """See `Store.exact`."""
        if not self._exact.stands(digest):
            if not self._stands(digest):
                raise absent(digest)
            return None
        try:
            self._exact.handle(digest).close()
        except IntegrityError:
            self.verify(digest)  # raises it again, unless the blob is whole without this file
            return None
        return Path(self._layout.exact(digest))

    def write_to(self, digest: Digest, sink: Sink) -> int:
        """See `Store.write_to`."""
        return sum(sink.write(piece) for piece in self.pieces(digest))

    def copy_to(self, digest: Digest, target: Path, *, mode: int) -> None:
        """See `Store.copy_to`."""
        self.size(digest)  # before a temporary file is made for nothing
        place(target, mode, lambda sink: sink.writelines(self.pieces(digest)))

    def verify(self, digest: Digest) -> int:
        """See `Store.verify`."""
        size = sum(len(piece) for piece in self.pieces(digest))
        self._layout.forget_damage(digest.hex)
        return size

    def check(self, depth: Depth = EVERYTHING, progress: Callable[[int, int], None] | None = None) -> StoreCheck:
        """See `Store.check`."""
        with undisturbed(self._layout):
            self._look()
            return LocalCheck(self._layout, self._catalog, depth, progress, Segments(self._layout)).run()

    def repair(self) -> tuple[str, ...]:
        """See `Store.repair`: an index that is lost or damaged is made again from the packs."""
        self._layout.prepare_to_write()
        with undisturbed(self._layout):
            return self._repair()

    def claim(self, digest: Digest) -> None:
        """See `Store.claim`."""
        with undisturbed(self._layout):
            self._layout.touch(self._layout.claims, [digest.hex])

    def _repair(self) -> tuple[str, ...]:
        self._look()
        damaged = list(self._catalog.unreadable)
        with scratch(self._layout.tmp, SCRATCH_PREFIX) as mine:
            rebuilt = rebuilt_index(self._layout)
            index, files = IndexFile(rebuilt.data), self._catalog.files
            is_lost = self._catalog.unwritten is not None
            if not (damaged or is_lost) and all(found in self._catalog.places(id_) for id_, found in index.all()):
                return ()
            name = self._catalog.write(mine, rebuilt.data)
        # A file that says more stays: it knows how to read a pack that no longer says itself what is in it.
        said = [one for one, file in files.items() if all(found in index.find(id_) for id_, found in file.all())]
        self._catalog.drop(one for one in [*said, *damaged] if one not in {"", name})
        self._look()
        return (f"the index was made again from {rebuilt.packs} packs and exact files: {rebuilt.rows} records",)

    def digests(self) -> Iterator[Digest]:
        """See `Store.digests`."""
        self._catalog.refresh()
        listed = (id_.hex() for id_, found in self._catalog.all() if found.kind != CHUNK)
        for name, _ in groupby(merge(listed, self._layout.names(self._layout.blobs))):
            yield Digest(name)

    def _look(self) -> None:
        """Find out what is there now: index files, and the segments that they refer to."""
        if not self._catalog.refresh():
            self._catalog.look_for_segments()

    def _places(self, digest: Digest) -> list[Place]:
        """Where records of the blob, and of its recipe, are; another process may have written them a moment ago."""
        id_, state = bytes.fromhex(digest.hex), self._catalog.state
        found = [one for one in self._catalog.places(id_) if one.kind != CHUNK]
        if not found and self._catalog.has_changed_since(state):
            found = [one for one in self._catalog.places(id_) if one.kind != CHUNK]
        return found

    def _stands(self, digest: Digest) -> bool:
        for found in self._places(digest):
            if found.kind == BLOB or self._is_complete(found):
                return True
        return self._exact.stands(digest)

    def _is_complete(self, recipe: Place) -> bool:
        try:
            return all(self._catalog.holds(id_) for id_, _ in recipe_chunks(self._recipe(recipe)))
        except UNREADABLE:
            return False

    def _bytes(self, found: Place) -> bytes:
        """The bytes of a record, not yet verified."""
        stored = self._segments.read(found.segment, found.offset, found.stored)
        return unpack_bytes(found.codec, stored, found.length)

    def _attempts(self, found: Place) -> Iterator[bytes]:
        """The bytes of a record, not yet verified; if they are wrong, those of the file that stands there by now."""
        with suppress(*UNREADABLE):
            yield self._bytes(found)
        self._segments.forget(found.segment)
        yield self._bytes(found)

    def _recipe(self, found: Place) -> bytes:
        for recipe in self._attempts(found):
            with suppress(ValueError):
                recipe_chunks(recipe)
                return recipe
        raise ValueError("the recipe is damaged")

    def _recipe_that_holds(self, digest: Digest, recipes: list[bytes]) -> Iterator[tuple[bytes, int]]:
        """The chunks of the recipe to follow. Where there are several, all but one say something that is not so."""
        for recipe in recipes[:-1]:
            with suppress(IntegrityError):
                for _ in self._put_together(digest, recipe_chunks(recipe)):
                    pass
                return recipe_chunks(recipe)
        return recipe_chunks(recipes[-1])

    def _proved_recipe(self, digest: Digest) -> bytes | None:
        """A recipe that was found to put the blob together; None where it has none that can be read.

        Raises:
            IntegrityError: there are some, and none does.
        """
        recipes: dict[bytes, None] = {}
        for found in self._places(digest):
            with suppress(*UNREADABLE):
                recipes[self._recipe(found)] = None
        wrong: IntegrityError | None = None
        for recipe in recipes:
            try:
                self._proved.once(digest, blake3(recipe).digest(), partial(self._follow, digest, recipe))
            except IntegrityError as error:
                wrong = error
            else:
                return recipe
        if wrong is not None:
            raise wrong
        return None

    def _between_without_recipe(self, digest: Digest, begin: int, end: int, state: int) -> Iterator[bytes]:
        if self._exact.stands(digest):
            yield from self._exact.between(digest, begin, end)
        elif self._catalog.has_changed_since(state):  # it was moved, to make room
            yield from self.between(digest, begin, end)
        else:
            self._layout.mark_damaged(digest.hex)
            raise damaged(digest, "its recipe is damaged")

    def _follow(self, digest: Digest, recipe: bytes) -> None:
        for _ in self._put_together(digest, recipe_chunks(recipe)):
            pass
        self._layout.forget_damage(digest.hex)

    def _put_together(self, digest: Digest, chunks: Iterator[tuple[bytes, int]]) -> Iterator[bytes]:
        with Naming() as name:
            for piece in gathered(self._chunks(digest, chunks), _PIECE_BYTES):
                name.update(piece)
                yield piece
            found = name.digest()
        if found != digest:
            self._layout.mark_damaged(digest.hex)
            raise damaged(digest, found)

    def _chunks(self, digest: Digest, chunks: Iterable[tuple[bytes, int]], offset: int = 0) -> Iterator[bytes]:
        for id_, length in chunks:
            try:
                data = self._chunk(id_, length)
            except IntegrityError as error:
                data = self._inside_exact(digest, offset, length)
                if blake3(data).digest() != id_:
                    self._layout.mark_damaged(digest.hex)
                    raise damaged(digest, str(error)) from error
            yield data
            offset += length

    def _inside_exact(self, digest: Digest, offset: int, length: int) -> bytes:
        """A range of the blob's exact file, which no index file may list; nothing where it cannot be read."""
        with suppress(*UNREADABLE):
            return self._segments.read(Segment(EXACT, digest.hex, self._exact.size(digest)), offset, length)
        return b""

    def _chunk(self, id_: bytes, length: int) -> bytes:
        """The bytes of a chunk, verified; from the first place that has them whole.

        Raises:
            IntegrityError: no place has.
        """
        wrong, state = "it is nowhere", self._catalog.state
        for found in self._catalog.places(id_):
            if found.kind != CHUNK or found.length != length:
                continue
            try:
                for data in self._attempts(found):
                    if blake3(data).digest() == id_:
                        return data
                    wrong = "its bytes hash to something else"
            except UNREADABLE as error:
                wrong = str(error)
        if self._catalog.has_changed_since(state):  # it was moved, to make room
            return self._chunk(id_, length)
        self._layout.mark_damaged(id_.hex())
        raise IntegrityError(
            f"the chunk b3:{id_.hex()} is damaged: {wrong}",
            hint="Run: holdfast check. Adding the same data again replaces what is lost.",
        )
