"""What the database itself refuses, whoever writes to it."""

import sqlite3
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from holdfast.database.engine import Database
from holdfast.tracking import NewRun, RunInput, RunStatus
from holdfast.tracking.sql import SqlTracking


@pytest.fixture
def ended(database: Database, database_path: Path, clock: Callable[[], datetime]) -> Iterator[sqlite3.Connection]:
    tracking = SqlTracking(database, clock, lambda: "r1")
    run = tracking.start_run(NewRun("one", params={"a": 1}, tags={"b": "c"}), "ana")
    tracking.log_metrics(run.id, {"m": 1.0})
    tracking.log_inputs(run.id, [RunInput("train", "rows")])
    tracking.finish_run(run.id, RunStatus.FINISHED)
    connection = sqlite3.connect(database_path, isolation_level=None)
    yield connection
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE runs SET name = 'x'",
        "UPDATE runs SET status = 'running'",
        "UPDATE runs SET notes = 'x', finished_at = NULL",
        "DELETE FROM runs",
        (
            "INSERT OR REPLACE INTO runs (id, name, status, started_at, actor, notes) "
            "SELECT id, 'x', 'running', started_at, actor, notes FROM runs"
        ),
        "UPDATE runs SET experiment = 1",
        "UPDATE runs SET deleted_ms = 1",
        "UPDATE run_params SET value = '2'",
        "DELETE FROM run_params",
        "INSERT INTO run_params VALUES ('r1', 'z', '1', 1, '1')",
        "INSERT OR REPLACE INTO run_params VALUES ('r1', 'a', '2', 2, '2')",
        "UPDATE run_points SET value = 2",
        "DELETE FROM run_points",
        "INSERT INTO run_points (run, key, step, time, value) VALUES ('r1', 'm', 9, '', 1)",
        "UPDATE run_metrics SET value = 2",
        "DELETE FROM run_metrics",
        "INSERT INTO run_metrics VALUES ('r1', 'z', 0, '', 1)",
        "UPDATE run_tags SET value = 'x'",
        "DELETE FROM run_tags",
        "INSERT INTO run_tags VALUES ('r1', 'z', 'x', 'x')",
        "UPDATE run_inputs SET digest = 'x'",
        "DELETE FROM run_inputs",
        "INSERT INTO run_inputs VALUES ('r1', 'train', 'z', NULL, '', NULL, NULL)",
        "INSERT INTO run_tags VALUES ('nobody', 'z', 'x', 'x')",
    ],
)
def test_a_run_that_has_ended_is_never_changed_by_anybody(ended: sqlite3.Connection, statement: str) -> None:
    before = list(ended.iterdump())
    with pytest.raises(sqlite3.IntegrityError):
        ended.execute(statement)
    assert list(ended.iterdump()) == before


def test_a_run_of_mlflows_clients_may_be_changed_after_its_end(
    database: Database, database_path: Path, clock: Callable[[], datetime]
) -> None:
    connection = sqlite3.connect(database_path, isolation_level=None)
    connection.execute(
        "INSERT INTO experiments (id, name, place, created_by, created_ms, updated_ms) VALUES (1, 'e', '', 'ana', 0, 0)"
    )
    connection.execute(
        "INSERT INTO runs (id, name, status, started_at, finished_at, actor, notes, experiment) VALUES "
        "('r1', '', 'finished', '2026-03-01T09:00:00.000000Z', '2026-03-01T09:00:01.000000Z', 'ana', '', 1)"
    )
    connection.close()
    tracking = SqlTracking(database, clock, lambda: "r2")
    tracking.log_inputs("r1", [RunInput("holdout", "rows")])
    tracking.set_tags("r1", {"b": "c"})
    found = tracking.run("r1")
    assert (found.status, [one.role for one in found.inputs], found.tags) == ("finished", ["holdout"], {"b": "c"})
