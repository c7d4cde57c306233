"""Sending packs, exact files and index files, each proved on its way out."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from holdfast.digest import Digest
from holdfast.errors import HoldfastError, NotFound
from holdfast.store.cut import HEAD_BYTES
from holdfast.store.faults import damaged
from holdfast.store.index import PACK, IndexFile, Segment, index_bytes, row_bytes
from holdfast.store.layout import Layout
from holdfast.store.pack import BLOB, HEADER_BYTES, RECIPE, read_directory
from holdfast.store.parallel import on_all_workers
from holdfast.store.remote.records import Known
from holdfast.store.remote.remote import WINDOW_BYTES, Remote, segment_key
from holdfast.store.remote.transport import Pieces, Transport
from holdfast.store.steady import read_fully, steady

__all__ = ["Sent", "create_segment", "proved", "send_index", "send_segment", "send_whole_packs"]

_AS_IT_IS_FROM = 0.95
"""A pack of which the remote lacks at least this share travels without being taken apart."""

_RECORD_OVERHEAD_BYTES = HEADER_BYTES + 60
"""What a record costs in a pack beside its bytes: its header, and its entry in the directory."""


@dataclass(slots=True)
class Sent:
    """What travelled.

    Attributes:
        blobs: those of which the remote lacked something.
        bytes: as stored, with packs and index files.
    """

    blobs: int = 0
    bytes: int = 0


def send_whole_packs(
    layout: Layout,
    known: Known,
    remote: Remote,
    digests: Sequence[Digest],
    pass_over: Callable[[Sequence[Digest]], None],
) -> tuple[list[Digest], Sent]:
    """Send as they are the packs of which the remote lacks nearly all; what is left to send, in order.

    A pack that hashes to its name is as it was written: its records need not be proved one by one.

    Args:
        layout: of the local store.
        known: its records.
        remote: where to; what it has is left out.
        digests: what it is to hold.
        pass_over: is told of the blobs that need nothing more.
    """
    lacking: dict[Segment, int] = {}
    rest: list[tuple[Digest, Segment | None]] = []
    there: list[Digest] = []
    for digest in digests:
        id_ = bytes.fromhex(digest.hex)
        place = known.place(id_)
        if place is None or place.kind != BLOB:
            rest.append((digest, None))
        elif remote.holds(id_):
            there.append(digest)
        else:
            lacking[place.segment] = lacking.get(place.segment, 0) + _RECORD_OVERHEAD_BYTES + place.stored
            rest.append((digest, place.segment))
    pass_over(there)
    chosen = [one for one, size in lacking.items() if one.kind == PACK and size > _AS_IT_IS_FROM * one.size]
    answers = on_all_workers(lambda segment: _send_as_it_is(layout, remote, segment), chosen)
    went = {segment: answer for segment, answer in zip(chosen, answers, strict=True) if answer is not None}
    done = [digest for digest, segment in rest if segment in went]
    pass_over(done)
    left = [digest for digest, segment in rest if segment not in went]
    return left, Sent(len(done), sum(went.values()))


def _send_as_it_is(layout: Layout, remote: Remote, segment: Segment) -> int | None:
    """The bytes that travelled; None for a pack that is damaged or holds recipes, which goes record by record."""
    try:
        with steady(Path(layout.segment(segment))) as source:
            data = read_fully(source.descriptor, segment.size)
        if blake3(data).hexdigest() != segment.name:
            return None
        records = read_directory(lambda at, length: data[at : at + length], len(data))
    except HoldfastError:
        return None
    if any(record.kind == RECIPE for record in records):
        return None
    travelled = create_segment(remote, segment, lambda: iter((data,)), remote.cold)
    return travelled + send_index(remote, index_bytes([segment], [row_bytes(record, 0) for record in records]))


def send_segment(remote: Remote, segment: Segment, path: Path) -> int:
    """Have the remote hold the pack or exact file at `path`; how many bytes travelled.

    Raises:
        IntegrityError: the file is not what it is named by; it was not sent.
    """
    return create_segment(remote, segment, proved(path, segment))


def send_index(remote: Remote, data: bytes) -> int:
    """Make visible what an index file lists, all of which was sent before; how many bytes travelled."""
    transport, key = remote.transport, f"index/{blake3(data).hexdigest()}"
    travelled = 0
    if transport.create(key, data):
        travelled = len(data)
    elif _lists_else(transport, key, data):
        # As with a segment: nobody can use it, and this is the one content that may stand here.
        transport.remove(key)
        transport.create(key, data)
        travelled = len(data)
    remote.catalog.add(data, IndexFile(data).segments)
    return travelled


def _lists_else(transport: Transport, key: str, data: bytes) -> bool:
    with suppress(NotFound):  # somebody else is exchanging it
        return transport.range(key, 0, len(data) + 1) != data
    return True


def create_segment(remote: Remote, segment: Segment, pieces: Pieces, through: Transport | None = None) -> int:
    """Have the remote hold a pack or exact file; how many bytes travelled.

    Args:
        remote: where to.
        segment: what.
        pieces: its bytes.
        through: creates it: `remote.cold` for what need not be at hand, and `remote.transport` when None.
    """
    transport, key = through or remote.transport, segment_key(segment)
    if not transport.create_long(key, pieces, segment.size):
        if transport.size(key) == segment.size and _is_whole(remote, segment):
            return 0
        # Damaged for everybody: what is named by its content may only ever be exchanged for that content, which has to
        # be at hand before the other goes.
        for _ in pieces():
            pass
        transport.remove(key)
        transport.create_long(key, pieces, segment.size)
    return segment.size


def _is_whole(remote: Remote, segment: Segment) -> bool:
    """Whether what stands there hashes to its name. Asked only where it stands unlisted, or is being sent again."""
    state = blake3() if segment.kind == PACK else hashlib.sha256()
    for at in range(0, segment.size, WINDOW_BYTES):
        state.update(remote.transport.range(segment_key(segment), at, min(WINDOW_BYTES, segment.size - at)))
    return state.hexdigest() == segment.name


def proved(path: Path, segment: Segment) -> Pieces:
    """The bytes of a pack or exact file; at the end it raises unless they were the ones that it is named by."""

    def pieces() -> Iterator[bytes]:
        state = blake3() if segment.kind == PACK else hashlib.sha256()
        with steady(path) as source:
            for piece in source.pieces(HEAD_BYTES):
                state.update(piece)
                yield piece
        if state.hexdigest() != segment.name:
            raise damaged(Digest(segment.name), Digest(state.hexdigest()))

    return pieces
