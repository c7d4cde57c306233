"""An MLflow of a real client's making moves in, whichever way it was kept, and nothing of it is lost on the way."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast.bridges.from_mlflow import source_of
from holdfast.config import HOME_NAME, Settings
from holdfast.names import ByStage, ModelName, Reference, StageName
from holdfast.registry.actions import Action
from holdfast.wire import Project, open_project
from tests.commands import clean, holdfast
from tests.mlflow.rooms import theirs
from tests.mlflow.venvs import Client, client

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("leaving.py")


@contextmanager
def kept(client: Client, how: str, folder: Path) -> Iterator[str]:
    """What somebody had, kept in one of three ways; its name for `import mlflow`."""
    folder.mkdir()
    if how == "server":
        with theirs(client, folder / "server") as url:
            client.run(SCRIPT, url, folder)
            yield url
    else:
        uri = f"sqlite:///{folder}/mlflow.db" if how == "database" else f"file://{folder}/mlruns"
        client.run(SCRIPT, uri, folder, MLFLOW_ALLOW_FILE_STORE="true")
        yield uri


def moved_in(folder: Path, uri: str) -> dict[str, Any]:
    answer = holdfast("import", "mlflow", uri, "--json", folder=folder, environment=clean(os.environ, folder))
    assert answer.code == 0, answer
    return dict(answer.value)


def goes_back(folder: Path, uri: str) -> None:
    """What came from a server is written to it once more, beside what it has, and the second time nothing is."""
    first, second = (
        holdfast("export", "mlflow", uri, "--json", folder=folder, environment=clean(os.environ, folder)).value
        for _ in range(2)
    )
    counts = ("runs", "logged_models", "versions", "there")
    assert [first[name] for name in counts] == [2, 3, 2, 0]
    assert [second[name] for name in counts] == [0, 0, 0, 7]
    assert [one["number"] for one in first["numbers"]] == ["4", "5"]
    with source_of(uri) as source:
        (experiment,) = (one for one in source.experiments() if one.name == "first")
        copies = {run.tags["holdfast.id"]: run for run in source.runs(experiment.id) if "holdfast.id" in run.tags}
        (child,) = (run for run in copies.values() if run.name == "child")
        (parent,) = (run for run in copies.values() if run.name == "parent")
        assert child.tags["mlflow.parentRunId"] == parent.id
        assert [point.value for point in source.points(parent.id) if point.key == "loss"][-1] == pytest.approx(0.2)
        fourth = next(one for one in source.versions("Iris Model") if one.number == 4)
        assert {file.path for file in source.files(fourth.place)} >= {"MLmodel", "requirements.txt"}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    folder = tmp_path / "project"
    folder.mkdir()
    begun = holdfast("init", folder=folder, environment=clean(os.environ, folder))
    assert begun.code == 0, begun
    with open_project(Settings.at(folder / HOME_NAME)) as found:
        yield found


@pytest.mark.parametrize(("name", "how"), [("new", "database"), ("old", "folder"), ("new", "server")])
def test_all_of_it_is_here_afterwards_and_once(name: str, how: str, project: Project, tmp_path: Path) -> None:
    folder = project.settings.project
    with kept(client(name), how, tmp_path / "theirs") as uri:
        moved = moved_in(folder, uri)
        again = moved_in(folder, uri)
        if how == "server":
            goes_back(folder, uri)
    counts = {name: moved[name] for name in ("experiments", "runs", "logged_models", "models", "points", "left")}
    assert counts == {"experiments": 2, "runs": 3, "logged_models": 3, "models": 1, "points": 7, "left": []}
    assert [one["version"] for one in moved["versions"]] == [1, 3]
    assert {name: again[name] for name in ("runs", "logged_models", "models", "files", "there")} == {
        "runs": 0,
        "logged_models": 0,
        "models": 0,
        "files": 0,
        "there": 6,
    }
    assert again["versions"] == moved["versions"]

    (parent,) = project.tracking.search("name = 'parent' and tags.team = 'a' and metrics.loss < 0.21")
    assert parent.params == {"lr": "0.1", "name": "x y"}
    assert math.isnan(parent.metrics["odd"])
    assert [point.value for point in project.tracking.history(parent.id, "loss")][-1] == pytest.approx(0.2)

    model = ModelName(moved["versions"][0]["model"])
    first = project.registry.resolve(Reference(model, ByStage(StageName("champion"))))
    assert (first.number, first.run_id) == (1, parent.id)
    assert {"weights", "hyperparameters"}.isdisjoint(first.missing)
    assert {"data_slice", "holdout"} <= set(first.missing)
    actions = [event.action for event in project.registry.log(model)]
    assert actions.count(Action.VERSION_IMPORT) == 2
    assert actions.count(Action.STAGE_ADOPT) == 1
