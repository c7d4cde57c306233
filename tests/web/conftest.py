"""Real bundles of two versions, built once for each test process."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.building import Built, build

SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="session", autouse=True)
def workers_find_the_source() -> Iterator[None]:
    """Workers run this checkout, whether it is installed or not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(SOURCE), prepend=os.pathsep)
        yield


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Version 1: its own weights, preprocessing and threshold."""
    return build(tmp_path_factory.mktemp("first") / "bundle", 1)


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Version 2: other weights, other preprocessing in a module of the same name, another threshold."""
    return build(tmp_path_factory.mktemp("second") / "bundle", 2)
