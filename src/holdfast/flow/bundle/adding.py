"""What a person does to supply what a version lacks, in the words of whatever the version came from."""

from holdfast.evidence import Environment
from holdfast.evidence import how_to_add as how_to_add_evidence
from holdfast.manifest import Manifest
from holdfast.parts import PART_NAMES, Missing, how_to_add

__all__ = ["how_to_supply"]

_PLUGIN = "pip install holdfast beside mlflow, whose plugin then"

_ROWS_OF_THE_TEST = (
    "mlflow.log_input(mlflow.data.from_pandas(test, targets='churned'), context='eval'). Where the answers are a "
    "column that no line names: mlflow.set_tag('holdfast.target', 'churned')."
)

_IN_MLFLOW = {
    "weights": (
        "Log a model that mlflow.pyfunc can open, such as mlflow.sklearn.log_model(model, name='model'), or with "
        "MLflow 2 artifact_path='model'."
    ),
    "data_slice": (
        f"{_PLUGIN} freezes the files that the script reads and the data of mlflow.log_input and autolog. Where no "
        "autolog logs it, such as batches of PyTorch: mlflow.log_input(mlflow.data.from_numpy(rows, targets=answers), "
        "context='training')."
    ),
    "preprocessing_code": (
        "Log the model with a signature that names its raw columns: log_model(…, signature=infer_signature(rows, "
        "answers)) or input_example=rows; code of the project goes along with code_paths=[…]."
    ),
    "hyperparameters": "Log them: mlflow.log_params({…}) in the run, or mlflow.autolog().",
    "eval_threshold": (
        'Say how a score becomes an answer: mlflow.set_tag("holdfast.threshold", "0.4"); "argmax" for several classes, '
        '"identity" where the model answers as it is.'
    ),
    "environment": "Log the model with pinned requirements: log_model(…, pip_requirements=['scikit-learn==1.7.0', …]).",
    "schema": "Log the model with a signature: log_model(…, signature=infer_signature(rows, answers)).",
    "metrics": (
        'Name the column of the true answers with mlflow.set_tag("holdfast.target", "churned"), and the metric that '
        'gates judge by with mlflow.set_tag("holdfast.metric", "recall").'
    ),
    "holdout": (
        f"{_PLUGIN} records what the model answers on rows that were logged before it, with their true answers: "
        f"{_ROWS_OF_THE_TEST}"
    ),
    "run": "Log the model inside `with mlflow.start_run():`.",
    "code": "Keep the training code in Git, and start the script from there.",
    "card": f"{_PLUGIN} sends the project's CARD.md along.",
}

_BESIDE_THE_PLUGIN = {
    "data_slice": (
        "Log the rows that the model is trained on, before the model: mlflow.log_input(mlflow.data.from_pandas(train, "
        "targets='churned'), context='training'), or mlflow.data.from_numpy(rows, targets=answers); or "
        "mlflow.autolog(). Files that Python opens are frozen anyway."
    ),
    "holdout": (
        "Log rows that the model is not trained on, with their true answers, before the model: " + _ROWS_OF_THE_TEST
    ),
    "card": "Keep a CARD.md in the project, and start the script from there.",
}
"""Where the plugin was there already, and had nothing to keep."""


def how_to_supply(missing: Missing, manifest: Manifest) -> str:
    """What a person does to supply a part, or a piece of evidence, that this version lacks."""
    if manifest.logged_elsewhere:
        # Without rows there is nothing to name a column of, and who has the rows may have the answers too.
        no_rows = missing.name == "metrics" and isinstance(manifest.evidence.holdout, Missing)
        name = "holdout" if no_rows else missing.name
        return _BESIDE_THE_PLUGIN.get(name, _IN_MLFLOW[name]) if _plugin_was_there(manifest) else _IN_MLFLOW[name]
    return how_to_add(missing.name) if missing.name in PART_NAMES else how_to_add_evidence(missing.name)


def _plugin_was_there(manifest: Manifest) -> bool:
    """Whether Holdfast's plugin was where the model was logged: it always keeps the lock of what was used."""
    environment = manifest.evidence.environment
    return isinstance(environment, Environment) and environment.values.get("lock") == "captured"
