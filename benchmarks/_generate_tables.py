"""A growing table from a seed: orders with ids, times, numbers of few decimals, categories and short strings.

Version 1 has the rows of a 230 MB CSV at full scale. Each later version appends 2 % of these rows, and corrects 2,000
rows that lie scattered over the whole table: a price, a status. Ten versions are 2,510 MB as CSV.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEED = 30_001
ROWS = 2_560_000
CORRECTED = 2_000
GROWTH = 0.02

STATUSES = ("open", "paid", "packed", "sent", "delivered", "returned")
COUNTRIES = tuple(f"{a}{b}" for a in "ABCDEF" for b in "LNRST")
CATEGORIES = tuple(f"{kind} {number}" for kind in ("home", "garden", "toys", "books", "sport") for number in range(8))
WORDS = ("small", "large", "red", "blue", "light", "heavy", "round", "flat", "new", "old", "soft", "plain")
NOTES = tuple(f"{a} {b} {c}" for a in WORDS for b in WORDS for c in WORDS)

Column = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of one version; codes stand for strings until they are written."""

    columns: dict[str, Column]

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.columns["order"])


@dataclass(frozen=True, slots=True)
class Growing:
    """A table that can say what it was at each version.

    Attributes:
        rows: of version 1.
        seed: of everything.
    """

    rows: int
    seed: int = SEED

    @classmethod
    def of_scale(cls, scale: float, seed: int = SEED) -> "Growing":
        """A table of a share of the full rows."""
        return cls(max(500, round(ROWS * scale)), seed)

    @property
    def corrected(self) -> int:
        """How many rows each version corrects: 2,000 at full scale, and the same share at any other."""
        return max(5, round(CORRECTED * self.rows / ROWS))

    def first(self) -> Table:
        """Version 1."""
        return _rows(np.random.default_rng([self.seed, 1]), 0, self.rows)

    def next(self, table: Table, version: int) -> Table:
        """The version after `table`."""
        rng = np.random.default_rng([self.seed, version])
        more = _rows(rng, table.rows, round(self.rows * GROWTH))
        columns = {name: column.copy() for name, column in table.columns.items()}
        chosen = rng.choice(table.rows, self.corrected, replace=False)
        columns["price"][chosen] = np.round(columns["price"][chosen] * rng.uniform(0.5, 1.5, len(chosen)), 2)
        columns["status"][chosen] = rng.integers(0, len(STATUSES), len(chosen))
        return replace(table, columns={name: np.concatenate([columns[name], more.columns[name]]) for name in columns})


def _rows(rng: np.random.Generator, first: int, count: int) -> Table:
    """Rows numbered from `first`; a minute holds about forty orders."""
    begun = np.datetime64("2024-01-01T00:00:00", "s").astype(np.int64) + round(first * 1.5)
    return Table(
        {
            "order": np.arange(first, first + count, dtype=np.int64) + 10_000_000,
            "time": begun + np.cumsum(rng.integers(0, 4, count)),
            "customer": (rng.random(count) ** 2 * 250_000).astype(np.int64),
            "price": np.round(rng.lognormal(3, 0.8, count), 2),
            "quantity": rng.geometric(0.5, count).astype(np.int64),
            "weight_kg": np.round(rng.gamma(2, 1.5, count), 1),
            "latitude": np.round(rng.normal(48, 4, count), 4),
            "category": rng.integers(0, len(CATEGORIES), count).astype(np.int32),
            "country": (rng.random(count) ** 2 * len(COUNTRIES)).astype(np.int32),
            "status": rng.choice(len(STATUSES), count, p=[0.05, 0.05, 0.05, 0.1, 0.7, 0.05]).astype(np.int32),
            "note": rng.integers(0, len(NOTES), count).astype(np.int32),
        }
    )


def _arrow(table: Table) -> Any:
    import pyarrow as pa

    words = {"category": CATEGORIES, "country": COUNTRIES, "status": STATUSES, "note": NOTES}

    def column(name: str, values: Column) -> Any:
        if name in words:
            return pa.DictionaryArray.from_arrays(pa.array(values), pa.array(words[name])).cast(pa.string())
        return pa.array(values).cast(pa.timestamp("s")) if name == "time" else pa.array(values)

    return pa.table({name: column(name, values) for name, values in table.columns.items()})


def write_csv(table: Table, path: Path) -> None:
    """As CSV, without quotes."""
    from pyarrow import csv

    csv.write_csv(_arrow(table), path, csv.WriteOptions(quoting_style="none"))


def write_parquet(table: Table, path: Path) -> None:
    """As Parquet, as pyarrow writes it when it is told nothing."""
    from pyarrow import parquet

    parquet.write_table(_arrow(table), path)


def write_parquet_cut(table: Table, path: Path) -> None:
    """As Parquet whose pages end where the content says so."""
    from pyarrow import parquet

    parquet.write_table(_arrow(table), path, use_content_defined_chunking=True)


WRITERS: dict[str, tuple[str, Callable[[Table, Path], None]]] = {
    "csv": ("table.csv", write_csv),
    "parquet": ("table.parquet", write_parquet),
    "parquet-cut": ("table.parquet", write_parquet_cut),
}
"""The file's name and its writer, by kind."""
