"""A project with five versions: built once for each test process, copied for each test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.flow.gate import Workbench
from holdfast.wire import Project
from tests.projects import SOURCE, Workers, build_project, copied, workbench


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    workers = Workers()
    yield workers
    workers.close()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("churn") / "project"
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("HOLDFAST_")]:
            patch.delenv(name)
        patch.setenv("PYTHONPATH", str(SOURCE), prepend=os.pathsep)
        build_project(folder)
    return folder


@pytest.fixture
def churn(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """The project, to do with as the test likes."""
    monkeypatch.setenv("PYTHONPATH", str(SOURCE), prepend=os.pathsep)
    with copied(template, tmp_path / "project") as project:
        yield project


@pytest.fixture
def bench(churn: Project, workers: Workers) -> Workbench:
    return workbench(churn, workers)
