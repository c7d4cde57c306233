"""Which rows of one table stand in another one too, exactly or nearly: one pass over the other, linear in its rows.

    sought = Sought(columns, target="churned")
    search = Search(sought)
    for piece in pieces: search.add(piece)
    search.found()

Two rows are the same when each feature's cells are (`holdfast.statistics.cells`); the order of rows and columns means
nothing, and columns that the sought rows lack are not looked at.

Two rows are near when they are the same but for the numbers, and every number is within a tolerance of the other:
`NEAR` of its column's scale, which is the distance between the quartiles of the sought rows (their standard deviation
where that is 0). A column of whole numbers whose tolerance is below a half is compared after rounding.

To compare every row with every other one takes the product of both tables. Instead each number is put into a cell of a
grid, and rows are near that share all cells. A single grid parts neighbours that lie on both sides of a line, so there
are as many grids as columns and one more, each shifted by one tolerance. Lines of different grids are a tolerance
apart, so two numbers within it are parted in one of the grids at most; so many columns part them in as many grids at
most, and one is left: Chan, "Approximate nearest neighbor queries revisited", Discrete and Computational Geometry 20
(1998). Hence the law: **every pair within the tolerance is found**; and the other way round, what is found is within
as many tolerances as there are grids. Numbers further than 2^32 tolerances from the median are compared exactly.

The sum of products that names a cell changes from one grid to the next only by those columns whose remainder is passed,
so all grids together cost one step for each column and one for each grid, and not their product.

How often rows repeat by themselves is counted in the same pass, and whether chance explains what was found
(`holdfast.statistics.excess`). Of near twins both are asked in as many grids as `CELLS_KEPT_MAX` leaves room for, each
grid by itself, with Bonferroni's adjustment.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.statistics.cells import Cells, Marks, cells, mixed, seed_of
from holdfast.statistics.excess import straddling

__all__ = ["NEAR", "ROWS_MAX", "Alike", "Found", "Search", "Sought", "alike"]

NEAR = 1e-3
"""The tolerance, of the distance between quartiles: finer than what changes a prediction, coarser than what rounding
to three digits, or another precision of floats, makes of a number."""

ROWS_MAX = 10_000_000
"""Rows of the other table that are looked at: 80 MB of marks, and a minute or two; what lies behind is not."""

CELLS_KEPT_MAX = 1 << 22
"""Cells of the other table's rows that are kept to see how often they repeat: 32 MB."""

CELLS_SOUGHT_MAX = 1 << 24
"""Cells of the sought rows: 128 MB. Past it near rows are not looked for."""

_CELLS_AT_ONCE = 1 << 21
"""Cells computed together: 16 MB, however many grids there are."""

_SPACING = 1.0 + 2e-6
"""Lines stand a little further apart than the tolerance, by more than rounding takes up to `_FAR`."""

_FAR = 2.0**32
"""In tolerances from the median; past it a number is compared exactly."""

_SIEVE_BITS = 20
"""A sieve of a million places keeps most rows from being looked up at all."""

