"""The project at two moments of its story, built once for all test processes and copied for each test."""

import shutil
from pathlib import Path

import pytest

from tests.commands import built_once
from tests.story.tumour import Person, build_bare, build_held, build_moved


@pytest.fixture(scope="session")
def bare_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_once("tumour-bare", tmp_path_factory, build_bare)


@pytest.fixture(scope="session")
def held_template(bare_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_once("tumour-held", tmp_path_factory, lambda folder: build_held(bare_template, folder))


@pytest.fixture(scope="session")
def moved_template(held_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_once("tumour-moved", tmp_path_factory, lambda folder: build_moved(held_template, folder))


@pytest.fixture
def bare(bare_template: Path, tmp_path: Path) -> Person:
    """Somebody with a project that has never heard of Holdfast."""
    return Person(Path(shutil.copytree(bare_template, tmp_path / "bare")))


@pytest.fixture
def held(held_template: Path, tmp_path: Path) -> Person:
    """Somebody with a project under Holdfast, whose first version holds production."""
    return Person(Path(shutil.copytree(held_template, tmp_path / "held")))


@pytest.fixture
def moved(moved_template: Path, tmp_path: Path) -> Person:
    """The same after one more promotion: version 3 holds production, and version 1 is last-known-good."""
    return Person(Path(shutil.copytree(moved_template, tmp_path / "moved")))
