"""Writing a tree out as a folder: whole or not at all, verified on the way, and never outside its target.

    checkout_tree(store, tree, Path("data"))

The files are made in a new folder beside the target, mode 0700, which nobody else can enter; every folder in it is
opened by descriptor, without following links, so that even a link planted there leads nowhere. One rename then makes
the whole visible. What is written is hashed, but not synced: a checkout can be repeated, and what is loaded from it
is hashed again.
"""

import errno
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

from holdfast.errors import AlreadyExists, IntegrityError, PermissionRefused
from holdfast.store.disk import CREATE, FOLDER, refusal, refusing
from holdfast.store.interface import Entry, Store
from holdfast.store.parallel import batches, on_all_workers
from holdfast.store.scratch import scratch, sweep
from holdfast.store.tree import Tree

__all__ = ["checkout_tree"]

_PREFIX = ".holdfast-checkout-"
_INSIDE = "tree"


def checkout_tree(
    store: Store, tree: Tree, target: Path, *, progress: Callable[[int, int], None] | None = None
) -> None:
    """Make `target` a folder that holds exactly the files of `tree`.

    Args:
        store: where the bytes are.
        tree: what to write.
        target: a name that is free, or an empty folder; missing folders above it are made.
        progress: called with the bytes done and the bytes in all, by one thread at a time.

    Raises:
        AlreadyExists: `target` is a file, a link, or a folder with something in it; or two paths of the tree are one
            and the same on this file system.
        IntegrityError: a blob is damaged, or has another size than the tree says.
        NotFound: a blob is missing.
        PermissionRefused: the operating system refused, or somebody put a link where a folder was being written.
        NoSpace: the disk is full.
    """
    target = Path(os.path.abspath(target))  # noqa: PTH100 - the last name must not be resolved: it may be a link
    _check_free(target)
    with refusing(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    sweep(target.parent, _PREFIX)
    with scratch(target.parent, _PREFIX) as mine:
        with refusing(mine.path):
            os.mkdir(_INSIDE, dir_fd=mine.descriptor)
            root = os.open(_INSIDE, FOLDER, dir_fd=mine.descriptor)
        try:
            _Checkout(store, root, target, progress, tree.size).write(tree.entries)
        finally:
            os.close(root)
        try:
            os.rename(_INSIDE, target, src_dir_fd=mine.descriptor)
        except OSError as error:
            _check_free(target)
            raise refusal(error, target) from error


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


class _Checkout:
    """One checkout in progress."""

    def __init__(
        self, store: Store, root: int, target: Path, progress: Callable[[int, int], None] | None, total: int
    ) -> None:
        self._store = store
        self._root = root
        self._target = target
        self._progress = progress
        self._total = total
        self._done = 0
        self._lock = Lock()

    def write(self, entries: Sequence[Entry]) -> None:
        on_all_workers(self._write_batch, list(batches(entries, lambda entry: entry.size)))

    def _write_batch(self, entries: Sequence[Entry]) -> None:
        """Entries are sorted, so neighbours share a folder; it is opened once for all of them."""
        here, folder = "", os.dup(self._root)
        try:
            for entry in entries:
                above, _, name = entry.path.text.rpartition("/")
                if above != here:
                    os.close(folder)
                    folder = -1
                    folder = self._folder(above)
                    here = above
                self._write_file(entry, name, folder)
                self._report(entry.size)
        finally:
            if folder >= 0:
                os.close(folder)

    def _folder(self, above: str) -> int:
        """The folder, opened name by name from the root, and made where it is missing."""
        current = os.dup(self._root)
        for name in above.split("/") if above else ():
            current = self._enter(current, name, above)
        return current

    def _enter(self, parent: int, name: str, above: str) -> int:
        """The folder `name` in `parent`, which is closed."""
        try:
            with suppress(FileExistsError):  # the other thread, or an earlier batch, made it
                os.mkdir(name, dir_fd=parent)
            return os.open(name, FOLDER, dir_fd=parent)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENOTDIR}:
                raise PermissionRefused(
                    f"somebody put a link or a file in the place of the folder {above!r} while it was written",
                    hint="Find out who writes there; nothing was followed, and the checkout was withdrawn.",
                    path=above,
                ) from error
            raise refusal(error, self._target / above) from error
        finally:
            os.close(parent)

    def _write_file(self, entry: Entry, name: str, folder: int) -> None:
        with refusing(self._target / entry.path.text):
            try:
                descriptor = os.open(name, CREATE, entry.mode, dir_fd=folder)
            except FileExistsError as error:
                raise AlreadyExists(
                    f"{entry.path} is the same file as another path of the tree on this file system",
                    hint="Check it out on a file system that tells capitals and Unicode forms apart.",
                    path=str(entry.path),
                ) from error
            with os.fdopen(descriptor, "wb") as sink:
                size = self._store.write_to(entry.digest, sink)
        if size != entry.size:
            raise IntegrityError(
                f"{entry.path} has {size} bytes; its tree says {entry.size}",
                hint="The tree was not written by Holdfast; take the snapshot again.",
                path=str(entry.path),
                expected=entry.size,
                found=size,
            )

    def _report(self, size: int) -> None:
        if self._progress is not None:
            with self._lock:
                self._done += size
                self._progress(self._done, self._total)
