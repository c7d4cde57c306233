"""A project with five versions: built once, copied for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.wire import Project
from tests.projects import copied, five_versions


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return five_versions(tmp_path_factory)


@pytest.fixture
def churn(template: Path, tmp_path: Path) -> Iterator[Project]:
    with copied(template, tmp_path / "project") as project:
        yield project
