"""Names of files over the store: who gives a name other bytes, what is frozen, what a folder has."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from sqlalchemy import func, select, update

from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.errors import IntegrityError, NotFound, PermissionRefused, UsageError, WrongBytes
from holdfast.experiments import files as module
from holdfast.experiments.files import Listed, SqlFiles, freeze_files
from holdfast.experiments.tables import waiting_files
from holdfast.experiments.waiting import WAITING_BYTES_MAX
from holdfast.store.local import LocalStore
from tests.patience import PATIENCE_SECONDS

LARGE = WAITING_BYTES_MAX + 1
MODEL = "3/models/m-1/artifacts"
WHY = "The files of registered version churn v3 are immutable; log a new model instead."


@pytest.fixture
def database(anywhere: Database) -> Database:
    return anywhere


def put(files: SqlFiles, *paths: str) -> None:
    for path in paths:
        files.put(path, [path.encode()])


def test_what_was_put_is_found_and_read(files: SqlFiles) -> None:
    made = files.put(f"{MODEL}/MLmodel", iter([b"fla", b"vors"]), 7)
    assert made == (f"{MODEL}/MLmodel", hash_bytes(b"flavors"), 7)
    assert files.find(f"{MODEL}/MLmodel") == made
    assert files.read(f"{MODEL}/MLmodel", bytes_max=7) == b"flavors"


def test_a_name_gets_other_bytes_and_the_bytes_that_it_had_stay(files: SqlFiles, store: LocalStore) -> None:
    first = files.put("3/run/artifacts/a", [b"1" * LARGE])
    assert files.put("3/run/artifacts/a", [b"2" * LARGE]).digest != first.digest
    assert files.read("3/run/artifacts/a", bytes_max=LARGE) == b"2" * LARGE
    assert store.read(first.digest, bytes_max=LARGE) == b"1" * LARGE


def test_what_is_not_there_and_what_is_a_folder_are_told_apart(files: SqlFiles) -> None:
    put(files, f"{MODEL}/data/x")
    with pytest.raises(NotFound, match="No such artifact: '3/models/m-1/artifacts/dat'"):
        files.find(f"{MODEL}/dat")
    with pytest.raises(UsageError, match="refers to a directory, not a file"):
        files.find(f"{MODEL}/data")


def test_a_folder_is_listed_with_what_stands_in_it_alone(files: SqlFiles) -> None:
    put(files, f"{MODEL}/a.txt", f"{MODEL}/a/1", f"{MODEL}/a/2/3", f"{MODEL}/a0", f"{MODEL}/é", f"{MODEL}0/x")
    assert files.listed(MODEL) == [
        Listed("a", None),
        Listed("a.txt", len(MODEL) + 6),
        Listed("a0", len(MODEL) + 3),
        Listed("é", len(MODEL) + 3),
    ]
    assert files.listed("") == [Listed("3", None)]
    assert files.listed(f"{MODEL}/a.txt") == files.listed("nowhere") == []


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_folders_are_passed_over_wherever_a_page_ends(
    files: SqlFiles, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(module, "_ROWS", rows)
    put(files, *(f"r/{name}/{number}" for name in ("a", "b", "b.c") for number in range(4)), "r/a0", "r/b.d", "r/z")
    assert [one.name for one in files.listed("r")] == ["a", "a0", "b", "b.c", "b.d", "z"]
    below = [one.digest for one in files.below("")]
    assert [digest for _, digest in files.named()] == below


def test_all_files_below_a_folder_are_told_with_whole_paths(files: SqlFiles) -> None:
    put(files, f"{MODEL}/b", f"{MODEL}/a/c", "3/models/m-10/artifacts/x")
    assert [one.path for one in files.below(MODEL)] == [f"{MODEL}/a/c", f"{MODEL}/b"]


@pytest.mark.parametrize("path", [MODEL, f"{MODEL}/new", f"{MODEL}/MLmodel", f"{MODEL}/data/new"])
def test_nothing_is_written_at_or_below_what_is_frozen(files: SqlFiles, store: LocalStore, path: str) -> None:
    put(files, f"{MODEL}/MLmodel")
    files.freeze(MODEL, WHY)
    files.freeze(MODEL, "another sentence")
    before, kept = files.below(""), set(store.digests())
    with pytest.raises(PermissionRefused, match=WHY):
        files.put(path, [b"swapped"])
    with pytest.raises(PermissionRefused, match=WHY):
        files.remove(path)
    assert files.is_frozen(path)
    assert files.below("") == before
    assert set(store.digests()) == kept


def test_a_folder_that_has_frozen_ones_is_not_removed_and_others_are(files: SqlFiles) -> None:
    put(files, f"{MODEL}/a", "3/models/m-10/artifacts/x", "3/models/m-10/artifacts/y/z")
    files.freeze(f"{MODEL}/a", WHY)
    with pytest.raises(PermissionRefused, match=WHY):
        files.remove("3")
    assert files.remove("3/models/m-10") == 2
    assert files.remove("3/models/m-10") == 0
    assert [one.path for one in files.below("")] == [f"{MODEL}/a"]
    assert not files.is_frozen("3/models/m-10")


def test_what_is_frozen_while_the_bytes_come_refuses_them(files: SqlFiles) -> None:
    def coming() -> Iterator[bytes]:
        yield b"1"
        files.freeze(MODEL, WHY)

    with pytest.raises(PermissionRefused, match=WHY):
        files.put(f"{MODEL}/a", coming())
    assert files.below(MODEL) == []


def test_no_name_is_both_a_file_and_a_folder(files: SqlFiles) -> None:
    put(files, "3/a/b")
    with pytest.raises(UsageError, match="'3/a' is a directory, not a file"):
        put(files, "3/a")
    with pytest.raises(UsageError, match="'3/a/b' is a file, not a directory"):
        put(files, "3/a/b/c/d")


@pytest.mark.parametrize("size", [0, 2, LARGE + 1])
@pytest.mark.parametrize("data", [b"abc", b"x" * LARGE])
def test_fewer_or_more_bytes_than_were_said_leave_nothing(
    files: SqlFiles, store: LocalStore, data: bytes, size: int
) -> None:
    with pytest.raises(WrongBytes, match=f"{len(data)} bytes of {size} came"):
        files.put("3/a", [data], size)
    assert (files.below(""), list(store.digests())) == ([], [])


def test_bytes_that_break_off_leave_the_name_as_it_was(files: SqlFiles, store: LocalStore) -> None:
    put(files, "3/a")
    before, kept = files.below(""), list(store.digests())

    def broken() -> Iterator[bytes]:
        yield b"x" * (9 << 20)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        files.put("3/a", broken())
    assert (files.below(""), list(store.digests())) == (before, kept)


def waiting(database: Database) -> int:
    with database.read() as connection:
        return int(connection.scalar(select(func.count()).select_from(waiting_files)) or 0)


def test_small_files_go_into_the_store_together_when_they_are_needed(
    files: SqlFiles, store: LocalStore, database: Database
) -> None:
    put(files, f"{MODEL}/a", f"{MODEL}/b", f"{MODEL}/d/c", "3/run/artifacts/x")
    assert (waiting(database), list(store.digests()), list(files.named())) == (4, [], [])
    names = files.below(MODEL)
    assert {one.digest for one in names} == set(store.digests()) == {digest for _, digest in files.named()}
    assert waiting(database) == 1
    assert len(list((store.root / "packs").glob("*/*"))) == 1
    assert files.read(f"{MODEL}/a", bytes_max=99) == files.data(names[0], bytes_max=99) == f"{MODEL}/a".encode()
    put(files, f"{MODEL}/a")
    assert files.below(MODEL) == names


def test_small_files_do_not_wait_for_ever(
    files: SqlFiles, store: LocalStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SETTLED_AFTER", 3)
    put(files, "a", "b")
    files.remove("a")
    later = SqlFiles(database, store, clock=lambda: module.now_ms() + 3_600_001)
    put(later, "c", "d", "e")
    assert waiting(database) == 0
    assert set(store.digests()) == {hash_bytes(name.encode()) for name in "bcde"}


def test_a_small_file_that_is_damaged_is_not_given_out_nor_kept_on(files: SqlFiles, database: Database) -> None:
    put(files, "a")
    with database.change() as connection:
        connection.execute(update(waiting_files).values(data="Yg=="))
    for act in (lambda: files.read("a", bytes_max=9), lambda: files.below("")):
        with pytest.raises(IntegrityError, match="damaged in the database"):
            act()


def test_the_root_is_no_file(files: SqlFiles) -> None:
    for act in (lambda: files.put("", [b""]), lambda: files.remove(""), lambda: files.freeze("", WHY)):
        with pytest.raises(UsageError, match="must include a filename"):
            act()


@pytest.mark.parametrize("folder", ["3/run/artifacts/model", "3/run"])
@pytest.mark.parametrize("removed", ["3", "3/run", "3/run/artifacts/model/MLmodel"])
def test_whoever_removes_a_file_waits_for_who_is_freezing_a_folder_around_it(
    files: SqlFiles, database: Database, folder: str, removed: str
) -> None:
    put(files, "3/run/artifacts/model/MLmodel")
    with ThreadPoolExecutor(1) as pool:
        with database.change() as connection:
            freeze_files(connection, folder, WHY, 1)
            removing = pool.submit(files.remove, removed)
            wait([removing], timeout=0.5)  # long enough for what would not wait
        with pytest.raises(PermissionRefused, match="immutable"):
            removing.result(PATIENCE_SECONDS)
    assert files.find("3/run/artifacts/model/MLmodel")
