"""The feature schema: what is let through, what is refused, and what the code is handed."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import InvalidInput
from holdfast.evidence import Column, FeatureSchema
from holdfast.runtime.rows import Table
from holdfast.runtime.schema import conform, to_container

SCHEMA = FeatureSchema(
    "pandas",
    (
        Column("age", "float64", minimum=0.0, maximum=120.0, enforce=True),
        Column("calls", "int64"),
        Column("plan", "category", categories=("basic", "plus"), enforce=True),
        Column("note", "string", nullable=True),
        Column("member", "bool"),
    ),
)
GOOD: dict[str, Any] = {"age": 41.0, "calls": 3, "plan": "plus", "note": None, "member": True}


def table(**changes: Any) -> Table:
    return Table.of_records([GOOD, {**GOOD, **changes}])


def test_columns_come_in_the_order_of_the_schema_and_strangers_are_left_out() -> None:
    shuffled = Table.of_records([{"stranger": 1, **dict(reversed(GOOD.items()))}])
    found = conform(SCHEMA, shuffled)
    assert found.names == tuple(GOOD)
    assert [column[0] for column in found.columns] == list(GOOD.values())


def test_rows_without_names_are_taken_by_position() -> None:
    assert conform(SCHEMA, Table.of_arrays([list(GOOD.values())])).names == tuple(GOOD)
    with pytest.raises(InvalidInput, match="5 values were expected, 1 were sent"):
        conform(SCHEMA, Table.of_arrays([[1.0]]))


def test_a_column_that_may_be_absent_is_filled_and_another_is_asked_for() -> None:
    rows = {key: value for key, value in GOOD.items() if key != "note"}
    assert conform(SCHEMA, Table.of_records([rows])).column("note") == [None]
    with pytest.raises(InvalidInput) as refused:
        conform(SCHEMA, Table.of_records([{"note": "x"}]))
    assert refused.value.details["missing"] == ["age", "calls", "plan", "member"]


@pytest.mark.parametrize(
    "changes",
    [
        {"age": "41"},
        {"age": None},
        {"age": math.nan},
        {"age": math.inf},
        {"age": True},
        {"age": 121},
        {"age": -0.5},
        {"calls": 2.5},
        {"calls": math.inf},
        {"calls": "2"},
        {"plan": "gold"},
        {"plan": ["plus"]},
        {"note": 3},
        {"member": "yes"},
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_place(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        conform(SCHEMA, table(**changes))
    assert (refused.value.details["column"], refused.value.details["row"]) == (next(iter(changes)), 1)


@pytest.mark.parametrize("changes", [{"age": 41}, {"calls": 3.0}, {"member": 1}, {"note": "x"}, {"age": 0}])
def test_a_value_that_means_the_same_is_let_through(changes: dict[str, Any]) -> None:
    assert conform(SCHEMA, table(**changes)).count == 2


def test_a_range_that_is_not_enforced_lets_everything_through() -> None:
    loose = SCHEMA.with_column("age", enforce=False)
    assert conform(loose, table(age=500.0)).column("age") == [41.0, 500.0]


@given(st.lists(st.fixed_dictionaries({"x": st.floats(-1e9, 1e9), "n": st.integers(-(2**31), 2**31)}), min_size=1))
def test_every_container_holds_the_same_values(records: list[dict[str, Any]]) -> None:
    schema = FeatureSchema("rows", (Column("x", "float64"), Column("n", "int64")))
    checked = conform(schema, Table.of_records(records))
    assert to_container(schema, checked) == records
    frame = to_container(replace(schema, container="pandas"), checked)
    assert isinstance(frame, pd.DataFrame)
    assert frame.to_dict("records") == records
    assert list(frame.dtypes) == [np.dtype("float64"), np.dtype("int64")]
    polars = to_container(replace(schema, container="polars"), checked)
    assert isinstance(polars, pl.DataFrame)
    assert polars.to_dicts() == records
    array = to_container(replace(schema, container="numpy"), checked)
    assert array.tolist() == [[record["x"], record["n"]] for record in records]


def test_categories_keep_their_order_in_pandas() -> None:
    frame = to_container(SCHEMA, conform(SCHEMA, table()))
    assert list(frame["plan"].cat.categories) == ["basic", "plus"]
    assert frame["member"].dtype == bool
    assert frame["note"].isna().all()
