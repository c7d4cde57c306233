"""A remote as a store: where its records are, and its refs.

Index files never change, so each is copied once into a cache on this machine and searched there, like a local store's.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from blake3 import blake3

from holdfast.errors import AlreadyExists, IntegrityError, NotFound, UnsupportedFormat
from holdfast.store.catalog import Catalog
from holdfast.store.codec import BASE_ID_BYTES, base_of, needs_base
from holdfast.store.cut import Cutting
from holdfast.store.disk import place, refusing
from holdfast.store.index import PACK, IndexFile, Place, Segment
from holdfast.store.layout import CONFIG_NAME, Layout, archive_config, is_name
from holdfast.store.pack import CHUNK, RECIPE, RECIPE_BYTES_MAX, RECORD_BYTES_MAX
from holdfast.store.remote.refs import REF_BYTES_MAX, SnapshotRef, VersionRef, read_ref
from holdfast.store.remote.transport import Transport

__all__ = ["WINDOW_BYTES", "Remote", "RemoteCatalog", "segment_key"]

WINDOW_BYTES = 8 << 20
"""Asked for at once: large enough that the way there and back costs little, small enough to hold several."""

_CONFIG_BYTES_MAX = 64 << 10
_INDEX = "index/"
_AT_ONCE = 8
"""Small files asked for at the same time: they cost waiting, not work."""


def segment_key(segment: Segment) -> str:
    """The name of a pack or an exact file in a remote."""
    return f"{'packs' if segment.kind == PACK else 'blobs'}/{segment.name[:2]}/{segment.name}"


class RemoteCatalog(Catalog):
    """The index files of a remote, copied to `cache` when they are first met.

    Attributes:
        damaged: names of index files that are not what they are named by; they do not count, and are asked for again.
    """

    def __init__(self, transport: Transport, cache: Path) -> None:
        super().__init__(Layout(cache))
        self._transport = transport
        self._copying = Lock()
        self._sizes: dict[str, int] = {}
        self._is_adding = False
        self.damaged: frozenset[str] = frozenset()

    def refresh(self) -> bool:
        """Look which index files there are now, and copy those that are new; whether the set has changed."""
        with self._copying:  # or what another thread adds after the list was made would be taken for gone
            listed = {one.key.removeprefix(_INDEX): one.size for one in self._transport.list(_INDEX)}
            listed = {name: size for name, size in listed.items() if is_name(name)}
            here = set(self._layout.names(self._layout.index))
            self._make_folder()
            self.drop(here - listed.keys())
            with ThreadPoolExecutor(_AT_ONCE, "holdfast-index") as pool:
                new = sorted(listed.keys() - here)
                whole = list(pool.map(lambda name: self._copy(name, listed[name]), new))
            self.damaged = frozenset(name for name, is_whole in zip(new, whole, strict=True) if not is_whole)
            return super().refresh()

    def read_anew(self) -> None:
        """Copy every index file again: what was damaged in the remote since it was copied shows then."""
        with self._copying:
            self.drop(list(self._layout.names(self._layout.index)))
        if not self.refresh():
            self.look_for_segments()

    def add(self, data: bytes, segments: Iterable[Segment]) -> None:
        """Take in an index file that was just sent, whose segments were sent before it."""
        with self._copying:
            self._make_folder()
            self._sizes.update({segment_key(segment): segment.size for segment in segments})
            place(self._layout.index / blake3(data).hexdigest(), 0o444, lambda sink: sink.write(data))
            self._is_adding = True  # what is there is known; asking again would cost two requests for every pack
            try:
                super().refresh()
            finally:
                self._is_adding = False

    def places(self, id_: bytes) -> Iterator[Place]:
        """See `Catalog.places`. A row that asks for more memory than a record may take does not count."""
        for found in super().places(id_):
            limit = RECIPE_BYTES_MAX if found.kind == RECIPE else RECORD_BYTES_MAX
            if found.stored <= limit and (found.kind == RECIPE or found.length <= limit):
                yield found

    def bases(self, id_: bytes, length: int) -> list[Place]:
        """Where a chunk of this length is so that others may rest on it: in a codec without base."""
        places = (place for place in self.places(id_) if place.kind == CHUNK and place.length == length)
        return [place for place in places if not needs_base(place.codec)]

    def holds(self, id_: bytes) -> bool:
        """See `Catalog.holds`: whether it is anywhere, with what it rests on."""
        return any(map(self.serves, self.places(id_)))

    def serves(self, place: Place) -> bool:
        """Whether the record at `place` can be read, as far as the index tells: its base may be in a lost segment.

        Raises:
            Unavailable, PermissionRefused: the remote was asked for the base, and did not answer, or refused.
        """
        if not self.lost or not needs_base(place.codec):
            return True
        try:
            named = self._transport.range(segment_key(place.segment), place.offset, BASE_ID_BYTES)
            base = base_of(place.codec, named)
        except (NotFound, ValueError):
            return False
        return base is not None and bool(self.bases(base, place.length))

    def look_for_segments(self) -> None:
        """Find out which segments are lost, from what the remote lists."""
        if not self._is_adding:
            self._sizes = {
                **{one.key: one.size for one in self._transport.list("packs/")},
                **{one.key: one.size for one in self._transport.list("blobs/")},
            }
        super().look_for_segments()

    def _look_for_segments_of(self, files: Iterable[IndexFile]) -> None:
        """All of them: a remote is asked what it has in one go, and for nothing less."""
        del files
        self.look_for_segments()

    def stands(self, segment: Segment) -> bool:
        """Whether the remote lists the segment with the stated length."""
        return self._sizes.get(segment_key(segment)) == segment.size

    def _make_folder(self) -> None:
        with refusing(self._layout.index):
            self._layout.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self._layout.index.is_dir():
                self._layout.prepare(
                    archive=True
                )  # it can be opened as a store too, which finds out how the remote cuts
                self._layout.index.mkdir(exist_ok=True, mode=0o700)

    def _copy(self, name: str, size: int) -> bool:
        def fill(sink: BinaryIO) -> None:
            state = blake3()
            for at in range(0, size, WINDOW_BYTES):
                data = self._transport.range(f"{_INDEX}{name}", at, min(WINDOW_BYTES, size - at))
                state.update(data)
                sink.write(data)
            if state.hexdigest() != name:
                raise IntegrityError(f"the index file {name} of {self._transport.name} is damaged", hint="Push again.")

        with suppress(IntegrityError, NotFound):
            place(self._layout.index / name, 0o444, fill)
            return True
        return False


class Remote:
    """One remote.

    Args:
        transport: how its files are reached.
        cache: a folder for copies of its index files; it may be removed at any time.
        cold: how packs of blobs and chunks, and exact files, are created; as everything else when None.

    Attributes:
        transport, cache, cold: as given.
        catalog: where its records are.
    """

    def __init__(self, transport: Transport, cache: Path, cold: Transport | None = None) -> None:
        self.transport = transport
        self.cache = cache
        self.cold = cold or transport
        self._found: Cutting | None = None
        self.catalog = RemoteCatalog(transport, cache)
        self._notes = Layout(cache)
        self._damaged: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Its address."""
        return self.transport.name

    def look(self) -> None:
        """Find out what is there now, and what was found damaged on this machine."""
        if not self.catalog.refresh():
            self.catalog.look_for_segments()
        self._damaged = frozenset(self._notes.names(self._notes.damaged))

    def holds(self, id_: bytes) -> bool:
        """Whether a record is listed, and nobody on this machine has found it damaged; what is not is sent again."""
        return self.catalog.holds(id_) and id_.hex() not in self._damaged

    @property
    def is_doubtful(self) -> bool:
        """Whether a recipe that is listed says nothing of its chunks: something is known to be lost or damaged."""
        return bool(self.catalog.lost or self.catalog.damaged or self._damaged)

    def note_damage(self, id_: bytes) -> None:
        """Remember on this machine that no place of a record is whole, so that the next push sends it again."""
        self._notes.mark_damaged(id_.hex())

    def forget_damage(self, sent: Iterable[bytes]) -> None:
        """These were sent again, and proved."""
        for name in self._damaged & {id_.hex() for id_ in sent}:
            self._notes.forget_damage(name)
        self._damaged = frozenset(self._notes.names(self._notes.damaged))

    def cutting(self) -> Cutting | None:
        """How whoever writes here cuts; None where nobody has written yet.

        Raises:
            UnsupportedFormat: not a store, or one of a format that is not read here.
        """
        if self._found is not None:
            return self._found  # a config is never written over
        try:
            data = self.transport.read(CONFIG_NAME, bytes_max=_CONFIG_BYTES_MAX)
        except NotFound:
            return None
        with refusing(self.cache):
            self.cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        place(self.cache / CONFIG_NAME, 0o444, lambda sink: sink.write(data))
        self._found = Layout(self.cache).cutting()
        if self._found is None:
            raise UnsupportedFormat(
                f"{self.name} is a store of the layout 'files', which is no remote", hint="Name another place for it."
            )
        return self._found

    def is_archive(self) -> bool:
        """Whether records there may rest on others: decided for good when the first writer came.

        Raises:
            As `cutting`.
        """
        return self.cutting() is not None and Layout(self.cache).is_archive()

    def prepare(self, like: Layout | None = None, *, archive: bool = False) -> Cutting:
        """Make the remote a store, where it is none; how to cut for it.

        Args:
            like: the local store whose parameters of cutting it gets.
            archive: what is made is an archive; what is there stays what it is.

        Raises:
            As `cutting`.
        """
        found = self.cutting()
        if found is None:
            source = like
            if source is None or source.cutting() is None:
                source = Layout(self.cache)
                source.prepare()
            with refusing(source.root):
                config = (source.root / CONFIG_NAME).read_bytes()
            self.transport.create(CONFIG_NAME, archive_config(config) if archive else config)
            found = self.cutting()
        if found is None:
            raise NotFound(f"{self.name} does not show what was written to it", hint="Check the bucket and try again.")
        return found

    def ref(self, key: str) -> SnapshotRef | VersionRef | None:
        """The ref that stands at `key`; None when there is none.

        Raises:
            UnsupportedFormat: it is of another format, or says something else than its name.
        """
        try:
            return read_ref(self.transport.read(key, bytes_max=REF_BYTES_MAX), key)
        except NotFound:
            return None

    def refs(self, prefix: str) -> Iterator[SnapshotRef | VersionRef]:
        """Every ref below `prefix`, by its key.

        Raises:
            As `ref`.
        """
        keys = sorted(one.key for one in self.transport.list(prefix))
        with ThreadPoolExecutor(_AT_ONCE, "holdfast-refs") as pool:
            yield from (ref for ref in pool.map(self.ref, keys) if ref is not None)

    def refer(self, refs: Sequence[SnapshotRef | VersionRef]) -> list[bool]:
        """Write refs, after everything they need; of each whether it was new.

        Raises:
            AlreadyExists: another digest has one of these names; the details give both.
        """

        def write(ref: SnapshotRef | VersionRef) -> bool:
            if self.transport.create(ref.key, ref.encode()):
                return True
            self._refuse_other(ref)
            return False

        with ThreadPoolExecutor(_AT_ONCE, "holdfast-refs") as pool:
            return list(pool.map(write, refs))

    def refuse_others(self, refs: Sequence[SnapshotRef | VersionRef]) -> None:
        """Raise where the name of one of `refs` belongs to another digest.

        Raises:
            AlreadyExists: it does; the details give both.
        """
        with ThreadPoolExecutor(_AT_ONCE, "holdfast-refs") as pool:
            list(pool.map(self._refuse_other, refs))

    def _refuse_other(self, ref: SnapshotRef | VersionRef) -> None:
        found = self.ref(ref.key)
        if found is not None and found.digest != ref.digest and isinstance(ref, VersionRef):
            raise AlreadyExists(
                f"{ref.model}@{ref.number} is {found.digest} in {self.name}, and {ref.digest} here",
                hint="A number names one version for good: register this content again, under a free one.",
                model=ref.model,
                version=ref.number,
                found=str(found.digest),
                digest=str(ref.digest),
            )
