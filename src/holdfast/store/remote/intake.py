"""Taking in what was fetched: a writer for records and exact files that were proved on their way."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.store.disk import CREATE, refusing, write_all
from holdfast.store.index import EXACT, Segment, row_bytes, rows_inside
from holdfast.store.local_writer import LocalWriter
from holdfast.store.pack import RECIPE
from holdfast.store.packing import PACK_BYTES
from holdfast.store.remote.records import Chunks, Parcel

__all__ = ["Intake", "leaving"]


class Intake(LocalWriter):
    """A writer that takes records as they are stored, once they have been proved."""

    def take(self, parcel: Parcel) -> None:
        """Stage a proved record; what fills a pack becomes visible."""
        if parcel.id in self._rows:
            return
        if parcel.kind == RECIPE:
            number, packing = self._recipes = self._recipes or self._new_pack()
            self._recipe_packs.add(packing.name)
        else:
            number, packing = self._data = self._data or self._new_pack()
        inside = len(parcel.stored) if parcel.kind == RECIPE else parcel.length
        record = packing.append(parcel.id, parcel.kind, inside, (parcel.codec, parcel.stored))
        self._rows[parcel.id] = row_bytes(record._replace(length=parcel.length), number)
        if packing.size >= PACK_BYTES:
            self.commit()

    def take_exact(self, recipe: Parcel, chunks: Chunks, pieces: Iterator[bytes]) -> None:
        """Make an exact file visible, with the recipe that says what is in it.

        Args:
            recipe: of the blob.
            chunks: that it names.
            pieces: raises unless they are the blob's bytes.
        """
        name = self._next_name()
        with refusing(self._scratch.path / name):
            descriptor = os.open(name, CREATE, 0o444, dir_fd=self._scratch.descriptor)
        try:
            for piece in pieces:
                with refusing(self._scratch.path / name):
                    write_all(descriptor, piece)
        except BaseException:
            self._remove(name)
            raise
        finally:
            os.close(descriptor)
        self._segments.append((name, Segment(EXACT, recipe.id.hex(), sum(length for _, length in chunks))))
        self._exact_rows += rows_inside(chunks, len(self._segments) - 1)
        self.take(recipe)
        self.commit()

    def is_wanted(self, id_: bytes, length: int) -> bool:
        """Whether the store lacks the record."""
        return not self._is_known(id_, length)

    def replace(self, parcel: Parcel) -> None:
        """Take a record that is damaged here, and forget that it was once it is visible."""
        self._marked.add(parcel.id.hex())
        self.take(parcel)


@contextmanager
def leaving(intake: Intake) -> Iterator[Intake]:
    """Leave it at the end."""
    try:
        yield intake
    finally:
        intake.leave()
