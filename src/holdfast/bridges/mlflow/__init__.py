"""MLflow: from what one of its clients logged to a version that Holdfast can gate, open and take back.

    prepared = bundle_of(Said(run_id=…, params=…, tags=…), LoggedFiles(files, store.read), ModelName("churn"))
    prepared.manifest.missing()      what nobody said, each with its reason
    flow.register_logged.register_logged(prepared, store, registry, actor="ana")

    said.py         what is handed in
    documents.py    YAML and JSON, with limits
    mlmodel.py      the file MLmodel
    signature.py    the feature schema, and the kind of answers
    weights.py      the files, and what is known of the model without opening it
    threshold.py    how a score becomes an answer
    environment.py  the lock
    holdout.py      rows and answers that were recorded beside the model, and what they measure
    bundle.py       all of it together

Pure but for reading small files through the callable it is given. No model is opened here, and no code of one is run.
"""

from holdfast.bridges.mlflow.bundle import bundle_of
from holdfast.bridges.mlflow.said import LoggedDataset, LoggedFiles, Said
from holdfast.flow.register_logged import Prepared

__all__ = ["LoggedDataset", "LoggedFiles", "Prepared", "Said", "bundle_of"]
