"""Questions about the past and about many versions are answered by indexes, and never by looking through a table."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event

from holdfast.database.engine import Database
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Direction, RolloutKind
from holdfast.registry.sql import SqlRegistry

CHURN = ModelName("churn")
BESIDE = ("SCAN rollouts", "SCAN first", "SCAN newest", "SCAN tallies", "SCAN truths")


@contextmanager
def listened(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are run meanwhile."""
    heard: list[tuple[str, Any]] = []

    def hear(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        heard.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", hear)
    yield heard
    event.remove(database.engine, "before_cursor_execute", hear)


QUESTIONS: dict[str, Callable[[SqlRegistry], object]] = {
    "live": lambda registry: registry.live(CHURN),
    "live at": lambda registry: registry.live(CHURN, datetime(2027, 1, 1, tzinfo=UTC)),
    "history": lambda registry: registry.history(CHURN, StageName("production")),
    "history of before": lambda registry: registry.history(CHURN, before=3),
    "by metric and package": lambda registry: registry.search("metrics.recall > 0.5 and package.numpy = 1.26.0"),
    "by data and stage": lambda registry: registry.search("data like 'sha256:0%' and stage = production"),
    "by file and time": lambda registry: registry.search(f"file = sha256:{'0' * 64} and created > 2026-01-01"),
    "by author": lambda registry: registry.search("author = ana"),
    "in order": lambda registry: registry.search("live", order_by="metrics.recall desc"),
    "in pages": lambda registry: registry.search(limit=1, after=registry.search(limit=1).next),
    "verdicts in pages": lambda registry: registry.verdicts(limit=1),
    "verdicts by digest": lambda registry: registry.verdicts(beginning="sha256:ab"),
    "verdicts on a version": lambda registry: registry.verdicts(model=CHURN, number=VersionNumber(1)),
    "mark": lambda registry: registry.route_mark(CHURN, StageName("production")),
    "rollouts": lambda registry: registry.rollouts(CHURN, StageName("production"), kind=RolloutKind.CANARY),
    "rollout": lambda registry: registry.rollout(11),
    "tallies": lambda registry: registry.tallies(11),
    "truths": lambda registry: registry.truths(CHURN, after=1),
    "lineage": lambda registry: registry.walk("run", "r1", Direction.DOWN),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_table_is_looked_through(filled: SqlRegistry, database: Database, question: str) -> None:
    with listened(database) as heard:
        QUESTIONS[question](filled)
    said = [(statement, given) for statement, given in heard if statement.startswith(("SELECT", "WITH"))]
    assert said
    with database.read() as connection:
        for statement, given in said:
            if "count(" in statement:  # counting reads an index from end to end, and nothing else
                continue
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)]
            for step in plan:
                # By rowid and backwards is the order that was asked for: it ends with the page.
                is_page = step.startswith("SCAN version_entries") and not any("TEMP B-TREE" in one for one in plan)
                assert not step.startswith(("SCAN events", "SCAN version", "SCAN lineage", *BESIDE)) or is_page, plan
