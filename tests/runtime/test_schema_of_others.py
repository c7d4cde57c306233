"""Values that almost fit a schema: what NumPy would wrap around, overflow, or raise about."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from holdfast.errors import InvalidInput
from holdfast.evidence import Column, FeatureSchema
from holdfast.runtime.rows import Table
from holdfast.runtime.schema import conform, to_container


def checked(column: Column, *values: Any) -> list[Any]:
    return conform(FeatureSchema("rows", (column,)), Table.of_columns([column.name], [list(values)])).column(
        column.name
    )


@pytest.mark.parametrize(
    ("dtype", "fits", "does_not"),
    [
        ("int8", [-128, 127, 5.0], [128, -129, 1e300, 300.0]),
        ("uint8", [0, 255], [-1, 256, -0.5]),
        ("int64", [2**63 - 1, -(2**63)], [2**63, 10**400, -(10**30)]),
        ("uint64", [2**64 - 1, 0], [2**64, -1]),
        ("float32", [3.4e38, 1], [3.5e38, -1e39, 10**300]),
        ("float16", [65504], [65505]),
        ("float64", [1.7e308, 2**64], [10**400, -(10**400)]),
        ("bool", [True, False, 0, 1], [2, -1, 0.0, 1.0, "true"]),
        ("string", ["", "x"], [1, True, 0.5, ["x"], {}]),
        ("category", ["x", 1, True], [["x"], {"a": 1}]),
        (
            "datetime",
            ["2026-03-01", "2026-03-01T09:00:00.123456789", "2026-03-01T09:00+02:00"],
            ["soon", "", "2026-13-01", 1700000000],
        ),
    ],
)
def test_a_dtype_takes_what_it_can_hold_and_nothing_else(dtype: str, fits: list[Any], does_not: list[Any]) -> None:
    column = Column("x", dtype)
    for value in fits:
        checked(column, value)
    for value in does_not:
        with pytest.raises(InvalidInput) as error:
            checked(column, fits[0], value)
        assert error.value.details == {"column": "x", "row": 1}
        assert len(error.value.message) < 200


def test_a_value_becomes_exactly_what_the_column_says() -> None:
    for dtype, value, exact in (("float64", 41, 41.0), ("int64", 3.0, 3), ("bool", 1, True), ("bool", 0, False)):
        (found,) = checked(Column("x", dtype), value)
        assert found == exact
        assert type(found) is type(exact)
    values = [0.5, 1.5]
    column = Column("x", "float64")
    assert conform(FeatureSchema("rows", (column,)), Table.of_columns(["x"], [values])).columns[0] is values


def test_nan_is_a_missing_value_and_never_a_number() -> None:
    for dtype in ("float64", "int64", "bool", "string", "category", "datetime"):
        assert checked(Column("x", dtype, nullable=True), math.nan) == [None]
        with pytest.raises(InvalidInput, match="none was sent"):
            checked(Column("x", dtype), math.nan)


@pytest.mark.parametrize(
    ("native", "good", "bad"),
    [
        ("datetime64[us]", "2026-03-01T09:00", "2026-03-01T09:00Z"),
        ("datetime64[ns, UTC]", "2026-03-01T09:00+00:00", "2026-03-01T09:00"),
        ("Datetime(time_unit='us', time_zone=None)", "2026-03-01", "2026-03-01T00:00+01:00"),
        ("Datetime(time_unit='us', time_zone='UTC')", "2026-03-01T00:00Z", "2026-03-01"),
        ("timestamp[us, tz=UTC][pyarrow]", "2026-03-01T00:00Z", "2026-03-01"),
    ],
)
def test_a_time_has_a_zone_where_training_had_one(native: str, good: str, bad: str) -> None:
    column = Column("x", "datetime", native=native)
    assert checked(column, good) == [good]
    with pytest.raises(InvalidInput, match="a zone was expected"):
        checked(column, bad)


def test_what_is_enforced_is_refused_by_name_and_row() -> None:
    number = Column("age", "int64", minimum=18, maximum=99, enforce=True)
    plan = Column("plan", "category", categories=("basic", "plus"), enforce=True)
    assert checked(number, 18, 99) == [18, 99]
    for value, says in ((17, "below 18"), (100, "above 99")):
        with pytest.raises(InvalidInput, match=says):
            checked(number, value)
    with pytest.raises(InvalidInput, match="'gold' is none of"):
        checked(plan, "basic", "gold")
    assert checked(replace(plan, enforce=False), "gold") == ["gold"]
    assert checked(replace(plan, nullable=True), None) == [None]
    assert checked(Column("x", "category", minimum=3.0, enforce=True), "word", 4) == ["word", 4]


def test_no_rows_fit_every_schema_and_rows_without_fields_fit_none() -> None:
    schema = FeatureSchema("pandas", (Column("a", "float64"), Column("b", "string", nullable=True)))
    assert conform(schema, Table.of_arrays([])).count == 0
    assert conform(schema, Table.of_records([])).columns == ([], [])
    with pytest.raises(InvalidInput, match="lack a"):
        conform(schema, Table.of_records([{}]))
    loose = FeatureSchema("pandas", (Column("b", "string", nullable=True),))
    assert conform(loose, Table.of_records([{}, {}])).columns == ([None, None],)


def test_a_category_that_training_never_saw_is_missing_where_it_becomes_a_category() -> None:
    schema = FeatureSchema("pandas", (Column("plan", "category", categories=("basic", "plus")),))
    frame = to_container(schema, conform(schema, Table.of_columns(["plan"], [["plus", "gold"]])))
    assert frame["plan"].cat.codes.tolist() == [1, -1]


def test_a_column_without_a_native_dtype_is_read_as_it_always_was() -> None:
    columns = (
        Column("f", "float64", nullable=True), Column("i", "int64"), Column("ni", "int64", nullable=True),
        Column("b", "bool"), Column("nb", "bool", nullable=True), Column("s", "string", nullable=True), Column("t",
        "datetime"),
    )  # fmt: skip
    schema = FeatureSchema("pandas", columns)
    row = {"f": None, "i": 1, "ni": None, "b": True, "nb": None, "s": "x", "t": "2026-03-01"}
    frame = to_container(schema, conform(schema, Table.of_records([row])))
    kinds = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    assert kinds["f"] == "float64"
    assert (kinds["i"], kinds["ni"], kinds["b"], kinds["nb"]) == ("int64", "Int64", "bool", "boolean")
    assert kinds["t"].startswith("datetime64")
    assert frame["s"].tolist() == ["x"]
    assert np.isnan(frame["f"][0])
    assert isinstance(frame, pd.DataFrame)


def test_an_array_of_one_kind_is_of_that_kind_and_a_mixed_one_widens() -> None:
    def array(*dtypes: str, values: list[Any]) -> Any:
        schema = FeatureSchema("numpy", tuple(Column(f"x{i}", dtype, nullable=True) for i, dtype in enumerate(dtypes)))
        return to_container(schema, conform(schema, Table.of_arrays([values])))

    assert array("float64", "int64", values=[0.5, 3]).dtype == np.float64
    assert array("int8", "int8", values=[1, 2]).dtype == np.int8
    assert array("float64", values=[None]).dtype == np.float64
    assert array("string", "float64", values=["a", None]).dtype == object
