"""A Holdfast server and an MLflow server beside each other: how each is started, filled and asked for the same."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

import _projects as projects
from holdfast.database.engine import Database
from holdfast.database.times import to_text
from holdfast.digest import hash_bytes
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Action, MoveStage, NewVersion
from holdfast.registry.sql import SqlRegistry

MODELS = 16
"""One for each client: people move stages of models of their own."""

METRICS, PARAMS = 5, 5
"""Of each run that is searched."""

BATCH = 1_000
"""Points of one metric in one request."""

SEARCHES = {
    "search: metric and param": ("metrics.m0 > 0.9 and params.p0 = 'a'", "", 100),
    "search: 1000 rows": ("metrics.m0 > 0.2", "", 1_000),
    "search: sorted by metric": ("metrics.m1 > 0.1", "metrics.m0 DESC", 100),
}
"""What runs are asked for: the filter, the order, and how many. Both servers read the same words."""

_READY_SECONDS_MAX = 120.0
_STOP_SECONDS_MAX = 60.0

_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


def runs(count: int) -> Iterator[tuple[str, int, dict[str, float], dict[str, str]]]:
    """The runs that are searched, each with its id, its start in milliseconds, its metrics and its params."""
    begun = int(_BEGINNING.timestamp() * 1000)
    for number in range(count):
        metrics = {f"m{n}": (number * (7 + n) % 1_009) / 1_009 for n in range(METRICS)}
        params = {f"p{n}": "abcdefghij"[(number // 10**n) % 10] for n in range(PARAMS)}
        yield f"{number:032x}", begun + number * 1_000, metrics, params


class Registry:
    """One server, and the words in which it is asked.

    Attributes:
        name: what it is called in tables.
        url: where it answers.
    """

    name: ClassVar[str]

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._server: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """What starts the server."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """The environment of the server."""
        return projects.environment()

    def prepare(self) -> None:
        """Make what the server needs to be started."""

    def fill(self, count: int) -> None:
        """Give the database, whose server is stopped, runs to be searched."""
        raise NotImplementedError

    def begin(self) -> None:
        """Register two versions of each model, and begin a run for each client."""
        raise NotImplementedError

    def health(self) -> str:
        """The path that answers 200 when the server is ready."""
        raise NotImplementedError

    def read(self, client: int) -> bytes:
        """Ask which version holds a stage."""
        raise NotImplementedError

    def move(self, client: int) -> bytes:
        """Move the stage of the client's model to its other version."""
        raise NotImplementedError

    def log(self, client: int, points: int) -> bytes:
        """Log points of one metric to the client's run."""
        raise NotImplementedError

    def search(self, said: tuple[str, str, int]) -> bytes:
        """Search runs."""
        raise NotImplementedError

    @contextmanager
    def running(self) -> Iterator[float]:
        """The server, while this lasts; how many seconds it took to be ready."""
        begun = time.perf_counter()
        with (self.folder / "server.log").open("ab") as log:
            self._server = subprocess.Popen(
                self.command(), cwd=self.folder, env=self.environment(), stdout=log, stderr=log, start_new_session=True
            )
        try:
            projects.wait_until_ready(self.url + self.health(), _READY_SECONDS_MAX)
            yield time.perf_counter() - begun
        finally:
            self._server.send_signal(signal.SIGTERM)
            try:
                self._server.wait(_STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                os.killpg(self._server.pid, signal.SIGKILL)
                self._server.wait()

    def memory(self) -> dict[str, float]:
        """What all processes of the server hold: what they share is counted once, as the kernel divides it."""
        assert self._server is not None
        found = [pss for process in tree(self._server.pid) if (pss := _pss(process))]
        return {"processes": len(found), "bytes": sum(found)}

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        """One request outside the measurements."""
        request = urllib.request.Request(  # noqa: S310 - our own server
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310 - likewise
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{self.name}: {method} {path}: {error.read().decode()}") from error

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None, *headers: str) -> bytes:
        """The bytes of a request."""
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self._port}", *headers]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        return "\r\n".join([*lines, "", ""]).encode() + content


