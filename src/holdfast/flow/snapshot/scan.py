"""What there is to freeze: every file of a source, with what shows later whether it held still."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from holdfast.errors import NotFound, TooLarge, UsageError
from holdfast.flow.snapshot.ignores import IGNORE_NAME, Ignores
from holdfast.names import RelativePath
from holdfast.store.disk import refusing
from holdfast.store.steady import Identity, identity
from holdfast.store.tree import ENTRIES_MAX

__all__ = ["Found", "printable", "scan_file", "scan_folder"]


@dataclass(frozen=True, order=True, slots=True)
class Found:
    """A file as a scan found it; two scans that find the same files are equal.

    Attributes:
        path: where it will stand in the tree.
        file: where it is.
        mode: 0o755 when its owner may execute it, else 0o644.
        identity: device, inode, size, modification and change time.
    """

    path: RelativePath
    file: Path
    mode: int
    identity: Identity

    @property
    def size(self) -> int:
        """Bytes."""
        return self.identity[2]

    @property
    def touched_ns(self) -> int:
        """When its bytes, name or mode last changed; nanoseconds since 1970."""
        return max(self.identity[3], self.identity[4])


def scan_file(path: Path) -> list[Found]:
    """The one file at `path`; a symbolic link to a file counts as the file.

    Raises:
        NotFound: there is none; the hint offers the nearest names.
        UsageError: neither a file nor a folder, or a name that cannot stand in a tree.
    """
    with refusing(path):
        try:
            status = path.stat()
        except FileNotFoundError:
            raise _absent(path) from None
    if not stat.S_ISREG(status.st_mode):
        raise _refused(path.name, _kind(status.st_mode))
    return [_found(path.name, path, status)]


def scan_folder(folder: Path, ignores: Ignores) -> list[Found]:
    """Every file below `folder` that is not left out, in the order of their paths.

    Raises:
        UsageError: a link to a folder, a broken link, a pipe, a socket, a device, a name that is not UTF-8.
        NotFound: `folder` does not exist.
        TooLarge: more than `ENTRIES_MAX` files.
        PermissionRefused: a folder that may not be read.
    """
    found: list[Found] = []
    folders = [""]
    while folders:
        above = folders.pop()
        for entry in _listing(folder / above):
            path = above + entry.name
            if entry.is_dir(follow_symlinks=False):
                if not ignores.leaves_out(path, is_folder=True):
                    folders.append(path + "/")
            elif not ignores.leaves_out(path, is_folder=False):
                found.extend(_file(path, folder / path, ignores))
        if len(found) > ENTRIES_MAX:
            raise TooLarge(
                f"{folder} holds more than {ENTRIES_MAX} files",
                hint=f"Freeze it in several snapshots, or leave files out with {IGNORE_NAME}.",
                limit=ENTRIES_MAX,
            )
    return sorted(found)


def _listing(folder: Path) -> list[os.DirEntry[str]]:
    with refusing(folder), os.scandir(folder) as entries:
        return list(entries)


def _file(path: str, file: Path, ignores: Ignores) -> Iterator[Found]:
    with refusing(file):
        try:
            status = file.stat()
        except (FileNotFoundError, NotADirectoryError):
            if file.is_symlink():
                raise _refused(path, "a link that leads nowhere") from None
            raise
        except OSError as error:
            if file.is_symlink() and not file.exists():
                raise _refused(path, "a link that leads nowhere") from error
            raise
    if stat.S_ISREG(status.st_mode):
        yield _found(path, file, status)
    elif not (stat.S_ISDIR(status.st_mode) and ignores.leaves_out(path, is_folder=True)):
        raise _refused(path, _kind(status.st_mode))


def _found(path: str, file: Path, status: os.stat_result) -> Found:
    shown = printable(path)
    if shown != path:
        raise UsageError(
            f"the name {shown!r} is not valid UTF-8",
            hint=f"Rename the file, or leave it out with {IGNORE_NAME}.",
            path=shown,
        )
    return Found(RelativePath(path), file, 0o755 if status.st_mode & stat.S_IXUSR else 0o644, identity(status))


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a link to a folder"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


def _refused(path: str, kind: str) -> UsageError:
    shown = printable(path)
    return UsageError(
        f"{shown} is {kind} and cannot be frozen",
        hint=f"Put the data itself there, or leave it out by adding the line /{shown} to {IGNORE_NAME}.",
        path=shown,
    )


def _absent(path: Path) -> NotFound:
    try:
        names = [entry.name for entry in _listing(path.parent)]
    except (NotFound, UsageError):
        names = []
    near = [printable(name) for name in get_close_matches(path.name, names)]
    return NotFound(
        f"there is no {printable(str(path))}",
        hint=f"Did you mean {' or '.join(near)}?" if near else "Check the path.",
        path=printable(str(path)),
        nearest=near,
    )


def printable(name: str) -> str:
    """The name as text that can be printed and sent: bytes that are not UTF-8 are written as escapes."""
    return name.encode(errors="backslashreplace").decode()
