"""Checking raw rows against the feature schema, and handing them over in the container the code was written for."""

import math
import re
from collections.abc import Sequence
from datetime import datetime
from textwrap import shorten
from typing import Any

from holdfast.canonical import Json
from holdfast.errors import InvalidInput, MissingExtra
from holdfast.evidence import Column, FeatureSchema
from holdfast.runtime.rows import Table

__all__ = [
    "ORDERED",
    "PYTHON_NAN",
    "PYTHON_NONE",
    "accepts",
    "conform",
    "family",
    "has_zone",
    "limits",
    "shown",
    "to_container",
]


PYTHON_NONE = "object"
PYTHON_NAN = "object, NaN"
"""Python objects, with None or with NaN where a value is missing: code tells the two apart."""

ORDERED = "ordered category"

_NAMED_MAX = 100
"""Columns that an error names for programs; who sends a thousand wrong ones has another problem than their names."""


def conform(schema: FeatureSchema, table: Table) -> Table:
    """The columns of the schema, in its order, each value checked; columns that the schema does not know are left out.

    Raises:
        InvalidInput: a column is missing, or a value has the wrong type, or lies outside an enforced range. The details
            name the column and the first row.
    """
    names = tuple(column.name for column in schema.columns)
    if not table.columns and table.count == 0:
        return Table(names, tuple([] for _ in names), 0)
    if table.names is None:
        if len(table.columns) != len(names):
            raise InvalidInput(
                f"row 0: {len(names)} values were expected, {len(table.columns)} were sent",
                hint=f"Send them in this order: {', '.join(names)}"[:500],
                row=0,
            )
        found: Sequence[list[Json]] = table.columns
    else:
        held = dict(zip(table.names, table.columns, strict=True))
        absent = [column.name for column in schema.columns if column.name not in held and not column.nullable]
        if absent:
            raise _lacking(absent, [name for name in held if name not in names], names)
        found = [held.get(name, [None] * table.count) for name in names]
    return Table(names, tuple(_checked(c, v) for c, v in zip(schema.columns, found, strict=True)), table.count)


def _lacking(absent: list[str], unknown: list[str], names: Sequence[str]) -> InvalidInput:
    """Columns that are not there; and those that are and nobody knows, since one is often the other misspelt."""
    more = f"; sent and not known: {_listed(unknown)}" if unknown else ""
    return InvalidInput(
        f"column {absent[0]!r}: a value was expected in every row, the rows lack {_listed(absent)}{more}",
        hint=shorten(f"This version takes: {', '.join(names)}", 500, placeholder=" …"),
        column=absent[0],
        missing=absent[:_NAMED_MAX],
        unknown=[_plain(name) for name in unknown[:_NAMED_MAX]],
    )


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(_plain(name) for name in names[:10])}{' …' if len(names) > 10 else ''}"  # noqa: PLR2004


def _plain(text: str) -> str:
    """A name out of a request, for a sentence: no longer than any name, and nothing that UTF-8 cannot carry."""
    return text[:128].encode(errors="backslashreplace").decode()


def shown(value: Json) -> str:
    """A value out of a request, for a sentence."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    if isinstance(value, str):
        value = value[:40]
    return "null" if value is None else f"{value!r:.40}"


def accepts(column: Column, value: Json) -> bool:
    """Whether a row may hold this value, which is neither null nor NaN, in this column."""
    try:
        _checked(column, [value])
    except InvalidInput:
        return False
    return True


def _checked(column: Column, values: list[Json]) -> list[Json]:
    checked = values
    exact = _EXACT.get(family(column.dtype))
    for row, value in enumerate(values):
        held = value
        if value is None or value != value:  # noqa: PLR0124 - NaN is the one value that differs from itself
            if not column.nullable:
                raise _refused(column, row, "a value was expected, none was sent")
            held = None
        else:
            misfit = _misfit(column, value)
            if misfit is not None:
                raise _refused(column, row, misfit)
            if column.enforce:
                _enforce(column, row, value)
            if exact is not None:
                held = exact(value)
        if held is not value:
            checked = list(values) if checked is values else checked
            checked[row] = held
    return checked


def _misfit(column: Column, value: Json) -> str | None:
    """Why the column's code could not be handed this value as what it is."""
    kind = family(column.dtype)
    if type(value) not in _KINDS[kind]:
        return f"{_EXPECTED[kind]} was expected, {shown(value)} was sent"
    if kind in {"number", "integer"}:
        if not -math.inf < value < math.inf:
            return "a finite number was expected, infinity was sent"
        if kind == "integer" and type(value) is float and not value.is_integer():
            return f"a whole number was expected, {shown(value)} was sent"
        low, high = limits(column.dtype)
        if not low <= value <= high:
            return f"{shown(value)} does not fit into {column.dtype}"
    if kind == "boolean" and value not in (0, 1):
        return f"true or false was expected, {shown(value)} was sent"
    return _untimely(column, value) if kind == "time" else None


def _untimely(column: Column, value: str) -> str | None:
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return f"a time such as 2026-03-01T09:00:00 was expected, {shown(value)} was sent"
    if column.native is None or (found.tzinfo is not None) == has_zone(column.native):
        return None
    return f"a time {'with' if found.tzinfo is None else 'without'} a zone was expected, {shown(value)} was sent"


def has_zone(native: str) -> bool:
    """Whether times of this native name have a zone, as `datetime64[us, UTC]` and polars' `time_zone='UTC'` do."""
    return "time_zone='" in native if native.startswith("Datetime") else "," in native or "tz=" in native


def family(dtype: str) -> str:
    """What kind of value a dtype is to a request: `number`, `integer`, `boolean`, `text`, `time` or `any`."""
    if dtype.startswith("float"):
        return "number"
    if dtype.startswith(("int", "uint")):
        return "integer"
    return {"bool": "boolean", "datetime": "time", "string": "text"}.get(dtype, "any")


