"""Inferring the feature schema from rows; the result is a value that its owner may edit before it is pinned."""

from typing import Any

from holdfast.canonical import Json
from holdfast.errors import CannotPackage
from holdfast.evidence import Column, FeatureSchema
from holdfast.runtime.rows import Table, container_of, table_of

__all__ = ["groups_in", "infer_schema"]

_CATEGORIES_MAX = 50
"""A column with more different strings than this is text or an identifier, and its values are not worth listing."""

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
    table = table_of(rows).without(target)
    names = table.names or tuple(f"x{place}" for place in range(len(table.columns)))
    dtypes = _dtypes(rows, names)
    held = dict(zip(names, table.columns, strict=True))
    chosen = names if features is None else features
    columns = tuple(_column(name, dtypes.get(name), held[name]) for name in chosen if name in held)
    absent = [name for name in chosen if name not in held]
    if absent:
        raise CannotPackage(f"the rows have no column {', '.join(absent)}", hint=f"They have: {', '.join(names)}"[:500])
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


def _dtypes(rows: Any, names: tuple[str, ...]) -> dict[str, str]:
    module = type(rows).__module__.partition(".")[0]
    if module == "pandas":
        return {str(name): _pandas_dtype(rows[name].dtype, str(name)) for name in rows.columns}
    if module == "polars":
        return {name: _polars_dtype(str(dtype), name) for name, dtype in zip(rows.columns, rows.dtypes, strict=True)}
    if module == "numpy":
        kind = "string" if rows.dtype.kind in "OUS" else str(rows.dtype)
        return dict.fromkeys(names, kind)
    return {}


def _pandas_dtype(dtype: Any, name: str) -> str:
    text = str(dtype).lower()
    if text.startswith("datetime64"):
        return "datetime"
    if text == "boolean":
        return "bool"
    if text in {"object", "str"} or text.startswith("string"):
        return "string"
    return _checked(text, name)


def _polars_dtype(text: str, name: str) -> str:
    plain = text.lower().partition("(")[0]
    known = {"boolean": "bool", "utf8": "string", "string": "string", "categorical": "category", "enum": "category"}
    return _checked(known.get(plain, plain), name)


def _checked(dtype: str, name: str) -> str:
    if dtype in {"bool", "string", "category", "datetime"} or dtype.startswith(("float", "int", "uint")):
        return dtype
    raise CannotPackage(
        f"column {name!r} has the dtype {dtype}, which a request in JSON cannot carry",
        hint="Turn it into numbers, strings or booleans, or leave it out with features=[…].",
    )


def _column(name: str, dtype: str | None, values: list[Json]) -> Column:
    present = [value for value in values if value is not None]
    dtype = dtype or _dtype_of(present)
    numeric = dtype.startswith(("float", "int", "uint"))
    listed = dtype in {"string", "category", "bool"}
    different = sorted(set(present), key=str) if listed else []
    return Column(
        name=name,
        dtype=dtype,
        nullable=len(present) < len(values),
        minimum=float(min(present)) if numeric and present else None,
        maximum=float(max(present)) if numeric and present else None,
        categories=tuple(different) if len(different) <= _CATEGORIES_MAX or dtype == "category" else (),
    )


def _dtype_of(values: list[Json]) -> str:
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return "bool"
    if kinds == {int}:
        return "int64"
    return "float64" if kinds and kinds <= {int, float} else "string"
