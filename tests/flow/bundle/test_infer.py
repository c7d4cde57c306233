"""The schema that is inferred from rows, and the frame that a request becomes: what the code saw in training."""

import math
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import CannotPackage
from holdfast.evidence import Column, FeatureSchema
from holdfast.flow.bundle.infer import groups_in, infer_schema
from holdfast.runtime.rows import Table, read_table, table_of, write_table
from holdfast.runtime.schema import conform, to_container

NINE = datetime(2026, 3, 1, 9)  # noqa: DTZ001 - times without a zone are what many tables hold


def the_column(rows: Any, name: str = "x") -> Column:
    return infer_schema(rows).column(name)


def test_a_pandas_frame_gives_names_dtypes_ranges_and_categories() -> None:
    frame = pd.DataFrame(
        {
            "age": [41.5, 18.0, np.nan],
            "calls": [3, 0, 9],
            "member": [True, False, True],
            "plan": ["plus", "basic", "plus"],
            "churned": [0, 1, 0],
        }
    )
    schema = infer_schema(frame, target="churned")
    assert schema.container == "pandas"
    assert [column.name for column in schema.columns] == ["age", "calls", "member", "plan"]
    assert schema.column("age") == Column("age", "float64", nullable=True, minimum=18.0, maximum=41.5)
    assert schema.column("calls") == Column("calls", "int64", minimum=0.0, maximum=9.0)
    assert schema.column("member") == Column("member", "bool", categories=(False, True))
    plan = schema.column("plan")
    assert (plan.dtype, plan.nullable, plan.categories, plan.enforce) == ("string", False, ("basic", "plus"), False)


SERIES = {
    "float32": pd.Series([1.5, np.nan], dtype="float32"),
    "int8": pd.Series([1, -2], dtype="int8"),
    "uint64": pd.Series([1, 2**64 - 1], dtype="uint64"),
    "nullable integers": pd.Series([1, None, 2**60], dtype="Int64"),
    "nullable small": pd.Series([1, None], dtype="UInt8"),
    "nullable integers, all there": pd.Series([1, 2], dtype="Int32"),
    "nullable floats": pd.Series([0.5, None], dtype="Float64"),
    "nullable flags": pd.Series([True, None, False], dtype="boolean"),
    "flags as objects": pd.Series([True, None, False], dtype=object),
    "flags as objects with nan": pd.Series([True, np.nan, False], dtype=object),
    "numbers as objects": pd.Series([1, None, 2], dtype=object),
    "strings": pd.Series(["a", None, "b"]),
    "strings as objects": pd.Series(["a", None, "b"], dtype=object),
    "strings as objects with nan": pd.Series(["a", np.nan, "b"], dtype=object),
    "string dtype": pd.Series(["a", None, "b"], dtype="string"),
    "arrow integers": pd.Series([1, None], dtype="int64[pyarrow]"),
    "arrow floats": pd.Series([0.5, None], dtype="double[pyarrow]"),
    "arrow flags": pd.Series([True, None], dtype="bool[pyarrow]"),
    "arrow strings": pd.Series(["a", None], dtype="string[pyarrow]"),
    "arrow times": pd.Series([pd.Timestamp("2026-03-01"), None], dtype="timestamp[us][pyarrow]"),
    "categories": pd.Series(pd.Categorical(["b", "a", None], categories=["c", "b", "a"])),
    "ordered categories": pd.Series(pd.Categorical(["low", "high"], categories=["low", "mid", "high"], ordered=True)),
    "categories of numbers": pd.Series(pd.Categorical([3, 1, 3])),
    "times": pd.Series(pd.to_datetime(["2026-03-01T09:00:00.123456", None])),
    "times in nanoseconds": pd.Series(pd.to_datetime(["2026-03-01T09:00:00.123456789"])).astype("datetime64[ns]"),
    "times with a zone": pd.Series(pd.to_datetime(["2026-03-01T09:00+02:00", None], utc=True)).dt.tz_convert(
        "Europe/Rome"
    ),
}


@pytest.mark.parametrize("name", SERIES)
def test_a_request_becomes_the_frame_that_the_code_was_trained_on(name: str) -> None:
    frame = pd.DataFrame({"x": SERIES[name]})
    schema = infer_schema(frame)
    table = conform(schema, read_table(write_table(table_of(frame))))
    found = to_container(schema, table)
    pd.testing.assert_frame_equal(found, frame)
    # And of one row at a time, whichever values it happens to hold.
    for row in range(len(frame)):
        one = to_container(schema, conform(schema, table_of(frame).row(row)))
        pd.testing.assert_frame_equal(one, frame.iloc[[row]].reset_index(drop=True))


def test_an_integer_column_keeps_its_dtype_in_a_request_without_a_gap() -> None:
    schema = infer_schema(pd.DataFrame({"x": pd.Series([1, None], dtype="Int64")}))
    for values in ([1], [None], [1.0, None]):
        found = to_container(schema, conform(schema, Table.of_columns(["x"], [values])))
        assert str(found["x"].dtype) == "Int64"


