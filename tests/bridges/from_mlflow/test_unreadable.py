"""Files that may not be read stay behind and are told; all else comes, and no version is made without them."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast.bridges.from_mlflow.bringing import bring
from holdfast.bridges.from_mlflow.database import DatabaseSource
from holdfast.bridges.from_mlflow.folder import FolderSource
from holdfast.bridges.from_mlflow.target import Moved, Target
from holdfast.errors import PermissionRefused
from holdfast.experiments.files import SqlFiles


@contextmanager
def closed(owner: Any, question: str, name: str, reason: int = errno.EACCES) -> Iterator[None]:
    """The machine refuses an answer about all of this name, as it does to everybody but its administrator."""
    whole = getattr(owner, question)

    def ask(path: Any, *more: Any, **named: Any) -> Any:
        if not isinstance(path, int) and Path(path).name == name:
            raise OSError(reason, os.strerror(reason), str(path))
        return whole(path, *more, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, question, ask)
        yield


def all_of(database: Path, target: Target, *roots: Path) -> Moved:
    with DatabaseSource(database, more=roots) as source:
        return bring(source, target)


@pytest.fixture
def runs(database: Path, secret: Path) -> Path:
    """A server's database: the files of one run, of which there is a version, are in `private`; it has another run."""
    (secret / "below").mkdir()
    (secret / "below" / "deep").write_text("deep")
    beside = database.parent / "mlruns/1/run2/artifacts"
    beside.mkdir(parents=True)
    (beside / "file").write_text("theirs")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("INSERT INTO runs VALUES ('run2', 1, 'FINISHED', 3, 4, 'ana', ?, 'active')", (str(beside),))
        connection.commit()
    return database


def test_a_folder_that_was_carried_is_found_where_its_old_place_may_not_be_looked_at(root: Path) -> None:
    whole, old = Path.is_dir, Path("/srv/mlruns")

    def is_dir(path: Path) -> bool:
        if path.is_relative_to(old):
            raise PermissionError(errno.EACCES, "Permission denied")
        return whole(path)

    source = FolderSource(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "is_dir", is_dir)
        assert [file.path for file in source.files(str(old / "1/run1/artifacts"))] == ["file"]
        with pytest.raises(PermissionRefused, match="cannot be looked at: Permission denied"):
            list(source.files(str(old / "1/run9/artifacts")))


@pytest.mark.parametrize(
    ("way", "files"),
    [
        pytest.param((Path, "is_dir", "private"), 1, id="the way to the folder"),
        pytest.param((os, "scandir", "private"), 1, id="the folder"),
        pytest.param((os, "scandir", "below"), 1, id="a folder in it"),
        pytest.param((os, "open", "key"), 2, id="a file"),
    ],
)
def test_one_run_that_may_not_be_read_stays_behind_alone_until_it_may(
    runs: Path, secret: Path, target: Target, way: tuple[Any, str, str], files: int
) -> None:
    with closed(*way):
        for count in (2, 0):
            moved = all_of(runs, target, secret)
            assert (moved.runs, moved.files, moved.versions) == (count, files if count else 0, ())
            run, version = moved.left
            assert (run.what.partition(":")[0], version.what) == ("files of run run1", "version 1 of churn")
            assert f"{way[2]}: Permission denied" in run.why.replace(" cannot be looked at", "")
            assert run.why == version.why

    moved = all_of(runs, target, secret)
    assert (moved.there, moved.files, len(moved.versions), moved.left) == (2, 3 - files, 1, ())


def test_a_logged_model_of_which_a_file_may_not_be_read_is_not_frozen_without_it(root: Path, target: Target) -> None:
    files = root / "1/models/m-1/artifacts"
    files.mkdir(parents=True)
    (files.parent / "meta.yaml").write_text("name: it\nstatus: 2\n")
    for name in ("MLmodel", "key"):
        (files / name).write_text(name)
    folder = "1/models/m-1/artifacts"
    with closed(os, "open", "key"):
        for _ in range(2):
            assert [one.what for one in bring(FolderSource(root), target).left] == ["files of logged model m-1: key"]
            assert not target.files.is_frozen(folder)
    assert bring(FolderSource(root), target).left == ()
    assert (len(target.files.below(folder)), target.files.is_frozen(folder)) == (2, True)


def test_a_version_waits_for_its_files_also_where_those_of_a_run_are_asked_for_once(
    runs: Path, secret: Path, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DatabaseSource, "may_come", lambda *_: False)
    with closed(os, "open", "key", errno.ENOENT):
        for _ in range(2):
            moved = all_of(runs, target, secret)
            assert (moved.versions, [one.what for one in moved.left]) == (
                (),
                ["files of run run1: key", "version 1 of churn"],
            )
    assert len(all_of(runs, target, secret).versions) == 1


def test_a_disk_here_that_refuses_ends_the_call(
    runs: Path, secret: Path, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionRefused("no", hint="")

    monkeypatch.setattr(SqlFiles, "put", refuse)
    with pytest.raises(PermissionRefused):
        all_of(runs, target, secret)
    assert not target.imports.has_run("run1")


def test_a_server_that_refuses_ends_the_call_before_the_run_is_here(
    runs: Path, secret: Path, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DatabaseSource, "may_come", lambda *_: False)  # as what a server serves itself
    with closed(os, "scandir", "private"), pytest.raises(PermissionRefused):
        all_of(runs, target, secret)
    assert not target.imports.has_run("run1")
