"""Two small MLflows, a folder beside them that is none of theirs, and what they move into."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.bridges.from_mlflow.target import Target
from holdfast.wire import open_project
from holdfast.wire.moving import open_target
from tests.blank import blank_project


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A folder of this machine that is nobody's business."""
    folder = tmp_path / "private"
    folder.mkdir()
    (folder / "key").write_text("secret")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder `mlruns` with one run."""
    run = tmp_path / "mlruns" / "1" / "run1"
    (run / "artifacts").mkdir(parents=True)
    (run / "tags").mkdir()
    (run / "artifacts" / "file").write_text("theirs")
    (run / "meta.yaml").write_text("status: 3\n")
    (run.parent / "meta.yaml").write_text("name: first\nexperiment_id: '1'\n")
    return tmp_path / "mlruns"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The file of a server whose only run says that its files are in the folder `private`, and a version of them."""
    path = tmp_path / "theirs" / "mlflow.db"
    path.parent.mkdir()
    place = f"{tmp_path}/private"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("""
            CREATE TABLE experiments (experiment_id INTEGER, name, artifact_location, lifecycle_stage);
            CREATE TABLE runs (
                run_uuid, experiment_id INTEGER, status, start_time, end_time, user_id, artifact_uri, lifecycle_stage
            );
            CREATE TABLE registered_models (name, description, creation_time, last_updated_time);
            CREATE TABLE model_versions (
                name, version INTEGER, source, current_stage, creation_time, last_updated_time, run_id, description,
                user_id
            );
            INSERT INTO experiments VALUES (1, 'first', '/', 'active');
            INSERT INTO registered_models VALUES ('churn', NULL, 1, 1);
        """)
        connection.execute("INSERT INTO runs VALUES ('run1', 1, 'FINISHED', 1, 2, 'ana', ?, 'active')", (place,))
        connection.execute(
            "INSERT INTO model_versions VALUES ('churn', 1, ?, 'None', 1, 1, 'run1', NULL, 'ana')", (place,)
        )
        connection.commit()
    return path


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    """An empty project."""
    with open_project(blank_project(tmp_path / "project")) as project:
        yield open_target(project)
