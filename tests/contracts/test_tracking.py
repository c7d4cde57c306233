"""What tracking keeps: in a file and on a server of databases, behind one handle, two, and two servers of ours."""

import itertools
import json
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from holdfast.canonical import encode
from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.errors import AlreadyExists, NotFound, TooLarge, UsageError
from holdfast.names import ModelName
from holdfast.service import Line
from holdfast.tracking import NewRun, Point, Run, RunInput, RunStatus, Tracking
from holdfast.tracking.http import HttpTracking
from holdfast.tracking.sql import SqlTracking
from tests.contracts.turns import InTurns
from tests.serving_api import api_server


@pytest.fixture
def tracking(
    handles: list[Database],
    kept: str,
    clock: Callable[[], datetime],
    way: Callable[[str], AbstractContextManager[Line]],
) -> Iterator[Tracking]:
    ids = itertools.count(1)
    adapters: list[Tracking] = [SqlTracking(database, clock, lambda: f"run-{next(ids)}") for database in handles]
    with ExitStack() as serving:
        if "http" in kept:
            urls = [serving.enter_context(api_server(tracking=one)) for one in adapters]
            lines = [serving.enter_context(way(url)) for url in urls]
            adapters = [HttpTracking(line, clock, lambda: f"key-{next(ids)}") for line in lines]
        yield cast("Tracking", InTurns(*adapters))


def start(tracking: Tracking, **more: Any) -> Run:
    return tracking.start_run(NewRun(**more), "ana")


def test_a_run_is_read_back_as_it_was_logged(tracking: Tracking) -> None:
    run = start(tracking, name="baseline", model=ModelName("churn"), params={"lr": 0.1}, tags={"team": "x"}, notes="n")
    assert run.status is RunStatus.RUNNING
    assert run.finished_at is None
    tracking.log_params(run.id, {"seed": 7, "layers": [64, 32], "optimiser": {"name": "adam"}, "none": None})
    tracking.log_metrics(run.id, {"accuracy": 0.5, "loss": 2}, step=1)
    tracking.log_metrics(run.id, {"accuracy": 0.75}, step=2)
    data = RunInput("train", "rows", hash_bytes(b"rows"), "data/train.parquet", files=1, bytes=4)
    seen = RunInput("opened", "config.yaml")
    tracking.log_inputs(run.id, [seen, data])
    tracking.set_tags(run.id, {"team": "y", "host": "h1"})
    done = tracking.finish_run(run.id, RunStatus.FINISHED, notes="done")
    assert tracking.run(run.id) == done
    assert done.params == {"lr": 0.1, "seed": 7, "layers": [64, 32], "optimiser": {"name": "adam"}, "none": None}
    assert done.metrics == {"accuracy": 0.75, "loss": 2.0}
    assert done.tags == {"team": "y", "host": "h1"}
    assert done.inputs == (seen, data)
    assert (done.name, done.model, done.actor, done.notes) == ("baseline", ModelName("churn"), "ana", "done")
    assert done.finished_at is not None
    assert done.finished_at > done.started_at
    assert set(done.to_json()) == {
        "id",
        "model",
        "name",
        "status",
        "started_at",
        "finished_at",
        "actor",
        "params",
        "metrics",
        "tags",
        "inputs",
        "notes",
        "experiment",
    }


def test_a_param_has_one_value_in_a_run(tracking: Tracking) -> None:
    run = start(tracking, params={"lr": 0.1})
    tracking.log_params(run.id, {"lr": 0.1})
    with pytest.raises(AlreadyExists) as raised:
        tracking.log_params(run.id, {"fresh": 1, "lr": 0.2})
    assert (raised.value.details["key"], raised.value.details["there"]) == ("lr", "0.1")
    assert tracking.run(run.id).params == {"lr": 0.1}


