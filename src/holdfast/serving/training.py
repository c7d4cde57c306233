"""What a version was trained on, as far as a machine that serves can look at it: a sample of its snapshots' tables."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from holdfast.canonical import Json
from holdfast.flow.gate.training import look
from holdfast.parts import DataInput, DataSlice
from holdfast.parts.data_slice import TRAIN
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.serving.reference import Reference, reference_of, with_training
from holdfast.store.interface import Store

__all__ = ["READ_BYTES_MAX", "compared_with_training"]

_LOG = logging.getLogger("holdfast.serving")

READ_BYTES_MAX = 64 << 20
"""Snapshots that are read to compare rows with: a second or two beside what is answered meanwhile. The rows of the
holdout stand for larger ones, and for those that are not here."""

_ROWS_MAX = 20_000
"""Rows of the sample that are counted: shares are known to a third of a percent."""


def compared_with_training(store: Store) -> Callable[[BundleFiles], Reference]:
    """Gives what a version is compared with: what it was trained on where that can be read, else its holdout."""

    def compared(files: BundleFiles) -> Reference:
        reference = reference_of(files)
        inputs = _trained_on(files)
        if not inputs or sum(one.bytes for one in inputs) > READ_BYTES_MAX:
            return reference
        training = look(store, files.manifest, sample=True)
        trouble = training.trouble or next((one.trouble for one in training.inputs if one.trouble is not None), None)
        if trouble is not None:
            _LOG.info("%s: what it was trained on could not be read: %s", files.digest.short, trouble.message)
            return reference
        for one in training.inputs:
            if one.sample and one.rows:
                columns = {name: _values(values) for name, values in one.sample.items()}
                return with_training(reference, f"{one.rows} rows of {one.name}, which it was trained on", columns)
        return reference

    return compared


def _trained_on(files: BundleFiles) -> list[DataInput]:
    found = files.manifest.parts.data_slice
    return [one for one in found.inputs if one.role == TRAIN] if isinstance(found, DataSlice) else []


def _values(values: Any) -> Sequence[Json]:
    """Every so many-th value, as JSON has it."""
    step = max(1, -(-len(values) // _ROWS_MAX))
    return [None if value != value else value for value in values[::step].tolist()]  # noqa: PLR0124 - NaN is missing
