"""Tables of raw rows: one table, however its rows are held."""

import math
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.canonical import Reader
from holdfast.errors import InvalidInput, TooLarge, UnsupportedFormat
from holdfast.runtime import rows
from holdfast.runtime.rows import Table, container_of, read_table, table_of, write_table

value = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53) + 1, 2**53 - 1), st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> Table:
    width, count = draw(st.integers(0, 4)), draw(st.integers(0, 5))
    columns = [draw(st.lists(value, min_size=count, max_size=count)) for _ in range(width)]
    names = draw(st.one_of(st.none(), st.lists(st.text(max_size=5), min_size=width, max_size=width, unique=True)))
    return Table.of_columns(names, columns)


@given(tables())
def test_a_frozen_table_read_back_is_the_table(table: Table) -> None:
    assert read_table(write_table(table)) == table


@given(tables())
def test_a_table_survives_its_json(table: Table) -> None:
    found = Table.from_json(Reader(table.to_json(), "table"))
    assert found.columns == table.columns
    assert found.names == table.names


@given(st.lists(st.tuples(st.floats(0, 100), st.text("ab", max_size=3)), min_size=1))
def test_the_same_rows_are_the_same_table_in_every_container(rows: list[tuple[float, str]]) -> None:
    records = [{"age": age, "plan": plan} for age, plan in rows]
    expected = Table.of_records(records)
    columns = {name: [record[name] for record in records] for name in ("age", "plan")}
    for held in (records, columns, pd.DataFrame(records), pl.DataFrame(columns), pl.DataFrame(columns).to_arrow()):
        assert table_of(held) == expected, type(held)


def test_an_array_has_columns_without_names() -> None:
    table = table_of(np.array([[1.5, 2.5], [3.5, 4.5]]))
    assert (table.names, table.columns, table.count) == (None, ([1.5, 3.5], [2.5, 4.5]), 2)


def test_missing_values_are_none_and_times_are_text() -> None:
    frame = pd.DataFrame({"x": [1.0, math.nan], "t": pd.to_datetime(["2026-01-02", None])})
    table = table_of(frame)
    assert table.column("x") == [1.0, None]
    assert table.column("t") == ["2026-01-02T00:00:00", None]


def test_columns_are_found_left_out_and_cut_to_one_row() -> None:
    table = Table.of_records([{"a": 1, "b": 2}, {"a": 3}])
    assert table.column("b") == [2, None]
    assert table.without("a").names == ("b",)
    assert table.without("c") is table
    assert table.row(1).columns == ([3], [None])
    with pytest.raises(InvalidInput, match="'c'"):
        table.column("c")


@pytest.mark.parametrize(
    "build",
    [
        lambda: Table.of_columns(["a", "b"], [[1], [1, 2]]),
        lambda: Table.of_columns(["a", "a"], [[1], [2]]),
        lambda: Table.of_columns(["a"], [[1], [2]]),
        lambda: Table.of_arrays([[1, 2], [3]]),
        lambda: Table.of_arrays([1, 2]),  # type: ignore[list-item]
        lambda: Table.of_records([1]),  # type: ignore[list-item]
        lambda: table_of("rows"),
        lambda: table_of(3),
    ],
)
def test_what_is_no_table_is_refused(build: Any) -> None:
    with pytest.raises(InvalidInput):
        build()


def test_rows_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "ROWS_MAX", 3)
    with pytest.raises(TooLarge):
        Table.of_arrays([[1]] * 4)


@pytest.mark.parametrize("data", [b"", b"{}", b'{"format":"holdfast.rows","format_version":"2.0","columns":[]}'])
def test_other_documents_are_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedFormat):
        read_table(data)


def test_containers_are_recognised_without_importing_them() -> None:
    assert container_of(pd.DataFrame()) == "pandas"
    assert container_of(pl.DataFrame()) == "polars"
    assert container_of(np.zeros((1, 1))) == "numpy"
    assert container_of([]) == "rows"
