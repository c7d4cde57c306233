"""A server of a new project, asked without a network as MLflow's clients ask it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import insert

from holdfast.database.engine import Database
from holdfast.experiments.tables import experiments
from holdfast.tracking.tables import runs
from holdfast.web.api.app import api_app
from holdfast.web.api.desk import Around
from holdfast.wire import Project, open_project
from holdfast.wire.mlflow import Shelf, open_shelf
from holdfast.wire.people import open_doors, open_guarded
from tests.blank import blank_project

MOMENT = "2026-03-01T09:00:00.000000Z"


@dataclass(frozen=True)
class Served:
    """What a test asks, and what is behind it."""

    client: httpx.AsyncClient
    loop: asyncio.Runner
    project: Project
    shelf: Shelf

    @property
    def database(self) -> Database:
        """Where everything is written."""
        return self.shelf.database

    def ask(self, method: str, path: str, said: Any = None, *, status: int = 200) -> Any:
        """The answer, which has this status; `path` is below `/api/2.0/mlflow` unless it begins with a slash."""
        url = path if path.startswith("/") else f"/api/2.0/mlflow/{path}"
        sent = {"params": said} if method == "GET" else {"json": said} if said is not None else {}
        answer = self.loop.run(self.client.request(method, url, **sent))
        assert answer.status_code == status, answer.text
        return answer.json()

    def experiment(self, number: int = 7) -> str:
        """An experiment that is there."""
        moments = {"created_ms": 1, "updated_ms": 1}
        row = {
            "id": number,
            "name": f"e{number}",
            "place": f"mlflow-artifacts:/{number}",
            "created_by": "ana",
            **moments,
        }
        with self.database.change() as connection:
            connection.execute(insert(experiments), row)
        return str(number)

    def run(self, run: str, experiment: int = 7) -> str:
        """A run that is there."""
        row = {"id": run, "name": run, "status": "running", "started_at": MOMENT, "actor": "ana", "notes": ""}
        with self.database.change() as connection:
            connection.execute(insert(runs), {**row, "experiment": experiment})
        return run


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """A server of a new project that asks nobody who they are."""
    with open_project(blank_project(folder)) as project, serving(project) as found:
        yield found


@contextmanager
def serving(project: Project, *, asks: bool = False) -> Iterator[Served]:
    """A server of a project, which asks who they are or does not."""
    shelf = open_shelf(project, project.store)
    around = Around(shelf=shelf, access=open_doors(project) if asks else None)
    app = api_app(open_guarded(project) if asks else project.unwatched, project.tracking, None, around)
    with asyncio.Runner() as loop:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server")
        yield Served(client, loop, project, shelf)
        loop.run(client.aclose())
