"""What clients say may be so long, and no longer: every answer that tells of it has all of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.mlflow.logging import logged
from tests.web.mlflow.served import Served, served

LONG = "x" * 100_001


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as found:
        found.experiment()
        found.run("r")
        found.ask("POST", "registered-models/create", {"name": "churn"})
        yield found


def dataset(**said: str) -> dict[str, Any]:
    return {"dataset": {"name": "train", "digest": "d1", "source_type": "local", "source": "{}", **said}}


def metric(**said: str) -> dict[str, Any]:
    return {"run_id": "r", "key": "a", "value": 1, "timestamp": 1, **said}


@pytest.mark.parametrize(
    ("method", "path", "said", "what"),
    [
        ("POST", "runs/create", {"experiment_id": "7", "user_id": LONG}, "user_id"),
        ("POST", "runs/log-metric", metric(dataset_name=LONG), "dataset_name"),
        ("POST", "runs/log-metric", metric(dataset_digest=LONG), "dataset_digest"),
        ("POST", "runs/log-inputs", {"run_id": "r", "datasets": [dataset(source_type=LONG)]}, "source_type"),
        ("POST", "runs/log-inputs", {"run_id": "r", "models": [{"model_id": LONG}]}, "model_id"),
        ("POST", "runs/outputs", {"run_id": "r", "models": [{"model_id": LONG}]}, "model_id"),
        ("POST", "logged-models", {"experiment_id": "7", "model_type": LONG}, "model_type"),
        ("POST", "logged-models", {"experiment_id": "7", "source_run_id": LONG}, "source_run_id"),
        ("POST", "registered-models/create", {"name": "fraud", "description": LONG}, "description"),
        ("PATCH", "registered-models/update", {"name": "churn", "description": LONG}, "description"),
        ("POST", "model-versions/create", {"name": "churn", "source": "m", "description": LONG}, "description"),
        ("POST", "model-versions/create", {"name": "churn", "source": "m", "run_link": LONG}, "run_link"),
        ("PATCH", "model-versions/update", {"name": "churn", "version": "1", "description": LONG}, "description"),
    ],
)
def test_what_is_too_long_is_refused(server: Served, method: str, path: str, said: dict[str, Any], what: str) -> None:
    if path == "model-versions/update":
        server.ask("POST", "model-versions/create", {"name": "churn", "source": f"models:/{logged(server)}"})
    refused = server.ask(method, path, said, status=400)
    assert refused["message"].startswith(f"'{what}' exceeds the maximum length of ")


def test_a_name_is_cut_as_its_tag_is(server: Served) -> None:
    run = server.ask("POST", "runs/create", {"experiment_id": "7", "run_name": LONG})["run"]
    assert len(run["info"]["run_name"]) == len(run["data"]["tags"][0]["value"]) == 8_000


def test_what_older_clients_tell_of_models_has_an_end(server: Served) -> None:
    wordy = {"artifact_path": "a", "utc_time_created": "now", "run_id": "r", "flavors": {"x": {"y": "z" * (1 << 20)}}}
    refused = server.ask("POST", "runs/log-model", {"run_id": "r", "model_json": json.dumps(wordy)}, status=400)
    assert "exceeds the maximum length" in refused["message"]


def test_a_description_of_several_pages_is_kept_whole_and_the_log_has_its_beginning(server: Served) -> None:
    said = {"name": "churn", "source": f"models:/{logged(server)}", "description": "word " * 1_000}
    version = server.ask("POST", "model-versions/create", said)["model_version"]
    assert version["description"] == said["description"]
    [event] = [one for one in server.project.registry.log() if one.to_number == 1]
    assert event.reason.startswith("word word")


def test_nobody_keeps_the_writer_busy_with_tags(server: Served) -> None:
    tags = [{"key": f"k{number}", "value": ""} for number in range(1_001)]
    source = f"models:/{logged(server)}"
    for path, said in (
        ("runs/create", {"experiment_id": "7"}),
        ("experiments/create", {"name": "e"}),
        ("registered-models/create", {"name": "m"}),
        ("model-versions/create", {"name": "churn", "source": source}),
        ("traces", {"experiment_id": "7", "timestamp_ms": 1}),
    ):
        refused = server.ask("POST", path, {**said, "tags": tags}, status=400)
        assert refused["message"].startswith("A request can contain at most 1000 tags.")


def test_a_search_that_no_database_takes_is_refused(server: Served) -> None:
    runs = {"experiment_ids": [str(number) for number in range(70_000)]}
    assert "at most 10000 experiments" in server.ask("POST", "runs/search", runs, status=400)["message"]
    sorted_by = {"max_results": 1, "order_by": ["name"] * 3_000}
    assert "may have 16" in server.ask("POST", "experiments/search", sorted_by, status=400)["message"]
    traces = {"experiment_id": "7", "request_ids": ["tr"] * 70_000}
    path = "/api/3.0/mlflow/traces/delete-traces"
    assert "At most 10000 traces" in server.ask("POST", path, traces, status=400)["message"]
