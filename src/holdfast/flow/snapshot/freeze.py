"""The verb `snapshot`, in steps that its comments number."""

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal

from holdfast.canonical import JsonObject
from holdfast.digest import Digest
from holdfast.errors import NotFound, SourceChanged, UsageError
from holdfast.flow.snapshot.blocks import UNKNOWN, Block, Blocks
from holdfast.flow.snapshot.compare import difference
from holdfast.flow.snapshot.ignores import IGNORE_NAME, Ignores
from holdfast.flow.snapshot.scan import printable, scan_file, scan_folder
from holdfast.flow.snapshot.seen import RACY_NS, Seen, remember
from holdfast.flow.snapshot.table import is_table, write_parquet
from holdfast.names import RelativePath
from holdfast.store.disk import refusing
from holdfast.store.interface import Store, StoreWriter
from holdfast.store.parallel import batches, on_all_workers
from holdfast.store.steady import hash_steady
from holdfast.store.tree import Row
from holdfast.store.tree_stream import tree_pieces

__all__ = ["Snapshot", "snapshot"]

_TABLE_NAME = "table.parquet"

_READ_AT_ONCE = 4096
"""Files handed to the store together: enough to keep two threads busy, few enough to hold their answers."""

_BLOCKS_AT_ONCE = 8
"""The same where nearly all files are known, and few of each block have to be read."""

_HELD_BYTES_MAX = 16 << 20
"""What was found waits in memory up to this size, some 100,000 files, and in a temporary file past it."""

