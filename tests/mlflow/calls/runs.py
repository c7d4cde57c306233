"""Calls that concern experiments and runs."""

import time
from typing import Any

import mlflow
import pandas as pd
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag, ViewType

from tests.mlflow.calls.walking import Call, Walk

__all__ = ["CALLS"]


def _batch(walk: Walk) -> object:
    now = int(time.time() * 1000)
    points = [Metric("loss", 1 / (step + 1), now + step, step) for step in range(10)]
    return walk.client.log_batch(
        walk.run, points, [Param("layers", "3"), Param("lr", "0.1")], [RunTag("speed", "fast")]
    )


def _inputs(walk: Walk) -> object:
    data = mlflow.data.from_pandas(pd.DataFrame({"x": [1, 2], "y": [0, 1]}), source="s3://bucket/x", name="rows")
    return walk.client.log_inputs(
        walk.run, [DatasetInput(data._to_mlflow_entity(), [InputTag("mlflow.data.context", "training")])]
    )


def _fluent(walk: Walk) -> dict[str, Any]:
    """A run as a script makes it; every fluent call that has no other place."""
    mlflow.set_experiment(experiment_id=walk.experiment)
    with mlflow.start_run(run_name="fluent", tags={"a": "b"}, description="words", log_system_metrics=False) as run:
        walk.keep("fluent_run", run.info.run_id)
        mlflow.log_param("one", 1)
        mlflow.log_params({"two": 2, "three": "drei"})
        mlflow.log_metric("m", 0.5, step=3)
        mlflow.log_metrics({"m": 0.25, "n": float("nan")}, step=4)
        mlflow.set_tag("t", "u")
        mlflow.set_tags({"v": "w", "gone": "soon"})
        mlflow.delete_tag("gone")
        mlflow.log_input(
            mlflow.data.from_pandas(pd.DataFrame({"x": [1]}), name="one row"), context="eval", tags={"k": "v"}
        )
        with mlflow.start_run(nested=True, run_name="child") as child:
            walk.keep("child", child.info.run_id)
    return {"run": mlflow.get_run(run.info.run_id), "last": mlflow.last_active_run().info.run_id}


def _infinite(walk: Walk) -> object:
    walk.client.log_metric(walk.child, "huge", float("inf"))
    return walk.client.get_run(walk.child).data.metrics


def _pages(walk: Walk) -> list[list[str]]:
    pages, token = [], None
    while True:
        page = walk.client.search_runs(
            [walk.experiment], max_results=2, order_by=["attributes.run_name ASC"], page_token=token
        )
        pages.append([run.info.run_name for run in page])
        token = page.token
        if not token:
            return pages


def _names(words: str, view: int = ViewType.ACTIVE_ONLY, **more: Any) -> Any:
    return lambda walk: [run.info.run_name for run in walk.client.search_runs([walk.experiment], words, view, **more)]


def _many_params(walk: Walk) -> object:
    return walk.client.log_batch(walk.run, params=[Param(f"p{at}", "x") for at in range(101)])


SEARCHES = (
    "metrics.loss < 0.2",
    "metrics.accuracy >= 0.9 and params.lr = '0.1'",
    "params.layers != '4'",
    "params.one IS NULL",
    "tags.a IS NOT NULL",
    "tags.`speed` LIKE 'f%'",
    "tag.speed ILIKE 'FAST'",
    "attributes.status = 'FINISHED'",
    "attribute.run_name IN ('first', 'fluent')",
    "run_name != 'first'",
    "status != 'RUNNING' and metric.m > 0",
    "start_time > 0",
    "end_time > 1",
    "dataset.name = 'rows'",
    "datasets.context ILIKE 'EV%'",
    "dataset.digest != ''",
    "params.lr > '0.05'",
    "metrics.loss = 'high'",
    "nothing.here = 'x'",
    "run_name = somebody",
    "params.lr = '0.1' or params.lr = '0.2'",
    "status IN ('FINISHED')",
)
ORDERS = ("metrics.loss DESC", "params.lr ASC", "tags.speed", "start_time", "loss DESC", "metrics.loss SIDEWAYS")

