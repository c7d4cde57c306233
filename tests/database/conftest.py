from collections.abc import Iterator

import pytest

from holdfast.database.engine import Database


@pytest.fixture
def on_a_server(postgres_url: str) -> Iterator[Database]:
    database = Database.open(postgres_url, busy_timeout_seconds=0.3)
    yield database
    database.close()