Kind = Literal["file", "folder", "table"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Data that has been frozen.

    Attributes:
        digest: the digest of its tree, by which `load_tree` finds it again.
        files: how many there are.
        bytes: how many bytes they hold together.
        bytes_new: how many of those the store did not hold before; the same bytes in two files count once.
        name: the last name of the source; for a table the name of its file.
        kind: `file`, `folder` or `table`.
        source: where it came from: relative to the project when inside, else absolute; None for a table.
    """

    digest: Digest
    files: int
    bytes: int
    bytes_new: int
    name: str
    kind: Kind
    source: str | None

    def to_json(self) -> JsonObject:
        """The answer of `holdfast snapshot --json`."""
        return {
            "digest": str(self.digest),
            "files": self.files,
            "bytes": self.bytes,
            "bytes_new": self.bytes_new,
            "name": self.name,
            "kind": self.kind,
            "source": self.source,
        }


@dataclass(frozen=True, slots=True)
class _Source:
    """What is frozen.

    Attributes:
        path: where it is, absolute.
        above: what stands before each path of a scan to make it that of a file.
        look: scans it.
        name, kind, shown: as `Snapshot` has them; `shown` is its `source`.
        is_ours: nobody else knows it: however fresh, it need not be read twice.
    """

    path: Path
    above: str
    look: Callable[[], Iterator[Block]]
    name: str
    kind: Kind
    shown: str | None
    is_ours: bool = False


def snapshot(
    store: Store,
    source: Any,
    *,
    root: Path,
    name: str | None = None,
    progress: Progress | None = None,
    seen: Path | None = None,
    now_ns: Callable[[], int] = time.time_ns,
) -> Snapshot:
    """Freeze `source` into `store`.

    Args:
        store: where the bytes go.
        source: a path of a file or folder (str or PathLike), or a table of pandas, polars or pyarrow.
        root: the project's root: `.holdfastignore` is looked for there, and paths inside it are recorded relative to
            it.
        name: the name of a table's file, `table.parquet` when not given; for paths it is their own.
        progress: called with the bytes done and the bytes in all, by one thread at a time.
        seen: a folder of our own that remembers what sources looked like, so that what has not changed since is not
            read again; None reads everything. It may be deleted at any time.
        now_ns: the clock that the files' times are compared with; nanoseconds since 1970.

    Raises:
        NotFound: there is no such file or folder; the hint offers the nearest names.
        UsageError: an empty folder, something in it that cannot be frozen, or a source of another kind.
        SourceChanged: it changed while it was read.
        TooLarge: more files than a tree may hold.
        MissingExtra: a table, and pyarrow is not installed.
        NoSpace, PermissionRefused, IntegrityError: the operating system refused, or a disk failed.
        After any of them nothing has been recorded.
    """
    if is_table(source):
        return _freeze_table(store, source, name or _TABLE_NAME, progress, now_ns)
    if not isinstance(source, str | os.PathLike):
        raise UsageError(
            f"a {type(source).__name__} cannot be frozen",
            hint="Give a path, or a table: pandas.DataFrame, polars.DataFrame, pyarrow.Table.",
        )
    path, root = Path(os.path.abspath(os.fsdecode(source))), root.absolute()  # noqa: PTH100 - links stay as given
    with refusing(path):
        is_folder = path.is_dir()
    what = _Source(
        path,
        os.path.join(path if is_folder else path.parent, ""),  # noqa: PTH118 - a Path has no slash at its end
        partial(scan_folder, path, Ignores(path, root)) if is_folder else partial(scan_file, path),
        name=path.name,
        kind="folder" if is_folder else "file",
        shown=_where(path, root),
    )
    return _freeze(store, what, progress, seen, now_ns)


def _freeze_table(
    store: Store, table: Any, name: str, progress: Progress | None, now_ns: Callable[[], int]
) -> Snapshot:
    if "/" in RelativePath(name).text:
        raise UsageError(f"{name!r} is not the name of a file", hint="Name the table's file without a folder.")
    with refusing(Path(tempfile.gettempdir())):
        scratch = tempfile.TemporaryDirectory(prefix="holdfast-table-")
    with scratch:
        path = Path(scratch.name) / name
        write_parquet(table, path)
        look = partial(scan_file, path)
        what = _Source(path, os.path.join(scratch.name, ""), look, name, "table", None, is_ours=True)  # noqa: PTH118
        return _freeze(store, what, progress, None, now_ns)


def _freeze(
    store: Store, source: _Source, progress: Progress | None, seen: Path | None, now_ns: Callable[[], int]
) -> Snapshot:
    began_ns = now_ns()
    with _waiting() as found_file, _waiting() as read_file:
        # (1) what there is, and what is known of it from the last time
        found, read = Blocks(found_file), Blocks(read_file)
        with Seen.open(seen, source.path) as before:
            if before.tree is not None:
                store.claim(before.tree)  # what is not read again must not be let go of meanwhile
            known_bytes, all_known = _look(store, source, found, before)
            if all_known and before.tree is not None and found.files == before.files and store.has(before.tree):
                # Every file is the one that was frozen then, and all of it is in the store. One scan is enough: the
                # scan of that time had proven that these files stood there together, and a file that is now as it was
                # then has been so all the while, so they stood there together when this scan began as well.
                _told(progress, before.bytes)
                return _answer(source, before.tree, found, 0)
        if not found.files:
            raise UsageError(
                f"there is nothing to freeze in {source.shown}",
                hint=f"The folder is empty, or {IGNORE_NAME} leaves everything out.",
                path=source.shown,
            )
        with store.writer() as writer:
            # (2) the bytes that are not known; each file is compared with itself before and after
            try:
                bytes_new = _read(writer, source, found, read, _counting(progress, known_bytes, found.bytes))
            except NotFound as error:
                raise _changed(f"{error.details.get('path')} was removed", source) from error
            # (3) files so fresh that their times prove nothing are read a second time
            proven_ns = now_ns()
            if not source.is_ours:
                _read_again(source, read, began_ns - RACY_NS)
            # (4) the whole once more: nothing came, went or changed
            try:
                moved = difference(read, source.look())
            except NotFound as error:
                raise _changed(f"{error.details.get('path')} was removed", source) from error
            if moved is not None:
                raise _changed(moved, source)
            # (5) the tree, and all of it durable
            tree = writer.add_pieces(tree_pieces(_rows(read))).digest
            writer.commit()
        store.claim(tree)
        # (6) what it looked like, for the next time
        if seen is not None:
            remember(seen, source.path, read_file, tree, proven_ns)
        return _answer(source, tree, read, bytes_new)


@contextmanager
def _waiting() -> Iterator[IO[bytes]]:
    """A temporary file that nobody else sees."""
    with refusing(Path(tempfile.gettempdir())), tempfile.SpooledTemporaryFile(_HELD_BYTES_MAX) as handle:
        yield handle


def _look(store: Store, source: _Source, found: Blocks, before: Seen) -> tuple[int, bool]:
    """Scan into `found`, with the digests of what is known and here; their bytes, and whether that is all there is."""
    known_bytes, all_known = 0, True
    for block in source.look():
        digests = before.digests(block)
        known = set(digests)
        known.discard(UNKNOWN)
        lost = {bytes.fromhex(digest.hex) for digest in store.missing(map(_digest, known))}
        block.digests = [UNKNOWN if digest in lost else digest for digest in digests] if lost else digests
        unread = block.digests.count(UNKNOWN)
        if unread:
            all_known = False
        if unread < len(block):
            known_bytes += sum(size for size, digest in zip(block.sizes, block.digests, strict=True) if digest)
        found.append(block)
    return known_bytes, all_known


def _digest(raw: bytes) -> Digest:
    """The digest with these 32 bytes. Its digits need no checking, which would take most of the time."""
    digest = Digest.__new__(Digest)
    object.__setattr__(digest, "hex", raw.hex())
    return digest


def _read(
    writer: StoreWriter, source: _Source, found: Blocks, read: Blocks, count: Callable[[int], None] | None
) -> int:
    """Add what is not known to the store; how many bytes it did not hold before. Everything goes on into `read`."""
    bytes_new = 0
    for group in _groups(found):
        unread = [(block, place) for block in group for place, digest in enumerate(block.digests) if digest == UNKNOWN]
        answers = (
            writer.add_files([source.above + block.paths[place] for block, place in unread], count) if unread else []
        )
        for (block, place), stored in zip(unread, answers, strict=True):
            if stored.size != block.identity(place)[2]:
                raise _changed(f"{block.paths[place]} was changed", source)
            block.digests[place] = bytes.fromhex(stored.digest.hex)
            bytes_new += stored.added
        for block in group:
            read.append(block)
    return bytes_new


def _groups(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    group: list[Block] = []
    unread = 0
    for block in blocks:
        group.append(block)
        unread += block.digests.count(UNKNOWN)
        if unread >= _READ_AT_ONCE or len(group) == _BLOCKS_AT_ONCE:
            yield group
            group, unread = [], 0
    if group:
        yield group


def _read_again(source: _Source, read: Blocks, racy_after_ns: int) -> None:
    for block in read:
        files = zip(block.paths, block.sizes, block.digests, block.touched_ns, strict=True)
        fresh = [(path, size, digest) for path, size, digest, touched_ns in files if touched_ns >= racy_after_ns]
        on_all_workers(partial(_compare, source), list(batches(fresh, lambda file: file[1])))


def _compare(source: _Source, batch: Sequence[tuple[str, int, bytes]]) -> None:
    for path, _, digest in batch:
        if bytes.fromhex(hash_steady(Path(source.above + path)).hex) != digest:
            raise _changed(f"{path} was rewritten", source)


def _rows(blocks: Iterable[Block]) -> Iterator[Row]:
    for block in blocks:
        for path, mode, size, digest in zip(block.paths, block.modes, block.sizes, block.digests, strict=True):
            yield Row(path, mode, size, digest.hex())


def _answer(source: _Source, tree: Digest, blocks: Blocks, bytes_new: int) -> Snapshot:
    return Snapshot(tree, blocks.files, blocks.bytes, bytes_new, printable(source.name), source.kind, source.shown)


def _counting(progress: Progress | None, done: int, total: int) -> Callable[[int], None] | None:
    if progress is None:
        return None

    def count(size: int) -> None:
        nonlocal done
        done += size
        progress(done, total)

    count(0)
    return count


def _told(progress: Progress | None, total: int) -> None:
    if progress is not None:
        progress(total, total)


def _changed(what: str, source: _Source) -> SourceChanged:
    return SourceChanged(
        f"{what} while {source.shown or 'it'} was being frozen; nothing was recorded",
        hint="Wait until whatever writes there has finished, then repeat.",
        source=source.shown,
    )


def _where(path: Path, root: Path) -> str:
    for inner, outer in ((path, root), (path.resolve(), root.resolve())):
        if inner.is_relative_to(outer):
            return printable(inner.relative_to(outer).as_posix())
    return printable(path.as_posix())
