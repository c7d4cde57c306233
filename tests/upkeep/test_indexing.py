"""Versions from before there was an index get their facts in a check."""

import sqlite3
from contextlib import closing
from pathlib import Path

from holdfast.upkeep.check import check
from holdfast.wire import Project


def forgotten(project: Project) -> None:
    """As a database is just after the upgrade: no facts, and nothing that says there are any."""
    project.close()
    path = Path(project.settings.database_url.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(path)) as raw:
        tables = ("version_indexes", "version_numbers", "version_texts")
        dropped = [
            row for row in raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            if row[0].removesuffix("_refuse_delete") in tables
        ]  # fmt: skip
        for name, _ in dropped:
            raw.execute(f"DROP TRIGGER {name}")
        for table in tables:
            raw.execute(f"DELETE FROM {table}")  # noqa: S608 - constants of ours
        for _, statement in dropped:
            raw.execute(statement)
        raw.commit()


def test_a_check_writes_down_what_the_bytes_of_older_versions_say(churn: Project) -> None:
    before = churn.registry.search("metrics.recall > 0", order_by="metrics.recall desc")
    assert before.versions
    forgotten(churn)
    found = churn.registry.search("metrics.recall > 0")
    assert (found.versions, found.not_indexed) == ((), 5)
    checked = check(churn.store, churn.registry)
    assert (checked.indexed, checked.not_indexed) == (5, 0)
    assert churn.registry.search("metrics.recall > 0", order_by="metrics.recall desc").versions == before.versions
    assert check(churn.store, churn.registry).indexed == 0
