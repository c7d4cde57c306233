"""The weights part of a logged model: every file of its folder but the code, and what is known without opening it."""

import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from holdfast.bridges.mlflow.mlmodel import LoggedModel
from holdfast.bridges.mlflow.said import LoggedFiles, Said
from holdfast.canonical import Json
from holdfast.digest import Digest
from holdfast.errors import HoldfastError
from holdfast.formats import Budget
from holdfast.formats.machine import walk
from holdfast.manifest import FileEntry
from holdfast.names import RelativePath
from holdfast.parts import Missing, Weights
from holdfast.runtime.bundle_code import CODE_FOLDER
from holdfast.runtime.loaders import FORMATS, NO_LOADER
from holdfast.runtime.loaders.mlflow import ANSWERS, WEIGHTS_FOLDER

__all__ = ["ADDED_FOLDER", "Estimator", "Laid", "estimator_in", "lay_out", "weights_part"]

ADDED_FOLDER = "holdfast"
"""The folder of a logged model in which Holdfast's plugin puts what is evidence and no weights."""

_COMPILED = re.compile(r"(^|/)__pycache__/[^/]*\.pyc\Z")
"""What Python keeps of sources that it has read, and makes again."""

_LOOKED_AT_BYTES_MAX = 64 << 20
"""A model of this size is read for the name of its class; of a larger one the class is not known without opening it."""

_OPCODES_MAX = 1_000_000
"""Instructions of a pickle that are walked for it, in about a second."""

_SCHEMA_BYTES_MAX = 32 << 20
"""The description of a forest of a thousand trees in a skops file."""

_ESTIMATORS = {"sklearn", "xgboost", "lightgbm", "catboost"}
"""Flavors whose models may have classes and probabilities, by the interface of scikit-learn's estimators."""

_CLASSIFIERS = (
    "Classifier", "ClassifierCV", "NB", "LogisticRegression", "LogisticRegressionCV", "SVC", "Perceptron",
    "LinearDiscriminantAnalysis", "QuadraticDiscriminantAnalysis", "NearestCentroid", "LabelPropagation",
    "LabelSpreading",
)  # fmt: skip
"""How the classes of scikit-learn, and of libraries that follow it, are named that answer with a label."""

_REGRESSORS = (
    "Regressor", "RegressorCV", "LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet",
    "ElasticNetCV", "SVR", "Lars", "LarsCV", "LassoLars", "LassoLarsCV", "LassoLarsIC", "BayesianRidge",
    "ARDRegression", "KernelRidge", "PLSRegression",
)  # fmt: skip
"""Likewise of those that answer with a number."""

_BOOSTER = "lightgbm.basic.Booster"
"""What a file of LightGBM's own holds; its other classes are kept as scikit-learn's are."""


@dataclass(frozen=True, slots=True)
class Laid:
    """The files of a logged model, where they lie in the bundle.

    Attributes:
        weights: what the loader opens.
        code: the model's own Python code, importable in the bundle.
    """

    weights: tuple[FileEntry, ...]
    code: tuple[FileEntry, ...]


@dataclass(frozen=True, slots=True)
class Estimator:
    """What is known of the model itself without opening it.

    Attributes:
        name: the full name of its class; of its flavor where that is all that is known.
        names: the classes that its file names, without their modules, from the whole to its parts.
        scores: whether it may have classes and a probability for each.
    """

    name: str
    names: tuple[str, ...]
    scores: bool

    @property
    def classifies(self) -> bool:
        """Whether it answers with a label."""
        return self._kind() is _CLASSIFIERS

    @property
    def regresses(self) -> bool:
        """Whether it answers with a number."""
        return self._kind() is _REGRESSORS

    def _kind(self) -> tuple[str, ...] | None:
        """What the first of the classes says that says it: a search and a pipeline stand before what they hold."""
        for name in self.names:
            for kind in (_CLASSIFIERS, _REGRESSORS):
                if name.endswith(kind):
                    return kind
        return None


def lay_out(files: LoggedFiles, model: LoggedModel | None) -> Laid:
    """Where each file goes: code to where a bundle's code is imported from, what the plugin added nowhere.

    Nor what Python compiled: MLflow runs a model from code once before it sends its folder, and no gate lets such a
    program through, which nobody can read.
    """
    code = f"{model.code.rstrip('/')}/" if model is not None and model.code is not None else None
    weights, own = [], []
    for path, (digest, size) in files.files.items():
        text = str(path)
        if text.startswith(f"{ADDED_FOLDER}/") or _COMPILED.search(text):
            continue
        if code is not None and text.startswith(code):
            own.append(_entry(f"{CODE_FOLDER}/{text.removeprefix(code)}", digest, size))
        else:
            weights.append(_entry(f"{WEIGHTS_FOLDER}/{text}", digest, size))
    return Laid(tuple(sorted(weights)), tuple(sorted(own)))


def _entry(path: str, digest: Digest, size: int) -> FileEntry:
    return FileEntry(RelativePath(path), digest, size)


