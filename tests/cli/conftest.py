"""A folder, an environment without anybody's settings, and projects to run commands in."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.wire import create_project
from tests.commands import Cli, clean, use
from tests.projects import build_project


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: empty, and in no project."""
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    use(clean(os.environ, home), monkeypatch)
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capfd)


@pytest.fixture
def project(folder: Path) -> Path:
    """An empty project, and we are in it."""
    create_project(folder)
    return folder


@pytest.fixture
def incomplete(project: Path, cli: Cli) -> Path:
    """A project with churn@1, of which every part is missing: registered in no time, and let through by no gate."""
    cli.ok("register", "churn", "--reason", "a start")
    return project


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """churn with five real versions, built once for all test processes."""
    shared = tmp_path_factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else None
    folder = (shared or tmp_path_factory.getbasetemp()) / "five-versions"
    with (folder.parent / "five-versions.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".built").exists():
            shutil.rmtree(folder, ignore_errors=True)
            with pytest.MonkeyPatch.context() as patch:
                use(clean(os.environ, folder.parent), patch)
                build_project(folder)
            (folder / ".built").touch()
    return folder


@pytest.fixture
def churn(template: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the project with five versions, none of which holds a stage; and we are in it."""
    place = folder / "churn"
    shutil.copytree(template, place, symlinks=True)
    monkeypatch.chdir(place)
    yield place
    shutil.rmtree(place)
