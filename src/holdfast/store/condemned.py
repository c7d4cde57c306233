"""The lists of condemned segments: what a run found needed by nothing, and when. docs/FORMAT.md, "Deleting"."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from blake3 import blake3

from holdfast.canonical import Reader, decode, encode
from holdfast.errors import IntegrityError, NotFound, UnsupportedFormat
from holdfast.store.disk import CREATE, READ, fsync_folder, refusing, write_all
from holdfast.store.formats import accepted_version
from holdfast.store.index import EXACT, PACK, Segment
from holdfast.store.layout import Layout, is_name
from holdfast.store.scratch import Scratch

__all__ = ["CONDEMNED_FORMAT", "condemned_names", "read_condemned", "write_condemned"]

CONDEMNED_FORMAT = "holdfast.condemned"

_KINDS = {"pack": PACK, "exact": EXACT}
_WORDS = {kind: word for word, kind in _KINDS.items()}

_LIST_BYTES_MAX = 256 << 20
"""Two million segments, which is more than a hundred terabytes of packs; a file past this is no list."""


def condemned_names(layout: Layout) -> frozenset[str]:
    """The names of all condemned segments; a list that cannot be read condemns nothing."""
    return frozenset(segment.name for segment in read_condemned(layout)[0])


def read_condemned(layout: Layout) -> tuple[dict[Segment, datetime], frozenset[str]]:
    """Since when each segment is condemned, and the names of the lists that say so.

    A list that is damaged counts for nothing: what it condemned is condemned anew, and the grace period begins again.

    Raises:
        PermissionRefused: a list may not be read.
        UnsupportedFormat: a newer Holdfast wrote it.
    """
    found: dict[Segment, datetime] = {}
    names = set()
    for name in layout.names(layout.condemned):
        try:
            at, segments = _read(layout, name)
        except NotFound:
            continue
        except IntegrityError:
            at, segments = datetime.max.replace(tzinfo=UTC), ()
        names.add(name)
        for segment in segments:
            found[segment] = min(at, found.get(segment, at))
    return found, frozenset(names)


def write_condemned(layout: Layout, scratch: Scratch, since: Mapping[Segment, datetime], old: Iterable[str]) -> None:
    """Have the lists say exactly this, durably; `old` are the names of those that said something before.

    The new ones stand before the first of the old ones goes: a segment may be condemned twice for a moment, never not
    at all.

    Raises:
        NoSpace, PermissionRefused: the operating system refused.
    """
    by_moment: dict[datetime, list[Segment]] = {}
    for segment, at in since.items():
        by_moment.setdefault(at, []).append(segment)
    written = {_write(layout, scratch, at, sorted(segments)) for at, segments in by_moment.items()}
    with refusing(layout.condemned):
        fsync_folder(layout.condemned)
        for name in sorted(set(old) - written):
            with suppress(FileNotFoundError):
                os.unlink(layout.condemned / name)  # noqa: PTH108 - one way of touching the disk, for the tests
        fsync_folder(layout.condemned)


def _read(layout: Layout, name: str) -> tuple[datetime, tuple[Segment, ...]]:
    path = layout.condemned / name
    with refusing(path):
        descriptor = os.open(path, READ)
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(_LIST_BYTES_MAX)
    if blake3(data).hexdigest() != name:
        raise IntegrityError(f"{path} is damaged", hint="Nothing needs doing: the next run writes it anew.")
    document = Reader(decode(data, what=str(path)), str(path))
    accepted_version(document, name=CONDEMNED_FORMAT, major=1)
    return _moment(document.text("at"), str(path)), tuple(
        _segment(Reader(item, str(path))) for item in document.items("segments")
    )


def _moment(text: str, where: str) -> datetime:
    with suppress(ValueError):
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    raise UnsupportedFormat(f"{where}: {text[:80]!r} is not a moment", hint="Remove the file, then repeat.")


def _segment(item: Reader) -> Segment:
    kind, name, size = item.text("kind"), item.text("name"), item.integer("bytes")
    if kind not in _KINDS or not is_name(name) or size < 0:
        raise UnsupportedFormat(f"{item.where}: not a segment", hint="Remove the file, then repeat.")
    return Segment(_KINDS[kind], name, size)


def _write(layout: Layout, scratch: Scratch, at: datetime, segments: Iterable[Segment]) -> str:
    listed = [{"bytes": one.size, "kind": _WORDS[one.kind], "name": one.name} for one in segments]
    data = encode(
        {
            "at": at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "format": CONDEMNED_FORMAT,
            "segments": listed,
            "version": "1.0",
        }
    )
    data += b"\n"
    name, temporary = blake3(data).hexdigest(), "condemned"
    with refusing(layout.condemned):
        descriptor = os.open(temporary, CREATE, 0o444, dir_fd=scratch.descriptor)
        try:
            write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, layout.condemned / name, src_dir_fd=scratch.descriptor)
    return name
