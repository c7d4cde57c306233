"""Which point of a metric is its last."""

import itertools
import math
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.database.engine import Database
from holdfast.experiments.experiments import SqlExperiments
from holdfast.experiments.metrics import SqlMetrics
from holdfast.experiments.runs import SqlRuns
from holdfast.experiments.writing import Measured
from tests.blank import blank_registry
from tests.effort import examples

_POINTS = st.builds(
    Measured,
    st.sampled_from(["a", "b"]),
    st.sampled_from([-1.0, 0.5, 2.0, math.inf]),
    st.integers(0, 2),
    st.integers(-1, 1),
)


def _moment() -> datetime:
    return datetime(2026, 3, 1, 9, tzinfo=UTC)


@settings(max_examples=examples(25), deadline=None)
@given(st.lists(st.lists(_POINTS, max_size=8), max_size=5))
def test_it_is_the_largest_by_step_time_and_value_however_points_came(
    batches: list[list[Measured]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(blank_registry(Path(folder) / "registry.db"))
        counted = itertools.count()
        runs = SqlRuns(
            database, _moment, lambda: f"r{next(counted)}", SqlExperiments(database, _moment).require_default
        )
        run = runs.create("", "ana", 5)["info"]["run_id"]
        for batch in batches:
            for _ in range(2):  # as whoever got no answer asks again
                runs.log(run, batch)
        last = {one["key"]: one for one in runs.get(run)["data"].get("metrics", [])}
        given_points = set(itertools.chain.from_iterable(batches))
        for key in ("a", "b"):
            of_key = [point for point in given_points if point.key == key]
            assert len(SqlMetrics(database).history(run, key)[0]) == len(of_key)
            if not of_key:
                assert key not in last
                continue
            wanted = max(of_key, key=lambda point: (point.step, point.time_ms, point.value))
            told = (last[key]["step"], last[key]["timestamp"], float(last[key]["value"]))
            assert told == (wanted.step, wanted.time_ms, wanted.value)
        database.close()
