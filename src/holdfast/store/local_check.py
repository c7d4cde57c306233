"""Checking a local store: every pack and exact file is read once, however many blobs share what is in it.

(1) What the index refers to has to stand there. (2) Every record and every chunk has to be what its id says. (3) Every
blob has to have all its chunks in a place that is whole. A blob whose chunks and recipe are whole is whole: the recipe
was written by the same read that named the blob, and is held by a hash of its own. Whoever reads the blob hashes it
again all the same.
"""

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from threading import Lock

from holdfast.digest import Digest
from holdfast.store.catalog import Catalog
from holdfast.store.faults import UNREADABLE
from holdfast.store.index import EXACT, IndexFile, Place, Segment
from holdfast.store.interface import EVERYTHING, Damage, Depth, StoreCheck
from holdfast.store.layout import Layout
from holdfast.store.pack import BLOB, CHUNK, RECIPE, recipe_chunks
from holdfast.store.parallel import on_all_workers
from holdfast.store.segments import Segments

__all__ = ["LocalCheck"]

_Bad = tuple[bytes, int]
"""An id, and where in a segment its bytes are not what it says: an exact file may have the same chunk twice."""


class LocalCheck:
    """One check of a local store.

    Args:
        layout: where the store is.
        catalog: its index, freshly looked at.
        depth: how much to read.
        progress: called with the bytes done and the bytes in all, by one thread at a time.
        reader: reads the segments.
    """

    def __init__(
        self,
        layout: Layout,
        catalog: Catalog,
        depth: Depth,
        progress: Callable[[int, int], None] | None,
        reader: Segments,
    ) -> None:
        self._layout = layout
        self._catalog = catalog
        self._depth = depth
        self._progress = progress
        self._reader = reader
        self._bad: dict[Segment, set[_Bad]] = {}
        self._told = Lock()
        self._left: set[Segment] = set()
        self._total = 0
        self._bytes_read = 0

    def run(self) -> StoreCheck:
        """Check; see `Store.check`.

        Raises:
            PermissionRefused: something could not be opened.
        """
        # (1) what stands there
        exact = {one for one in map(self._exact, self._layout.names(self._layout.blobs)) if one is not None}
        within = {segment for file in self._catalog.files.values() for segment in file.segments}
        standing = (exact | within) - self._catalog.lost
        chosen = {segment for segment in standing if self._depth.covers(segment.name)}
        self._left = set(chosen)
        self._total = sum(segment.size for segment in chosen)
        # (2) what it says
        for file in self._catalog.files.values():
            shares = [(segment, file, rows) for segment, rows in file.by_segment().items() if segment in chosen]
            on_all_workers(self._read_rows, shares)
        on_all_workers(self._read_whole, sorted(chosen & exact - within))
        if self._progress is not None:
            self._progress(self._total, self._total)  # what stands between the records was not read
        # (3) what follows for the blobs
        marked = self._mark_bad()
        blobs = whole = 0
        damaged = []
        for digest, size, wrong in self._blobs(exact):
            blobs += 1
            if wrong is None:
                whole += size
            else:
                damaged.append(Damage(digest, wrong))
                self._layout.mark_damaged(digest.hex)
        if self._depth == EVERYTHING:
            # A chunk can be damaged that no blob needs now: whoever adds one that does has to write it again.
            for name in set(self._layout.names(self._layout.damaged)) - marked - {one.digest.hex for one in damaged}:
                self._layout.forget_damage(name)
        return StoreCheck(blobs, whole, tuple(sorted(damaged)), self._bytes_read, tuple(self._notes()))

    def _notes(self) -> Iterator[str]:
        for name, error in sorted(self._catalog.unreadable.items()):
            yield f"the index file {name} cannot be used: {error}"
        if self._catalog.unwritten is not None:
            yield "there is no index; it was made again from the packs for this check"

    def _exact(self, name: str) -> Segment | None:
        size = self._layout.exact_size(Digest(name))
        return None if size is None else Segment(EXACT, name, size)

    # (2) reading

    def _read_rows(self, share: tuple[Segment, IndexFile, "array[int]"]) -> None:
        segment, file, rows = share
        bad, read = set[_Bad](), 0
        for at in rows:
            id_, place = file.row_at(at)
            read += place.stored
            if self._reader.whole(id_, place) is None:
                bad.add((id_, place.offset))
        self._note(segment, bad, read)

    def _read_whole(self, segment: Segment) -> None:
        """An exact file without chunks: it is older than they are."""
        is_whole = self._hash(segment) == segment.name
        self._note(segment, set() if is_whole else {(bytes.fromhex(segment.name), 0)}, segment.size)

    def _note(self, segment: Segment, bad: set[_Bad], read: int) -> None:
        with self._told:
            if bad:
                self._bad.setdefault(segment, set()).update(bad)
            self._bytes_read += read
            self._left.discard(segment)
            if self._progress is not None:
                self._progress(self._total - sum(one.size for one in self._left), self._total)

    def _hash(self, segment: Segment) -> str:
        state, piece = hashlib.sha256(), 1 << 22
        try:
            for offset in range(0, segment.size, piece):
                state.update(self._reader.read(segment, offset, min(piece, segment.size - offset)))
        except UNREADABLE as error:
            return str(error)
        return state.hexdigest()

    def _chunks(self, id_: bytes) -> list[tuple[bytes, int]] | None:
        """The chunks of a blob by the first recipe that can be read; None when there is none."""
        for place in self._catalog.places(id_):
            if place.kind == RECIPE and not self._is_bad(id_, place):
                try:
                    return list(recipe_chunks(self._reader.read(place.segment, place.offset, place.stored)))
                except UNREADABLE:
                    continue
        return None

    # (3) what follows from it

    def _blobs(self, exact: Iterable[Segment]) -> Iterator[tuple[Digest, int, str | None]]:
        """Every blob, its size, and what is wrong with it."""
        alone = {bytes.fromhex(one.name): one for one in exact}
        for id_, rows in groupby(self._catalog.all(with_lost=True), key=lambda row: row[0]):
            places = [place for _, place in rows if place.kind != CHUNK]
            file = alone.pop(id_, None)
            if places:
                if file is not None and file.size != places[0].length:
                    file = None
                yield Digest(id_.hex()), places[0].length, self._wrong(id_, places, file)
        for id_, file in sorted(alone.items()):
            # What is bad in it is the whole of it, or one of its chunks, where an index file lists them.
            wrong = "its bytes hash to something else" if file in self._bad else None
            yield Digest(id_.hex()), file.size, wrong

    def _wrong(self, id_: bytes, places: list[Place], file: Segment | None) -> str | None:
        if file is not None and file not in self._bad:
            return None
        if all(self._is_bad(id_, place) for place in places):
            return f"{places[0].segment.name[:12]}… is lost or damaged where it is"
        if any(place.kind == BLOB and not self._is_bad(id_, place) for place in places):
            return None
        chunks = self._chunks(id_)
        if chunks is None:
            return "its recipe is damaged"
        for chunk, _ in chunks:
            if all(self._is_bad(chunk, place) for place in self._catalog.places(chunk)):
                return f"its chunk b3:{chunk.hex()} is lost or damaged"
        return None

    def _mark_bad(self) -> set[str]:
        """Let what has no whole place be written again when it is next added; what that is."""
        bad = {id_ for found in self._bad.values() for id_, _ in found}
        marked = {id_.hex() for id_ in bad if all(self._is_bad(id_, place) for place in self._catalog.places(id_))}
        for name in marked:
            self._layout.mark_damaged(name)
        return marked

    def _is_bad(self, id_: bytes, place: Place) -> bool:
        return place.segment in self._catalog.lost or (id_, place.offset) in self._bad.get(place.segment, ())
