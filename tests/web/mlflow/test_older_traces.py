"""Traces as older clients tell of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.mlflow.served import Served, served


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as found:
        found.experiment()
        yield found


def words(**said: str) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in said.items()]


def test_a_trace_begins_and_ends_and_is_found(server: Served) -> None:
    said = {"experiment_id": "7", "timestamp_ms": 1000, "request_metadata": words(a="1"), "tags": words(topic="hot")}
    begun = server.ask("POST", "traces", said)["trace_info"]
    assert (begun["status"], begun["timestamp_ms"]) == ("IN_PROGRESS", 1000)
    assert "execution_time_ms" not in begun
    one = f"traces/{begun['request_id']}"
    place = {"key": "mlflow.artifactLocation", "value": f"mlflow-artifacts:/7/{one}/artifacts"}
    assert begun["tags"] == [place, *words(topic="hot")]
    last: dict[str, Any] = {"timestamp_ms": "1500", "status": "OK", "request_metadata": words(b="2")}
    for _ in range(2):
        ended = server.ask("PATCH", one, last)["trace_info"]
    assert (ended["status"], ended["execution_time_ms"]) == ("OK", 500)
    assert ended["request_metadata"] == words(a="1", b="2")
    assert server.ask("GET", f"{one}/info")["trace_info"] == ended
    asked = {"experiment_ids": ["7"], "filter": "tags.topic = 'hot'", "order_by": ["timestamp_ms DESC"]}
    assert server.ask("GET", "traces", asked) == {"traces": [ended]}
    assert server.ask("GET", "traces", {"experiment_ids": "7", "filter": "status = 'ERROR'"}) == {}


def test_a_trace_that_nobody_began_does_not_end(server: Served) -> None:
    refused = server.ask("PATCH", "traces/none", {"timestamp_ms": 1, "status": "OK"}, status=404)
    assert refused["message"] == "Trace with ID 'none' not found."
    missing = server.ask("GET", "traces", {}, status=400)
    assert missing["message"].startswith("Missing value for required parameter 'experiment_ids'.")


def test_one_whose_moment_no_calendar_has_keeps_nobody_from_the_others(server: Served) -> None:
    said = {"experiment_id": "7", "timestamp_ms": 1000}
    begun = server.ask("POST", "traces", said)["trace_info"]["request_id"]
    late = {"timestamp_ms": 2**63 - 1}
    for method, path, more in (("POST", "traces", said | late), ("PATCH", f"traces/{begun}", late)):
        assert "is no moment in milliseconds" in server.ask(method, path, more, status=400)["message"]
    asked = {"locations": [{"mlflow_experiment": {"experiment_id": "7"}}]}
    found = server.ask("POST", "/api/3.0/mlflow/traces/search", asked)["traces"]
    assert [one["trace_id"] for one in found] == [begun]
