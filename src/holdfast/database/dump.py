"""A database as lines of text, and a database of any kind from such lines: SQLite to PostgreSQL, for instance.

    {"columns":{"models":["name","created_at",…],…},"database":"0003",…}
    ["models","churn","2026-03-01T09:00:00.000000Z",…]
    …
    {"rows":{"models":1,…}}

A line for each row: its table, then its values in the order of the columns. Bytes are base64 (RFC 4648); a number that
JSON cannot hold is its name as a text. docs/FORMAT.md, "Backups", describes the whole.
"""

import base64
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Float, LargeBinary, MetaData, Table, func, insert, inspect, select, text
from sqlalchemy.types import TypeEngine

from holdfast.canonical import JsonObject, Reader, encode
from holdfast.database import schema
from holdfast.database.unguarded import unguarded
from holdfast.errors import IntegrityError, UnsupportedFormat, UsageError

__all__ = ["dump", "load"]

_SCHEMA_TABLE = "alembic_version"

_COMPACT: Any = {"ensure_ascii": False, "allow_nan": False, "separators": (",", ":")}

_ROWS_AT_ONCE = 1_000
"""Rows held in memory: a few megabytes of events."""


def dump(connection: Connection, about: JsonObject) -> Iterator[bytes]:
    """Every row of every table, at the one moment that the connection sees; each line with its line feed.

    Args:
        connection: sees one moment.
        about: what else the first line says.
    """
    tables = _tables(connection)
    columns = {table.name: [column.name for column in table.columns] for table in tables}
    held = connection.execute(text(f"SELECT version_num FROM {_SCHEMA_TABLE}")).scalar_one()  # noqa: S608 - a constant
    yield encode({**about, "columns": columns, "database": held}) + b"\n"
    counts: Counter[str] = Counter()
    for table in tables:
        writers = [_writer(column.type) for column in table.columns]
        rows = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=_ROWS_AT_ONCE)
        for row in connection.execute(rows):
            values = [None if value is None else write(value) for write, value in zip(writers, row, strict=True)]
            yield json.dumps([table.name, *values], **_COMPACT).encode() + b"\n"
            counts[table.name] += 1
    yield encode({"rows": {table.name: counts[table.name] for table in tables}}) + b"\n"


def load(connection: Connection, head: Reader, lines: Iterator[bytes], name: str) -> None:
    """Gives an empty database the tables and rows of a dump, and brings it to the schema of this Holdfast.

    The triggers that hold the promises of the log are off meanwhile: they ask for a history, and rows come in by table.
    The caller asks the log afterwards whether it is whole, in the same transaction.

    Args:
        connection: in a transaction that is taken back when this raises.
        head: what the first line of a dump says.
        lines: the others.
        name: of the database, for messages.

    Raises:
        UsageError: the database is not empty.
        UnsupportedFormat: the lines are no dump, or of a newer Holdfast.
        IntegrityError: rows are missing.
    """
    held = head.text("database")
    if held not in schema.KNOWN:
        raise UnsupportedFormat(
            f"the backup holds schema {held[:20]!r}, which this Holdfast does not know; it knows up to {schema.HEAD}",
            hint="A newer Holdfast made it: install that one here too.",
            found=held[:20],
            known=list(schema.KNOWN),
        )
    if inspect(connection).get_table_names():
        raise UsageError(
            f"{name} holds tables already, and a backup is put back into an empty database",
            hint="Name another one in HOLDFAST_DATABASE_URL, or another folder.",
        )
    schema.upgrade(connection, name, to=held)
    tables = {table.name: table for table in _tables(connection)}
    with unguarded(connection, list(tables)):
        _fill(connection, tables, head, lines)
    schema.upgrade(connection, name)


def _fill(connection: Connection, tables: dict[str, Table], head: Reader, lines: Iterator[bytes]) -> None:
    columns = head.mapping("columns")
    if {name: [column.name for column in table.columns] for name, table in tables.items()} != columns:
        raise UnsupportedFormat(
            "the backup has other tables than its schema", hint="It was not made by Holdfast as it was released."
        )
    counts: Counter[str] = Counter()
    stated: JsonObject = {}
    try:
        for name, values in groupby(_rows(lines, stated), key=itemgetter(0)):
            readers = [(column.key, _reader(column.type)) for column in tables[name].columns]
            rows = (_row(readers, row[1:]) for row in values)
            while page := list(islice(rows, _ROWS_AT_ONCE)):
                connection.execute(insert(tables[name]), page)
                counts[name] += len(page)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise UnsupportedFormat(f"a row of the backup cannot be read: {error}", hint="Take another backup.") from error
    if stated.get("rows") != {name: counts[name] for name in columns}:
        raise IntegrityError("the backup lacks rows, or has some too many", hint="Take another backup.")
    for table in tables.values():
        _count_on(connection, table)


def _rows(lines: Iterator[bytes], stated: JsonObject) -> Iterator[list[Any]]:
    """The rows; what the last line says goes into `stated`."""
    for line in lines:
        row = json.loads(line)
        if not isinstance(row, dict):
            yield row
        elif next(lines, None) is None:
            stated |= row


def _row(readers: Sequence[tuple[str, Callable[[Any], Any]]], values: Sequence[Any]) -> dict[str, Any]:
    return {key: None if value is None else read(value) for (key, read), value in zip(readers, values, strict=True)}


def _tables(connection: Connection) -> list[Table]:
    """Every table as the database has it, each behind those that it refers to."""
    known = MetaData()
    known.reflect(connection)
    return [table for table in known.sorted_tables if table.name != _SCHEMA_TABLE]


def _writer(kind: TypeEngine[Any]) -> Callable[[Any], Any]:
    if isinstance(kind, LargeBinary):
        return lambda value: base64.b64encode(value).decode()
    if isinstance(kind, Float):
        return lambda value: value if math.isfinite(value) else repr(value)
    return lambda value: value


def _reader(kind: TypeEngine[Any]) -> Callable[[Any], Any]:
    if isinstance(kind, LargeBinary):
        return lambda value: base64.b64decode(value, validate=True)
    if isinstance(kind, Float):
        return float
    return lambda value: value


def _count_on(connection: Connection, table: Table) -> None:
    """Has a column that the database numbers go on behind the highest number; SQLite does so by itself."""
    column = table.autoincrement_column
    if connection.dialect.name != "postgresql" or column is None or column.server_default is None:
        return
    highest = connection.execute(select(func.max(column))).scalar_one()
    if highest is not None:
        sequence = func.pg_get_serial_sequence(table.name, column.name)
        connection.execute(select(func.setval(sequence, highest)))
