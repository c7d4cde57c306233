"""Data in memory: what `mlflow.log_input` and autolog are given, found again when its name is logged, and frozen.

MLflow sends a dataset's name and a digest of its first rows; the rows never leave the process. So a few datasets are
remembered at a time, from the moment when MLflow describes them until it logs the description.
"""

import sys
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from mlflow.data.dataset import Dataset

__all__ = ["TARGET", "Rows", "forget", "listen_to_datasets", "remembered"]

TARGET = "target"
"""The column of the true answers, where they have no name of their own."""

_REMEMBERED_MAX = 4
"""Datasets described and not yet frozen: a training has two or three, and each may be as large as memory allows."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows in memory.

    Attributes:
        features: a frame or an array, without the true answers.
        targets: the true answers, or None.
        name: the column of the true answers.
    """

    features: Any
    targets: Any = None
    name: str = TARGET

    def __len__(self) -> int:
        """How many rows there are."""
        first = next(iter(self.features.values())) if isinstance(self.features, Mapping) else self.features
        return len(first)

    @property
    def told(self) -> tuple[bool, int]:
        """How much they tell, to be compared: whether the true answers are known, and how many columns there are."""
        shape: tuple[int, ...] = getattr(self.features, "shape", ())
        return self.targets is not None, shape[-1] if len(shape) > 1 else 1


_lock = Lock()
_described: OrderedDict[tuple[str, str], Rows] = OrderedDict()


def listen_to_datasets() -> None:
    """From now on remember each dataset that MLflow describes."""
    original = Dataset._to_mlflow_entity  # noqa: SLF001 - the one place that every way of logging a dataset passes
    if hasattr(original, "_holdfast"):
        return

    def described(self: Any) -> Any:
        entity = original(self)
        rows = _rows_of(self, sys._getframe(1).f_locals)  # noqa: SLF001 - the only way to what stands beside it
        if rows is not None:
            _remember((entity.name, entity.digest), rows)
        return entity

    described._holdfast = True  # type: ignore[attr-defined]  # noqa: SLF001 - our own mark on our own function
    Dataset._to_mlflow_entity = described  # noqa: SLF001 - as above


def _remember(key: tuple[str, str], rows: Rows) -> None:
    with _lock:
        before = _described.get(key)
        # A search describes its data again for its candidates, from where the answers are out of sight.
        known = before is not None and before.targets is not None and before.features is rows.features
        if known and rows.targets is None:
            return
        _described[key] = rows
        while len(_described) > _REMEMBERED_MAX:
            _described.popitem(last=False)


def remembered(entity: Any) -> Rows | None:
    """The rows of a dataset by its description; None where they are not in memory, or not of a kind that is known."""
    with _lock:
        return _described.get((entity.name, entity.digest))


def forget(entity: Any) -> None:
    """Let go of the rows of a dataset, so that they do not outlive the script's own use of them."""
    with _lock:
        _described.pop((entity.name, entity.digest), None)


def _rows_of(dataset: Any, beside: Mapping[str, Any]) -> Rows | None:
    """The rows of a dataset of MLflow's; their targets from the caller, where autolog knows them and logs rows only."""
    frame = getattr(dataset, "df", None)
    if frame is not None and type(frame).__module__.partition(".")[0] in {"pandas", "polars"}:
        name = getattr(dataset, "targets", None)
        if isinstance(name, str):
            return Rows(frame.drop(columns=[name]) if hasattr(frame, "iloc") else frame.drop(name), frame[name], name)
        return _with_targets(Rows(frame), beside)
    features = getattr(dataset, "features", None)
    if features is None or not hasattr(features, "shape"):
        return None
    targets = dataset.targets
    rows = Rows(features, targets if hasattr(targets, "shape") else None)
    return rows if rows.targets is not None else _with_targets(rows, beside)


def _with_targets(rows: Rows, beside: Mapping[str, Any]) -> Rows:
    targets = beside.get("y")
    for name in ("xgb_dataset", "lgb_dataset"):
        if name in beside and hasattr(beside[name], "get_label"):
            targets = beside[name].get_label()
    if targets is None or not hasattr(targets, "__len__") or len(targets) != len(rows):
        return rows
    said = getattr(targets, "name", None)
    taken = {str(one) for one in getattr(rows.features, "columns", ())}
    return Rows(rows.features, targets, said if isinstance(said, str) and said not in taken else TARGET)
