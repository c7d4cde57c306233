"""The frozen rows of the version that holds the stage, beside those of the candidate: which are gone, which are new.

Rows are compared by the columns that both holdouts have, in whatever order rows and columns stand; 1, 1.0 and true are
the same, as in JSON they may be.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from holdfast.canonical import Json
from holdfast.digest import Digest
from holdfast.errors import HoldfastError, NotFound
from holdfast.evidence import Holdout
from holdfast.manifest import Manifest
from holdfast.names import RelativePath
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.rows import Table, read_table
from holdfast.runtime.smoke import read_outputs
from holdfast.store.interface import Store

__all__ = ["Former", "compared", "frozen_rows"]

_BYTES_MAX = 4 << 30
"""Of a frozen table; a million rows of a thousand numbers are no more, and a holdout has no more rows."""


@dataclass(frozen=True, slots=True)
class Former:
    """The holdout of the version that holds the stage.

    Attributes:
        digest: of its frozen rows.
        count: how many they are.
        gone: how many of them the candidate's holdout lacks.
        new: how many rows the candidate's has and this one lacks.
        columns_gone, columns_new: the same of columns.
        targets: the true answers of the rows that are gone; None when they have none.
        theirs: what the version that holds the stage answered on them when it was registered.
        mine: what the candidate answers on them; None when there are none, or it could not be asked.
        trouble: what went wrong when it was.
    """

    digest: Digest
    count: int
    gone: int
    new: int
    columns_gone: tuple[str, ...] = ()
    columns_new: tuple[str, ...] = ()
    targets: tuple[Json, ...] | None = None
    theirs: Answer | None = None
    mine: Answer | None = None
    trouble: HoldfastError | None = None


def frozen_rows(store: Store, manifest: Manifest) -> Table:
    """The frozen rows of a version, the target among them.

    Raises:
        NotFound: the version has none, or the store has lost them.
        IntegrityError, UnsupportedFormat: they are damaged.
    """
    return read_table(_read(store, manifest, _holdout(manifest).rows))


def compared(store: Store, manifest: Manifest, rows: Table, ask: Callable[[Table], Answer]) -> Former:
    """The holdout of one version beside the rows of another.

    Args:
        store: where the bytes are.
        manifest: of the version that holds the stage.
        rows: the candidate's frozen rows.
        ask: asks the candidate about rows without their target.

    Raises:
        NotFound, IntegrityError, UnsupportedFormat: the holdout of the version that holds the stage cannot be read.
    """
    holdout = _holdout(manifest)
    digest = manifest.file(holdout.rows).digest
    before = frozen_rows(store, manifest)
    names, mine = before.named().names or (), rows.named().names or ()
    shared = [name for name in names if name in set(mine)]
    there = Counter(_keys(rows.named(), shared))
    gone: list[int] = []
    for place, key in enumerate(_keys(before.named(), shared)):
        if there[key]:
            there[key] -= 1
        else:
            gone.append(place)
    found = Former(
        digest,
        before.count,
        len(gone),
        there.total(),
        tuple(name for name in names if name not in set(mine)),
        tuple(name for name in mine if name not in set(names)),
    )
    if not gone:
        return found
    lost = _picked(before, gone)
    targets = None if holdout.target is None else tuple(lost.column(holdout.target))
    theirs = _picked_answer(read_outputs(_read(store, manifest, holdout.outputs)), gone)
    found = replace(found, targets=targets, theirs=theirs)
    try:
        return replace(found, mine=ask(lost.without(holdout.target)))
    except HoldfastError as error:
        return replace(found, trouble=error)


def _holdout(manifest: Manifest) -> Holdout:
    holdout = manifest.evidence.holdout
    if not isinstance(holdout, Holdout):
        raise NotFound("the version has no frozen rows", hint="Register versions with a holdout.")
    return holdout


def _read(store: Store, manifest: Manifest, path: RelativePath) -> bytes:
    return store.read(manifest.file(path).digest, bytes_max=_BYTES_MAX)


def _keys(table: Table, names: Sequence[str]) -> Iterator[tuple[Json, ...]]:
    columns = [[_key(value) for value in table.column(name)] for name in names]
    return zip(*columns, strict=True) if columns else iter([()] * table.count)


def _key(value: Json) -> Json:
    return json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else value


def _picked(table: Table, places: Sequence[int]) -> Table:
    columns = tuple([column[place] for place in places] for column in table.columns)
    return Table(table.names, columns, len(places))


def _picked_answer(answer: Answer, places: Sequence[int]) -> Answer:
    return Answer(
        [answer.predictions[place] for place in places], [answer.scores[place] for place in places], answer.classes
    )
