"""Checking raw rows against the feature schema, and handing them over in the container the code was written for."""

import math
from collections.abc import Sequence
from typing import Any

from holdfast.canonical import Json
from holdfast.errors import InvalidInput, MissingExtra
from holdfast.evidence import Column, FeatureSchema
from holdfast.runtime.rows import Table

__all__ = ["conform", "to_container"]


def conform(schema: FeatureSchema, table: Table) -> Table:
    """The columns of the schema, in its order, each value checked; columns that the schema does not know are left out.

    Raises:
        InvalidInput: a column is missing, or a value has the wrong type, or lies outside an enforced range. The details
            name the column and the first row.
    """
    names = tuple(column.name for column in schema.columns)
    if table.names is None:
        if len(table.columns) != len(names):
            raise InvalidInput(
                f"the rows have {len(table.columns)} values each; this version takes {len(names)}",
                hint=f"Send them in this order: {', '.join(names)}"[:500],
            )
        found: Sequence[list[Json]] = table.columns
    else:
        held = dict(zip(table.names, table.columns, strict=True))
        absent = [column.name for column in schema.columns if column.name not in held and not column.nullable]
        if absent:
            raise InvalidInput(
                f"the rows lack {', '.join(absent[:10])}{' …' if len(absent) > 10 else ''}",  # noqa: PLR2004
                hint=f"This version takes: {', '.join(names)}"[:500],
                missing=absent,
            )
        found = [held.get(name, [None] * table.count) for name in names]
    return Table(names, tuple(_checked(c, v) for c, v in zip(schema.columns, found, strict=True)), table.count)


def _checked(column: Column, values: list[Json]) -> list[Json]:
    family = _family(column.dtype)
    kinds = _KINDS[family]
    for row, value in enumerate(values):
        if value is None or value != value:  # noqa: PLR0124 - NaN is the one value that differs from itself
            if not column.nullable:
                raise _refused(column, row, "a value was expected, none was sent")
        elif type(value) not in kinds:
            raise _refused(column, row, f"{_EXPECTED[family]} was expected, {value!r:.40} was sent")
        elif type(value) is float and math.isinf(value):
            raise _refused(column, row, "a finite number was expected, infinity was sent")
        elif family == "integer" and type(value) is float and not value.is_integer():
            raise _refused(column, row, f"a whole number was expected, {value!r} was sent")
        elif column.enforce:
            _enforce(column, row, value)
    return values


def _family(dtype: str) -> str:
    if dtype.startswith("float"):
        return "number"
    if dtype.startswith(("int", "uint")):
        return "integer"
    return {"bool": "boolean", "datetime": "text", "string": "text"}.get(dtype, "any")


_KINDS: dict[str, set[type]] = {
    "number": {int, float},
    "integer": {int, float},
    "boolean": {bool, int},
    "text": {str},
    "any": {str, int, float, bool},
}
_EXPECTED = {
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "text": "a string",
    "any": "a string, number or boolean",
}


def _enforce(column: Column, row: int, value: Json) -> None:
    if column.categories and value not in column.categories:
        raise _refused(column, row, f"{value!r:.40} is none of {list(column.categories)[:20]}")
    if column.minimum is not None and value < column.minimum:
        raise _refused(column, row, f"{value!r} is below {column.minimum}")
    if column.maximum is not None and value > column.maximum:
        raise _refused(column, row, f"{value!r} is above {column.maximum}")


def _refused(column: Column, row: int, what: str) -> InvalidInput:
    return InvalidInput(
        f"column {column.name!r}, row {row}: {what}",
        hint="Compare the request with the schema in: holdfast show --json",
        column=column.name,
        row=row,
    )


def to_container(schema: FeatureSchema, table: Table) -> Any:
    """The checked rows in the schema's container: a pandas or polars frame, a NumPy array, or a list of dicts.

    Raises:
        MissingExtra: the library of the container is not installed.
    """
    try:
        match schema.container:
            case "pandas":
                return _pandas(schema, table)
            case "polars":
                return _polars(schema, table)
            case "numpy":
                return _numpy(schema, table)
    except ImportError as error:
        raise MissingExtra(
            f"this version takes its rows in {schema.container}, which is not installed",
            hint=f"Install it: pip install {schema.container}",
        ) from error
    names = table.names or ()
    return [dict(zip(names, row, strict=True)) for row in zip(*table.columns, strict=True)]


def _pandas(schema: FeatureSchema, table: Table) -> Any:
    import numpy as np
    import pandas as pd

    columns: dict[str, Any] = {}
    for column, values in zip(schema.columns, table.columns, strict=True):
        match _family(column.dtype):
            case "number":
                columns[column.name] = np.array(values, dtype=column.dtype)
            case "integer" | "boolean" if None not in values:
                columns[column.name] = np.array(values, dtype=column.dtype)
            case _ if column.dtype == "category":
                columns[column.name] = pd.Categorical(values, categories=list(column.categories))
            case _ if column.dtype == "datetime":
                columns[column.name] = pd.to_datetime(pd.Series(values))
            case _:
                columns[column.name] = pd.Series(values)
    return pd.DataFrame(columns, copy=False)


def _polars(schema: FeatureSchema, table: Table) -> Any:
    import polars as pl

    kinds: dict[str, Any] = {
        "bool": pl.Boolean,
        "string": pl.String,
        "category": pl.String,
        "datetime": pl.String,
    }
    for bits in (8, 16, 32, 64):
        kinds[f"int{bits}"] = getattr(pl, f"Int{bits}")
        kinds[f"uint{bits}"] = getattr(pl, f"UInt{bits}")
    kinds |= {"float32": pl.Float32, "float64": pl.Float64}
    return pl.DataFrame(
        [
            pl.Series(column.name, values, dtype=kinds.get(column.dtype), strict=False)
            for column, values in zip(schema.columns, table.columns, strict=True)
        ]
    )


def _numpy(schema: FeatureSchema, table: Table) -> Any:
    import numpy as np

    rows = list(zip(*table.columns, strict=True))
    dtype = schema.columns[0].dtype if schema.columns else "float64"
    return np.array(rows, dtype=None if _family(dtype) in {"text", "any"} else dtype)
