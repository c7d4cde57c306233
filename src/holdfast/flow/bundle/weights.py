"""The weights part: an estimator written by its loader, or files of weights taken byte for byte, whole or a delta."""

import lzma
import pickle
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

from holdfast.errors import CannotPackage, HoldfastError, Incomplete, UsageError
from holdfast.flow.bundle.base import BASE_FOLDER, BaseVersion
from holdfast.flow.bundle.code import code_of_value
from holdfast.flow.bundle.weight_files import WeightFiles, weight_files
from holdfast.names import RelativePath
from holdfast.parts import Missing, Weights
from holdfast.runtime.bundle_code import CODE_FOLDER
from holdfast.runtime.loaders import NO_LOADER, loader_for
from holdfast.runtime.loaders.sklearn import joblib_here
from holdfast.store.disk import refusing

__all__ = ["INSIDE", "Write", "write_weights"]

Write = Callable[[RelativePath, bytes], None]
"""Writes one file of the bundle."""

INSIDE = "inside"
"""A pipeline of several steps, given with no preprocessing: its first steps are the preprocessing code."""

_FOLDER = "weights"

_MESSAGE_CHARACTERS_MAX = 300
"""What is kept of a pickle's complaint; enough to recognise it."""

_UNREADABLE = (
    ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError, MemoryError, OSError,
    RuntimeError, TypeError, ValueError, lzma.LZMAError, pickle.UnpicklingError, struct.error, zlib.error,
)  # fmt: skip
"""What a pickle that is damaged, or that misses its modules, is known to raise."""


def write_weights(
    model: Any, preprocessing: Any, project: Path, write: Write, base: BaseVersion | None = None
) -> tuple[Weights | Missing, Any, Any]:
    """Write the model's files.

    A scikit-learn pipeline that comes with no preprocessing of its own is taken apart: everything before its last step
    is preprocessing, so that the two are pinned, compared and rolled back as the two parts that they are.

    Args:
        model: an estimator, a path, or None.
        preprocessing: what the caller gave as preprocessing.
        project: where relative paths and modules are found.
        write: writes one file of the bundle; what `base` holds is not written.
        base: what the weights are a delta on; None when they are whole.

    Returns:
        The part; the preprocessing, which may have come out of the model; and the estimator, if there is one in memory.

    Raises:
        CannotPackage: the model cannot be pickled, or its class lives in the training script.
        NotFound: no such file.
        Incomplete: an adapter, whose base was not named.
        UsageError: no known kind of weights, or a base for weights that are whole.
    """
    if isinstance(model, str | PathLike):
        return _from_files(weight_files(project / model), preprocessing, project, write, base)
    if base is not None:
        raise UsageError(
            f"{'no model' if model is None else 'an estimator'} was given, which is no delta on {base.part()}",
            hint="Give the file or folder of the adapter's weights.",
        )
    if model is None:
        return Missing("weights", "no model was given"), preprocessing, None
    model, preprocessing = _taken_apart(model, preprocessing)
    loader = loader_for(model)
    _write_code(model, project, write)
    with refusing(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory() as scratch:
        saved = loader.save(model, Path(scratch))
        paths = tuple(RelativePath(f"{_FOLDER}/{name}") for name in saved.files)
        for path, name in zip(paths, saved.files, strict=True):
            write(path, (Path(scratch) / name).read_bytes())
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    return Weights(saved.format, loader.name, kind, saved.executes_code, paths), preprocessing, model


def _taken_apart(model: Any, preprocessing: Any) -> tuple[Any, Any]:
    steps = getattr(model, "steps", None)
    is_pipeline = type(model).__name__ == "Pipeline" and isinstance(steps, list) and len(steps) > 1
    if preprocessing is None and is_pipeline and hasattr(model[:-1], "transform"):
        return model[-1], model[:-1]
    return model, preprocessing


def _write_code(value: Any, project: Path, write: Write) -> None:
    for name, source in code_of_value(value, project).sources.items():
        write(RelativePath(f"{CODE_FOLDER}/{name}"), source)


def _from_files(
    found: WeightFiles, preprocessing: Any, project: Path, write: Write, base: BaseVersion | None
) -> tuple[Weights | Missing, Any, Any]:
    _refuse_contradiction(found, base)
    kind, model = "unknown", None
    if found.loader != NO_LOADER:
        (path,) = found.files.values()
        model = _loaded(path, project)
        apart, inner = _taken_apart(model, preprocessing)
        if apart is not model:
            return write_weights(apart, inner, project, write)
        kind = f"{type(model).__module__}.{type(model).__qualname__}"
        _write_code(model, project, write)
    targets = tuple(RelativePath(f"{_FOLDER}/{name}") for name in found.files)
    for target, path in zip(targets, found.files.values(), strict=True):
        with refusing(path):
            data = path.read_bytes()
        write(target, data)
    executes_code = found.executes_code or (base is not None and base.weights.executes_code)
    part = None if base is None else base.part()
    return Weights(found.format, found.loader, kind, executes_code, targets, part), preprocessing, model


def _refuse_contradiction(found: WeightFiles, base: BaseVersion | None) -> None:
    if base is None and found.adapts is not None:
        said = f", which its config calls {found.adapts!r}" if found.adapts else ""
        raise Incomplete(
            f"these weights are an adapter, and not complete without the version that they are a delta on{said}",
            hint="Register the base once, then name it: --base llama@3, or base='llama@3' in Python.",
            missing=["weights"],
            adapts=found.adapts,
        )
    if base is None:
        return
    if found.loader != NO_LOADER:
        raise UsageError(
            f"weights written as {found.format} are opened whole, and are no delta on {base.part()}",
            hint="Leave the base out, or give weights that are a delta.",
        )
    inside = BASE_FOLDER.removeprefix(f"{_FOLDER}/")
    if any(name.partition("/")[0] == inside for name in found.files):
        raise UsageError(
            f"the adapter has a file or folder {inside!r} of its own, where its base belongs", hint="Rename it."
        )


def _loaded(path: Path, project: Path) -> Any:
    """The estimator in a file of the project's own, found as its training script would find it."""
    joblib = joblib_here()
    places = [str(project), str(project / "src")]
    sys.path[:0] = places
    try:
        return joblib.load(path)
    except HoldfastError:
        raise
    except _UNREADABLE as error:
        raise CannotPackage(
            f"{path.name} cannot be loaded here: {type(error).__name__}: {str(error)[:_MESSAGE_CHARACTERS_MAX]}",
            hint="Run this where the model was trained, with its modules in the project's folder.",
        ) from error
    finally:
        for place in places:
            sys.path.remove(place)
