"""Runs of experiments, in a database of each kind."""

import json
import math
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.canonical import JsonObject
from holdfast.database.engine import Database
from holdfast.errors import NotFound, UsageError
from holdfast.experiments.experiments import SqlExperiments
from holdfast.experiments.inputs import CONTEXT, Dataset, DatasetSeen, SqlInputs
from holdfast.experiments.runs import SqlRuns
from holdfast.experiments.view import View
from holdfast.experiments.writing import Measured
from holdfast.tracking import NewRun, RunStatus
from holdfast.tracking.sql import SqlTracking
from tests.experiments.conftest import moment


@pytest.fixture
def experiment(made: SqlExperiments) -> str:
    return made.create("churn", "ana")


@pytest.fixture
def run(logged_runs: SqlRuns, experiment: str) -> str:
    return str(logged_runs.create(experiment, "ana", 5, "first")["info"]["run_id"])


def _found(logged_runs: SqlRuns, experiments: list[str], *view: View, **asked: Any) -> list[JsonObject]:
    runs, _ = logged_runs.search(experiments, *view, **asked)
    return [json.loads(run) for run in runs]


def _words(found: JsonObject, kind: str) -> dict[str, str]:
    return {one["key"]: one["value"] for one in found["data"].get(kind, [])}


def test_a_run_begins_as_it_was_said(logged_runs: SqlRuns, experiment: str) -> None:
    found = logged_runs.create(experiment, "ana", 5, "first", [("team", "risk")])
    id_ = found["info"]["run_id"]
    assert found == {
        "info": {
            "run_id": id_,
            "run_uuid": id_,
            "experiment_id": experiment,
            "run_name": "first",
            "user_id": "ana",
            "status": "RUNNING",
            "start_time": 5,
            "artifact_uri": f"mlflow-artifacts:/{experiment}/{id_}/artifacts",
            "lifecycle_stage": "active",
        },
        "data": {"tags": [{"key": "mlflow.runName", "value": "first"}, {"key": "team", "value": "risk"}]},
        "inputs": {},
        "outputs": {},
    }
    assert logged_runs.get(id_) == found


def test_a_run_without_a_name_gets_one(logged_runs: SqlRuns) -> None:
    found = logged_runs.create("", "ana", 5)
    assert found["info"]["experiment_id"] == "0"
    assert found["info"]["run_name"] == _words(found, "tags")["mlflow.runName"] != ""
    assert logged_runs.create("", "ana", 5, tags=[("mlflow.runName", "x")])["info"]["run_name"] == "x"
    with pytest.raises(UsageError, match=r"Both 'run_name' argument and 'mlflow\.runName' tag"):
        logged_runs.create("", "ana", 5, "y", [("mlflow.runName", "x")])


def test_a_run_may_be_ended_and_taken_up_again(logged_runs: SqlRuns, run: str) -> None:
    ended = logged_runs.update(run, RunStatus.FINISHED, 99)
    assert (ended["status"], ended["end_time"]) == ("FINISHED", 99)
    assert logged_runs.update(run, RunStatus.FINISHED, 99) == ended
    logged_runs.log_metric(run, Measured("late", 1.0, 7))
    assert logged_runs.update(run, RunStatus.SCHEDULED)["status"] == "SCHEDULED"
    assert logged_runs.update(run, RunStatus.RUNNING, name="second")["run_name"] == "second"
    assert _words(logged_runs.get(run), "tags")["mlflow.runName"] == "second"


def test_a_deleted_run_stays_and_is_never_changed(logged_runs: SqlRuns, run: str) -> None:
    for _ in range(2):
        logged_runs.delete(run)
    assert logged_runs.get(run)["info"]["lifecycle_stage"] == "deleted"
    changes: list[Callable[[], Any]] = [
        lambda: logged_runs.log_metric(run, Measured("a", 1.0, 1)),
        lambda: logged_runs.log_param(run, "a", "1"),
        lambda: logged_runs.set_tag(run, "a", "1"),
        lambda: logged_runs.delete_tag(run, "mlflow.runName"),
        lambda: logged_runs.log(run, tags=[("a", "1")]),
        lambda: logged_runs.update(run, RunStatus.FAILED),
    ]
    for change in changes:
        with pytest.raises(UsageError, match=f"The run {run} must be in the 'active' state. Current state is deleted."):
            change()
    for _ in range(2):
        logged_runs.restore(run)
    logged_runs.log_param(run, "a", "1")


