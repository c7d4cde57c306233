"""How the store touches a disk, and what a disk can refuse.

Every `OSError` becomes one of Holdfast's errors here, so that a full disk means the same thing wherever it happens.
"""

import errno
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from holdfast.errors import (
    HoldfastError,
    IntegrityError,
    NoSpace,
    NotFound,
    PermissionRefused,
    Unavailable,
    UsageError,
)

__all__ = ["CREATE", "FOLDER", "READ", "fsync_folder", "place", "refusal", "refusing", "write_all"]

READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
"""For files of our own: a link in their place is somebody else's work and is never followed."""

FOLDER = READ | os.O_DIRECTORY

CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
"""A new file or none: what somebody put there before us is neither written to nor followed."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_ABSENT = {errno.ENOENT}
_MISNAMED = {errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}


def refusal(error: OSError, path: Path) -> HoldfastError:
    """The error of ours that says what `error` means for `path`."""
    reason, details = error.strerror or str(error), {"path": str(path)}
    if error.errno in _FULL:
        return NoSpace(
            f"no space for {path}: {reason}", hint="Free some space or raise the quota, then repeat.", **details
        )
    if error.errno in _FORBIDDEN:
        return PermissionRefused(
            f"the operating system refused {path}: {reason}",
            hint="Check the owner and mode of the file and its folder, and whether the disk is mounted read-only.",
            **details,
        )
    if error.errno == errno.EIO:
        return IntegrityError(
            f"the disk could not read or write {path}: {reason}",
            hint="Look at the system's log for a failing disk, and copy the data off it.",
            **details,
        )
    if error.errno in _ABSENT:
        return NotFound(f"{path} does not exist", hint="Check the path.", **details)
    if error.errno in _MISNAMED:
        return UsageError(f"{path} cannot be used as a file here: {reason}", hint="Check the path.", **details)
    return Unavailable(f"the operating system did not serve {path}: {reason}", hint="Try again.", **details)


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turns every `OSError` inside into the error of ours that names `path`."""
    try:
        yield
    except OSError as error:
        raise refusal(error, path) from error


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`; the operating system may take it in pieces."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def fsync_folder(folder: Path) -> None:
    """Make the names inside `folder` durable."""
    # A link may lead to the folder (a home on another disk); only inside our own folders are links refused.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def place(target: Path, mode: int, fill: Callable[[BinaryIO], object]) -> None:
    """Make `target` hold what `fill` writes, whole and durable, or leave it as it was.

    Args:
        target: a file, or a name that is free; a symbolic link is replaced, not followed.
        mode: its exact mode.
        fill: writes the bytes, or raises.

    Raises:
        UsageError: `target` is a folder.
        NotFound, NoSpace, PermissionRefused: the operating system refused.
    """
    temporary = target.parent / f".holdfast-{secrets.token_hex(8)}.part"
    with refusing(target):
        descriptor = os.open(temporary, CREATE, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as handle:
                fill(handle)
                handle.flush()
                os.fchmod(handle.fileno(), mode)
                os.fsync(handle.fileno())
            temporary.replace(target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        fsync_folder(target.parent)
