"""An MLflow server and a Holdfast server that are asked for the same in MLflow's own words."""

import json
import math
import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from mmap import PAGESIZE
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import quote

import _projects as projects
from _registries import MODELS, Mlflow, runs, tree

API = "/api/2.0/mlflow"

FILES = "/api/2.0/mlflow-artifacts/artifacts"

EXPERIMENT = "0"
"""The one that each server has from the start."""

ALIAS = "champion"
"""No gate stands before it in a new project: what is asked of it is the same on both sides."""

SMALL_FILE_BYTES = 2_000
"""As most of the files that come with a model."""

CLIENTS_MAX = MODELS
"""Each client has a run and a model of its own."""

MIXED = ("batch", "get", "alias", "get", "create", "search", "get", "alias", "batch", "log")
"""What each of many clients asks, each of them beginning at another place."""

_CLIENT = Path(__file__).with_name("_mlflow_client.py")

_FILLERS = 4
"""How many connections fill a server that is filled over HTTP."""

_LOOK_SECONDS = 0.05
"""How often memory is looked at while a peak is sought."""


class Wire(Mlflow):
    """A server that speaks MLflow's words. This one is MLflow's own, as it comes: four workers, and SQLite.

    Attributes:
        dialog: what each client has been answered that its next request needs.
    """

    def __init__(self, folder: Path, port: int, peers: Path) -> None:
        super().__init__(folder, port, peers)
        self._asked = dict.fromkeys(range(CLIENTS_MAX), 0)
        self._words = random.Random(7)

    def fill_running(self, count: int) -> None:
        """Give the server, which runs, runs to be searched. MLflow has been given them before, past its server."""

    def begin(self) -> None:
        """A run for each client, and a model with an alias: its version is a folder of the run."""
        asked = {"experiment_id": EXPERIMENT, "start_time": 0}
        for number in range(CLIENTS_MAX):
            run = self.send("POST", f"{API}/runs/create", asked)["run"]["info"]["run_id"]
            self._runs.append(run)
            self._put(f"{EXPERIMENT}/{run}/artifacts/model/MLmodel", b"flavors: {}\n")
            name = {"name": f"m{number}"}
            self.send("POST", f"{API}/registered-models/create", name)
            source = f"mlflow-artifacts:/{EXPERIMENT}/{run}/artifacts/model"
            self.send("POST", f"{API}/model-versions/create", {**name, "source": source, "run_id": run})
            self.send("POST", f"{API}/registered-models/alias", {**name, "alias": ALIAS, "version": "1"})

    def read(self, client: int) -> bytes:
        """See `Registry.read`."""
        return self.request("GET", f"{API}/registered-models/alias?name=m{client}&alias={ALIAS}")

    def create(self, client: int) -> bytes:
        """Begin a run, as the client does: with its name, its user and its source."""
        name = f"by-{client}"
        own = {"user": "ana", "source.name": "train.py", "source.type": "LOCAL", "runName": name}
        tags = [{"key": f"mlflow.{key}", "value": value} for key, value in own.items()]
        said = {"experiment_id": EXPERIMENT, "user_id": "ana", "run_name": name, "start_time": 1, "tags": tags}
        return self.request("POST", f"{API}/runs/create", said)

    def get(self, client: int) -> bytes:
        """Ask for the client's run."""
        return self.request("GET", f"{API}/runs/get?run_id={self._runs[client]}")

    def history(self, client: int) -> bytes:
        """Ask for all points of a metric."""
        asked = f"run_id={self._runs[client]}&metric_key=loss&max_results=25000"
        return self.request("GET", f"{API}/metrics/get-history?{asked}")

    def upload(self, client: int) -> bytes:
        """Upload a small file that nobody has yet."""
        self._asked[client] += 1
        path = f"{FILES}/{EXPERIMENT}/{self._runs[client]}/artifacts/small/{self._asked[client]}.txt"
        content = self._words.randbytes(SMALL_FILE_BYTES)
        head = [
            f"PUT {path} HTTP/1.1",
            f"Host: 127.0.0.1:{self._port}",
            "Content-Type: application/octet-stream",
            f"Content-Length: {SMALL_FILE_BYTES}",
        ]
        return "\r\n".join([*head, "", ""]).encode() + content

    def mixed(self, client: int) -> bytes:
        """The next of what a client asks among many others."""
        place = self._asked[client] + client
        self._asked[client] += 1
        asked: dict[str, Callable[[], bytes]] = {
            "batch": lambda: self.log(client, 10),
            "get": lambda: self.get(client),
            "alias": lambda: self.read(client),
            "create": lambda: self.create(client),
            "search": lambda: self.search(("metrics.m0 > 0.9 and params.p0 = 'a'", "", 20)),
            "log": lambda: self.log(client, 1),
        }
        return asked[MIXED[place % len(MIXED)]]()

    def processes(self) -> list[int]:
        """All processes of the server."""
        assert self._server is not None
        return list(tree(self._server.pid))

    def _put(self, path: str, content: bytes) -> None:
        connection = HTTPConnection("127.0.0.1", self._port)
        connection.request("PUT", f"{FILES}/{quote(path)}", content, {"Content-Type": "application/octet-stream"})
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        if answer.status != 200:
            raise SystemExit(f"{self.name}: PUT {path}: {answer.status} {said.decode(errors='replace')}")


