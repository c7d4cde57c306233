"""Tables of a snapshot, read in pieces: what a version was trained on is looked at once, in memory that does not grow.

A piece holds its columns by name: arrays of numbers as they are, everything else as the JSON values that a frozen
holdout would have. CSV is read as a holdout from CSV is, by pandas, so that the same text is the same number.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from holdfast.canonical import decode
from holdfast.digest import Digest
from holdfast.errors import HoldfastError, MissingExtra, TooLarge, UnsupportedFormat
from holdfast.runtime.rows import table_of
from holdfast.store.interface import Store

__all__ = ["COLUMNS_MAX", "Piece", "has_rows", "is_table", "pieces_of"]

Piece = Mapping[str, Any]

_FEATURES, _TARGETS = "features.npy", "targets.npy"
"""Arrays as MLflow's scripts log them, in the two files that the plugin freezes: rows by columns, and their answers."""

_ENDINGS = {".csv", ".tsv", ".parquet", ".pq", ".jsonl", ".ndjson", ".json"}

COLUMNS_MAX = 10_000
"""Columns of a table: with more, even a piece of a few rows takes hundreds of megabytes."""

_CELLS_AT_ONCE = 1 << 20
"""Cells of a piece: some tens of megabytes, whatever they hold."""

_ROWS_AT_ONCE = 1 << 16
"""Rows of a piece; more would make nothing faster."""

_JSON_BYTES_MAX = 64 << 20
"""A JSON document cannot be read in pieces, and takes ten times its size; write lines where it is larger."""

_BUFFER_BYTES = 1 << 20
"""Read of a column of Parquet at once; otherwise whole groups of rows are, and one of them may be the whole file."""

_LINE_BYTES_MAX = 16 << 20
"""One row of JSON lines."""

_COMPLAINT_CHARACTERS_MAX = 200
"""What is kept of a reader's complaint: where it stumbled, and not the file."""


def is_table(path: str) -> bool:
    """Whether a file's name says that it holds a table that can be read."""
    return PurePosixPath(path).suffix.lower() in _ENDINGS or PurePosixPath(path).name in {_FEATURES, _TARGETS}


def has_rows(path: str) -> bool:
    """Whether a table holds features: the answers beside an array of them are no rows of their own."""
    return PurePosixPath(path).name != _TARGETS


def pieces_of(store: Store, digest: Digest, path: str) -> Iterator[Piece]:
    """The rows of one file, some thousands at a time.

    Args:
        store: where its bytes are.
        digest: their name.
        path: the file's name, whose ending says what it is.

    Raises:
        UnsupportedFormat: it is not what its name says.
        TooLarge: more columns than `COLUMNS_MAX`, a JSON document or a line past what is read at once.
        MissingExtra: pandas, or pyarrow for Parquet, is not installed.
        NotFound, IntegrityError: the store has lost it, or holds it damaged.
    """
    name, kind = PurePosixPath(path).name, PurePosixPath(path).suffix.lower()
    if kind == ".json" and store.size(digest) > _JSON_BYTES_MAX:
        raise TooLarge(
            f"{name} is a JSON document of {store.size(digest)} bytes; up to {_JSON_BYTES_MAX} are read",
            hint="Freeze large tables as .parquet, .csv or .jsonl.",
        )
    try:
        with store.open(digest) as handle:
            for frame in _frames(handle, kind, name):
                yield _piece(frame, name)
    except ImportError as error:
        raise MissingExtra(
            f"reading {name} needs pandas, and pyarrow for Parquet",
            hint="Install it: pip install 'holdfast[tables]'",
        ) from error
    except HoldfastError:
        raise
    except (ValueError, OSError) as error:
        raise UnsupportedFormat(
            f"{name} is not what its name says: {str(error)[:_COMPLAINT_CHARACTERS_MAX]}",
            hint="Look at the file: its format, and that it is UTF-8.",
        ) from error


