"""The image and compose.yaml, carried out without Docker as closely as one machine can.

The commands of the Dockerfile build and install in folders of this test instead of /opt and /var. Those of compose.yaml
run from there in its order, as somebody who may write nothing but the home, against a PostgreSQL and an S3 server that
this test starts instead of the containers. What a container adds is not tried: its file system, its network, its
image's own programs.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Container, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import boto3
import httpx
import psycopg
import pytest

from holdfast.cli.exit_codes import EXIT_CODES
from holdfast.wire import create_project, open_project
from tests.commands import holdfast
from tests.deploy.written import KUBERNETES, ROOT, compose, containers, only, stages, variables
from tests.patience import PATIENCE_SECONDS, until
from tests.postgres import OWNER, PASSWORD, PostgresServer, _programs, postgres_server
from tests.projects import HOLDOUT_ROWS, TARGET, TRAIN_ROWS, add_version, write_csv
from tests.servers import S3Server, s3_server

BUILD, IMAGE = stages()
SERVICES = compose()["services"]

WORDS = {"POSTGRES_PASSWORD": PASSWORD, "OWNER_PASSWORD": "an 'owner", "SERVICE_PASSWORD": "ser%20vice"}
"""What .env would say."""

UNREACHABLE = re.compile(r"(?i)dns error|tcp connect|connection refused|network is unreachable|network connectivity")
"""How uv says that there is no index, and that what is asked for was not kept from an earlier installation."""


@dataclass(frozen=True)
class Installed:
    """What the image would hold, and who runs it: an account that owns nothing, where we are one that may choose."""

    folder: Path
    account: str | None

    @property
    def program(self) -> Path:
        return self.folder / "opt/holdfast/bin" / only(IMAGE, "ENTRYPOINT").words[0]

    def place(self, text: str) -> str:
        """The text with the image's folders replaced by ours."""
        return text.replace("/opt/holdfast", f"{self.folder}/opt/holdfast").replace("/var/lib", f"{self.folder}/var")

    def variables(self, given: Mapping[str, str]) -> dict[str, str]:
        """The environment of a container."""
        of_image = {name: self.place(value) for name, value in variables(IMAGE).items() if name != "PATH"}
        return {"PATH": f"{self.program.parent}:/usr/bin:/bin", **of_image, **given}

    def home(self) -> Path:
        """An empty volume, as it is mounted."""
        home = Path(self.place(only(IMAGE, "VOLUME").value))
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(mode=0o700, parents=True)
        if self.account is not None:
            shutil.chown(home, self.account)
        return home

    def fill(self, home: Path, source: Path) -> None:
        """Put what another home holds into the volume."""
        shutil.copytree(source, home, dirs_exist_ok=True)
        if self.account is not None:
            for path in (home, *home.rglob("*")):
                shutil.chown(path, self.account)

    def run(self, *words: str, **given: str) -> "subprocess.CompletedProcess[str]":
        command = [str(self.program), *words]
        return subprocess.run(
            command,
            cwd=self.place(only(IMAGE, "WORKDIR").value),
            env=self.variables(given),
            user=self.account,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )


