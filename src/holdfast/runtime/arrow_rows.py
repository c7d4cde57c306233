"""Rows as Arrow's stream of batches or as a Parquet file, and answers as an Arrow stream.

Both say of themselves how large they are and may lie: a kilobyte that unpacks to gigabytes, a text that a million rows
point to. Only flat columns are taken, rows are counted batch by batch, and all of it happens inside a wall.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from holdfast.canonical import Json, JsonObject
from holdfast.errors import InvalidInput, TooLarge, UnsupportedMedia
from holdfast.runtime.csv_rows import answer_columns
from holdfast.runtime.memory import room
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.rows import CELLS_MAX, ROWS_MAX, Table, too_many_rows, values_of
from holdfast.runtime.sent import ARROW, CONTENT_TYPES, CSV, JSON, JSON_LINES, PARQUET

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["arrow_answer", "arrow_rows", "parquet_rows"]

ROOM_BYTES_MAX = 1 << 30
"""What reading one request may take of memory: the largest request packed ten to one, as Python values."""

_BATCH_ROWS = 65_536
"""Rows of a Parquet file that are unpacked at once."""


def arrow_rows(body: bytes) -> Table:
    """The rows of an Arrow stream (https://arrow.apache.org/docs/format/Columnar.html).

    Raises:
        UnsupportedMedia: the version's environment has no pyarrow.
        InvalidInput: no stream, a damaged one, or nested columns.
        TooLarge: too many rows or cells, or it unpacks to more than `ROOM_BYTES_MAX`.
    """
    pa = _pyarrow(ARROW)
    with _guarded("an Arrow stream", pa):
        reader = pa.ipc.open_stream(body)
        return _table(reader.schema, iter(reader), pa)


def parquet_rows(body: bytes) -> Table:
    """The rows of a Parquet file (https://parquet.apache.org/docs/file-format/).

    Raises:
        As `arrow_rows`.
    """
    pa = _pyarrow(PARQUET)
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise _absent(PARQUET) from error
    _warm()
    with _guarded("a Parquet file", pa):
        # Text stays a dictionary: a text that a million rows point to is not written out a million times.
        head = pq.read_schema(io.BytesIO(body))
        texts = [field.name for field in head if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
        file = pq.ParquetFile(io.BytesIO(body), read_dictionary=texts)
        if file.metadata.num_rows > ROWS_MAX:
            raise too_many_rows(file.metadata.num_rows)
        return _table(file.schema_arrow, file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False), pa)


@cache
def _warm() -> None:
    """Read one row: pyarrow's threads, and the gigabyte that its allocator reserves for them, come before the wall."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    written = io.BytesIO()
    pq.write_table(pa.table({"x": [0.0]}), written)
    next(pq.ParquetFile(written).iter_batches(use_threads=False))


def arrow_answer(answer: Answer, stamp: JsonObject, *, scores: bool) -> bytes:
    """The answer as an Arrow stream; model, version and digest stand beside the fields of its schema.

    Raises:
        UnsupportedMedia: the version's environment has no pyarrow.
        InvalidInput: predictions that are no column: numbers and words mixed.
    """
    pa = _pyarrow(ARROW, giving=True)
    said = {name: str(value) for name, value in stamp.items()}
    try:
        table = pa.table({name: pa.array(values) for name, values in answer_columns(answer, scores=scores).items()})
    except pa.ArrowException as error:
        raise InvalidInput(
            "the predictions are of several types, which no column of Arrow holds", hint="Ask for JSON or CSV."
        ) from error
    written = io.BytesIO()
    with pa.ipc.new_stream(written, table.schema.with_metadata(said)) as writer:
        writer.write_table(table)
    return written.getvalue()


def _pyarrow(kind: str, *, giving: bool = False) -> Any:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise _absent(kind, giving=giving) from error
    return pa


def _absent(kind: str, *, giving: bool = False) -> UnsupportedMedia:
    takes = [CONTENT_TYPES[one] for one in (JSON, JSON_LINES, CSV)]
    return UnsupportedMedia(
        f"this version {'gives' if giving else 'takes'} no {CONTENT_TYPES[kind]}: its environment has no pyarrow",
        hint=f"Use one of {', '.join(takes)}; or register a version whose requirements name pyarrow.",
        takes=takes,
    )


@contextmanager
def _guarded(what: str, pa: Any) -> Iterator[None]:
    """The wall around reading, and one kind of error for whatever a damaged body makes of pyarrow."""
    # An unknown zone is a KeyError, a bad text a ValueError: not all of it is pyarrow's own.
    raised = (pa.ArrowException, ValueError, KeyError, TypeError, OverflowError, OSError, NotImplementedError)
    # The pool that pyarrow chooses by itself may reserve a gigabyte at its first use, which is the whole room.
    pool = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        with room(ROOM_BYTES_MAX):
            yield
    except MemoryError as error:
        raise TooLarge(
            f"{what} unpacks to more than {ROOM_BYTES_MAX} bytes", hint="Send the rows in parts.", limit=ROOM_BYTES_MAX
        ) from error
    except raised as error:
        raise InvalidInput(
            f"the body is not {what} that can be read: {type(error).__name__}",
            hint="Write it again, with flat columns of numbers, text, booleans and times.",
        ) from error
    finally:
        pa.set_memory_pool(pool)


def _table(schema: "pa.Schema", batches: "Iterator[pa.RecordBatch]", pa: Any) -> Table:
    for field in schema:
        if not _is_flat(field.type, pa):
            raise InvalidInput(
                f"column {field.name!r}: flat values were expected, {str(field.type)[:60]} was sent",
                hint="Send numbers, text, booleans and times.",
                column=field.name,
            )
    columns: list[list[Json]] = [[] for _ in schema]
    count = 0
    for batch in batches:
        count += batch.num_rows
        if count > ROWS_MAX or count * len(columns) > CELLS_MAX:
            raise too_many_rows(count, cells=count * len(columns))
        batch.validate(full=True)
        for values, column in zip(columns, batch.columns, strict=True):
            values.extend(_values(column, pa))
    return Table.of_columns(schema.names, columns, count=count)


def _is_flat(kind: Any, pa: Any) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = ("boolean", "integer", "floating", "decimal", "string", "large_string", "timestamp", "date", "null")
    return any(getattr(pa.types, f"is_{name}")(kind) for name in tests)


def _values(column: "pa.Array", pa: Any) -> list[Json]:
    if pa.types.is_dictionary(column.type):
        # One value for each entry, however many rows point to it.
        known = [*_values(column.dictionary, pa), None]
        return [known[-1 if place is None else place] for place in column.indices.to_pylist()]
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())
    elif pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return values_of(column.to_pylist())
