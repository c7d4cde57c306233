"""Tables in memory, written as Parquet: the same rows give the same bytes, and changed rows change few of them."""

import inspect
from pathlib import Path
from typing import Any

from holdfast.errors import MissingExtra, UsageError
from holdfast.store.disk import refusing

__all__ = ["ROW_GROUP_ROWS", "is_table", "write_parquet"]

ROW_GROUP_ROWS = 1 << 20
"""Rows in a row group: pyarrow's own bound, stated so that a later default cannot change the digest of the same
table."""

_FRAMES = {
    ("pandas", "DataFrame"),
    ("polars", "DataFrame"),
    ("pyarrow", "RecordBatch"),
    ("pyarrow", "Table"),
}


def is_table(source: object) -> bool:
    """Whether `source` is a table of pandas, polars or pyarrow, told by its class's name: none of them is imported."""
    return _library(source) is not None


def _library(source: object) -> str | None:
    for kind in type(source).__mro__:
        library = kind.__module__.partition(".")[0]
        if (library, kind.__name__) in _FRAMES:
            return library
    return None


def write_parquet(source: Any, path: Path) -> None:
    """Write the table to `path`. Equal tables give equal bytes under the same version of pyarrow.

    Pages are cut by content where pyarrow can (21 and later), so that an inserted row leaves most of the file as it
    was.

    Raises:
        MissingExtra: pyarrow is not installed.
        UsageError: a column that Parquet cannot carry, such as one of mixed types.
        NoSpace, PermissionRefused: the operating system refused the temporary file.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtra(
            "freezing a table needs pyarrow",
            hint="Install it with: pip install 'holdfast[tables]'",
            extra="tables",
        ) from error
    options: dict[str, Any] = {"row_group_size": ROW_GROUP_ROWS, "compression": "snappy"}
    if "use_content_defined_chunking" in inspect.signature(pq.write_table).parameters:
        options["use_content_defined_chunking"] = True
    try:
        table = _arrow(source, pa)
        with refusing(path):
            # One chunk a column: how a table was put together in memory must not show in its bytes.
            pq.write_table(table.combine_chunks(), path, **options)
    except pa.ArrowException as error:
        raise UsageError(
            f"the table cannot be written as Parquet: {error}",
            hint="Give every column one type, for instance with astype; or freeze a file instead.",
        ) from error


def _arrow(source: Any, pa: Any) -> Any:
    library = _library(source)
    if library == "pandas":
        return pa.Table.from_pandas(source)
    if library == "polars":
        return source.to_arrow()
    return pa.Table.from_batches([source]) if isinstance(source, pa.RecordBatch) else source
