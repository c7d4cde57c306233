"""The frozen holdout: rows that the model was not trained on, with their true answers, however they come."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from holdfast.canonical import Json, decode
from holdfast.errors import MissingExtra, NotFound, UnsupportedFormat, UsageError
from holdfast.runtime.rows import Table, table_of

__all__ = ["TARGET", "FrozenRows", "read_rows"]

TARGET = "target"
"""The name that a target gets when it comes as a bare array beside the rows."""


_MESSAGE_CHARACTERS_MAX = 300
"""What is kept of a reader's complaint: where it stumbled, and not the file."""


@dataclass(frozen=True, slots=True)
class FrozenRows:
    """Rows as the caller holds them, and as they will be frozen.

    Attributes:
        raw: the frame or array, from which dtypes are read.
        table: the same rows as JSON values, the target among them.
        target: the name of the target's column; None when there is none.
    """

    raw: Any
    table: Table
    target: str | None

    def targets(self) -> list[Json] | None:
        """The true answer of each row."""
        return None if self.target is None else self.table.column(self.target)


def read_rows(given: Any, target: str | None, project: Path) -> FrozenRows:
    """The rows that `given` names or holds.

    Args:
        given: a path (.csv, .tsv, .parquet, .json, .jsonl), a frame, an array, records, or a pair `(rows, targets)`.
        target: the column with the true answer.
        project: what a relative path is relative to.

    Raises:
        NotFound: no such file.
        UsageError: no such column, or a file of another kind.
    """
    if isinstance(given, tuple) and len(given) == 2:  # noqa: PLR2004 - rows and targets
        return _pair(given[0], given[1], target, project)
    raw = _read_file(project / given) if isinstance(given, str | PathLike) else given
    table = table_of(raw).named()
    if table.count == 0:
        raise UsageError("the holdout has no rows", hint="Give rows that the model was not trained on.")
    if target is not None and target not in (table.names or ()):
        raise UsageError(
            f"the holdout has no column {target!r}",
            hint=f"Name the target among: {', '.join(table.names or ())}"[:500],
        )
    return FrozenRows(raw, table, target)


def _pair(rows: Any, targets: Any, target: str | None, project: Path) -> FrozenRows:
    frozen = read_rows(rows, None, project)
    # A column vector, or a frame of one column, is a way to write one answer a row.
    shaped = getattr(targets, "shape", ())[1:] == (1,)
    values = table_of(targets if shaped else {TARGET: targets}).columns[0]
    if len(values) != frozen.table.count or any(isinstance(value, list | dict) for value in values):
        raise UsageError(
            f"{len(values)} targets stand beside {frozen.table.count} rows",
            hint="Give one true answer for each row of the holdout.",
        )
    name = target or TARGET
    names: Sequence[str] = frozen.table.names or ()
    if name in names:
        raise UsageError(f"the rows have a column {name!r} already", hint="Name the target differently.")
    return FrozenRows(frozen.raw, Table.of_columns([*names, name], [*frozen.table.columns, values]), name)


def _read_file(path: Path) -> Any:
    if not path.is_file():
        raise NotFound(f"{path} does not exist", hint="Give the path of the holdout relative to the project.")
    try:
        return _read(path)
    except ImportError as error:
        raise MissingExtra(
            f"reading {path.name} needs pandas, and pyarrow for Parquet",
            hint="Install it: pip install 'holdfast[tables]'",
        ) from error
    except UnsupportedFormat as error:
        raise UsageError(error.message, hint="Write records, or an object of columns.") from error
    except (ValueError, OSError) as error:
        raise UsageError(
            f"{path.name} is not what its name says: {str(error)[:_MESSAGE_CHARACTERS_MAX]}",
            hint="Look at the file: its format, and that it is UTF-8.",
        ) from error


def _read(path: Path) -> Any:
    import pandas as pd

    match path.suffix.lower():
        case ".csv":
            return pd.read_csv(path)
        case ".tsv":
            return pd.read_csv(path, sep="\t")
        case ".parquet" | ".pq":
            return pd.read_parquet(path)
        # JSON is read as a request would be: text stays text, and every digit of a number counts.
        case ".jsonl" | ".ndjson":
            lines = path.read_bytes().splitlines()
            return pd.DataFrame([decode(line, what=path.name, exact=True) for line in lines if line.strip()])
        case ".json":
            return pd.DataFrame(decode(path.read_bytes(), what=path.name, exact=True))
    raise UsageError(
        f"rows cannot be read from {path.name}", hint="Use .csv, .tsv, .parquet, .json or .jsonl, or give a frame."
    )
