"""Logged models, asked as MLflow's clients ask."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from holdfast.experiments.logged_metrics import ModelPoint, add_points
from holdfast.experiments.tables import frozen_files
from tests.web.mlflow.logging import put
from tests.web.mlflow.served import Served, served


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as found:
        found.experiment()
        yield found


def create(server: Served, name: str = "model", **more: Any) -> dict[str, Any]:
    said = {"experiment_id": "7", "name": name, **more}
    model: dict[str, Any] = server.ask("POST", "logged-models", said)["model"]
    return model


def measure(server: Served, *points: ModelPoint) -> None:
    with server.database.change() as connection:
        add_points(connection, points[0].run, points)


def names(found: dict[str, Any]) -> list[str]:
    return [model["info"]["name"] for model in found.get("models", [])]


def test_a_logged_model_is_told_as_mlflow_tells_it(server: Served) -> None:
    params, tags = [{"key": "lr", "value": "0.1"}], [{"key": "team", "value": "risk"}]
    model = create(server, source_run_id="r1", params=params, tags=tags)
    info = model["info"]
    assert info["model_id"].startswith("m-")
    assert len(info["model_id"]) == len("m-") + 32
    assert info["artifact_uri"] == f"mlflow-artifacts:/7/models/{info['model_id']}/artifacts"
    assert (info["experiment_id"], info["status"], info["model_type"]) == ("7", "LOGGED_MODEL_PENDING", "")
    assert (info["source_run_id"], info["tags"]) == ("r1", tags)
    assert info["creation_timestamp_ms"] == info["last_updated_timestamp_ms"]
    assert model["data"] == {"params": params}
    assert server.ask("GET", f"logged-models/{info['model_id']}")["model"] == model
    assert create(server)["data"] == {}


def test_a_model_that_is_ready_keeps_its_files_and_params_and_still_takes_tags(server: Served) -> None:
    one = f"logged-models/{create(server, params=[{'key': 'lr', 'value': '0.1'}])['info']['model_id']}"
    server.ask("POST", f"{one}/params", {"params": [{"key": "depth", "value": "3"}]})
    ready = server.ask("PATCH", one, {"status": "LOGGED_MODEL_READY"})["model"]
    assert ready["info"]["status"] == "LOGGED_MODEL_READY"
    assert server.ask("PATCH", one, {"status": 2})["model"] == ready
    with server.database.read() as connection:
        frozen = connection.execute(select(frozen_files.c.path)).scalars().all()
    assert frozen == [ready["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/")]
    refused = server.ask("POST", f"{one}/params", {"params": [{"key": "late", "value": "1"}]}, status=403)
    assert refused["error_code"] == "PERMISSION_DENIED"
    server.ask("POST", f"{one}/params", {"params": [{"key": "depth", "value": "3"}]})
    server.ask("PATCH", one, {"status": "LOGGED_MODEL_UPLOAD_FAILED"}, status=403)
    server.ask("PATCH", f"{one}/tags", {"tags": [{"key": "a/b", "value": "1"}, {"key": "c", "value": "2"}]})
    server.ask("PATCH", f"{one}/tags", {"tags": [{"key": "a/b", "value": "3"}]})
    server.ask("DELETE", f"{one}/tags/c")
    assert server.ask("GET", one)["model"]["info"]["tags"] == [{"key": "a/b", "value": "3"}]
    gone = server.ask("DELETE", f"{one}/tags/c", status=404)
    assert gone["message"].startswith("No tag with key 'c' found for model with ID 'm-")


def test_files_of_a_model_are_listed_until_it_is_ready_and_after(server: Served) -> None:
    info = create(server)["info"]
    files = "/api/2.0/mlflow-artifacts/artifacts/" + info["artifact_uri"].removeprefix("mlflow-artifacts:/")
    one = f"logged-models/{info['model_id']}"
    put = server.loop.run(server.client.put(f"{files}/code/a.py", content=b"1"))
    assert put.status_code == 200
    server.ask("PATCH", one, {"status": "LOGGED_MODEL_READY"})
    refused = server.loop.run(server.client.put(f"{files}/code/a.py", content=b"2"))
    assert refused.status_code == 403
    assert refused.json()["message"].startswith(f"The files of logged model {info['model_id']} are immutable")
    assert server.ask("GET", f"{one}/artifacts/directories", {"artifact_directory_path": "code"}) == {
        "files": [{"path": "code/a.py", "is_dir": False, "file_size": 1}],
        "root_uri": info["artifact_uri"],
    }


def test_a_failed_upload_freezes_nothing(server: Served) -> None:
    one = f"logged-models/{create(server)['info']['model_id']}"
    failed = server.ask("PATCH", one, {"status": "LOGGED_MODEL_UPLOAD_FAILED"})
    assert failed["model"]["info"]["status"] == "LOGGED_MODEL_UPLOAD_FAILED"
    with server.database.read() as connection:
        assert connection.execute(select(frozen_files)).all() == []


@pytest.mark.parametrize(
    ("said", "status", "message"),
    [
        ({"name": "m"}, 400, "Missing value for required parameter 'experiment_id'."),
        ({"experiment_id": "8"}, 404, "No Experiment with id=8 exists"),
        ({"experiment_id": "9" * 30}, 404, "No Experiment with id="),
        ({"experiment_id": "7", "name": "a/b"}, 400, "Invalid model name ('a/b') provided. Model name must be"),
    ],
)
def test_what_cannot_be_logged_is_refused_in_the_words_of_mlflow(
    server: Served, said: dict[str, str], status: int, message: str
) -> None:
    assert server.ask("POST", "logged-models", said, status=status)["message"].startswith(message)


def test_a_deleted_model_is_hidden_and_kept(server: Served) -> None:
    id_ = create(server)["info"]["model_id"]
    server.ask("DELETE", f"logged-models/{id_}")
    gone = server.ask("GET", f"logged-models/{id_}", status=404)
    assert (gone["error_code"], gone["message"]) == (
        "RESOURCE_DOES_NOT_EXIST",
        f"Logged model with ID '{id_}' not found.",
    )
    assert server.ask("GET", f"logged-models/{id_}", {"allow_deleted": "true"})["model"]["info"]["model_id"] == id_
    assert server.ask("POST", "logged-models/search", {"experiment_ids": ["7"]}) == {}


def test_points_of_a_model_are_told_whole_and_only_once(server: Served) -> None:
    id_, run = create(server)["info"]["model_id"], server.run("r1")
    first = ModelPoint(id_, "auc", 0.8, 5, 0, run, "train", "d1")
    measure(server, first, ModelPoint(id_, "auc", math.nan, 6, 1, run), first)
    measure(server, first)
    assert server.ask("GET", f"logged-models/{id_}")["model"]["data"]["metrics"] == [
        {
            "key": "auc",
            "value": 0.8,
            "timestamp": 5,
            "step": 0,
            "dataset_name": "train",
            "dataset_digest": "d1",
            "model_id": id_,
            "run_id": run,
        },
        {"key": "auc", "value": "NaN", "timestamp": 6, "step": 1, "model_id": id_, "run_id": run},
    ]


def test_models_are_found_by_what_was_said_and_measured_of_them(server: Served) -> None:
    run = server.run("r1")
    good = create(server, "good", params=[{"key": "lr", "value": "0.1"}], model_type="Agent")["info"]["model_id"]
    bad = create(server, "bad", tags=[{"key": "team", "value": "Risk"}])["info"]["model_id"]
    measure(
        server,
        ModelPoint(good, "auc", 0.9, 1, 0, run, "train", "d1"),
        ModelPoint(good, "auc", 0.7, 2, 0, run, "test", "d2"),
        ModelPoint(bad, "auc", 0.8, 1, 0, run, "test", "d2"),
    )

    def found(**asked: Any) -> list[str]:
        return names(server.ask("POST", "logged-models/search", {"experiment_ids": ["7"], **asked}))

    by_auc = {"field_name": "metrics.auc", "ascending": True}
    assert found(filter="metrics.auc > 0.85") == ["good"]
    assert found(filter="metrics.auc > 0.85", datasets=[{"dataset_name": "test"}]) == []
    assert found(datasets=[{"dataset_name": "train", "dataset_digest": "d1"}]) == ["good"]
    assert found(datasets=[{"dataset_name": "train", "dataset_digest": "d2"}]) == []
    assert found(filter="params.lr = '0.1' AND model_type = 'Agent'") == ["good"]
    assert found(filter="tags.team LIKE 'R%'") == ["bad"]
    assert found(filter="tags.team LIKE 'r%'") == []
    assert found(filter="tags.team ILIKE 'r%'") == ["bad"]
    assert found(filter=f"model_id IN ('{good}')") == ["good"]
    assert found(filter="status = 'READY'") == []
    assert found(order_by=[by_auc]) == ["good", "bad"]
    assert found(order_by=[{**by_auc, "ascending": False, "dataset_name": "test"}]) == ["bad", "good"]
    assert found(order_by=[{**by_auc, "dataset_name": "train"}]) == ["good", "bad"]
    assert found(order_by=[{"field_name": "name"}]) == ["bad", "good"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "Missing value for required parameter 'experiment_ids'."),
        ({"experiment_ids": ["7"], "filter": "name ="}, "Invalid clause(s) in filter string"),
        ({"experiment_ids": ["7"], "order_by": [{"field_name": "nobody"}]}, "Invalid order by field name: nobody"),
        (
            {"experiment_ids": ["7"], "order_by": [{"field_name": "params.lr"}]},
            "Invalid order by field name: params.lr. Only metrics are supported.",
        ),
        ({"experiment_ids": ["7"], "datasets": [{"dataset_digest": "d"}]}, "`dataset_name` in the `datasets` clause"),
        ({"experiment_ids": ["7"], "page_token": "abc"}, "Invalid page token, could not base64-decode"),
    ],
)
def test_searches_that_cannot_be_are_refused(server: Served, asked: dict[str, Any], message: str) -> None:
    assert server.ask("POST", "logged-models/search", asked, status=400)["message"].startswith(message)


def test_pages_of_a_search_tell_each_model_once(server: Served) -> None:
    wanted = [create(server, f"m{number}")["info"]["name"] for number in range(5)]
    asked: dict[str, Any] = {"experiment_ids": ["7"], "max_results": 2, "order_by": [{"field_name": "name"}]}
    found, page = [], server.ask("POST", "logged-models/search", asked)
    while True:
        found += names(page)
        if "next_page_token" not in page:
            break
        page = server.ask("POST", "logged-models/search", {**asked, "page_token": page["next_page_token"]})
    assert found == wanted


@pytest.mark.parametrize(
    "place",
    ["mlflow-artifacts:/5", "mlflow-artifacts://elsewhere/5", "mlflow-artifacts:///5//", "mlflow-artifacts:/./5", "5"],
)
def test_files_of_a_ready_model_stay_however_the_place_of_its_experiment_is_written(server: Served, place: str) -> None:
    said = {"name": "elsewhere", "artifact_location": place}
    experiment = server.ask("POST", "experiments/create", said)["experiment_id"]
    id_ = server.ask("POST", "logged-models", {"experiment_id": experiment, "name": "m"})["model"]["info"]["model_id"]
    server.ask("PATCH", f"logged-models/{id_}", {"status": "LOGGED_MODEL_READY"})
    path = server.shelf.places.of_logged_model(id_).folder("it")
    assert path == f"5/models/{id_}/artifacts"
    put(server, f"{path}/MLmodel", b"other", status=403)


@pytest.mark.parametrize(
    "place",
    [
        *("mlflow-artifacts:/5/../7", "mlflow-artifacts:/a%2e%2e/%2e%2e/b", "mlflow-artifacts://["),
        # What is behind it would be lost, and the folder of experiment 7 be left.
        *("mlflow-artifacts:/7?", "mlflow-artifacts:/7?a=b/c", f"mlflow-artifacts:/{'a/' * 500}"),
    ],
)
def test_an_experiment_has_no_place_that_is_no_path(server: Served, place: str) -> None:
    said = {"name": "elsewhere", "artifact_location": place}
    assert "Invalid path" in server.ask("POST", "experiments/create", said, status=400)["message"]
