"""Registries and projects that nobody has written to: made once for each process of tests, and copied by each test.

A copy takes a thirtieth of the time of all migrations. Whoever tests how they are made makes them: `Database.open` and
`create_project` do.
"""

import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

import pytest

from holdfast.config import HOME_NAME, Settings
from holdfast.database.engine import Database
from holdfast.wire import create_project


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="holdfast-blank-"))


def forget() -> None:
    """Take away what the copies are made of, at the end of a process of tests."""
    shutil.rmtree(_folder(), ignore_errors=True)


@cache
def _registry() -> Path:
    path = _folder() / "registry.db"
    Database.open(f"sqlite:///{path}").close()
    return path


@cache
def _project() -> Path:
    folder = _folder() / "project"
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("HOLDFAST_")]:
            patch.delenv(name)
        create_project(folder)
    return folder


def blank_registry(path: Path) -> str:
    """An empty registry on SQLite at `path`; its URL."""
    shutil.copy(_registry(), path)
    return f"sqlite:///{path}"


def blank_project(folder: Path) -> Settings:
    """An empty project in `folder`, as `create_project` makes one; its log is signed under one name in all of them."""
    settings = Settings.at(folder / HOME_NAME)
    shutil.copytree(_project() / HOME_NAME, settings.home)
    if not settings.policy_path.exists():
        shutil.copy(_project() / settings.policy_path.name, settings.policy_path)
    return settings
