"""What stands in MLflow's places, as one line of JSON: which store, which repository, what of Holdfast is loaded."""

import json
import sys

import mlflow
from mlflow.data.dataset import Dataset
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking._tracking_service.utils import _get_store

at_import = sorted(name for name in sys.modules if name.split(".")[0] == "holdfast")
with mlflow.start_run() as run:
    mlflow.log_input(mlflow.data.from_pandas(__import__("pandas").DataFrame({"x": [1]})))
    mlflow.log_dict({"a": 1}, "a.json")
print(
    json.dumps(
        {
            "at_import": at_import,
            "store": type(_get_store()).__name__,
            "repository": type(get_artifact_repository(run.info.artifact_uri)).__name__,
            "hears_datasets": hasattr(Dataset._to_mlflow_entity, "_holdfast"),
            "files": sorted(file.path for file in mlflow.MlflowClient().list_artifacts(run.info.run_id)),
        }
    )
)
