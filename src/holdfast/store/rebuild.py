"""The index of a local store, made again from its packs.

Every pack lists its own records, and every recipe says what is where in an exact file: the index holds nothing else.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from holdfast.digest import Digest
from holdfast.errors import IntegrityError, NotFound, UnsupportedFormat
from holdfast.store.codec import unpack_bytes
from holdfast.store.index import EXACT, PACK, Segment, index_bytes, row_bytes, rows_inside
from holdfast.store.layout import Layout
from holdfast.store.pack import BLOB, ID_BYTES, RECIPE, Record, read_directory, recipe_chunks, scan_records
from holdfast.store.segments import Segments

__all__ = ["Rebuilt", "is_borne_out", "pack_records", "rebuilt_index", "segment_records"]


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
    recipes: list[tuple[bytes, bytes]] = []
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
                recipe = unpack_bytes(record.codec, stored, record.length)
                chunks = list(recipe_chunks(recipe))
            except (IntegrityError, UnsupportedFormat, ValueError) as error:
                unreadable[name] = str(error)
                continue
            size = sum(length for _, length in chunks)
            recipes.append((row_bytes(record._replace(length=size), number), recipe))
            exact = _exact(layout, record.id.hex(), size)
            if exact is not None:
                segments.append(exact)
                rows += rows_inside(chunks, len(segments) - 1)
    # A recipe of which a chunk is nowhere would make its blob seem to be here.
    known = {row[:ID_BYTES] for row in rows}
    rows += [row for row, recipe in recipes if all(id_ in known for id_, _ in recipe_chunks(recipe))]
    return Rebuilt(index_bytes(segments, rows), len(rows), len(segments), unreadable)


def pack_records(layout: Layout, reader: Segments, name: str) -> tuple[Segment, list[Record]]:
    """A pack as a segment, and its records: as its directory and the headers in front of them say.

    Where the two differ the pack is damaged, and of what only one of them says the bytes themselves decide.

    Raises:
        UnsupportedFormat: it is not a pack.
        IntegrityError, NotFound, PermissionRefused: it could not be read.
    """
    path = layout.segment(Segment(PACK, name, 0))
    segment = Segment(PACK, name, os.lstat(path).st_size)
    return segment, segment_records(reader, segment)


def segment_records(reader: Segments, segment: Segment) -> list[Record]:
    """The records of a pack; see `pack_records`.

    Raises:
        As `pack_records`.
    """

    def read(offset: int, length: int) -> bytes:
        return reader.read(segment, offset, length)

    listed: list[Record] = []
    scanned: list[Record] = []
    wrong: list[UnsupportedFormat] = []
    for records, view in ((listed, read_directory), (scanned, scan_records)):
        try:
            for record in view(read, segment.size):
                records.append(record)  # what came before the damage counts
        except UnsupportedFormat as error:
            wrong.append(error)
    if not listed and not scanned and wrong:
        raise wrong[0]
    if listed == scanned:
        return listed
    both = set(listed) & set(scanned)
    return [one for one in sorted({*listed, *scanned}) if one in both or is_borne_out(reader, segment, one)]


def is_borne_out(reader: Segments, segment: Segment, record: Record) -> bool:
    """Whether its bytes are what a record says; of a recipe, whether they are one."""
    try:
        data = unpack_bytes(record.codec, reader.read(segment, record.offset, record.stored), record.length)
        if record.kind == RECIPE:
            recipe_chunks(data)
            return True
    except (IntegrityError, UnsupportedFormat, ValueError):
        return False
    hashed = hashlib.sha256(data) if record.kind == BLOB else blake3(data)
    return hashed.digest() == record.id and len(data) == record.length


def _exact(layout: Layout, name: str, size: int) -> Segment | None:
    path = Path(layout.exact(Digest(name)))
    return Segment(EXACT, name, size) if path.is_file() and path.stat().st_size == size else None
