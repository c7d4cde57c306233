"""`user`, `token`, `login`, `logout` and `whoami`: a server that asks who one is, and people who show it."""

import io
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.test_server import server
from tests.commands import Cli

pytestmark = pytest.mark.slow

SECOND_PERSON = (
    '\n[gate.production]\nrules = ["completeness", "integrity", "smoke", "approver"]\nsecond_person = true\n'
)


def secret_of(cli: Cli, user: str, *grant: str) -> str:
    """The secret of a user's fresh token; the user is made, with one grant."""
    cli.ok("user", "add", user)
    cli.ok("user", "grant", user, *grant)
    return str(cli.json("token", "create", "--user", user, "--name", "test")["token"])


@pytest.fixture
def secrets(moved: Path, cli: Cli) -> dict[str, str]:
    """Of eve, who administers, of bob, who contributes, and of ana, who approves, and made all versions."""
    (moved / "holdfast.toml").write_text(SECOND_PERSON)
    return {
        "eve": secret_of(cli, "eve", "admin"),
        "bob": secret_of(cli, "bob", "contributor", "--model", "churn"),
        "ana": secret_of(cli, "ana", "approver"),
    }


@pytest.fixture
def elsewhere(
    moved: Path, secrets: dict[str, str], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("elsewhere")
    with server(moved, "--auth") as (url, _):
        monkeypatch.setenv("HOLDFAST_URL", url)
        monkeypatch.chdir(place)
        (place / "holdfast.toml").write_text(SECOND_PERSON)
        yield place


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_who_signs_in_is_the_actor_of_what_they_do(
    cli: Cli, elsewhere: Path, secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.fails("unauthenticated", "init")
    for wrong in ("", "nonsense\n"):
        typed(monkeypatch, wrong)
        cli.fails("usage", "login")
    typed(monkeypatch, f"{secrets['eve']}\n")
    said = cli.json("login")
    kept = Path(said["kept_in"])
    assert said["user"] == "eve"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    cli.ok("init")
    assert cli.json("whoami")["grants"] == [{"role": "admin", "pattern": "*", "stages": []}]
    moved = cli.json("promote", "churn@3", "--reason", "better")
    assert moved["outcome"] == "pass"
    (event,) = cli.json("log", "--limit", "1")["events"]
    assert (event["actor"], event["approvals"][0]["approver"]) == ("eve", "eve")
    assert cli.json("logout")["forgotten"] is True
    cli.fails("unauthenticated", "list")
    assert cli.json("logout")["forgotten"] is False


def test_nobody_lets_their_own_version_through(
    cli: Cli, elsewhere: Path, secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_TOKEN", secrets["ana"])
    cli.ok("init")
    (elsewhere / "holdfast.toml").write_text(
        SECOND_PERSON.replace("true", "false")
    )  # the gate here has nothing against
    error = cli.fails("approval_required", "promote", "churn@3")
    assert (error["registered_by"], error["second_person"], error["approvers"]) == ("ana", True, [])


def test_a_contributor_is_refused_and_told_what_is_missing(
    cli: Cli, elsewhere: Path, secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_TOKEN", secrets["bob"])
    cli.ok("init")
    assert len(cli.json("list")["versions"]) == 5
    error = cli.fails("permission_refused", "promote", "churn@3")
    assert (error["user"], error["role"]) == ("bob", "approver")
    cli.fails("permission_refused", "user", "list")
    cli.fails("permission_refused", "token", "list", "--all")
    assert [one["name"] for one in cli.json("token", "list")["tokens"]] == ["test"]


def test_an_admin_says_from_anywhere_who_may_what(
    cli: Cli, elsewhere: Path, secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_TOKEN", secrets["eve"])
    cli.ok("init")
    made = cli.json("user", "add", "cleo", "--email", "cleo@example.org")
    assert (made["user"], made["grants"]) == ("cleo", [])
    cli.ok("user", "grant", "cleo", "approver", "--model", "fraud-*", "--stage", "production")
    cli.fails("already_exists", "user", "grant", "cleo", "approver", "--model", "fraud-*", "--stage", "production")
    cli.ok("user", "add", "trainer", "--service")
    cli.fails("usage", "user", "grant", "trainer", "admin")
    cli.fails("usage", "user", "grant", "cleo", "emperor")
    fresh = cli.json("token", "create", "--user", "cleo", "--role", "viewer", "--days", "1")
    assert cli.ok("token", "list", "--user", "cleo").out.count(fresh["id"]) == 1
    assert fresh["token"] not in cli.ok("token", "list", "--all").out
    assert cli.json("token", "revoke", fresh["id"])["revoked_at"] is not None
    assert "approver of fraud-* for production" in cli.ok("user", "list").out
    assert cli.json("user", "revoke", "cleo", "--model", "fraud-*")["grants"] == []
    assert cli.json("user", "disable", "cleo", "--reason", "left")["disabled_at"] is not None
    actions = [event["action"] for event in cli.json("log", "--limit", "3")["events"]]
    assert actions == ["access:user:disable", "access:grant:remove", "access:token:revoke"]


def test_tokens_that_others_may_read_are_not_used(
    cli: Cli, elsewhere: Path, secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, f"{secrets['eve']}\n")
    kept = Path(cli.json("login")["kept_in"])
    kept.chmod(0o644)
    assert "chmod 600" in cli.fails("permission_refused", "init")["hint"]
    kept.chmod(0o600)
    kept.write_text("{}")
    cli.fails("unsupported_format", "init")


def test_a_server_that_others_reach_asks_who_they_are(cli: Cli, moved: Path) -> None:
    assert moved
    assert "no admin" in cli.fails("usage", "server", "--host", "192.0.2.1")["message"]
    assert "no admin" in cli.fails("usage", "server", "--auth")["message"]
    cli.fails("usage", "server", "--host", "0.0.0.0", "--no-auth")  # noqa: S104 - what must be refused
    cli.fails("usage", "server", "--tls-key", "key.pem")
    cli.fails("usage", "server", "--tls-key", "key.pem", "--tls-certificate", "none.pem")


def test_beyond_this_machine_a_server_asks_without_being_told_and_speaks_tls(
    cli: Cli, moved: Path, secrets: dict[str, str], tmp_path: Path
) -> None:
    certificate, key = certified(tmp_path)
    tls = ("--tls-certificate", str(certificate), "--tls-key", str(key))
    with server(moved, "--host", "0.0.0.0", "--workers", "1", *tls) as (url, _):  # noqa: S104 - on purpose
        assert url.startswith("https://")
        here = url.replace("0.0.0.0", "localhost")  # noqa: S104 - likewise
        with httpx.Client(verify=_context(certificate)) as client:
            assert client.get(f"{here}/healthz").json() == {"status": "ok"}
            assert client.get(f"{here}/api/v1/models").status_code == 401
            headers = {"authorization": f"Bearer {secrets['bob']}"}
            assert client.get(f"{here}/api/v1/models", headers=headers).json()["models"][0]["model"] == "churn"


def _context(certificate: Path) -> Any:
    import ssl

    return ssl.create_default_context(cafile=certificate)


def certified(folder: Path) -> tuple[Path, Path]:
    """A certificate of localhost by itself, and its key."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    kind = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(certificate.public_bytes(kind))
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(kind, *plain))
    return folder / "cert.pem", folder / "key.pem"


def test_embedded_one_is_who_the_project_says(cli: Cli, project: Path) -> None:
    assert project
    said = cli.json("whoami")
    assert (said["url"], said["grants"]) == (None, [])
    assert json.dumps(said["user"]) in json.dumps(cli.json("log")) or said["user"]
    cli.fails("not_found", "token", "create", "--user", "nobody-known")
    cli.fails("usage", "login")
    assert cli.ok("user", "list").out.startswith("nobody is known")
