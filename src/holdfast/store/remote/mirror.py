"""All files of one store, in another place as well: only those that it lacks travel, each hashed on its way.

Segments go before the index files that list them, so that whoever reads the copy while it grows finds what is listed.
Files keep their names and their bytes for ever, so that a copy that was interrupted goes on where it ended. Only index
files may go while they are copied: whoever commits puts many small ones into one, which a second look finds.
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeAlias

from blake3 import blake3

from holdfast.errors import AlreadyExists, IntegrityError, NotFound
from holdfast.store.layout import CONFIG_NAME
from holdfast.store.remote.remote import WINDOW_BYTES
from holdfast.store.remote.transport import Listed, Pieces, Transport

__all__ = ["Mirrored", "mirror"]

Progress: TypeAlias = Callable[[int, int], None]

_SEGMENTS = ("packs/", "blobs/")
_INDEX = "index/"

_AT_ONCE = 4
"""Files under way at the same time: two cores hash while two wait for a disk or a network."""

_PASSES_MAX = 20
"""Looks at a source whose index files are put together meanwhile: each after the first copies only what came since, in
a fraction of the time in which the next many are written."""

_CONFIG_BYTES_MAX = 64 << 10


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What a mirror did.

    Attributes:
        files, bytes: that the source has.
        files_new, bytes_new: that the target lacked.
        damaged: files of the source that are not what their names say; they were left out.
    """

    files: int
    bytes: int
    files_new: int
    bytes_new: int
    damaged: tuple[str, ...] = ()


def mirror(source: Transport, target: Transport, progress: Progress | None = None) -> Mirrored:
    """Have `target` hold every file that makes `source` a store; nothing that it has besides is touched.

    No pack and no blob may be deleted from the source meanwhile.

    Args:
        source: a store.
        target: a store that cuts in the same way, or an empty place.
        progress: called with the bytes done and the bytes in all.

    Raises:
        AlreadyExists: the target is another kind of store.
        Unavailable, PermissionRefused, NoSpace, NotFound: a repetition goes on where this ended.
    """
    _copy_config(source, target)
    files_new = bytes_new = 0
    for left in reversed(range(_PASSES_MAX)):
        done, went = _pass(source, target, progress)
        files_new, bytes_new = files_new + done.files_new, bytes_new + done.bytes_new
        if went is None:
            break
        if left == 0:
            raise went
    return replace(done, files_new=files_new, bytes_new=bytes_new)


def _pass(source: Transport, target: Transport, progress: Progress | None) -> tuple[Mirrored, NotFound | None]:
    """One look at the source, all of which is copied; and an index file that was gone before its turn came, if any."""
    # What lists comes first to be looked at, and last to be copied: all that it lists was there before it.
    # Looked at twice, since one listing is not one moment: it can miss a new file and the old ones that it replaces.
    indexes = list({one.key: one for _ in range(2) for one in source.list(_INDEX)}.values())
    segments = [one for prefix in _SEGMENTS for one in source.list(prefix)]
    there = {one.key: one.size for prefix in (*_SEGMENTS, _INDEX) for one in target.list(prefix)}
    lacking = [[one for one in files if there.get(one.key) != one.size] for files in (segments, indexes)]
    total, done = sum(one.size for files in lacking for one in files), 0
    damaged: list[Listed] = []
    gone: list[Listed] = []
    went: NotFound | None = None
    with ThreadPoolExecutor(_AT_ONCE, "holdfast-mirror") as pool:
        for files in lacking:
            copied = pool.map(lambda one: _copied(source, target, one, is_stunted=one.key in there), files)
            for one, outcome in zip(files, copied, strict=True):
                done += one.size
                if isinstance(outcome, NotFound):
                    gone.append(one)
                    went = outcome
                elif not outcome:
                    damaged.append(one)
                if progress is not None:
                    progress(done, total)
    left_out = [*damaged, *gone]
    mirrored = Mirrored(
        len(segments) + len(indexes),
        sum(one.size for one in (*segments, *indexes)),
        sum(map(len, lacking)) - len(left_out),
        total - sum(one.size for one in left_out),
        tuple(one.key for one in damaged),
    )
    return mirrored, went


def _copy_config(source: Transport, target: Transport) -> None:
    config = source.read(CONFIG_NAME, bytes_max=_CONFIG_BYTES_MAX)
    if not target.create(CONFIG_NAME, config) and target.read(CONFIG_NAME, bytes_max=_CONFIG_BYTES_MAX) != config:
        raise AlreadyExists(
            f"{target.name} is a store of another kind than {source.name}",
            hint="Name an empty place.",
            source=source.name,
            target=target.name,
        )


def _copied(source: Transport, target: Transport, file: Listed, *, is_stunted: bool) -> bool | NotFound:
    """Whether the file is whole and in the target now; an index file that has gone meanwhile says so as a value."""
    if is_stunted:
        target.remove(file.key)  # of another length than its name wants: it was never whole
    try:
        target.create_long(file.key, _proved(source, file), file.size)
    except IntegrityError:
        return False
    except NotFound as error:
        if file.key.startswith(_INDEX):
            return error
        raise
    return True


def _proved(source: Transport, file: Listed) -> Pieces:
    """The bytes of a file; at the end it raises unless they are the ones that it is named by."""

    def pieces() -> Iterator[bytes]:
        state = hashlib.sha256() if file.key.startswith("blobs/") else blake3()
        for at in range(0, file.size, WINDOW_BYTES):
            piece = source.range(file.key, at, min(WINDOW_BYTES, file.size - at))
            state.update(piece)
            yield piece
        if state.hexdigest() != file.key.rpartition("/")[2]:
            raise IntegrityError(f"{file.key} in {source.name} is damaged", hint="It was left out.", key=file.key)

    return pieces