def limits(dtype: str) -> tuple[float, float]:
    """The least and the greatest number that fits into the dtype of a `number` or an `integer`."""
    return _LIMITS.get(dtype, _LIMITS["float64" if family(dtype) == "number" else "int64"])


_KINDS: dict[str, set[type]] = {
    "number": {int, float},
    "integer": {int, float},
    "boolean": {bool, int},
    "text": {str},
    "time": {str},
    "any": {str, int, float, bool},
}
_LIMITS: dict[str, tuple[float, float]] = {
    "float16": (-65504.0, 65504.0),
    "float32": (-3.4028234663852886e38, 3.4028234663852886e38),
    "float64": (-1.7976931348623157e308, 1.7976931348623157e308),
    **{f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
}
"""What fits into a dtype; past it NumPy would wrap around, overflow to infinity or raise."""

_EXACT: dict[str, type] = {"number": float, "integer": int, "boolean": bool}
"""What a value is, once it is known to mean that: 41 in a column of floats is 41.0, and 1 among flags is true."""

_EXPECTED = {
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "text": "a string",
    "time": "a time as text",
    "any": "a string, number or boolean",
}


def _enforce(column: Column, row: int, value: Json) -> None:
    if column.categories and value not in column.categories:
        raise _refused(column, row, f"{shown(value)} is none of {list(column.categories)[:20]}")
    if isinstance(value, str):
        return
    if column.minimum is not None and value < column.minimum:
        raise _refused(column, row, f"{shown(value)} is below {column.minimum}")
    if column.maximum is not None and value > column.maximum:
        raise _refused(column, row, f"{shown(value)} is above {column.maximum}")


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
    import pandas as pd

    # What a column is depends on the schema alone, never on which values one request happens to hold.
    columns = {
        column.name: _series(column, values) for column, values in zip(schema.columns, table.columns, strict=True)
    }
    return pd.DataFrame(columns, copy=False)


def _series(column: Column, values: list[Json]) -> Any:
    import numpy as np
    import pandas as pd

    kind, native = family(column.dtype), column.native
    if column.dtype == "category":
        known = list(column.categories)
        # A category that training never saw is what it would have been there: missing.
        held = [value if value in known else None for value in values]
        return pd.Categorical(held, categories=known, ordered=native == ORDERED)
    if kind == "time":
        times = pd.to_datetime(pd.Series(values, dtype=object), format="ISO8601", utc=has_zone(native or ""))
        return times if native is None else times.astype(native)
    if native in {PYTHON_NONE, PYTHON_NAN}:
        missing = np.nan if native == PYTHON_NAN else None
        return pd.Series([missing if value is None else value for value in values], dtype=object)
    if native is not None:
        return pd.Series(values, dtype=native)
    if kind == "number" or (kind in {"integer", "boolean"} and not column.nullable):
        return np.array(values, dtype=column.dtype)
    if kind in {"integer", "boolean"}:
        return pd.Series(values, dtype="boolean" if kind == "boolean" else _nullable(column.dtype))
    return pd.Series(values, dtype=object if int(pd.__version__.partition(".")[0]) < 3 else "str")  # noqa: PLR2004


def _nullable(dtype: str) -> str:
    """`Int64` for `int64`, `UInt8` for `uint8`: the dtypes of pandas that can hold a missing whole number."""
    return dtype.replace("int", "Int").replace("u", "U")


def _polars(schema: FeatureSchema, table: Table) -> Any:
    import polars as pl

    kinds: dict[str, Any] = {"bool": pl.Boolean, "string": pl.String, "float32": pl.Float32, "float64": pl.Float64}
    for bits in (8, 16, 32, 64):
        kinds[f"int{bits}"] = getattr(pl, f"Int{bits}")
        kinds[f"uint{bits}"] = getattr(pl, f"UInt{bits}")
    held = []
    for column, values in zip(schema.columns, table.columns, strict=True):
        if column.dtype == "category":
            names = [name if name in column.categories else None for name in values]
            kind = pl.Enum(list(column.categories)) if column.native == "Enum" else pl.Categorical
            held.append(pl.Series(column.name, names, dtype=kind))
        elif column.dtype == "datetime":
            times = [None if value is None else datetime.fromisoformat(value) for value in values]
            held.append(pl.Series(column.name, times, dtype=_polars_time(column.native or "")))
        else:
            held.append(pl.Series(column.name, values, dtype=kinds.get(column.dtype), strict=False))
    return pl.DataFrame(held)


def _polars_time(native: str) -> Any:
    import polars as pl

    unit, zone = re.search("time_unit='([a-z]+)'", native), re.search("time_zone='([^']+)'", native)
    return pl.Datetime(unit[1] if unit else "us", zone[1] if zone else None)  # type: ignore[arg-type]  # ns, us or ms


def _numpy(schema: FeatureSchema, table: Table) -> Any:
    import numpy as np

    dtypes, families = {column.dtype for column in schema.columns}, {family(c.dtype) for c in schema.columns}
    held = np.empty((table.count, len(schema.columns)), dtype=object)
    for place, values in enumerate(table.columns):
        held[:, place] = values
    if any(column.native in {PYTHON_NONE, PYTHON_NAN} for column in schema.columns):
        if any(column.native == PYTHON_NAN for column in schema.columns):
            held[held == None] = np.nan  # noqa: E711 - compared element by element
        return held
    if families <= {"text"} and not any(column.nullable for column in schema.columns):
        return held.astype(str)
    return held.astype(np.result_type(*dtypes)) if families <= {"number", "integer", "boolean"} else held
