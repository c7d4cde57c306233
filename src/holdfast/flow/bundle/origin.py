"""From what was captured of a run to what a bundle says about where it came from."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from holdfast.canonical import JsonObject, decode, encode, plain
from holdfast.digest import Digest
from holdfast.errors import HoldfastError, UsageError
from holdfast.evidence import CodeState, RunReference
from holdfast.flow.bundle.assemble import Ingredients
from holdfast.flow.bundle.hyperparameters import known_hyperparameters
from holdfast.flow.capture import Capture, FileSeen, requirements_lock
from holdfast.flow.snapshot import Snapshot, snapshot
from holdfast.parts import DataInput, Missing
from holdfast.parts.data_slice import HOLDOUT
from holdfast.store.interface import Store
from holdfast.tracking.interface import Tracking
from holdfast.tracking.values import Run, RunInput

__all__ = ["INPUT", "data_input", "freeze_opened", "from_run", "gather", "keep_capture", "kept_capture", "with_capture"]

INPUT = "input"
"""The role of a data file that the run opened and that nobody gave another role."""

_FROZEN_BYTES_MAX = 64 << 30
"""Files opened by a run are frozen without being asked up to this size together; beyond it a person decides."""


_CAPTURE_TAG = "holdfast.capture"
_PATCH_TAG = "holdfast.patch"
"""Tags of a run that name the blobs with its capture and its uncommitted difference."""

_CAPTURE_BYTES_MAX = 64 << 20
"""A capture lists files and distributions; a hundred thousand of them are far below this."""

_KEPT = ("interpreter", "frameworks", "system", "hardware", "packages", "environment", "locks", "seeds", "notes")
"""What of a capture stands in a bundle's environment; the rest has places of its own."""


def keep_capture(
    capture: Capture, run: str, store: Store, tracking: Tracking, project: Path, *, seen: Path | None = None
) -> tuple[str, ...]:
    """Keep what was captured of a run, and freeze the data files that it opened.

    Args:
        capture: what was captured.
        run: the run.
        store: where the bytes go.
        tracking: where the run is.
        project: what sources are relative to.
        seen: where snapshots remember what their sources looked like; None: every file is read.

    Returns:
        A sentence for each data file that could not be frozen.
    """
    known = tracking.run(run)
    given = tuple(from_run(item) for item in known.inputs if item.digest is not None)
    inputs, notes = freeze_opened(capture, given, store, project, seen)
    with store.writer() as writer:
        tags = {_CAPTURE_TAG: str(writer.add_bytes(encode(plain(capture.to_json()))).digest)}
        if capture.code.patch:
            tags[_PATCH_TAG] = str(writer.add_bytes(capture.code.patch).digest)
        writer.commit()
    tracking.log_inputs(run, [to_run(item) for item in inputs[len(given) :]])
    tracking.set_tags(run, tags)
    return notes


def kept_capture(run: Run, store: Store) -> Capture | None:
    """What was captured of a run, its patch included; None when it was not kept."""
    if _CAPTURE_TAG not in run.tags:
        return None
    data = store.read(Digest.parse(run.tags[_CAPTURE_TAG]), bytes_max=_CAPTURE_BYTES_MAX)
    capture = Capture.from_json(decode(data, what="the capture of the run"))
    if _PATCH_TAG not in run.tags:
        return capture
    patch = store.read(Digest.parse(run.tags[_PATCH_TAG]), bytes_max=_CAPTURE_BYTES_MAX)
    return replace(capture, code=replace(capture.code, patch=patch))


def gather(given: Ingredients, run: Run | None, capture: Capture | None, store: Store) -> Ingredients:
    """The ingredients with everything that the run and its capture know added to what a person said.

    Args:
        given: what a person said.
        run: the run that the version comes from, if there was one.
        capture: what was captured of it.
        store: where a holdout is frozen.
    """
    inputs = list(given.inputs)
    if run is not None:
        inputs += [from_run(item) for item in run.inputs if item.digest is not None]
    if isinstance(given.holdout, str | os.PathLike):
        frozen = data_input(snapshot(store, given.project / given.holdout, root=given.project), HOLDOUT)
        # A run that opened the holdout only to measure says so now; what was frozen to train on stays what it was.
        inputs = [item for item in inputs if (item.role, item.digest) != (INPUT, frozen.digest)] + [frozen]
        given = replace(given, holdout_snapshot=frozen.digest)
    params = dict(run.params) if run is not None else {}
    if given.hyperparameters is not None:
        params |= given.hyperparameters.values
    given = replace(
        given,
        inputs=tuple({(item.role, item.digest, item.source): item for item in inputs}.values()),
        hyperparameters=known_hyperparameters(params, capture),
    )
    if run is not None:
        given = replace(given, run=_reference(run))
    return given if capture is None else with_capture(given, capture)