class Holdfast(Registry):
    """`holdfast server`, as it comes: two processes, SQLite."""

    name = "holdfast"

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(folder, port)
        self._runs: list[str] = []
        self._held = dict.fromkeys(range(MODELS), 1)
        self._steps = dict.fromkeys(range(MODELS), 0)

    def command(self) -> list[str]:
        """See `Registry.command`."""
        return [sys.executable, "-m", "holdfast", "server", "--port", str(self._port)]

    def prepare(self) -> None:
        """See `Registry.prepare`."""
        projects.holdfast(self.folder, "init")

    def fill(self, count: int) -> None:
        """See `Registry.fill`."""
        with closing(sqlite3.connect(self.folder / ".holdfast/registry.db")) as database:
            for run, begun, metrics, params in runs(count):
                moment = to_text(datetime.fromtimestamp(begun / 1000, UTC))
                database.execute(
                    "INSERT INTO runs (id, name, status, started_at, actor, notes) "
                    "VALUES (?, '', 'running', ?, 'ana', '')",
                    (run, moment),
                )
                for table in ("run_points", "run_metrics"):
                    database.executemany(
                        f"INSERT INTO {table} (run, key, step, time, value) VALUES (?, ?, 0, ?, ?)",  # noqa: S608
                        [(run, key, moment, value) for key, value in metrics.items()],
                    )
                database.executemany(
                    "INSERT INTO run_params (run, key, value, text) VALUES (?, ?, ?, ?)",
                    [(run, key, json.dumps(value), value) for key, value in params.items()],
                )
                database.execute("UPDATE runs SET status = 'finished', finished_at = ? WHERE id = ?", (moment, run))
            database.commit()

    def begin(self) -> None:
        """See `Registry.begin`. The versions are registered beside the server, for it would ask for their bytes."""
        with closing(Database.open(f"sqlite:///{self.folder}/.holdfast/registry.db")) as database:
            registry = SqlRegistry(database, lambda: datetime.now(UTC), lambda: uuid.uuid4().hex)
            for number in range(MODELS):
                model = ModelName(f"m{number}")
                registry.create_model(model, "ana")
                for version in (b"1", b"2"):
                    registry.register(NewVersion(model, hash_bytes(version), complete=True), "ana")
                first = MoveStage(model, StageName("production"), VersionNumber(1), None, Action.STAGE_PROMOTE)
                registry.move_stage(first, "ana")
        self._runs = [self.send("POST", "/api/v1/runs", {"name": f"r{n}"})["id"] for n in range(MODELS)]

    def health(self) -> str:
        """See `Registry.health`."""
        return "/readyz"

    def read(self, client: int) -> bytes:
        """See `Registry.read`."""
        return self.request("GET", f"/api/v1/models/m{client}/versions/production")

    def move(self, client: int) -> bytes:
        """See `Registry.move`."""
        held = self._held[client]
        self._held[client] = 3 - held
        body = {"to": 3 - held, "expect": held, "action": "stage:pointer:promote", "reason": "better"}
        path = f"/api/v1/models/m{client}/stages/production/moves"
        return self.request("POST", path, body, f"Idempotency-Key: {uuid.uuid4().hex}")

    def log(self, client: int, points: int) -> bytes:
        """See `Registry.log`."""
        first = self._steps[client]
        self._steps[client] += points
        said = [{"name": "loss", "value": 0.5, "step": step} for step in range(first, first + points)]
        return self.request("POST", f"/api/v1/runs/{self._runs[client]}/points", {"points": said})

    def search(self, said: tuple[str, str, int]) -> bytes:
        """See `Registry.search`."""
        words, order, limit = said
        asked = {"filter": words, "order_by": order, "limit": limit}
        return self.request("GET", "/api/v1/runs?" + urlencode(asked, quote_via=quote))


