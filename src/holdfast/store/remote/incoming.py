"""Fetching blobs: only what is lacking here travels, in large ranges, and all of it is proved before it is visible.

1. The recipes of what is missing, so that it is known which chunks it needs.
2. Exact files of which most is missing, as they are, and each with its recipe: nothing else says what is in them.
3. Records, pack by pack in the order of their places; every pack that is filled here is made visible at once, so that
   a repetition goes on from there. What rests on a base in an archive comes last, and is stored here by itself.
4. Each blob in chunks is put together and hashed; then its recipe is made visible.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from blake3 import blake3

from holdfast.digest import Digest
from holdfast.errors import IntegrityError, NotFound
from holdfast.store.catalog import Catalog
from holdfast.store.faults import damaged
from holdfast.store.index import EXACT, Place, Segment
from holdfast.store.layout import SCRATCH_PREFIX, Layout
from holdfast.store.local import LocalStore
from holdfast.store.pack import BLOB, CHUNK, RECIPE, recipe_chunks
from holdfast.store.remote.intake import Intake, leaving
from holdfast.store.remote.reading import Reading
from holdfast.store.remote.records import Chunks, Known, Parcel
from holdfast.store.remote.remote import WINDOW_BYTES, Remote, segment_key
from holdfast.store.scratch import scratch

__all__ = ["Fetched", "Incoming"]

_BLOBS_AT_ONCE = 50_000
"""Planned together: their records are held in memory, at about 300 bytes each."""

_WHOLE_FROM = 0.5
"""As in `outgoing`: an exact file of which more than this share is lacking comes as it is."""


@dataclass(slots=True)
class Fetched:
    """What travelled.

    Attributes:
        blobs: those that were lacking here.
        bytes: as they were read from the remote.
    """

    blobs: int = 0
    bytes: int = 0


class Incoming:
    """Fetches from `remote` into the local store."""

    def __init__(self, store: LocalStore, remote: Remote) -> None:
        self._store = store
        self._remote = remote

    def fetch(self, digests: Sequence[Digest], progress: Callable[[int, int], None] | None = None) -> Fetched:
        """Have the local store hold all of `digests`; what it has is not fetched again.

        Args:
            digests: what is wanted.
            progress: called with the bytes done and the bytes in all, by one thread.

        Raises:
            NotFound: neither the store nor the remote holds a blob; the details give the `digest`.
            IntegrityError: the remote's bytes are not what they are named by; none of them became visible.
            UnsupportedFormat: the remote is of a format that is not read here.
            Unavailable, PermissionRefused: the remote did not answer, or refused. A repetition goes on from there.
            NoSpace: the disk is full; what came before is there.
        """
        fetched = Fetched()
        self._remote.cutting()  # refuses a remote that is read by a later Holdfast only
        self._remote.look()
        layout = Layout(self._store.root)
        known = Known(layout, Catalog(layout))
        marked = set(layout.names(layout.damaged))
        missing = [one for one in dict.fromkeys(digests) if one.hex in marked or not known.stands(one)]
        fetched.blobs = len(missing)
        if not missing:
            return fetched
        todo = iter(missing)
        cutting = layout.prepare_to_write()
        told = _Told(progress, sum(map(self._size, missing)) if progress is not None else 0)
        with (
            scratch(layout.tmp, SCRATCH_PREFIX) as mine,
            leaving(Intake(layout, known.catalog, cutting, mine)) as intake,
        ):
            known.catalog.write_what_was_lost(mine)
            reading = Reading(self._remote, known, intake.commit)
            while some := list(islice(todo, _BLOBS_AT_ONCE)):
                _Delivery(self._remote, known, reading, intake, told).bring(some)
        fetched.bytes = reading.bytes
        return fetched

    def _size(self, digest: Digest) -> int:
        return next((place.length for place in self._remote.catalog.places(bytes.fromhex(digest.hex))), 0)


class _Told:
    """Progress in bytes of the blobs that were asked for, as far as it can be said while records arrive."""

    def __init__(self, report: Callable[[int, int], None] | None, total: int) -> None:
        self._report = report
        self._total = total
        self._done = 0

    def arrived(self, length: int) -> None:
        self._done += length
        if self._report is not None:
            self._report(min(self._done, self._total), self._total)


class _Delivery:
    """Some blobs on their way; the steps have the numbers of the module."""

    def __init__(self, remote: Remote, known: Known, reading: Reading, intake: Intake, told: _Told) -> None:
        self._remote = remote
        self._known = known
        self._intake = intake
        self._told = told
        self._reading = reading

    def bring(self, digests: Sequence[Digest]) -> None:
        """Steps 1 to 4 for these blobs, all of which are lacking here."""
        wanted: dict[bytes, int] = {}
        in_chunks: list[Digest] = []
        for digest in digests:
            kinds = {place.kind for place in self._places(digest)}
            if BLOB in kinds:
                wanted[bytes.fromhex(digest.hex)] = BLOB
            else:
                in_chunks.append(digest)
        # (1) which chunks they need
        recipes = {Digest(parcel.id.hex()): parcel for parcel in self._recipes(in_chunks)}
        for digest, recipe in list(recipes.items()):
            chunks = list(recipe_chunks(recipe.stored))
            lacking = {id_: length for id_, length in chunks if self._intake.is_wanted(id_, length)}
            # (2) what comes as it is
            if sum(lacking.values()) > _WHOLE_FROM * recipe.length and self._takes_exact(digest, recipe, chunks):
                del recipes[digest]
            else:
                wanted.update(dict.fromkeys(lacking, CHUNK))
        # (3) everything else
        for parcel in self._reading.parcels(wanted):
            self._intake.take(parcel)
            self._told.arrived(parcel.length)
        self._intake.commit()
        # (4) what was put together
        for digest, recipe in recipes.items():
            self._prove_or_mend(digest, list(recipe_chunks(recipe.stored)))
            self._intake.take(recipe)
        self._intake.commit()

    def _places(self, digest: Digest) -> list[Place]:
        found = [place for place in self._remote.catalog.places(bytes.fromhex(digest.hex)) if place.kind != CHUNK]
        if not found:
            raise NotFound(
                f"{self._remote.name} does not hold {digest}",
                hint="Push it again from where it is.",
                digest=str(digest),
                remote=self._remote.name,
            )
        return found

    def _recipes(self, digests: Sequence[Digest]) -> Iterator[Parcel]:
        places = {digest: self._known.place(bytes.fromhex(digest.hex)) for digest in digests}
        own = {digest: place is not None and place.kind == RECIPE for digest, place in places.items()}
        elsewhere = [digest for digest, is_here in own.items() if not is_here]
        yield from self._reading.parcels({bytes.fromhex(digest.hex): RECIPE for digest in elsewhere})
        for digest in (digest for digest, is_here in own.items() if is_here):
            try:
                yield self._known.parcel(bytes.fromhex(digest.hex), RECIPE)
            except IntegrityError:
                yield from self._reading.parcels({bytes.fromhex(digest.hex): RECIPE})

    def _takes_exact(self, digest: Digest, recipe: Parcel, chunks: Chunks) -> bool:
        """Whether the remote has an exact file of the blob, and it came whole."""
        size = next((place.length for place in self._places(digest)), 0)
        if not self._remote.catalog.stands(Segment(EXACT, digest.hex, size)):
            return False
        with suppress(IntegrityError):  # its chunks may be whole elsewhere; of one that is not, the remote says so
            self._intake.take_exact(recipe, chunks, self._exactly(digest, size, chunks))
            return True
        return False

    def _exactly(self, digest: Digest, size: int, chunks: Chunks) -> Iterator[bytes]:
        """The bytes of an exact file, each chunk proved, and the whole at the end."""
        key, state = segment_key(Segment(EXACT, digest.hex, size)), hashlib.sha256()
        left, held = iter(chunks), bytearray()
        id_, length = next(left, (b"", 0))
        ranges = [(key, at, min(WINDOW_BYTES, size - at)) for at in range(0, size, WINDOW_BYTES)]
        for data in self._reading.windows(ranges):
            state.update(data)
            held += data
            at = 0
            while length and len(held) - at >= length:
                if blake3(memoryview(held)[at : at + length]).digest() != id_:
                    raise damaged(digest, f"a chunk of it in {self._remote.name} hashes to something else")
                at += length
                id_, length = next(left, (b"", 0))
            del held[:at]
            self._told.arrived(len(data))
            yield data
        if held or length or state.hexdigest() != digest.hex:
            raise damaged(digest, Digest(state.hexdigest()))

    def _prove_or_mend(self, digest: Digest, chunks: Chunks) -> None:
        """Chunks that were here, and show themselves to be damaged only now, are fetched too."""
        try:
            self._prove(digest, chunks)
        except IntegrityError:
            bad = [id_ for id_, _ in chunks if not self._known.is_whole(id_)]
            for parcel in self._reading.parcels(dict.fromkeys(bad, CHUNK)):
                self._intake.replace(parcel)
            self._intake.commit()
            self._prove(digest, chunks)

    def _prove(self, digest: Digest, chunks: Chunks) -> None:
        state = hashlib.sha256()
        for piece in self._known.put_together(chunks):
            state.update(piece)
        if state.hexdigest() != digest.hex:
            raise damaged(digest, f"the recipe in {self._remote.name} puts together something else")
