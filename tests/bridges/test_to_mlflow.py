"""What leaves for an MLflow: every file of a run and of a logged model, wherever their experiment was placed."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from holdfast.bridges.mlflow_line import MlflowLine
from holdfast.bridges.to_mlflow import write_back
from holdfast.experiments.logged import ModelStatus, NewLoggedModel
from holdfast.wire import open_project
from holdfast.wire.mlflow import open_shelf
from holdfast.wire.moving import open_leaving
from tests.blank import blank_project


class Mlflow:
    """A server that has nothing, and takes everything."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if request.method == "PUT":
            self.files[path.partition("/artifacts/")[2]] = request.read()
            return httpx.Response(200)
        if path.endswith("/get-by-name"):
            return httpx.Response(404, json={"message": "no such experiment"})
        return httpx.Response(200, json=self._made(path, json.loads(request.read() or b"{}")))

    def _made(self, path: str, said: dict[str, Any]) -> dict[str, Any]:
        if path.endswith("/experiments/create"):
            return {"experiment_id": said["name"]}
        place = f"mlflow-artifacts:/{said.get('experiment_id')}"
        if path.endswith("/runs/create"):
            return {"run": {"info": {"run_id": "run", "artifact_uri": f"{place}/run/artifacts"}}}
        if path.endswith("/logged-models"):
            return {"model": {"info": {"model_id": "m", "artifact_uri": f"{place}/models/m/artifacts"}}}
        return {}


@pytest.mark.parametrize("place", [None, "mlflow-artifacts:/shared/5", "shared", "s3://bucket/elsewhere"])
def test_files_leave_wherever_their_experiment_was_placed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str | None
) -> None:
    server, line = Mlflow(), MlflowLine("http://models.example")
    client = httpx.Client(transport=httpx.MockTransport(server), base_url="http://models.example")
    monkeypatch.setattr(line, "_client", client)
    with open_project(blank_project(tmp_path)) as project, line:
        shelf = open_shelf(project, project.store)
        experiment = shelf.experiments.create("churn", "ana", place)
        run = str(shelf.runs.create(experiment, "ana", 5)["info"]["run_id"])
        model = shelf.logged.create(NewLoggedModel(experiment, "model"), "ana").id
        folders = shelf.places.of_run(run).path, shelf.places.of_logged_model(model).path
        for folder, name in zip(folders, ("a", "MLmodel"), strict=True):
            if folder is not None:
                shelf.files.put(f"{folder}/{name}", [name.encode()])
        shelf.logged.finalise(model, ModelStatus.READY)
        written = write_back(open_leaving(project), line)
    there = {"churn/run/artifacts/a": b"a", "churn/models/m/artifacts/MLmodel": b"MLmodel"}
    assert server.files == ({} if folders[0] is None else there)
    assert (written.runs, written.logged_models, written.files) == (1, 1, len(server.files))
