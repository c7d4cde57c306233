"""Files that come in parts: each part goes into the store as it comes, and together they become one file.

    begin ──► put 1, put 2, … in any order, at once, through any process ──► complete
                                                                         └─► abort

The database knows what came. A part is named by its bytes alone, and only what came in this very upload can become part
of the file: nobody gets at bytes by knowing their digest. Joining is one pass: the parts are read and verified piece by
piece, and the store keeps once what it has already.

Whoever has not come to an end after a day never will. The parts are needed by nothing then, and `gc` takes their bytes.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from threading import BoundedSemaphore
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, delete, func, select, text, update

from holdfast.database.engine import Database
from holdfast.database.insisting import insisted
from holdfast.digest import Digest
from holdfast.errors import IntegrityError, NotFound, TooLarge, Unavailable, UsageError, WrongBytes
from holdfast.experiments.files import DAY_MS, FileName, SqlFiles, now_ms
from holdfast.experiments.free_names import require_free
from holdfast.experiments.paths import owner_of
from holdfast.experiments.tables import file_parts, file_uploads
from holdfast.store.interface import Store

__all__ = ["AGE_MS_MAX", "OPEN_MAX", "PARTS_MAX", "PART_BYTES_MAX", "SqlUploads", "Upload"]

PARTS_MAX = 10_000
"""Of one file, as S3 has it, for which MLflow's clients are written."""

PART_BYTES_MAX = 5 << 30
"""Five gigabytes, as S3 has it."""

OPEN_MAX = 16
"""Uploads of one path at a time: one, and a few that were interrupted and begun again since."""

AGE_MS_MAX = DAY_MS
"""After a day an upload is forgotten: the largest files are through in hours."""

_SPARED_MS = 3_600_000
"""For so long more its parts are kept, for one that began to be joined in its last moment."""

_JOINING_MAX = 2
"""Files put together at once in one process: each reads and writes as fast as the disk can, and holds a thread."""

_WAITING_MAX = 6
"""Files that wait to be put together, each in a thread, of forty; who comes then is asked to come again at once."""

_TURN_SECONDS = 5.0
"""How long one that is to be joined waits for its turn, before its client is asked to come again."""

_ID_BYTES = 16

_ROWS = 1_000
"""Parts asked for at once where all of them are."""

_BY_ID = select(file_uploads).where(file_uploads.c.id == bindparam("id"))

_UPLOAD = _BY_ID.where(file_uploads.c.created_ms > bindparam("after"))

_OPEN = (
    select(func.count())
    .select_from(file_uploads)
    .where(
        file_uploads.c.path == bindparam("path"),
        file_uploads.c.id != bindparam("id"),
        file_uploads.c.created_ms > bindparam("after"),
        file_uploads.c.digest.is_(None),
    )
)

_BEGIN = text(
    "INSERT INTO file_uploads (id, path, parts, created_by, created_ms) "
    "VALUES (:id, :path, :parts, :created_by, :created_ms) ON CONFLICT (id) DO NOTHING"
)

_PARTS = select(file_parts).where(file_parts.c.upload == bindparam("upload")).order_by(file_parts.c.number)

_PART = text(
    "INSERT INTO file_parts (upload, number, digest, bytes, created_ms) "
    "VALUES (:upload, :number, :digest, :bytes, :now) "
    "ON CONFLICT (upload, number) DO UPDATE "
    "SET digest = excluded.digest, bytes = excluded.bytes, created_ms = excluded.created_ms"
)

_DROP_PARTS = delete(file_parts).where(file_parts.c.upload == bindparam("of"))

_DROP = delete(file_uploads).where(file_uploads.c.id == bindparam("of"))

_BECAME = update(file_uploads).where(file_uploads.c.id == bindparam("of")).values(digest=bindparam("became"))

_OLD = file_uploads.c.created_ms < bindparam("before")

_FORGET_PARTS = delete(file_parts).where(file_parts.c.upload.in_(select(file_uploads.c.id).where(_OLD)))

_FORGET = delete(file_uploads).where(_OLD)

_ALIVE = (
    select(file_parts.c.upload, file_parts.c.number, file_parts.c.digest, file_uploads.c.path)
    .join(file_uploads, file_uploads.c.id == file_parts.c.upload)
    .where(file_uploads.c.created_ms >= bindparam("before"))
    .where(
        (file_parts.c.upload > bindparam("upload"))
        | ((file_parts.c.upload == bindparam("upload")) & (file_parts.c.number > bindparam("number")))
    )
    .order_by(file_parts.c.upload, file_parts.c.number)
    .limit(_ROWS)
)

_FINGERPRINT = select(
    *(func.count(), func.max(file_parts.c.created_ms)),
    *(func.sum(file_parts.c.created_ms % DAY_MS), func.sum(file_parts.c.bytes)),
)


class Upload(NamedTuple):
    """A file that comes in parts.

    Attributes:
        id: which nobody guesses.
        path: what the file will be called.
        parts: how many there will be.
        digest: of the file, once it is whole.
    """

    id: str
    path: str
    parts: int
    digest: Digest | None


