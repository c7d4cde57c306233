"""All files of one store, in another place as well: only those that it lacks travel, each hashed on its way.

Segments go before the index files that list them, so that whoever reads the copy while it grows finds what is listed.
Files keep their names and their bytes for ever, so that a copy that was interrupted goes on where it ended.
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

from blake3 import blake3

from holdfast.errors import AlreadyExists, IntegrityError
from holdfast.store.layout import CONFIG_NAME
from holdfast.store.remote.remote import WINDOW_BYTES
from holdfast.store.remote.transport import Listed, Pieces, Transport

__all__ = ["Mirrored", "mirror"]

Progress: TypeAlias = Callable[[int, int], None]

_SEGMENTS = ("packs/", "blobs/")
_INDEX = "index/"

_AT_ONCE = 4
"""Files under way at the same time: two cores hash while two wait for a disk or a network."""

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

    Nothing may be deleted from the source meanwhile.

    Args:
        source: a store.
        target: a store that cuts in the same way, or an empty place.
        progress: called with the bytes done and the bytes in all.

    Raises:
        AlreadyExists: the target is another kind of store.
        Unavailable, PermissionRefused, NoSpace, NotFound: a repetition goes on where this ended.
    """
    # What lists comes first to be looked at, and last to be copied: all that it lists was there before it.
    indexes = list(source.list(_INDEX))
    segments = [one for prefix in _SEGMENTS for one in source.list(prefix)]
    _copy_config(source, target)
    there = {one.key: one.size for prefix in (*_SEGMENTS, _INDEX) for one in target.list(prefix)}
    lacking = [[one for one in files if there.get(one.key) != one.size] for files in (segments, indexes)]
    total, done, damaged = sum(one.size for files in lacking for one in files), 0, []
    with ThreadPoolExecutor(_AT_ONCE, "holdfast-mirror") as pool:
        for files in lacking:
            copied = pool.map(lambda one: _copied(source, target, one, is_stunted=one.key in there), files)
            for one, is_whole in zip(files, copied, strict=True):
                done += one.size
                if not is_whole:
                    damaged.append(one)
                if progress is not None:
                    progress(done, total)
    return Mirrored(
        len(segments) + len(indexes),
        sum(one.size for one in (*segments, *indexes)),
        sum(map(len, lacking)) - len(damaged),
        total - sum(one.size for one in damaged),
        tuple(one.key for one in damaged),
    )


def _copy_config(source: Transport, target: Transport) -> None:
    config = source.read(CONFIG_NAME, bytes_max=_CONFIG_BYTES_MAX)
    if not target.create(CONFIG_NAME, config) and target.read(CONFIG_NAME, bytes_max=_CONFIG_BYTES_MAX) != config:
        raise AlreadyExists(
            f"{target.name} is a store of another kind than {source.name}",
            hint="Name an empty place.",
            source=source.name,
            target=target.name,
        )


def _copied(source: Transport, target: Transport, file: Listed, *, is_stunted: bool) -> bool:
    if is_stunted:
        target.remove(file.key)  # of another length than its name wants: it was never whole
    try:
        target.create_long(file.key, _proved(source, file), file.size)
    except IntegrityError:
        return False
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
