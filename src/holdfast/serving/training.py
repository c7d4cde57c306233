"""What a version was trained on, as far as a machine that serves can look at it: a sample of its snapshots' tables.

It is read in a process of its own and of low priority: tables are read by libraries that take hundreds of megabytes and
a processor for a second or two, and both belong to those who are answered meanwhile.
"""

import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from holdfast.canonical import Json
from holdfast.digest import Digest
from holdfast.flow.bundle.origin import INPUT
from holdfast.flow.gate.training import look
from holdfast.parts import DataInput, DataSlice
from holdfast.parts.data_slice import TRAIN
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.serving.reference import Reference, reference_of, with_training
from holdfast.store.interface import Store

__all__ = ["READ_BYTES_MAX", "answer", "compared_apart", "compared_with_training"]

_LOG = logging.getLogger("holdfast.serving")

READ_BYTES_MAX = 64 << 20
"""Snapshots that are read to compare rows with; the rows of the holdout stand for larger ones, and for those that are
not here."""

_ROWS_MAX = 20_000
"""Rows of the sample that are counted: shares are known to a third of a percent."""

_NICE = 10
"""Behind everything that answers."""

_SECONDS_MAX = 60.0
"""Tables of `READ_BYTES_MAX` take seconds; a replica that ends waits no longer than this for one that hangs."""


def compared_apart(work: Callable[[Path, Digest], Reference | None]) -> Callable[[BundleFiles], Reference]:
    """Gives what a version is compared with: what `work` finds in another process, else what its bundle says.

    Args:
        work: a function of a module, which that process can find; given the bundle's folder and digest.
    """

    def compared(files: BundleFiles) -> Reference:
        found = None
        if _is_readable(files):
            try:
                found = _asked(work, files)
            except (OSError, subprocess.SubprocessError, pickle.UnpicklingError, EOFError) as error:
                _LOG.warning("what %s was trained on was not read: %s", files.digest.short, type(error).__name__)
        return found or reference_of(files)

    return compared


def _asked(work: Callable[[Path, Digest], Reference | None], files: BundleFiles) -> Reference | None:
    """What another process finds, which has one thing to do and ends by itself, whatever becomes of this one."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", "from holdfast.serving.training import answer; answer()"],
        input=pickle.dumps((work, files.root, files.digest)),
        stdout=subprocess.PIPE,
        check=True,
        timeout=_SECONDS_MAX,
        start_new_session=True,  # a Ctrl-C at the terminal is for the process that waits
    )
    found: Reference | None = pickle.loads(done.stdout)  # noqa: S301 - what our own process wrote
    return found


def answer() -> None:
    """The other process: do what standard input says, and write what was found to standard output."""
    os.nice(_NICE)
    sink = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no part of the answer
    work, root, digest = pickle.load(sys.stdin.buffer)  # noqa: S301 - what the process that waits wrote
    with os.fdopen(sink, "wb") as written:
        pickle.dump(work(root, digest), written)


def compared_with_training(store: Store, files: BundleFiles) -> Reference:
    """What a version is compared with: what it was trained on where that can be read, else its holdout.

    Raises:
        HoldfastError: a file of the bundle is damaged.
    """
    reference = reference_of(files)
    if not _is_readable(files):
        return reference
    training = look(store, files.manifest, sample=True)
    trouble = training.trouble or next((one.trouble for one in training.inputs if one.trouble is not None), None)
    for one in () if trouble is not None else training.inputs:
        if one.sample and one.rows:
            columns = {name: _values(values) for name, values in one.sample.items()}
            return with_training(reference, f"{one.rows} rows of {one.name}, which it was trained on", columns)
    return reference


def _is_readable(files: BundleFiles) -> bool:
    found = files.manifest.parts.data_slice
    inputs: tuple[DataInput, ...] = found.inputs if isinstance(found, DataSlice) else ()
    read = [one.bytes for one in inputs if one.role in {TRAIN, INPUT}]
    return bool(read) and sum(read) <= READ_BYTES_MAX


def _values(values: Any) -> Sequence[Json]:
    """Every so many-th value, as JSON has it."""
    step = max(1, -(-len(values) // _ROWS_MAX))
    return [None if value != value else value for value in values[::step].tolist()]  # noqa: PLR0124 - NaN is missing
