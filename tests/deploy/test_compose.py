"""compose.yaml against the schema of Compose, and against the product."""

import re
import subprocess
import sys

import pytest

from holdfast.config import VERSION
from holdfast.web.listening import _FINISH_SECONDS
from tests.deploy.written import KUBERNETES, ROOT, compose, only, stages

SERVICES = compose()["services"]
HOW_TO = ROOT / "docs/how-to"


def test_it_is_a_compose_file() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_what_must_come_first_is_waited_for() -> None:
    def before(name: str) -> dict[str, str]:
        return {other: one["condition"] for other, one in SERVICES[name].get("depends_on", {}).items()}

    done, healthy = "service_completed_successfully", "service_healthy"
    assert before("roles") == {"database": healthy}
    assert before("tables") == {"roles": done}
    assert before("grants") == {"tables": done}
    assert before("bucket") == {"make-bucket": done}
    assert before("server") == {"grants": done, "bucket": healthy}
    image = stages()[-1]
    for name in SERVICES:
        for other, condition in before(name).items():
            checked = "healthcheck" in SERVICES[other] or SERVICES[other]["image"] == f"holdfast:{VERSION}"
            assert condition == done or checked, other
            assert condition == healthy or SERVICES[other].get("restart", "on-failure").startswith("on-failure"), other
    assert only(image, "HEALTHCHECK")


def test_passwords_come_from_outside_and_a_missing_one_is_told() -> None:
    secret = re.compile(r"PASSWORD|SECRET|ROOT_SECRET_KEY")
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if secret.search(variable):
                assert re.fullmatch(r"\$\{[A-Z_]+:\?put it into \.env\}", value), f"{name}: {variable}"
            else:
                assert "${" not in value, f"{name}: {variable}"
    assert ".env" in (ROOT / ".gitignore").read_text().split()


def test_only_the_database_s_own_steps_know_the_passwords_of_its_owners() -> None:
    knows = {
        name
        for name, service in SERVICES.items()
        if re.search(r"\$\{(?:POSTGRES|OWNER)_PASSWORD", str(service.get("environment")))
    }
    assert knows == {"database", "roles", "tables", "grants"}


def test_nothing_is_reached_from_other_machines_and_names_and_bytes_from_nowhere() -> None:
    for name, service in SERVICES.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
    assert compose()["networks"]["inside"] == {"internal": True}
    for name in ("database", "bucket", "roles", "tables", "grants"):
        assert SERVICES[name]["networks"] == ["inside"], name


def test_what_we_run_can_do_nothing_but_its_work() -> None:
    ours = {name: one for name, one in SERVICES.items() if one["image"] == f"holdfast:{VERSION}"}
    assert set(ours) == {"server", "replica", "tables"}
    for name, service in ours.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        mounted = [volume.split(":")[1] for volume in service.get("volumes", [])]
        mounted += [place.split(":")[0] for place in service["tmpfs"]]
        assert {"/tmp", only(stages()[-1], "VOLUME").value} <= set(mounted), name


@pytest.mark.parametrize("name", ["server", "replica"])
def test_requests_under_way_get_their_time(name: str) -> None:
    assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) >= _FINISH_SECONDS + 10


def test_files_that_are_mounted_are_there() -> None:
    mounted = [volume.split(":") for one in SERVICES.values() for volume in one.get("volumes", [])]
    files = [parts[0] for parts in mounted if parts[0].startswith("./")]
    assert len(files) == 3
    assert [file for file in files if not (ROOT / file).is_file()] == []
    assert {parts[0] for parts in mounted} - set(files) == set(compose()["volumes"])


def test_the_service_is_granted_what_the_how_to_grants() -> None:
    [told] = re.findall(
        r"<!-- grants: begin -->\n```sql\n(.*?)```", (HOW_TO / "postgres.md").read_text(), flags=re.DOTALL
    )
    assert (KUBERNETES / "migrate/grants.sql").read_text() == told, "copy the block of docs/how-to/postgres.md"
    assert (KUBERNETES / "migrate/grants.sql").name in str(SERVICES["grants"]["command"])


def test_the_roles_and_the_database_are_those_of_the_how_to() -> None:
    told = re.search(r"```sql\n(CREATE ROLE.*?)```", (HOW_TO / "postgres.md").read_text(), flags=re.DOTALL)
    assert told is not None
    written = (ROOT / "deploy/compose/roles.sql").read_text()
    for line in told[1].splitlines():
        kind, name = re.findall(r"^(CREATE ROLE|CREATE DATABASE|REVOKE|GRANT) (\S+)", line)[0]
        if kind in {"REVOKE", "GRANT"}:
            assert line in written
        elif kind == "CREATE DATABASE":
            assert line.rstrip(";").replace("'", "''") in written
        else:
            assert f"('{name}')" in written
            assert f"ALTER ROLE {name} PASSWORD" in written