_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Alike:
    """How many rows were found, beside how many repeat by themselves.

    Attributes:
        found: sought rows with a twin in the other table.
        sought: all sought rows.
        repeated: rows of the other table with a twin among its own.
        rows: all of those.
        p: how often chance gives as many, had all rows been dealt into the two tables at random.
    """

    found: int
    sought: int
    repeated: int
    rows: int
    p: float


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Attributes:
        exact: rows with the same features.
        with_target: how many of the sought rows have a twin with the same target too; None when there is no target.
        near: rows whose features are near, the same ones among them, in the grids in which repetition is counted; None
            when near rows were not looked for.
        near_found: sought rows with a near twin in any grid.
        all_read: whether every row of the other table was looked at.
    """

    exact: Alike
    with_target: int | None
    near: Alike | None
    near_found: int
    all_read: bool


@dataclass(frozen=True, slots=True)
class _Lattice:
    """How the numbers of one column are put into cells: around `middle`, in steps of `step`."""

    name: str
    middle: float
    step: float
    weight: np.uint64


class Sought:
    """The rows to look for.

    Args:
        columns: arrays of numbers, or lists of JSON values, by name.
        target: the column that is no feature, if there is one.

    Attributes:
        features: the names of the columns that are compared.
        target: that column's name.
        count: how many rows.
    """

    def __init__(self, columns: Mapping[str, Any], target: str | None = None) -> None:
        self.target = target
        self.features = tuple(name for name in columns if name != target)
        read = {name: cells(values) for name, values in columns.items()}
        self.count = next((one.marks.size for one in read.values()), 0)
        self._lattices: list[_Lattice] = []
        self._whole: set[str] = set()
        for name in self.features:
            self._measure(name, read[name])
        self.grids = len(self._lattices) + 1
        if self.count * self.grids > CELLS_SOUGHT_MAX:
            self.grids = 0
        self.exact = _Places(self.marks(read))
        self.with_target = None if target is None else _Places(self.marks(read, target=target))
        near = list(self.near_marks(read))
        self.near = [_Places(np.concatenate([part[grid] for part in near])) for grid in range(self.grids)]

    def _measure(self, name: str, found: Cells) -> None:
        numbers = found.numbers[~np.isnan(found.numbers)]
        if not numbers.size or numbers.size + int(found.missing.sum()) < found.numbers.size:
            return
        low, middle, high = np.quantile(numbers, (0.25, 0.5, 0.75))
        with np.errstate(over="ignore"):
            tolerance = NEAR * float(high - low or numbers.std())
        if not 0 < tolerance < np.inf:
            return
        if tolerance < _HALF and not (numbers % 1).any():
            self._whole.add(name)
        else:
            weight = np.uint64(seed_of(f"weight of {name}") | 1)
            self._lattices.append(_Lattice(name, float(middle), tolerance * _SPACING, weight))

    def marks(self, read: Mapping[str, Cells], *, target: str | None = None) -> Marks:
        """One mark for each row, equal for equal rows; the target counts where it is named."""
        return _summed(self.count_of(read), [_seeded(name, read[name].marks) for name in self._named(target)])

    def _named(self, target: str | None) -> Sequence[str]:
        return self.features if target is None else (*self.features, target)

    def count_of(self, read: Mapping[str, Cells]) -> int:
        """How many rows a piece has."""
        return next((one.marks.size for one in read.values()), 0)

    def near_marks(self, read: Mapping[str, Cells]) -> Iterator[NDArray[np.uint64]]:
        """By grid and row, marks that are equal for rows that share all cells; a few rows at a time."""
        count, at_once = self.count_of(read), max(1, _CELLS_AT_ONCE // max(self.grids, 1))
        for start in range(0, count if self.grids else 0, at_once):
            yield self._near(read, slice(start, min(start + at_once, count)))

    def _near(self, read: Mapping[str, Cells], rows: slice) -> NDArray[np.uint64]:
        lattices = {one.name: one for one in self._lattices}
        steps = np.zeros((self.grids, rows.stop - rows.start), np.uint64)
        places = np.arange(rows.stop - rows.start)
        for name in self.features:
            marks, numbers = read[name].marks[rows], read[name].numbers[rows]
            if name in self._whole:
                rounded = np.rint(numbers)
                marks = np.where(np.isnan(numbers), marks, cells(rounded).marks)
            if name not in lattices:
                steps[0] += _seeded(name, marks)
                continue
            lattice = lattices[name]
            with np.errstate(over="ignore", invalid="ignore"):
                at = np.floor((numbers - lattice.middle) / lattice.step)
            inside = np.abs(at) <= _FAR  # false for what is no number
            cell, rest = np.divmod(np.where(inside, at, 0.0).astype(np.int64), self.grids)
            steps[0] += np.where(inside, cell.view(np.uint64) * lattice.weight, _seeded(name, marks))
            # From the grid on in which the remainder carries, the number is in the next cell.
            carries = np.flatnonzero(inside & (rest > 0))
            steps[self.grids - rest[carries], places[carries]] += lattice.weight
        return np.cumsum(steps, axis=0, dtype=np.uint64)


class Search:
    """A pass over the other table, piece by piece."""

    def __init__(self, sought: Sought) -> None:
        self._sought = sought
        self._exact: list[Marks] = []
        self._near: list[list[Marks]] = [[] for _ in range(sought.grids)]
        self.rows = 0
        self.all_read = True

    def add(self, columns: Mapping[str, Any]) -> bool:
        """Look at some rows; whether there is room for more.

        Raises:
            KeyError: a feature of the sought rows is not among the columns.
        """
        sought = self._sought
        names = [*sought.features, *([sought.target] if sought.target in columns else [])]
        read = {name: cells(columns[name][: ROWS_MAX - self.rows]) for name in names if name is not None}
        count = sought.count_of(read)
        self.all_read &= count == max((len(columns[name]) for name in sought.features), default=0)
        if not count:
            return self.all_read
        self.rows += count
        marks = sought.marks(read)
        sought.exact.see(marks)
        self._exact.append(marks)
        if sought.with_target is not None and sought.target in read:
            sought.with_target.see(sought.marks(read, target=sought.target))
        for part in sought.near_marks(read):
            for grid, row in enumerate(part):
                sought.near[grid].see(row)
                if grid < len(self._near):
                    self._near[grid].append(row.copy())
        while len(self._near) > 1 and len(self._near) * self.rows > CELLS_KEPT_MAX:
            self._near.pop()
        return self.all_read

    def found(self) -> Found:
        """What was found in all the pieces together."""
        sought = self._sought
        found = int(sought.exact.seen().sum())
        p = sought.exact.chance(self._exact)
        exact = Alike(found, sought.count, _repeated([self._exact]), self.rows, p)
        near, near_found = None, 0
        if sought.grids:
            kept = sought.near[: len(self._near)]
            found = int(np.logical_or.reduce([places.seen() for places in kept]).sum())
            p = min(places.chance(pieces) for places, pieces in zip(kept, self._near, strict=True))
            near = Alike(found, sought.count, _repeated(self._near), self.rows, min(1.0, len(kept) * p))
            near_found = int(np.logical_or.reduce([places.seen() for places in sought.near]).sum())
        target = None if sought.with_target is None else int(sought.with_target.seen().sum())
        return Found(exact, target, near, near_found, self.all_read)


def alike(sought: Sequence[int], other: Sequence[int]) -> Alike:
    """The same question of things that have a number of 64 bits each, such as files that have a digest."""
    places, marks = _Places(np.array(sought, np.uint64)), np.array(other, np.uint64)
    places.see(marks)
    found = int(places.seen().sum())
    return Alike(found, len(sought), _repeated([[marks]]), len(other), places.chance([marks]))


class _Places:
    """Marks that are looked for, and which of them were seen."""

    def __init__(self, marks: Marks) -> None:
        self._marks, self._of_row = np.unique(marks, return_inverse=True)
        self._seen = np.zeros(self._marks.size, np.bool_)
        self._sieve = np.zeros(1 << _SIEVE_BITS, np.bool_)
        self._sieve[_sieved(self._marks)] = True

    def see(self, marks: Marks) -> None:
        """Take note of those that are looked for."""
        left = marks[self._sieve[_sieved(marks)]]
        if left.size:
            at = np.minimum(np.searchsorted(self._marks, left), self._marks.size - 1)
            self._seen[at[self._marks[at] == left]] = True

    def seen(self) -> NDArray[np.bool_]:
        """For each of the rows that are looked for, whether it was seen."""
        found: NDArray[np.bool_] = self._seen[self._of_row]
        return found

    def chance(self, pieces: Sequence[Marks]) -> float:
        """How often chance alone gives as many that were seen in these pieces."""
        found = int(self.seen().sum())
        if not found:
            return 1.0
        rows = self._marks[self._of_row]
        _, counts = np.unique(np.concatenate([*pieces, rows]), return_counts=True)
        sizes, groups = np.unique(counts[counts > 1], return_counts=True)
        return straddling(found, sizes, groups, rows.size, sum(piece.size for piece in pieces))


def _sieved(marks: Marks) -> NDArray[np.int64]:
    # The upper bits of a sum of products depend on all of the lower ones.
    return (marks >> np.uint64(64 - _SIEVE_BITS)).astype(np.int64)


def _seeded(name: str, marks: Marks) -> Marks:
    return mixed(marks + np.uint64(seed_of(name)))


def _summed(count: int, parts: Sequence[Marks]) -> Marks:
    total = np.zeros(count, np.uint64)
    for part in parts:
        total += part
    return total


def _repeated(grids: Sequence[Sequence[Marks]]) -> int:
    """How many rows share a mark with another one, in any of the grids."""
    repeats: NDArray[np.bool_] | None = None
    for pieces in grids:
        if not pieces:
            continue
        marks = np.concatenate(pieces)
        order = np.argsort(marks)
        same = np.diff(marks[order]) == 0
        if repeats is None:
            repeats = np.zeros(marks.size, np.bool_)
        repeats[order[1:][same]] = True
        repeats[order[:-1][same]] = True
    return 0 if repeats is None else int(repeats.sum())
