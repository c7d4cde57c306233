"""A project's ledger, empty."""

from pathlib import Path

import pytest

from tests.serving.ledgers import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.of(tmp_path)
