"""From raw rows to predictions, inside the worker: schema check, preprocessing, model, threshold, in that order.

Everything comes from the bundle: no threshold, no preprocessing and no schema from any server's configuration.
"""

import importlib
import math
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeVar, cast

from holdfast.canonical import Json, JsonObject
from holdfast.errors import BundleFailed, HoldfastError, Incomplete
from holdfast.evidence import FeatureSchema
from holdfast.parts import EvalThreshold, Missing, PreprocessingCode, Weights
from holdfast.parts.preprocessing_code import FUNCTION, IDENTITY
from holdfast.runtime.bundle_code import install_modules
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.loaders import Scorer, loader_named
from holdfast.runtime.loaders.sklearn import unpickled
from holdfast.runtime.rows import Table
from holdfast.runtime.schema import conform, to_container

__all__ = ["Answer", "Pipeline"]

T = TypeVar("T")

_MESSAGE_CHARACTERS_MAX = 500
"""What is kept of a foreign error's text: enough to recognise it, too little to carry a data set into a log."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a bundle said about some rows.

    Attributes:
        predictions: one a row, after the threshold.
        scores: one a row, before it: a number, or one for each class.
        classes: the label of each score of a row; None when a score is one number.
    """

    predictions: list[Json]
    scores: list[Json]
    classes: list[Json] | None

    def to_json(self) -> JsonObject:
        """The answer as it is recorded in a holdout."""
        return {"predictions": self.predictions, "scores": self.scores, "classes": self.classes}


class Pipeline:
    """One opened bundle. Open it in a worker: it imports the bundle's modules and unpickles its weights.

    Attributes:
        schema: the raw features that it takes.
        foreign: which library wrote what the bundle holds and which opened it, where they differ.
    """

    def __init__(self, files: BundleFiles) -> None:
        """Open the bundle.

        Raises:
            Incomplete: a part that scoring needs is missing.
            BundleFailed: the bundle's code or weights raised.
            IntegrityError: a file is not what the manifest names.
        """
        parts, evidence = files.manifest.parts, files.manifest.evidence
        schema, weights = evidence.schema, parts.weights
        code, threshold = parts.preprocessing_code, parts.eval_threshold
        if isinstance(schema, Missing):
            raise _incomplete(schema)
        if isinstance(weights, Missing):
            raise _incomplete(weights)
        if isinstance(code, Missing):
            raise _incomplete(code)
        if isinstance(threshold, Missing):
            raise _incomplete(threshold)
        self.schema: FeatureSchema = schema
        self._threshold: EvalThreshold = threshold
        install_modules(files)
        self._prepare, foreign = _guarded("opening the preprocessing code", lambda: _preprocessing(files, code))
        self._scorer = _guarded("opening the weights", lambda: _weights(files, weights, code))
        self.foreign = self._scorer.foreign or foreign

    def predict(self, table: Table) -> Answer:
        """The bundle's answer to raw rows.

        Raises:
            InvalidInput: the rows do not fit the schema.
            BundleFailed: the bundle's own code raised, or answered with another number of rows.
        """
        return self.score(self.checked(table))

    def checked(self, table: Table) -> Table:
        """The rows as the bundle's code is handed them: the columns of its schema, in their order.

        Raises:
            InvalidInput: the rows do not fit the schema.
        """
        return conform(self.schema, table)

    def score(self, rows: Table) -> Answer:
        """The bundle's answer to checked rows.

        Raises:
            BundleFailed: as `predict`.
        """
        if rows.count == 0:
            return Answer([], [], self._scorer.classes)
        held = _guarded(f"making {self.schema.container} rows", lambda: to_container(self.schema, rows))
        features = _guarded("the preprocessing code", lambda: self._prepare(held))
        model = f"the model, {self.foreign}," if self.foreign else "the model"
        scores = _guarded(model, lambda: list(self._scorer.score(features)))
        if len(scores) != rows.count:
            raise BundleFailed(
                f"the bundle answered {len(scores)} scores for {rows.count} rows",
                hint="The preprocessing code must keep every row, in order.",
            )
        _refuse_infinite(scores)
        return Answer(self._threshold.decide(scores, self._scorer.classes), scores, self._scorer.classes)


def _refuse_infinite(scores: list[Json]) -> None:
    """No threshold decides what NaN means: an answer made from it would look like any other."""
    for row, score in enumerate(scores):
        numbers = score if isinstance(score, list) else (score,)
        if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
            raise BundleFailed(
                f"the model scores row {row} with NaN or infinity",
                hint="Look at that row: the model has no finite score for it.",
                row=row,
            )


def _incomplete(missing: Missing) -> Incomplete:
    return Incomplete(
        f"the bundle has no {missing.name}, so it cannot answer: {missing.why}",
        hint="Register a complete version; holdfast show names what is missing.",
        missing=[missing.name],
    )


def _guarded(what: str, call: Callable[[], T]) -> T:
    """The call's result; whatever the bundle's own code raises becomes one kind of error."""
    try:
        return call()
    except HoldfastError:
        raise
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise BundleFailed(
            f"{what} raised {type(error).__name__}: {str(error)[:_MESSAGE_CHARACTERS_MAX]}",
            hint="Run it on the same rows where it was trained; the bundle carries code, pins and holdout.",
            place=f"{PurePosixPath(place.filename).name}:{place.lineno} in {place.name}",
        ) from error


def _preprocessing(files: BundleFiles, part: PreprocessingCode) -> tuple[Callable[[Any], Any], str | None]:
    if part.kind == IDENTITY:
        return lambda rows: rows, None
    if part.kind == FUNCTION and part.entry_point is not None:
        module, _, name = part.entry_point.partition(":")
        found: Any = importlib.import_module(module)
        for step in name.split("."):
            found = getattr(found, step)
        return cast("Callable[[Any], Any]", found), None
    if part.state is None:
        raise BundleFailed(
            f"preprocessing code of kind {part.kind!r} cannot be opened", hint="Upgrade Holdfast, or register it again."
        )
    transformer, foreign = unpickled(files.read(part.state))
    return cast("Callable[[Any], Any]", transformer.transform), foreign


def _weights(files: BundleFiles, part: Weights, code: PreprocessingCode) -> Scorer:
    # Where the weights take raw rows, code that belongs to that step is called by the weights themselves.
    own = code.files if code.kind == IDENTITY else ()
    held = {str(path): files.read(path) for path in (*part.files, *own)}
    return loader_named(part.loader).load(held, part.format)
