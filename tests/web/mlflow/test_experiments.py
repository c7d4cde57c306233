"""Experiments, asked as MLflow's clients ask."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.mlflow.served import Served, served


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as found:
        yield found


def test_an_experiment_is_made_found_and_changed(server: Served) -> None:
    id_ = server.ask("POST", "experiments/create", {"name": "churn", "tags": [{"key": "a", "value": "b"}]})
    assert id_ == {"experiment_id": "1"}
    found = server.ask("GET", "experiments/get-by-name", {"experiment_name": "churn"})
    assert found == server.ask("GET", "experiments/get", {"experiment_id": "1"})
    assert found["experiment"]["artifact_location"] == "mlflow-artifacts:/1"
    assert server.ask("POST", "experiments/update", {"experiment_id": "1", "new_name": "other"}) == {}
    assert server.ask("POST", "experiments/set-experiment-tag", {"experiment_id": "1", "key": "c"}) == {}
    assert server.ask("POST", "experiments/delete-experiment-tag", {"experiment_id": "1", "key": "a"}) == {}
    changed = server.ask("GET", "experiments/get", {"experiment_id": "1"})["experiment"]
    assert (changed["name"], changed["tags"]) == ("other", [{"key": "c", "value": ""}])


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_experiments_are_searched_page_by_page(server: Served, method: str) -> None:
    for name in "ab":
        server.ask("POST", "experiments/create", {"name": name})
    asked: dict[str, Any] = {"max_results": 2, "order_by": ["name"]}
    first = server.ask(method, "experiments/search", asked)
    second = server.ask(method, "experiments/search", asked | {"page_token": first["next_page_token"]})
    assert [one["name"] for one in first["experiments"] + second["experiments"]] == ["Default", "a", "b"]
    assert "next_page_token" not in second
    deleted = server.ask(method, "experiments/search", {"max_results": 2, "view_type": "DELETED_ONLY"})
    assert deleted == {}


def test_a_deleted_experiment_is_restored(server: Served) -> None:
    server.ask("POST", "experiments/create", {"name": "churn"})
    assert server.ask("POST", "experiments/delete", {"experiment_id": "1"}) == {}
    again = server.ask("POST", "experiments/delete", {"experiment_id": "1"}, status=404)
    assert again["message"] == "No Experiment with id=1 exists"
    refused = server.ask("POST", "experiments/update", {"experiment_id": "1", "new_name": "x"}, status=500)
    assert (refused["error_code"], refused["message"]) == (
        "INVALID_STATE",
        "Cannot rename a non-active experiment.",
    )
    assert server.ask("POST", "experiments/restore", {"experiment_id": "1"}) == {}
    assert server.ask("GET", "experiments/get", {"experiment_id": "1"})["experiment"]["lifecycle_stage"] == "active"


@pytest.mark.parametrize(
    ("method", "path", "said", "refusal"),
    [
        ("GET", "get", {}, (400, "INVALID_PARAMETER_VALUE", "Missing value for required parameter 'experiment_id'.")),
        ("GET", "get", {"experiment_id": "7"}, (404, "RESOURCE_DOES_NOT_EXIST", "No Experiment with id=7 exists")),
        ("GET", "get", {"experiment_id": "x"}, (400, "INVALID_PARAMETER_VALUE", "Invalid experiment ID 'x'. ")),
        (
            "GET",
            "get-by-name",
            {"experiment_name": "x"},
            (404, "RESOURCE_DOES_NOT_EXIST", "Could not find experiment with name 'x'"),
        ),
        (
            "POST",
            "create",
            {"name": "Default"},
            (400, "RESOURCE_ALREADY_EXISTS", "Experiment(name=Default) already exists."),
        ),
        (
            "POST",
            "create",
            {"name": 123},
            (
                400,
                "INVALID_PARAMETER_VALUE",
                "Invalid value 123 for parameter 'name' supplied:  Hint: Value was of type 'int'.",
            ),
        ),
        (
            "POST",
            "create",
            {"name": "a" * 501},
            (400, "INVALID_PARAMETER_VALUE", "'name' exceeds the maximum length of 500 characters"),
        ),
        (
            "POST",
            "search",
            {},
            (
                400,
                "INVALID_PARAMETER_VALUE",
                "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer",
            ),
        ),
    ],
)
def test_a_refusal_has_the_words_of_mlflow(
    server: Served, method: str, path: str, said: dict[str, Any], refusal: tuple[int, str, str]
) -> None:
    status, code, message = refusal
    refused = server.ask(method, f"experiments/{path}", said, status=status)
    assert refused["error_code"] == code
    assert refused["message"].startswith(message)
