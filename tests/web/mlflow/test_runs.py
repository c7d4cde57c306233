"""Runs and the histories of their metrics, asked as MLflow's clients ask."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.mlflow.served import Served, served


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as found:
        yield found


@pytest.fixture
def run(server: Served) -> str:
    said = {"experiment_id": "0", "start_time": 5, "user_id": "ana", "run_name": "first"}
    return str(server.ask("POST", "runs/create", said)["run"]["info"]["run_id"])


def _run(server: Served, run: str) -> Any:
    return server.ask("GET", "runs/get", {"run_id": run})["run"]


def test_a_run_is_logged_to_and_told_again(server: Served, run: str) -> None:
    point = {"key": "acc", "value": 0.5, "timestamp": 10, "step": 2}
    assert server.ask("POST", "runs/log-metric", {"run_id": run, "run_uuid": run, **point}) == {}
    assert server.ask("POST", "runs/log-parameter", {"run_uuid": run, "key": "lr", "value": "0.1"}) == {}
    assert server.ask("POST", "runs/set-tag", {"run_id": run, "key": "team", "value": "risk"}) == {}
    batch = {
        "run_id": run,
        "metrics": [{"key": "loss", "value": "NaN", "timestamp": "11"}],
        "params": [{"key": "empty"}],
        "tags": [{"key": "gone", "value": "x"}],
    }
    for _ in range(2):
        assert server.ask("POST", "runs/log-batch", batch) == {}
    assert server.ask("POST", "runs/delete-tag", {"run_id": run, "key": "gone"}) == {}
    found = _run(server, run)
    assert found["data"] == {
        "metrics": [point, {"key": "loss", "value": "NaN", "timestamp": 11, "step": 0}],
        "params": [{"key": "empty", "value": ""}, {"key": "lr", "value": "0.1"}],
        "tags": [{"key": "mlflow.runName", "value": "first"}, {"key": "team", "value": "risk"}],
    }
    assert found == server.ask("GET", "runs/get", {"run_uuid": run})["run"]
    assert server.ask("POST", "runs/search", {"experiment_ids": ["0"]}) == {"runs": [found]}


def test_a_run_ends_is_deleted_and_comes_back(server: Served, run: str) -> None:
    ended = server.ask("POST", "runs/update", {"run_id": run, "status": "FINISHED", "end_time": 99})["run_info"]
    assert ended == _run(server, run)["info"]
    assert (ended["status"], ended["end_time"], ended["user_id"]) == ("FINISHED", 99, "ana")
    assert server.ask("POST", "runs/update", {"run_id": run, "status": "NOPE"})["run_info"] == ended
    for _ in range(2):
        assert server.ask("POST", "runs/delete", {"run_id": run}) == {}
    refused = server.ask("POST", "runs/set-tag", {"run_id": run, "key": "a"}, status=400)
    assert refused["message"] == f"The run {run} must be in the 'active' state. Current state is deleted."
    assert server.ask("POST", "runs/search", {"experiment_ids": ["0"]}) == {}
    deleted = server.ask("POST", "runs/search", {"experiment_ids": ["0"], "run_view_type": "DELETED_ONLY"})
    assert deleted["runs"][0]["info"]["lifecycle_stage"] == "deleted"
    assert server.ask("POST", "runs/restore", {"run_id": run}) == {}
    assert _run(server, run)["info"]["lifecycle_stage"] == "active"


def test_runs_are_searched_page_by_page(server: Served) -> None:
    for number in range(3):
        server.ask("POST", "runs/create", {"start_time": number, "run_name": f"r{number}"})
    asked: dict[str, Any] = {"experiment_ids": ["0"], "max_results": 2, "filter": "run_name LIKE 'r%'"}
    first = server.ask("POST", "runs/search", asked)
    second = server.ask("POST", "runs/search", asked | {"page_token": first["next_page_token"]})
    assert [one["info"]["run_name"] for one in first["runs"] + second["runs"]] == ["r2", "r1", "r0"]
    assert "next_page_token" not in second


def test_a_history_is_told_whole_page_by_page_and_as_a_picture(server: Served, run: str) -> None:
    points = [{"key": "m", "value": float(step), "timestamp": step, "step": step} for step in range(10)]
    server.ask("POST", "runs/log-batch", {"run_id": run, "metrics": points})
    asked: dict[str, Any] = {"run_id": run, "metric_key": "m"}
    assert server.ask("GET", "metrics/get-history", asked) == {"metrics": points}
    first = server.ask("GET", "metrics/get-history", asked | {"max_results": 6})
    rest = {"max_results": 6, "page_token": first["next_page_token"]}
    assert [*first["metrics"], *server.ask("GET", "metrics/get-history", asked | rest)["metrics"]] == points
    assert server.ask("GET", "metrics/get-history", asked | {"max_results": 2**63 - 1}) == {"metrics": points}
    assert server.ask("GET", "metrics/get-history", {"run_id": "none", "metric_key": "m"}) == {}
    of_run = [{**point, "run_id": run} for point in points]
    path = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
    assert server.ask("GET", path, {"run_id": [run, "none"], "metric_key": "m"}) == {"metrics": of_run}
    picture = {"run_ids": [run], "metric_key": "m", "max_results": 4}
    sampled = server.ask("GET", "metrics/get-history-bulk-interval", picture)["metrics"]
    assert [one["step"] for one in sampled] == [0, 3, 6, 9]
    within = server.ask("GET", "metrics/get-history-bulk-interval", picture | {"start_step": 2, "end_step": 4})
    assert within["metrics"] == of_run[2:5]


@pytest.mark.parametrize(
    ("method", "path", "said", "message"),
    [
        ("GET", "runs/get", {}, "Missing value for required parameter 'run_id'. See the API docs"),
        ("GET", "runs/get", {"run_id": "none"}, "Run with id=none not found"),
        (
            "POST",
            "runs/create",
            {"experiment_id": 5},
            "Invalid value 5 for parameter 'experiment_id' supplied:  Hint: ",
        ),
        ("POST", "runs/create", {"start_time": "x"}, "Invalid value \"x\" for parameter 'start_time' supplied"),
        (
            "POST",
            "runs/log-metric",
            {"run_id": "r", "key": "a", "timestamp": 1},
            "Missing value for required parameter ",
        ),
        (
            "POST",
            "runs/log-metric",
            {"run_id": "r", "key": "a", "value": "x", "timestamp": 1},
            "Invalid value \"x\" for parameter 'value' supplied",
        ),
        (
            "POST",
            "runs/log-parameter",
            {"run_id": "r", "key": "a", "value": 5},
            "Invalid value 5 for parameter 'value' ",
        ),
        (
            "POST",
            "runs/log-batch",
            {"run_id": "r", "metrics": [{"key": "a", "value": 1}]},
            "Missing value for required parameter 'metrics[0].timestamp'.",
        ),
        (
            "POST",
            "runs/log-batch",
            {"run_id": "r", "params": [{"value": "1"}]},
            "Missing value for required parameter 'params[0].key'.",
        ),
        (
            "POST",
            "runs/log-batch",
            {"run_id": "r", "tags": {}},
            "Invalid value {} for parameter 'tags' supplied:  Hint: ",
        ),
        (
            "POST",
            "runs/search",
            {"max_results": 50_001},
            "Invalid value 50001 for parameter 'max_results' supplied:  Hint: Value was of type 'int'.",
        ),
        (
            "POST",
            "runs/search",
            {"experiment_ids": "0"},
            "Invalid value \"0\" for parameter 'experiment_ids' supplied:  Hint: Value was of type 'str'.",
        ),
        ("POST", "runs/search", {"experiment_ids": ["x"]}, "Invalid experiment ID 'x'. Experiment ID must be a valid "),
        ("POST", "runs/search", {"page_token": "YWJj"}, "Invalid page token, decoded value=b'abc'"),
        (
            "GET",
            "metrics/get-history",
            {"run_id": "r", "metric_key": "m", "max_results": 0},
            "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer.",
        ),
        (
            "GET",
            "metrics/get-history-bulk",
            {"metric_key": "m"},
            "GetMetricHistoryBulk request must specify at least one run_id.",
        ),
        (
            "GET",
            "metrics/get-history-bulk-interval",
            {"run_ids": ["r"], "metric_key": "m", "start_step": 1},
            "If either start step or end step are specified, both must be specified.",
        ),
        (
            "GET",
            "metrics/get-history-bulk-interval",
            {"run_ids": ["r"] * 101, "metric_key": "m"},
            "GetMetricHistoryBulkInterval request must specify at most 100 run_ids. Received 101 run_ids.",
        ),
    ],
)
def test_a_refusal_has_the_words_of_mlflow(
    server: Served, method: str, path: str, said: dict[str, Any], message: str
) -> None:
    refused = server.ask(method, path, said, status=404 if "not found" in message else 400)
    assert refused["message"].startswith(message)


def test_what_no_search_means_is_refused_in_words_and_not_by_a_breakdown(server: Served) -> None:
    many = [f"metrics.m{number}" for number in range(100)]
    for said in ({"order_by": many}, {"filter": "attributes.run_id in ({[]:1})"}, {"filter": "\ud800"}):
        body, headers = json.dumps({"experiment_ids": ["0"], **said}), {"content-type": "application/json"}
        answer = server.loop.run(server.client.post("/api/2.0/mlflow/runs/search", content=body, headers=headers))
        assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
