"""What runs read and what they made, asked as MLflow's clients ask."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from holdfast.tracking.tables import run_tags, runs
from tests.web.mlflow.served import Served, served

TRAIN: dict[str, Any] = {
    "tags": [{"key": "mlflow.data.context", "value": "training"}],
    "dataset": {"name": "train", "digest": "d1", "source_type": "local", "source": "{}", "schema": "{}"},
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as found:
        found.experiment()
        found.run("r1")
        yield found


def test_inputs_and_outputs_are_told_once_however_often_they_are_said(server: Served) -> None:
    for _ in range(2):
        said = {"run_id": "r1", "datasets": [TRAIN, TRAIN], "models": [{"model_id": "m-1"}]}
        assert server.ask("POST", "runs/log-inputs", said) == {}
        made = {"run_id": "r1", "models": [{"model_id": "m-2", "step": 3}, {"model_id": "m-3", "step": "4"}]}
        assert server.ask("POST", "runs/outputs", made) == {}
    run = server.ask("GET", "runs/get", {"run_id": "r1"})["run"]
    assert run["inputs"] == {"dataset_inputs": [TRAIN], "model_inputs": [{"model_id": "m-1"}]}
    assert run["outputs"] == {
        "model_outputs": [{"model_id": "m-2", "step": 3}, {"model_id": "m-3", "step": 4}],
    }


@pytest.mark.parametrize(
    "path",
    [
        "experiments/search-datasets",
        "/api/2.0mlflow/experiments/search-datasets",
        "/ajax-api/2.0/mlflow/experiments/search-datasets",
    ],
)
def test_datasets_are_found_with_what_they_were_read_for(server: Served, path: str) -> None:
    server.run("r2")
    server.ask("POST", "runs/log-inputs", {"run_id": "r1", "datasets": [TRAIN]})
    server.ask("POST", "runs/log-inputs", {"run_id": "r2", "datasets": [TRAIN | {"tags": []}]})
    summary = {"experiment_id": "7", "name": "train", "digest": "d1"}
    found = server.ask("POST", path, {"experiment_ids": ["7"]})
    assert found == {"dataset_summaries": [summary, summary | {"context": "training"}]}
    assert server.ask("POST", path, {"experiment_ids": ["8"]}) == {}


@pytest.mark.parametrize(
    ("path", "said", "status", "message"),
    [
        ("runs/log-inputs", {"run_id": "r9"}, 404, "Run with id=r9 not found"),
        ("runs/outputs", {"run_id": "r1"}, 400, "Missing value for required parameter 'models'."),
        (
            "runs/log-inputs",
            {"run_id": "r1", "datasets": [{"dataset": {**TRAIN["dataset"], "digest": "d" * 37}}]},
            400,
            "'digest' exceeds the maximum length of 36 characters",
        ),
        (
            "experiments/search-datasets",
            {},
            400,
            "SearchDatasets request must specify at least one experiment_id.",
        ),
        (
            "experiments/search-datasets",
            {"experiment_ids": ["1"] * 21},
            400,
            "SearchDatasets request cannot specify more than 20 experiment_ids. Received 21 experiment_ids.",
        ),
        ("runs/log-model", {"run_id": "r1", "model_json": "{"}, 400, "Malformed model info."),
        ("runs/log-model", {"run_id": "r1", "model_json": "{}"}, 400, "Model json is missing mandatory fields:"),
    ],
)
def test_what_cannot_be_said_is_refused_in_the_words_of_mlflow(
    server: Served, path: str, said: dict[str, Any], status: int, message: str
) -> None:
    assert server.ask("POST", path, said, status=status)["message"].startswith(message)


def test_nothing_is_said_of_a_deleted_run(server: Served) -> None:
    with server.database.change() as connection:
        connection.execute(update(runs).values(deleted_ms=1))
    refused = server.ask("POST", "runs/log-inputs", {"run_id": "r1", "datasets": [TRAIN]}, status=400)
    assert refused["message"] == "The run r1 must be in the 'active' state. Current state is deleted."


def test_older_clients_keep_a_history_of_models_in_a_tag(server: Served) -> None:
    model = {
        "run_id": "r1",
        "artifact_path": "model",
        "utc_time_created": "2026-03-01",
        "flavors": {"sklearn": {"pickled_model": "model.pkl", "config": {"long": 1}}},
        "signature": {},
    }
    kept = {**model, "flavors": {"sklearn": {"pickled_model": "model.pkl"}}}
    del kept["signature"]
    for _ in range(2):
        server.ask("POST", "runs/log-model", {"run_id": "r1", "model_json": json.dumps(model)})
    server.ask("POST", "runs/log-model", {"run_id": "r1", "model_json": json.dumps({**model, "artifact_path": "b"})})
    with server.database.read() as connection:
        value = connection.execute(select(run_tags.c.value)).scalar_one()
    assert json.loads(value) == [kept, {**kept, "artifact_path": "b"}]
