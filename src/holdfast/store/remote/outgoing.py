"""Sending blobs: only what the remote lacks travels, proved before it leaves, in packs that a repetition makes again.

The numbers in `_Shipment` are those of docs/FORMAT.md, "Remotes", "Order of writing".
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Self

from blake3 import blake3

from holdfast.digest import Digest
from holdfast.errors import IntegrityError
from holdfast.store.catalog import Catalog
from holdfast.store.codec import PLAIN, pack_bytes
from holdfast.store.cut import CUTTING
from holdfast.store.faults import absent
from holdfast.store.index import EXACT, PACK, Segment, index_bytes, row_bytes
from holdfast.store.large import cut_pieces
from holdfast.store.layout import Layout
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
    recipe_chunks,
)
from holdfast.store.packing import PACK_BYTES
from holdfast.store.parallel import WORKERS
from holdfast.store.remote.archiving import Archiving, Resembling, Way
from holdfast.store.remote.records import Chunks, Known, Parcel
from holdfast.store.remote.remote import Remote
from holdfast.store.remote.sending import Sent, create_segment, proved, send_index, send_whole_packs
from holdfast.store.remote.transport import Transport

__all__ = ["Outgoing"]

_BY_ITSELF = Way()

_BATCH_BYTES = 4 << 20
_BATCH_RECORDS = 64
"""Work for one thread: enough that handing it over costs nothing beside it."""

_BATCHES_AHEAD = 4
"""Read and proved before the pack takes them: no thread waits, and memory stays flat."""

_WHOLE_FROM = 0.5
"""An exact file of which the remote lacks more than this share travels as it is, and can be linked to over there."""

_WHOLE_BYTES_MAX = 4 << 20
"""A blob of a store without an index is sent whole up to here, and in chunks above."""


class Outgoing:
    """Sends from the local store in the folder `root` to `remote`."""

    def __init__(self, root: Path, remote: Remote) -> None:
        self._layout = Layout(root)
        self._known = Known(self._layout, Catalog(self._layout))
        self._remote = remote

    def send(
        self,
        digests: Sequence[Digest],
        progress: Callable[[int, int], None] | None = None,
        *,
        bases: Resembling | None = None,
    ) -> Sent:
        """Have the remote hold all of `digests`, in this order; what it has is not sent again.

        Given `bases`, this archives: it takes time to make every record as small as it gets. A remote to which nothing
        was sent before becomes an archive by it, in which records may rest on others; in any other remote they do not.

        Args:
            digests: blobs of the local store; what refers to others stands after them.
            progress: called with the bytes of the blobs done and of all, by one thread.
            bases: for files of weights, blobs that each may be like, best first, wherever they are. They help only if
                the remote holds them by now, or they are sent before it; files like it that stand before it in
                `digests` are found without being named. None for a sender who has no time to archive.

        Raises:
            NotFound: the local store lacks a blob.
            IntegrityError: one is damaged; nothing of it was sent.
            Unavailable, PermissionRefused: the remote did not answer, or refused. A repetition goes on from there.
        """
        self._remote.prepare(self._layout, archive=bases is not None)
        self._remote.look()
        self._known.catalog.refresh()
        todo, sent = list(dict.fromkeys(digests)), Sent()
        told = _Told(progress, todo, self._size)
        archiving: Archiving | None = None
        if bases is None:
            todo, sent = send_whole_packs(self._layout, self._known, self._remote, todo, told.pass_over)
        else:
            archiving = Archiving(self._known, self._remote, bases)
        with _Shipment(self._layout, self._known, self._remote, sent, archiving) as shipment:
            for digest in todo:
                shipment.add(digest)
                told.pass_over([digest])
            shipment.finish()
        self._remote.forget_damage([*shipment.claimed, *(bytes.fromhex(digest.hex) for digest in todo)])
        return sent

    def _size(self, digest: Digest) -> int:
        place = self._known.place(bytes.fromhex(digest.hex))
        if place is not None:
            return place.length
        path = Path(self._layout.exact(digest))
        return path.stat().st_size if path.is_file() else 0


class _Told:
    """Progress in bytes of the blobs that were asked for."""

    def __init__(
        self, report: Callable[[int, int], None] | None, digests: Sequence[Digest], size: Callable[[Digest], int]
    ) -> None:
        self._report = report
        self._sizes = {digest: size(digest) for digest in digests} if report is not None else {}
        self._total = sum(self._sizes.values())
        self._done = 0

    def pass_over(self, digests: Sequence[Digest]) -> None:
        """The remote has these, or they are on their way."""
        if self._report is not None:
            self._done += sum(self._sizes[digest] for digest in digests)
            self._report(self._done, self._total)


class _Pack:
    """A pack that is put together in memory, so that it can be sent again when the way there fails."""

    def __init__(self) -> None:
        self._data = bytearray(PACK_START)
        self._records: list[Record] = []
        self._rows: list[bytes] = []

    def __len__(self) -> int:
        return len(self._data)

    @property
    def is_empty(self) -> bool:
        return not self._records

    def append(self, parcel: Parcel) -> None:
        at, stored = len(self._data) + HEADER_BYTES, parcel.stored
        inside = len(stored) if parcel.kind == RECIPE else parcel.length
        record = Record(at, parcel.kind, parcel.codec, inside, len(stored), parcel.id)
        self._data += header(record)
        self._data += stored
        self._records.append(record)
        self._rows.append(row_bytes(record._replace(length=parcel.length), 0))

    def end(self) -> tuple[Segment, bytes, bytes]:
        """The segment, its bytes, and its index file."""
        self._data += directory(self._records, len(self._data))
        data, self._data = bytes(self._data), bytearray()
        segment = Segment(PACK, blake3(data).hexdigest(), len(data))
        return segment, data, index_bytes([segment], self._rows)


class _Shipment:
    """One `send` in progress. Packs are sent by a thread of their own while the next one is filled.

    Attributes:
        sent: what travelled.
        claimed: the records that were lacking.
    """

    def __init__(
        self, layout: Layout, known: Known, remote: Remote, sent: Sent, archiving: Archiving | None = None
    ) -> None:
        self.sent = sent
        self._layout = layout
        self._known = known
        self._remote = remote
        self._archiving = archiving
        # An exact file that no index file lists is not among the places of its chunks.
        self._listed = {one.name for file in known.catalog.files.values() for one in file.segments if one.kind == EXACT}
        self._data = _Pack()
        self._recipes: list[Parcel] = []
        self._recipe_bytes = 0
        self.claimed: set[bytes] = set()
        self._batch: list[Callable[[], Parcel]] = []
        self._batch_bytes = 0
        self._proving: list[Future[list[Parcel]]] = []
        self._sending: Future[None] | None = None
        self._provers = ThreadPoolExecutor(WORKERS, "holdfast-prove")
        self._sender = ThreadPoolExecutor(1, "holdfast-send")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._provers.shutdown(wait=True, cancel_futures=True)
        self._sender.shutdown(wait=True, cancel_futures=True)

    def add(self, digest: Digest) -> None:
        """(2) Put into packs what the remote lacks of a blob."""
        id_ = bytes.fromhex(digest.hex)
        if id_ in self.claimed:
            return
        place = self._known.place(id_)
        if place is not None and place.kind == BLOB:
            if not self._remote.holds(id_):
                self._claim(id_, BLOB, place.stored)
                self.sent.blobs += 1
        elif place is not None:
            self._add_chunks(digest, id_)
        elif Path(self._layout.exact(digest)).is_file():
            self._add_unlisted(digest, id_)
        elif not self._remote.holds(id_):
            raise absent(digest)

    def finish(self) -> None:
        """(3) Send what is left."""
        self._flush_recipes()
        self._wait()

    def _add_chunks(self, digest: Digest, id_: bytes) -> None:
        is_listed = self._remote.holds(id_)
        if is_listed and not self._remote.is_doubtful and self._archiving is None:
            return
        recipe = self._known.parcel(id_, RECIPE)
        chunks = list(recipe_chunks(recipe.stored))
        ways = self._ways(digest, chunks)
        lacking = {chunk: length for chunk, length in chunks if not self._has(chunk)}
        if is_listed and not lacking:
            return
        self.sent.blobs += 1
        is_wanted_whole = self._archiving is None and sum(lacking.values()) > _WHOLE_FROM * recipe.length
        if not (is_wanted_whole or digest.hex not in self._listed) or not self._sends_exact(digest, chunks):
            for chunk, length in lacking.items():
                self._claim(chunk, CHUNK, length, ways.get(chunk, _BY_ITSELF))
        if not is_listed:
            self._add_recipe(recipe)

    def _ways(self, digest: Digest, chunks: Chunks) -> dict[bytes, Way]:
        if self._archiving is None:
            return {}
        self._drain()  # what was made before may serve as a base
        return self._archiving.ways(digest, chunks)

    def _sends_exact(self, digest: Digest, chunks: Chunks) -> bool:
        """Whether the blob has an exact file, and it went; where that is damaged, its chunks may be whole elsewhere."""
        path = Path(self._layout.exact(digest))
        if not path.is_file():
            return False
        with suppress(IntegrityError):
            self._send_exact(digest, path, chunks)
            return True
        return False

    def _add_unlisted(self, digest: Digest, id_: bytes) -> None:
        """A blob of a store that has no index yet: one file for each."""
        path = Path(self._layout.exact(digest))
        if self._remote.holds(id_) and not self._remote.is_doubtful:
            return
        self.sent.blobs += 1
        size = path.stat().st_size
        pieces = proved(path, Segment(EXACT, digest.hex, size))
        if size <= _WHOLE_BYTES_MAX:
            data = b"".join(pieces())
            codec, stored = pack_bytes(data)
            self._drain()
            self.claimed.add(id_)
            self._append(Parcel(id_, BLOB, codec, len(data), stored))
            return
        cut = cut_pieces(pieces(), self._layout.cutting() or CUTTING, lambda _id, _chunk: True)
        self._send_exact(digest, path, cut.chunks)
        recipe = recipe_bytes(cut.chunks)
        self._add_recipe(Parcel(id_, RECIPE, PLAIN, cut.size, recipe))

    def _has(self, id_: bytes) -> bool:
        return id_ in self.claimed or self._remote.holds(id_)

    def _claim(self, id_: bytes, kind: int, size: int, way: Way = _BY_ITSELF) -> None:
        self.claimed.add(id_)
        if self._archiving is None:
            self._batch.append(partial(self._known.parcel, id_, kind))
        else:
            self._batch.append(partial(self._archiving.parcel, id_, kind, way))
        self._batch_bytes += size
        if self._batch_bytes >= _BATCH_BYTES or len(self._batch) >= _BATCH_RECORDS:
            self._hand_over()

    def _hand_over(self) -> None:
        if self._batch:
            batch, self._batch, self._batch_bytes = self._batch, [], 0
            self._proving.append(self._provers.submit(lambda: [make() for make in batch]))
        while len(self._proving) > _BATCHES_AHEAD:
            self._take(self._proving.pop(0))

    def _drain(self) -> None:
        """Have everything that was claimed so far in the pack."""
        self._hand_over()
        while self._proving:
            self._take(self._proving.pop(0))

    def _take(self, proved: Future[list[Parcel]]) -> None:
        for parcel in proved.result():
            if self._archiving is not None:
                self._archiving.made(parcel)
            self._append(parcel)

    def _append(self, parcel: Parcel) -> None:
        self._data.append(parcel)
        if len(self._data) >= PACK_BYTES:
            self._flush_data()

    def _add_recipe(self, recipe: Parcel) -> None:
        self.claimed.add(recipe.id)
        self._recipes.append(recipe)
        self._recipe_bytes += HEADER_BYTES + len(recipe.stored)
        if self._recipe_bytes >= PACK_BYTES:
            self._flush_recipes()

    def _flush_data(self) -> None:
        if not self._data.is_empty:
            pack, self._data = self._data, _Pack()
            self._send(pack, self._remote.cold)

    def _flush_recipes(self) -> None:
        """A recipe is listed when all the chunks that it names are."""
        self._drain()
        self._flush_data()
        if self._recipes:
            pack = _Pack()
            for recipe in self._recipes:
                pack.append(recipe)
            self._recipes, self._recipe_bytes = [], 0
            self._send(pack, self._remote.transport)  # at hand, however cold the data

    def _wait(self) -> None:
        """One pack is on its way at a time; what became of the last one is known before the next goes."""
        if self._sending is not None:
            self._sending.result()
            self._sending = None

    def _send(self, pack: _Pack, through: Transport) -> None:
        self._wait()
        self._sending = self._sender.submit(self._send_pack, pack, through)

    def _send_pack(self, pack: _Pack, through: Transport) -> None:
        segment, data, index = pack.end()
        self.sent.bytes += create_segment(self._remote, segment, lambda: iter((data,)), through)
        self.sent.bytes += send_index(self._remote, index)

    def _send_exact(self, digest: Digest, path: Path, chunks: Chunks) -> None:
        self._wait()
        segment = Segment(EXACT, digest.hex, sum(length for _, length in chunks))
        self.sent.bytes += create_segment(self._remote, segment, proved(path, segment), self._remote.cold)
        rows, offset = [], 0
        for id_, length in chunks:
            rows.append(row_bytes(Record(offset, CHUNK, PLAIN, length, length, id_), 0))
            offset += length
        self.sent.bytes += send_index(self._remote, index_bytes([segment], rows))
        self.claimed.update(id_ for id_, _ in chunks)