def test_the_same_key_begins_one_run_and_another_request_under_it_is_refused(tracking: Tracking) -> None:
    asked = NewRun(name="one", model=ModelName("churn"), params={"lr": 0.1, "layers": [1, 2]}, tags={"team": "x"})
    run = tracking.start_run(asked, "ana", key="k")
    assert tracking.start_run(asked, "ana", key="k") == run
    tracking.log_params(run.id, {"seed": 7})
    tracking.set_tags(run.id, {"team": "y"})
    assert tracking.start_run(asked, "ana", key="k") == tracking.run(run.id)
    for other, actor in (
        (replace(asked, name="two"), "ana"),
        (replace(asked, model=None), "ana"),
        (replace(asked, params={"lr": 0.2}), "ana"),
        (asked, "bob"),
    ):
        with pytest.raises(UsageError, match="another request"):
            tracking.start_run(other, actor, key="k")
    assert tracking.start_run(asked, "ana", key="k2").id != run.id
    assert len(tracking.search()) == 2
    with pytest.raises((TooLarge, UsageError)):
        tracking.start_run(asked, "ana", key="k" * 300)


def test_the_same_point_again_changes_nothing(tracking: Tracking) -> None:
    run = start(tracking)
    time, later = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 2, tzinfo=UTC)
    points = [Point(name, value, step, time) for step in range(3) for name, value in (("a", step), ("b", math.nan))]
    tracking.log_points(run.id, points)
    before = [tracking.history(run.id, name) for name in "ab"]
    tracking.log_points(run.id, [*points, *points[:2]])
    assert repr([tracking.history(run.id, name) for name in "ab"]) == repr(before)
    tracking.log_points(
        run.id, [points[0], Point("a", 9, 0, time), Point("a", 0, 0, later), Point("c", 1, -(2**40), time)]
    )
    assert [(point.value, point.step) for point in tracking.history(run.id, "a")] == [
        (0, 0),
        (9, 0),
        (0, 0),
        (1, 1),
        (2, 2),
    ]
    assert tracking.run(run.id).metrics["a"] == 2
    assert len(tracking.history(run.id, "c")) == 1


def test_the_same_end_again_changes_nothing(tracking: Tracking) -> None:
    run = start(tracking)
    ended = tracking.finish_run(run.id, RunStatus.FAILED, notes="out of memory")
    assert tracking.finish_run(run.id, RunStatus.FAILED, notes="out of memory") == ended
    assert tracking.finish_run(run.id, RunStatus.FAILED) == ended


