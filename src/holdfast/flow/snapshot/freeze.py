"""The verb `snapshot`, in steps that its comments number."""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from holdfast.canonical import JsonObject
from holdfast.digest import Digest
from holdfast.errors import NotFound, SourceChanged, UsageError
from holdfast.flow.snapshot.ignores import IGNORE_NAME, Ignores
from holdfast.flow.snapshot.scan import Found, printable, scan_file, scan_folder
from holdfast.flow.snapshot.table import is_table, write_parquet
from holdfast.names import RelativePath
from holdfast.store.disk import refusing
from holdfast.store.interface import Entry, Store, Stored
from holdfast.store.parallel import batches, on_all_workers
from holdfast.store.steady import hash_steady
from holdfast.store.tree import Tree

__all__ = ["Snapshot", "snapshot"]

_RACY_NS = 2_000_000_000
"""A file touched this recently can be rewritten once more without its times showing it: clocks of file systems tick
every few milliseconds, those of FAT every two seconds, which is the slowest in use."""

_TABLE_NAME = "table.parquet"

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


def snapshot(
    store: Store,
    source: Any,
    *,
    root: Path,
    name: str | None = None,
    progress: Progress | None = None,
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
        return _freeze_table(store, source, name or _TABLE_NAME, progress)
    if not isinstance(source, str | os.PathLike):
        raise UsageError(
            f"a {type(source).__name__} cannot be frozen",
            hint="Give a path, or a table: pandas.DataFrame, polars.DataFrame, pyarrow.Table.",
        )
    path, root = Path(os.path.abspath(os.fsdecode(source))), root.absolute()  # noqa: PTH100 - links stay as given
    with refusing(path):
        is_folder = path.is_dir()
    return _freeze(
        store,
        partial(scan_folder, path, Ignores(path, root)) if is_folder else partial(scan_file, path),
        name=path.name,
        kind="folder" if is_folder else "file",
        source=_where(path, root),
        progress=progress,
        racy_after_ns=now_ns() - _RACY_NS,
    )


def _freeze_table(store: Store, table: Any, name: str, progress: Progress | None) -> Snapshot:
    if "/" in RelativePath(name).text:
        raise UsageError(f"{name!r} is not the name of a file", hint="Name the table's file without a folder.")
    with refusing(Path(tempfile.gettempdir())):
        scratch = tempfile.TemporaryDirectory(prefix="holdfast-table-")
    with scratch:
        path = Path(scratch.name) / name
        write_parquet(table, path)
        look = partial(scan_file, path)
        # Nobody else knows this file: however fresh, it need not be read twice.
        return _freeze(store, look, name=name, kind="table", source=None, progress=progress, racy_after_ns=None)


def _freeze(
    store: Store,
    look: Callable[[], list[Found]],
    *,
    name: str,
    kind: Kind,
    source: str | None,
    progress: Progress | None,
    racy_after_ns: int | None,
) -> Snapshot:
    # (1) what there is
    found = look()
    if not found:
        raise UsageError(
            f"there is nothing to freeze in {source}",
            hint=f"The folder is empty, or {IGNORE_NAME} leaves everything out.",
            path=source,
        )
    with store.writer() as writer:
        # (2) the bytes; each file is compared with itself before and after
        try:
            stored = writer.add_files([file.file for file in found], _counting(found, progress))
        except NotFound as error:
            raise _changed(f"{error.details.get('path')} was removed", source) from error
        # (3) files so fresh that their times prove nothing are read a second time
        if racy_after_ns is not None:
            fresh = [pair for pair in zip(found, stored, strict=True) if pair[0].touched_ns >= racy_after_ns]
            on_all_workers(_compare, list(batches(fresh, lambda pair: pair[0].size)))
        # (4) the whole once more: nothing came, went or changed
        try:
            _same(found, look(), source)
        except NotFound as error:
            raise _changed(f"{error.details.get('path')} was removed", source) from error
        # (5) the tree, and all of it durable
        tree = Tree.of(_entry(*pair) for pair in zip(found, stored, strict=True))
        digest = writer.add_bytes(tree.encode()).digest
        writer.commit()
    new = {answer.digest: answer.size for answer in stored if answer.new}
    return Snapshot(digest, len(found), tree.size, sum(new.values()), printable(name), kind, source)


def _entry(file: Found, stored: Stored) -> Entry:
    return Entry(file.path, file.mode, stored.size, stored.digest)


def _counting(found: Sequence[Found], progress: Progress | None) -> Callable[[int], None] | None:
    if progress is None:
        return None
    done, total = 0, sum(file.size for file in found)

    def count(size: int) -> None:
        nonlocal done
        done += size
        progress(done, total)

    return count


def _compare(batch: Sequence[tuple[Found, Stored]]) -> None:
    for file, stored in batch:
        if hash_steady(file.file) != stored.digest:
            raise _changed(f"{file.path} was rewritten", None)


def _same(before: list[Found], after: list[Found], source: str | None) -> None:
    if before == after:
        return
    first, second = ({file.path: file for file in files} for files in (before, after))
    if gone := first.keys() - second.keys():
        raise _changed(f"{min(gone)} was removed", source)
    if come := second.keys() - first.keys():
        raise _changed(f"{min(come)} appeared", source)
    raise _changed(f"{min(path for path in first if first[path] != second[path])} was changed", source)


def _changed(what: str, source: str | None) -> SourceChanged:
    return SourceChanged(
        f"{what} while {source or 'it'} was being frozen; nothing was recorded",
        hint="Wait until whatever writes there has finished, then repeat.",
        source=source,
    )


def _where(path: Path, root: Path) -> str:
    for inner, outer in ((path, root), (path.resolve(), root.resolve())):
        if inner.is_relative_to(outer):
            return printable(inner.relative_to(outer).as_posix())
    return printable(path.as_posix())
