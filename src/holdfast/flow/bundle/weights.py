"""The weights part: an estimator written by its loader, or a file of weights taken byte for byte."""

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

from holdfast.errors import CannotPackage, HoldfastError, NotFound, UsageError
from holdfast.flow.bundle.code import code_of_value
from holdfast.names import RelativePath
from holdfast.parts import Missing, Weights
from holdfast.runtime.bundle_code import CODE_FOLDER
from holdfast.runtime.loaders import FORMATS, loader_for
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


def write_weights(model: Any, preprocessing: Any, project: Path, write: Write) -> tuple[Weights | Missing, Any, Any]:
    """Write the model's files.

    A scikit-learn pipeline that comes with no preprocessing of its own is taken apart: everything before its last step
    is preprocessing, so that the two are pinned, compared and rolled back as the two parts that they are.

    Args:
        model: an estimator, a path, or None.
        preprocessing: what the caller gave as preprocessing.
        project: where relative paths and modules are found.
        write: writes one file of the bundle.

    Returns:
        The part; the preprocessing, which may have come out of the model; and the estimator, if there is one in memory.

    Raises:
        CannotPackage: the model cannot be pickled, or its class lives in the training script.
        NotFound: no such file.
    """
    if model is None:
        return Missing("weights", "no model was given"), preprocessing, None
    if isinstance(model, str | PathLike):
        return _from_file(project / model, preprocessing, project, write)
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


def _from_file(path: Path, preprocessing: Any, project: Path, write: Write) -> tuple[Weights | Missing, Any, Any]:
    if not path.is_file():
        raise NotFound(f"{path} does not exist", hint="Give the path of the weights relative to the project.")
    known = FORMATS.get(path.suffix.lower())
    if known is None:
        raise UsageError(
            f"{path.name} is not a known kind of weights", hint=f"Known endings: {', '.join(sorted(FORMATS))}"
        )
    written, loader, executes_code = known
    kind, model = "unknown", None
    if loader == "sklearn":
        model = _loaded(path, project)
        apart, inner = _taken_apart(model, preprocessing)
        if apart is not model:
            return write_weights(apart, inner, project, write)
        kind = f"{type(model).__module__}.{type(model).__qualname__}"
        _write_code(model, project, write)
    target = RelativePath(f"{_FOLDER}/{path.name}")
    with refusing(path):
        data = path.read_bytes()
    write(target, data)
    return Weights(written, loader, kind, executes_code, (target,)), preprocessing, model


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
