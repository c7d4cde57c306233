"""Environments of real MLflow clients, each made once from its lock and kept beside `.venv`."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
CLIENTS = ("new", "old")
"""The newest release that is locked, and one of the 3.x line's first: `requirements/mlflow-NAME.txt`."""
_MACHINE_AUTHORITIES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem", "/etc/pki/tls/certs/ca-bundle.crt")


@dataclass(frozen=True)
class Client:
    """An environment with a real MLflow in it."""

    name: str
    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin/python"

    def run(self, script: Path, url: str, folder: Path, *words: str, **more: str) -> str:
        """What a script prints; it runs in `folder` and is told nothing but `words` and where the server is."""
        done = subprocess.run(
            [str(self.python), "-W", "ignore", str(script), *words],
            cwd=folder,
            env={**self.environment(), "MLFLOW_TRACKING_URI": url, **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{script.name} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def environment(self) -> dict[str, str]:
        """That of a user who has this environment active, and whose home keeps what libraries remember there."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        return {
            **kept,
            "HOME": str(home),
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # a server that fails is to be seen at once
        }


def client(name: str) -> Client:
    """The environment of one client; whoever asks first makes it, and other processes of tests wait."""
    lock = ROOT / f"requirements/mlflow-{name}.txt"
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = ROOT / f".venv-mlflow-{name}-{digest}"
    with (ROOT / f".venv-mlflow-{name}.lock").open("w") as waiting:
        fcntl.flock(waiting, fcntl.LOCK_EX)
        if not (folder / ".ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _uv("venv", "--python", sys.executable, str(folder))
            _uv(
                "pip",
                "sync",
                "--python",
                str(folder / "bin/python"),
                "--require-hashes",
                "--compile-bytecode",
                str(lock),
            )
            (folder / ".ready").touch()
    return Client(name, folder)


def _uv(*arguments: str) -> None:
    """Tests without their client would prove nothing: what fails here fails them, and says why."""
    environment: Mapping[str, str] = os.environ
    if any(Path(place).exists() for place in _MACHINE_AUTHORITIES):
        environment = {"UV_SYSTEM_CERTS": "true", **os.environ}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("uv")), *arguments, "--quiet", "--no-config"],
        env={key: value for key, value in environment.items() if key not in {"PYTHONPATH", "VIRTUAL_ENV"}},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"uv {' '.join(arguments)}: {done.stderr}"
