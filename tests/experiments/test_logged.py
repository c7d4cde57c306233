"""Logged models, inputs of runs and traces on both kinds of database."""

import itertools
import math
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from holdfast.database.engine import Database
from holdfast.errors import NotFound, PermissionRefused, TooLarge, UsageError
from holdfast.experiments.inputs import CONTEXT, Dataset, DatasetSeen, SqlInputs
from holdfast.experiments.logged import LoggedModel, ModelStatus, NewLoggedModel, SqlLoggedModels
from holdfast.experiments.logged_metrics import ModelPoint, add_points
from holdfast.experiments.logged_search import LoggedModelSearch, ModelOrder, search_models
from holdfast.experiments.tables import experiments
from holdfast.experiments.trace_search import TraceSearch, search_traces
from holdfast.experiments.traces import HERE, SPANS_PLACE, NewTrace, Span, SqlTraces
from holdfast.tracking.tables import runs

MOMENT = "2026-03-01T09:00:00.000000Z"


class Room:
    """A database with an experiment and a run in it."""

    def __init__(self, database: Database) -> None:
        ids = (f"{number:032x}" for number in itertools.count(1))
        ticks = itertools.count(1)
        self.database = database
        self.models = SqlLoggedModels(
            database, lambda: datetime.fromtimestamp(next(ticks), UTC), lambda: next(ids), lambda: None
        )
        self.inputs = SqlInputs(database, lambda: next(ids))
        self.traces = SqlTraces(database, lambda: None)
        moments = {"created_by": "ana", "created_ms": 1, "updated_ms": 1}
        run = {"id": "r1", "name": "r1", "status": "running", "started_at": MOMENT, "actor": "ana", "notes": ""}
        with database.change() as connection:
            connection.execute(insert(experiments), {"id": 7, "name": "e", "place": "mlflow-artifacts:/7", **moments})
            connection.execute(insert(runs), {**run, "experiment": 7})

    def model(self, name: str, **params: str) -> LoggedModel:
        return self.models.create(NewLoggedModel("7", name, params=[*params.items()]), "ana")

    def measure(self, model: LoggedModel, *values: float, dataset: str = "") -> None:
        points = [ModelPoint(model.id, "auc", value, step, step, "r1", dataset) for step, value in enumerate(values)]
        with self.database.change() as connection:
            add_points(connection, "r1", points)

    def found(self, filter_: str = "", *orders: ModelOrder, datasets: tuple[tuple[str, str], ...] = ()) -> list[str]:
        asked = LoggedModelSearch([7], filter_, datasets, orders)
        return [model.name for model in search_models(self.database, asked)]


@pytest.fixture
def room(anywhere: Database) -> Room:
    return Room(anywhere)


@pytest.mark.thorough
def test_models_are_found_by_their_words_and_by_what_was_last_measured(room: Room) -> None:
    good, bad = room.model("good", lr="0.1"), room.model("bad", lr="0.2")
    none = room.model("none")
    room.measure(good, 0.5, 0.9)
    room.measure(bad, 0.8, math.nan, dataset="test")
    room.measure(bad, 0.8, math.nan, dataset="test")
    room.models.set_tags(none.id, [("team", "Risk"), ("team", "risk")])
    by_auc = ModelOrder("metrics.auc", ascending=False)
    assert room.found() == ["none", "bad", "good"]
    assert room.found("", by_auc) == ["good", "none", "bad"]
    assert room.found("", ModelOrder("name")) == ["bad", "good", "none"]
    assert room.found("metrics.auc > 0.85") == ["good"]
    assert room.found("", datasets=(("test", ""),)) == ["bad"]
    assert room.found("params.lr LIKE '0._' and name != 'bad'") == ["good"]
    assert room.found("tags.team = 'risk'") == ["none"]
    assert room.found("name LIKE 'G%'") == []
    assert room.found("name ILIKE 'G%'") == ["good"]
    assert len(room.models.get(bad.id).points) == 2


def test_a_point_of_a_model_that_nobody_logged_is_refused(room: Room) -> None:
    with pytest.raises(NotFound, match="Logged model with ID 'm-0' not found"), room.database.change() as connection:
        add_points(connection, "r1", [ModelPoint("m-0", "auc", 1.0, 1, 1, "r1")])


