"""A folder that a person trains in, and what a training script imports from it."""

import gc
import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from holdfast.config import HOME_NAME, Settings
from holdfast.wire import Project, open_project
from tests.patience import until
from tests.projects import FEATURES, HOLDOUT_ROWS, SOURCE, TRAIN_ROWS, workers_of, write_csv


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without a project, ana as the person, and workers that run this checkout."""
    for name in [name for name in os.environ if name.startswith(("HOLDFAST_", "GIT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_AUTHOR_NAME", "ana")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "ana@example.org")
    monkeypatch.setenv("GIT_COMMITTER_NAME", "ana")
    monkeypatch.setenv("GIT_COMMITTER_EMAIL", "ana@example.org")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(SOURCE), prepend=os.pathsep)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture(autouse=True)
def no_worker_stays() -> Iterator[None]:
    """Whatever a test loads, registers or leaves lying about, its worker processes end."""
    before = set(workers_of(os.getpid()))
    yield
    if set(workers_of(os.getpid())) - before:
        gc.collect()  # of what was only left lying about; it takes longer than most tests

    def left() -> set[int]:
        return set(workers_of(os.getpid())) - before

    until(lambda: not left(), lambda: f"all workers end: {left()}", pause_seconds=0.05)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The current folder, with data in it."""
    write_csv(tmp_path / "work/data/train.csv", TRAIN_ROWS)
    write_csv(tmp_path / "work/data/holdout.csv", HOLDOUT_ROWS)
    return tmp_path / "work"


@pytest.fixture
def features(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module `features` of the project, as a training script there would import it."""
    (folder / "features.py").write_text(FEATURES[3], encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    sys.modules.pop("features", None)
    yield importlib.import_module("features")
    sys.modules.pop("features", None)


@pytest.fixture
def project(folder: Path) -> Iterator[Callable[[], Project]]:
    """Opens the project of the current folder once it is there."""
    opened: list[Project] = []

    def open_it() -> Project:
        opened.append(open_project(Settings.at(folder / HOME_NAME, {})))
        return opened[-1]

    yield open_it
    for one in opened:
        one.close()


@pytest.fixture
def git(folder: Path) -> Callable[..., str]:
    def run(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    return run
