"""A search finds what a plain reading of the filter over all runs would find."""

import itertools
import math
import operator
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.database.engine import Database
from holdfast.tracking import NewRun, Point, Run
from holdfast.tracking.grammar import Compare, Either, Every, Filter, Not, parse_filter
from holdfast.tracking.sql import SqlTracking
from tests.blank import blank_registry
from tests.effort import examples

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "in": lambda value, listed: value in listed,
}


@contextmanager
def fresh() -> Iterator[SqlTracking]:
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(blank_registry(Path(folder) / "registry.db"))
        ids = itertools.count()
        try:
            yield SqlTracking(database, lambda: datetime(2026, 1, 1, tzinfo=UTC), lambda: f"r{next(ids)}")
        finally:
            database.close()


def fits(run: Run, wanted: Filter) -> bool:
    if isinstance(wanted, Compare):
        return _fits(run, wanted)
    if isinstance(wanted, Not):
        return not fits(run, wanted.filter)
    assert isinstance(wanted, Every | Either)
    every = (fits(run, one) for one in wanted.filters)
    return any(every) if isinstance(wanted, Either) else all(every)


def _fits(run: Run, wanted: Compare) -> bool:
    compare, literal = _COMPARE[wanted.operator], wanted.literal
    if wanted.field.kind == "metric":
        value = run.metrics.get(wanted.field.key)
        return value is not None and not math.isnan(value) and compare(value, literal)
    if wanted.field.kind == "tag":
        tag = run.tags.get(wanted.field.key)
        return tag is not None and compare(tag, literal)
    if wanted.field.key not in run.params:
        return False
    param = run.params[wanted.field.key]
    if isinstance(literal[0] if isinstance(literal, tuple) else literal, str):
        shown = (
            {True: "true", False: "false", None: "null"}.get(param, str(param))
            if not isinstance(param, float)
            else None
        )
        return shown is not None and compare(shown, literal)
    return isinstance(param, int | float) and not isinstance(param, bool) and compare(param, literal)


_KEYS = st.sampled_from(["a", "b"])
_TEXTS = st.sampled_from(["", "x", "y", "true", "1"])
_NUMBERS = st.sampled_from([-1.5, 0.5, 1.5, math.inf])
_RUNS = st.lists(
    st.tuples(
        st.dictionaries(_KEYS, st.one_of(st.sampled_from([True, None, "x", "1"]), st.sampled_from([0.5, 1.5]))),
        st.dictionaries(_KEYS, st.one_of(_NUMBERS, st.just(math.nan))),
        st.dictionaries(_KEYS, _TEXTS),
    ),
    max_size=6,
)
_OPERATORS = st.sampled_from(sorted(set(_COMPARE) - {"in"}))
_COMPARISONS = st.one_of(
    st.builds("metrics.{} {} {}".format, _KEYS, _OPERATORS, st.sampled_from([-1.5, 0.5, 1.5])),
    st.builds("params.{} {} {}".format, _KEYS, _OPERATORS, st.sampled_from([0.5, 1.5])),
    st.builds(
        "params.{} {} '{}'".format, _KEYS, st.sampled_from(["=", ">", "<="]), st.sampled_from(["x", "true", "1"])
    ),
    st.builds("tags.{} {} '{}'".format, _KEYS, _OPERATORS, _TEXTS),
    st.builds("tags.{} in ('{}', '{}')".format, _KEYS, _TEXTS, _TEXTS),
    st.builds("params.{} not in ({}, {})".format, _KEYS, st.sampled_from([0.5, 1.5]), st.just(-1)),
)
_FILTERS = st.recursive(
    _COMPARISONS,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner), st.builds("not {}".format, inner)
    ),
    max_leaves=6,
)


@settings(max_examples=examples(60), deadline=None)
@given(logged=_RUNS, text=_FILTERS)
def test_a_search_finds_what_a_plain_reading_finds(logged: Any, text: str) -> None:
    if "params" in text and "'" in text:
        # A fraction as text depends on how it is written; the law speaks of words.
        logged = [({k: v for k, v in params.items() if not isinstance(v, float)}, *rest) for params, *rest in logged]
    with fresh() as tracking:
        for params, metrics, tags in logged:
            run = tracking.start_run(NewRun(params=params, tags=tags), "ana")
            tracking.log_metrics(run.id, metrics)
        wanted = parse_filter(text)
        everything = tracking.search(limit=100)
        assert len(everything) == len(logged)
        assert {run.id for run in tracking.search(text)} == {run.id for run in everything if fits(run, wanted)}


@settings(max_examples=examples(20), deadline=None)
@given(points=st.lists(st.tuples(st.integers(-2, 2), st.floats(allow_nan=False), st.integers(1, 3)), max_size=12))
def test_the_last_value_is_that_of_the_last_point_however_points_are_batched(points: Any) -> None:
    with fresh() as tracking:
        together, apart = (tracking.start_run(NewRun(), "ana").id for _ in range(2))
        given_points = [Point("m", value, step, datetime(2026, 1, day, tzinfo=UTC)) for step, value, day in points]
        tracking.log_points(together, given_points)
        for point in given_points:
            tracking.log_points(apart, [point])
        last = max(enumerate(given_points), key=lambda at: (at[1].step, at[1].time, at[0]), default=None)
        expected = {} if last is None else {"m": last[1].value}
        assert tracking.run(together).metrics == tracking.run(apart).metrics == expected
        assert tracking.history(together, "m") == tracking.history(apart, "m")
