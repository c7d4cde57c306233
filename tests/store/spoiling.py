"""Spoiling what a local store holds, behind its back: what a failing disk or an intruder could do."""

import os
from pathlib import Path

from blake3 import blake3

from holdfast.digest import Digest
from holdfast.store.index import PACK, Segment, index_bytes, row_bytes
from holdfast.store.layout import Layout
from holdfast.store.local import LocalStore
from holdfast.store.pack import (
    BLOB,
    CHUNK,
    HEADER_BYTES,
    PACK_START,
    RECIPE,
    Record,
    directory,
    header,
    recipe_bytes,
)
from holdfast.store.segments import Segments


def spoil(store: LocalStore, digest: Digest, data: bytes) -> None:
    """Let `digest` name other bytes: as its exact file where it has one, else as a record or a recipe of its own."""
    layout = store._layout
    exact = Path(layout.exact(digest))
    if exact.exists():
        exact.chmod(0o644)
        exact.write_bytes(data)
        store._segments = Segments(layout)
        return
    id_ = bytes.fromhex(digest.hex)
    kinds = {place.kind for place in store._catalog.places(id_)}
    forget(store, id_)
    if kinds == {BLOB}:
        write_pack(layout, [(BLOB, id_, len(data), data)])
    else:
        chunk = blake3(data).digest()
        recipe = recipe_bytes([(chunk, len(data))])
        write_pack(layout, [(CHUNK, chunk, len(data), data), (RECIPE, id_, len(data), recipe)])
    store._catalog.refresh()


def alone(root: Path, digest: Digest) -> Path:
    """Keep a blob as a file of its own, as in a store that is older than packs; the file, to do what one likes with."""
    store = LocalStore(root)
    data = store.read(digest, bytes_max=store.size(digest))
    path = Path(store._layout.exact(digest))
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o444)
    # Whoever has looked into the index before, and will not again, finds nothing there either.
    for place in store._places(digest):
        wipe(Path(store._layout.segment(place.segment)), place.offset, place.stored)
    forget(store, bytes.fromhex(digest.hex))
    return path


def wipe(path: Path, offset: int, length: int) -> None:
    """Let a range of a file read as zeros."""
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(bytes(length))
    path.chmod(0o444)


def forget(store: LocalStore, id_: bytes) -> None:
    """Write the index anew without `id_`."""
    catalog, layout = store._catalog, store._layout
    rows = [(row, place) for row, place in catalog.all() if row != id_]
    segments = list(dict.fromkeys(place.segment for _, place in rows))
    old = list(catalog.files)
    write_index(
        layout,
        segments,
        [(Record(p.offset, p.kind, p.codec, p.length, p.stored, row), segments.index(p.segment)) for row, p in rows],
    )
    catalog.drop(old)


def write_pack(layout: Layout, records: list[tuple[int, bytes, int, bytes]]) -> Segment:
    """A pack of records, each kind, id, stated length and stored bytes, with its index."""
    body, listed = PACK_START, []
    for kind, id_, length, stored in records:
        record = Record(len(body) + HEADER_BYTES, kind, 0, len(stored), len(stored), id_)
        body += header(record) + stored
        listed.append(record._replace(length=length))
    body += directory([record._replace(length=record.stored) for record in listed], len(body))
    segment = Segment(PACK, blake3(body).hexdigest(), len(body))
    path = Path(layout.segment(segment))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    write_index(layout, [segment], [(record, 0) for record in listed])
    return segment


def write_index(layout: Layout, segments: list[Segment], rows: list[tuple[Record, int]]) -> None:
    data = index_bytes(segments, [row_bytes(record, number) for record, number in rows])
    (layout.index / blake3(data).hexdigest()).write_bytes(data)


def flip(path: Path, at: int) -> None:
    """Turn one bit of a file over, and keep its times."""
    before = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