def test_what_is_no_run_of_an_experiment_is_not_found(logged_runs: SqlRuns, anywhere: Database) -> None:
    ours = SqlTracking(anywhere, moment, lambda: "ours").start_run(NewRun(name="ours"), "ana").id
    for id_ in ("none", ours):
        for ask in (logged_runs.get, logged_runs.delete, logged_runs.restore, logged_runs.update):
            with pytest.raises(NotFound, match=f"Run with id={id_} not found"):
                ask(id_)
        with pytest.raises(NotFound):
            logged_runs.log_param(id_, "a", "1")
    assert logged_runs.search(["0"])[0] == []


def test_an_id_that_is_no_text_is_refused_alike_everywhere(logged_runs: SqlRuns) -> None:
    for wrong in ("a\0", "\ud800"):
        with pytest.raises(UsageError, match="a text cannot be kept"):
            logged_runs.get(wrong)


def test_runs_are_found_by_the_name_of_their_experiment(
    made: SqlExperiments, logged_runs: SqlRuns, run: str, anywhere: Database
) -> None:
    tracking = SqlTracking(anywhere, moment, lambda: "ours")
    ours, later = tracking.start_run(NewRun(name="ours"), "ana").id, made.create("Sales EU", "ana")
    other = str(logged_runs.create(later, "ana", 6)["info"]["run_id"])
    assert [one.experiment for one in tracking.search("id in ('ours', 'x')")] == [None]
    for filter_, wanted in (
        ("experiment = churn", [run]),
        ("experiment != churn", [other]),
        ("not experiment = churn", [ours, other]),
        ("experiment like 'Sales%' or name = ours", [ours, other]),
        ("experiment = churn and status = finished", []),
    ):
        assert {one.id for one in tracking.search(filter_)} == set(wanted), filter_
    assert [one.experiment for one in tracking.search(order_by="experiment desc")] == ["churn", "Sales EU", None]
    made.rename(later, "sales")
    assert tracking.run(other).experiment == "sales"


def test_a_param_has_one_value(logged_runs: SqlRuns, run: str) -> None:
    for _ in range(2):
        logged_runs.log_param(run, "lr", "0.1")
    with pytest.raises(UsageError) as alone:
        logged_runs.log_param(run, "lr", "0.2")
    assert alone.value.message == (
        "Changing param values is not allowed. Param with key='lr' was already logged with value='0.1' "
        f"for run ID='{run}'. Attempted logging new value '0.2'."
    )
    with pytest.raises(UsageError) as many:
        logged_runs.log(run, [Measured("m", 1.0, 1)], [("b", "1"), ("lr", "0.2")], [("t", "1")])
    assert many.value.message == (
        "Changing param values is not allowed. Params were already "
        "logged='[{'key': 'lr', 'old_value': '0.1', 'new_value': '0.2'}]' "
        f"for run ID='{run}'."
    )
    found = logged_runs.get(run)
    assert _words(found, "params") == {"lr": "0.1"}, "a batch is logged whole or not at all"
    assert "metrics" not in found["data"]


@pytest.mark.parametrize("value", ["", "x", "0.1", "1e999", "nan", 'a"b\\c\n', "é\U0001f600", "x" * 6000, "{}"])
def test_a_param_is_told_as_it_was_logged(logged_runs: SqlRuns, run: str, value: str) -> None:
    logged_runs.log_param(run, "p", value)
    logged_runs.set_tag(run, "t", value)
    found = logged_runs.get(run)
    assert _words(found, "params")["p"] == _words(found, "tags")["t"] == value


