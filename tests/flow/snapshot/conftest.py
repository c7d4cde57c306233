"""A store, and a project with some data in it."""

from pathlib import Path

import pytest

from holdfast.store.memory import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    (project / "data/images").mkdir(parents=True)
    (project / "data/train.csv").write_bytes(b"a,b\n1,2\n")
    (project / "data/images/1.png").write_bytes(b"first")
    (project / "data/images/2.png").write_bytes(b"second")
    return project
