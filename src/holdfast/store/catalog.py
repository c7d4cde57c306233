"""All index files of a local store, searched as one.

Index files are written once and named by their content, so what was opened stays valid for as long as it is held: other
processes may add files, and replace several by one that says the same, and this one notices when it next looks.
"""

import errno
import mmap
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from heapq import merge
from pathlib import Path
from threading import Lock
from typing import ClassVar

from blake3 import blake3

from holdfast.errors import HoldfastError, IntegrityError, NotFound, UnsupportedFormat, UsageError
from holdfast.store.disk import CREATE, READ, fsync_folder, refusal, refusing, write_all
from holdfast.store.index import IndexFile, Place, Segment, index_bytes
from holdfast.store.layout import Layout
from holdfast.store.pack import BLOB
from holdfast.store.rebuild import rebuilt_index
from holdfast.store.scratch import Scratch

__all__ = ["Catalog"]

_FILES_OF_A_KIND_MAX = 8
"""Each file costs every search a microsecond; merging eight at a time writes each row once for every factor of
eight."""

_MERGE_ROWS_MAX = 4_000_000
"""Rows are merged in memory, at about 100 bytes each."""


class Catalog:
    """Where every blob, chunk and recipe of one store is. It may be used by several threads.

    Attributes:
        lost: segments that rows refer to and that are not there, or not of the stated length; such rows do not count.
        unreadable: index files that are damaged; they do not count either.
        state: another number whenever a look found something else than the one before, whoever looked.
        shrinks: whether somebody may delete from it, so that a writer has to watch what it relies on.
    """

    shrinks: ClassVar[bool] = True

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._lock = Lock()
        self._files: dict[str, IndexFile] = {}
        self._looked = False
        self._made = b""
        self._refused: dict[str, tuple[int, int] | None] = {}
        self.lost: frozenset[Segment] = frozenset()
        self.unreadable: dict[str, HoldfastError] = {}
        self.state = 0

    @property
    def files(self) -> dict[str, IndexFile]:
        """The index files by their names."""
        if not self._looked:
            self.refresh()
        return self._files

    def refresh(self) -> bool:
        """Look what is there now; whether that is something else than before.

        What was lost or unreadable may have been written again since, under the name that it had.
        """
        with self._lock:
            while True:
                names = set(self._layout.names(self._layout.index))
                self.unreadable = {
                    name: error
                    for name, error in self.unreadable.items()
                    if name in names and self._identity(name) == self._refused[name]
                }
                if names == (self._files.keys() - {""}) | self.unreadable.keys() and self._looked:
                    found = frozenset(filter(self.stands, self.lost))
                    self.lost -= found
                    self.state += bool(found)
                    return bool(found)
                self._looked = True
                try:
                    opened = {name: self._files.get(name) or self._open(name) for name in sorted(names)}
                except NotFound:  # it was merged with others since its name was listed
                    continue
                files = [(name, file) for name, file in opened.items() if file is not None]
                before = self._files
                # The longest first: what is searched for is most likely there, and then in no other.
                self._files = dict(sorted(files, key=lambda pair: len(pair[1]), reverse=True))
                if not self._files and (unwritten := self._from_packs()) is not None:
                    self._files = {"": unwritten}
                self._look_for_segments_of([file for name, file in self._files.items() if name not in before])
                self.state += 1
                return True

    def has_changed_since(self, state: int) -> bool:
        """Look again; whether something else is there than in that state. Another thread may have noticed it first."""
        self.refresh()
        return self.state != state

    def look_for_segments(self) -> None:
        """Find out which segments are lost."""
        self.lost = frozenset(segment for segment in self._named() if not self.stands(segment))

    def _look_for_segments_of(self, files: Iterable[IndexFile]) -> None:
        """The same where only these index files are new: a store of many segments is not walked at every commit."""
        new = {segment for file in files for segment in file.segments}
        if self.lost:
            new |= self.lost & self._named()
        self.lost = frozenset(segment for segment in new if not self.stands(segment))

    def _named(self) -> set[Segment]:
        return {segment for file in self._files.values() for segment in file.segments}

    @property
    def unwritten(self) -> bytes | None:
        """An index that was made from the packs because all of it was lost, and that nobody has written yet."""
        return self._made if "" in self.files else None

    def write_what_was_lost(self, scratch: Scratch) -> None:
        """Have an index again where all of it was lost: the next index file would else be taken for all there is."""
        if (lost := self.unwritten) is not None:
            self.write(scratch, lost)
            self.refresh()

    def places(self, id_: bytes) -> Iterator[Place]:
        """Where `id_` is, as far as this catalog has looked."""
        for name, file in self.files.items():
            try:
                for place in file.find(id_):
                    if place.segment not in self.lost:
                        yield place
            except UnsupportedFormat as error:
                self._distrust(name, error)

    def holds(self, id_: bytes) -> bool:
        """Whether `id_` is anywhere."""
        return next(self.places(id_), None) is not None

    def lacks_whole(self, ids: Iterable[bytes]) -> set[bytes]:
        """Those of `ids` that are kept whole nowhere; there may be recipes of them."""
        if self.lost:
            return {id_ for id_ in ids if all(place.kind != BLOB for place in self.places(id_))}
        left = set(ids)
        for file in self.files.values():
            if not left:
                break
            left = {id_ for id_ in left if not file.holds_whole(id_)}
        return left

    def all(self, *, with_lost: bool = False) -> Iterator[tuple[bytes, Place]]:
        """Every row that counts, in ascending order of the ids; or those that do not count as well."""
        for id_, place in merge(*(file.all() for file in self.files.values())):
            if with_lost or place.segment not in self.lost:
                yield id_, place

    def stands(self, segment: Segment) -> bool:
        """Whether the file of the segment is there, with the stated length."""
        path = self._layout.segment(segment)
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise refusal(error, self._layout.root) from error
        return status.st_size == segment.size and stat.S_ISREG(status.st_mode)

    def to_merge(self) -> tuple[bytes, list[str]] | None:
        """An index file that says what several of similar size say, and their names; None when none need merging."""
        files = self.files  # another thread may exchange it
        kinds: dict[int, list[str]] = {}
        for name, file in files.items():
            kinds.setdefault(len(file).bit_length() // 3, []).append(name)
        for names in kinds.values():
            rows = sum(len(files[name]) for name in names)
            if len(names) >= _FILES_OF_A_KIND_MAX and rows <= _MERGE_ROWS_MAX:
                for name in names:  # what was spoilt since it was opened must not be passed on as whole
                    _compare(name, files[name].data)
                return _merged([files[name] for name in names]), names
        return None

    def write(self, scratch: Scratch, data: bytes) -> str:
        """Add an index file, whole and durable; its name. What it lists MUST be durable already."""
        name, temporary = blake3(data).hexdigest(), f"index-{secrets.token_hex(4)}"
        with refusing(self._layout.index):
            descriptor = os.open(temporary, CREATE, 0o444, dir_fd=scratch.descriptor)
            try:
                write_all(descriptor, data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(temporary, self._layout.index / name, src_dir_fd=scratch.descriptor)
            fsync_folder(self._layout.index)
        return name

    def drop(self, names: Iterable[str]) -> None:
        """Remove index files that another one has taken the place of."""
        for name in names:
            with suppress(OSError):
                os.unlink(self._layout.index / name)  # noqa: PTH108 - one way of touching the disk, for the tests

    def _from_packs(self) -> IndexFile | None:
        """Where not one index file is left, what the packs say: without it a store would seem to be empty."""
        rebuilt = rebuilt_index(self._layout)
        self._made = rebuilt.data
        return IndexFile(rebuilt.data) if rebuilt.rows else None

    def _open(self, name: str) -> IndexFile | None:
        identity = self._identity(name)
        try:
            data = self._mapped(self._layout.index / name)
            _compare(name, data)
            return IndexFile(data)
        except (IntegrityError, UnsupportedFormat, UsageError) as error:
            # What the other files list can still be read; a check names this one.
            self.unreadable[name] = error
            self._refused[name] = identity
            return None

    def _distrust(self, name: str, error: HoldfastError) -> None:
        """An index file was spoilt since it was opened."""
        with self._lock:
            self._files = {one: file for one, file in self._files.items() if one != name}
            self.unreadable[name] = error
            self._refused[name] = self._identity(name)

    def _mapped(self, path: Path) -> bytes | mmap.mmap:
        with refusing(path):
            descriptor = os.open(path, READ)
            try:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
                return mmap.mmap(descriptor, status.st_size, access=mmap.ACCESS_READ) if status.st_size else b""
            finally:
                os.close(descriptor)

    def _identity(self, name: str) -> tuple[int, int] | None:
        """What tells a file from another one that takes its place."""
        try:
            status = os.lstat(self._layout.index / name)
        except OSError:
            return None
        return status.st_ino, status.st_ctime_ns


def _compare(name: str, data: bytes | mmap.mmap) -> None:
    found = blake3(data).hexdigest()
    if found != name:
        raise IntegrityError(
            f"the index file {name} is damaged: its bytes hash to {found}",
            hint="Run: holdfast check --repair. It builds the index again from the packs.",
            expected=name,
            found=found,
        )


def _merged(files: list[IndexFile]) -> bytes:
    segments: dict[Segment, int] = {}
    rows: list[bytes] = []
    for file in files:
        numbers = [segments.setdefault(segment, len(segments)) for segment in file.segments]
        rows.extend(file.rows(numbers))
    return index_bytes(list(segments), rows)