class SqlUploads:
    """Uploads in parts. Paths are such as `safe_path` gives.

    Args:
        database: knows what came.
        store: has the bytes.
        files: where whole files go.
        undisturbed: nothing is deleted from the store while this lasts.
        clock: gives the moment in milliseconds since 1970.
    """

    def __init__(
        self,
        database: Database,
        store: Store,
        files: SqlFiles,
        undisturbed: Callable[[], AbstractContextManager[None]] = nullcontext,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._database = database
        self._store = store
        self._files = files
        self._undisturbed = undisturbed
        self._clock = clock
        self._joining = BoundedSemaphore(_JOINING_MAX)
        self._here = BoundedSemaphore(_JOINING_MAX + _WAITING_MAX)

    def begin(self, path: str, parts: int, actor: str) -> Upload:
        """Begin one; those that are too old are forgotten.

        Args:
            path: what the file will be called, which is free or not.
            parts: how many will come; a file without bytes has none.
            actor: who begins it.

        Raises:
            PermissionRefused, UsageError: a file cannot stand there, as `SqlFiles.put` says; or that is no number.
            TooLarge: too many parts.
            Unavailable: too many were begun for this path and not brought to an end.
        """
        if parts < 0:
            raise UsageError(f"A file has no {parts} parts", hint="Announce as many as will come.")
        if parts > PARTS_MAX:
            raise TooLarge(
                f"A file has at most {PARTS_MAX} parts, and {parts} were announced",
                hint="Make them larger: MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE.",
                limit=PARTS_MAX,
            )
        now = self._clock()
        upload = Upload(secrets.token_hex(_ID_BYTES), path, parts, None)

        def once() -> None:
            with self._database.change() as connection:
                require_free(connection, path)
                _forget(connection, now)
                others = {"path": path, "id": upload.id, "after": now - AGE_MS_MAX}
                if connection.execute(_OPEN, others).scalar_one() >= OPEN_MAX:
                    raise Unavailable(
                        f"{OPEN_MAX} uploads of {path} were begun and not brought to an end",
                        hint="Complete or abort one of them; after a day they are forgotten.",
                        path=path,
                    )
                row = {"id": upload.id, "path": path, "parts": parts, "created_by": actor, "created_ms": now}
                connection.execute(_BEGIN, row)

        insisted(once)
        return upload

    def find(self, id_: str) -> Upload:
        """The upload of this id.

        Raises:
            NotFound: there is none, or not any more.
        """
        with self._database.read() as connection:
            return _found(connection.execute(_UPLOAD, self._alive(id_)).one_or_none())

    def put(self, id_: str, number: int, pieces: Iterable[bytes], size: int | None = None) -> Digest:
        """Take in a part, or take it in anew; its digest. It is durable when this returns.

        Args:
            id_: of the upload.
            number: from 1 on.
            pieces: its bytes in order.
            size: how many they have to be; None where nobody knows.

        Raises:
            NotFound: there is no such upload, or it is whole.
            UsageError: it has no part of this number.
            TooLarge: the part is.
            WrongBytes: there were fewer or more bytes than `size`.
            NoSpace: the disk is full. Nothing is kept of the part then, or whenever `pieces` raises.
        """
        upload = self.find(id_)
        if not 1 <= number <= upload.parts:
            raise UsageError(f"There are parts 1 to {upload.parts}, and no {number}", hint="Send what was announced.")
        _refuse_long(size or 0)
        with self._store.writer() as writer:
            stored = writer.add_pieces(_bounded(pieces))
            if size is not None and stored.size != size:
                raise WrongBytes(f"{stored.size} bytes of {size} came; nothing was kept", hint="Send it again.")
            with self._undisturbed():
                writer.commit()
                self._note(id_, {"number": number, "digest": str(stored.digest), "bytes": stored.size})
        return stored.digest

    def complete(self, id_: str, path: str, said: Sequence[tuple[int, str]]) -> None:
        """Make the file of its parts; nothing happens where that was done already, also by who was asked so meanwhile.

        Args:
            id_: of the upload.
            path: of the file.
            said: number and digest of every part, in order.

        Raises:
            NotFound: there is no such upload of this path, or not any more.
            UsageError: these are not all the parts, or not what came.
            Unavailable: others are being joined.
            IntegrityError: a part is damaged or lost.
            PermissionRefused, UsageError, NoSpace: as `SqlFiles.put`; the parts stay.
        """
        with self._turn():
            with self._database.view() as connection:
                upload = _found(connection.execute(_UPLOAD, self._alive(id_)).one_or_none(), path)
                parts = connection.execute(_PARTS, {"upload": id_}).all()
            if upload.digest is not None:
                return
            _require_all(upload, parts, said)
            with suppress(_WholeBefore):
                self._files.put(path, self._pieces(parts), sum(part.bytes for part in parts), partial(_end, id_))

    def abort(self, id_: str, path: str) -> None:
        """Forget the upload of this path, where there is one that is not whole; the bytes of its parts stay for now."""

        def once() -> None:
            with self._database.change() as connection:
                row = connection.execute(_UPLOAD.with_for_update(), self._alive(id_)).one_or_none()
                if row is not None and row.path == path and row.digest is None:
                    connection.execute(_DROP_PARTS, {"of": id_})
                    connection.execute(_DROP, {"of": id_})

        insisted(once)

    def forget(self) -> None:
        """Forget the uploads that are too old."""

        def once() -> None:
            with self._database.change() as connection:
                _forget(connection, self._clock())

        insisted(once)

    def named(self) -> Iterator[tuple[str, Digest]]:
        """What parts need of the store, each with what the file will belong to; those of old uploads need nothing."""
        place = {"upload": "", "number": 0}
        while True:
            with self._database.read() as connection:
                rows = connection.execute(_ALIVE, {**place, "before": _before(self._clock())}).all()
            yield from ((f"upload to {owner_of(row.path)}", Digest.parse(row.digest)) for row in rows)
            if len(rows) < _ROWS:
                return
            place = {"upload": rows[-1].upload, "number": rows[-1].number}

    def fingerprint(self) -> object:
        """Changes when a part comes to need bytes that none needed before."""
        with self._database.read() as connection:
            return tuple(connection.execute(_FINGERPRINT).one())

    def _alive(self, id_: str) -> dict[str, Any]:
        return {"id": id_, "after": self._clock() - AGE_MS_MAX}

    def _note(self, id_: str, part: dict[str, Any]) -> None:
        """Write down what came, unless the upload came to an end meanwhile, which it cannot before this is done."""

        def once() -> None:
            with self._database.change() as connection:
                upload = _found(connection.execute(_UPLOAD.with_for_update(), self._alive(id_)).one_or_none())
                if upload.digest is not None:
                    raise NotFound(f"The upload {id_} is whole, and takes no more parts", hint="Begin another.")
                connection.execute(_PART, {**part, "upload": id_, "now": self._clock()})

        insisted(once)

    def _pieces(self, parts: Sequence[Row[*tuple[Any, ...]]]) -> Iterator[bytes]:
        for part in parts:
            try:
                yield from self._store.pieces(Digest.parse(part.digest))
            except NotFound as error:
                raise IntegrityError(
                    f"Part {part.number} came, and the store has lost it",
                    hint="Send the file again.",
                    expected=part.digest,
                    found="nothing",
                ) from error

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with ExitStack() as turns:
            for turn, seconds in ((self._here, 0.0), (self._joining, _TURN_SECONDS)):
                if not turn.acquire(timeout=seconds):
                    raise Unavailable("Other files are being put together", hint="Ask again in a moment.")
                turns.callback(turn.release)
            yield


class _WholeBefore(Exception):
    """The upload became its file while it was joined once more; this only leaves the transaction of the name."""


def _end(id_: str, connection: Connection, made: FileName) -> None:
    """Write down that the upload became its file, unless that was done, or it was aborted, since joining began."""
    row = connection.execute(_BY_ID.with_for_update(), {"id": id_}).one_or_none()
    if _found(row).digest is not None:
        raise _WholeBefore
    connection.execute(_BECAME, {"of": id_, "became": str(made.digest)})
    connection.execute(_DROP_PARTS, {"of": id_})


def _found(row: Row[*tuple[Any, ...]] | None, path: str | None = None) -> Upload:
    if row is None or path not in {None, row.path}:
        raise NotFound(
            "There is no such upload: it was aborted, or never begun, or is more than a day old",
            hint="Begin another.",
        )
    return Upload(row.id, row.path, row.parts, None if row.digest is None else Digest.parse(row.digest))


def _before(now: int) -> int:
    """What was begun before this is needed by nobody."""
    return now - AGE_MS_MAX - _SPARED_MS


def _forget(connection: Connection, now: int) -> None:
    for statement in (_FORGET_PARTS, _FORGET):
        connection.execute(statement, {"before": _before(now)})


def _require_all(upload: Upload, parts: Sequence[Row[*tuple[Any, ...]]], said: Sequence[tuple[int, str]]) -> None:
    wanted, came = range(1, upload.parts + 1), {part.number: part.digest for part in parts}
    if [number for number, _ in said] != list(wanted):
        raise UsageError(f"Not the parts 1 to {upload.parts} in their order are named", hint="Name each once.")
    missing = [number for number in wanted if number not in came]
    if missing:
        raise UsageError(f"Part {missing[0]} of {upload.parts} never came", hint="Send it.", part=missing[0])
    wrong = [number for number, one in said if came[number] != one]
    if wrong:
        raise UsageError(f"What is said of part {wrong[0]} is not what came", hint="Send it again.", part=wrong[0])


def _bounded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    count = 0
    for piece in pieces:
        count += len(piece)
        _refuse_long(count)
        yield piece


def _refuse_long(size: int) -> None:
    if size > PART_BYTES_MAX:
        raise TooLarge(f"A part has at most {PART_BYTES_MAX} bytes", hint="Send smaller ones.", limit=PART_BYTES_MAX)
