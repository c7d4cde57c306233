"""A replica of a server's registry that outlives the server, and starts again while it is away."""

import json
import time
from pathlib import Path

import httpx
import pytest

from tests.cli.test_serve import serving
from tests.cli.test_server import get, server
from tests.commands import Cli
from tests.patience import PATIENCE_SECONDS
from tests.projects import HOLDOUT_ROWS, TARGET

pytestmark = pytest.mark.slow

ROW = {name: cell for name, cell in HOLDOUT_ROWS[0].items() if name != TARGET}


def version_at(url: str) -> int:
    """The version that answers, once one does."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = httpx.post(f"{url}/invocations", json={"dataframe_records": [ROW]}, timeout=PATIENCE_SECONDS)
        if answer.status_code == 200:
            return int(answer.json()["version"])
        assert answer.status_code == 503, answer.text
        assert time.monotonic() < end, answer.text
        time.sleep(0.1)


def test_a_replica_starts_without_its_registry_and_answers_as_before(
    cli: Cli, moved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "replica").mkdir()
    monkeypatch.chdir(tmp_path / "replica")
    with server(moved) as (url, _):
        monkeypatch.setenv("HOLDFAST_URL", url)
        cli.ok("init")
        with serving(tmp_path / "replica", "churn", "--port", "0", "--json") as process:
            assert process.stdout is not None
            at = json.loads(process.stdout.readline())["url"]
            assert version_at(at) == 2
            (reported,) = cli.json("live", "churn", "--replicas")["replicas"]
            assert (reported["url"], reported["version"], reported["in_step"]) == (at, 2, True)
            assert reported["since"] >= reported["started_at"]
    cli.fails("unavailable", "live", "churn")
    with serving(tmp_path / "replica", "churn", "--port", "0", "--json") as process:
        assert process.stdout is not None
        at = json.loads(process.stdout.readline())["url"]
        assert version_at(at) == 2
        assert get(f"{at}/readyz").status_code == 200
    cli.fails("unavailable", "serve", "churn", "--stage", "staging", "--port", "0")


def test_replicas_are_known_as_they_are_now(cli: Cli, moved: Path) -> None:
    assert cli.json("live", "churn", "--replicas")["replicas"] == []
    assert "no replica has reported lately" in cli.ok("live", "churn", "--replicas").out
    cli.fails("usage", "live", "churn", "--replicas", "--at", "2026-01-01")
