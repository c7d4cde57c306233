"""Databases and people."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.access.sql import SqlAccess
from holdfast.database.engine import Database


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_days(self, days: float) -> None:
        self.now += timedelta(days=days)


@pytest.fixture
def database(anywhere: Database) -> Database:
    return anywhere


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(database: Database, clock: Clock) -> SqlAccess:
    ids = itertools.count(1)
    return SqlAccess(database, clock, lambda: f"token-{next(ids)}")
