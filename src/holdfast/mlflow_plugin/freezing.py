"""Rows in memory, frozen into the server's store under the role that MLflow's context names."""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from holdfast.flow.bundle.origin import INPUT
from holdfast.flow.snapshot import Snapshot, snapshot
from holdfast.mlflow_plugin.datasets import Rows
from holdfast.parts.data_slice import HOLDOUT, TRAIN, UNANSWERED
from holdfast.store.interface import Store

__all__ = ["ROWS_MAX", "freeze_dataset", "role_of", "sample"]

ROWS_MAX = 1000
"""Rows that a model is asked about: enough for a metric of two digits, answered in a moment by nearly every model."""

_ROLES = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("eval", "evaluation", "test", "testing", "validation", "valid", "val", HOLDOUT), HOLDOUT),
}
"""What people and autolog call the use of a dataset; evaluation data is a holdout where its answers are known."""

_NAMELESS = re.compile(r"[^A-Za-z0-9._-]+")


def role_of(tags: Sequence[Any], *, answered: bool) -> str:
    """What a dataset was for, from the tag that MLflow calls its context, and whether its true answers are known."""
    role = _use_of(tags)
    return UNANSWERED if role == HOLDOUT and not answered else role


def _use_of(tags: Sequence[Any]) -> str:
    context = next((str(tag.value) for tag in tags if tag.key == MLFLOW_DATASET_CONTEXT), "")
    return _ROLES.get(context.lower(), _NAMELESS.sub("-", context.lower()).strip("-.") or INPUT)


def sample(rows: Rows) -> Rows:
    """At most `ROWS_MAX` of the rows, evenly from all of them: files are often sorted by their answers."""
    count = len(rows)
    places = range(count) if count <= ROWS_MAX else [place * count // ROWS_MAX for place in range(ROWS_MAX)]
    return Rows(_taken(rows.features, places), _taken(rows.targets, places), rows.name)


def _taken(held: Any, places: Sequence[int]) -> Any:
    if held is None:
        return None
    if hasattr(held, "iloc"):
        return held.iloc[list(places)].reset_index(drop=True)
    if isinstance(held, list | tuple):
        return [held[place] for place in places]
    return held[list(places)]


def freeze_dataset(store: Store, entity: Any, rows: Rows, root: Path) -> Snapshot:
    """Freeze the rows: a frame as Parquet, arrays as `.npy` files in a folder.

    Raises:
        As `flow.snapshot.snapshot`.
    """
    # MLflow's digest covers the first rows only; it stands here so that people find the dataset that MLflow shows.
    stem = f"{_NAMELESS.sub('-', entity.name).strip('-.') or 'dataset'}-{entity.digest}"
    if hasattr(rows.features, "columns"):
        return snapshot(store, _frame(rows), root=root, name=f"{stem}.parquet")
    import numpy as np

    with tempfile.TemporaryDirectory(prefix="holdfast-table-") as scratch:
        folder = Path(scratch) / stem
        folder.mkdir()
        for name, held in (("features", rows.features), ("targets", rows.targets)):
            if held is not None:
                np.save(folder / f"{name}.npy", np.asarray(held), allow_pickle=False)
        return snapshot(store, folder, root=Path(scratch))


def _frame(rows: Rows) -> Any:
    if rows.targets is None:
        return rows.features
    if hasattr(rows.features, "iloc"):
        return rows.features.assign(**{rows.name: _plain(rows.targets)})
    return rows.features.with_columns(type(rows.features)({rows.name: list(rows.targets)}).to_series())


def _plain(targets: Any) -> Any:
    """Without an index of its own, by which pandas would put the answers beside other rows."""
    return targets.to_numpy() if hasattr(targets, "to_numpy") else targets