class Mlflow(Registry):
    """`mlflow server`, as it comes: four workers, and SQLite."""

    name = "mlflow"

    _API = "/api/2.0/mlflow"

    def __init__(self, folder: Path, port: int, peers: Path) -> None:
        super().__init__(folder, port)
        self._peers = peers
        self._runs: list[str] = []
        self._held = dict.fromkeys(range(MODELS), 1)
        self._steps = dict.fromkeys(range(MODELS), 0)

    @staticmethod
    def there(peers: Path) -> bool:
        """Whether it is installed."""
        return shutil.which("mlflow", path=str(peers / "bin")) is not None

    def command(self) -> list[str]:
        """See `Registry.command`."""
        program = str(self._peers / "bin" / "mlflow")
        database = f"sqlite:///{self.folder}/mlflow.db"
        return [program, "server", "--port", str(self._port), "--backend-store-uri", database]

    def environment(self) -> dict[str, str]:
        """See `Registry.environment`."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "PYTHONPATH"))}
        own = {"PATH": f"{self._peers / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}", "HOME": str(self.folder)}
        return {**kept, **own, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}

    def prepare(self) -> None:
        """See `Registry.prepare`: a first start makes the tables, which is nobody's start."""
        with self.running():
            pass

    def fill(self, count: int) -> None:
        """See `Registry.fill`."""
        with closing(sqlite3.connect(self.folder / "mlflow.db")) as database:
            for run, begun, metrics, params in runs(count):
                database.execute(
                    "INSERT INTO runs (run_uuid, name, source_type, user_id, status, start_time, end_time, "
                    "lifecycle_stage, artifact_uri, experiment_id) VALUES (?, ?, 'LOCAL', 'ana', 'FINISHED', ?, ?, "
                    "'active', ?, 0)",
                    (run, run, begun, begun, f"mlflow-artifacts:/0/{run}/artifacts"),
                )
                for table in ("metrics", "latest_metrics"):
                    database.executemany(
                        f"INSERT INTO {table} (key, value, timestamp, step, is_nan, run_uuid) "  # noqa: S608
                        "VALUES (?, ?, ?, 0, 0, ?)",
                        [(key, value, begun, run) for key, value in metrics.items()],
                    )
                database.executemany(
                    "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
                    [(key, value, run) for key, value in params.items()],
                )
            database.commit()

    def begin(self) -> None:
        """See `Registry.begin`."""
        for number in range(MODELS):
            model = f"m{number}"
            self.send("POST", f"{self._API}/registered-models/create", {"name": model})
            for version in ("1", "2"):
                source = f"s3://models/{model}/{version}"
                self.send("POST", f"{self._API}/model-versions/create", {"name": model, "source": source})
            said = {"name": model, "alias": "production", "version": "1"}
            self.send("POST", f"{self._API}/registered-models/alias", said)
        asked = {"experiment_id": "0", "start_time": 0}
        self._runs = [
            self.send("POST", f"{self._API}/runs/create", asked)["run"]["info"]["run_id"] for _ in range(MODELS)
        ]

    def health(self) -> str:
        """See `Registry.health`."""
        return "/health"

    def read(self, client: int) -> bytes:
        """See `Registry.read`."""
        return self.request("GET", f"{self._API}/registered-models/alias?name=m{client}&alias=production")

    def move(self, client: int) -> bytes:
        """See `Registry.move`."""
        self._held[client] = 3 - self._held[client]
        said = {"name": f"m{client}", "alias": "production", "version": str(self._held[client])}
        return self.request("POST", f"{self._API}/registered-models/alias", said)

    def log(self, client: int, points: int) -> bytes:
        """See `Registry.log`."""
        first = self._steps[client]
        self._steps[client] += points
        said = [{"key": "loss", "value": 0.5, "step": step, "timestamp": step} for step in range(first, first + points)]
        if points == 1:
            return self.request("POST", f"{self._API}/runs/log-metric", {"run_id": self._runs[client], **said[0]})
        return self.request("POST", f"{self._API}/runs/log-batch", {"run_id": self._runs[client], "metrics": said})

    def search(self, said: tuple[str, str, int]) -> bytes:
        """See `Registry.search`."""
        words, order, limit = said
        body = {"experiment_ids": ["0"], "filter": words, "max_results": limit, "order_by": [order] if order else []}
        return self.request("POST", f"{self._API}/runs/search", body)


def tree(process: int) -> Iterator[int]:
    """A process and all that it started."""
    yield process
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from tree(int(child))


def _pss(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0  # it has ended since
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
