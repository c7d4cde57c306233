"""Servers for real MLflow clients: ours, and MLflow's own, which says what a right answer is."""

import json
import os
import socket
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError

from holdfast.access import Grant, NewToken, NewUser, Role
from holdfast.config import Settings
from holdfast.wire import open_project
from holdfast.wire.people import open_doors
from tests.commands import PROGRAM, clean, holdfast
from tests.mlflow.venvs import Client
from tests.patience import PATIENCE_SECONDS, until


@dataclass(frozen=True)
class Room:
    """A project with a server on it.

    Attributes:
        url: of the server.
        folder: the project's.
        environment: of commands in it.
        tokens: of its people, where it asks who somebody is.
    """

    url: str
    folder: Path
    environment: dict[str, str]
    tokens: Mapping[str, str] = field(default_factory=dict)

    def holdfast(self, *arguments: str) -> object:
        """What a command of ours answers in the project, as JSON."""
        answer = holdfast(*arguments, "--json", folder=self.folder, environment=self.environment)
        assert answer.code == 0, answer
        return answer.value


@contextmanager
def ours(
    folder: Path, policy: str | None = None, people: Mapping[str, Role] | None = None, *, workers: int = 1
) -> Iterator[Room]:
    """A new project and `holdfast server`, while this lasts.

    Args:
        folder: for the project.
        policy: its `holdfast.toml`, if that is given.
        people: who they are and what they may; the server asks everybody then.
        workers: processes of the server.
    """
    folder.mkdir(parents=True, exist_ok=True)
    environment = clean(os.environ, folder)
    begun = holdfast("init", folder=folder, environment=environment)
    assert begun.code == 0, begun
    if policy is not None:
        (folder / "holdfast.toml").write_text(policy, encoding="utf-8")
    tokens = {} if people is None else _tokens(folder, people)
    asking = [] if people is None else ["--auth"]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [str(PROGRAM), "server", "--port", "0", "--workers", str(workers), "--json", *asking],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said, (folder / "server.log").read_text(encoding="utf-8")
        yield Room(json.loads(said)["url"], folder, environment, tokens)
    finally:
        _end(process)


def _tokens(folder: Path, people: Mapping[str, Role]) -> dict[str, str]:
    with open_project(Settings.find(folder, {})) as project:
        doors = open_doors(project)
        for name, role in people.items():
            doors.add_user(NewUser(name), "root")
            doors.grant(name, Grant(role), "root")
        return {name: doors.issue(NewToken(name, "test"), "root").secret for name in people}


@contextmanager
def theirs(client: Client, folder: Path) -> Iterator[str]:
    """MLflow's own server from the client's environment, on a new SQLite file, while this lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    kept = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/files"]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [str(client.folder / "bin" / command[0]), *command[1:], *kept],
            cwd=folder,
            env={**client.environment(), "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: process.poll() is not None or _answers(url), "MLflow's server answers", pause_seconds=0.2)
        assert process.poll() is None, (folder / "server.log").read_text(encoding="utf-8")
        yield url
    finally:
        _end(process)


def _answers(url: str) -> bool:
    """Whether it has loaded what it answers with: whom the plugin asks, it takes for silent after three seconds."""
    try:
        urllib.request.urlopen(f"{url}/api/3.0/mlflow/server-info", timeout=1).close()
    except HTTPError:
        return True  # an older one, which has no such route
    except OSError:
        return False
    return True


def _end(process: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait(PATIENCE_SECONDS)
    if process.stdout is not None:
        process.stdout.close()
