"""Files that come in parts: joined from what came in this upload and nothing else, and held as long as that lasts."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from holdfast.database.engine import Database
from holdfast.database.insisting import UNKNOWN
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import IntegrityError, NotFound, PermissionRefused, TooLarge, Unavailable, UsageError, WrongBytes
from holdfast.experiments import uploads as module
from holdfast.experiments.files import SqlFiles
from holdfast.experiments.tables import file_parts, file_uploads
from holdfast.experiments.uploads import AGE_MS_MAX, OPEN_MAX, PARTS_MAX, SqlUploads
from holdfast.store.local import LocalStore
from tests.store.spoiling import spoil

PATH = "3/run/artifacts/weights.bin"
PIECE = bytes(range(256)) * 1024


class Clock:
    """A moment that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_772_355_600_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(anywhere: Database) -> Database:
    return anywhere


@pytest.fixture
def uploads(database: Database, store: LocalStore, files: SqlFiles, clock: Clock) -> SqlUploads:
    return SqlUploads(database, store, files, clock=clock)


def rows(database: Database) -> list[int]:
    with database.read() as connection:
        return [
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (file_uploads, file_parts)
        ]


def sent(uploads: SqlUploads, *parts: bytes) -> tuple[str, list[tuple[int, str]]]:
    """An upload all of whose parts came; its id, and what its client says of them."""
    id_ = uploads.begin(PATH, len(parts), "ana").id
    return id_, [(number, str(uploads.put(id_, number, [part]))) for number, part in enumerate(parts, 1)]


def test_parts_that_come_at_once_and_in_any_order_become_the_file(
    uploads: SqlUploads, files: SqlFiles, database: Database
) -> None:
    parts = [PIECE + bytes([number]) for number in range(8)]
    id_ = uploads.begin(PATH, len(parts), "ana").id
    with ThreadPoolExecutor(4) as pool:
        came = list(pool.map(lambda number: uploads.put(id_, number, [parts[number - 1]]), range(8, 0, -1)))
    said = [(number, str(one)) for number, one in zip(range(8, 0, -1), came, strict=True)]
    uploads.complete(id_, PATH, sorted(said))
    whole = b"".join(parts)
    assert files.find(PATH) == (PATH, hash_bytes(whole), len(whole))
    assert files.read(PATH, bytes_max=len(whole)) == whole
    assert rows(database) == [1, 0]
    assert not list(uploads.named())


@pytest.mark.parametrize("edges", [[0], [0, 5], [0, 3, 5], [0, 1, 2, 3, 4, 5], [0, 0, 5, 5]])
def test_wherever_a_file_is_cut_it_is_the_same_file(uploads: SqlUploads, files: SqlFiles, edges: list[int]) -> None:
    data = b"whole"[: edges[-1]]
    id_, said = sent(uploads, *(data[begin:end] for begin, end in pairwise(edges)))
    uploads.complete(id_, PATH, said)
    assert files.read(PATH, bytes_max=5) == data