def test_a_metric_keeps_its_history_and_its_last_point(tracking: Tracking) -> None:
    run = start(tracking)
    later, earlier = datetime(2026, 5, 2, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
    points = [
        Point("loss", 3.0, 1, earlier),
        Point("loss", 1.0, 3, earlier),
        Point("loss", 2.0, 2, later),
        Point("loss", 0.5, 3, later),
        Point("loss", 9.0, 3, earlier),
        Point("other", 1.0, -5, earlier),
    ]
    tracking.log_points(run.id, points)
    assert tracking.run(run.id).metrics == {"loss": 0.5, "other": 1.0}
    assert tracking.history(run.id, "loss") == (points[0], points[2], points[1], points[3], points[4])
    assert tracking.history(run.id, "unknown") == ()
    tracking.log_points(run.id, [Point("loss", 8.0, 2, later)])
    assert tracking.run(run.id).metrics["loss"] == 0.5


def test_a_point_without_a_time_is_logged_now(tracking: Tracking, clock: Any) -> None:
    run = start(tracking)
    tracking.log_metrics(run.id, {"loss": 1})
    (point,) = tracking.history(run.id, "loss")
    assert point.time is not None
    assert run.started_at < point.time <= clock.now


def test_values_that_are_not_finite_are_kept_and_written_as_strings(tracking: Tracking) -> None:
    run = start(tracking)
    tracking.log_metrics(run.id, {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 10**400, "e": -(10**400)})
    found = tracking.run(run.id)
    assert math.isnan(found.metrics["a"])
    assert (found.metrics["b"], found.metrics["c"]) == (math.inf, -math.inf)
    assert (found.metrics["d"], found.metrics["e"]) == (math.inf, -math.inf)
    shown = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert shown["metrics"]["a"] == "NaN"
    assert shown["metrics"]["b"] == "Infinity"
    assert shown["metrics"]["c"] == "-Infinity"
    assert math.isnan(tracking.history(run.id, "a")[0].value)
    assert tracking.history(run.id, "a")[0].to_json()["value"] == "NaN"
    encode(found.to_json())


def test_params_of_any_python_value_become_json(tracking: Tracking) -> None:
    run = start(tracking, params={"big": 10**30, "nan": math.nan, "set": {2, 1}, "flag": True})
    assert tracking.run(run.id).params == {"big": str(10**30), "nan": "nan", "set": [1, 2], "flag": True}


@pytest.mark.parametrize("status", [RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED])
def test_a_run_that_has_ended_is_never_changed(tracking: Tracking, status: RunStatus) -> None:
    run = start(tracking, params={"lr": 0.1})
    ended = tracking.finish_run(run.id, status)
    other = next(one for one in RunStatus if one not in {RunStatus.RUNNING, RunStatus.SCHEDULED, status})
    changes: list[Callable[[], object]] = [
        lambda: tracking.log_params(run.id, {"x": 1}),
        lambda: tracking.log_metrics(run.id, {"x": 1}),
        lambda: tracking.set_tags(run.id, {"x": "1"}),
        lambda: tracking.log_inputs(run.id, [RunInput("train", "x")]),
        lambda: tracking.finish_run(run.id, other),
        lambda: tracking.finish_run(run.id, status, notes="more"),
    ]
    for change in changes:
        with pytest.raises(UsageError, match=f"has ended as {status}"):
            change()
    assert tracking.run(run.id) == ended


def test_a_run_does_not_end_as_running(tracking: Tracking) -> None:
    run = start(tracking)
    with pytest.raises(UsageError):
        tracking.finish_run(run.id, RunStatus.RUNNING)
    assert tracking.run(run.id).status is RunStatus.RUNNING


def test_an_unknown_run_is_not_found(tracking: Tracking) -> None:
    asks: list[Callable[[], object]] = [
        lambda: tracking.run("never"),
        lambda: tracking.history("never", "loss"),
        lambda: tracking.log_params("never", {"x": 1}),
        lambda: tracking.log_metrics("never", {"x": 1}),
        lambda: tracking.set_tags("never", {"x": "1"}),
        lambda: tracking.log_inputs("never", []),
        lambda: tracking.finish_run("never", RunStatus.FAILED),
    ]
    for ask in asks:
        with pytest.raises(NotFound):
            ask()


def test_an_input_names_one_thing(tracking: Tracking) -> None:
    run = start(tracking)
    first = RunInput("train", "rows", hash_bytes(b"1"))
    tracking.log_inputs(run.id, [first, first])
    tracking.log_inputs(run.id, [first])
    for again in ([RunInput("train", "rows", hash_bytes(b"2"))], [RunInput("a", "b"), RunInput("a", "b", source="c")]):
        with pytest.raises(AlreadyExists):
            tracking.log_inputs(run.id, again)
    assert tracking.run(run.id).inputs == (first,)


TOO_LARGE: list[Callable[[Any, str], object]] = [
    lambda tracking, run: tracking.log_params(run, {"k" * 251: 1}),
    lambda tracking, run: tracking.log_params(run, {"k": "v" * 17_000}),
    lambda tracking, run: tracking.log_params(run, {f"k{n}": n for n in range(10_001)}),
    lambda tracking, run: tracking.set_tags(run, {"k": "v" * 9_000}),
    lambda tracking, run: tracking.log_metrics(run, {"k" * 251: 1}),
    lambda tracking, run: tracking.log_points(run, (Point("k", 1, n) for n in itertools.count())),
    lambda tracking, run: tracking.log_inputs(run, (RunInput("r", str(n)) for n in itertools.count())),
    lambda tracking, run: tracking.finish_run(run, RunStatus.FINISHED, notes="n" * 70_000),
]
NO_SENSE: list[Callable[[Any, str], object]] = [
    lambda tracking, run: tracking.log_params(run, {"": 1}),
    lambda tracking, run: tracking.log_params(run, {"a\nb": 1}),
    lambda tracking, run: tracking.log_metrics(run, {"x": "word"}),
    lambda tracking, run: tracking.log_metrics(run, {"x": None}),
    lambda tracking, run: tracking.log_points(run, [Point("ok", 1), Point("x", 1, 2**60)]),
    lambda tracking, run: tracking.log_points(run, [Point("ok", 1), Point("x", 1, 0, datetime(2026, 1, 1))]),  # noqa: DTZ001
]


def test_what_is_past_a_limit_is_refused_whole(tracking: Tracking, subtests: pytest.Subtests) -> None:
    run = start(tracking)
    for nth, log in enumerate(TOO_LARGE):
        with subtests.test(nth=nth):
            with pytest.raises(TooLarge) as raised:
                log(tracking, run.id)
            assert raised.value.details["limit"]
            assert tracking.run(run.id) == run


def test_what_makes_no_sense_is_refused_whole(tracking: Tracking, subtests: pytest.Subtests) -> None:
    run = start(tracking)
    for nth, log in enumerate(NO_SENSE):
        with subtests.test(nth=nth):
            with pytest.raises(UsageError):
                log(tracking, run.id)
            assert tracking.run(run.id) == run


def test_a_run_needs_somebody_who_started_it(tracking: Tracking) -> None:
    with pytest.raises(UsageError):
        tracking.start_run(NewRun(), "")
    with pytest.raises(TooLarge):
        tracking.start_run(NewRun(name="n" * 251), "ana")
    with pytest.raises(TooLarge):
        tracking.start_run(NewRun(params={"k" * 251: 1}), "ana")
    assert tracking.search() == ()


def test_a_search_finds_by_metrics_params_tags_and_attributes(tracking: Tracking) -> None:
    first = start(tracking, name="one", model=ModelName("churn"), params={"lr": 0.1, "opt": "adam"}, tags={"team": "x"})
    second = start(tracking, name="two", params={"lr": "0.1"}, tags={"team": "it's"})
    third = start(tracking, name="Two again")
    tracking.log_metrics(first.id, {"accuracy": 0.95, "val/loss": 0.2})
    tracking.log_metrics(second.id, {"accuracy": math.nan})
    tracking.finish_run(first.id, RunStatus.FINISHED)

    def found(text: str, **more: Any) -> list[str]:
        return [run.id for run in tracking.search(text, **more)]

    assert found("") == [third.id, second.id, first.id]
    assert found("metrics.accuracy > 0.9 and params.lr = 0.1 and tags.team = 'x' and model = 'churn'") == [first.id]
    assert found("status = 'finished'") == [first.id]
    assert found("params.lr = '0.1'") == [second.id, first.id]
    assert found("params.lr != 0.2") == [first.id]
    assert found("tags.team = 'it''s'") == [second.id]
    assert found("metrics.\"val/loss\" <= 0.2 or tags.team != 'x'") == [second.id, first.id]
    assert found("metrics.accuracy != 0") == [first.id]
    assert found("name like 'TWO%' AND (tags.team = 'x' OR status = 'running')") == [third.id, second.id]
    assert found("model != 'churn'") == []
    assert found(f"id = '{second.id}'") == [second.id]
    assert found("started_at >= '2026-03-01' and started_at < '2027-01-01T00:00:00Z'", limit=1) == [third.id]
    assert found("", order_by="metrics.accuracy desc, name") == [first.id, third.id, second.id]
    assert found("", order_by="params.lr, tags.team desc")[0] == first.id
    assert found("", order_by="started_at ASC") == [first.id, second.id, third.id]


def test_a_search_has_a_limit(tracking: Tracking) -> None:
    for limit in (0, -1, 10_001):
        with pytest.raises(UsageError):
            tracking.search(limit=limit)


@pytest.mark.thorough
def test_more_runs_than_one_statement_reads_come_back_in_order(tracking: Tracking) -> None:
    ids = [start(tracking, params={"n": n}).id for n in range(520)]
    found = tracking.search(order_by="params.n", limit=1_000)
    assert [run.id for run in found] == ids
    assert [run.params["n"] for run in found] == list(range(520))


def test_every_digest_that_a_run_names_is_told_of(tracking: Tracking) -> None:
    first, second = start(tracking), start(tracking)
    assert tracking.digests() == ()
    tracking.log_inputs(first.id, [RunInput("opened", "config.yaml"), RunInput("train", "rows", hash_bytes(b"rows"))])
    tracking.log_inputs(second.id, [RunInput("train", "rows", hash_bytes(b"rows"))])
    tracking.set_tags(second.id, {"holdfast.capture": str(hash_bytes(b"capture")), "holdfast.note": "sha256:no"})
    tracking.set_tags(first.id, {"mine": str(hash_bytes(b"of another system"))})
    tracking.finish_run(first.id, RunStatus.FINISHED)
    assert set(tracking.digests()) == {
        (first.id, hash_bytes(b"rows")),
        (second.id, hash_bytes(b"rows")),
        (second.id, hash_bytes(b"capture")),
    }


def test_texts_are_sorted_and_compared_by_code_points(tracking: Tracking) -> None:
    names = ["b", "B", "a", "ä", "_", "a b", "ab", "\U0001f600", "語"]
    for name in names:
        start(tracking, name=name, tags={"name": name})
    assert [run.name for run in tracking.search(order_by="name")] == sorted(names)
    assert [run.name for run in tracking.search(order_by="tags.name desc")] == sorted(names, reverse=True)
    assert {run.name for run in tracking.search("name > 'a'")} == {name for name in names if name > "a"}


def test_like_knows_two_wild_cards_and_takes_a_backslash_as_itself(tracking: Tracking) -> None:
    for name in ("a\\b", "a\\%", "a%b", "AXB"):
        start(tracking, name=name)
    assert {run.name for run in tracking.search("name like 'a\\%'")} == {"a\\b", "a\\%"}
    assert {run.name for run in tracking.search("name like 'a_b'")} == {"a\\b", "a%b", "AXB"}
    assert {run.name for run in tracking.search("name like '%\\'")} == set()


def test_numbers_of_64_bits_are_kept(tracking: Tracking) -> None:
    run = start(tracking)
    tracking.log_points(run.id, [Point("m", 5e-324, 2**53 - 1), Point("m", 1.7976931348623157e308, -(2**53) + 1)])
    assert [(point.step, point.value) for point in tracking.history(run.id, "m")] == [
        (-(2**53) + 1, 1.7976931348623157e308),
        (2**53 - 1, 5e-324),
    ]
    tracking.log_inputs(run.id, [RunInput("train", "rows", files=3_000_000_000, bytes=2**62)])
    assert [(one.files, one.bytes) for one in tracking.run(run.id).inputs] == [(3_000_000_000, 2**62)]


@pytest.mark.parametrize("character", ["\0", "\ud800"])
def test_a_text_that_is_none_is_refused_and_nothing_is_kept(tracking: Tracking, character: str) -> None:
    run = start(tracking, tags={"a": "b"})
    steps: list[Callable[[], object]] = [
        lambda: start(tracking, name=f"x{character}"),
        lambda: tracking.set_tags(run.id, {"c": "d", "e": character}),
        lambda: tracking.log_inputs(run.id, [RunInput("train", f"x{character}")]),
        lambda: tracking.finish_run(run.id, RunStatus.FINISHED, notes=character),
        lambda: tracking.run(character),
        lambda: tracking.search(f"name = '{character}'"),
    ]
    for step in steps:
        with pytest.raises(UsageError):
            step()
    assert tracking.search() == (run,)