def test_a_category_has_all_its_categories_in_their_order() -> None:
    frame = pd.DataFrame({"x": pd.Categorical(["b"], categories=["c", "b", "a"])})
    assert the_column(frame).categories == ("c", "b", "a")
    found = to_container(infer_schema(frame), Table.of_columns(["x"], [["a", "unknown", "c"]]))
    assert found["x"].cat.codes.tolist() == [2, -1, 0]


def test_whole_numbers_past_every_exact_float_keep_their_digits_and_their_range() -> None:
    values = [2**53 + 1, 2**63 - 1, -(2**63)]
    frame = pd.DataFrame({"x": np.array(values, dtype="int64")})
    schema = infer_schema(frame).with_column("x", enforce=True)
    column = schema.column("x")
    assert column.minimum is not None
    assert column.maximum is not None
    assert column.minimum <= min(values)
    assert column.maximum >= max(values)
    table = read_table(write_table(table_of(frame)))
    assert table.column("x") == values
    assert to_container(schema, conform(schema, table))["x"].tolist() == values


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_every_training_value_lies_in_the_inferred_range(values: list[int]) -> None:
    schema = infer_schema(pd.DataFrame({"x": np.array(values, dtype="int64")})).with_column("x", enforce=True)
    conform(schema, Table.of_columns(["x"], [values]))


@pytest.mark.parametrize(
    "rows",
    [
        pd.DataFrame({"x": pd.to_timedelta([1], unit="s")}),
        pd.DataFrame({"x": pd.period_range("2026-01", periods=1, freq="M")}),
        pd.DataFrame({"x": pd.arrays.SparseArray([1.0, 0.0])}),
        pd.DataFrame({"x": pd.arrays.IntervalArray.from_tuples([(0, 1)])}),
        pd.DataFrame({"x": np.array([1 + 2j])}),
        pd.DataFrame({"x": pd.Series([[1, 2]])}),
        pd.DataFrame({"x": pd.Series([{"a": 1}])}),
        pd.DataFrame({"x": pd.Series([1, "a"], dtype=object)}),
        pd.DataFrame({"x": pd.Series([True, "a"], dtype=object)}),
        pd.DataFrame({"x": pd.Series([date(2026, 3, 1)], dtype=object)}),
        pd.DataFrame({"x": pd.Series([Decimal("1.5")], dtype=object)}),
        pd.DataFrame({"x": pd.Series([b"x"], dtype=object)}),
        pd.DataFrame({"x": [1.0, np.inf]}),
        pl.DataFrame({"x": [timedelta(seconds=1)]}),
        pl.DataFrame({"x": [date(2026, 3, 1)]}),
        pl.DataFrame({"x": [[1, 2]]}),
        pl.DataFrame({"x": [{"a": 1}]}),
        pl.DataFrame({"x": [Decimal("1.5")]}),
        np.array([["2026-03-01"]], dtype="datetime64[D]"),
        np.array([[1j]]),
        np.array([[1.0], [-np.inf]]),
        [{"x": NINE}],
        [{"x": 1}, {"x": "a"}],
        {"x": [[1], [2]]},
        pa.table({"x": [Decimal("1.5")]}),
        pa.table({"x": [NINE]}),
    ],
    ids=lambda rows: type(rows).__name__,
)  # fmt: skip
def test_a_column_that_a_request_cannot_carry_is_refused_by_its_name(rows: Any) -> None:
    with pytest.raises(CannotPackage, match="column 'x") as error:
        infer_schema(rows)
    assert "features=" in error.value.hint


def test_a_column_that_is_no_feature_may_be_anything() -> None:
    frame = pd.DataFrame({"x": [1.0], "when": pd.to_timedelta([1], unit="s"), "y": [0]})
    assert [column.name for column in infer_schema(frame, features=("x",)).columns] == ["x"]
    assert [column.name for column in infer_schema(frame[["x", "y"]], target="y").columns] == ["x"]


def test_features_are_taken_in_the_order_given_and_must_be_there() -> None:
    frame = pd.DataFrame({"a": [1], "b": [2], "c": [3]})
    assert [column.name for column in infer_schema(frame, features=("c", "a")).columns] == ["c", "a"]
    with pytest.raises(CannotPackage, match="no column d"):
        infer_schema(frame, features=("d",))


