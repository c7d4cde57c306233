"""What a person does to supply what a version lacks, in the words of whatever the version came from."""

from holdfast.evidence import how_to_add as how_to_add_evidence
from holdfast.manifest import Manifest
from holdfast.parts import PART_NAMES, Missing, how_to_add

__all__ = ["how_to_supply"]

_PLUGIN = "pip install holdfast beside mlflow, whose plugin then"

_IN_MLFLOW = {
    "weights": "Log a model that mlflow.pyfunc can open, such as mlflow.sklearn.log_model(model, name='model').",
    "data_slice": f"{_PLUGIN} freezes the files that the script reads and the data of mlflow.log_input and autolog.",
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
    "holdout": f"{_PLUGIN} records what the model answers on data logged with mlflow.log_input(…, context='eval').",
    "run": "Log the model inside `with mlflow.start_run():`.",
    "code": "Keep the training code in Git, and start the script from there.",
    "card": f"{_PLUGIN} sends the project's CARD.md along.",
}


def how_to_supply(missing: Missing, manifest: Manifest) -> str:
    """What a person does to supply a part, or a piece of evidence, that this version lacks."""
    if manifest.logged_elsewhere:
        # Without rows there is nothing to name a column of, and who has the rows may have the answers too.
        no_rows = missing.name == "metrics" and isinstance(manifest.evidence.holdout, Missing)
        return _IN_MLFLOW["holdout" if no_rows else missing.name]
    return how_to_add(missing.name) if missing.name in PART_NAMES else how_to_add_evidence(missing.name)
