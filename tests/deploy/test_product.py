"""What the files say to the product is what the product knows: commands, options, variables, paths."""

import re
from pathlib import Path
from typing import cast

import psycopg.pq
import pytest

from holdfast.database import schema
from holdfast.database.engine import Database
from holdfast.errors import UnsupportedFormat
from holdfast.serving.replica import Replica
from holdfast.web.api import health
from holdfast.web.inference.endpoints import health_routes
from tests.commands import Cli
from tests.deploy.written import KUBERNETES, ROOT, compose, containers, kustomizations, only, stages, variables

IMAGE = stages()[-1]
SERVICES = compose()["services"]

ELSEWHERE = {"PYTHONUNBUFFERED", "PATH", "UV_CACHE_DIR", "UV_PYTHON_INSTALL_DIR"}
"""Variables of Python, of the system and of uv, as their makers document them."""


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capfd)


def commands() -> list[list[str]]:
    """Every `holdfast …` that a file has run."""
    ours = [one["command"] for one in SERVICES.values() if one["image"].startswith("holdfast:") and "command" in one]
    return [only(IMAGE, "CMD").words, *ours, *(one["args"] for _, one in containers() if "args" in one)]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_and_their_options_exist(cli: Cli, words: list[str]) -> None:
    told = cli.ok(words[0], "--help").out
    known = set(re.findall(r"--[a-z-]+", told))
    assert {word for word in words if word.startswith("--")} <= known


def given() -> set[str]:
    """The name of every variable that some file sets for the product."""
    names = set(variables(IMAGE))
    for one in SERVICES.values():
        if one["image"].startswith("holdfast:"):
            names |= set(one.get("environment", {}))
    for _, one in containers():
        names |= {row["name"] for row in one.get("env", [])}
    for folder, said in kustomizations():
        for made in said.get("configMapGenerator", []):
            for name in made.get("envs", []):
                names |= {line.partition("=")[0] for line in (folder / name).read_text().splitlines()}
    return names | set(
        re.findall(r"^  ([A-Z_]+):", (KUBERNETES / "secret.example.yaml").read_text(), flags=re.MULTILINE)
    )


def test_variables_exist() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "src/holdfast").glob("**/*.py"))
    source += (ROOT / "docs/how-to/share.md").read_text()
    libpq = {row.envvar.decode() for row in psycopg.pq.Conninfo.get_defaults() if row.envvar}
    names = given()
    assert {"HOLDFAST_DATABASE_URL", "HOLDFAST_STORE_URL", "HOLDFAST_URL", "HOLDFAST_TOKEN", "PGPASSWORD"} <= names
    unknown = {name for name in names - libpq - ELSEWHERE if not re.search(rf"[\"`]{name}[\"`]", source)}
    assert unknown == set()


def test_probes_ask_for_what_is_a_route() -> None:
    server = {getattr(route, "path", None) for route in health.routes.routes}
    replica = {getattr(route, "path", None) for route in health_routes(cast("Replica", None)).routes}
    asked = {
        name: {one[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
        for name, one in containers()
        if "readinessProbe" in one
    }
    assert asked == {
        "holdfast-server/server": {"/healthz", "/readyz"},
        "churn-production/replica": {"/healthz", "/readyz"},
    }
    assert {"/healthz", "/readyz"} <= server & replica


def test_the_policy_that_is_installed_says_the_defaults() -> None:
    text = (KUBERNETES / "base/holdfast.toml").read_text()
    assert not [line for line in text.splitlines() if line and not line.startswith(("#", "["))]


def test_a_server_that_is_open_goes_on_behind_a_newer_schema_and_one_that_starts_does_not(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'registry.db'}"
    database = Database.open(url)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.exec_driver_sql("CREATE TABLE added_later (id TEXT)")
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM events").scalar_one() == 0
    with pytest.raises(UnsupportedFormat) as caught:
        Database.open(url)
    assert caught.value.details["known"] == list(schema.KNOWN)
    database.close()
