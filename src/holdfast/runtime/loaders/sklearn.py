"""scikit-learn estimators, written with joblib: a pickle, and marked as a format that can run code."""

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.canonical import Json
from holdfast.errors import BundleFailed, MissingExtra
from holdfast.runtime.loaders.interface import Saved, Scorer

__all__ = ["SklearnLoader", "joblib_here", "unpickled"]

_FILE = "model.joblib"


class SklearnLoader:
    """Anything that follows scikit-learn's estimator interface and pickles."""

    name = "sklearn"

    def recognises(self, model: object) -> bool:
        """Whether a class of the model's ancestry comes from scikit-learn, or it has the interface."""
        if isinstance(model, type):
            return False
        ancestry = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
        return "sklearn" in ancestry or (hasattr(model, "fit") and hasattr(model, "predict"))

    def save(self, model: Any, folder: Path) -> Saved:
        """Write the estimator with joblib."""
        joblib_here().dump(model, folder / _FILE)
        return Saved(format="joblib", executes_code=True, files=(_FILE,))

    def load(self, files: Mapping[str, bytes], format_name: str) -> Scorer:
        """The estimator in the one file of `files`; `pickle` and `joblib` are read alike."""
        if len(files) != 1:
            raise BundleFailed(
                f"{len(files)} files of weights where {format_name} has one", hint="Register the one file of the model."
            )
        (data,) = files.values()
        return _SklearnScorer(*unpickled(data))


def unpickled(data: bytes) -> tuple[Any, str | None]:
    """What joblib wrote, and, where another version of scikit-learn had written it, which and which opened it."""
    joblib = joblib_here()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = joblib.load(io.BytesIO(data))
    for one in said:
        # Asked by what it carries: older versions of scikit-learn have no class for this warning.
        before, now = (getattr(one.message, f"{when}_sklearn_version", None) for when in ("original", "current"))
        if before is not None:
            return found, f"saved by scikit-learn {before}, opened by {now}"
    return found, None


def joblib_here() -> Any:
    """The library that reads and writes these files.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import joblib
    except ImportError as error:
        raise MissingExtra("joblib is not installed", hint="Install it: pip install 'holdfast[gate]'") from error
    return joblib


class _SklearnScorer:
    """Probabilities when the estimator has them, decision values next, predictions last."""

    def __init__(self, model: Any, foreign: str | None) -> None:
        self.foreign = foreign
        self.classes: list[Json] | None = None
        known: Any = getattr(model, "classes_", None)
        labels = known.tolist() if hasattr(known, "tolist") else known
        if hasattr(model, "predict_proba"):
            self._call = model.predict_proba
            self.classes = None if labels is None else list(labels)
        elif hasattr(model, "decision_function") and labels is not None:
            self._call = model.decision_function
            self.classes = list(labels)
        else:
            self._call = model.predict

    def score(self, features: Any) -> list[Json]:
        """One score a row."""
        found = self._call(features)
        scores: list[Json] = found.tolist() if hasattr(found, "tolist") else list(found)
        if self.classes is None:
            # A regression fitted on a column vector answers with one.
            return [row[0] if isinstance(row, list) and len(row) == 1 else row for row in scores]
        if len(self.classes) == 2:  # noqa: PLR2004 - two classes share one decision value, which speaks for the second
            return [row if isinstance(row, list) else [-row, row] for row in scores]
        return scores
