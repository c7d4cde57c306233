"""Making records as small as any codec does, for an archive: by themselves, or on a base that the archive holds.

What may serve as a base of a chunk is looked for in this order: in blobs that the caller names as like its own; then in
the files of tensors that the same shipment has met before. It has to stand in the same place, as
`holdfast.store.likeness` says, to be listed by the archive or to go before, and to rest on nothing itself. So the first
of a family is stored by itself; and so is whatever has drifted too far from it, which then serves those that follow.

Nothing here rests on chance or on time: a shipment that is repeated chooses as it did before.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from holdfast.digest import Digest
from holdfast.errors import IntegrityError, NotFound
from holdfast.store.codec import PLANES, ZSTD, base_of, needs_base, pack_bytes, pack_on_base, unpack_bytes
from holdfast.store.faults import damaged
from holdfast.store.likeness import Spot, Standing, standings
from holdfast.store.pack import CHUNK, RECIPE, recipe_chunks
from holdfast.store.remote.reading import Reading
from holdfast.store.remote.records import Chunks, Known, Parcel
from holdfast.store.remote.remote import Remote
from holdfast.store.tensors import HEAD_BYTES

__all__ = ["Archiving", "Resembling", "Way"]

Resembling = Mapping[Digest, Sequence[Digest]]
"""For blobs, the blobs that each of them may resemble, best first."""

_LEVEL = 9
"""Of Zstandard, where bytes are not split: past it, text gains a hundredth for four times the time. The planes of
weights are stored at the fastest level, which does best on them: higher ones find likeness that is only chance."""

_BASES_MAX = 4
"""Bases that are compared for one chunk; each is read and tried on a sample."""

_SAMPLE_BYTES = 64 << 10
"""Of a chunk, to tell which of several bases is nearest."""

_BASE_PAYS_BELOW = 0.9
"""What rests on a base is read with it, lost with it, and can serve nobody as a base: that must save a tenth."""

_FILES_HELD = 16
"""Files of tensors of which it is known what stands where, at about 300 bytes for each chunk."""


class Way(NamedTuple):
    """How a chunk is to be tried.

    Attributes:
        hint: the codec to try.
        bases: ids of chunks that it may rest on, best first.
    """

    hint: int = ZSTD
    bases: tuple[bytes, ...] = ()


class Archiving:
    """What a sender to an archive knows of likeness. All but `parcel` is called by one thread.

    Args:
        known: the records of the local store.
        remote: where to.
        resembling: what the caller knows; a blob that is nowhere, or no file of tensors, is passed over.

    Raises:
        Unavailable, PermissionRefused: the remote was asked whether it is an archive.
    """

    def __init__(self, known: Known, remote: Remote, resembling: Resembling) -> None:
        self._known = known
        self._remote = remote
        self._reading = Reading(remote, known)
        self._resembling = resembling
        self._on_bases = remote.is_archive()
        self._alone: set[bytes] = set()
        self._met: dict[Spot, tuple[bytes, ...]] = {}
        self._files: OrderedDict[Digest, list[Standing]] = OrderedDict()
        self._last: list[Standing] = []

    def ways(self, digest: Digest, chunks: Chunks) -> dict[bytes, Way]:
        """How to try the chunks of the next blob; those that are not in it are tried without a base.

        To be called for each blob in its turn, when everything before it was made.
        """
        self._learn()
        self._last = self._standings(digest, chunks)
        if not self._on_bases:
            return {one.id: Way(one.hint) for one in self._last}
        own = {id_ for id_, _ in chunks}
        like = [
            {other.spot: other.id for other in self._standings(base, None)}
            for base in (self._resembling.get(digest, ()) if self._last else ())
        ]
        found: dict[bytes, Way] = {}
        for one in self._last:
            # Whether a chunk of this very blob has left yet rests on where a shipment was interrupted: one that was
            # met before has, in any case.
            named = [known[one.spot] for known in like if one.spot in known and known[one.spot] not in own]
            candidates = dict.fromkeys([*named, *self._met.get(one.spot, ())])
            able = [id_ for id_ in candidates if id_ != one.id and self._can_serve(id_, one.spot.length)]
            found.setdefault(one.id, Way(one.hint, tuple(able[:_BASES_MAX])))
        return found

    def made(self, parcel: Parcel) -> None:
        """Told of each chunk in the order in which they go into packs."""
        if parcel.kind == CHUNK and not needs_base(parcel.codec):
            self._alone.add(parcel.id)

    def parcel(self, id_: bytes, kind: int, way: Way) -> Parcel:
        """The record, as small as it gets, and proved. It may be called by several threads.

        Raises:
            IntegrityError: the local store has it damaged, or what was made of it does not give it again.
            NotFound: the local store does not have it.
            Unavailable, PermissionRefused: the remote has the base, and did not answer, or refused.
        """
        found, data = self._known.read(id_, kind)
        hint = way.hint if way.hint in PLANES else found.codec
        bases = self._reading.bases(dict.fromkeys(way.bases, len(data)))
        codec, stored = _smallest(data, hint, {base: bases[base] for base in way.bases if base in bases})
        base = base_of(codec, stored)
        if unpack_bytes(codec, stored, len(data), None if base is None else bases[base]) != data:
            raise damaged(Digest(id_.hex()), "packing it does not give it again: the memory of this machine may be bad")
        return Parcel(id_, kind, codec, found.length, stored)

    def _learn(self) -> None:
        """What the last file may serve for."""
        for one in self._last:
            older = self._met.get(one.spot, ())
            if one.id not in older and self._can_serve(one.id, one.spot.length):
                self._met[one.spot] = (one.id, *older)[:_BASES_MAX]
        self._last = []

    def _can_serve(self, id_: bytes, length: int) -> bool:
        return id_ in self._alone or bool(self._remote.catalog.bases(id_, length))

    def _standings(self, digest: Digest, chunks: Chunks | None) -> list[Standing]:
        """What stands where in a blob, here or in the remote; nothing where it is no file of tensors, or nowhere."""
        if digest not in self._files:
            try:
                listed = self._chunks(digest) if chunks is None else chunks
                self._files[digest] = standings(listed, self._head(listed))
            except (IntegrityError, NotFound):
                self._files[digest] = []
            if len(self._files) > _FILES_HELD:
                self._files.popitem(last=False)
        self._files.move_to_end(digest)
        return self._files[digest]

    def _chunks(self, digest: Digest) -> Chunks:
        place = self._known.place(bytes.fromhex(digest.hex))
        if place is not None and place.kind == RECIPE:
            return self._known.chunks(digest)
        (recipe,) = self._reading.parcels({bytes.fromhex(digest.hex): RECIPE})
        return list(recipe_chunks(recipe.stored))

    def _head(self, chunks: Iterable[tuple[bytes, int]]) -> bytes:
        head = bytearray()
        for id_, _ in chunks:
            head += self._bytes(id_)
            if len(head) >= HEAD_BYTES:
                break
        return bytes(head[:HEAD_BYTES])

    def _bytes(self, id_: bytes) -> bytes:
        if self._known.catalog.holds(id_):
            return self._known.read(id_, CHUNK)[1]
        (parcel,) = self._reading.parcels({id_: CHUNK})
        return unpack_bytes(parcel.codec, parcel.stored, parcel.length)


def _smallest(data: bytes, hint: int, bases: Mapping[bytes, bytes]) -> tuple[int, bytes]:
    tried = [pack_bytes(data, hint), pack_bytes(data)] if hint in PLANES else [pack_bytes(data, level=_LEVEL)]
    best = min(tried, key=_stored_bytes)
    if not bases:
        return best
    codec = hint if hint in PLANES else ZSTD
    base = _nearest(data, codec, bases)
    on_base = pack_on_base(data, codec, base, bases[base])
    return on_base if len(on_base[1]) <= _BASE_PAYS_BELOW * len(best[1]) else best


def _nearest(data: bytes, hint: int, bases: Mapping[bytes, bytes]) -> bytes:
    """The base of which a sample from the middle says least that differs; the first one where they are equal."""
    if len(bases) == 1:
        return next(iter(bases))
    begin = max(0, len(data) - _SAMPLE_BYTES) // 2 // 8 * 8  # at the first byte of a number
    sample = slice(begin, begin + _SAMPLE_BYTES)
    return min(bases, key=lambda id_: _stored_bytes(pack_on_base(data[sample], hint, id_, bases[id_][sample])))


def _stored_bytes(packed: tuple[int, bytes]) -> int:
    return len(packed[1])
