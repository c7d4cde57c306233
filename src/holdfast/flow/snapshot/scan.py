"""What there is to freeze: every file of a source, with what shows later whether it held still.

A folder is walked in the order in which its files stand in a tree: names are sorted with a `/` behind those of folders,
and then depth first is the order of the whole paths. So nothing is held but the names of the folders on the way down.
"""

import os
import re
import stat
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from holdfast.errors import NotFound, TooLarge, UsageError
from holdfast.flow.snapshot.blocks import BLOCK_FILES, Block
from holdfast.flow.snapshot.ignores import IGNORE_NAME, OUR_NAMES, Ignores
from holdfast.names import RelativePath
from holdfast.store.disk import refusal, refusing
from holdfast.store.steady import identity
from holdfast.store.tree import ENTRIES_MAX

__all__ = ["printable", "scan_file", "scan_folder"]

_ODD = re.compile(r"[\\\x00-\x1f\x7f\ud800-\udfff]")
"""What no path of a tree may hold; the last are bytes that are not UTF-8, as Python reads them."""

_SHORT_CHARACTERS = 256
"""A path of so many characters or fewer is short enough for a tree, whatever they are."""


def scan_file(path: Path) -> Iterator[Block]:
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
    _refuse_odd(path.name)
    yield Block([path.name], [_mode(status)], [*identity(status)])


def scan_folder(folder: Path, ignores: Ignores) -> Iterator[Block]:
    """Every file below `folder` that is not left out, in the order of their paths.

    Raises:
        UsageError: a link to a folder, a broken link, a pipe, a socket, a device, a name that is not UTF-8.
        NotFound: `folder` does not exist.
        TooLarge: more than `ENTRIES_MAX` files.
        PermissionRefused: a folder that may not be read.
    """
    root, count, block = os.path.join(folder, ""), 0, Block()  # noqa: PTH118 - a Path has no slash at its end
    for path, status in _walk(root, ignores):
        block.paths.append(path)
        block.modes.append(_mode(status))
        block.stats.extend(identity(status))
        if len(block.paths) == BLOCK_FILES:
            count += BLOCK_FILES
            yield block
            block = Block()
        if count + len(block.paths) > ENTRIES_MAX:
            raise TooLarge(
                f"{folder} holds more than {ENTRIES_MAX} files",
                hint=f"Freeze it in several snapshots, or leave files out with {IGNORE_NAME}.",
                limit=ENTRIES_MAX,
            )
    if block.paths:
        yield block


def _walk(root: str, ignores: Ignores) -> Iterator[tuple[str, os.stat_result]]:
    """Each file below `root` (which ends in `/`) by its path below it."""
    names, odd = _names(root, "", ignores)
    levels = [("", iter(names), odd)]
    while levels:
        above, waiting, odd = levels[-1]
        for name in waiting:
            path = above + name
            if name[-1] == "/":
                names, odder = _names(root, path, ignores)
                levels.append((path, iter(names), odd or odder))
                break
            try:
                status = os.stat(root + path)  # noqa: PTH116 - a Path for each of a million files costs seconds
            except OSError as error:
                raise _unreadable(path, root + path, error) from error
            if status.st_mode & 0o170000 != stat.S_IFREG:
                if stat.S_ISDIR(status.st_mode) and ignores.leaves_out(path, is_folder=True):
                    continue
                raise _refused(path, _kind(status.st_mode))
            if odd or len(path) > _SHORT_CHARACTERS:
                _refuse_odd(path)
            yield path, status
        else:
            levels.pop()


def _names(root: str, above: str, ignores: Ignores) -> tuple[list[str], bool]:
    """The names in the folder `above` that are not left out, sorted, with a `/` behind those of folders.

    Also whether some of them, or the name of the folder itself, may be such as cannot stand in a tree.
    """
    names: list[str] = []
    any_may_stay_out = ignores.has_patterns
    with refusing(Path(root + above)), os.scandir(root + above) as entries:
        for entry in entries:
            name, is_folder = entry.name, entry.is_dir(follow_symlinks=False)
            if (any_may_stay_out or name in OUR_NAMES) and ignores.leaves_out(above + name, is_folder=is_folder):
                continue
            names.append(name + "/" if is_folder else name)
    names.sort()
    return names, _ODD.search(above + "".join(names)) is not None


def _mode(status: os.stat_result) -> int:
    return 0o755 if status.st_mode & stat.S_IXUSR else 0o644


def _unreadable(path: str, file: str, error: OSError) -> Exception:
    """Why the file cannot be looked at: a link that leads nowhere, or what the operating system says."""
    # os.path, and not Path: this is about one name that may hold any bytes.
    if os.path.islink(file) and not os.path.exists(file):  # noqa: PTH110, PTH114
        return _refused(path, "a link that leads nowhere")
    return refusal(error, Path(file))


def _refuse_odd(path: str) -> None:
    shown = printable(path)
    if shown != path:
        raise UsageError(
            f"the name {shown!r} is not valid UTF-8",
            hint=f"Rename the file, or leave it out with {IGNORE_NAME}.",
            path=shown,
        )
    RelativePath(path)


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
        with refusing(path.parent):
            names = [near.name for near in path.parent.iterdir()]
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