def test_what_is_ready_stays_so(room: Room) -> None:
    model = room.model("m", lr="1")
    room.models.add_params(model.id, [("depth", "3")])
    with pytest.raises(UsageError, match="already logged with value='1' for model ID="):
        room.models.add_params(model.id, [("lr", "2")])
    room.models.finalise(model.id, ModelStatus.UPLOAD_FAILED)
    ready = room.models.finalise(model.id, ModelStatus.READY)
    assert room.models.finalise(model.id, ModelStatus.READY) == ready
    with pytest.raises(PermissionRefused):
        room.models.finalise(model.id, ModelStatus.PENDING)
    with pytest.raises(PermissionRefused):
        room.models.add_params(model.id, [("late", "1")])
    assert room.models.get(model.id).params == {"lr": "1", "depth": "3"}


def test_inputs_said_again_change_nothing(room: Room) -> None:
    seen = DatasetSeen(Dataset("train", "d1", "local", "{}"), [(CONTEXT, "training")])
    for _ in range(2):
        room.inputs.log_inputs("r1", [seen, seen], ["m-1"])
        room.inputs.log_outputs("r1", [("m-2", 3)])
        room.inputs.record_model("r1", {"artifact_path": "model"})
    extras = room.inputs.of_run("r1")
    assert [(one.dataset.name, list(one.tags)) for one in extras.datasets] == [("train", [(CONTEXT, "training")])]
    assert (extras.models_read, extras.models_made) == (["m-1"], [("m-2", 3)])
    assert [(one.name, one.context) for one in room.inputs.search([7, 8])] == [("train", "training")]


def test_traces_are_told_by_words_and_spans_and_searched_by_both(room: Room) -> None:
    written = {"span_id": "AQ==", "name": 'naïve "\0\ud800"', "start_time_unix_nano": 5_000_000}
    span = Span("tr-1", "01", None, 5_000_000, 9_000_000, failed=True, written=written, words={"request_preview": "q"})
    room.traces.add_spans("7", [span, span])
    guessed = room.traces.get("tr-1", spans=True)
    assert (guessed.began_ms, guessed.lasted_ms, guessed.state) == (5, 4, "ERROR")
    assert [one["name"] for one in guessed.spans] == ['naïve "\ufffd?"']
    words = {"trace_metadata": {"mlflow.sourceRun": "r1", "odd'key": "\0x"}}
    told = room.traces.start(NewTrace("tr-1", "7", 6, None, "OK", words, {"topic": "hot"}))
    assert told == room.traces.start(NewTrace("tr-1", "7", 6, None, "OK", words, {"topic": "hot"}))
    assert (told.began_ms, told.lasted_ms, told.state, told.run) == (6, None, "OK", "r1")
    assert (told.words["request_preview"], told.tags[SPANS_PLACE]) == ("q", HERE)
    room.traces.start(NewTrace("tr-2", "7", 8, 1, "OK", {}, {}))
    with pytest.raises(TooLarge, match="and may have 1048576"):
        room.traces.start(NewTrace("tr-2", "7", 8, 1, "OK", {"response_preview": "x" * (1 << 20)}, {}))
    with pytest.raises(UsageError, match="cannot be kept as JSON"):
        room.traces.start(NewTrace("tr-2", "7", 8, 1, "OK", {"assessments": [{"value": math.nan}]}, {}))

    def found(filter_: str, *orders: str) -> list[str]:
        return [one.id for one in search_traces(room.database, TraceSearch([7], filter_, orders))]

    assert found("metadata.`mlflow.sourceRun` = 'r1'") == ["tr-1"]
    assert found("metadata.`odd'key` LIKE '%x'") == ["tr-1"]
    assert found("run_id = 'r1'") == ["tr-1"]
    assert found("metadata.none IS NULL and tags.topic IS NULL") == ["tr-2"]
    assert found("text LIKE '%naïve%'") == ["tr-1"]
    with pytest.raises(UsageError, match="A pattern of LIKE has at most 10000 characters"):
        found(f"text LIKE '{'%' * 10_001}'")
    assert found("", "execution_time_ms ASC", "request_id DESC") == ["tr-2", "tr-1"]
    assert room.traces.delete(7, [], 6, None) == 1
    assert found("") == ["tr-2"]