def test_a_polars_frame_and_its_times_and_categories() -> None:
    frame = pl.DataFrame(
        {
            "n": pl.Series([1, None], dtype=pl.Int32),
            "x": pl.Series([0.5, 1.5], dtype=pl.Float32),
            "flag": [True, None],
            "word": ["a", None],
            "kind": pl.Series(["b", "a"], dtype=pl.Categorical),
            "level": pl.Series(["low", None], dtype=pl.Enum(["low", "high"])),
            "when": pl.Series([NINE, None], dtype=pl.Datetime("ms")),
            "zoned": pl.Series([NINE, None], dtype=pl.Datetime("us", "UTC")),
        }
    )
    schema = infer_schema(frame)
    assert schema.container == "polars"
    assert [column.dtype for column in schema.columns] == [
        "int32", "float32", "bool", "string", "category", "category", "datetime", "datetime",
    ]  # fmt: skip
    found = to_container(schema, conform(schema, read_table(write_table(table_of(frame)))))
    assert found.schema == frame.schema
    assert found.equals(frame)


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1.5, np.nan], [0.0, 2.0]]), np.array([[1, 2]], dtype="int16"), np.array([[True], [False]]),
        np.array([["a", "bc"]]), np.array([[1.5]], dtype="float32"), np.array([["a", 1, True, None]], dtype=object),
        np.array([["a", np.nan]], dtype=object),
    ],
    ids=lambda array: str(array.dtype),
)  # fmt: skip
def test_an_array_comes_back_as_it_was(array: Any) -> None:
    schema = infer_schema(array)
    assert schema.container == "numpy"
    assert [column.name for column in schema.columns] == [f"x{place}" for place in range(array.shape[1])]
    for rows in (table_of(array), table_of(array).named()):
        found = to_container(schema, conform(schema, rows))
        assert found.dtype == array.dtype
        assert repr(found.tolist()) == repr(array.tolist())


def test_the_target_of_a_bare_array_is_no_feature() -> None:
    schema = infer_schema(np.zeros((2, 3)), target="x2")
    assert [column.name for column in schema.columns] == ["x0", "x1"]


@pytest.mark.parametrize(
    "rows",
    [
        [
            {"age": 41.5, "calls": 3, "plan": "plus", "member": True},
            {"age": None, "calls": 4, "plan": "a", "member": False},
        ],
        {"age": [41.5, None], "calls": [3, 4], "plan": ["plus", "a"], "member": [True, False]},
        pa.table({"age": [41.5, None], "calls": [3, 4], "plan": ["plus", "a"], "member": [True, False]}),
    ],
    ids=["records", "columns", "arrow"],
)
def test_records_and_columns_are_rows_of_plain_values(rows: Any) -> None:
    schema = infer_schema(rows)
    assert schema.container == "rows"
    assert [column.dtype for column in schema.columns] == ["float64", "int64", "string", "bool"]
    assert schema.column("age").nullable
    held = to_container(schema, conform(schema, table_of(rows)))
    assert held[0] == {"age": 41.5, "calls": 3, "plan": "plus", "member": True}
    whole = conform(schema, Table.of_records([{"age": 41, "calls": 3.0, "plan": "x", "member": 1}]))
    assert [type(value) for value in to_container(schema, whole)[0].values()] == [float, int, str, bool]


def test_numpys_own_scalars_are_numbers() -> None:
    rows = [
        {"x": np.float32(0.5), "n": np.int64(2**60), "b": np.bool_(True)},
        {"x": np.float32("nan"), "n": 1, "b": False},
    ]
    schema = infer_schema(rows)
    assert [column.dtype for column in schema.columns] == ["float64", "int64", "bool"]
    assert table_of(rows).columns == ([0.5, None], [2**60, 1], [True, False])
    assert table_of({"n": np.array([2**60])}).columns == ([2**60],)


def test_text_of_many_values_lists_none_of_them() -> None:
    many = pd.DataFrame({"x": [f"id-{number}" for number in range(51)]})
    assert the_column(many).categories == ()
    assert len(the_column(many[:50]).categories) == 50
    assert len(the_column(many.astype("category")).categories) == 51


def test_columns_that_hold_nothing_are_text_or_what_the_frame_says() -> None:
    assert the_column([{"x": None}]) == Column("x", "string", nullable=True)
    column = the_column(pd.DataFrame({"x": [np.nan]}))
    assert (column.dtype, column.minimum) == ("float64", None)


def test_groups_are_flags_and_few_words() -> None:
    frame = pd.DataFrame(
        {
            "plan": ["a", "b"] * 10, "member": [True, False] * 10, "one": ["x"] * 20,
            "many": [f"{n}" for n in range(20)],
            "number": [1, 2] * 10, "churned": ["yes", "no"] * 10, "some": ["a", None] * 10,
        }
    )  # fmt: skip
    assert groups_in(table_of(frame), "churned") == ("plan", "member", "some")
    assert groups_in(table_of(np.zeros((2, 2))), None) == ()


def test_a_schema_of_no_columns_is_possible_and_empty() -> None:
    assert infer_schema(pd.DataFrame({"y": [1]}), target="y") == FeatureSchema("pandas", ())


def test_nan_is_missing_in_every_container() -> None:
    for container in ("pandas", "polars", "numpy", "rows"):
        schema = FeatureSchema(container, (Column("x", "float64", nullable=True),))
        table = conform(schema, Table.of_columns(["x"], [[math.nan, 1.0]]))
        assert table.column("x") == [None, 1.0]
        assert len(to_container(schema, table)) == 2
