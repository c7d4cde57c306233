"""The index of a local store, made again from its packs.

Every pack lists its own records, and every recipe says what is where in an exact file: the index holds nothing else.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from holdfast.digest import Digest
from holdfast.errors import IntegrityError, NotFound, UnsupportedFormat
from holdfast.store.codec import unpack_bytes
from holdfast.store.index import EXACT, PACK, Segment, index_bytes, row_bytes, rows_inside
from holdfast.store.layout import Layout
from holdfast.store.pack import RECIPE, Record, read_directory, recipe_chunks, scan_records
from holdfast.store.segments import Segments

__all__ = ["Rebuilt", "pack_records", "rebuilt_index"]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """An index as the packs give it.

    Attributes:
        data: the index file.
        rows: how many records it lists.
        packs: how many packs were read.
        unreadable: packs of which nothing could be read, each with the reason.
    """

    data: bytes
    rows: int
    packs: int
    unreadable: dict[str, str]


def rebuilt_index(layout: Layout) -> Rebuilt:
    """The index of all packs that are there.

    Raises:
        PermissionRefused: a pack may not be read.
    """
    segments: list[Segment] = []
    rows: list[bytes] = []
    unreadable: dict[str, str] = {}
    reader = Segments(layout)
    for name in layout.names(layout.packs):
        try:
            segment, records = pack_records(layout, reader, name)
        except (IntegrityError, NotFound, UnsupportedFormat) as error:
            unreadable[name] = str(error)
            continue
        number = len(segments)
        segments.append(segment)
        for record in records:
            if record.kind != RECIPE:
                rows.append(row_bytes(record, number))
                continue
            try:
                stored = reader.read(segment, record.offset, record.stored)
                chunks = list(recipe_chunks(unpack_bytes(record.codec, stored, record.length)))
            except (IntegrityError, ValueError) as error:
                unreadable[name] = str(error)
                continue
            size = sum(length for _, length in chunks)
            rows.append(row_bytes(record._replace(length=size), number))
            exact = _exact(layout, record.id.hex(), size)
            if exact is not None:
                segments.append(exact)
                rows += rows_inside(chunks, len(segments) - 1)
    return Rebuilt(index_bytes(segments, rows), len(rows), len(segments), unreadable)


def pack_records(layout: Layout, reader: Segments, name: str) -> tuple[Segment, list[Record]]:
    """A pack as a segment, and its records: from its directory, or read forward where that is lost.

    Raises:
        UnsupportedFormat: it is not a pack.
        IntegrityError, NotFound, PermissionRefused: it could not be read.
    """
    path = layout.segment(Segment(PACK, name, 0))
    segment = Segment(PACK, name, os.lstat(path).st_size)

    def read(offset: int, length: int) -> bytes:
        return reader.read(segment, offset, length)

    try:
        return segment, read_directory(read, segment.size)
    except UnsupportedFormat:
        return segment, list(scan_records(read, segment.size))


def _exact(layout: Layout, name: str, size: int) -> Segment | None:
    path = Path(layout.exact(Digest(name)))
    return Segment(EXACT, name, size) if path.is_file() and path.stat().st_size == size else None
