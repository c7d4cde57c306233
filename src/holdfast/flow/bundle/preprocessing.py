"""The preprocessing part: a function with its modules, a fitted transformer, or the statement that there is none."""

import io
from pathlib import Path
from typing import Any

from holdfast.errors import UsageError
from holdfast.flow.bundle.code import CodeFiles, code_of_function, code_of_path, code_of_value
from holdfast.flow.bundle.weights import Write
from holdfast.names import RelativePath
from holdfast.parts import Missing, PreprocessingCode
from holdfast.parts.preprocessing_code import FUNCTION, IDENTITY, TRANSFORMER
from holdfast.runtime.bundle_code import CODE_FOLDER
from holdfast.runtime.loaders.sklearn import joblib_here

__all__ = ["NONE", "write_preprocessing"]

NONE = "none"
"""What a caller says when the weights take raw rows: an explicit statement, unlike saying nothing."""

_STATE = RelativePath(f"{CODE_FOLDER}/transformer.joblib")


def write_preprocessing(given: Any, project: Path, write: Write, *, commit: str | None) -> PreprocessingCode | Missing:
    """Write the preprocessing code.

    Args:
        given: a function, a fitted transformer, `"file.py:function"`, `"none"`, or None.
        project: where the project's modules are found.
        write: writes one file of the bundle.
        commit: the Git commit that the sources are at.

    Raises:
        CannotPackage: a lambda, a closure, or code of the training script that cannot be cut out.
        UsageError: neither callable nor a transformer.
    """
    if given is None:
        return Missing("preprocessing_code", "neither a function nor a transformer was given")
    if given == NONE:
        return PreprocessingCode(IDENTITY, commit=commit)
    if hasattr(given, "transform") and not isinstance(given, type):
        return _transformer(given, project, write, commit)
    if isinstance(given, str):
        found = code_of_path(given, project)
    elif callable(given):
        found = code_of_function(given, project)
    else:
        raise UsageError(
            f"a {type(given).__name__} is no preprocessing",
            hint="Give a function, a fitted transformer, 'features.py:featurise', or 'none'.",
        )
    return PreprocessingCode(FUNCTION, found.entry_point, files=_write_sources(found, write), commit=commit)


def _transformer(given: Any, project: Path, write: Write, commit: str | None) -> PreprocessingCode:
    files = _write_sources(code_of_value(given, project), write)
    state = io.BytesIO()
    joblib_here().dump(given, state)
    write(_STATE, state.getvalue())
    return PreprocessingCode(TRANSFORMER, state=_STATE, files=(*files, _STATE), commit=commit, executes_code=True)


def _write_sources(found: CodeFiles, write: Write) -> tuple[RelativePath, ...]:
    paths = {RelativePath(f"{CODE_FOLDER}/{name}"): source for name, source in sorted(found.sources.items())}
    for path, source in paths.items():
        write(path, source)
    return tuple(paths)
