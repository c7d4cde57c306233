"""A folder, an environment without anybody's settings, and projects to run commands in."""

import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from holdfast.cli.app import run
from holdfast.runtime.predictor import SERVED
from tests.blank import blank_project
from tests.commands import Cli, built_once, clean, use
from tests.projects import Workers, five_versions

QUICK = """\
[gate.production]
rules = ["completeness", "integrity", "opens", "smoke", "not_worse", "groups", "approver"]
"""
"""A policy with everything but the latency of single rows, which takes seconds to measure on a busy machine."""


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
    blank_project(folder)
    return folder


@pytest.fixture
def incomplete(project: Path, cli: Cli) -> Path:
    """A project with churn@1, of which every part is missing: registered in no time, and let through by no gate."""
    cli.ok("register", "churn", "--reason", "a start")
    return project


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """churn with five real versions, none of which holds a stage."""
    return five_versions(tmp_path_factory)


@pytest.fixture(scope="session")
def moved_template(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after two promotions: churn@2 holds production, and @1 is last-known-good."""

    def move(folder: Path) -> None:
        shutil.copytree(template, folder)
        (folder / "holdfast.toml").write_text(QUICK)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            for number, reason in ((1, "the first"), (2, "better")):
                assert run(["promote", f"churn@{number}", "--reason", reason]) == 0

    return built_once("moved", tmp_path_factory, move)


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    kept = Workers()
    yield kept
    kept.close()


@pytest.fixture
def kept_workers(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gates of this process ask workers that outlive a test: where the gate is not what is tested, but what lets in."""
    monkeypatch.setattr("holdfast.wire.workers.opener", lambda _, limits=SERVED: partial(workers, limits=limits))


@pytest.fixture
def churn(template: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project with five versions, and we are in it."""
    return copied(template, folder / "churn", monkeypatch)


@pytest.fixture
def moved(moved_template: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project whose stage has moved, with a gate that takes no time; and we are in it."""
    return copied(moved_template, folder / "moved", monkeypatch)


def copied(template: Path, place: Path, patch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(template, place)
    patch.chdir(place)
    return place
