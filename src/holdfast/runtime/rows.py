"""Tables of raw rows, however a caller holds them: pandas, polars, Arrow, NumPy, records, or columns.

No library is imported to find out what a value is: a frame is recognised by the module its class comes from.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from holdfast.canonical import Json, JsonObject, Reader, decode, plain
from holdfast.errors import InvalidInput, TooLarge, UnsupportedFormat

__all__ = [
    "CELLS_MAX",
    "ROWS_MAX",
    "Table",
    "container_of",
    "read_table",
    "table_of",
    "too_many_rows",
    "values_of",
    "write_table",
]

ROWS_MAX = 1_000_000
"""Rows in one request or one holdout; larger evaluations belong in a batch job, and a holdout travels as JSON."""

CELLS_MAX = 1 << 25
"""Rows times columns where a request may name more of them than it holds: rows that each have one name of their own, or
a packed table. A million rows of thirty numbers are that many."""

_FORMAT, _FORMAT_VERSION = "holdfast.rows", "1.0"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows by column.

    Attributes:
        names: the column names; None when the caller sent bare arrays, whose columns are known by position.
        columns: one list of JSON values for each column, all of the same length; missing values are None.
        count: the number of rows.
    """

    names: tuple[str, ...] | None
    columns: tuple[list[Json], ...]
    count: int

    def column(self, name: str) -> list[Json]:
        """The values of one named column.

        Raises:
            InvalidInput: there is no such column.
        """
        if self.names is None or name not in self.names:
            raise InvalidInput(
                f"the rows have no column {name!r}",
                hint=f"They have: {', '.join(self.names or ('no names at all',))}",
            )
        return self.columns[self.names.index(name)]

    def without(self, name: str | None) -> "Table":
        """The table less one column; the same table when it is None or not there."""
        if name is None or self.names is None or name not in self.names:
            return self
        place = self.names.index(name)
        return Table(
            self.names[:place] + self.names[place + 1 :],
            self.columns[:place] + self.columns[place + 1 :],
            self.count,
        )

    def named(self) -> "Table":
        """The table with the names `x0`, `x1` … where it has none."""
        if self.names is not None:
            return self
        return Table(tuple(f"x{place}" for place in range(len(self.columns))), self.columns, self.count)

    def row(self, index: int) -> "Table":
        """The table of one row."""
        return Table(self.names, tuple([column[index]] for column in self.columns), 1)

    def to_json(self) -> JsonObject:
        """The table as the worker takes it: `names` and `columns`."""
        return {"names": None if self.names is None else list(self.names), "columns": list(self.columns)}

    @classmethod
    def from_json(cls, reader: Reader) -> "Table":
        """The table that `to_json` wrote."""
        names = reader.texts("names") if reader.has("names") else None
        columns = reader.items("columns")
        if not all(isinstance(column, list) for column in columns):
            raise InvalidInput("a column is not a list of values", hint="Send one list for each column.")
        return cls.of_columns(names, columns)

    @classmethod
    def of_columns(cls, names: Sequence[str] | None, columns: Iterable[Any], *, count: int | None = None) -> "Table":
        """A table of columns; `count` says how many rows there are where there may be no column that does.

        Raises:
            InvalidInput: ragged columns, a name twice, or names that do not match the columns.
            TooLarge: more than `ROWS_MAX` rows.
        """
        held = tuple(column if isinstance(column, list) else list(column) for column in columns)
        count = len(held[0]) if held else count or 0
        if any(len(column) != count for column in held):
            place = next(place for place, column in enumerate(held) if len(column) != count)
            raise InvalidInput(
                f"column {place if names is None else names[place]!r}: {count} values were expected, as in the first "
                f"column, {len(held[place])} were sent",
                hint="Send every column with the same number of values.",
            )
        if names is not None and (len(names) != len(held) or len(set(names)) != len(names)):
            raise InvalidInput("the column names do not match the columns", hint="Name each column, each once.")
        if count > ROWS_MAX:
            raise too_many_rows(count)
        return cls(None if names is None else tuple(names), held, count)

    @classmethod
    def of_records(cls, records: Sequence[Mapping[str, Json]]) -> "Table":
        """A table of one mapping a row; a row that lacks a column has None there."""
        names: dict[str, None] = {}
        for row, record in enumerate(records):
            if not isinstance(record, Mapping):
                raise InvalidInput(
                    f"row {row}: a JSON object was expected, {_named(record)} was sent",
                    hint='Send rows such as {"age": 41, "plan": "basic"}.',
                    row=row,
                )
            names.update(dict.fromkeys(record))
        if len(records) > ROWS_MAX or len(records) * len(names) > CELLS_MAX:
            raise too_many_rows(len(records), cells=len(records) * len(names))
        columns = [[record.get(name) for record in records] for name in names]
        return cls.of_columns(tuple(names), columns, count=len(records))

    @classmethod
    def of_arrays(cls, rows: Sequence[Sequence[Json]]) -> "Table":
        """A table of one list a row, without names."""
        width = len(rows[0]) if rows and isinstance(rows[0], list | tuple) else -1
        for place, row in enumerate(rows):
            if not isinstance(row, list | tuple) or len(row) != width:
                found = f"{len(row)} values" if isinstance(row, list | tuple) else _named(row)
                expected = "a list of values" if width < 0 else f"{width} values, as in row 0,"
                raise InvalidInput(
                    f"row {place}: {expected} was expected, {found} was sent",
                    hint="Send rows of equal length, each a list or each an object.",
                    row=place,
                )
        return cls.of_columns(None, [[row[place] for row in rows] for place in range(max(width, 0))], count=len(rows))


