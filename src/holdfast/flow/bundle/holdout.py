"""The frozen holdout: rows that the model was not trained on, with their true answers, however they come."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from holdfast.canonical import Json
from holdfast.errors import MissingExtra, NotFound, UsageError
from holdfast.runtime.rows import Table, table_of

__all__ = ["TARGET", "FrozenRows", "read_rows"]

TARGET = "target"
"""The name that a target gets when it comes as a bare array beside the rows."""


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
        return _pair(given[0], given[1], target)
    raw = _read_file(project / given) if isinstance(given, str | PathLike) else given
    table = table_of(raw)
    if table.names is None:
        names = tuple(f"x{place}" for place in range(len(table.columns)))
        table = Table(names, table.columns, table.count)
    if table.count == 0:
        raise UsageError("the holdout has no rows", hint="Give rows that the model was not trained on.")
    if target is not None and target not in (table.names or ()):
        raise UsageError(
            f"the holdout has no column {target!r}",
            hint=f"Name the target among: {', '.join(table.names or ())}"[:500],
        )
    return FrozenRows(raw, table, target)


def _pair(rows: Any, targets: Any, target: str | None) -> FrozenRows:
    frozen = read_rows(rows, None, Path())
    values = table_of({TARGET: targets.tolist() if hasattr(targets, "tolist") else list(targets)}).columns[0]
    name = target or TARGET
    names: Sequence[str] = frozen.table.names or ()
    if name in names:
        raise UsageError(f"the rows have a column {name!r} already", hint="Name the target differently.")
    return FrozenRows(rows, Table.of_columns([*names, name], [*frozen.table.columns, values]), name)


def _read_file(path: Path) -> Any:
    if not path.is_file():
        raise NotFound(f"{path} does not exist", hint="Give the path of the holdout relative to the project.")
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtra(
            "reading a file of rows needs pandas", hint="Install it: pip install 'holdfast[tables]'"
        ) from error
    match path.suffix.lower():
        case ".csv":
            return pd.read_csv(path)
        case ".tsv":
            return pd.read_csv(path, sep="\t")
        case ".parquet" | ".pq":
            return pd.read_parquet(path)
        case ".jsonl" | ".ndjson":
            return pd.read_json(path, lines=True)
        case ".json":
            return pd.read_json(path)
    raise UsageError(
        f"rows cannot be read from {path.name}", hint="Use .csv, .tsv, .parquet, .json or .jsonl, or give a frame."
    )
