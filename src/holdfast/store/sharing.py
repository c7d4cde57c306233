"""Giving a file the store's own bytes instead of a copy of them: by a hard link, or by a clone where the disk can.

Either needs a file of the store that holds exactly the bytes, and `Store.exact` has hashed it when it hands it out.
"""

import errno
import fcntl
import os
import sys
from contextlib import suppress
from pathlib import Path

from holdfast.digest import Digest
from holdfast.store.disk import CREATE, READ
from holdfast.store.interface import Store

__all__ = ["SHARED_BYTES_MIN", "can_clone", "clone", "link"]

SHARED_BYTES_MIN = 1 << 20
"""Below this a copy costs less than finding out whether it can be spared; and a store packs small files together."""

_CLONE = 0x40049409
"""Linux's FICLONE: the two files share their blocks on the disk until one of them is written to."""

_CANNOT = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


def link(store: Store, digest: Digest, name: str, folder: int) -> bool:
    """Make `name` in the open `folder` a hard link to the store's file; False, and nothing made, where that cannot be.

    The file is the store's: it has the mode 0444, and whoever changes it all the same damages the store.

    Raises:
        IntegrityError, NotFound: as `Store.exact`.
        OSError: the operating system refused for a reason that a copy would meet too.
    """
    source = store.exact(digest)
    if source is None:
        return False
    try:
        os.link(source, name, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno in _CANNOT:
            return False
        raise
    return True


def clone(store: Store, digest: Digest, descriptor: int) -> bool:
    """Let the open, empty file share the blocks of the store's file; False where that cannot be.

    Raises:
        IntegrityError, NotFound: as `Store.exact`.
    """
    source = store.exact(digest)
    return source is not None and _cloned(source, descriptor)


def can_clone(folder: int) -> bool:
    """Whether the disk under the open `folder` can clone at all, tried with a file of one block."""
    names = ("clone-from", "clone-to")
    try:
        for name in names:
            descriptor = os.open(name, CREATE | os.O_RDWR, 0o600, dir_fd=folder)
            try:
                if name == names[0]:
                    os.write(descriptor, bytes(4096))
                elif sys.platform == "linux":
                    source = os.open(names[0], READ, dir_fd=folder)
                    try:
                        fcntl.ioctl(descriptor, _CLONE, source)
                    finally:
                        os.close(source)
                else:
                    return False
            finally:
                os.close(descriptor)
    except OSError:
        return False
    finally:
        for name in names:
            with suppress(OSError):
                os.unlink(name, dir_fd=folder)
    return True


def _cloned(source: Path, descriptor: int) -> bool:
    try:
        opened = os.open(source, READ)
    except OSError:
        return False
    try:
        fcntl.ioctl(descriptor, _CLONE, opened)
    except OSError:
        return False
    finally:
        os.close(opened)
    return True
