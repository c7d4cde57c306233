"""Names of files that belong to what was deleted: which go, when, and which never do; on a database of each kind."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.errors import NotFound
from holdfast.experiments.experiments import SqlExperiments
from holdfast.experiments.files import SqlFiles, now_ms
from holdfast.experiments.lapsed import Lapsed, SqlLapsed
from holdfast.experiments.logged import ModelStatus, NewLoggedModel, SqlLoggedModels
from holdfast.experiments.names import SqlNames
from holdfast.experiments.registered import NewRegistered
from holdfast.experiments.runs import SqlRuns
from holdfast.experiments.tables import experiments, logged_models
from holdfast.experiments.version_words import SqlVersionWords
from holdfast.names import ModelName
from holdfast.registry import NewVersion
from holdfast.registry.sql import SqlRegistry
from holdfast.store.local import LocalStore
from tests.experiments.conftest import moment

CHURN = ModelName("churn")
DAY = timedelta(days=1)
MONTH = 30 * DAY
DELETED_MS = int(moment().timestamp() * 1000)
DUE_MS = DELETED_MS + MONTH // timedelta(milliseconds=1)
"""When a month has gone since everything was deleted, for everything happens at one moment."""


class Room:
    """An experiment whose runs and logged models have files."""

    def __init__(self, database: Database, store: LocalStore, made: SqlExperiments, logged_runs: SqlRuns) -> None:
        self.made, self.runs = made, logged_runs
        self.files = SqlFiles(database, store, clock=lambda: DELETED_MS)
        self.models = SqlLoggedModels(database, moment, lambda: "1", made.require_default)
        self.registry = SqlRegistry(database, moment, lambda: "unused")
        self.names, self.words = SqlNames(database, moment), SqlVersionWords(database, moment)
        self.due, self.early = SqlLapsed(database, lambda: DUE_MS), SqlLapsed(database, lambda: DUE_MS - 1)
        self.experiment = made.create("churn", "ana")

    def run(self, *names: str) -> str:
        run = str(self.runs.create(self.experiment, "ana", 5)["info"]["run_id"])
        for name in names:
            self.files.put(f"{self.experiment}/{run}/artifacts/{name}", [name.encode()])
        return run

    def paths(self) -> list[str]:
        return [file.path.partition("/")[2] for file in self.files.below("")]

    def register(self, folder: str, run: str | None = None) -> None:
        """Version 1 of `churn`, which the files of a folder are."""
        self.names.create("churn", "ana")
        number = self.registry.register(NewVersion(CHURN, hash_bytes(b"one"), complete=True), "ana").number
        self.files.freeze(folder, "They are a version.")
        self.words.keep(NewRegistered(CHURN, number, "x", folder, run), "ana")


@pytest.fixture
def room(anywhere: Database, store: LocalStore, made: SqlExperiments, logged_runs: SqlRuns) -> Room:
    return Room(anywhere, store, made, logged_runs)


def test_files_of_a_deleted_run_lose_their_names_after_the_time_and_the_run_stays(room: Room) -> None:
    run, other = room.run("a", "b/c"), room.run("d")
    assert room.due.lapsed(MONTH) == []
    room.runs.delete(run)
    assert room.early.lapsed(MONTH) == room.early.free(MONTH) == []
    told = [Lapsed(f"run {run}", 2, 4)]
    assert room.due.lapsed(MONTH) == told
    assert room.paths() == [f"{run}/artifacts/a", f"{run}/artifacts/b/c", f"{other}/artifacts/d"]
    assert room.due.free(MONTH) == told
    assert room.paths() == [f"{other}/artifacts/d"]
    assert room.due.lapsed(MONTH) == room.due.free(MONTH) == []
    room.runs.restore(run)
    assert room.runs.get(run)["info"]["lifecycle_stage"] == "active"


def test_what_was_restored_keeps_its_files(room: Room) -> None:
    run = room.run("a")
    room.runs.delete(run)
    room.runs.restore(run)
    assert room.due.free(MONTH) == []
    assert room.paths() == [f"{run}/artifacts/a"]


def test_a_deleted_experiment_takes_its_runs_and_its_logged_models_along(room: Room) -> None:
    room.run("a")
    model = room.models.create(NewLoggedModel(room.experiment, "m"), "ana").id
    room.files.put(f"{room.experiment}/models/{model}/artifacts/MLmodel", [b"x"])
    room.models.finalise(model, ModelStatus.READY)
    room.made.delete(room.experiment)
    assert [one.what.split()[0] for one in room.due.free(MONTH)] == ["run", "logged"]
    assert room.paths() == []


def test_what_a_registered_version_is_made_of_keeps_its_names_until_that_is_deleted_too(room: Room) -> None:
    run = room.run("model/MLmodel", "model/weights", "model2/x", "model.txt")
    room.register(f"{room.experiment}/{run}/artifacts/model", run)
    room.runs.delete(run)
    assert room.due.free(MONTH) == [Lapsed(f"run {run}", 2, len("model2/x") + len("model.txt"))]
    assert room.paths() == [f"{run}/artifacts/model/MLmodel", f"{run}/artifacts/model/weights"]
    room.words.withdraw("churn", 1, "ana")
    assert room.early.free(MONTH) == []
    assert [one.files for one in room.due.free(MONTH)] == [2]
    with pytest.raises(NotFound):
        room.files.find(f"{room.experiment}/{run}/artifacts/model/MLmodel")


def test_what_is_about_to_become_a_version_keeps_its_names(room: Room, anywhere: Database, store: LocalStore) -> None:
    run = room.run("model/MLmodel", "notes")
    folder = f"{room.experiment}/{run}/artifacts/model"
    room.files.freeze(folder, "It is ready.")
    room.runs.delete(run)
    SqlFiles(database=anywhere, store=store, clock=lambda: DUE_MS).freeze(folder, "It is a version.")
    assert room.due.free(MONTH) == [Lapsed(f"run {run}", 1, len("notes"))]
    assert room.paths() == [f"{run}/artifacts/model/MLmodel"]
    late = SqlLapsed(anywhere, lambda: DUE_MS + MONTH // timedelta(milliseconds=1))
    assert [one.files for one in late.free(MONTH)] == [1]


def test_a_version_that_is_a_whole_folder_of_a_deleted_run_keeps_all_of_it(room: Room) -> None:
    run = room.run("MLmodel", "weights")
    room.register(f"{room.experiment}/{run}/artifacts")
    room.runs.delete(run)
    assert room.due.lapsed(MONTH) == room.due.free(MONTH) == []
    assert len(room.paths()) == 2


@pytest.mark.thorough
def test_a_run_may_have_become_any_number_of_versions(room: Room, anywhere: Database) -> None:
    run = room.run("notes", *(f"{nth}/MLmodel" for nth in range(600)))
    room.names.create("churn", "ana")
    for nth in range(600):
        number = room.registry.register(NewVersion(CHURN, hash_bytes(str(nth).encode()), complete=True), "ana").number
        place = f"{room.experiment}/{run}/artifacts/{nth}"
        room.words.keep(NewRegistered(CHURN, number, "x", place, run), "ana")
    room.runs.delete(run)
    assert room.due.lapsed(MONTH) == room.due.free(MONTH) == [Lapsed(f"run {run}", 1, len("notes"))]
    assert len(room.paths()) == 600


def test_what_was_deleted_and_has_its_files_elsewhere_is_passed_over(room: Room, made: SqlExperiments) -> None:
    room.experiment = made.create("elsewhere", "ana", "s3://bucket/x")
    room.runs.delete(room.run())
    room.models.delete(room.models.create(NewLoggedModel(room.experiment, "m"), "ana").id)
    assert room.due.free(MONTH) == []


def test_an_experiment_inside_of_what_was_deleted_keeps_its_files(room: Room, made: SqlExperiments) -> None:
    run, theirs = room.run("a", "b/c"), room.experiment
    room.experiment = made.create("inside", "ana", f"mlflow-artifacts:/{theirs}/{run}/artifacts/b")
    inner = str(room.runs.create(room.experiment, "ana", 5)["info"]["run_id"])
    path = f"{theirs}/{run}/artifacts/b/{inner}/artifacts/d"
    room.files.put(path, [b"d"])
    room.runs.delete(run)
    assert [one.files for one in room.due.free(MONTH)] == [1]
    assert room.files.find(path).bytes == 1
    room.runs.delete(inner)
    assert [one.files for one in room.due.free(MONTH)] == [1]


@pytest.mark.parametrize("place", ["mlflow-artifacts:/{}?a=", "mlflow-artifacts:/{}?", "", "mlflow-artifacts:/.."])
def test_a_place_that_is_none_takes_no_file_of_others_and_keeps_nobody_waiting(
    room: Room, anywhere: Database, made: SqlExperiments, place: str
) -> None:
    kept, gone, theirs = room.run("kept"), room.run("gone"), room.experiment
    room.experiment = made.create("odd", "ben")
    odd, model = room.run(), room.models.create(NewLoggedModel(room.experiment, "m"), "ben").id
    at = place.format(theirs)
    with anywhere.change() as connection:  # as it could be named once
        of = experiments.c.id == int(room.experiment)
        connection.execute(update(experiments).where(of).values(place=at))
        connection.execute(update(logged_models).values(place=f"{at}/models/{model}/artifacts"))
    room.runs.delete(odd)
    room.models.delete(model)
    room.runs.delete(gone)
    assert room.due.free(MONTH) == [Lapsed(f"run {gone}", 1, 4)]
    assert room.paths() == [f"{kept}/artifacts/kept"]


def test_no_moment_of_now_is_long_ago(room: Room, anywhere: Database) -> None:
    run = room.run("a")
    room.runs.delete(run)
    assert SqlLapsed(anywhere, lambda: DELETED_MS).lapsed(DAY) == []
    assert len(SqlLapsed(anywhere, now_ms).lapsed(timedelta())) == 1