def with_capture(given: Ingredients, capture: Capture) -> Ingredients:
    """The ingredients with the environment, the lock and the Git state that were captured."""
    state = capture.code
    code: CodeState | Missing
    if state.state in {"git", "no_commits"}:
        facts = {key: value for key, value in state.to_json().items() if key not in {"commit", "dirty", "patch"}}
        code = CodeState(state.commit, state.dirty, None, plain(facts))
    else:
        code = Missing("code", state.reason or state.state)
    known = capture.to_json()
    environment: JsonObject = plain({key: known[key] for key in _KEPT})
    lock = given.lock or (requirements_lock(capture) if capture.interpreter else None)
    python = str(capture.interpreter.get("version") or given.python)
    return replace(given, environment=environment, lock=lock, python=python, code=code, patch=state.patch)


def _reference(run: Run) -> RunReference:
    known = run.to_json()
    kept = ("name", "status", "started_at", "actor", "metrics")
    # Holdfast's own tags name what is kept of the run so far, which grows: they would make each registration unique.
    tags = {name: value for name, value in run.tags.items() if name not in {_CAPTURE_TAG, _PATCH_TAG}}
    return RunReference(run.id, plain({**{key: known[key] for key in kept}, "tags": tags}))


def data_input(frozen: Snapshot, role: str) -> DataInput:
    """A snapshot as an input of a version."""
    return DataInput(role, frozen.name, frozen.digest, frozen.files, frozen.bytes, frozen.source)


def to_run(item: DataInput) -> RunInput:
    """The input as a run records it; named by where it came from, since two folders may hold files of one name."""
    return RunInput(item.role, item.source or item.name, item.digest, item.source or "", item.files, item.bytes)


def from_run(item: RunInput) -> DataInput:
    """What a run recorded of frozen data, as an input of a version.

    Raises:
        UsageError: it was not frozen.
    """
    if item.digest is None:
        raise UsageError(f"{item.name} was not frozen", hint="Freeze it with: holdfast snapshot")
    name = item.name.rpartition("/")[2]
    return DataInput(item.role, name, item.digest, item.files or 0, item.bytes or 0, item.source or None)


def freeze_opened(
    capture: Capture, given: Sequence[DataInput], store: Store, project: Path, seen: Path | None = None
) -> tuple[tuple[DataInput, ...], tuple[str, ...]]:
    """Freeze the data files that the run opened and that nobody froze by hand.

    Args:
        capture: what the run opened.
        given: what was frozen by hand; a file below one of these sources is not frozen again.
        store: where the bytes go.
        project: what sources are relative to.
        seen: as for `snapshot`.

    Returns:
        All inputs, those given first, and a sentence for each file that could not be frozen.
    """
    inputs, notes = list(given), list[str]()
    covered = [(project / item.source).resolve() for item in given if item.source is not None]
    frozen_bytes = 0
    for file in capture.inputs:
        path = Path(file.path)
        if any(path.resolve().is_relative_to(source) for source in covered):
            continue
        why = _unfit(file, frozen_bytes)
        if why is None:
            try:
                frozen = snapshot(store, path, root=project, seen=seen)
            except HoldfastError as error:
                why = error.message
            else:
                inputs.append(data_input(frozen, INPUT))
                frozen_bytes += frozen.bytes
        if why is not None:
            notes.append(f"{file.path}: not frozen: {why}")
    return tuple(inputs), tuple(notes)


def _unfit(file: FileSeen, frozen_bytes: int) -> str | None:
    if not file.unchanged():
        return "it has changed since the run opened it, or is gone"
    if frozen_bytes + file.size > _FROZEN_BYTES_MAX:
        return f"more than {_FROZEN_BYTES_MAX} bytes; freeze it by hand with: holdfast snapshot"
    return None
