"""Several servers of ours on one PostgreSQL, as processes that can be killed and started anew."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

import httpx

from tests.patience import until

__all__ = ["Replica", "replicas"]

_SOURCE = Path(__file__).parents[2] / "src"


class Replica:
    """One server with its own project, on a database that others share."""

    def __init__(self, folder: Path, database_url: str, workers: int) -> None:
        self._folder = folder
        self._workers = workers
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
        self._environment = {**kept, "PYTHONPATH": str(_SOURCE), "HOLDFAST_DATABASE_URL": database_url}
        self._process: subprocess.Popen[str] | None = None
        self.url = ""
        folder.mkdir()
        subprocess.run([*_HOLDFAST, "init"], cwd=folder, env=self._environment, check=True, capture_output=True)

    def start(self) -> None:
        """Start it, at the address that it had before, and wait until it answers."""
        port = self.url.rpartition(":")[2] or "0"
        command = [*_HOLDFAST, "server", "--port", port, "--workers", str(self._workers), "--json"]
        with self._log() as log:
            # In a session of its own, so that all of its processes can be told apart from those of the tests.
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert said, self.said()
        self.url = json.loads(said)["url"]
        until(self._answers, self.said)

    def _answers(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/readyz").is_success
        return False

    def _log(self) -> IO[str]:
        return (self._folder / "server.log").open("a")

    def said(self) -> str:
        """What it wrote about itself."""
        return (self._folder / "server.log").read_text()

    def workers(self) -> list[int]:
        """The processes that answer."""
        assert self._process is not None
        pid = self._process.pid
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def kill(self) -> None:
        """End all of its processes at once, as the end of their machine would."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()
            self._process = None


_HOLDFAST = [sys.executable, "-m", "holdfast"]


@contextmanager
def replicas(folder: Path, database_url: str, *, count: int = 2, workers: int = 1) -> Iterator[list[Replica]]:
    """So many servers on one database, while this lasts."""
    with ExitStack() as running:
        found = []
        for nth in range(count):
            replica = Replica(folder / f"replica-{nth}", database_url, workers)
            running.callback(replica.kill)
            replica.start()
            found.append(replica)
        yield found
