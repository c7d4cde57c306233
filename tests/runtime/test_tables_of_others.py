"""Tables in the shapes that other people hold them in, the odd ones above all."""

import collections
import enum
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from holdfast.canonical import Reader
from holdfast.errors import HoldfastError, InvalidInput
from holdfast.runtime.rows import Table, read_table, table_of, write_table


def test_a_frame_that_names_a_column_twice_is_refused() -> None:
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(InvalidInput, match="column names"):
        table_of(frame)
    with pytest.raises(InvalidInput, match="column names"):
        table_of(pd.DataFrame([[1, 2]], columns=[1, "1"]))
    with pytest.raises(InvalidInput):
        table_of(pa.table([[1], [2]], names=["a", "a"]))


@pytest.mark.parametrize(
    ("series", "values"),
    [
        (pd.Series([True, None, False], dtype=object), [True, None, False]),
        (pd.Series([True, None], dtype="boolean"), [True, None]),
        (pd.Series([1, None], dtype="Int64"), [1, None]),
        (pd.Series([2**63 - 1, None], dtype="Int64"), [2**63 - 1, None]),
        (pd.Series([2**53 + 1], dtype="int64"), [2**53 + 1]),
        (pd.Series([2**64 - 1], dtype="uint64"), [2**64 - 1]),
        (pd.Series([1.0, 2.0]), [1.0, 2.0]),
        (pd.Series([0.5, None], dtype="Float64"), [0.5, None]),
        (pd.Series(["a", None]), ["a", None]),
        (pd.Series(["a", np.nan], dtype=object), ["a", None]),
        (pd.Series(["a", pd.NA], dtype="string"), ["a", None]),
        (pd.Series(["b", None], dtype="category"), ["b", None]),
        (pd.Series([3, 1], dtype="category"), [3, 1]),
        (pd.Series([pd.Timestamp("2026-03-01 09:00"), pd.NaT]), ["2026-03-01T09:00:00", None]),
        (pd.Series([pd.Timestamp("2026-03-01 09:00", tz="UTC")]), ["2026-03-01T09:00:00+00:00"]),
        (pd.Series([pd.Timestamp("2026-03-01T00:00:00.000000001")]), ["2026-03-01T00:00:00.000000001"]),
        (pd.Series([date(2026, 3, 1), None], dtype=object), ["2026-03-01", None]),
        (pd.Series([np.inf, -np.inf, np.nan]), ["inf", "-inf", None]),
        (pd.Series([Decimal("1.5"), None], dtype=object), [1.5, None]),
        (pd.Series([np.float32("nan"), np.float32(0.5)], dtype=object), [None, 0.5]),
        (pd.Series([np.datetime64("2026-03-01"), np.datetime64("NaT")], dtype=object), ["2026-03-01", None]),
        (pd.Series([[1, 2], {"a": 1}], dtype=object), [[1, 2], {"a": 1}]),
        (pd.Series([1, None], dtype="int64[pyarrow]"), [1, None]),
    ],
    ids=lambda value: str(getattr(value, "dtype", ""))[:20],
)  # fmt: skip
def test_a_column_of_every_dtype_has_its_values(series: Any, values: list[Any]) -> None:
    table = table_of(pd.DataFrame({"x": series}))
    assert table.column("x") == values
    assert [type(found) for found in table.column("x")] == [type(value) for value in values]
    assert read_table(write_table(table)) == table


def test_an_index_is_no_column_and_rows_keep_their_order() -> None:
    frame = pd.DataFrame({"x": [1, 2, 3]}, index=[9, 9, 1])
    assert table_of(frame).columns == ([1, 2, 3],)
    assert table_of(frame["x"]).names == ("x",)


def test_records_may_differ_in_their_fields_and_values_in_their_types() -> None:
    class Plan(enum.StrEnum):
        PLUS = "plus"

    row = collections.OrderedDict(
        age=np.int64(41), plan=Plan.PLUS, score=np.float32(0.5), when=datetime(2026, 3, 1, tzinfo=UTC)
    )
    table = table_of((row, {"plan": None, "extra": pd.NA}))
    assert table.names == ("age", "plan", "score", "when", "extra")
    assert table.columns == ([41, None], ["plus", None], [0.5, None], ["2026-03-01T00:00:00+00:00", None], [None, None])
    assert type(table.column("plan")[0]) is str


def test_rows_without_columns_are_still_counted() -> None:
    assert table_of([{}, {}]).count == 2
    assert table_of(pd.DataFrame(index=range(3))).count == 3
    assert table_of(np.zeros((4, 0))).count == 4
    assert table_of([[], []]).count == 2
    assert table_of([]).count == 0


@pytest.mark.parametrize(
    "rows",
    [
        None, 3, "abc", b"abc", object(), iter([]), {1, 2}, [1, 2], ["abc", "def"], [b"ab"], [{"a": 1}, 3],
        [{"a": 1}, None],
        [[1], {"a": 1}], [[1], "b"], [[1], [1, 2]], {"a": 1}, {"a": "abc"}, {"a": {"b": 1}}, {"a": [1], "b": [1, 2]},
        np.zeros(3), np.zeros((2, 2, 2)), np.array(3), pl.DataFrame({"a": [1]}).lazy(), pl.Series([1]),
        pa.chunked_array([[1]]),
        np.array([(1, "a")], dtype=[("n", "i8"), ("s", "U1")]),
    ],
    ids=lambda rows: type(rows).__name__,
)  # fmt: skip
def test_what_is_no_table_is_refused_with_what_would_be_one(rows: Any) -> None:
    with pytest.raises(InvalidInput) as error:
        table_of(rows)
    assert error.value.hint


def test_lists_of_arrays_are_rows() -> None:
    assert table_of([np.array([1.5, 2.0]), (3, 4)]).columns == ([1.5, 3], [2.0, 4])
    assert table_of({"a": np.array([1, 2]), "b": pd.Series(["x", None]), "c": range(2)}).columns == (
        [1, 2],
        ["x", None],
        [0, 1],
    )


@pytest.mark.parametrize("value", ["\ud800", float("nan"), object(), b"x"])
def test_what_json_cannot_carry_is_not_written(value: Any) -> None:
    with pytest.raises(InvalidInput, match="JSON cannot carry"):
        write_table(Table.of_columns(["x"], [[value]]))


@pytest.mark.parametrize("columns", [["abc"], [3], [None], "abc", [[1], {"a": 1}], None, {"a": [1]}])
def test_a_frozen_table_with_other_columns_is_refused(columns: Any) -> None:
    with pytest.raises(HoldfastError):
        Table.from_json(Reader({"names": None, "columns": columns}, "rows"))


def test_columns_get_names_only_where_they_have_none() -> None:
    table = table_of(np.zeros((1, 2)))
    assert table.named().names == ("x0", "x1")
    assert table.named().named() == table.named()
    named = Table.of_records([{"a": 1}])
    assert named.named() is named
