"""A project with five versions: built once, copied for each test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.flow.gate import Workbench
from holdfast.wire import Project
from tests.projects import SOURCE, Workers, copied, five_versions, workbench


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    workers = Workers()
    yield workers
    workers.close()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return five_versions(tmp_path_factory)


@pytest.fixture
def churn(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """The project, to do with as the test likes."""
    monkeypatch.setenv("PYTHONPATH", str(SOURCE), prepend=os.pathsep)
    with copied(template, tmp_path / "project") as project:
        yield project


@pytest.fixture
def bench(churn: Project, workers: Workers) -> Workbench:
    return workbench(churn, workers)