@pytest.fixture(scope="module")
def installed() -> Iterator[Installed]:
    # Not below the tests' own folders, which nobody else may enter.
    folder = Path(tempfile.mkdtemp(prefix="holdfast-image-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        account, python = _account()
        found = Installed(folder, account)
        _copy(folder / "build")
        for one in BUILD:
            if one.name == "RUN" and not one.value.startswith("python -m pip"):  # that one brings uv, which is here
                _carry_out(found.place(one.value).replace("/usr/local/bin/python3", str(python)), folder / "build")
        yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _account() -> tuple[str | None, Path]:
    """Who runs the program, and a Python like ours that they can reach: root's own may lie below root's home."""
    own = Path(sys.executable).resolve()
    if os.geteuid() != 0:
        return None, own
    for python in (own, Path("/usr/local/bin/python3"), Path("/usr/bin/python3")):
        look = [str(python), "-c", f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"]
        try:
            if subprocess.run(look, user="nobody", cwd="/", capture_output=True, check=False).returncode == 0:
                return "nobody", python
        except OSError:
            continue
    return None, own


def _copy(folder: Path) -> None:
    """What COPY brings, and nothing else."""
    folder.mkdir()
    for one in BUILD:
        if one.name == "COPY":
            *sources, target = one.value.split()
            for name in sources:
                if (ROOT / name).is_dir():
                    shutil.copytree(ROOT / name, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    (folder / target).mkdir(exist_ok=True)
                    shutil.copy(ROOT / name, folder / target)


def _carry_out(step: str, folder: Path) -> None:
    """One RUN; from what an earlier installation kept, or else from the index."""
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    environment |= {"UV_LINK_MODE": "copy", "UV_SYSTEM_CERTS": "true", "UV_PYTHON_DOWNLOADS": "never"}
    said = ""
    for offline in ("1", "0"):
        clear = {**environment, "UV_OFFLINE": offline, "UV_VENV_CLEAR": "1"}
        done = subprocess.run(["sh", "-c", step], cwd=folder, env=clear, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        said = done.stderr
    if UNREACHABLE.search(said):
        pytest.skip("no index can be reached, and what is locked was not installed here before")
    raise AssertionError(f"{step}\n{said}")


def filled(name: str, words: Mapping[str, str]) -> dict[str, str]:
    """The environment that compose.yaml gives a service, with the words of .env put in."""
    told = SERVICES[name].get("environment", {})
    return {key: re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: words[found[1]], value) for key, value in told.items()}


def psql(name: str, database: PostgresServer) -> None:
    """One of the two steps that speak SQL."""
    service = SERVICES[name]
    environment = filled(name, WORDS) | {"PGHOST": "127.0.0.1", "PGPORT": str(database.port)}
    if environment["PGUSER"] == "postgres":
        environment["PGUSER"] = OWNER
    [mounted] = [volume.split(":") for volume in service["volumes"]]
    command = [word.replace(mounted[1], str(ROOT / mounted[0])) for word in service["command"]]
    command[0] = str(_programs() / "psql")
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def reached(name: str, database: PostgresServer, bucket: S3Server | None = None) -> dict[str, str]:
    """The environment of a service of ours, with the addresses of what this test has started."""
    given = filled(name, WORDS | {"BUCKET_PASSWORD": bucket.secret if bucket else ""})
    given["HOLDFAST_DATABASE_URL"] = given["HOLDFAST_DATABASE_URL"].replace("@database", f"@127.0.0.1:{database.port}")
    if bucket is not None:
        given |= {"AWS_ENDPOINT_URL": bucket.endpoint, "AWS_ACCESS_KEY_ID": bucket.key}
    return given


@contextmanager
def running(
    installed: Installed, words: list[str], given: Mapping[str, str], ends_with: Container[int] = (0,)
) -> Iterator[tuple[str, Path]]:
    """What the entrypoint starts with these words, on a free port of this machine alone; it ends when it is told to."""
    command = [str(installed.program), *words, "--host", "127.0.0.1", "--port", "0", "--json"]
    log = installed.folder / "log"
    with log.open("w") as written:
        process = subprocess.Popen(
            command,
            cwd=installed.place(only(IMAGE, "WORKDIR").value),
            env=installed.variables(given),
            user=installed.account,
            stdout=subprocess.PIPE,
            stderr=written,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, log.read_text()
        value = json.loads(line)
        assert value["pid"] == process.pid, "the signal would go to somebody else"
        yield value["url"], log
        process.terminate()
        grace = int(SERVICES["server"]["stop_grace_period"].removesuffix("s"))
        assert process.wait(grace) in ends_with, log.read_text()
        assert "Traceback" not in log.read_text()
    finally:
        process.terminate()  # never killed outright: those that it has started would stay
        process.communicate(timeout=PATIENCE_SECONDS)


def until_ready(url: str, log: Path) -> None:
    def ready() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
        return False

    until(ready, lambda: f"it gets ready:\n{log.read_text()}")


def health(installed: Installed, url: str) -> int:
    """The exit code of the image's own check."""
    port = url.rpartition(":")[2]
    [_, check] = re.split(r"CMD\s+", only(IMAGE, "HEALTHCHECK").value)
    words = [word.replace(f":{only(IMAGE, 'EXPOSE').value}/", f":{port}/") for word in json.loads(check)]
    command = [str(installed.program.with_name(words[0])), *words[1:]]
    return subprocess.run(command, env=installed.variables({}), capture_output=True, check=False).returncode


@pytest.mark.slow
class TestTheImage:
    def test_holds_the_program_and_lets_nobody_change_it(self, installed: Installed) -> None:
        installed.home()
        assert installed.run("--version").returncode == 0
        if installed.account is not None:
            look = f"import os; print(os.access({str(installed.program)!r}, os.W_OK), os.access('.', os.W_OK))"
            command = [str(installed.program.with_name("python")), "-c", look]
            told = subprocess.run(
                command, user=installed.account, cwd=installed.folder, capture_output=True, check=True
            )
            assert told.stdout.split() == [b"False", b"False"]

    def test_serves_from_an_empty_home_until_it_is_told_to_stop(self, installed: Installed) -> None:
        home = installed.home()
        with running(installed, only(IMAGE, "CMD").words, {}) as (url, log):
            until_ready(url, log)
            assert health(installed, url) == 0
        assert health(installed, url) != 0
        assert {one.name for one in home.parent.iterdir()} == {home.name}, "it wrote beside its home"

    def test_is_a_replica_too(self, installed: Installed, tmp_path: Path) -> None:
        home = installed.home()
        words = [word.replace("${MODEL:-churn}", "churn") for word in SERVICES["replica"]["command"]]
        told = installed.run(*words, "--json")
        assert told.returncode == EXIT_CODES["not_found"], told.stderr
        installed.fill(home, with_a_version_in_production(tmp_path))
        with running(installed, words, {}, ends_with={0, -signal.SIGTERM}) as (url, log):
            until_ready(url, log)
            assert health(installed, url) == 0
            row = {name: cell for name, cell in HOLDOUT_ROWS[0].items() if name != TARGET}
            said = httpx.post(f"{url}/invocations", json={"dataframe_records": [row]}, timeout=PATIENCE_SECONDS)
            assert (said.status_code, said.json()["version"], said.headers["x-model-version"]) == (200, 1, "1")
        assert not (home / "cache/environments").exists(), "the image has what the version pins"

    def test_serves_from_postgresql_and_a_bucket_as_compose_arranges_it(self, installed: Installed) -> None:
        with ExitStack() as stack:
            database, bucket = stack.enter_context(postgres_server()), stack.enter_context(s3_server())
            make_bucket(bucket, SERVICES["make-bucket"]["entrypoint"][-1].removeprefix("/data/"))
            psql("roles", database)
            installed.home()
            told = installed.run("list", "--json", **reached("server", database, bucket))
            assert json.loads(told.stdout)["error"]["code"] == "permission_refused", "it would make tables of its own"
            for _ in ("first", "again"):  # each step may be repeated, as `docker compose up` does
                psql("roles", database)
                installed.home()
                told = installed.run(*SERVICES["tables"]["command"], **reached("tables", database))
                assert told.returncode == 0, told.stderr
                psql("grants", database)
            look_at(database)
            installed.home()
            with running(installed, only(IMAGE, "CMD").words, reached("server", database, bucket)) as (url, log):
                until_ready(url, log)
                use(installed, url)
                refused_to_the_service(database)
                assert "password" not in log.read_text().lower()


def with_a_version_in_production(folder: Path) -> Path:
    """The home of a project with churn@1, made by the Holdfast of the tests."""
    with open_project(create_project(folder / "made")) as project:
        project.settings.policy_path.write_text(
            '[gate.production]\nrules = ["completeness", "integrity", "opens", "smoke"]\n'
        )
        write_csv(project.settings.project / "data/train.csv", TRAIN_ROWS)
        add_version(project, 1)
    told = holdfast("promote", "churn@1", "--to", "production", "--reason", "the first", folder=folder / "made")
    assert told.code == 0, told.err
    shutil.rmtree(folder / "made/.holdfast/cache", ignore_errors=True)
    return folder / "made/.holdfast"


def make_bucket(server: S3Server, name: str) -> None:
    boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.key,
        aws_secret_access_key=server.secret,
        region_name="us-east-1",
    ).create_bucket(Bucket=name)


def look_at(database: PostgresServer) -> None:
    """The roles and the database are what docs/how-to/postgres.md makes."""
    with closing(database.raw()) as raw:
        owners = raw.execute(
            "SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datacl::text FROM pg_database "
            "WHERE datname = 'holdfast'"
        ).fetchall()
        roles = raw.execute(
            "SELECT rolname, rolsuper OR rolcreatedb OR rolcreaterole FROM pg_roles WHERE rolname ~ '^holdfast_'"
        ).fetchall()
    [(owner, encoding, rights)] = owners
    assert (owner, encoding) == ("holdfast_owner", "UTF8")
    assert "holdfast_service=c/holdfast_owner" in rights
    assert "{=" not in rights, "everybody has rights"
    assert sorted(roles) == [("holdfast_owner", False), ("holdfast_service", False)]


def use(installed: Installed, url: str) -> None:
    """Somebody works with the server: bytes go into the bucket, and come back."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="holdfast-mine-") as mine:
        (Path(mine) / "rows.csv").write_text("age,churned\n41,0\n")
        environment = installed.variables({"HOLDFAST_URL": url, "HOME": mine, "XDG_STATE_HOME": f"{mine}/state"})
        del environment["HOLDFAST_HOME"]
        for words in (["init"], ["snapshot", "rows.csv"], ["register", "churn", "--reason", "a start"], ["list"]):
            command = [str(installed.program), *words]
            told = subprocess.run(command, cwd=mine, env=environment, capture_output=True, text=True, check=False)
            assert told.returncode == 0, told.stderr
        assert "churn@1" in told.stdout


def refused_to_the_service(database: PostgresServer) -> None:
    """The role that the server has cannot rewrite the log."""
    key = database.url("holdfast", user="holdfast_service", password=WORDS["SERVICE_PASSWORD"])
    with closing(psycopg.connect(key, autocommit=True)) as raw:
        assert raw.execute("SELECT count(*) FROM events").fetchone() != (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            raw.execute("DELETE FROM events")


def test_the_desk_waits_for_its_end_and_goes_at_once() -> None:
    [words] = [one["command"] for name, one in containers() if name == "holdfast-desk/desk"]
    process = subprocess.Popen([sys.executable, *words[1:]])
    for _ in range(3):
        assert process.poll() is None
        time.sleep(0.2)
    process.terminate()
    assert process.wait(PATIENCE_SECONDS) == 0


def test_the_grants_that_are_rehearsed_are_those_of_kubernetes() -> None:
    [mounted] = SERVICES["grants"]["volumes"]
    assert (ROOT / mounted.split(":")[0]).samefile(KUBERNETES / "migrate/grants.sql")
