"""Inferring the feature schema from rows; the result is a value that its owner may edit before it is pinned."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.canonical import Json, plain
from holdfast.errors import CannotPackage
from holdfast.evidence import Column, FeatureSchema
from holdfast.runtime.rows import Table, container_of, table_of
from holdfast.runtime.schema import ORDERED, PYTHON_NAN, PYTHON_NONE

__all__ = ["groups_in", "infer_schema"]

_CATEGORIES_MAX = 50
"""A column with more different strings than this is text or an identifier, and its values are not worth listing."""

_DTYPES = {"bool", "string", "category", "datetime", "float16", "float32", "float64"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
"""What a request in JSON can carry and every container can hold."""

_GROUPS_MAX = 10
"""A column with more values than this cuts a holdout into groups too small to judge."""


def infer_schema(rows: Any, *, target: str | None = None, features: tuple[str, ...] | None = None) -> FeatureSchema:
    """The schema of `rows`: names, dtypes, whether values may be missing, ranges, categories.

    Args:
        rows: a frame, an array of two dimensions, records or columns.
        target: the column that is the answer and no feature.
        features: the columns that are features; all but the target by default.

    Raises:
        CannotPackage: a column holds values that JSON cannot carry.
    """
    table = table_of(rows).named()
    names = table.names or ()
    chosen = tuple(name for name in names if name != target) if features is None else features
    absent = [name for name in chosen if name not in names]
    if absent:
        raise CannotPackage(f"the rows have no column {', '.join(absent)}", hint=f"They have: {', '.join(names)}"[:500])
    columns = tuple(_column(name, _kind(rows, name, names.index(name)), table.column(name)) for name in chosen)
    return FeatureSchema(container_of(rows), columns)


def groups_in(table: Table, target: str | None) -> tuple[str, ...]:
    """The columns that split the rows into a few groups: flags and categories, but not the target."""
    if table.names is None:
        return ()
    found = []
    for name, values in zip(table.names, table.columns, strict=True):
        kinds = {type(value) for value in values if value is not None}
        different = len(set(values)) if kinds <= {str, bool} else 0
        if name != target and kinds and 1 < different <= _GROUPS_MAX:
            found.append(name)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a column is: the schema's dtype, the container's own name where that says more, and known categories."""

    dtype: str
    native: str | None = None
    categories: tuple[Json, ...] | None = None


def _kind(rows: Any, name: str, place: int) -> _Kind:
    match container_of(rows):
        case "pandas":
            return _pandas_kind(rows.iloc[:, place] if hasattr(rows, "columns") else rows, name)
        case "polars":
            return _polars_kind(rows.dtypes[place], name)
        case "numpy" if rows.dtype.kind == "O":
            return _python_kind(rows[:, place].tolist(), name)
        case "numpy":
            return _Kind(_checked("string" if rows.dtype.kind in "US" else str(rows.dtype), name))
    return _Kind(_dtype_of(_held(rows, name, place), name))


def _held(rows: Any, name: str, place: int) -> list[Any]:
    """The caller's own values of one column of an Arrow table, of columns, of records or of lists."""
    if hasattr(rows, "column_names"):
        return list(rows.column(place).to_pylist())
    if isinstance(rows, Mapping):
        return list({str(key): column for key, column in rows.items()}[name])
    if isinstance(rows[0], Mapping):
        return [{str(key): value for key, value in row.items()}.get(name) for row in rows]
    return [row[place] for row in rows]


def _python_kind(values: list[Any], name: str) -> _Kind:
    nan = any(_is_nan(value) for value in values)
    return _Kind(_dtype_of(values, name), PYTHON_NAN if nan and not any(v is None for v in values) else PYTHON_NONE)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _pandas_kind(series: Any, name: str) -> _Kind:
    dtype, text = series.dtype, str(series.dtype)
    if text == "category":
        known = tuple(plain(value) for value in dtype.categories.tolist())
        return _Kind("category", ORDERED if dtype.ordered else None, known)
    if text == "object":
        return _python_kind(series.tolist(), name)
    arrow = text.removesuffix("[pyarrow]")
    if text.startswith("datetime64") or (arrow != text and arrow.startswith("timestamp")):
        return _Kind("datetime", text)
    own = {"boolean": "bool", "str": "string", "double": "float64", "float": "float32", "large_string": "string"}
    plain_name = own.get(arrow.lower(), arrow.lower())
    numpy_has_it = type(dtype).__module__.partition(".")[0] == "numpy"
    return _Kind(_checked(plain_name, name), None if numpy_has_it else text)


def _polars_kind(dtype: Any, name: str) -> _Kind:
    text = str(dtype)
    base = text.partition("(")[0].lower()
    if base == "datetime":
        return _Kind("datetime", text)
    if base == "enum":
        return _Kind("category", "Enum", tuple(dtype.categories.to_list()))
    known = {"boolean": "bool", "utf8": "string", "categorical": "category"}
    return _Kind(_checked(known.get(base, base), name))


def _checked(dtype: str, name: str) -> str:
    if dtype in _DTYPES:
        return dtype
    raise CannotPackage(
        f"column {name!r} has the dtype {dtype}, which a request in JSON cannot carry",
        hint="Turn it into numbers, strings or booleans, or leave it out with features=[…].",
    )


def _column(name: str, kind: _Kind, values: list[Json]) -> Column:
    present = [value for value in values if value is not None]
    numeric = kind.dtype.startswith(("float", "int", "uint"))
    if numeric and any(isinstance(value, str) for value in present):
        raise CannotPackage(
            f"column {name!r} holds infinity, which JSON cannot carry",
            hint="Replace it by a number or a missing value, or leave the column out with features=[…].",
        )
    listed = kind.dtype in {"string", "category", "bool"}
    different = kind.categories or (tuple(sorted(set(present), key=str)) if listed else ())
    return Column(
        name=name,
        dtype=kind.dtype,
        nullable=len(present) < len(values),
        minimum=_outward(min(present), -math.inf) if numeric and present else None,
        maximum=_outward(max(present), math.inf) if numeric and present else None,
        categories=different if len(different) <= _CATEGORIES_MAX or kind.dtype == "category" else (),
        native=kind.native,
    )


def _outward(bound: float, towards: float) -> float:
    """The bound as a float; a whole number past every exact float is rounded so that it stays inside."""
    found = float(bound)
    inside = found <= bound if towards < 0 else found >= bound
    return found if inside else math.nextafter(found, towards)


def _dtype_of(values: list[Any], name: str) -> str:
    """The dtype of Python's own values; missing ones say nothing."""
    kinds = set()
    for value in values:
        if value is None or type(value).__name__ in {"NAType", "NaTType"} or _is_nan(value):
            continue
        kinds.add(type(value.item()) if getattr(value, "ndim", None) == 0 else type(value))
    for kind, dtype in ((bool, "bool"), (int, "int64"), (str, "string")):
        if kinds == {kind}:
            return dtype
    if kinds and kinds <= {int, float}:
        return "float64"
    if not kinds:
        return "string"
    raise CannotPackage(
        f"column {name!r} holds {', '.join(sorted(kind.__name__ for kind in kinds))}, which a request in JSON cannot "
        "carry as they are",
        hint="Turn the column into numbers, strings or booleans, or leave it out with features=[…].",
    )
