"""What is needed of a local store: marks on the rows of its index.

One byte is kept for each row, so that a hundred million chunks take a hundred megabytes, and nothing else grows with
their number. Everything is judged from the index and the recipes; no data is read.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from typing import NamedTuple

from holdfast.digest import Digest
from holdfast.store.catalog import Catalog
from holdfast.store.faults import UNREADABLE
from holdfast.store.index import EXACT, Place, Segment
from holdfast.store.layout import Layout
from holdfast.store.pack import CHUNK, RECIPE, recipe_chunks
from holdfast.store.segments import Segments

__all__ = ["Judged", "Kept", "Marking", "Weight"]

_NEEDED, _SPARE = 1, 2
"""What the byte of a row says; 0 as long as nobody has spoken of it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What one reason keeps that no reason before it does.

    Attributes:
        blobs: how many.
        bytes: as they are stored.
    """

    blobs: int = 0
    bytes: int = 0


class Judged(NamedTuple):
    """One record, wherever it stands.

    Attributes:
        id: of the record.
        places: where it stands, all of one kind, the one that is kept first.
        needed: whether anything needs it.
    """

    id: bytes
    places: list[Place]
    needed: bool


@dataclass(slots=True)
class Weight:
    """Of one segment.

    Attributes:
        live: the stored bytes of its records that are needed and kept here.
        total: those of all its records.
    """

    live: int = 0
    total: int = 0

    @property
    def dead(self) -> float:
        """Its dead share, 0 to 1."""
        return 1 - self.live / self.total if self.total else 1.0


class Marking:
    """Marks what is needed, then tells for every record whether it is.

    Args:
        layout: of the store.
        catalog: its index, freshly looked at.
        condemned: whether a segment is condemned: of two places, the one in the other segment is kept.
    """

    def __init__(self, layout: Layout, catalog: Catalog, condemned: Callable[[Segment], bool]) -> None:
        self._catalog = catalog
        self._condemned = condemned
        self._reader = Segments(layout)
        self._files = list(catalog.files.values())
        self._marks = [bytearray(len(file)) for file in self._files]
        self._exact = {}
        for name in layout.names(layout.blobs):
            if (size := layout.exact_size(Digest(name))) is not None:
                self._exact[name] = Segment(EXACT, name, size)
        self.needed_exact: set[Segment] = set()
        self._spare_exact: set[Segment] = set()

    @property
    def exact(self) -> list[Segment]:
        """Every exact file that is there, whether the index knows of it or not."""
        return list(self._exact.values())

    def need_all(self, needed: Iterable[tuple[Digest, str]]) -> tuple[dict[str, Kept], tuple[Digest, ...]]:
        """Mark all that these blobs need: what each reason keeps, and the blobs that are lost."""
        kept: dict[str, Kept] = {}
        lost: dict[Digest, None] = {}
        for digest, why in needed:
            before = kept.setdefault(why, Kept())
            added = self.need(digest)
            if added is None:
                lost[digest] = None
            elif added:
                kept[why] = Kept(before.blobs + 1, before.bytes + added)
        return kept, tuple(lost)

    def spare_all(self, spare: Iterable[tuple[Digest, str]]) -> dict[str, Kept]:
        """Count what these blobs have for themselves, by name, when all that is needed was marked; it is not kept."""
        counted: dict[str, Kept] = {}
        for digest, name in spare:
            before = counted.get(name, Kept())
            if added := self._take(digest, _SPARE, self._spare_exact):
                counted[name] = Kept(before.blobs + 1, before.bytes + added)
        return counted

    def need(self, digest: Digest) -> int | None:
        """Mark all that the blob needs: the stored bytes that nothing needed before; None when some of it is lost.

        What is there of a blob that is not whole is marked all the same.
        """
        return self._take(digest, _NEEDED, self.needed_exact)

    def _take(self, digest: Digest, mark: int, taken: set[Segment]) -> int | None:
        id_ = bytes.fromhex(digest.hex)
        kinds, is_new, added = self._mark(id_, mark)
        file = self._exact.get(digest.hex)
        if file is not None and file not in taken and file not in self.needed_exact:
            taken.add(file)
            is_new = True
            added += file.size
        if not is_new:
            return 0 if kinds or file is not None else None
        found, is_whole = self._take_chunks(id_, mark, inside=file) if RECIPE in kinds else (0, False)
        if is_whole or file is not None or kinds - {RECIPE}:
            return added + found
        return None

    def need_what_is_said_of(self, segments: Iterable[Segment]) -> bool:
        """Mark the recipes that say which chunks are in these exact files; whether one was not marked.

        Others need chunks of such a file, though nothing may need its own blob. An index that is lost is made again
        from recipes: without this one, nobody would find the chunks.
        """
        is_new = False
        for segment in segments:
            id_ = bytes.fromhex(segment.name)
            for marks, file in zip(self._marks, self._files, strict=True):
                for number in file.numbers(id_):
                    if marks[number] != _NEEDED and file.place_of(number).kind == RECIPE:
                        marks[number] = _NEEDED
                        is_new = True
        return is_new

    def _take_chunks(self, id_: bytes, mark: int, inside: Segment | None) -> tuple[int, bool]:
        """Mark the chunks of every recipe of the blob; the bytes that are new, and whether one recipe has them all."""
        added, one_is_whole = 0, False
        for recipe in {self._recipe(place) for place in self._catalog.places(id_) if place.kind == RECIPE}:
            if recipe is None:
                continue
            is_whole = True
            for chunk, _ in recipe_chunks(recipe):
                kinds, is_new, stored = self._mark(chunk, mark)
                is_whole &= CHUNK in kinds
                # The bytes of an exact file were counted with the file.
                if is_new and not any(place.segment == inside for place in self._catalog.places(chunk)):
                    added += stored
            one_is_whole |= is_whole
        return added, one_is_whole

    def _mark(self, id_: bytes, mark: int) -> tuple[set[int], bool, int]:
        """Mark the rows of `id_`: the kinds of those that count, whether one was not marked, and its stored bytes."""
        kinds, is_new, stored = set(), False, 0
        for marks, file in zip(self._marks, self._files, strict=True):
            for number in file.numbers(id_):
                place = file.place_of(number)
                if place.segment in self._catalog.lost:
                    continue
                kinds.add(place.kind)
                if not marks[number]:
                    marks[number] = mark
                    is_new, stored = True, max(stored, place.stored)
        return kinds, is_new, stored

    def _recipe(self, place: Place) -> bytes | None:
        try:
            data = self._reader.read(place.segment, place.offset, place.stored)
            recipe_chunks(data)
        except UNREADABLE:
            return None
        return data

    def judged(self) -> Iterator[Judged]:
        """Every record that stands anywhere, in ascending order of the ids."""
        lost = self._catalog.lost
        rows = merge(*(self._rows(at) for at in range(len(self._files))))
        for id_, group in groupby(rows, key=lambda row: row[0]):
            listed = [(place, mark) for _, place, mark in group if place.segment not in lost]
            needed = any(mark == _NEEDED for _, mark in listed)
            for kind in {place.kind for place, _ in listed}:
                places = {place for place, _ in listed if place.kind == kind}
                yield Judged(id_, sorted(places, key=self._preference), needed)

    def weigh(self) -> dict[Segment, Weight]:
        """The weight of each segment of which anything is listed."""
        weights: dict[Segment, Weight] = {}
        for one in self.judged():
            for place in one.places:
                weights.setdefault(place.segment, Weight()).total += place.stored + 1
            if one.needed:
                weights[one.places[0].segment].live += one.places[0].stored + 1
        return weights

    def _preference(self, place: Place) -> tuple[bool, bool, Place]:
        """Which of two places is kept. It MUST NOT depend on chance: the next run has to choose the same."""
        return self._condemned(place.segment), place.segment not in self.needed_exact, place

    def _rows(self, at: int) -> Iterator[tuple[bytes, Place, int]]:
        for (id_, place), mark in zip(self._files[at].all(), self._marks[at], strict=True):
            yield id_, place, mark