def test_what_is_too_long_is_cut(logged_runs: SqlRuns, run: str) -> None:
    logged_runs.log(run, params=[("p", "x" * 7000)], tags=[("t", "y" * 9000)])
    found = logged_runs.get(run)
    assert (len(_words(found, "params")["p"]), len(_words(found, "tags")["t"])) == (6000, 8000)


def test_the_last_point_is_that_of_the_highest_step_then_time_then_value(logged_runs: SqlRuns, run: str) -> None:
    points = [(0.3, 10, 2), (0.9, 99, 1), (0.2, 11, 2), (0.4, 11, 2), (math.nan, 11, 2), (0.1, 5, 2)]
    for value, time, step in points:
        logged_runs.log_metric(run, Measured("m", value, time, step))
    (last,) = logged_runs.get(run)["data"]["metrics"]
    assert last == {"key": "m", "value": 0.4, "timestamp": 11, "step": 2}
    other = str(logged_runs.create("", "ana", 5)["info"]["run_id"])
    logged_runs.log(other, [Measured("m", value, time, step) for value, time, step in points])
    assert logged_runs.get(other)["data"]["metrics"] == [last]


def test_numbers_that_json_has_not_are_told_as_words(logged_runs: SqlRuns, run: str) -> None:
    values = {"a": math.nan, "b": math.inf, "c": -math.inf}
    logged_runs.log(run, [Measured(key, value, 1) for key, value in values.items()])
    assert _words(logged_runs.get(run), "metrics") == {"a": "NaN", "b": "Infinity", "c": "-Infinity"}


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (Measured("a//b", 1.0, 1), "Invalid value \"a//b\" for parameter 'metrics[0].name' supplied: Names may be "),
        (Measured("a*b", 1.0, 1), "Invalid value \"a*b\" for parameter 'metrics[0].name' supplied: Names may only "),
        (Measured("a" * 251, 1.0, 1), "'Metric name' exceeds the maximum length of 250 characters"),
        (Measured("a", 1.0, -1), "Invalid value -1 for parameter 'metrics[0].timestamp' supplied: metric 'a' (value="),
        (Measured("a", 1.0, 10**18), "1000000000000000000 is no moment in milliseconds since 1970"),
    ],
)
def test_a_metric_that_cannot_be_is_refused(logged_runs: SqlRuns, run: str, metric: Measured, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        logged_runs.log(run, [metric])
    assert refused.value.message.startswith(message)


def test_a_batch_has_limits(logged_runs: SqlRuns, run: str) -> None:
    for wrong, message in (
        ({"metrics": [Measured("a", 1.0, 1)] * 1001}, "at most 1000 metrics. Got 1001 metrics. Please split up"),
        ({"params": [(f"p{n}", "1") for n in range(101)]}, "at most 100 params. Got 101 params."),
        ({"tags": [(f"t{n}", "1") for n in range(101)]}, "at most 100 tags. Got 101 tags."),
        ({"params": [("a", "1"), ("a", "1")]}, "Duplicate parameter keys have been submitted: ['a']."),
        (
            {"metrics": [Measured("a", 1.0, 1)] * 950, "tags": [(f"t{n}", "1") for n in range(51)]},
            "at most 1000 metrics, params, and tags. Got 1001 metrics, params, and tags.",
        ),
    ):
        with pytest.raises(UsageError) as refused:
            logged_runs.log(run, **wrong)
        assert message in refused.value.message
    with pytest.raises(UsageError, match="Invalid value \"no/pe\" for parameter 'run_id' supplied"):
        logged_runs.log("no/pe")


def test_a_tag_is_taken_away_once(logged_runs: SqlRuns, run: str) -> None:
    logged_runs.set_tag(run, "a", "1")
    logged_runs.delete_tag(run, "a")
    with pytest.raises(NotFound, match=f"No tag with name: a in run with id {run}"):
        logged_runs.delete_tag(run, "a")


def test_a_run_of_an_experiment_is_a_run_of_ours(logged_runs: SqlRuns, anywhere: Database, run: str) -> None:
    logged_runs.log(run, [Measured("acc", 0.9, 1_000, 3)], [("lr", "0.1"), ("kind", "x")], [("team", "risk")])
    tracking = SqlTracking(anywhere, moment, lambda: "none")
    (found,) = tracking.search("metrics.acc > 0.5 and params.lr = 0.1 and params.kind = 'x' and tags.team = 'risk'")
    assert (found.id, found.name, found.actor) == (run, "first", "ana")
    assert dict(found.params) == {"lr": "0.1", "kind": "x"}
    assert [point.step for point in tracking.history(run, "acc")] == [3]
    tracking.log_params(run, {"depth": 3})
    assert _words(logged_runs.get(run), "params")["depth"] == "3"
    logged_runs.delete(run)
    assert tracking.search() == ()


def test_runs_come_newest_first_and_by_id_among_equals(logged_runs: SqlRuns, experiment: str) -> None:
    made = [logged_runs.create(experiment, "ana", start, str(start))["info"]["run_id"] for start in (1, 3, 2, 3)]
    found = _found(logged_runs, [experiment])
    assert [one["info"]["run_id"] for one in found] == [made[1], made[3], made[2], made[0]]
    gone = made[0]
    logged_runs.delete(gone)
    for view, count in ((View.ACTIVE, 3), (View.DELETED, 1), (View.ALL, 4)):
        assert len(logged_runs.search([experiment], view)[0]) == count
    assert logged_runs.search([])[0] == logged_runs.search(["12345", "9" * 30])[0] == []


@pytest.mark.parametrize("order_by", [(), ("start_time DESC",), ("start_time",), ("metrics.m DESC",), ("run_name",)])
def test_pages_join_into_the_whole(logged_runs: SqlRuns, experiment: str, order_by: tuple[str, ...]) -> None:
    for number in range(7):
        run = logged_runs.create(experiment, "ana", number // 2, f"r{number % 3}")["info"]["run_id"]
        if number % 2:
            logged_runs.log_metric(run, Measured("m", float(number), 1))
    whole, after = logged_runs.search([experiment], order_by=order_by)
    assert (len(whole), after) == (7, None)
    for size in (1, 2, 3, 7):
        found: list[str] = []
        page = None
        while True:
            some, page = logged_runs.search([experiment], limit=size, order_by=order_by, page=page)
            found += some
            if page is None:
                break
        assert found == whole


def test_a_token_of_another_search_is_refused(logged_runs: SqlRuns, experiment: str) -> None:
    for _ in range(3):
        logged_runs.create(experiment, "ana", 5)
    _, after = logged_runs.search([experiment], limit=1)
    with pytest.raises(UsageError, match="Invalid page token"):
        logged_runs.search([experiment], order_by=["metrics.m"], page=after)


def test_what_is_not_there_comes_last_whichever_way_is_sorted(logged_runs: SqlRuns, experiment: str) -> None:
    values = {"low": 1.0, "none": None, "nan": math.nan, "high": 2.0}
    for name, value in values.items():
        run = logged_runs.create(experiment, "ana", 5, name)["info"]["run_id"]
        if value is not None:
            logged_runs.log(run, [Measured("m", value, 1)], [("p", str(value))])

    def names(order: str) -> list[str]:
        return [one["info"]["run_name"] for one in _found(logged_runs, [experiment], order_by=[order])]

    assert names("metrics.m") == ["low", "high", "nan", "none"]
    assert names("metrics.m DESC") == ["high", "low", "nan", "none"]
    assert names("params.p DESC") == ["nan", "high", "low", "none"]
    with pytest.raises(UsageError, match="`order_by` contains duplicate fields"):
        logged_runs.search([experiment], order_by=["metrics.m", "metrics.m DESC"])
    with pytest.raises(UsageError, match="Invalid identifier type 'dataset'"):
        names("dataset.name")


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("attributes.start_time > 1", "b"),
        ("start_time >= 1.5", "b"),
        ("start_time <= 1.5", "a"),
        ("start_time = 1.5", ""),
        ("start_time != 1.5", "ab"),
        ("start_time < 1e300 and start_time > -1e300", "ab"),
        (f"start_time < {'9' * 400} and start_time > -{'9' * 30}", "ab"),
        (f"metrics.m < {'9' * 400}", "a"),
        ("end_time > 0", "b"),
        ("status = 'FINISHED'", "b"),
        ("status LIKE 'RUN%'", "a"),
        ("user_id = 'ana'", "ab"),
        ("run_name LIKE 'A'", ""),
        ("run_name ILIKE 'A'", "a"),
        ("artifact_uri LIKE '%/artifacts'", "ab"),
        ("metrics.m != 1", "b"),
        ("metrics.m < 5", "a"),
        ("params.p = 'one'", "a"),
        ("params.p != 'one'", "b"),
        ("params.p LIKE 'O%'", ""),
        ("params.p ILIKE 'O%'", "a"),
        ("params.q IS NULL", "a"),
        ("params.q IS NOT NULL and tags.`mlflow.runName` = 'b'", "b"),
        (f"params.long = '{'x' * 400}'", "b"),
        (f"params.long != '{'x' * 400}'", "a"),
        ("params.long LIKE '%xy'", "a"),
        (f"tags.long = '{'x' * 400}'", "b"),
        ("tags.long LIKE '%xy'", "a"),
        ("tags.percent = '100%'", "a"),
        ("tags.percent LIKE '1__%'", "a"),
        ("tags.percent LIKE '%[%'", "b"),
    ],
)
def test_a_filter_finds_what_it_means(logged_runs: SqlRuns, experiment: str, written: str, names: str) -> None:
    a = logged_runs.create(experiment, "ana", 1, "a")["info"]["run_id"]
    b = logged_runs.create(experiment, "ana", 2, "b")["info"]["run_id"]
    long = "x" * 400
    logged_runs.log(a, [Measured("m", 1.0, 1)], [("p", "one"), ("long", long + "y")])
    logged_runs.log(a, tags=[("long", long + "y"), ("percent", "100%")])
    logged_runs.log(b, [Measured("m", math.nan, 1)], [("p", "two"), ("q", ""), ("long", long)])
    logged_runs.log(b, tags=[("long", long), ("percent", "[x]")])
    logged_runs.update(b, RunStatus.FINISHED, 9)
    found = _found(logged_runs, [experiment], filter=written)
    assert "".join(sorted(one["info"]["run_name"] for one in found)) == names


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("datasets.name LIKE 'part%'", "ab"),
        ("datasets.name LIKE 'part%' and metrics.m > 0", "ab"),
        ("metrics.m > 0 and datasets.name LIKE 'part%'", "ab"),
        ("datasets.name LIKE 'part%' and datasets.context = 'test'", "a"),
        ("datasets.digest IN ('d1', 'd2') and metrics.m > 1 and params.p != 'x'", "b"),
        ("metrics.m != 5 and datasets.name ILIKE 'PART 2' and attributes.start_time > 0 and tags.t IS NULL", "a"),
    ],
)
def test_a_run_that_fits_in_several_ways_is_found_once(
    logged_runs: SqlRuns, experiment: str, anywhere: Database, written: str, names: str
) -> None:
    inputs = SqlInputs(anywhere, lambda: uuid.uuid4().hex)
    for number, (name, parts) in enumerate((("a", (1, 2)), ("b", (1,)), ("c", ())), 1):
        run = logged_runs.create(experiment, "ana", number, name)["info"]["run_id"]
        logged_runs.log(run, [Measured("m", float(number), 1)], [("p", name)])
        seen = [
            DatasetSeen(Dataset(f"part {part}", f"d{part}", "local", "here"), [(CONTEXT, context)])
            for part, context in ((1, "train"), (2, "test"))
            if part in parts
        ]
        inputs.log_inputs(run, seen)
    for size in (1, 10):
        found, page = [], None
        while True:
            some, page = logged_runs.search([experiment], limit=size, filter=written, order_by=["run_name"], page=page)
            found += [json.loads(one)["info"]["run_name"] for one in some]
            if page is None:
                break
        assert "".join(found) == names