def too_many_rows(rows: int, *, cells: int = 0) -> TooLarge:
    """The error for a table past its limits: of rows, or of rows times columns where `cells` are given."""
    if rows <= ROWS_MAX and cells:
        return TooLarge(
            f"{cells} values, rows times columns, pass the limit of {CELLS_MAX}",
            hint="Send the rows in parts, and every row with the same names.",
            limit=CELLS_MAX,
        )
    return TooLarge(f"{rows} rows pass the limit of {ROWS_MAX}", hint="Send them in parts.", limit=ROWS_MAX)


def _named(value: object) -> str:
    """What a JSON value is, for a sentence."""
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")


def container_of(rows: object) -> str:
    """What the caller holds its rows in: `pandas`, `polars`, `numpy` or `rows`."""
    module = type(rows).__module__.split(".")[0]
    return module if module in {"pandas", "polars", "numpy"} else "rows"


def table_of(rows: Any) -> Table:
    """The table that any supported value holds: a frame, an array of two dimensions, records or columns.

    Raises:
        InvalidInput: none of these, or ragged.
    """
    if container_of(rows) == "pandas":
        frame = rows if hasattr(rows, "columns") else rows.to_frame()
        # By position: under a name that stands twice, a frame gives a frame.
        columns = [_pandas(frame.iloc[:, place]) for place in range(frame.shape[1])]
        return Table.of_columns([str(name) for name in frame.columns], columns, count=len(frame))
    if hasattr(rows, "get_columns") and container_of(rows) == "polars":
        return Table.of_columns(rows.columns, [values_of(column.to_list()) for column in rows.get_columns()])
    if hasattr(rows, "column_names") and hasattr(rows, "columns"):
        return Table.of_columns(list(rows.column_names), [values_of(column.to_pylist()) for column in rows.columns])
    if container_of(rows) == "numpy" and getattr(rows, "ndim", 0) == 2:  # noqa: PLR2004 - rows by columns
        return Table.of_columns(None, [values_of(column) for column in rows.T.tolist()], count=len(rows))
    if isinstance(rows, Mapping):
        return Table.of_columns([str(name) for name in rows], [_column(column) for column in rows.values()])
    if isinstance(rows, list | tuple) and rows and isinstance(rows[0], Mapping):
        return Table.of_records([_record(row) for row in rows])
    if isinstance(rows, list | tuple):
        return Table.of_arrays([_column(row) for row in rows])
    raise InvalidInput(
        f"rows cannot be read from a {type(rows).__name__}",
        hint="Give a data frame, a two-dimensional array, a list of dicts, or a dict of columns.",
    )


def _column(values: Any) -> list[Json]:
    held = values.tolist() if callable(getattr(values, "tolist", None)) else values
    if isinstance(held, str | bytes | Mapping) or not isinstance(held, Iterable):
        raise InvalidInput(
            f"a {type(values).__name__} stands where a list of values should be",
            hint="Give a list of dicts, a list of lists, or a dict of columns.",
        )
    return values_of(held)


def _record(row: Any) -> Any:
    return {str(name): _value(value) for name, value in row.items()} if isinstance(row, Mapping) else row


def _pandas(series: Any) -> list[Json]:
    if str(series.dtype).startswith("datetime"):
        return [None if value is None or value != value else value.isoformat() for value in series]  # noqa: PLR0124
    return values_of(series.tolist())


def values_of(values: Iterable[Any]) -> list[Json]:
    """The JSON values of a column, whatever library they come from; what is missing is None."""
    return [_value(value) for value in values]


def _value(value: Any) -> Json:
    if type(value) in {int, str, bool}:
        return value
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None if math.isnan(value) else str(float(value))
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return None
    if type(value).__name__ == "datetime64":
        return None if str(value) == "NaT" else str(value)
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    if getattr(value, "ndim", None) == 0 and type(item := value.item()) is not type(value):
        return _value(item)
    return plain(value)


def write_table(table: Table) -> bytes:
    """The bytes of a frozen table: JSON by column, in one fixed form, exact for every float64 and every integer.

    Raises:
        InvalidInput: a value that JSON cannot carry.
    """
    document = {"format": _FORMAT, "format_version": _FORMAT_VERSION, **table.to_json()}
    try:
        return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, TypeError) as error:
        raise InvalidInput(
            f"the rows hold a value that JSON cannot carry: {error}",
            hint="Use numbers, Unicode text and true or false.",
        ) from error


def read_table(data: bytes) -> Table:
    """The table that `write_table` wrote.

    Raises:
        UnsupportedFormat: anything else.
    """
    reader = Reader(decode(data, what="the frozen rows", exact=True), "rows")
    name, version = reader.text("format"), reader.text("format_version")
    if name != _FORMAT or version.partition(".")[0] != _FORMAT_VERSION.partition(".")[0]:
        raise UnsupportedFormat(
            f"frozen rows of format {name[:40]} {version[:20]}", hint="Upgrade Holdfast: pip install --upgrade holdfast"
        )
    return Table.from_json(reader)