CALLS: tuple[Call, ...] = (
    (
        "client.create_experiment",
        lambda w: w.keep("experiment", w.client.create_experiment("walk", tags={"team": "a"})),
    ),
    ("edge: an experiment's name is taken", lambda w: w.client.create_experiment("walk")),
    ("edge: an experiment without a name", lambda w: w.client.create_experiment("")),
    ("client.get_experiment", lambda w: w.client.get_experiment(w.experiment)),
    ("edge: no such experiment", lambda w: w.client.get_experiment("987654321")),
    ("edge: an experiment's id is no number", lambda w: w.client.get_experiment("abc")),
    ("edge: the first experiment", lambda w: w.client.get_experiment("0").name),
    ("client.get_experiment_by_name", lambda w: w.client.get_experiment_by_name("walk")),
    ("edge: no experiment of that name", lambda w: w.client.get_experiment_by_name("nowhere")),
    ("client.set_experiment_tag", lambda w: w.client.set_experiment_tag(w.experiment, "phase", "one")),
    ("client.delete_experiment_tag", lambda w: w.client.delete_experiment_tag(w.experiment, "team")),
    ("edge: an experiment's tag that is not there", lambda w: w.client.delete_experiment_tag(w.experiment, "team")),
    ("client.search_experiments", lambda w: w.client.search_experiments(filter_string="tags.phase = 'one'")),
    (
        "edge: experiments by name",
        lambda w: [e.name for e in w.client.search_experiments(filter_string="name ILIKE 'WA%'")],
    ),
    ("edge: experiments in order", lambda w: [e.name for e in w.client.search_experiments(order_by=["name DESC"])]),
    ("edge: experiments by nonsense", lambda w: w.client.search_experiments(filter_string="colour = 'x'")),
    ("client.rename_experiment", lambda w: w.client.rename_experiment(w.experiment, "walked")),
    ("edge: a renamed experiment", lambda w: w.client.get_experiment(w.experiment)),
    ("client.create_run", lambda w: w.keep("run", w.client.create_run(w.experiment, run_name="first").info.run_id)),
    ("edge: a run of no experiment", lambda w: w.client.create_run("987654321", run_name="lost")),
    ("client.get_run", lambda w: w.client.get_run(w.run)),
    ("edge: no such run", lambda w: w.client.get_run("0" * 32)),
    ("client.log_metric", lambda w: w.client.log_metric(w.run, "accuracy", 0.93, timestamp=1000, step=1)),
    ("edge: a metric that is no number", lambda w: w.client.log_metric(w.run, "loss", "high")),
    ("edge: a metric of a bad name", lambda w: w.client.log_metric(w.run, "a//../b", 1.0)),
    ("client.log_param", lambda w: w.client.log_param(w.run, "seed", 7)),
    ("edge: the same param again", lambda w: w.client.log_param(w.run, "seed", 7)),
    ("edge: another value of a param", lambda w: w.client.log_param(w.run, "seed", 8)),
    ("edge: a param that is too long", lambda w: w.client.log_param(w.run, "long", "x" * 6001)),
    ("edge: a param without a name", lambda w: w.client.log_param(w.run, "", "x")),
    ("client.log_batch", _batch),
    ("edge: a batch with too many params", _many_params),
    (
        "edge: a batch that repeats a param",
        lambda w: w.client.log_batch(w.run, params=[Param("q", "1"), Param("q", "2")]),
    ),
    ("client.set_tag", lambda w: w.client.set_tag(w.run, "note", "naïve ☕")),
    ("edge: a tag that is too long", lambda w: w.client.set_tag(w.run, "long", "x" * 8001)),
    ("client.delete_tag", lambda w: (w.client.set_tag(w.run, "gone", "x"), w.client.delete_tag(w.run, "gone"))[1]),
    ("edge: a tag that is not there", lambda w: w.client.delete_tag(w.run, "gone")),
    ("client.get_metric_history", lambda w: w.client.get_metric_history(w.run, "loss")),
    ("edge: a metric that nobody logged", lambda w: w.client.get_metric_history(w.run, "nobody's")),
    ("client.log_inputs", _inputs),
    ("client.update_run", lambda w: w.client.update_run(w.run, "SCHEDULED", "first, renamed")),
    ("edge: a run with all it has", lambda w: w.client.get_run(w.run)),
    ("client.set_terminated", lambda w: w.client.set_terminated(w.run, "FINISHED")),
    ("edge: a metric after the end", lambda w: w.client.log_metric(w.run, "late", 1.0, timestamp=2, step=2)),
    ("edge: an ended run", lambda w: w.client.get_run(w.run).info),
    ("mlflow.start_run", _fluent),
    ("edge: a metric that is infinite", _infinite),
    ("client.get_parent_run", lambda w: w.client.get_parent_run(w.child).info.run_name),
    ("mlflow.search_runs", lambda w: len(mlflow.search_runs(experiment_names=["walked"], order_by=["metrics.m"]))),
    ("client.search_runs", lambda w: w.client.search_runs([w.experiment], "params.lr = '0.1'")),
    *((f"edge: runs where {words}", _names(words, order_by=["run_name"])) for words in SEARCHES),
    *((f"edge: runs by {order}", _names("", order_by=[order, "run_name"])) for order in ORDERS),
    ("edge: runs by name, backwards", _names("", order_by=["attributes.run_name DESC"])),
    ("edge: runs page by page", _pages),
    ("edge: more runs than a page may have", _names("", max_results=50001)),
    ("edge: a page that there is not", _names("", page_token="nonsense")),
    ("client.delete_run", lambda w: w.client.delete_run(w.child)),
    ("edge: deleted runs", _names("", ViewType.DELETED_ONLY)),
    ("edge: a metric of a deleted run", lambda w: w.client.log_metric(w.child, "m", 1.0)),
    ("edge: deleting what is deleted", lambda w: w.client.delete_run(w.child)),
    ("client.restore_run", lambda w: w.client.restore_run(w.child)),
    ("edge: restoring what is there", lambda w: w.client.restore_run(w.child)),
    ("client.delete_experiment", lambda w: w.client.delete_experiment(w.experiment)),
    ("edge: a deleted experiment", lambda w: w.client.get_experiment(w.experiment).lifecycle_stage),
    ("edge: a run in a deleted experiment", lambda w: w.client.create_run(w.experiment, run_name="late")),
    ("edge: the name of a deleted experiment", lambda w: w.client.create_experiment("walked")),
    ("client.restore_experiment", lambda w: w.client.restore_experiment(w.experiment)),
    ("edge: a restored experiment's runs", _names("", order_by=["run_name"])),
    ("mlflow.create_experiment", lambda w: w.keep("experiment2", mlflow.create_experiment("second", tags={"a": "b"}))),
    ("mlflow.set_experiment", lambda w: mlflow.set_experiment("third").name),
    ("mlflow.set_experiment_tag", lambda w: mlflow.set_experiment_tag("a", "b")),
    ("mlflow.set_experiment_tags", lambda w: mlflow.set_experiment_tags({"c": "d"})),
    ("mlflow.delete_experiment_tag", lambda w: mlflow.delete_experiment_tag("c")),
    ("mlflow.get_experiment", lambda w: mlflow.get_experiment(w.experiment2).tags),
    ("mlflow.get_experiment_by_name", lambda w: mlflow.get_experiment_by_name("third").tags),
    ("mlflow.search_experiments", lambda w: [e.name for e in mlflow.search_experiments(order_by=["name"])]),
    ("mlflow.delete_experiment", lambda w: mlflow.delete_experiment(w.experiment2)),
    ("mlflow.restore_experiment", lambda w: mlflow.restore_experiment(w.experiment2)),
    ("mlflow.get_run", lambda w: mlflow.get_run(w.fluent_run).data.params),
    ("mlflow.get_parent_run", lambda w: mlflow.get_parent_run(w.child).info.run_name),
    ("mlflow.delete_run", lambda w: mlflow.delete_run(w.child)),
    ("mlflow.restore_run", lambda w: mlflow.restore_run(w.child)),
)
