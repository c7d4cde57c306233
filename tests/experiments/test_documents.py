"""Runs are written as JSON by hand, and are what was logged all the same."""

import json
import math
import uuid
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.database.engine import Database
from holdfast.experiments.experiments import SqlExperiments
from holdfast.experiments.runs import SqlRuns
from holdfast.experiments.writing import Measured
from tests.effort import examples

_WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
_KEYS = st.text("abc_- ", min_size=1, max_size=8)
_VALUES = st.floats() | st.integers(-(2**40), 2**40).map(float)


def made(database: Database) -> SqlRuns:
    experiments = SqlExperiments(database, lambda: datetime.now(UTC))
    return SqlRuns(database, lambda: datetime.now(UTC), lambda: uuid.uuid4().hex, experiments.require_default)


def told(value: float) -> float | str:
    return value if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(60), deadline=None)
@given(
    name=_WORDS.filter(bool),
    metrics=st.dictionaries(_KEYS, _VALUES, max_size=4),
    params=st.dictionaries(_KEYS, _WORDS, max_size=4),
    tags=st.dictionaries(_KEYS, _WORDS, max_size=4),
)
def test_a_run_that_is_found_is_the_run_that_was_logged(
    database: Database, name: str, metrics: dict[str, float], params: dict[str, str], tags: dict[str, str]
) -> None:
    runs = made(database)
    run = runs.create("0", "ana", 17, name)["info"]["run_id"]
    runs.log(run, [Measured(key, value, 19, 3) for key, value in metrics.items()], [*params.items()], [*tags.items()])
    (text,), _ = runs.search(["0"], filter=f"attributes.run_id = '{run}'")
    found = json.loads(text)
    assert found == runs.get(run)
    assert found["info"]["run_name"] == name
    data = {one: {row["key"]: row for row in found["data"].get(one, [])} for one in ("metrics", "params", "tags")}
    assert {key: row["value"] for key, row in data["metrics"].items()} == {
        key: told(value) for key, value in metrics.items()
    }
    assert all((row["timestamp"], row["step"]) == (19, 3) for row in data["metrics"].values())
    assert {key: row["value"] for key, row in data["params"].items()} == params
    assert {key: row["value"] for key, row in data["tags"].items()} == {**tags, "mlflow.runName": name}


def test_a_run_that_fits_one_clause_of_several_is_not_found(database: Database) -> None:
    runs = made(database)
    both, first, second = (runs.create("0", "ana", 1, name)["info"]["run_id"] for name in ("both", "first", "second"))
    runs.log(both, [Measured("m", 1.0, 1)], [("p", "a")])
    runs.log(first, [Measured("m", 1.0, 1)], [("p", "b")])
    runs.log(second, [Measured("m", 0.0, 1)], [("p", "a")])
    for words, wanted in (
        ("metrics.m > 0.5 and params.p = 'a'", {both}),
        ("metrics.m > 0.5 and params.p = 'a' and attributes.run_name != 'both'", set()),
        ("metrics.m > 0.5 and params.p = 'a' and tags.t IS NULL", {both}),
        ("metrics.m > 0.5", {both, first}),
        ("params.p = 'a' and metrics.m <= 0.5 and tags.`mlflow.runName` = 'second'", {second}),
    ):
        found, _ = runs.search(["0"], filter=words)
        assert {json.loads(one)["info"]["run_id"] for one in found} == wanted