class HoldfastWire(Wire):
    """`holdfast server`, as it comes: two processes, SQLite. What it is asked for is what MLflow is asked for."""

    name: ClassVar[str] = "holdfast"

    @staticmethod
    def there(peers: Path) -> bool:
        """It is this one."""
        del peers
        return True

    def command(self) -> list[str]:
        """See `Registry.command`."""
        return [sys.executable, "-m", "holdfast", "server", "--port", str(self._port)]

    def environment(self) -> dict[str, str]:
        """See `Registry.environment`."""
        return projects.environment()

    def prepare(self) -> None:
        """See `Registry.prepare`."""
        projects.holdfast(self.folder, "init")

    def fill(self, count: int) -> None:
        """Nothing: what Holdfast holds came through its server."""

    def fill_running(self, count: int) -> None:
        """The same runs as MLflow has, each in two requests."""
        every = list(runs(count))
        with ThreadPoolExecutor(_FILLERS) as pool:
            for done in [pool.submit(self._fill_some, every[first::_FILLERS]) for first in range(_FILLERS)]:
                done.result()

    def _fill_some(self, some: Sequence[tuple[str, int, dict[str, float], dict[str, str]]]) -> None:
        connection = HTTPConnection("127.0.0.1", self._port)

        def send(path: str, body: dict[str, Any]) -> Any:
            connection.request("POST", f"{API}/{path}", json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != 200:
                raise SystemExit(f"{self.name}: POST {path}: {answer.status} {said.decode(errors='replace')}")
            return json.loads(said)

        for name, begun, metrics, params in some:
            asked = {"experiment_id": EXPERIMENT, "user_id": "ana", "run_name": name, "start_time": begun}
            run = send("runs/create", asked)["run"]["info"]["run_id"]
            points = [{"key": key, "value": value, "timestamp": begun, "step": 0} for key, value in metrics.items()]
            said = [{"key": key, "value": value} for key, value in params.items()]
            send("runs/log-batch", {"run_id": run, "metrics": points, "params": said})
        connection.close()


class Peak:
    """The largest that the resident sets of a server's processes together became while this lasted.

    Attributes:
        before: what they were when it began, in bytes.
        bytes: the most that was seen.
    """

    def __init__(self, server: Wire) -> None:
        self._processes = server.processes()
        self.before = self.bytes = self._resident()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            self.bytes = max(self.bytes, self._resident())
            if self._over.wait(_LOOK_SECONDS):
                return

    def _resident(self) -> int:
        return sum(map(_resident, self._processes))


def _resident(process: int) -> int:
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0  # it has ended since
    return pages * PAGESIZE


@contextmanager
def servers(folder: Path, port: int, peers: Path, only: str, fill: int = 0) -> Iterator[list[Wire]]:
    """The servers that were asked for, all of them running and filled; those that are not installed are left out.

    Args:
        folder: an empty one.
        port: of Holdfast; MLflow takes the next.
        peers: what `benchmarks/peers` made.
        only: names, separated by commas.
        fill: how many runs each holds.
    """
    known: dict[str, tuple[type[Wire], int]] = {"holdfast": (HoldfastWire, port), "mlflow": (Wire, port + 1)}
    found: list[Wire] = []
    with ExitStack() as stack:
        for wanted in only.split(","):
            kind, at = known[wanted]
            if not kind.there(peers):
                print(f"{wanted} is missing: run benchmarks/peers")
                continue
            server = kind(folder / wanted, at, peers)
            server.folder.mkdir()
            print(f"{wanted}: starting, with {fill} runs …", flush=True)
            server.prepare()
            server.fill(fill)
            stack.enter_context(server.running())
            server.fill_running(fill)
            server.begin()
            found.append(server)
        yield found


def by_turns(found: Sequence[Wire], rounds: int) -> Iterator[Wire]:
    """Each server once in a round, every second round in the reverse order."""
    for number in range(rounds):
        yield from found if number % 2 == 0 else reversed(found)


def ratio_text(of: Sequence[float]) -> str:
    """The first, which is Holdfast's, against the second: how many times as quick it was."""
    if len(of) < 2 or not of[0] or math.isnan(of[0]):
        return ""
    return f"{of[1] / of[0]:.1f}x"


def clients_python(peers: Path) -> str | None:
    """The interpreter beside whose libraries MLflow's client is installed."""
    return shutil.which("python", path=str(peers / "bin"))


def with_the_client(server: Wire, peers: Path, *arguments: str) -> dict[str, Any]:
    """What `_mlflow_client.py` says when it has done something against a server.

    Raises:
        SystemExit: it failed; what it said is the message.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "HOLDFAST_", "PYTHON"))}
    own = {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    command = [str(clients_python(peers)), str(_CLIENT), *arguments]
    done = subprocess.run(command, cwd=server.folder, env={**kept, **own}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{server.name}: {' '.join(arguments)}: {done.stdout}{done.stderr}")
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said
