"""The folder in which a checkout is put together, and found again after the checkout was interrupted.

It stands beside the target under a name made of what is written and where, so that the same command finds what an
earlier one left. Its owner holds a lock on it, as on every scratch folder: what has another name and no owner is
swept.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import NoSpace, PermissionRefused, Unavailable
from holdfast.store.disk import FOLDER, refusal, refusing
from holdfast.store.scratch import locked, stands, sweep

__all__ = ["PREFIX", "Resuming", "resuming"]

PREFIX = ".holdfast-checkout-"
_INSIDE = "tree"
_NAME_DIGITS = 16

_ATTEMPTS_MAX = 16
"""Each attempt loses only to a sweep that began in the same microseconds."""


class Resuming:
    """A folder in progress.

    Attributes:
        path: where it is.
        outer: that folder, open.
        root: the open folder inside whose contents become the target's; valid until this is left, or begun afresh.
        has_files: whether an earlier checkout left something in it.
    """

    def __init__(self, path: Path, outer: int) -> None:
        self.path = path
        self.outer = outer
        self.root, self.has_files = _inside(path, outer)

    def begin_afresh(self) -> None:
        """Forget what an earlier checkout left."""
        os.close(self.root)
        self.root = -1
        with refusing(self.path):
            shutil.rmtree(_INSIDE, dir_fd=self.outer)
        self.root, self.has_files = _inside(self.path, self.outer)

    def count(self) -> tuple[int, int]:
        """How many folders and how many other things are inside by now."""
        folders = others = 0
        for _, inner, names in os.walk(self.path / _INSIDE):
            folders += len(inner)
            others += len(names)
        return folders, others

    def become(self, target: Path) -> None:
        """Make the contents appear as `target`, in one step.

        Raises:
            OSError: something stands there.
        """
        os.rename(_INSIDE, target, src_dir_fd=self.outer)


@contextmanager
def resuming(target: Path, what: Digest, how: str) -> Iterator[Resuming]:
    """The folder in which `what` is put together for `target`, in the way `how`; nobody else has it.

    It is kept when it is left by something that repeating may cure: a full disk, Ctrl-C, a store that did not answer.
    Otherwise nothing of it is left.

    Raises:
        Unavailable: another process is putting the same together for the same target.
        PermissionRefused: somebody else has made a folder of this name.
        NoSpace, NotFound: the operating system refused.
    """
    name = hash_bytes(f"{how}\n{what}\n".encode() + os.fsencode(target)).hex[:_NAME_DIGITS]
    folder = target.parent / f"{PREFIX}{name}"
    with refusing(target.parent):
        outer = _claimed(folder, target)
    keep = True
    try:
        sweep(target.parent, PREFIX)  # ours is locked, and stays
        place = Resuming(folder, outer)
        try:
            yield place
        finally:
            if place.root >= 0:
                os.close(place.root)
        keep = False
    except (NoSpace, Unavailable):
        raise
    except Exception:
        keep = False
        raise
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
        os.close(outer)


def _claimed(folder: Path, target: Path) -> int:
    """The folder, open and locked; made when it is not there."""
    for _ in range(_ATTEMPTS_MAX):
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        try:
            descriptor = os.open(folder, FOLDER)
        except FileNotFoundError:
            continue
        try:
            _refuse_strangers(descriptor, folder)
            _lock(descriptor, target)
        except BaseException:
            os.close(descriptor)
            raise
        if stands(folder, descriptor):
            return descriptor
        os.close(descriptor)
    raise Unavailable(
        f"could not claim a folder for work in progress in {folder.parent}",
        hint="Another process keeps removing it; stop that one, then try again.",
        path=str(folder.parent),
    )


def _lock(descriptor: int, target: Path) -> None:
    if not locked(descriptor):
        raise Unavailable(
            f"another process is writing {target}",
            hint="Wait until it has finished, or choose another folder.",
            path=str(target),
        )


def _refuse_strangers(descriptor: int, folder: Path) -> None:
    """The name can be foretold, so somebody else may have made the folder, to look at or change what is written."""
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise PermissionRefused(
            f"{folder} was not made by us, or others may enter it",
            hint="Find out who made it and remove it, or choose another folder to write into.",
            path=str(folder),
        )


def _inside(folder: Path, outer: int) -> tuple[int, bool]:
    try:
        try:
            os.mkdir(_INSIDE, dir_fd=outer)
            is_new = True
        except FileExistsError:
            is_new = False
        root = os.open(_INSIDE, FOLDER, dir_fd=outer)
    except OSError as error:
        raise refusal(error, folder) from error
    return root, not is_new
