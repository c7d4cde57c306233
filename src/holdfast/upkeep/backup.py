"""Backups: every name and every byte of a project in one more place, and a project from what stands there.

    PLACE/backups/20260301T090000.000000Z.ab12…     one backup of the names: models, versions, stages, the log, runs
    PLACE/packs, blobs, index, config.json          the bytes, as a store: only what is new is copied each time

Make: (1) keep what is there from being deleted; (2) write down the names as they are at one moment; (3) copy the bytes,
which are all there, since no name is given before its bytes are durable; (4) put the names beside them, and with that
the backup is one. Put back: (1) fetch and hash the names; (2) copy the bytes; (3) give an empty database its rows, ask
the log whether it is whole, and commit; (4) write into the log that this was done.
"""

import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO

import zstandard

from holdfast.canonical import JsonObject, Reader, decode
from holdfast.config import VERSION
from holdfast.database.engine import Database
from holdfast.database.times import to_text
from holdfast.errors import IntegrityError, NotFound, UnsupportedFormat
from holdfast.registry.actions import Action
from holdfast.registry.events import Entry
from holdfast.registry.lines import filled, written
from holdfast.store.disk import place as fill_file
from holdfast.store.disk import refusing
from holdfast.store.formats import accepted_version
from holdfast.store.remote.mirror import Mirrored, Progress, mirror
from holdfast.store.remote.remote import WINDOW_BYTES
from holdfast.store.remote.transport import Transport

__all__ = ["BACKUPS", "Backup", "Made", "Source", "Target", "backups", "make", "newest", "put_back"]

BACKUPS = "backups/"

_FORMAT = "holdfast.backup"
_FORMAT_VERSION = "1.0"

_KEY = re.compile(rf"{BACKUPS}(\d{{8}}T\d{{6}}\.\d{{6}}Z)\.([0-9a-f]{{64}})\Z")
_TIME = "%Y%m%dT%H%M%S.%fZ"

_LEVEL = 6
"""Of zstd: the names of a registry become about a fifth of what its database takes."""

_LINE_BYTES_MAX = 64 << 20
"""The largest row is a verdict, whose body has a limit far below: what is longer is no row, and is not read."""


@dataclass(frozen=True, slots=True)
class Backup:
    """The names of a project at one moment, as they stand in a place.

    Attributes:
        key: where.
        made_at: when.
        sha256: of the file, in hexadecimal digits.
        bytes: of the file.
    """

    key: str
    made_at: datetime
    sha256: str
    bytes: int

    @property
    def name(self) -> str:
        """What people call it: when it was made, to the microsecond."""
        return self.made_at.strftime(_TIME)

    def to_json(self) -> JsonObject:
        """One entry of `backup list`."""
        return {
            "backup": self.name,
            "made_at": to_text(self.made_at),
            "digest": f"sha256:{self.sha256}",
            "bytes": self.bytes,
        }


@dataclass(frozen=True, slots=True)
class Source:
    """A project that is to be kept in one more place.

    Attributes:
        database: its names.
        store: the files of its store; None where its bytes are kept safe in another way.
        undisturbed: nothing is deleted from the store while this lasts.
        scratch: a folder for the names on their way.
        files: other files of the project, by their paths, which are put back with it.
        clock: gives the moment, in UTC.
    """

    database: Database
    store: Transport | None
    undisturbed: Callable[[], AbstractContextManager[None]]
    scratch: Path
    files: Mapping[str, Path]
    clock: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Target:
    """What is filled from a backup.

    Attributes:
        database_url: of an empty database.
        store: gets the bytes; None where they are there already.
        scratch: a folder for the names on their way.
        files: other files of the project, by the paths under which they were kept; those that exist stay as they are.
        clock: gives the moment, in UTC.
    """

    database_url: str
    store: Transport | None
    scratch: Path
    files: Mapping[str, Path]
    clock: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Made:
    """What making a backup, or putting one back, did.

    Attributes:
        backup: which one.
        events: in its log.
        bytes: what was copied; None where only names were.
    """

    backup: Backup
    events: int
    bytes: Mirrored | None

    @property
    def damaged(self) -> tuple[str, ...]:
        """Files that are not what their names say, and were left out."""
        return () if self.bytes is None else self.bytes.damaged

    def to_json(self) -> JsonObject:
        """What `backup make` and `backup restore` print."""
        copied = self.bytes
        return {
            **self.backup.to_json(),
            "events": self.events,
            "files": None if copied is None else copied.files,
            "files_new": None if copied is None else copied.files_new,
            "bytes_store": None if copied is None else copied.bytes,
            "bytes_new": None if copied is None else copied.bytes_new,
            "damaged": list(self.damaged),
        }


