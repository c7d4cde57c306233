"""What a source looked like when it was last frozen, so that nothing unchanged is read twice.

    with Seen.open(folder, source) as before:
        block.digests = before.digests(block)        UNKNOWN where a file has to be read
    remember(folder, source, blocks, tree, proven_ns)

One file for each source, in the project's home. It is a cache: it may be deleted at any time, and one that is damaged,
cut off, of another format or not readable is as good as none. Nothing in it is believed about a file unless device,
inode, size, modification and change time are what they were, and unless those times can be believed: a file that was
touched shortly before its bytes were read may have been written once more without its times showing it, so it is read
again next time. The change time cannot be set by programs, so a file that is rewritten with its size and its
modification time put back is found out.
"""

import fcntl
import hashlib
import os
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import IntegrityError
from holdfast.flow.snapshot.blocks import UNKNOWN, Block, Blocks

__all__ = ["RACY_NS", "Seen", "remember"]

RACY_NS = 2_000_000_000
"""A file touched this recently can be rewritten once more without its times showing it: clocks of file systems tick
every few milliseconds, those of FAT every two seconds, which is the slowest in use."""

SOURCES_MAX = 256
"""Sources remembered in one project; the one that was frozen longest ago is forgotten. A job that freezes a new folder
every night must not fill the disk with what it will never ask for again."""

_RUN_FILES = 16
"""Files that are looked at together where the whole block does not fit: changes are seldom closer than that."""

_MAGIC = b"holdfast.seen/1\n"
_CHECK_BYTES = 16
_BODY = struct.Struct("<16sq32sQQ")
_HEAD_BYTES = _BODY.size + _CHECK_BYTES
_TIME_MAX = 2**63 - 1


class Seen:
    """What is known of one source; asked block by block, in the order of a scan.

    Attributes:
        tree: the digest of the tree that was made of it; None when nothing is known.
        files: how many files it had.
        bytes: how many bytes they held.
    """

    def __init__(self, handle: IO[bytes] | None = None) -> None:
        self.tree: Digest | None = None
        self.files = 0
        self.bytes = 0
        self._trusted_before_ns = 0
        self._waiting: Iterator[Block] = iter(())
        self._held = Block()
        self._at = 0
        if handle is not None:
            self._read_head(handle)

    @classmethod
    @contextmanager
    def open(cls, folder: Path | None, source: Path) -> "Iterator[Seen]":
        """What `folder` knows of the source with this absolute path; never an error."""
        handle = None
        if folder is not None:
            with suppress(OSError):
                # Whatever stands there, nothing is waited for and no link is followed.
                place = os.open(_place(folder, source), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
                handle = os.fdopen(place, "rb")
        try:
            yield cls(handle)
        finally:
            if handle is not None:
                handle.close()

    def digests(self, block: Block) -> list[bytes]:
        """The digest of each file of `block` that is known to be as it was; `UNKNOWN` for the others."""
        held = self._held
        if self._at == 0 and held.same_files(block) and max(held.touched_ns) < self._trusted_before_ns:
            self._next()
            return held.digests
        found: list[bytes] = []
        while len(found) < len(block):
            place, at = len(found), self._at
            found += self._run(block, place, at) or [self._digest(block, place)]
        return found

    def _run(self, block: Block, place: int, at: int) -> list[bytes]:
        """The digests of the next files, when all of them are known: one look at many costs little more than at one."""
        run = self._held.part(at, at + _RUN_FILES)
        if (
            run.paths
            and run.same_files(block.part(place, place + _RUN_FILES))
            and max(run.touched_ns) < self._trusted_before_ns
        ):
            self._at += len(run)
            return run.digests
        return []

    def _digest(self, block: Block, place: int) -> bytes:
        path = block.paths[place]
        while self._held.paths:
            held, at = self._held, self._at
            if at == len(held):
                self._next()
            elif held.paths[at] < path:
                self._at += 1
            elif held.paths[at] == path and held.modes[at] == block.modes[place]:
                identity = block.identity(place)
                same = held.identity(at) == identity and max(identity[3:]) < self._trusted_before_ns
                return held.digests[at] if same else UNKNOWN
            else:
                break
        return UNKNOWN

    def _next(self) -> None:
        self._at = 0
        try:
            self._held = next(self._waiting, Block())
        except (IntegrityError, OSError):
            self._held, self._waiting = Block(), iter(())

    def _read_head(self, handle: IO[bytes]) -> None:
        try:
            head = handle.read(_HEAD_BYTES)
        except OSError:
            return
        body, check = head[: _BODY.size], head[_BODY.size :]
        if len(head) < _HEAD_BYTES or _check(body) != check:
            return
        magic, proven_ns, tree, self.files, self.bytes = _BODY.unpack(body)
        if magic != _MAGIC:
            return
        self.tree = Digest(tree.hex())
        self._trusted_before_ns = proven_ns - RACY_NS
        self._waiting = iter(Blocks(handle, _HEAD_BYTES))
        self._next()


def remember(folder: Path, source: Path, blocks: IO[bytes], tree: Digest, proven_ns: int) -> None:
    """Keep what was found in place of what was known; where that is not possible, nothing happens.

    Args:
        folder: where such files are kept; made when it is not there.
        source: the absolute path of what was frozen.
        blocks: a file that `Blocks` wrote from its beginning, all digests known.
        tree: the digest of the tree that was made of them.
        proven_ns: a moment before the last reading of any file that had been touched shortly before; nanoseconds since
            1970.
    """
    written = Blocks(blocks)
    files = size = 0
    for block in written:
        files += len(block)
        size += sum(block.sizes)
    proven_ns = max(-_TIME_MAX, min(proven_ns, _TIME_MAX))
    body = _BODY.pack(_MAGIC, proven_ns, bytes.fromhex(tree.hex), files, size)
    blocks.seek(0)
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(_place(folder, source), body + _check(body), blocks)
        _forget_oldest(folder)


def _replace(target: str, head: bytes, blocks: IO[bytes]) -> None:
    """Write under another name, which a writer that was killed leaves for the next one to use, and rename."""
    part = f"{target}.part"
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "r+b") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # somebody freezes the same source; what they remember is as good
        if not os.path.samestat(os.lstat(part), os.fstat(handle.fileno())):
            return  # they were done in this moment, and the file has its place already
        handle.truncate()
        handle.write(head)
        shutil.copyfileobj(blocks, handle, 1 << 20)
        handle.flush()
        os.rename(part, target)  # noqa: PTH104 - a name, not a Path


def _forget_oldest(folder: Path) -> None:
    known = [entry for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)]
    if len(known) > SOURCES_MAX:
        for entry in sorted(known, key=lambda entry: entry.stat().st_mtime_ns)[: len(known) - SOURCES_MAX]:
            os.unlink(entry.path)  # noqa: PTH108 - a name, not a Path


def _place(folder: Path, source: Path) -> str:
    return str(folder / hash_bytes(os.fsencode(source)).hex)


def _check(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECK_BYTES).digest()
