from datetime import UTC, datetime, timedelta

import pytest

START = datetime(2026, 3, 1, 9, tzinfo=UTC)


class Clock:
    """Begins at a known moment and goes one second further each time it is read."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()
