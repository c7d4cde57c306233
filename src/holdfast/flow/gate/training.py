"""What a version was trained on, looked at for the rules: each table once, in pieces, in memory that does not grow.

Collecting is all that happens here; what it means is for the rules to say. What was not looked at is said as well, and
why: a file that is no table, a table that lacks a column, a snapshot that is lost.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from holdfast.digest import Digest
from holdfast.errors import HoldfastError, MissingExtra
from holdfast.evidence import Holdout
from holdfast.flow.bundle.origin import INPUT
from holdfast.flow.gate.tables import has_rows, is_table, pieces_of
from holdfast.manifest import Manifest
from holdfast.parts import DataInput, DataSlice
from holdfast.parts.data_slice import HOLDOUT, TRAIN
from holdfast.runtime.rows import Table
from holdfast.store.interface import Store
from holdfast.store.tree import Row, tree_rows

if TYPE_CHECKING:
    from holdfast.statistics.sampling import Sample, Sampler
    from holdfast.statistics.twins import Alike, Found, Search, Sought

__all__ = ["SEED", "Looked", "Training", "look"]

SEED = 1
"""Of the rows that are drawn: the same ones whenever somebody asks."""

_NOTES_MAX = 5
"""Files that were passed over, named one by one; a folder may hold a million of them."""

_FILES_MAX = 1_000_000
"""Files of a snapshot that are compared by digest: 100 MB of numbers; what lies behind is not."""


@dataclass(frozen=True, slots=True)
class Looked:
    """One snapshot that was looked at.

    Attributes:
        name, role, digest: as the data slice names it.
        rows: rows of its tables that were looked at.
        passed_over: why some of it was not, one sentence each.
        trouble: what kept all of it from being read.
        twins: rows of the holdout among its rows; None when nobody asked, or no table has their columns.
        files: files of the holdout's own snapshot among its files that are no tables; None when there are none.
        sample: rows drawn from its tables; None when nobody asked, or there is no table.
    """

    name: str
    role: str
    digest: Digest
    rows: int = 0
    passed_over: tuple[str, ...] = ()
    trouble: HoldfastError | None = None
    twins: "Found | None" = None
    files: "Alike | None" = None
    sample: "Sample | None" = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Training:
    """Everything that a version was trained on, as far as it could be looked at.

    Attributes:
        inputs: one for each snapshot.
        trouble: what kept any of them from being looked at.
    """

    inputs: tuple[Looked, ...] = ()
    trouble: HoldfastError | None = None

    def digests(self) -> list[str]:
        """The snapshots that were looked at, for a verdict."""
        return sorted(str(one.digest) for one in self.inputs)


def look(
    store: Store, manifest: Manifest, *, rows: Table | None = None, target: str | None = None, sample: bool = False
) -> Training:
    """Look at what a version was trained on.

    Args:
        store: where its bytes are.
        manifest: the version's.
        rows: the holdout's, to be looked for; None: nobody asks.
        target: which of their columns is the true answer.
        sample: whether rows are drawn, to compare distributions by.
    """
    found = manifest.parts.data_slice
    inputs = _trained_on(found) if isinstance(found, DataSlice) else []
    if not inputs:
        return Training()
    try:
        from holdfast.statistics.sampling import Sampler
        from holdfast.statistics.twins import Sought
    except ImportError as error:
        missing = MissingExtra(f"a gate needs {error.name}", hint="Install what it needs: pip install 'holdfast[gate]'")
        return Training(trouble=missing)
    sought = None if rows is None else Sought(_columns(rows), target)
    files = _files_of_holdout(store, manifest) if rows is not None else ()
    return Training(tuple(_looked(store, one, sought, files, Sampler(SEED) if sample else None) for one in inputs))


def _trained_on(found: DataSlice) -> list[DataInput]:
    """What was frozen to train on, and what the run opened and nobody gave another role; each snapshot once."""
    each: dict[Digest, DataInput] = {}
    for one in sorted(found.inputs, key=lambda one: one.role != TRAIN):
        if one.role in {TRAIN, INPUT}:
            each.setdefault(one.digest, one)
    return list(each.values())


def _columns(rows: Table) -> dict[str, list[object]]:
    named = rows.named()
    return dict(zip(named.names or (), named.columns, strict=True))


def _files_of_holdout(store: Store, manifest: Manifest) -> Sequence[int]:
    """The files that the holdout's rows speak of: those of its own snapshot that are no tables."""
    holdout, found = manifest.evidence.holdout, manifest.parts.data_slice
    digests = {holdout.snapshot} if isinstance(holdout, Holdout) and holdout.snapshot is not None else set()
    if isinstance(found, DataSlice):
        digests |= {one.digest for one in found.inputs if one.role == HOLDOUT}
    try:
        return [_number(row) for digest in sorted(digests, key=str) for row in _no_tables(store, digest)][:_FILES_MAX]
    except HoldfastError:
        return ()  # the frozen rows are in the bundle; the folder that they came from need not be here


def _no_tables(store: Store, digest: Digest) -> Iterator[Row]:
    return (row for row in tree_rows(store, digest) if row.size and not is_table(row.path))


def _number(row: Row) -> int:
    return int(row.hex[:16], 16)


@dataclass(slots=True)
class _Pass:
    """One pass over a snapshot."""

    store: Store
    search: "Search | None"
    sampler: "Sampler | None"
    notes: list[str] = field(default_factory=list)
    passed: int = 0
    files: list[int] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        self.passed += 1
        if len(self.notes) < _NOTES_MAX:
            self.notes.append(sentence)

    def read(self, row: Row, sought: "Sought | None") -> bool:
        """Look at one table; whether there is room for another."""
        features = sought.features if sought is not None and self.search is not None else ()
        empty = True
        for piece in pieces_of(self.store, Digest(row.hex), row.path):
            empty = False
            if self.sampler is not None:
                self.sampler.add(piece)
            lacking = [name for name in features if name not in piece]
            if lacking:
                more = f" and {len(lacking) - _NOTES_MAX} more" if len(lacking) > _NOTES_MAX else ""
                self.note(f"{row.path} lacks {', '.join(lacking[:_NOTES_MAX])}{more}, which the holdout has")
                features = ()
            elif features and self.search is not None and not self.search.add(piece):
                self.note(f"{row.path} has more rows than are looked at")
                return False
            if not features and self.sampler is None:
                break
        if empty and has_rows(row.path):
            self.note(f"{row.path} has no rows that can be compared")
        return True


def _looked(
    store: Store, given: DataInput, sought: "Sought | None", files: Sequence[int], sampler: "Sampler | None"
) -> Looked:
    from holdfast.statistics.twins import Search, alike

    found = Looked(given.name, given.role, given.digest)
    at = _Pass(store, None if sought is None or not sought.features else Search(sought), sampler)
    others = 0
    try:
        for row in tree_rows(store, given.digest):
            if not is_table(row.path):
                others += 1
                if row.size and files and len(at.files) < _FILES_MAX:
                    at.files.append(_number(row))
            elif not at.read(row, sought):
                break
    except HoldfastError as error:
        return replace(found, trouble=error)
    if others:
        at.note(f"{others} files of {given.name} are no tables")
    if at.passed > len(at.notes):
        at.notes.append(f"and {at.passed - len(at.notes)} more")
    return replace(
        found,
        rows=max((one.rows for one in (at.search, sampler) if one is not None), default=0),
        passed_over=tuple(at.notes),
        twins=at.search.found() if at.search is not None and at.search.rows else None,
        files=alike(files, at.files) if files and at.files else None,
        sample=sampler.sample() if sampler is not None and sampler.rows else None,
    )
