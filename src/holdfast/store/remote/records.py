"""Records on their way: read from wherever they are, and proved before they go on."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from blake3 import blake3

from holdfast.digest import Digest
from holdfast.errors import IntegrityError, NotFound
from holdfast.store.catalog import Catalog
from holdfast.store.codec import unpack_bytes
from holdfast.store.faults import UNREADABLE, absent, damaged
from holdfast.store.index import Place
from holdfast.store.layout import Layout
from holdfast.store.pack import BLOB, CHUNK, RECIPE, recipe_chunks
from holdfast.store.segments import Segments

__all__ = ["Chunks", "Known", "Parcel", "is_proved", "unpacked"]

Chunks = list[tuple[bytes, int]]
"""The chunks of a blob: id and length of each."""


class Parcel(NamedTuple):
    """One record that was proved.

    Attributes:
        id: as in the record.
        kind: as in the record.
        codec: as in the record.
        length: of the blob or chunk; of a recipe, of the blob that it puts together.
        stored: the bytes as stored.
    """

    id: bytes
    kind: int
    codec: int
    length: int
    stored: bytes


def unpacked(place: Place, stored: bytes) -> bytes:
    """The bytes of a record.

    Raises:
        ValueError, UnsupportedFormat: they are not what the codec writes.
    """
    if len(stored) != place.stored:
        raise ValueError("the segment ends before the record does")
    # A recipe is stored as it is, and its place gives the length of what it puts together.
    return unpack_bytes(place.codec, stored, place.stored if place.kind == RECIPE else place.length)


def is_proved(id_: bytes, place: Place, data: bytes) -> bool:
    """Whether these are the bytes that the id names; of a recipe, whether it is whole and as long as its place says."""
    if place.kind == BLOB:
        return len(data) == place.length and hashlib.sha256(data).digest() == id_
    if place.kind == CHUNK:
        return len(data) == place.length and blake3(data).digest() == id_
    return sum(length for _, length in recipe_chunks(data)) == place.length


class Known:
    """The records of a local store, by id, each proved when it is read. It may be used by several threads."""

    def __init__(self, layout: Layout, catalog: Catalog) -> None:
        self._layout = layout
        self._segments = Segments(layout)
        self.catalog = catalog

    def place(self, id_: bytes) -> Place | None:
        """Where a record of the blob is, the blob itself (`BLOB`) or its recipe (`RECIPE`); None when there is none."""
        found = None
        for place in self.catalog.places(id_):
            if place.kind == BLOB:
                return place
            if place.kind == RECIPE:
                found = place
        return found

    def stands(self, digest: Digest) -> bool:
        """Whether the blob is here, as far as the catalog has looked; nothing is hashed."""
        for place in self.catalog.places(bytes.fromhex(digest.hex)):
            if place.kind == BLOB or (place.kind == RECIPE and not self.catalog.lost):
                return True
            if place.kind == RECIPE:
                with suppress(IntegrityError, NotFound):
                    return self.holds_all(self.chunks(digest))
        return os.path.isfile(self._layout.exact(digest))  # noqa: PTH113 - asked for once for every file

    def parcel(self, id_: bytes, kind: int) -> Parcel:
        """The record, from the first place that has it whole.

        Raises:
            IntegrityError: no place has.
            NotFound: there is no such record.
        """
        return self.read(id_, kind)[0]

    def read(self, id_: bytes, kind: int) -> tuple[Parcel, bytes]:
        """The record as `parcel`, and its bytes.

        Raises:
            As `parcel`.
        """
        wrong: str | None = None
        for place in self.catalog.places(id_):
            if place.kind != kind:
                continue
            try:
                stored = self._segments.read(place.segment, place.offset, place.stored)
                data = unpacked(place, stored)
                if is_proved(id_, place, data):
                    return Parcel(id_, kind, place.codec, place.length, stored), data
                wrong = "its bytes hash to something else"
            except UNREADABLE as error:
                wrong = str(error)
        digest = Digest(id_.hex())
        if wrong is None:
            raise absent(digest)
        self._layout.mark_damaged(id_.hex())
        raise damaged(digest, wrong)

    def is_whole(self, chunk: bytes) -> bool:
        """Whether any place has the chunk whole."""
        with suppress(IntegrityError, NotFound):
            self.parcel(chunk, CHUNK)
            return True
        return False

    def chunks(self, digest: Digest) -> Chunks:
        """The chunks of a blob that is kept so.

        Raises:
            As `parcel`.
        """
        return list(recipe_chunks(self.parcel(bytes.fromhex(digest.hex), RECIPE).stored))

    def holds_all(self, chunks: Chunks) -> bool:
        """Whether every chunk is listed."""
        return all(self.catalog.holds(id_) for id_, _ in chunks)

    def put_together(self, chunks: Chunks) -> Iterator[bytes]:
        """The bytes of a blob, chunk by chunk.

        Raises:
            As `parcel`.
        """
        for id_, _ in chunks:
            yield self.read(id_, CHUNK)[1]
