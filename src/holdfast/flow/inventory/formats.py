"""What a file is, told from its name: weights, data, configuration. Nothing is opened.

kind_of("models/churn.pkl", 81_000)      Kind.WEIGHTS
executes_code("models/churn.pkl")        True
"""

import re
from enum import StrEnum
from pathlib import PurePosixPath

__all__ = ["Kind", "executes_code", "is_holdout", "kind_of", "words_of"]


class Kind(StrEnum):
    """What a file is to a model version."""

    WEIGHTS = "weights"
    DATA = "data"
    IMAGE = "image"
    CONFIGURATION = "configuration"
    PYTHON = "python"
    NOTEBOOK = "notebook"
    OTHER = "other"


_PICKLES = {".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle"}
_RUNS_ON_LOAD = {*_PICKLES, ".pt", ".pth", ".ckpt", ".bin", ".h5", ".hdf5", ".keras", ".pb", ".mar", ".skops_pickle"}
"""Formats whose loader runs code that the file brings: pickles inside, or layers and graphs with code in them."""

_WEIGHTS = {
    ".pt",
    ".pth",
    ".ckpt",
    ".onnx",
    ".safetensors",
    ".keras",
    ".ubj",
    ".cbm",
    ".gguf",
    ".tflite",
    ".skops",
    ".pb",
}
_WEIGHTS |= {".mar", ".mlmodel", ".xgb", ".lgb"}
_EITHER = {*_PICKLES, ".bin", ".h5", ".hdf5"}
"""Weights or data: the words of the path decide."""

_DATA = {
    ".csv",
    ".tsv",
    ".parquet",
    ".arrow",
    ".feather",
    ".jsonl",
    ".ndjson",
    ".npy",
    ".npz",
    ".orc",
    ".avro",
    ".xlsx",
}
_DATA |= {".sqlite", ".db", ".duckdb", ".tfrecord", ".zarr", ".wav", ".flac", ".mp3", ".mat", ".sas7bdat", ".dta"}
_COMPRESSED = {".gz", ".bz2", ".xz", ".zst"}
_IMAGES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".dcm"}
_CONFIGURATION = {".yaml", ".yml", ".toml", ".json", ".ini", ".cfg"}

_MODEL_WORDS = {
    "model",
    "models",
    "weights",
    "checkpoint",
    "checkpoints",
    "ckpt",
    "estimator",
    "classifier",
    "regressor",
}
_MODEL_WORDS |= {
    "clf",
    "pipeline",
    "net",
    "network",
    "encoder",
    "scaler",
    "vectorizer",
    "booster",
    "artifacts",
    "pytorch",
}
_DATA_WORDS = {
    "data",
    "dataset",
    "datasets",
    "train",
    "test",
    "valid",
    "validation",
    "features",
    "df",
    "frame",
    "table",
}
_DATA_WORDS |= {"raw", "samples", "rows", "holdout", "eval"}
_HOLDOUT_WORDS = {"holdout", "test", "eval", "evaluation", "valid", "validation", "val", "golden"}
_NOT_CONFIGURATION = {
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "composer.json",
    "mkdocs.yml",
    "vercel.json",
}
_NOT_CONFIGURATION |= {"docker-compose.yml", "docker-compose.yaml", "compose.yaml", "codecov.yml", "renovate.json"}
_NOT_CONFIGURATION |= {
    "setup.cfg",
    "tox.ini",
    "pytest.ini",
    "mypy.ini",
    "pyproject.toml",
    "environment.yml",
    "conda-lock.yml",
}

_CONFIGURATION_BYTES_MAX = 256 * 1024
"""Nobody writes a configuration longer than this by hand; a larger JSON file is data."""


def words_of(path: str) -> set[str]:
    """The lower-case words that a path is made of."""
    return {word.lower() for word in re.findall(r"[A-Za-z][a-z]+|[A-Z]+|[a-z]+", path)}


def kind_of(path: str, size: int) -> Kind:
    """What the file at this relative path is."""
    pure = PurePosixPath(path)
    suffix = pure.suffix.lower()
    if suffix in _COMPRESSED:
        suffix = PurePosixPath(pure.stem).suffix.lower()
    if suffix == ".py":
        return Kind.PYTHON
    if suffix == ".ipynb":
        return Kind.NOTEBOOK
    if suffix in _IMAGES:
        return Kind.IMAGE
    if suffix in _WEIGHTS:
        return Kind.WEIGHTS
    if suffix in _EITHER:
        return _either(pure, suffix)
    if suffix in _DATA:
        return Kind.DATA
    if suffix in _CONFIGURATION and pure.name.lower() not in _NOT_CONFIGURATION and not pure.name.startswith("."):
        data = suffix == ".json" and (size > _CONFIGURATION_BYTES_MAX or words_of(path) & _DATA_WORDS)
        return Kind.DATA if data else Kind.CONFIGURATION
    return Kind.OTHER


def _either(pure: PurePosixPath, suffix: str) -> Kind:
    """The name decides before the folder does: `models/train_features.pkl` is data, `data/model.pkl` weights."""
    for words in (words_of(pure.stem), words_of(str(pure.parent))):
        if words & _MODEL_WORDS:
            return Kind.WEIGHTS
        if words & _DATA_WORDS:
            return Kind.DATA
    return Kind.WEIGHTS if suffix in _PICKLES else Kind.OTHER if suffix == ".bin" else Kind.DATA


def executes_code(path: str) -> bool:
    """Whether loading the file runs code that the file brings."""
    return PurePosixPath(path).suffix.lower() in _RUNS_ON_LOAD


def is_holdout(path: str) -> bool:
    """Whether a data file's name says that models are judged on it."""
    return bool(words_of(PurePosixPath(path).stem) & _HOLDOUT_WORDS)
