"""Holdfast: model version control.

    version = (weights, data slice, preprocessing code, hyperparameters, eval threshold)

The tour, one call for each thing there is:

    import holdfast

    with holdfast.run("churn", params={"lr": 0.1}) as run:      # capture what a training does
        run.snapshot("data/train.csv")                          # freeze its data
        run.log_metrics({"accuracy": 0.94})
        version = run.register(model, preprocessing=featurise, threshold=0.42,
                               holdout="data/holdout.csv", target="churned", metric="recall")

    holdfast.load("churn@production").predict(rows)             # schema, preprocessing, model, threshold
    holdfast.search("metrics.accuracy > 0.9 and live")      # versions, by what they are
    holdfast.search_runs("metrics.accuracy > 0.9")
    holdfast.infer_schema(frame).with_column("age", minimum=0, enforce=True)

Stages move from the command line, through a gate: `holdfast promote churn@4`, and back: `holdfast rollback churn`.

Nothing heavy is imported by `import holdfast`: each name below is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from holdfast.config import VERSION
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from holdfast.api import FrozenData, LiveRun, LoadedVersion, load, run, search, search_runs, snapshot
    from holdfast.evidence import FeatureSchema
    from holdfast.flow.bundle.infer import infer_schema
    from holdfast.parts import EvalThreshold

__all__ = [
    "EvalThreshold",
    "FeatureSchema",
    "FrozenData",
    "HoldfastError",
    "LiveRun",
    "LoadedVersion",
    "__version__",
    "infer_schema",
    "load",
    "run",
    "search",
    "search_runs",
    "snapshot",
]

__version__ = VERSION

_LAZY = {
    "EvalThreshold": "holdfast.parts",
    "FeatureSchema": "holdfast.evidence",
    "FrozenData": "holdfast.api",
    "LiveRun": "holdfast.api",
    "LoadedVersion": "holdfast.api",
    "infer_schema": "holdfast.flow.bundle.infer",
    "load": "holdfast.api",
    "run": "holdfast.api",
    "search": "holdfast.api",
    "search_runs": "holdfast.api",
    "snapshot": "holdfast.api",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        message = f"module 'holdfast' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