def weights_part(
    laid: Laid, model: LoggedModel | None, estimator: Estimator, loader: str = ANSWERS
) -> Weights | Missing:
    """The part; files that nothing says how to open are kept byte for byte."""
    if not laid.weights:
        return Missing("weights", "no files were logged")
    paths = tuple(entry.path for entry in laid.weights)
    if model is None or model.pyfunc is None:
        kinds = {FORMATS[suffix] for path in paths if (suffix := f".{str(path).rpartition('.')[2].lower()}") in FORMATS}
        written, _, runs = kinds.pop() if len(kinds) == 1 else ("files", NO_LOADER, True)
        return Weights(model.flavor if model is not None else written, NO_LOADER, estimator.name, runs, paths)
    return Weights(model.flavor, loader, estimator.name, _executes_code(laid, model), paths)


def _executes_code(laid: Laid, model: LoggedModel) -> bool:
    """Whether opening it can run code that is hidden in its bytes; False only of what is known to be numbers.

    MLflow asks the flavor of the framework how to read a file, and never that of `python_function`.
    """
    if model.loader_module != f"mlflow.{model.flavor}" or model.code is not None or _is_elsewhere(laid, model):
        return True
    if _has_pickles(laid) or _trusts_others(model):
        return True
    is_skops = model.framework.get("serialization_format") == "skops"
    match model.flavor:
        case "sklearn":
            return not is_skops
        case "lightgbm":
            return model.framework.get("model_class", _BOOSTER) != _BOOSTER and not is_skops
        case "xgboost" | "catboost" | "onnx":
            return str(model.framework.get("model_class", model.flavor)).partition(".")[0] != model.flavor
    return True


def _is_elsewhere(laid: Laid, model: LoggedModel) -> bool:
    """Whether MLflow looks for another MLmodel file than this one: it takes that beside the file that `data` names."""
    data = (model.pyfunc or {}).get("data")
    return data is not None and ("/" in str(data) or f"{WEIGHTS_FOLDER}/{data}" not in map(_path, laid.weights))


def _path(entry: FileEntry) -> str:
    return str(entry.path)


def _trusts_others(model: LoggedModel) -> bool:
    """Whether skops is told to make what is neither the framework's nor a plain container."""
    trusted = model.framework.get("skops_trusted_types")
    known = {model.flavor, "collections", "numpy", "scipy", "sklearn"}
    return isinstance(trusted, list) and any(str(name).partition(".")[0] not in known for name in trusted)


def _has_pickles(laid: Laid) -> bool:
    return any(str(entry.path).endswith((".pkl", ".pickle", ".joblib")) for entry in laid.weights)


def estimator_in(files: LoggedFiles, model: LoggedModel | None, said: Said) -> Estimator:
    """What is known of the model, from its files and from what autologging wrote on its run."""
    if model is None:
        return Estimator("unknown", (), scores=False)
    tag = said.tags.get("estimator_class") or ""
    told = model.said("model_class") or model.said("lgb_model_class") or _of_catboost(model)
    found: list[tuple[str, str]] = []
    if model.flavor == "sklearn":
        found = list(_classes_in(files, model.said("pickled_model") or "", model.said("serialization_format") or ""))
    elif told:
        found = [(told.rpartition(".")[0], told.rpartition(".")[2])]
    names = tuple(name for _, name in found)
    known = next((f"{module}.{name}" for module, name in found), tag if model.flavor == "sklearn" else "")
    scores = model.flavor in _ESTIMATORS and (model.flavor == "sklearn" or ".sklearn." in f"{told}." or bool(told))
    return Estimator(known or f"mlflow.{model.flavor}", names or ((tag.rpartition(".")[2],) if tag else ()), scores)


def _of_catboost(model: LoggedModel) -> str:
    kind = model.said("model_type") if model.flavor == "catboost" else None
    return "" if kind is None else f"catboost.{kind}"


def _classes_in(files: LoggedFiles, path: str, written: str) -> Iterator[tuple[str, str]]:
    """Module and name of each class that the file of an estimator names, its own first."""
    try:
        data = files.read(path, _LOOKED_AT_BYTES_MAX) if path and files.has(path) else b""
    except HoldfastError:
        return
    if written == "skops":
        yield from _named_by_skops(data)
    else:
        for module, name in walk(data, 0, Budget(opcodes=_OPCODES_MAX), arrays=True).names:
            if module.partition(".")[0] not in {"builtins", "copyreg", "numpy", "joblib", "_codecs", "collections"}:
                yield module, name


def _named_by_skops(data: bytes) -> Iterator[tuple[str, str]]:
    """The classes in the schema of a skops file, from the whole to its parts."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open("schema.json") as file:
            level = [json.loads(file.read(_SCHEMA_BYTES_MAX))]
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, RuntimeError, NotImplementedError, OSError, EOFError):
        return
    seen: set[tuple[str, str]] = set()
    while level:
        below: list[Json] = []
        for value in level:
            if isinstance(value, Mapping):
                pair = (value.get("__module__"), value.get("__class__"))
                module, name = pair
                if isinstance(module, str) and isinstance(name, str) and (module, name) not in seen:
                    seen.add((module, name))
                    yield module, name
                below += value.values()
            elif isinstance(value, list):
                below += value
        level = below
