"""A remote in a folder: a shared drive, a disk to carry. Every file is synced before it gets its name."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from holdfast.errors import NotFound, PermissionRefused, TooLarge, UnsupportedFormat
from holdfast.store.disk import CREATE, READ, fsync_folder, refusing, write_all
from holdfast.store.layout import CONFIG_NAME
from holdfast.store.remote.transport import Listed, Pieces
from holdfast.store.scratch import scratch, sweep
from holdfast.store.steady import read_fully

__all__ = ["FolderTransport"]

_TMP = "tmp"
_PREFIX = "sender-"

_OURS = {CONFIG_NAME, "packs", "blobs", "index", "refs", "backups", "probe", _TMP}

_CANNOT = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


class FolderTransport:
    """See `Transport`. The folder is made when something is first created in it.

    Raises:
        UnsupportedFormat: a folder that holds something else.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        _refuse_what_is_no_store(root)
        sweep(root / _TMP, _PREFIX)

    @property
    def name(self) -> str:
        """See `Transport.name`."""
        return str(self._root)

    def create(self, key: str, data: bytes) -> bool:
        """See `Transport.create`."""
        return self.create_long(key, lambda: iter((data,)), len(data))

    def create_long(self, key: str, pieces: Pieces, size: int) -> bool:  # noqa: ARG002 - a folder need not be told
        """See `Transport.create_long`."""
        target = self._root / key
        if target.exists():
            return False
        tmp = self._root / _TMP
        with refusing(tmp):
            tmp.mkdir(parents=True, exist_ok=True)
        with scratch(tmp, _PREFIX) as mine:
            with refusing(target):
                descriptor = os.open("file", CREATE, 0o444, dir_fd=mine.descriptor)
            try:
                done = 0
                for piece in pieces():
                    with refusing(target):
                        write_all(descriptor, piece)
                    done += len(piece)
                with refusing(target):
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            with refusing(target):
                return self._give_name(mine.descriptor, target)

    def _give_name(self, scratch_folder: int, target: Path) -> bool:
        is_new_folder = not target.parent.is_dir()
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            # A second name, unlike a new one, is refused where something has that name already.
            os.link("file", target, src_dir_fd=scratch_folder, follow_symlinks=False)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno in _CANNOT:
                raise PermissionRefused(
                    f"the file system of {self._root} has no hard links, so nothing can be created there safely",
                    hint="Put the remote on a file system with hard links, or in a bucket.",
                    path=str(self._root),
                ) from error
            raise
        fsync_folder(target.parent)
        if is_new_folder:
            for folder in target.parents[1:]:
                fsync_folder(folder)
                if folder == self._root:
                    break
        return True

    def read(self, key: str, *, bytes_max: int) -> bytes:
        """See `Transport.read`."""
        data = self.range(key, 0, bytes_max + 1)
        if len(data) > bytes_max:
            raise TooLarge(f"{key} in {self.name} is longer than {bytes_max} bytes", hint="It is not Holdfast's.")
        return data

    def range(self, key: str, offset: int, length: int) -> bytes:
        """See `Transport.range`."""
        path = self._root / key
        with refusing(path):
            try:
                descriptor = os.open(path, READ)
            except (FileNotFoundError, NotADirectoryError):
                raise NotFound(f"{key} is not in {self.name}", hint="Push it again.", key=key) from None
            try:
                os.lseek(descriptor, offset, os.SEEK_SET)
                return read_fully(descriptor, length)
            finally:
                os.close(descriptor)

    def size(self, key: str) -> int | None:
        """See `Transport.size`."""
        path = self._root / key
        with refusing(path):
            try:
                return path.lstat().st_size
            except (FileNotFoundError, NotADirectoryError):
                return None

    def list(self, prefix: str) -> Iterator[Listed]:
        """See `Transport.list`."""
        with refusing(self._root):
            for folder, _, names in os.walk(self._root / prefix):
                for name in names:
                    path = Path(folder) / name
                    try:
                        yield Listed(path.relative_to(self._root).as_posix(), path.lstat().st_size)
                    except FileNotFoundError:
                        continue

    def remove(self, key: str) -> None:
        """See `Transport.remove`."""
        path = self._root / key
        with refusing(path):
            path.unlink(missing_ok=True)


def _refuse_what_is_no_store(root: Path) -> None:
    """A folder in which somebody keeps other things is never taken for a store."""
    with refusing(root):
        names = {path.name for path in root.iterdir()} if root.is_dir() else set()
    others = sorted(names - _OURS)
    if others and CONFIG_NAME not in names:
        raise UnsupportedFormat(
            f"{root} holds {others[0]!r} and no {CONFIG_NAME}: it is not a store",
            hint="Name an empty folder, or one that does not exist yet.",
            path=str(root),
        )
