"""A logged model of MLflow, opened by MLflow itself from a folder that was just written from verified bytes.

MLflow reads folders and nothing else, so the verified bytes go into a private one, which is read-only from then on.
Nothing is asked of a tracking server. Three loaders differ in what they give as the score of a row:

    mlflow          what the model answers
    mlflow-labels   a vote for each class of the estimator inside: 1.0 for the label that it answers, 0.0 for the others
    mlflow-scores   what the estimator inside knows of each class: its probabilities, or its decision value
"""

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

from holdfast.canonical import Json, encode, plain
from holdfast.errors import BundleFailed, CannotPackage, MissingExtra
from holdfast.runtime.loaders.interface import Saved, Scorer

__all__ = [
    "ANSWERS",
    "EACH",
    "LABELS",
    "NETWORKS",
    "QUICK",
    "SCORES",
    "WEIGHTS_FOLDER",
    "MlflowLoader",
    "estimator_scores",
    "leads_outside",
    "rows_of",
    "two_sided",
    "words_for",
]

ANSWERS, LABELS, SCORES = EACH = ("mlflow", "mlflow-labels", "mlflow-scores")

WEIGHTS_FOLDER = "weights"
"""Where the files of a logged model stand in a bundle; the loader takes the folder off again."""

QUICK = frozenset({"sklearn", "xgboost", "lightgbm", "catboost", "statsmodels", "prophet", "spacy", "onnx"})
"""Flavors whose models answer a thousand rows in a moment and ask nobody."""

NETWORKS = frozenset({"pytorch", "keras", "tensorflow"})
"""Flavors whose models ask nobody, and take as long as they are large."""

_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "true",
}
"""MLflow asks nobody, and opens what the gate's rule of formats let through."""

_NO_FILES = {"uri", "model_config"}
"""Fields that may hold paths of other places: where a file came from, and what the model's own code reads."""

_KERAS_BACKENDS = {"jax", "numpy", "openvino", "tensorflow", "torch"}

_LAST_WORDS = {"model_code_path"}
"""Fields whose last component alone names a file of the folder: a model from code keeps the path of its script."""

_HELD_AS = ("sklearn_model", "xgb_model", "lgb_model", "cb_model")
"""How the wrappers of MLflow 2.9 name the estimator inside."""

_SHOWN_CHARACTERS_MAX = 80


