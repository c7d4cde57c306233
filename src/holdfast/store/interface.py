"""What every store promises. `tests/contracts/test_store.py` holds each promise against every adapter.

Five promises run through all of it:

1. A digest names one sequence of bytes for ever. A store MUST NOT hand out, under a digest, bytes that it has not
   hashed against that digest in the same call, or against the names of chunks that make up the blob: see `between`.
2. A blob MUST NOT become visible (`has`, `digests`, any read) before all its bytes are durable.
3. `commit` MUST return only when everything that was added is durable and visible, and MUST raise otherwise.
4. A call that raises MUST leave every visible blob as it was. A full disk is `NoSpace`, a refusal of the operating
   system is `PermissionRefused`, a disk that cannot read its own bytes is `IntegrityError`.
5. A store MUST be usable from several threads and several processes at once. A writer belongs to one thread.

How blobs are kept (files, packs, shared chunks) is each adapter's own affair and MUST NOT show through this interface.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from holdfast.canonical import INTEGER_MAX, JsonObject
from holdfast.digest import Digest
from holdfast.errors import UsageError
from holdfast.names import RelativePath

__all__ = [
    "EVERYTHING",
    "MODES",
    "STRUCTURE",
    "Damage",
    "Depth",
    "Entry",
    "Sink",
    "Store",
    "StoreCheck",
    "StoreWriter",
    "Stored",
]


class Sink(Protocol):
    """What takes bytes: an open file, or anything else that can be written to."""

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """Take all of `data`; how many bytes that were."""
        ...


MODES = (0o644, 0o755)
"""The two modes a frozen file can have: whether its owner may execute it is all that survives, as in Git."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The answer to adding some bytes.

    Attributes:
        digest: their name from now on.
        size: how many they are.
        new: whether neither the store nor this writer held them before. Two writers that add the same bytes at the same
            time may both be told so.
        added: how many of the bytes neither of them held before; a store that shares pieces between blobs counts these.
    """

    digest: Digest
    size: int
    new: bool
    added: int


@dataclass(frozen=True, order=True, slots=True)
class Entry:
    """One file of a tree.

    Attributes:
        path: where it stands below the tree's root.
        mode: 0o644, or 0o755 for a file that may be executed.
        size: bytes.
        digest: the name of its bytes.
        extra: fields that a newer minor format wrote and this Holdfast does not know; kept and written back.

    Raises:
        UsageError: another mode, or a size that is negative or past what canonical JSON can carry.
    """

    path: RelativePath
    mode: int
    size: int
    digest: Digest
    extra: JsonObject = field(default_factory=dict, hash=False, compare=True)

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UsageError(
                f"{self.path} has mode {self.mode:o}; a frozen file has 644 or 755",
                hint="Keep only whether the file may be executed.",
                path=str(self.path),
            )
        if not 0 <= self.size <= INTEGER_MAX:
            raise UsageError(
                f"{self.path} has the impossible size {self.size}",
                hint=f"A size is 0 to {INTEGER_MAX} bytes.",
                path=str(self.path),
            )


@dataclass(frozen=True, order=True, slots=True)
class Damage:
    """A blob that is not what its name says.

    Attributes:
        digest: its name.
        found: what its bytes hash to, or what is wrong with them.
    """

    digest: Digest
    found: str


@dataclass(frozen=True, slots=True)
class Depth:
    """How much a check reads.

    Attributes:
        number, of: read what falls to this share, when everything is dealt out to `of`: after the shares 1 to `of` all
            of it was read. 0 of anything reads no bytes, and looks only whether what should be there is.

    Raises:
        UsageError: a share that there is not.
    """

    number: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.number <= self.of or self.of < 1:
            raise UsageError(
                f"there is no share {self.number}/{self.of}",
                hint="Say for instance 1/7 today and 2/7 tomorrow.",
            )

    @classmethod
    def parse(cls, text: str) -> "Depth":
        """The share written as `1/7`.

        Raises:
            UsageError: written in any other way, or a share that there is not.
        """
        number, slash, of = text.partition("/")
        if not (slash and number.isdecimal() and of.isdecimal()):
            raise UsageError(f"{text!r} is not a share", hint="Write for instance 1/7.")
        return cls(int(number), int(of))

    def covers(self, name: str) -> bool:
        """Whether the file of this name, in hexadecimal digits, is to be read."""
        return self.number > 0 and int(name[:8], 16) % self.of == self.number - 1


EVERYTHING = Depth()
STRUCTURE = Depth(0)


@dataclass(frozen=True, slots=True)
class StoreCheck:
    """What a check found.

    Attributes:
        blobs: how many there are, damaged ones included.
        bytes: how many bytes the undamaged ones hold.
        damaged: those that are not whole, in the order of their digests.
        bytes_read: how many bytes were read and hashed to find this out.
        notes: what is wrong with the store and hurts no blob, such as a damaged index file.
    """

    blobs: int
    bytes: int
    damaged: tuple[Damage, ...]
    bytes_read: int = 0
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damaged and not self.notes


class StoreWriter(Protocol):
    """Adds blobs; nothing counts before `commit`.

    An add that raises has added nothing, and the writer stays usable. A writer that was left, or whose commit raised,
    MUST refuse every call with `UsageError`: after a failed sync nobody knows which bytes the disk still has, so they
    are added again through a new writer.
    """

    def add_bytes(self, data: bytes) -> Stored:
        """Add `data`.

        Raises:
            NoSpace, PermissionRefused: as promise 4 says.
        """
        ...

    def add_pieces(self, pieces: Iterable[bytes]) -> Stored:
        """Add the bytes that `pieces` hold one after the other, without ever holding all of them.

        Raises:
            NoSpace, PermissionRefused: as promise 4 says; and whatever `pieces` raises.
        """
        ...

    def add_file(self, path: str | Path) -> Stored:
        """Add the bytes of a regular file, following a symbolic link.

        They MUST be read once, and never all at once when the file is large. The adapter MUST compare device, inode,
        size, modification and change time before and after reading, on the open file and by its path.

        Raises:
            SourceChanged: the file changed, or was replaced, while it was read.
            NotFound: no such file.
            UsageError: a folder, a device or anything else that is not a regular file.
            NoSpace, PermissionRefused, IntegrityError: as promise 4 says.
        """
        ...

    def add_files(self, paths: Sequence[str | Path], progress: Callable[[int], None] | None = None) -> list[Stored]:
        """Add many files, on more than one core; the answers stand in the order of `paths`.

        Args:
            paths: as for `add_file`.
            progress: called with the number of bytes read since its last call, by one thread at a time.

        Raises:
            As `add_file`, for the first of the files that fails; the others may or may not have been added.
        """
        ...

    def commit(self) -> None:
        """Make everything added so far durable and visible; it MAY be called again after more was added.

        A commit that raises MAY have made some of the blobs visible, each whole and durable.

        Raises:
            NoSpace, PermissionRefused: as promise 4 says.
        """
        ...


class Store(Protocol):
    """Bytes by digest."""

    def writer(self) -> AbstractContextManager[StoreWriter]:
        """A new writer. Leaving it without `commit` MUST drop what had not become visible.

        Adding bytes whose blob is damaged, as far as their size or an earlier read has shown, MUST replace the blob.

        Raises:
            NoSpace, PermissionRefused: as promise 4 says.
        """
        ...

    def has(self, digest: Digest) -> bool:
        """Whether the bytes are here and, as far as an earlier read has shown, undamaged. Nothing is hashed."""
        ...

    def missing(self, digests: Iterable[Digest]) -> set[Digest]:
        """Those of `digests` for which `has` is false."""
        ...

    def size(self, digest: Digest) -> int:
        """The number of bytes, without reading them.

        Raises:
            NotFound: the store does not hold the digest.
        """
        ...

    def read(self, digest: Digest, *, bytes_max: int) -> bytes:
        """The bytes, verified before they are returned.

        Args:
            digest: their name.
            bytes_max: the most that the caller is ready to hold in memory.

        Raises:
            TooLarge: there are more; nothing was read.
            IntegrityError: they do not match their digest; the details give `expected` and `found`.
            NotFound: the store does not hold the digest.
        """
        ...

    def open(self, digest: Digest) -> BinaryIO:
        """The bytes as a handle that can be read and sought; all of them MUST be verified before it is handed out.

        Raises:
            IntegrityError, NotFound: as `read`.
        """
        ...

    def pieces(self, digest: Digest) -> Iterator[bytes]:
        """The bytes in order, a few megabytes at a time, verified on the way.

        The first pieces are handed out before the last ones were hashed: the caller MUST discard all that it made of
        them when the iteration raises, and MUST NOT act on them before it has ended.

        Raises:
            IntegrityError, NotFound: as `read`; after the last piece if not before.
        """
        ...

    def between(self, digest: Digest, begin: int, end: int) -> Iterator[bytes]:
        """The bytes from `begin` on and before `end`, a few megabytes at a time; behind the last byte there are none.

        For many ranges of one large blob. That its chunks make it up MUST have been found by hashing all of it, in this
        call or an earlier one, and those of the range MUST be hashed in this one; without chunks, all of the blob.

        Raises:
            IntegrityError, NotFound: as `read`; as `pieces` where it was damaged since.
        """
        ...

    def exact(self, digest: Digest) -> Path | None:
        """A read-only file of the store that holds exactly these bytes, verified in this call; None if there is none.

        It is for hard links, for mapping into memory, and for handing on without a copy. It MUST NOT be written to.

        Raises:
            IntegrityError, NotFound: as `read`.
        """
        ...

    def write_to(self, digest: Digest, sink: Sink) -> int:
        """Write the bytes into `sink`, verifying on the way; how many they were.

        After an error the caller MUST discard what `sink` was given.

        Raises:
            IntegrityError, NotFound: as `read`.
        """
        ...

    def copy_to(self, digest: Digest, target: Path, *, mode: int) -> None:
        """Write the bytes into the file `target`, verifying on the way.

        They MUST go into a temporary name beside it first: `target` appears whole and durable, or stays as it was. A
        file that stood there is replaced; a symbolic link that stood there is replaced and MUST NOT be followed.

        Raises:
            UsageError: `target` is a folder.
            IntegrityError, NotFound: as `read`; NotFound also when the folder of `target` does not exist.
            NoSpace, PermissionRefused: as promise 4 says.
        """
        ...

    def verify(self, digest: Digest) -> int:
        """Read all the bytes and hash them; how many they are.

        A blob that an earlier read found damaged, and that is whole again, counts as here again.

        Raises:
            IntegrityError, NotFound: as `read`.
        """
        ...

    def check(self, depth: Depth = EVERYTHING, progress: Callable[[int, int], None] | None = None) -> StoreCheck:
        """Hash what is stored and compare it with its names, on more than one core.

        What is found damaged counts as missing from then on, so that adding the same bytes again replaces it.

        Args:
            depth: how much to read.
            progress: called with the bytes done and the bytes in all, by one thread at a time.

        Raises:
            PermissionRefused: something could not be opened, so that nothing can be said about it.
        """
        ...

    def repair(self) -> tuple[str, ...]:
        """Put right what can be put right from what is here, such as a lost index; sentences that say what was done.

        Raises:
            NoSpace, PermissionRefused: as promise 4 says.
        """
        ...

    def claim(self, digest: Digest) -> None:
        """Say that somebody works with the tree or manifest `digest`, though nothing may refer to it yet.

        A store that deletes MUST keep it, and the caller of the deletion what it names, for weeks from now. It need
        not be here. A writer's own blobs, new or known, are kept as long without it.

        Raises:
            NoSpace, PermissionRefused: as promise 4 says.
        """
        ...

    def digests(self) -> Iterator[Digest]:
        """Every visible blob, in ascending order; what appears meanwhile may be left out."""
        ...
