"""A defect of ours is told in the shape that MLflow's clients read, and its reason stays in the log."""

import logging
from pathlib import Path

import httpx
import pytest

from holdfast.experiments.experiments import SqlExperiments
from tests.web.mlflow.served import served


def test_what_nobody_foresaw_is_an_internal_error_with_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a secret path")

    monkeypatch.setattr(SqlExperiments, "get", fails)
    with served(tmp_path) as server, caplog.at_level(logging.ERROR):
        transport = server.client._transport
        assert isinstance(transport, httpx.ASGITransport)
        transport.raise_app_exceptions = False
        said = server.ask("GET", "experiments/get", {"experiment_id": "0"}, status=500)
    assert said["error_code"] == "INTERNAL_ERROR"
    assert "incident" in said["message"]
    assert "secret" not in said["message"]
    number = said["message"].rpartition(" ")[2].rstrip(".")
    assert any(number in record.getMessage() for record in caplog.records)