def _frames(handle: BinaryIO, kind: str, name: str) -> Iterator[Any]:
    import pandas as pd

    if kind == ".npy":
        yield from _of_array(handle, name)
    elif kind in {".csv", ".tsv"}:
        separator = "\t" if kind == ".tsv" else ","
        width = pd.read_csv(handle, sep=separator, nrows=0).shape[1]
        handle.seek(0)
        rows = _rows_at_once(width, name)
        # Not in pieces of pandas' own choice: it would guess the kind of each of them by itself, and warn of it.
        with pd.read_csv(handle, sep=separator, chunksize=rows, low_memory=False) as frames:
            yield from frames
    elif kind in {".parquet", ".pq"}:
        from pyarrow.parquet import ParquetFile

        with ParquetFile(handle, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file:
            rows = _rows_at_once(len(file.schema_arrow.names), name)
            for batch in file.iter_batches(batch_size=rows, use_threads=False):
                yield batch.to_pandas(ignore_metadata=True)
    elif kind == ".json":
        yield pd.DataFrame(decode(handle.read(), what=name, exact=True))
    else:
        yield from _of_lines(handle, name)


def _of_array(handle: BinaryIO, name: str) -> Iterator[Any]:
    """The rows of an array, its columns called `x0`, `x1` … as those of a holdout are; none where it has no two sides.

    NumPy writes the columns of some arrays one behind the other, so what is read at once is a part of each of them.
    """
    import numpy as np
    import pandas as pd
    from numpy.lib import format as npy

    version = npy.read_magic(handle)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, by_columns, dtype = read_header(handle)
    if len(shape) not in {1, 2} or not has_rows(name) or dtype.kind not in "fiub":
        return
    count, width = shape[0], shape[1] if len(shape) > 1 else 1
    at_once, begin = _rows_at_once(width, name), handle.tell()
    outer, inner = (width, 1) if by_columns else (1, width)
    for first in range(0, count, at_once):
        rows = min(at_once, count - first)
        block = np.empty((outer, rows * inner), dtype)
        for column in range(outer):
            handle.seek(begin + (column * count + first * inner) * dtype.itemsize)
            block[column] = np.frombuffer(handle.read(rows * inner * dtype.itemsize), dtype)
        cells = block.T if by_columns else block.reshape(rows, width)
        yield pd.DataFrame(cells.astype(dtype.newbyteorder("=")), columns=[f"x{place}" for place in range(width)])


def _of_lines(handle: BinaryIO, name: str) -> Iterator[Any]:
    import pandas as pd

    rows = _ROWS_AT_ONCE
    lines = _lines(handle, name)
    while some := [decode(line, what=name, exact=True) for line in islice(lines, rows)]:
        frame = pd.DataFrame(some)
        rows = _rows_at_once(frame.shape[1], name)
        yield frame


def _lines(handle: BinaryIO, name: str) -> Iterator[bytes]:
    while line := handle.readline(_LINE_BYTES_MAX):
        if len(line) == _LINE_BYTES_MAX:
            raise TooLarge(f"a row of {name} has {_LINE_BYTES_MAX} bytes or more", hint="Freeze it as Parquet.")
        if line.strip():
            yield line


def _rows_at_once(columns: int, name: str) -> int:
    if columns > COLUMNS_MAX:
        raise TooLarge(
            f"{name} has {columns} columns; up to {COLUMNS_MAX} are looked at", hint="Freeze what the model is given."
        )
    return max(1, min(_ROWS_AT_ONCE, _CELLS_AT_ONCE // max(columns, 1)))


def _piece(frame: Any, name: str) -> Piece:
    import numpy as np

    _rows_at_once(frame.shape[1], name)
    columns: dict[str, Any] = {}
    for place, column in enumerate(frame.columns):
        series = frame.iloc[:, place]
        numbers = isinstance(series.dtype, np.dtype) and series.dtype.kind in "fiub"
        columns[str(column)] = series.to_numpy() if numbers else table_of(series.to_frame()).columns[0]
    return columns
