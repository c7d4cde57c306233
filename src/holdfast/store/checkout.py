"""Writing a tree out as a folder: whole or not at all, verified on the way, and never outside its target.

    checkout_snapshot(store, digest, Path("data"))       any number of files, in memory that does not grow
    checkout_tree(store, tree, Path("data"))

The files are made in a new folder beside the target, mode 0700, which nobody else can enter; every folder in it is
opened by descriptor, without following links, so that even a link planted there leads nowhere. One rename then makes
the whole visible. A checkout that was interrupted is continued by the next one of the same tree to the same target:
what is there is hashed, and what is missing or wrong is written. What is written is hashed, but not synced: a checkout
can be repeated, and what is loaded from it is hashed again.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from holdfast.digest import Digest
from holdfast.errors import AlreadyExists
from holdfast.store.disk import refusal, refusing
from holdfast.store.interface import Store
from holdfast.store.resuming import Resuming, resuming
from holdfast.store.tree import Row, Tree, tree_rows
from holdfast.store.writing_out import LeftoverDiffers, WritingOut

__all__ = ["CheckedOut", "checkout_snapshot", "checkout_tree"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class CheckedOut:
    """What was written.

    Attributes:
        files: how many.
        bytes: how many bytes they hold together.
        linked: how many of the files are the store's own, by a hard link.
    """

    files: int
    bytes: int
    linked: int


def checkout_snapshot(
    store: Store, digest: Digest, target: Path, *, link: bool = False, progress: Progress | None = None
) -> CheckedOut:
    """Make `target` a folder that holds exactly the files of the snapshot that `digest` names.

    Args:
        store: where the bytes are.
        digest: the snapshot's name.
        target: a name that is free, or an empty folder; missing folders above it are made.
        link: files of 1 MiB and more may be hard links to the store's own, which takes no space and only the time to
            hash them. They have mode 0444 and MUST NOT be written to: the bytes are the store's. What cannot be linked
            is copied: small files, files that may be executed, a target on another disk, bytes that the store keeps in
            pieces.
        progress: called with the bytes done and the bytes in all, by one thread at a time.

    Raises:
        UnsupportedFormat: the digest names something that is not a tree.
        AlreadyExists: `target` is a file, a link, or a folder with something in it; or two paths of the tree are one
            and the same on this file system.
        IntegrityError: a blob is damaged, or has another size than the tree says.
        NotFound: a blob is missing.
        PermissionRefused: the operating system refused, or somebody put a link where a folder was being written.
        NoSpace: the disk is full; what was written waits beside `target` for the same call.
        Unavailable: another process is writing the same.
    """
    total = sum(row.size for row in tree_rows(store, digest)) if progress is not None else 0
    return _checkout(store, digest, lambda: tree_rows(store, digest), target, _Wanted(link, progress, total))


def checkout_tree(
    store: Store, tree: Tree, target: Path, *, link: bool = False, progress: Progress | None = None
) -> CheckedOut:
    """The same for a tree in memory, which itself need not be in the store.

    Raises:
        As `checkout_snapshot`.
    """
    wanted = _Wanted(link, progress, tree.size)
    return _checkout(store, tree.digest, lambda: map(Row.of, tree.entries), target, wanted)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """How it is written; see `checkout_snapshot`. `total` is the bytes in all, where anybody wants to know."""

    link: bool
    progress: Progress | None
    total: int


def _checkout(
    store: Store, digest: Digest, rows: Callable[[], Iterable[Row]], target: Path, wanted: _Wanted
) -> CheckedOut:
    target = Path(os.path.abspath(target))  # noqa: PTH100 - the last name must not be resolved: it may be a link
    _check_free(target)
    with refusing(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    with resuming(target, digest, "link" if wanted.link else "copy") as place:
        try:
            done = _written(store, rows(), place, target, wanted)
        except LeftoverDiffers:
            if not place.has_files:
                raise
            # Not what a checkout of this tree leaves: somebody else's hand, or a file system that changes names.
            place.begin_afresh()
            done = _written(store, rows(), place, target, wanted)
        try:
            place.become(target)
        except OSError as error:
            _check_free(target)
            raise refusal(error, target) from error
    return done


def _written(store: Store, rows: Iterable[Row], place: Resuming, target: Path, wanted: _Wanted) -> CheckedOut:
    writing = WritingOut(store, place, target, link=wanted.link, progress=wanted.progress, total=wanted.total)
    if not place.has_files:
        return CheckedOut(*writing.write(rows))
    counting = _Counting(rows)
    done = CheckedOut(*writing.write(counting))
    # Every file of the tree is there; as many of each kind as the tree has means that nothing else is.
    if place.count() != (counting.folders, done.files):
        raise LeftoverDiffers
    return done


class _Counting:
    """Rows, handed on, and how many folders they stand in; those below one folder stand together."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = rows
        self.folders = 0

    def __iter__(self) -> Iterator[Row]:
        before: list[str] = []
        for row in self._rows:
            above = row.path.split("/")[:-1]
            if above != before:
                pairs = zip(above, before, strict=False)
                self.folders += len(above) - sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
                before = above
            yield row


def _check_free(target: Path) -> None:
    with refusing(target):
        try:
            kind = target.lstat().st_mode
        except FileNotFoundError:
            return
        taken = not stat.S_ISDIR(kind) or any(target.iterdir())
    if taken:
        raise AlreadyExists(
            f"{target} exists and is not an empty folder",
            hint="Choose a name that is free; nothing is overwritten.",
            path=str(target),
        )
