"""The benchmarks of the registry run, and fill what they measure with what could have happened."""

import json
import os
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.database.engine import Database
from holdfast.names import ModelName, StageName
from holdfast.registry.sql import SqlRegistry
from registry_growth import filled

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(name: str, folder: Path, *arguments: str) -> dict[str, object]:
    found = folder / "found.json"
    command = [sys.executable, str(BENCHMARKS / name), *arguments, "--json", str(found)]
    environment = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said: dict[str, object] = json.loads(found.read_text())
    return said


def test_a_registry_that_was_filled_past_the_registry_is_one(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    filled(path, models=3, versions=4, events=100)
    with closing(Database.open(f"sqlite:///{path}")) as database:
        registry = SqlRegistry(database, lambda: datetime.now(UTC), lambda: "id")
        audit = registry.audit_verify()
        assert (audit.ok, audit.size) == (True, 100)
        model = ModelName("model-1")
        held = registry.live(model).stages["production"]
        assert held is not None
        assert held.version == registry.stage(model, StageName("production")).number
        assert len(registry.versions(model)) == 4


@pytest.mark.slow
def test_growth_is_measured(tmp_path: Path) -> None:
    said = run("registry_growth.py", tmp_path, "--scale", "0.005", "--calls", "2")
    assert isinstance(said["ms"], dict)
    assert {"read a stage", "move a stage", "live --at"} <= said["ms"].keys()


@pytest.mark.slow
def test_a_server_is_measured_alone_where_its_peer_is_missing(tmp_path: Path) -> None:
    asked = ("--scale", "0.001", "--seconds", "0.1", "--peers", str(tmp_path / "nowhere"))
    servers = run("registry_http.py", tmp_path, *asked)["servers"]
    assert isinstance(servers, dict)
    assert list(servers) == ["holdfast"]
    assert all(step["per_second"] > 0 for step in servers["holdfast"]["steps"])