class MlflowLoader:
    """Whatever `mlflow.pyfunc` opens."""

    def __init__(self, name: str) -> None:
        self.name = name

    def recognises(self, model: object) -> bool:
        """Never: MLflow writes its models itself, and a bridge takes them as they are."""
        del model
        return False

    def save(self, model: Any, folder: Path) -> Saved:
        """Refused, for the same reason.

        Raises:
            CannotPackage: always.
        """
        del model, folder
        raise CannotPackage("a logged model is written by MLflow", hint="Log it with mlflow, and register it there.")

    def load(self, files: Mapping[str, bytes], format_name: str) -> Scorer:
        """The scorer of the logged model in `files`, which stand below `weights/`.

        Raises:
            MissingExtra: MLflow is not installed in the bundle's environment.
            BundleFailed: the model has no classes, and its rule needs them; or it names files of another place.
        """
        del format_name
        pyfunc = _pyfunc_here()
        folder = tempfile.TemporaryDirectory(prefix="holdfast-mlflow-")
        root = Path(folder.name)
        for path, data in files.items():
            target = root / path.removeprefix(f"{WEIGHTS_FOLDER}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        _make_read_only(root)
        flavors = _flavors(root)
        if outside := leads_outside(flavors):
            raise BundleFailed(
                f"its MLmodel file leads out of the bundle, to {outside[:_SHOWN_CHARACTERS_MAX]!r}",
                hint="Log the model again: MLflow names files of a model by where they are in its folder.",
            )
        for name, value in words_for(flavors).items():
            os.environ.setdefault(name, value)
        model = pyfunc.load_model(str(root), suppress_warnings=True)
        return _Answers(model, folder) if self.name == ANSWERS else _of_estimator(model, folder, self.name)


def _pyfunc_here() -> Any:
    if find_spec("mlflow") is None:
        raise MissingExtra(
            "this version is a logged model of MLflow, which is not installed in its environment",
            hint="Pin mlflow in the requirements that are logged with the model, and log it again.",
        )
    # Read when it is imported. What it would tell a tracking server goes into a folder that ends with this process.
    os.environ.update(_QUIET, MLFLOW_TRACKING_URI=(Path(tempfile.gettempdir()) / "mlruns").as_uri())
    from mlflow import pyfunc

    return pyfunc


def _flavors(root: Path) -> Any:
    from mlflow.models import Model

    return Model.load(str(root)).flavors


def leads_outside(value: Any) -> str | None:
    """A path among the values of an MLmodel file that is no path of the model's own folder; None where there is none.

    What a gate has looked at is the bundle. A loader of MLflow's opens whatever file it is told, wherever that is.
    """
    if isinstance(value, str):
        path = PurePosixPath(value)
        return value if path.is_absolute() or ".." in path.parts else None
    held: Iterable[Any] = ()
    if isinstance(value, Mapping):
        held = (_last(one) if name in _LAST_WORDS else one for name, one in value.items() if name not in _NO_FILES)
    elif isinstance(value, list | tuple):
        held = value
    return next((found for one in held if (found := leads_outside(one)) is not None), None)


def words_for(flavors: Mapping[str, Any]) -> dict[str, str]:
    """Variables that a library reads when it is imported: Keras has several engines, and MLflow only notes which."""
    keras = flavors.get("keras")
    backend = keras.get("keras_backend") if isinstance(keras, Mapping) else None
    return {"KERAS_BACKEND": backend} if isinstance(backend, str) and backend in _KERAS_BACKENDS else {}


def _last(path: Any) -> Any:
    return os.path.basename(path) if isinstance(path, str) else path  # noqa: PTH119 - MLflow's call: `..` stays


def _make_read_only(root: Path) -> None:
    for place, _, names in os.walk(root, topdown=False):
        for name in names:
            (Path(place) / name).chmod(0o400)
        Path(place).chmod(0o500)


class _Answers:
    """What the model answers, row by row."""

    def __init__(self, model: Any, folder: object) -> None:
        self.classes: list[Json] | None = None
        self.foreign: str | None = None
        self._model = model
        self._folder = folder  # some models read their files late; it goes with the scorer

    def score(self, features: Any) -> list[Json]:
        """One score a row."""
        return rows_of(self._model.predict(features))


class _Votes(_Answers):
    """The label that the model answers, as a vote for each of its classes."""

    def __init__(self, model: Any, folder: object, classes: list[Json]) -> None:
        super().__init__(model, folder)
        self.classes = classes
        self._places = {encode(label): place for place, label in enumerate(classes)}

    def score(self, features: Any) -> list[Json]:
        """One list of votes a row."""
        return [self._vote(label) for label in super().score(features)]

    def _vote(self, label: Json) -> list[Json]:
        place = self._places.get(encode(label))
        if place is None:
            raise BundleFailed(
                f"the model answers {str(label)[:40]!r}, which is none of its classes",
                hint="State how it answers with the tag holdfast.threshold = identity, and register it again.",
            )
        return [float(place == other) for other in range(len(self._places))]


class _Scores(_Answers):
    """What the estimator knows of each class."""

    def __init__(self, model: Any, folder: object, classes: list[Json], call: Callable[[Any], Any]) -> None:
        super().__init__(model, folder)
        self.classes = classes
        self._call = call

    def score(self, features: Any) -> list[Json]:
        """One list a row."""
        return two_sided(rows_of(self._call(features)), self.classes or [])


def _of_estimator(model: Any, folder: object, name: str) -> Scorer:
    found = estimator_scores(model)
    if found is None:
        raise BundleFailed(
            "the model has no classes with a score for each, and its rule needs them",
            hint="State how it answers with the tag holdfast.threshold = identity, and register it again.",
        )
    classes, call = found
    return _Votes(model, folder, classes) if name == LABELS else _Scores(model, folder, classes, call)


def estimator_scores(model: Any) -> tuple[list[Json], Callable[[Any], Any]] | None:
    """The classes of the estimator inside a pyfunc, and what scores them; None where it has none.

    The probabilities when it has them, else the decision values, else its answers.
    """
    raw = _estimator_in(getattr(model, "_model_impl", None))
    known: Any = getattr(raw, "classes_", None)
    if raw is None or known is None:
        return None
    classes = [plain(label) for label in (known.tolist() if hasattr(known, "tolist") else list(known))]
    if not classes:  # those of a CatBoostRegressor
        return None
    call = getattr(raw, "predict_proba", None) or getattr(raw, "decision_function", None) or raw.predict
    return classes, call


def _estimator_in(wrapper: Any) -> Any:
    """What MLflow's own wrapper holds; MLflow 2.9 has no word for all of them."""
    if hasattr(wrapper, "get_raw_model"):
        return wrapper.get_raw_model()
    return next((getattr(wrapper, name) for name in _HELD_AS if hasattr(wrapper, name)), None)


def two_sided(scores: list[Json], classes: list[Json]) -> list[Json]:
    """Two classes share one decision value, which speaks for the second."""
    if len(classes) != 2:  # noqa: PLR2004 - as said
        return scores
    return [row if isinstance(row, list) else [-row, row] for row in scores]


def rows_of(found: Any) -> list[Json]:
    """One JSON value a row, however the model holds its answers; a column of one is the value in it."""
    if hasattr(found, "columns") and hasattr(found, "to_numpy"):
        found = found.to_numpy()
    if isinstance(found, Mapping):
        found = list(zip(*(_list(values) for values in found.values()), strict=True))
    return [_single(row) for row in _list(found)]


def _list(values: Any) -> list[Any]:
    return list(values.tolist()) if hasattr(values, "tolist") else list(values)


def _single(row: Any) -> Json:
    told = _told(row)
    while isinstance(told, list) and len(told) == 1:  # a named output with a column of one is a list in a list
        told = told[0]
    return told


def _told(value: Any) -> Json:
    if isinstance(value, list | tuple):
        return [_told(item) for item in value]
    # As it is, not a number or infinite too: the pipeline refuses those, and would not know them as texts.
    return value if value is None or type(value) in {str, bool, int, float} else plain(value)