def make(source: Source, place: Transport, progress: Progress | None = None) -> Made:
    """Keep a project in one more place. What was backed up there before stays.

    Damaged files of the store are left out and named; everything else is kept.

    Raises:
        AlreadyExists: the place holds another kind of store.
        Unavailable, PermissionRefused, NoSpace: what was copied stays, and a repetition goes on from there.
    """
    made_at, path = source.clock().astimezone(UTC), source.scratch / "names"
    # (1) keep what is there
    with source.undisturbed():
        # (2) the names
        about = {
            "files": {name: text for name, one in source.files.items() if (text := _text(one)) is not None},
            "format": _FORMAT,
            "holdfast": VERSION,
            "made_at": to_text(made_at),
            "version": _FORMAT_VERSION,
        }
        with refusing(path), path.open("w+b") as file:
            backup = _written(file, written(source.database, about), made_at)
        # (3) the bytes
        copied = None if source.store is None else mirror(source.store, place, progress)
    # (4) now it is a backup
    place.create_long(backup.key, lambda: _pieces(path), backup.bytes)
    return Made(backup, _events_in(path, backup), copied)


def backups(place: Transport) -> list[Backup]:
    """The backups in a place, newest first."""
    found = [(_KEY.match(one.key), one) for one in place.list(BACKUPS)]
    return sorted(
        (Backup(one.key, _moment(match[1]), match[2], one.size) for match, one in found if match),
        key=lambda backup: backup.key,
        reverse=True,
    )


def newest(place: Transport, wanted: str | None = None) -> Backup:
    """The newest backup in a place, or the newest whose name begins with what is wanted.

    Raises:
        NotFound: there is none.
    """
    found = backups(place)
    for backup in found:
        if wanted is None or backup.name.startswith(wanted):
            return backup
    raise NotFound(
        f"{place.name} has no backup" + ("" if wanted is None else f" {wanted[:80]!r}"),
        hint="holdfast backup list PLACE shows what it has." if found else "Make one: holdfast backup make PLACE",
        place=place.name,
    )


def put_back(
    backup: Backup, place: Transport, target: Target, who_and_why: tuple[str, str], progress: Progress | None = None
) -> Made:
    """Fill an empty database and a store from a backup.

    Args:
        backup: which one.
        place: where it stands.
        target: what is filled.
        who_and_why: who asks, and the reason, for the log.
        progress: called with the bytes done and the bytes in all.

    Raises:
        UsageError: the database is not empty.
        IntegrityError: the backup is not what was written; the database stays empty.
        UnsupportedFormat: a newer Holdfast made it.
        NotFound, Unavailable, PermissionRefused, NoSpace: a repetition goes on where this ended.
    """
    # (1) the names
    (actor, reason), path = who_and_why, target.scratch / "names"
    _fetch(backup, place, path)
    with _opened(path, backup) as (head, _):
        files = head.mapping("files")
    # (2) the bytes
    copied = None if target.store is None else mirror(place, target.store, progress)
    for name, file in target.files.items():
        if name in files and not file.exists():
            fill_file(file, 0o644, partial(_write_text, str(files[name])))
    # (3) and (4) the rows, whether they are whole, and a word about it
    events = _events_in(path, backup)
    details = {"backup": backup.name, "digest": f"sha256:{backup.sha256}", "events": events}
    entry = Entry(Action.LOG_RESTORE, reason=reason, details=details)
    filled(target.database_url, partial(_opened, path, backup), entry, target.clock(), actor)
    return Made(backup, events, copied)


def _events_in(path: Path, backup: Backup) -> int:
    with _opened(path, backup) as (head, _):
        return head.reader("log").integer("size")


def _written(file: io.BufferedRandom, lines: Iterator[bytes], made_at: datetime) -> Backup:
    with zstandard.ZstdCompressor(level=_LEVEL).stream_writer(file, closefd=False) as packed:
        for line in lines:
            packed.write(line)
    file.seek(0)
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Backup(f"{BACKUPS}{made_at.strftime(_TIME)}.{sha256}", made_at, sha256, file.tell())


def _fetch(backup: Backup, place: Transport, path: Path) -> None:
    state = hashlib.sha256()
    with refusing(path), path.open("wb") as file:
        for at in range(0, backup.bytes, WINDOW_BYTES):
            piece = place.range(backup.key, at, min(WINDOW_BYTES, backup.bytes - at))
            state.update(piece)
            file.write(piece)
    if state.hexdigest() != backup.sha256:
        raise IntegrityError(
            f"{backup.key} in {place.name} is damaged",
            hint="Put back another one: holdfast backup list PLACE",
            key=backup.key,
        )


@contextmanager
def _opened(path: Path, backup: Backup) -> Iterator[tuple[Reader, Iterator[bytes]]]:
    """What the first line says, and the others."""
    with refusing(path), path.open("rb") as file:
        unpacking = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=False, closefd=False)
        with unpacking as packed, io.BufferedReader(packed) as buffered:
            try:
                head = Reader(decode(buffered.readline(_LINE_BYTES_MAX), what=backup.key), backup.key)
                accepted_version(head, name=_FORMAT, major=1)
                yield head, iter(partial(buffered.readline, _LINE_BYTES_MAX), b"")
            except zstandard.ZstdError as error:
                raise UnsupportedFormat(f"{backup.key} is no backup: {error}", hint="Name another one.") from error


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(WINDOW_BYTES):
            yield piece


def _write_text(text: str, sink: BinaryIO) -> None:
    sink.write(text.encode())


def _text(path: Path) -> str | None:
    with refusing(path):
        return path.read_text(encoding="utf-8") if path.is_file() else None


def _moment(text: str) -> datetime:
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
