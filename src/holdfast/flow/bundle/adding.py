"""What a person does to supply what a version lacks: one line for each, in the words of whatever it came from.

For instance of a model that MLflow's client logged:

    data_slice: mlflow.log_input(mlflow.data.from_pandas(train, targets="churned"), context="training")
    preprocessing_code, schema: mlflow.sklearn.log_model(…, signature=infer_signature(rows, answers))
"""

from collections.abc import Mapping, Sequence

from holdfast.evidence import Environment
from holdfast.evidence import how_to_add as how_to_add_evidence
from holdfast.manifest import Manifest
from holdfast.parts import PART_NAMES, Missing, Weights, how_to_add
from holdfast.runtime.loaders.mlflow import NETWORKS, QUICK

__all__ = ["ANSWERS_RECORDED", "NO_SIGNATURE", "SEVERAL_ANSWERS", "how_to_supply", "lines_of", "lines_to_add"]

NO_SIGNATURE = "the model was logged without a signature, so nothing says which columns it takes"
ANSWERS_RECORDED = "answers were recorded, and the bundle cannot give its own without its missing parts"
SEVERAL_ANSWERS = "it answers several values for each row, and nothing says which of them decides"
"""Why something is missing, where another line supplies it than elsewhere."""

_WITH_PLUGIN = "pip install holdfast beside mlflow, then"

_TRAINED_ON = 'mlflow.log_input(mlflow.data.from_pandas(train, targets="churned"), context="training")'
_HELD_BACK = 'mlflow.log_input(mlflow.data.from_pandas(test, targets="churned"), context="eval")'
_SIGNED = "log_model(…, signature=infer_signature(rows, answers))"

_IN_MLFLOW = {
    "weights": 'mlflow.sklearn.log_model(model, name="model"), with MLflow 2 artifact_path="model"',
    "data_slice": f"{_TRAINED_ON} before the model is logged",
    "preprocessing_code": _SIGNED,
    "hyperparameters": "mlflow.log_params({…}) in the run, or mlflow.autolog()",
    "eval_threshold": 'mlflow.set_tag("holdfast.threshold", "0.4"), or "argmax", or "identity" for the answer as it is',
    "environment": 'log_model(…, pip_requirements=["scikit-learn==1.7.0", …])',
    "schema": _SIGNED,
    "metrics": 'mlflow.set_tag("holdfast.target", "churned"), the column of the true answers',
    "holdout": f"{_HELD_BACK} before the model is logged",
    "run": "with mlflow.start_run(): around log_model",
    "code": "git commit the training code, and start the script from there",
    "card": "a CARD.md in the project that the script is started from",
}

_ONE_VALUE_EACH = (
    "log_model(…, signature=…) of columns with one value each; what takes conversations or tensors passes no gate"
)
_ONE_ANSWER = "log_model(python_model=…) of a mlflow.pyfunc.PythonModel whose predict gives the one value that counts"
_NO_MORE = "no line of its own: what was recorded is measured with the rest of what is missing"
_OWN_CODE = f'mlflow.set_tag("holdfast.ask", "rows") and {_HELD_BACK} before the model is logged'

_OF_THE_PLUGIN = frozenset({"data_slice", "holdout", "card"})
"""What no line of a script supplies where Holdfast's plugin is not installed."""

_WHOSE_PLUGIN = "Rows are kept by Holdfast's plugin. Where the script runs without it: pip install holdfast"


def how_to_supply(missing: Missing, manifest: Manifest) -> str:
    """The line that supplies a part, or a piece of evidence, that this version lacks."""
    if not manifest.logged_elsewhere:
        return _by_holdfast(missing.name)
    # Without rows there is nothing to name a column of, and who has the rows may have the answers too.
    no_rows = missing.name == "metrics" and isinstance(manifest.evidence.holdout, Missing)
    name = "holdout" if no_rows else missing.name
    line = _for_this(missing, name, manifest) or _IN_MLFLOW[name]
    needs_plugin = name in _OF_THE_PLUGIN and line != _NO_MORE and not _plugin_was_there(manifest)
    return f"{_WITH_PLUGIN} {line}" if needs_plugin else line


def _for_this(missing: Missing, name: str, manifest: Manifest) -> str | None:
    """The line for a model like this one, where the usual one would not do."""
    weights, schema = manifest.parts.weights, manifest.evidence.schema
    if missing.why == ANSWERS_RECORDED:
        return _NO_MORE
    if missing.why == SEVERAL_ANSWERS:
        return _ONE_ANSWER
    if name in {"schema", "preprocessing_code"} and isinstance(schema, Missing) and schema.why != NO_SIGNATURE:
        return _ONE_VALUE_EACH
    if name == "holdout" and isinstance(weights, Weights) and weights.format not in QUICK | NETWORKS:
        return _OWN_CODE  # nobody asks it a thousand questions unless its author says so
    return None


def lines_to_add(manifest: Manifest) -> list[str]:
    """All that supplies what a version lacks: a line for each, with the names of what it supplies first."""
    return _grouped({missing.name: how_to_supply(missing, manifest) for missing in manifest.missing()})


def lines_of(names: Sequence[str]) -> list[str]:
    """Likewise of a version that MLflow's client logged, where no more is at hand than the names of what it lacks."""
    known = [name for name in names if name in _IN_MLFLOW]
    lines = {name: _IN_MLFLOW["holdout" if name == "metrics" and "holdout" in names else name] for name in known}
    return [*_grouped(lines), *([_WHOSE_PLUGIN] if _OF_THE_PLUGIN & set(known) else [])]


def _grouped(lines: Mapping[str, str]) -> list[str]:
    """One line may supply several."""
    names: dict[str, list[str]] = {}
    for name, line in lines.items():
        names.setdefault(line, []).append(name)
    return [f"{', '.join(supplied)}: {line}" for line, supplied in names.items()]


def _by_holdfast(name: str) -> str:
    return how_to_add(name) if name in PART_NAMES else how_to_add_evidence(name)


def _plugin_was_there(manifest: Manifest) -> bool:
    """Whether Holdfast's plugin was where the model was logged: it always keeps the lock of what was used."""
    environment = manifest.evidence.environment
    return isinstance(environment, Environment) and environment.values.get("lock") == "captured"
