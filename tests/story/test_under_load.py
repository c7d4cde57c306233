"""A stage moves while a replica answers a steady stream: nothing is dropped, and no answer mixes two versions."""

import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.commands import PROGRAM
from tests.patience import PATIENCE_SECONDS, until
from tests.story.tumour import Person, recorded

pytestmark = pytest.mark.slow

CONNECTIONS = 4
PAUSE_SECONDS = 0.01
"""Between two requests of one client: some hundred a second in all, and a processor left for the promotions."""

QUICK = """\
[gate.production]
rules = ["completeness", "integrity", "opens", "smoke", "not_worse", "groups", "approver"]
"""
"""Without the race of single rows, which the load would disturb, and which takes longest."""


@dataclass
class Load:
    """Clients that keep their connections and look at every answer.

    Attributes:
        url: the replica.
        rows: what is asked, in turns.
        expected: by version, its digest and what it says about each row.
    """

    url: str
    rows: list[dict[str, Any]]
    expected: dict[int, tuple[str, list[Any]]]
    answers: Counter[int] = field(default_factory=Counter)
    seen: list[tuple[float, int]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        clients = [threading.Thread(target=self._client, args=(number,)) for number in range(CONNECTIONS)]
        for client in clients:
            client.start()
        try:
            yield
        finally:
            self._stop.set()
            for client in clients:
                client.join()

    def _client(self, number: int) -> None:
        parts = urlsplit(self.url)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE_SECONDS)
        turn, epoch = number, 0
        while not self._stop.is_set():
            turn += 1
            place = turn % len(self.rows)
            begun = time.monotonic()
            try:
                body = json.dumps({"dataframe_records": [self.rows[place]]})
                connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                answer, status = json.loads(response.read()), response.status
            except (OSError, HTTPException, ValueError) as error:
                self.faults.append(f"no answer: {error!r}")
                connection.close()
                continue
            self._look(place, status, answer, dict(response.headers), begun)
            now = int(response.headers.get("x-route-epoch", 0))
            if now < epoch:
                self.faults.append(f"the route went from {epoch} back to {now}")
            epoch = now
            time.sleep(PAUSE_SECONDS)
        connection.close()

    def _look(self, place: int, status: int, answer: dict[str, Any], headers: dict[str, str], begun: float) -> None:
        if status != 200:
            self.faults.append(f"status {status}: {answer}")
            return
        version = int(answer["version"])
        digest, predictions = self.expected[version]
        said = (headers["x-model-version"], headers["x-model-digest"], answer["digest"], answer["predictions"])
        if said != (str(version), digest, digest, [predictions[place]]):
            self.faults.append(f"row {place}: version {version} in the body, beside {said}")
        self.answers[version] += 1
        self.seen.append((begun, version))


@contextmanager
def replica(person: Person) -> Iterator[str]:
    """A real replica of production; its URL, once it is ready."""
    with (person.folder / "serve.log").open("w") as log:
        process = subprocess.Popen(
            [str(PROGRAM), "serve", "tumour", "--port", "0", "--json"],
            cwd=person.folder, env=dict(person.environment), stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        url = str(json.loads(process.stdout.readline())["url"])
        said = (person.folder / "serve.log").read_text
        until(lambda: "serves version" in said(), said)
        yield url
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_SECONDS)


def test_moving_a_stage_under_load_drops_nothing_and_mixes_nothing(held: Person) -> None:
    (held.folder / "holdfast.toml").write_text(QUICK)
    expected: dict[int, tuple[str, list[Any]]] = {}
    rows: list[dict[str, Any]] = []
    for number in (1, 3):
        rows, predictions = recorded(held, f"tumour@{number}", f"bundle-{number}")
        expected[number] = (held.json("show", f"tumour@{number}")["digest"], predictions)
    assert expected[1][1] != expected[3][1]
    with replica(held) as url:
        load, moved = Load(url, rows, expected), []
        with load.running():
            for arguments, version in (
                (["promote", "tumour@3", "--reason", "better features", "--wait"], 3),
                (["rollback", "tumour", "--reason", "complaints", "--wait"], 1),
                (["promote", "tumour@3", "--reason", "no, it was right", "--wait"], 3),
            ):
                begun = time.monotonic()
                (confirmed,) = held.json(*arguments)["replicas"]
                assert (confirmed["version"], confirmed["url"]) == (version, url)
                moved.append((begun, time.monotonic(), version))
            time.sleep(0.5)
            until(lambda: load.faults or sum(load.answers.values()) > 200, lambda: f"200 answers: {load.answers}")
    assert load.faults == []
    assert set(load.answers) == {1, 3}
    assert sum(load.answers.values()) > 200
    # Once --wait has returned, and until the next command begins, the old version answers nobody.
    ends = [begun for begun, _, _ in moved[1:]] + [float("inf")]
    for (_, confirmed_at, version), end in zip(moved, ends, strict=True):
        assert {seen for begun, seen in load.seen if confirmed_at < begun < end} <= {version}
