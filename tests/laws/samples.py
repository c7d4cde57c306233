"""One complete manifest and one incomplete one, small enough to read; goldens, museum and attacks start from them."""

from dataclasses import replace
from typing import Any

from holdfast.canonical import encode
from holdfast.digest import Digest, hash_bytes
from holdfast.evidence import (
    Card,
    CodeState,
    Column,
    Environment,
    Evidence,
    FeatureSchema,
    Holdout,
    Metrics,
    RunReference,
)
from holdfast.manifest import FileEntry, Manifest, least_minor
from holdfast.names import ModelName, RelativePath, VersionNumber
from holdfast.parts import (
    Base,
    DataInput,
    DataSlice,
    EvalThreshold,
    Hyperparameters,
    Missing,
    Parts,
    PreprocessingCode,
    Weights,
)

CHURN = ModelName("churn")

CONTENTS = {
    "CARD.md": b"# churn\n",
    "code/features.py": b"def featurise(rows):\n    return rows\n",
    "environment/requirements.lock": b"scikit-learn==1.7.2\n",
    "evidence/uncommitted.patch": b"--- a\n+++ b\n",
    "holdout/outputs.json": b"{}",
    "holdout/rows.json": b"[]",
    "weights/model.joblib": b"\x80\x05.",
}


def path(text: str) -> RelativePath:
    return RelativePath(text)


def entries(contents: dict[str, bytes]) -> tuple[FileEntry, ...]:
    return tuple(FileEntry(path(name), hash_bytes(data), len(data)) for name, data in sorted(contents.items()))


def complete() -> Manifest:
    """Every part and every piece of evidence, with a value of each kind."""
    parts = Parts(
        weights=Weights(
            "joblib", "sklearn", "sklearn.linear_model.LogisticRegression", True, (path("weights/model.joblib"),)
        ),
        data_slice=DataSlice(
            (
                DataInput("train", "train.csv", Digest("1" * 64), 1, 4096, "data/train.csv"),
                DataInput("holdout", "holdout.csv", Digest("2" * 64), 1, 1024),
            )
        ),
        preprocessing_code=PreprocessingCode(
            "function", "features:featurise", None, (path("code/features.py"),), "f3dbee741952"
        ),
        hyperparameters=Hyperparameters(
            {"C": 0.1, "max_iter": 100, "penalty": "l2", "class_weight": None, "tol": 1e-20, "bound": 1e20},
            {"C": "run", "max_iter": "arguments"},
            {"numpy.random.seed": 7},
        ),
        eval_threshold=EvalThreshold("cut_off", 0.42, 1, 0, "recall", "holdout"),
    )
    evidence = Evidence(
        environment=Environment("3.11.7", path("environment/requirements.lock"), {"system": {"os": "Linux"}}),
        schema=FeatureSchema(
            "pandas",
            (
                Column("age", "float64", nullable=True, minimum=18.0, maximum=99.5),
                Column("plan", "category", categories=("basic", "plus"), enforce=True),
                Column("calls", "int64", nullable=True, minimum=0, maximum=40, native="Int64"),
            ),
        ),
        metrics=Metrics("recall", {"recall": 0.75, "accuracy": 0.9}, {"recall": True, "accuracy": True}, 228, 0.42),
        holdout=Holdout(
            path("holdout/rows.json"), path("holdout/outputs.json"), 228, "churned", ("plan",), Digest("2" * 64)
        ),
        run=RunReference("b9605d56", {"name": "first try", "metrics": {"loss": 0.3}}),
        code=CodeState("f3dbee741952", True, path("evidence/uncommitted.patch"), {"branch": "main", "remote": None}),
        card=Card(path("CARD.md")),
    )
    return Manifest(CHURN, parts, evidence, entries(CONTENTS))


def incomplete() -> Manifest:
    """Weights and nothing else, as a model of unknown past is adopted."""
    names = ("data_slice", "preprocessing_code", "hyperparameters", "eval_threshold")
    beside = ("environment", "schema", "metrics", "holdout", "run", "code")
    absent: dict[str, Any] = {name: Missing(name, f"the {name} was not given") for name in (*names, *beside)}
    weights = Weights("torch", "none", "unknown", True, (path("weights/model.pt"),))
    parts = Parts(weights=weights, **{name: absent[name] for name in names})
    evidence = Evidence(card=Card(path("CARD.md")), **{name: absent[name] for name in beside})
    return Manifest(CHURN, parts, evidence, entries({"CARD.md": b"# churn\n", "weights/model.pt": b"PK\x03\x04"}))


def adapter() -> Manifest:
    """Weights that are a delta on those of another version, and nothing else."""
    base = Base(
        Digest("3" * 64), ModelName("llama"), VersionNumber(3), "safetensors", (path("weights/base/model.safetensors"),)
    )
    own = tuple(path(f"weights/{name}") for name in ("adapter_config.json", "adapter_model.safetensors"))
    manifest = incomplete()
    contents = {
        "CARD.md": b"# churn\n",
        "weights/adapter_config.json": b"{}",
        "weights/adapter_model.safetensors": b"\x02\0\0\0\0\0\0\0{}",
        "weights/base/model.safetensors": b"\x02\0\0\0\0\0\0\0{}",
    }
    parts = replace(manifest.parts, weights=Weights("safetensors", "none", "unknown", False, own, base))
    return Manifest(CHURN, parts, manifest.evidence, entries(contents), least_minor(parts, manifest.evidence))


def frozen() -> Manifest:
    """A complete version that keeps the wheels of its environment."""
    manifest = complete()
    environment = manifest.evidence.environment
    assert isinstance(environment, Environment)
    evidence = replace(manifest.evidence, environment=replace(environment, wheels=Digest("4" * 64)))
    return replace(manifest, evidence=evidence, minor=least_minor(manifest.parts, evidence))


def of_tomorrow() -> Manifest:
    """Written by a newer minor format, with a field that nobody knows at each level."""
    base = complete()
    document = base.to_json()
    document["format_version"] = "1.7"
    unknown = {"note": "kept", "list": [1, None, {"deep": True}]}
    places = [document, document["parts"], document["evidence"], document["files"][0]]
    places += [document["parts"][name] for name in document["parts"]]
    places += [document["evidence"][name] for name in document["evidence"]]
    places += [document["parts"]["data_slice"]["inputs"][0], document["evidence"]["schema"]["columns"][1]]
    for place in places:
        place["of tomorrow"] = unknown
    return Manifest.parse(encode(document))
