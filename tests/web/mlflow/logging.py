"""Models as MLflow's clients log them, small enough to be written by hand."""

from typing import Any

from tests.web.mlflow.served import Served

MLMODEL = """\
artifact_path: model
flavors:
  python_function:
    env:
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
    model_path: model.skops
    predict_fn: predict
    python_version: 3.11.9
  sklearn:
    pickled_model: model.skops
    serialization_format: skops
    sklearn_version: 1.7.2
mlflow_version: 3.18.0
model_size_bytes: 4
signature:
  inputs: '[{"type": "double", "name": "age", "required": true}]'
  outputs: '[{"type": "long", "required": true}]'
  params: null
"""

FILES = {
    "MLmodel": MLMODEL.encode(),
    "requirements.txt": b"scikit-learn==1.7.2\n",
    "python_env.yaml": b"python: 3.11.9\ndependencies:\n- -r requirements.txt\n",
    "model.skops": b"no model",
}


def put(server: Served, path: str, data: bytes, *, status: int = 200) -> None:
    """Sends a file; `path` is from the root of all files."""
    url = f"/api/2.0/mlflow-artifacts/artifacts/{path}"
    answer = server.loop.run(server.client.put(url, content=data))
    assert answer.status_code == status, answer.text


def logged(server: Served, run: str | None = None, *, weights: bytes = b"no model") -> str:
    """A logged model that is ready; its id."""
    said: dict[str, Any] = {"experiment_id": "7", "name": "model"}
    if run is not None:
        said["source_run_id"] = run
    id_ = str(server.ask("POST", "logged-models", said)["model"]["info"]["model_id"])
    for name, data in {**FILES, "model.skops": weights}.items():
        put(server, f"7/models/{id_}/artifacts/{name}", data)
    server.ask("PATCH", f"logged-models/{id_}", {"status": "LOGGED_MODEL_READY"})
    return id_


def registered(server: Served, name: str = "churn", count: int = 1) -> list[str]:
    """A registered model with so many versions; the ids of the logged models that they are."""
    if "registered_models" not in server.ask("GET", "registered-models/search", {"filter": f"name = '{name}'"}):
        server.ask("POST", "registered-models/create", {"name": name})
    ids = []
    for number in range(count):
        ids.append(logged(server, weights=f"{name} {number}".encode()))
        said = {"name": name, "source": f"models:/{ids[-1]}", "model_id": ids[-1]}
        server.ask("POST", "model-versions/create", said)
    return ids
