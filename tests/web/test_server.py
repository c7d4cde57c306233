"""The serving process: a real project, registry, store and socket."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from holdfast.config import Settings
from holdfast.errors import Unavailable
from holdfast.manifest import MANIFEST_NAME
from holdfast.names import VersionNumber
from holdfast.registry import Action, Move, MoveStage, NewVersion, Replica, ReplicaState
from holdfast.serving.confirm import wait_for_replicas
from holdfast.web.listening import address_of, listen
from holdfast.wire import Project, open_project
from tests.blank import blank_project
from tests.patience import PATIENCE_SECONDS, until
from tests.serving.building import MODEL, ROWS, Built
from tests.serving.stages import STAGE

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path: Path, first: Built, second: Built) -> Project:
    """A project whose registry has version 1, in production, and version 2."""
    settings = blank_project(tmp_path)
    project = open_project(Settings.at(settings.home, {}))
    project.registry.create_model(MODEL, "ana")
    for built in (first, second):
        with project.store.writer() as writer:
            for entry in built.files.manifest.files:
                writer.add_file(built.files.root / str(entry.path))
            writer.add_file(built.files.root / MANIFEST_NAME)
            writer.commit()
        project.registry.register(NewVersion(MODEL, built.digest, complete=True), "ana")
    move(project, 1, None)
    return project


def move(project: Project, to: int, expect: int | None, action: Action = Action.STAGE_PROMOTE) -> Move:
    before = None if expect is None else VersionNumber(expect)
    return project.registry.move_stage(MoveStage(MODEL, STAGE, VersionNumber(to), before, action), "ana")


def confirmed(project: Project, done: Move) -> tuple[Replica, ...]:
    return wait_for_replicas(
        project.registry, MODEL, STAGE, done.epoch, done.to_digest, timeout_seconds=PATIENCE_SECONDS
    )


@contextmanager
def serving(project: Project) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    command = [sys.executable, "-m", "holdfast", "serve", "churn", "--port", "0"]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HOLDFAST_")}
    with (project.settings.project / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=project.settings.project, env=kept, stdout=log, stderr=log)
    try:
        yield process, ready_url(project, process)
    finally:
        process.kill()
        process.wait()


def ready_url(project: Project, process: subprocess.Popen[bytes]) -> str:
    log = project.settings.project / "server.log"

    def ready() -> list[str]:
        assert process.poll() is None, log.read_text()
        live = project.registry.live_replicas(MODEL, STAGE, timedelta(seconds=5))
        return [replica.url for replica in live if replica.state is ReplicaState.READY]

    return until(ready, log.read_text)[0]


def post(connection: http.client.HTTPConnection, **changes: Any) -> tuple[http.client.HTTPResponse, dict[str, Any]]:
    body = json.dumps({"dataframe_records": [{**ROWS[25], **changes}]})
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer, json.loads(answer.read())


def test_a_server_follows_its_stage_and_ends_without_dropping_what_is_in_flight(
    project: Project, first: Built, second: Built
) -> None:
    with serving(project) as (process, url):
        assert urlsplit(url).hostname == "127.0.0.1"
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE_SECONDS)
        answer, said = post(connection)
        assert (answer.status, said["digest"]) == (200, str(first.digest))
        assert "server" not in answer.headers

        (replica,) = confirmed(project, move(project, 2, 1))
        assert (replica.number, replica.digest, replica.state) == (2, second.digest, ReplicaState.READY)
        answer, said = post(connection)
        assert (said["version"], answer.headers["x-route-epoch"]) == (2, "2")

        confirmed(project, move(project, 1, 2, Action.STAGE_ROLLBACK))
        answer, said = post(connection)
        assert said["digest"] == str(first.digest)

        answers: list[tuple[int, Any]] = []

        def slow() -> None:
            other = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE_SECONDS)
            got, body = post(other, sleep=1.5)
            answers.append((got.status, body["predictions"]))
            other.close()

        caller = threading.Thread(target=slow)
        caller.start()
        time.sleep(0.5)
        connection.close()
        process.send_signal(signal.SIGTERM)
        caller.join()
        assert answers == [(200, [first.outputs.predictions[25]])]
        assert process.wait(PATIENCE_SECONDS) in {0, -signal.SIGTERM}
        assert project.registry.live_replicas(MODEL, STAGE, timedelta(seconds=5)) == ()
    log = (project.settings.project / "server.log").read_text()
    assert f"serves version 1 (sha256:{first.digest.short}), epoch 1, because the replica started" in log
    assert f"serves version 2 (sha256:{second.digest.short}), epoch 2, because the stage moved" in log
    assert "Traceback" not in log


def test_answers_on_a_kept_connection_do_not_wait_for_a_delayed_acknowledgement(project: Project) -> None:
    with serving(project) as (_, url):
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE_SECONDS)
        seconds = []
        for _ in range(40):
            begun = time.perf_counter()
            post(connection)
            seconds.append(time.perf_counter() - begun)
        connection.close()
    # Nagle's algorithm against a delayed acknowledgement costs 40 ms on each request, on the quickest too.
    assert min(seconds) < 0.030


def test_a_port_that_is_taken_is_an_error_with_a_hint() -> None:
    with listen() as listening:
        port = int(address_of(listening).rpartition(":")[2])
        assert listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        with pytest.raises(Unavailable, match="cannot listen"):
            listen(port=port)
