"""Saving what is needed of segments that go: records are hashed and copied, as they are stored, into new packs.

Where a record stands elsewhere too, it is not copied, provided that it is whole there.
"""

from collections.abc import Container, Iterable
from contextlib import suppress
from typing import NamedTuple

from holdfast.store.catalog import Catalog
from holdfast.store.faults import UNREADABLE
from holdfast.store.index import Place, Segment, row_bytes
from holdfast.store.layout import Layout
from holdfast.store.local_writer import LocalWriter
from holdfast.store.marking import Judged
from holdfast.store.pack import RECIPE, recipe_chunks
from holdfast.store.packing import PACK_BYTES
from holdfast.store.scratch import Scratch
from holdfast.store.segments import Segments

__all__ = ["Saved", "broken_recipes", "save_needed"]


class Saved(NamedTuple):
    """What was saved.

    Attributes:
        bytes: that were copied.
        stuck: segments that hold a needed record of which no whole copy was found; they MUST stay.
    """

    bytes: int
    stuck: frozenset[Segment]


def save_needed(
    layout: Layout, scratch: Scratch, records: Iterable[Judged], going: Container[Segment], refuse: Container[str]
) -> Saved:
    """See that every needed record stands, whole and durable, in a segment that stays.

    Args:
        layout: of the store.
        scratch: a folder of our own in it.
        records: all of them.
        going: the segments that go.
        refuse: names of segments that nothing may rely on.

    Raises:
        NoSpace, PermissionRefused, IntegrityError: the operating system refused; what was saved is there.
    """
    todo = [one for one in records if one.needed and any(place.segment in going for place in one.places)]
    todo.sort(key=lambda one: min(place for place in one.places if place.segment in going))
    catalog = Catalog(layout)
    catalog.write_what_was_lost(scratch)
    copies = _Copies(layout, catalog, layout.prepare_to_write(), scratch)
    reader, copied, stuck = Segments(layout), 0, set[Segment]()
    try:
        for one in todo:
            there = {
                stored
                for place in one.places
                if place.segment not in going and place.segment.name not in refuse
                if (stored := reader.whole(one.id, place)) is not None
            }
            here = [place for place in one.places if place.segment in going]
            if there and here[0].kind != RECIPE:
                continue
            # Two recipes of one blob may differ, and only putting it together would say which of them holds.
            for place in here:
                stored = reader.whole(one.id, place)
                if stored is not None and stored not in there and (here[0].kind == RECIPE or not there):
                    copies.take(one.id, place, stored)
                    copied += len(stored)
                    there.add(stored)
            if not there:
                stuck.update(place.segment for place in here)
        copies.commit()
    finally:
        copies.leave()
    return Saved(copied, frozenset(stuck))


class _Copies(LocalWriter):
    """A writer that takes records as they are stored."""

    def take(self, id_: bytes, place: Place, stored: bytes) -> None:
        """Stage a record that was proved; what fills a pack becomes visible."""
        if id_ in self._rows:
            self.commit()  # one blob may be kept whole and in chunks, and have more than one recipe
        is_recipe = place.kind == RECIPE
        if is_recipe:
            number, packing = self._recipes = self._recipes or self._new_pack()
            self._recipe_packs.add(packing.name)
        else:
            number, packing = self._data = self._data or self._new_pack()
        inside = len(stored) if is_recipe else place.length
        record = packing.append(id_, place.kind, inside, (place.codec, stored))
        self._rows[id_] = row_bytes(record._replace(length=place.length), number)
        if packing.size >= PACK_BYTES:
            self.commit()


def broken_recipes(layout: Layout, catalog: Catalog, going: Container[Segment]) -> set[bytes]:
    """The blobs whose recipe stays, and of which a chunk stands in nothing but segments that go. Nothing needs them."""
    reader, broken = Segments(layout), set()
    for id_, place in catalog.all():
        if place.kind != RECIPE or place.segment in going:
            continue
        with suppress(*UNREADABLE):  # one that cannot be read puts nothing together either, and a check says so
            chunks = recipe_chunks(reader.read(place.segment, place.offset, place.stored))
            if any(all(where.segment in going for where in catalog.places(chunk)) for chunk, _ in chunks):
                broken.add(id_)
    return broken
