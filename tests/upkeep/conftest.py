"""A project with five versions: built once for each test process, copied for each test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.wire import Project
from tests.projects import SOURCE, build_project, copied


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
def churn(template: Path, tmp_path: Path) -> Iterator[Project]:
    with copied(template, tmp_path / "project") as project:
        yield project
