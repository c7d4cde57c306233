"""Histories of metrics, in a database of each kind."""

import math
from typing import Any

import pytest

from holdfast.database.engine import Database
from holdfast.errors import UsageError
from holdfast.experiments.metrics import SqlMetrics
from holdfast.experiments.runs import SqlRuns
from holdfast.experiments.writing import Measured


@pytest.fixture
def histories(anywhere: Database) -> SqlMetrics:
    return SqlMetrics(anywhere)


def _run(logged_runs: SqlRuns, *points: Measured) -> str:
    run = str(logged_runs.create("", "ana", 5)["info"]["run_id"])
    logged_runs.log(run, points)
    return run


def _steps(points: list[dict[str, Any]]) -> list[int]:
    return [point["step"] for point in points]


def test_a_history_is_told_by_time_then_step_then_value(logged_runs: SqlRuns, histories: SqlMetrics) -> None:
    given = [(0.3, 9, 1), (0.2, 5, 3), (0.9, 5, 2), (0.1, 5, 2), (math.nan, 5, 2), (0.1, 5, 2)]
    run = _run(logged_runs, *(Measured("m", *one) for one in given), Measured("other", 1.0, 1))
    found, after = histories.history(run, "m")
    assert [(one["value"], one["timestamp"], one["step"]) for one in found] == [
        ("NaN", 5, 2),
        (0.1, 5, 2),
        (0.9, 5, 2),
        (0.2, 5, 3),
        (0.3, 9, 1),
    ]
    assert after is None
    again, page = [], None
    while True:
        some, page = histories.history(run, "m", 2, page)
        again += some
        if page is None:
            break
    assert again == found
    assert histories.history("none", "m") == ([], None)
    with pytest.raises(UsageError, match="It must be a positive integer"):
        histories.history(run, "m", 0)


def test_histories_of_several_runs_come_run_by_run(logged_runs: SqlRuns, histories: SqlMetrics) -> None:
    runs = [_run(logged_runs, Measured("m", 1.0, 2, 2), Measured("m", 1.0, 1, 1)) for _ in range(2)]
    found = histories.histories([*reversed(runs), "none"], "m")
    assert [(one["run_id"], one["step"]) for one in found] == [(run, step) for run in runs for step in (1, 2)]
    assert len(histories.histories(runs, "m", 3)) == 3
    for wrong in ([], ["r"] * 101):
        with pytest.raises(UsageError, match="GetMetricHistoryBulk request"):
            histories.histories(wrong, "m")


def test_a_sample_is_even_and_has_the_first_and_the_last_point(logged_runs: SqlRuns, histories: SqlMetrics) -> None:
    many = _run(logged_runs, *(Measured("m", float(step), step, step) for step in range(100)))
    few = _run(logged_runs, *(Measured("m", float(step), step, step) for step in range(3)))
    flat = _run(logged_runs, *(Measured("m", float(value), 1, 0) for value in range(50)))
    found = histories.samples([few, many, flat, "none"], "m", 5)
    of_run = {run: [one for one in found if one["run_id"] == run] for run in (few, many, flat)}
    assert _steps(of_run[few]) == [0, 1, 2]
    assert _steps(of_run[many]) == [0, 20, 40, 60, 99]
    assert [one["value"] for one in of_run[flat]] == [0.0, 10.0, 20.0, 30.0, 49.0]
    assert [one["run_id"] for one in found] == [few] * 3 + [many] * 5 + [flat] * 5
    assert _steps(histories.samples([many], "m", 1)) == [99]
    assert _steps(histories.samples([many], "m", 2500, (10, 12))) == [10, 11, 12]
