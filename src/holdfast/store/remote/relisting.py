"""Listing again what a remote holds, where index files of it were lost or damaged.

An index holds nothing that the packs and recipes do not say. Whoever repairs reads what is not listed, proves it, and
adds an index file for each pack and exact file, as its writer did: mostly the very same one. Others may be at work.
"""

import hashlib
from collections.abc import Iterator
from contextlib import suppress

from blake3 import blake3

from holdfast.errors import IntegrityError, NotFound, UnsupportedFormat
from holdfast.store.faults import UNREADABLE
from holdfast.store.index import EXACT, PACK, Segment, index_bytes, row_bytes, rows_inside
from holdfast.store.layout import is_name
from holdfast.store.pack import RECIPE, Record, recipe_chunks
from holdfast.store.rebuild import is_borne_out, segment_records
from holdfast.store.remote.ranges import BLOCK_BYTES, Windows
from holdfast.store.remote.records import Chunks
from holdfast.store.remote.remote import Remote
from holdfast.store.remote.sending import send_index

__all__ = ["list_again"]


def list_again(remote: Remote) -> tuple[str, ...]:
    """Have every record that is whole in a remote listed, and no index file damaged; a sentence for what was done.

    Raises:
        Unavailable, PermissionRefused: the remote did not answer, or refused; a repetition goes on from there.
        NoSpace: no index file could be kept on this machine.
    """
    remote.catalog.read_anew()
    damaged = remote.catalog.damaged
    made = _Relisting(remote).run()
    # What they listed is listed by others now; none of these is on its way, for each is created whole.
    left = sorted(name for name in damaged if name not in remote.catalog.files)
    for name in left:
        remote.transport.remove(f"index/{name}")
    sentences = []
    if made:
        sentences.append(f"{made} packs and exact files of {remote.name} were listed again")
    if damaged:
        sentences.append(f"{len(damaged)} damaged index files of {remote.name} were exchanged or removed")
    return tuple(sentences)


class _Relisting:
    """One pass over what is not listed."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._reader = Windows(remote.transport, remote.cache)
        self._recipes: list[tuple[Segment, Record, Chunks]] = []
        self._made = 0

    def run(self) -> int:
        """How many segments were listed."""
        listed = {segment for file in self._remote.catalog.files.values() for segment in file.segments}
        for segment in sorted(self._standing("packs/", PACK)):
            if segment not in listed:
                self._list_pack(segment)
        for segment in sorted(self._standing("blobs/", EXACT)):
            if segment not in listed:
                self._list_exact(segment)
        # Recipes come last: a reader takes a blob for present when its recipe is listed.
        for segment in sorted({segment for segment, _, _ in self._recipes}):
            rows = [
                row_bytes(record._replace(length=sum(length for _, length in chunks)), 0)
                for where, record, chunks in self._recipes
                if where == segment and all(self._remote.catalog.holds(id_) for id_, _ in chunks)
            ]
            self._send(segment, rows)
        return self._made

    def _standing(self, prefix: str, kind: int) -> Iterator[Segment]:
        for one in self._remote.transport.list(prefix):
            name = one.key.rpartition("/")[2]
            if is_name(name) and one.key == f"{prefix}{name[:2]}/{name}":
                yield Segment(kind, name, one.size)

    def _list_pack(self, segment: Segment) -> None:
        try:
            records = segment_records(self._reader, segment)
            if self._hash(segment, blake3()) != segment.name:
                records = [one for one in records if is_borne_out(self._reader, segment, one)]
        except (IntegrityError, NotFound, UnsupportedFormat):
            return  # nothing of it can be used; a push sends again what is lacking
        rows = []
        for record in records:
            if record.kind != RECIPE:
                rows.append(row_bytes(record, 0))
                continue
            with suppress(*UNREADABLE):
                chunks = list(recipe_chunks(self._reader.read(segment, record.offset, record.stored)))
                self._recipes.append((segment, record, chunks))
        self._send(segment, rows)

    def _list_exact(self, segment: Segment) -> None:
        chunks = self._chunks(bytes.fromhex(segment.name))
        if (
            sum(length for _, length in chunks) == segment.size
            and self._hash(segment, hashlib.sha256()) == segment.name
        ):
            self._send(segment, list(rows_inside(chunks, 0)))

    def _chunks(self, id_: bytes) -> Chunks:
        for _, record, chunks in self._recipes:
            if record.id == id_:
                return chunks
        for place in self._remote.catalog.places(id_):
            if place.kind == RECIPE:
                with suppress(*UNREADABLE):
                    return list(recipe_chunks(self._reader.read(place.segment, place.offset, place.stored)))
        return []

    def _send(self, segment: Segment, rows: list[bytes]) -> None:
        if rows:
            send_index(self._remote, index_bytes([segment], rows))
            self._made += 1

    def _hash(self, segment: Segment, state: "hashlib._Hash | blake3") -> str:
        for at in range(0, segment.size, BLOCK_BYTES):
            state.update(self._reader.read(segment, at, min(BLOCK_BYTES, segment.size - at)))
        return state.hexdigest()