def test_an_upload_is_begun_and_joined_once_though_the_answers_to_all_commits_are_lost(
    uploads: SqlUploads, files: SqlFiles, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[str] = []
    change = Database.change

    @contextmanager
    def losing(self: Database) -> Iterator[Connection]:
        with change(self) as connection:
            yield connection
        commits.append("made")
        if len(commits) % 2:
            raise Unavailable("the answer was lost", hint="Ask again.", outcome=UNKNOWN)

    monkeypatch.setattr(Database, "change", losing)
    monkeypatch.setattr(module, "OPEN_MAX", 1)
    id_, said = sent(uploads, b"one", b"two")
    uploads.complete(id_, PATH, said)
    assert files.read(PATH, bytes_max=6) == b"onetwo"
    assert rows(database) == [1, 0]


def test_a_second_process_goes_on_where_the_first_one_ended(
    uploads: SqlUploads, database: Database, files: SqlFiles, tmp_path: Path, clock: Clock
) -> None:
    id_ = uploads.begin(PATH, 2, "ana").id
    first = uploads.put(id_, 1, [PIECE])
    other = SqlUploads(database, LocalStore(tmp_path / "store"), files, clock=clock)
    second = other.put(id_, 2, [b"end"])
    other.complete(id_, PATH, [(1, str(first)), (2, str(second))])
    assert files.find(PATH).digest == hash_bytes(PIECE + b"end")


def test_completing_again_changes_nothing_and_a_part_that_comes_late_is_refused(
    uploads: SqlUploads, files: SqlFiles, store: LocalStore
) -> None:
    id_, said = sent(uploads, PIECE)
    uploads.complete(id_, PATH, said)
    files.put(PATH, [b"written over"])
    uploads.complete(id_, PATH, said)
    assert files.read(PATH, bytes_max=100) == b"written over"
    with pytest.raises(NotFound, match="is whole, and takes no more parts"):
        uploads.put(id_, 1, [b"late"])
    uploads.abort(id_, PATH)
    assert uploads.find(id_).digest == hash_bytes(PIECE)


def test_nobody_gets_at_bytes_by_their_digest(uploads: SqlUploads, files: SqlFiles) -> None:
    secret = files.put("4/other/artifacts/secret", [PIECE * 2]).digest
    _, theirs = sent(uploads, PIECE + b"theirs")
    id_, _ = sent(uploads, b"mine")
    for digest in (str(secret), theirs[0][1], "", "mine"):
        with pytest.raises(UsageError, match="What is said of part 1 is not what came"):
            uploads.complete(id_, PATH, [(1, digest)])
    with pytest.raises(NotFound, match="No such artifact"):
        files.find(PATH)


@pytest.mark.parametrize("numbers", [[], [1], [2, 1], [1, 1], [1, 2, 3], [0, 1]])
def test_all_parts_are_named_once_and_in_order(uploads: SqlUploads, numbers: list[int]) -> None:
    id_, said = sent(uploads, b"a", b"b")
    digests = dict(said)
    with pytest.raises(UsageError, match="Not the parts 1 to 2 in their order"):
        uploads.complete(id_, PATH, [(number, digests.get(number, "")) for number in numbers])


def test_a_part_that_never_came_is_named_and_one_of_no_number_refused(uploads: SqlUploads) -> None:
    id_ = uploads.begin(PATH, 2, "ana").id
    one = str(uploads.put(id_, 1, [b"a"]))
    with pytest.raises(UsageError, match="Part 2 of 2 never came"):
        uploads.complete(id_, PATH, [(1, one), (2, one)])
    for number in (0, 3):
        with pytest.raises(UsageError, match="parts 1 to 2"):
            uploads.put(id_, number, [b"a"])


def test_a_part_that_comes_again_takes_the_place_of_the_first(uploads: SqlUploads, files: SqlFiles) -> None:
    id_, _ = sent(uploads, b"wrong")
    again = str(uploads.put(id_, 1, [b"right"]))
    uploads.complete(id_, PATH, [(1, again)])
    assert files.read(PATH, bytes_max=5) == b"right"


def test_what_breaks_off_leaves_no_part(uploads: SqlUploads, database: Database, store: LocalStore) -> None:
    id_ = uploads.begin(PATH, 1, "ana").id
    with pytest.raises(WrongBytes, match="3 bytes of 4 came"):
        uploads.put(id_, 1, [b"abc"], 4)
    assert (rows(database), list(store.digests())) == ([1, 0], [])


def test_an_aborted_upload_is_no_more_and_an_unknown_one_is_no_error(uploads: SqlUploads, database: Database) -> None:
    id_, said = sent(uploads, PIECE)
    uploads.abort(id_, "another/path")
    uploads.abort("unknown", PATH)
    assert rows(database) == [1, 1]
    uploads.abort(id_, PATH)
    assert rows(database) == [0, 0]
    for call in (lambda: uploads.put(id_, 1, [b"a"]), lambda: uploads.complete(id_, PATH, said)):
        with pytest.raises(NotFound, match="There is no such upload"):
            call()


def test_what_is_frozen_takes_no_upload_and_one_that_began_before_is_refused_at_its_end(
    uploads: SqlUploads, files: SqlFiles
) -> None:
    id_, said = sent(uploads, PIECE)
    files.freeze("3/run/artifacts", "it is registered")
    with pytest.raises(PermissionRefused, match="it is registered"):
        uploads.begin(PATH, 1, "ana")
    with pytest.raises(PermissionRefused, match="it is registered"):
        uploads.complete(id_, PATH, said)


def test_a_path_below_a_file_or_of_a_folder_takes_no_upload(uploads: SqlUploads, files: SqlFiles) -> None:
    files.put("3/run/artifacts/d/a", [b"a"])
    for path in ("", "3/run/artifacts/d", "3/run/artifacts/d/a/b"):
        with pytest.raises(UsageError):
            uploads.begin(path, 1, "ana")


def test_too_many_of_anything_are_refused(uploads: SqlUploads, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TooLarge, match=str(PARTS_MAX)):
        uploads.begin(PATH, PARTS_MAX + 1, "ana")
    begun = [uploads.begin(PATH, 1, "ana").id for _ in range(OPEN_MAX)]
    with pytest.raises(Unavailable, match="begun and not brought to an end"):
        uploads.begin(PATH, 1, "ana")
    uploads.abort(begun[0], PATH)
    uploads.begin(PATH, 1, "ana")
    monkeypatch.setattr(module, "PART_BYTES_MAX", 3)
    for pieces, size in (([b"ab", b"cd"], None), ([b"a"], 4)):
        with pytest.raises(TooLarge, match="at most 3 bytes"):
            uploads.put(begun[1], 1, pieces, size)


def test_a_number_of_parts_that_is_none_is_no_upload(uploads: SqlUploads) -> None:
    with pytest.raises(UsageError, match="no -1 parts"):
        uploads.begin(PATH, -1, "ana")


def test_after_a_day_an_upload_is_forgotten_and_the_next_takes_it_away(
    uploads: SqlUploads, database: Database, clock: Clock
) -> None:
    id_, said = sent(uploads, PIECE)
    assert list(uploads.named()) == [("upload to run run", Digest.parse(said[0][1]))]
    clock.now += AGE_MS_MAX
    with pytest.raises(NotFound, match="more than a day old"):
        uploads.complete(id_, PATH, said)
    assert list(uploads.named())  # it may be on its way still
    clock.now += AGE_MS_MAX
    assert not list(uploads.named())
    uploads.begin("4/another", 1, "ana")
    assert rows(database) == [1, 0]


def test_what_parts_need_is_told_page_by_page(
    uploads: SqlUploads, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    monkeypatch.setattr(module, "_ROWS", 2)
    monkeypatch.setattr(module, "_ALIVE", module._ALIVE.limit(2))
    before = uploads.fingerprint()
    came = [*sent(uploads, b"a", b"b", b"c")[1], *sent(uploads, b"d", b"e", b"f")[1]]
    assert sorted(str(one) for _, one in uploads.named()) == sorted(one for _, one in came)
    assert uploads.fingerprint() != before


def test_a_damaged_part_makes_no_file(uploads: SqlUploads, files: SqlFiles, store: LocalStore) -> None:
    id_, said = sent(uploads, PIECE, PIECE + b"2")
    spoil(store, hash_bytes(PIECE + b"2"), PIECE + b"3")
    with pytest.raises(IntegrityError):
        uploads.complete(id_, PATH, said)
    with pytest.raises(NotFound):
        files.find(PATH)


def test_files_that_are_joined_take_turns(uploads: SqlUploads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TURN_SECONDS", 0.01)
    id_, said = sent(uploads, PIECE)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(uploads, "_joining", BoundedSemaphore(1))
        assert uploads._joining.acquire(timeout=1)
        with pytest.raises(Unavailable, match="Other files are being put together"):
            uploads.complete(id_, PATH, said)
    uploads.complete(id_, PATH, said)


def joined_while(uploads: SqlUploads, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> None:
    """Have something happen once, after the parts were read and before the file has its name."""
    before = uploads._pieces

    def pieces(parts: Any) -> Iterator[bytes]:
        yield from before(parts)
        monkeypatch.undo()
        happens()

    monkeypatch.setattr(uploads, "_pieces", pieces)


def test_what_is_aborted_while_it_is_joined_makes_no_file(
    uploads: SqlUploads, files: SqlFiles, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_, said = sent(uploads, PIECE)
    joined_while(uploads, monkeypatch, lambda: uploads.abort(id_, PATH))
    with pytest.raises(NotFound, match="it was aborted"):
        uploads.complete(id_, PATH, said)
    assert rows(database) == [0, 0]
    with pytest.raises(NotFound, match="No such artifact"):
        files.find(PATH)


@pytest.mark.parametrize("data", [PIECE, b"small"])
def test_of_two_that_complete_it_at_once_the_slower_one_takes_nothing_back(
    uploads: SqlUploads, files: SqlFiles, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    id_, said = sent(uploads, data)

    def others() -> None:
        uploads.complete(id_, PATH, said)
        files.put(PATH, [b"written over"])
        files.freeze("3/run/artifacts", "it is registered")

    joined_while(uploads, monkeypatch, others)
    uploads.complete(id_, PATH, said)
    assert files.read(PATH, bytes_max=100) == b"written over"


def test_only_so_many_wait_to_be_joined(uploads: SqlUploads, monkeypatch: pytest.MonkeyPatch) -> None:
    id_, said = sent(uploads, PIECE)
    monkeypatch.setattr(uploads, "_here", BoundedSemaphore(1))
    with uploads._turn(), pytest.raises(Unavailable, match="Other files are being put together"):
        uploads.complete(id_, PATH, said)
    uploads.complete(id_, PATH, said)


def test_bytes_that_take_the_place_of_as_many_are_seen_whatever_the_clock_says(
    uploads: SqlUploads, files: SqlFiles, clock: Clock
) -> None:
    id_, _ = sent(uploads, b"ab", b"cd")
    files.put("3/run/artifacts/a", [b"ab"])
    named, before = SqlFiles(files._database, files._store, clock=clock), uploads.fingerprint()
    named.put("3/run/artifacts/b", [b"cd"])
    seen = named.fingerprint()
    clock.now -= 5
    uploads.put(id_, 1, [b"ef"])
    named.put("3/run/artifacts/b", [b"ef"])
    assert uploads.fingerprint() != before
    assert named.fingerprint() != seen
