"""A second call brings what the first one left, and no version is made of what came until then."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.bridges.from_mlflow.bringing import bring
from holdfast.bridges.from_mlflow.database import DatabaseSource
from holdfast.bridges.from_mlflow.folder import FolderSource
from holdfast.bridges.from_mlflow.records import File, Source
from holdfast.bridges.from_mlflow.target import Moved, Target

ARTIFACTS = "1/run1/artifacts"


def ended(source: Source, target: Target) -> None:
    """A call that somebody ends when one file has come."""
    left, whole = iter([1]), source.files

    def some(place: str) -> Iterator[File]:
        for file in whole(place):
            if next(left, None) is None:
                raise KeyboardInterrupt
            yield file

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "files", some)
        with pytest.raises(KeyboardInterrupt):
            bring(source, target)


def all_of(database: Path, target: Target, *roots: Path) -> Moved:
    with DatabaseSource(database, more=roots) as source:
        return bring(source, target)


def changed(database: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(statement, values)
        connection.commit()


def names(target: Target, folder: str) -> list[str]:
    return [file.path.removeprefix(f"{folder}/") for file in target.files.below(folder)]


def test_files_of_a_run_that_came_later_and_were_cut_off_come_the_next_time(
    database: Path, secret: Path, target: Target
) -> None:
    (secret / "MLmodel").write_text("flavors: {}\n")
    assert all_of(database, target).files == 0
    with DatabaseSource(database, more=(secret,)) as source:
        ended(source, target)
    assert len(names(target, ARTIFACTS)) == 1

    unnamed = all_of(database, target)
    assert (unnamed.files, unnamed.versions) == (0, ())
    assert [one.what for one in unnamed.left] == ["files of run run1", "version 1 of churn"]

    again = all_of(database, target, secret)
    assert (again.files, again.left, len(again.versions)) == (1, (), 1)
    assert names(target, ARTIFACTS) == ["MLmodel", "key"]


def test_files_of_a_deleted_run_come_later_too_where_a_version_is_made_of_them(
    database: Path, secret: Path, target: Target
) -> None:
    changed(database, "UPDATE runs SET lifecycle_stage = 'deleted'")
    assert all_of(database, target).versions == ()
    assert len(all_of(database, target, secret).versions) == 1


def test_a_version_that_is_here_is_so_whether_or_not_its_files_can_be_had_again(
    database: Path, secret: Path, target: Target
) -> None:
    first = all_of(database, target, secret)
    again = all_of(database, target)
    assert (again.files, again.left, again.versions) == (0, (), first.versions)
    assert len(first.versions) == 1


def test_files_of_a_ready_logged_model_that_were_cut_off_come_and_stay_as_they_are(
    root: Path, secret: Path, target: Target
) -> None:
    (root / "1/run1/artifacts/file").unlink()
    model = root / "1/models/m-1"
    model.mkdir(parents=True)
    (model / "meta.yaml").write_text("name: it\nstatus: 2\n")
    (model / "artifacts").symlink_to(secret)
    (secret / "MLmodel").write_text("flavors: {}\n")
    folder = "1/models/m-1/artifacts"
    bring(FolderSource(root), target)
    ended(FolderSource(root, more=(secret,)), target)
    assert (len(names(target, folder)), target.files.is_frozen(folder)) == (1, False)

    assert bring(FolderSource(root, more=(secret,)), target).files == 1
    assert (names(target, folder), target.files.is_frozen(folder)) == (["MLmodel", "key"], True)


def test_files_of_a_version_of_no_run_that_were_cut_off_come_before_it_is_made(
    database: Path, secret: Path, target: Target
) -> None:
    changed(database, "UPDATE runs SET artifact_uri = '/elsewhere'")
    (secret / "MLmodel").write_text("flavors: {}\n")
    with DatabaseSource(database, more=(secret,)) as source:
        ended(source, target)
    assert len(names(target, "0/brought/churn/1")) == 1
    again = all_of(database, target, secret)
    assert (again.files, len(again.versions)) == (1, 1)
    assert names(target, "0/brought/churn/1") == ["MLmodel", "key"]


def test_a_file_that_came_to_a_version_there_is_told_and_all_else_comes(
    database: Path, secret: Path, target: Target
) -> None:
    (secret / "model").mkdir()
    (secret / "model/MLmodel").write_text("flavors: {}\n")
    changed(database, "UPDATE model_versions SET source = source || '/model'")
    assert len(all_of(database, target, secret).versions) == 1
    (secret / "model/late").write_text("late")
    (secret / "zeal").write_text("late")
    again = all_of(database, target, secret)
    assert (again.files, names(target, ARTIFACTS)) == (1, ["key", "model/MLmodel", "zeal"])
    (left,) = again.left
    assert left.what == "files of run run1: model/late"
    assert left.why == "The files of churn, version 1, are immutable."
