"""`key`, `sign` and `verify`, and the gate that asks for them."""

import json
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest

from holdfast.config import Settings
from holdfast.names import ModelName, VersionNumber
from holdfast.registry import NewSignature
from holdfast.wire import open_project
from tests.commands import Cli

POLICY = """\
[gate.production]
rules = ["integrity"]
signed_by = {keys}
signatures_min = {least}
"""


def make(cli: Cli, name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A key of this name, which signs from now on; its fingerprint."""
    made = cli.json("key", "make", "--name", name, "--folder", "keys")
    monkeypatch.setenv("HOLDFAST_SIGNING_KEY", made["private"])
    return str(made["fingerprint"])


def asked(keys: list[str], least: int = 1) -> None:
    Path("holdfast.toml").write_text(POLICY.format(keys=json.dumps(keys), least=least))


def finding(cli: Cli, outcome: str) -> Any:
    found = cli("gate", "churn@1", "--json").value
    assert found["outcome"] == outcome
    [one] = [one for one in found["findings"] if one["rule"] == "signature"]
    assert one["outcome"] == outcome, one
    return one


@pytest.mark.thorough
def test_a_version_is_signed_verified_and_let_through(
    cli: Cli, incomplete: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerprint = make(cli, "release", monkeypatch)
    assert cli.json("key", "show", "keys/release.pub")["fingerprint"] == fingerprint
    asked(["keys/release.pub"])
    assert "there is no signature" in finding(cli, "fail")["sentence"]
    assert "signed by 0 of 1" in cli.fails("integrity", "verify", "churn@1")["message"]
    made = cli.json("sign", "churn@1", "--output", "churn.sig", "--reason", "looked at it")
    assert (made["key"], made["file"]) == (fingerprint, "churn.sig")
    assert finding(cli, "pass")["sentence"] == "every file is signed by keys/release.pub"
    assert cli.json("verify", "churn@1")["keys"] == [fingerprint]
    assert cli.json("verify", "churn@1", "--key", fingerprint)["keys"] == [fingerprint]
    again = cli.json("sign", "churn@1")
    assert again["signature"] == made["signature"]
    events = cli.json("log", "churn")["events"]
    assert [(one["action"], one["reason"]) for one in events[:1]] == [("model:version:sign", "looked at it")]
    assert cli.json("audit", "verify")["ok"]
    cli.fails("already_exists", "sign", "churn@1", "--output", "churn.sig")


def test_a_checked_out_bundle_is_verified_without_any_project(
    cli: Cli, incomplete: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fingerprint = make(cli, "release", monkeypatch)
    cli.ok("sign", "churn@1", "--output", str(tmp_path / "bundle.sig"))
    cli.ok("checkout", "churn@1", str(tmp_path / "bundle"))
    key = str(incomplete / "keys/release.pub")
    monkeypatch.chdir(tmp_path)
    found = cli.json("verify", "bundle", "--key", key)
    assert (found["key"], found["files"]) == (fingerprint, 2)
    (tmp_path / "churn@1").symlink_to("bundle")
    assert cli.json("verify", "./churn@1", "--key", key, "--signature", "bundle.sig")["files"] == 2
    cli.fails("no_project", "verify", "churn@1", "--key", key)
    cli.fails("usage", "verify", "bundle")
    assert "fingerprint" in cli.fails("usage", "verify", "bundle", "--key", fingerprint)["message"]
    cli.fails("not_found", "verify", "bundle", "--key", key, "--signature", "other.sig")
    assert cli.fails("not_found", "verify", "no", "--key", key)["message"] == "there is no folder no"
    (tmp_path / "bundle/CARD.md").write_text("other")
    assert "other bytes of CARD.md" in cli.fails("integrity", "verify", "bundle", "--key", key)["message"]


@pytest.mark.thorough
def test_two_keys_are_two_and_one_key_twice_is_one(cli: Cli, incomplete: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ana = make(cli, "ana", monkeypatch)
    cli.ok("sign", "churn@1")
    cli.ok("checkout", "churn@1", "bundle")
    asked(["keys/ana.pub", "keys/bob.pub"], 2)
    assert "keys/bob.pub" in finding(cli, "inconclusive")["sentence"]
    bob = make(cli, "bob", monkeypatch)
    second_of(ana)
    found = finding(cli, "fail")
    assert (found["values"]["keys"], len(found["values"]["signatures"])) == ([ana], 2)
    assert "signed by 1 of 2 trusted keys" in found["sentence"]
    assert "signed by 1 of 2" in cli.fails("integrity", "verify", "churn@1")["message"]
    cli.ok("sign", "churn@1")
    assert set(finding(cli, "pass")["values"]["keys"]) == {ana, bob}
    asked([ana, "keys/ana.pub"], 2)
    assert "signed by 1 of 2" in finding(cli, "fail")["sentence"]
    asked([64 * "0", bob])  # a fingerprint without its algorithm is the name of a file, which is not there
    assert finding(cli, "inconclusive")["values"] == {"code": "not_found"}


def second_of(fingerprint: str) -> None:
    """The same signature by the same key, written in another way: the file has another name, and says nothing new."""
    with open_project(Settings.find(Path.cwd())) as project:
        [kept] = project.registry.signatures(ModelName("churn"), VersionNumber(1))
        assert str(kept.key) == fingerprint
        new = NewSignature(kept.model, kept.number, kept.body + b"\n", kept.public_key)
        assert new.digest != kept.digest
        project.registry.put_signature(new, "ana")


def test_a_signature_by_another_key_is_named_and_does_not_count(
    cli: Cli, incomplete: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(cli, "release", monkeypatch)
    other = make(cli, "other", monkeypatch)
    cli.ok("sign", "churn@1")
    asked(["keys/release.pub"])
    found = finding(cli, "fail")
    assert f"it is by the key {other}, which is not trusted here" in found["sentence"]
    assert "holdfast sign churn@1" in found["hint"]
    cli.fails("integrity", "verify", "churn@1", "--key", f"sha256:{64 * '0'}")


@pytest.mark.thorough
def test_a_signature_made_elsewhere_is_taken_in_when_it_fits(
    cli: Cli, incomplete: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerprint = make(cli, "release", monkeypatch)
    cli.ok("register", "other")
    cli.ok("sign", "churn@1", "--output", "churn.sig")
    cli.ok("sign", "other@1", "--output", "other.sig")
    body = json.loads(Path("churn.sig").read_text())
    [made] = body["dsseEnvelope"]["signatures"]
    raw = bytearray(b64decode(made["sig"]))
    raw[-1] ^= 1
    made["sig"] = b64encode(raw).decode()
    Path("damaged.sig").write_text(json.dumps(body))
    key = ("--key", "keys/release.pub")
    assert cli.json("sign", "churn@1", "--signature", "churn.sig", *key)["key"] == fingerprint
    for file, said in (("other.sig", "over other bytes of"), ("damaged.sig", "damaged")):
        assert said in cli.fails("integrity", "sign", "churn@1", "--signature", file, *key)["message"]
    cli.fails("usage", "sign", "churn@1", "--signature", "churn.sig")
    cli.fails("not_found", "sign", "churn@1", "--signature", "none.sig", *key)


def test_a_key_is_named_and_opened_or_nothing_is_signed(
    cli: Cli, incomplete: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOLDFAST_SIGNING_KEY", raising=False)
    assert "HOLDFAST_SIGNING_KEY" in cli.fails("usage", "sign", "churn@1")["hint"]
    monkeypatch.setenv("HOLDFAST_SIGNING_PASSPHRASE", "hunter2")
    made = cli.json("key", "make", "--folder", "keys", "--passphrase")
    cli.fails("already_exists", "key", "make", "--folder", "keys")
    monkeypatch.delenv("HOLDFAST_SIGNING_PASSPHRASE")
    assert "nobody is there" in cli.fails("usage", "sign", "churn@1", "--key", made["private"])["message"]
    cli.fails("usage", "key", "make", "--name", "more", "--folder", "keys", "--passphrase")
    monkeypatch.setenv("HOLDFAST_SIGNING_PASSPHRASE", "hunter3")
    cli.fails("permission_refused", "sign", "churn@1", "--key", made["private"])
    assert [one["action"] for one in cli.json("log", "churn")["events"]].count("model:version:sign") == 0
    monkeypatch.setenv("HOLDFAST_SIGNING_PASSPHRASE", "hunter2")
    assert cli.json("sign", "churn@1", "--key", made["private"])["key"] == made["fingerprint"]


def test_keys_are_made_in_a_folder_of_the_users_own(cli: Cli, folder: Path, tmp_path: Path) -> None:
    made = cli.json("key", "make")
    assert Path(made["private"]) == tmp_path / "home/.config/holdfast/keys/signing.key"
    assert cli.ok("key", "show", made["public"]).out.strip() == made["fingerprint"]
    cli.fails("unsupported_format", "key", "show", made["private"])


def test_a_version_is_signed_as_it_is_registered(cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.fails("usage", "register", "churn", "--sign")
    assert cli.json("list")["versions"] == []
    fingerprint = make(cli, "release", monkeypatch)
    cli.ok("register", "churn", "--sign")
    assert cli.json("verify", "churn@1", "--key", "keys/release.pub")["keys"] == [fingerprint]


@pytest.mark.parametrize(
    "text",
    [
        'signed_by = "keys/release.pub"',
        'signed_by = [""]',
        'signed_by = ["sha256:ab12"]',
        "signed_by = [1]",
        'signed_by = ["a"]\nsignatures_min = 2',
        'signed_by = ["a", "a"]\nsignatures_min = 2',
        "signatures_min = 0",
    ],
)
def test_a_policy_that_asks_for_nothing_anybody_can_give_is_refused(cli: Cli, incomplete: Path, text: str) -> None:
    Path("holdfast.toml").write_text(f"[gate.production]\n{text}\n")
    cli.fails("usage", "gate", "churn@1")


def test_a_rule_without_keys_lets_nothing_through(cli: Cli, incomplete: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(cli, "release", monkeypatch)
    cli.ok("sign", "churn@1")
    Path("holdfast.toml").write_text('[gate.production]\nrules = ["integrity", "signature"]\nsigned_by = []\n')
    assert finding(cli, "fail")["sentence"] == "the policy names no key"
    cli.fails("usage", "verify", "churn@1")


@pytest.mark.thorough
def test_signatures_travel_with_their_versions(
    cli: Cli, incomplete: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fingerprint, key = make(cli, "release", monkeypatch), str(incomplete / "keys/release.pub")
    cli.ok("remote", "add", "origin", str(tmp_path / "there"))
    assert cli.json("push")["signatures"] == 0
    cli.ok("sign", "churn@1")
    assert cli.json("push")["signatures"] == 1
    assert cli.json("push")["signatures"] == 0
    monkeypatch.chdir(tmp_path)
    assert cli.json("clone", str(tmp_path / "there"), "clone")["signatures"] == 1
    monkeypatch.chdir(tmp_path / "clone")
    assert cli.json("verify", "churn@1", "--key", key)["keys"] == [fingerprint]
    assert cli.json("pull")["signatures"] == 0
    assert cli.json("audit", "verify")["ok"]


@pytest.mark.thorough
def test_signatures_are_shown_and_come_back_from_a_backup(
    cli: Cli, incomplete: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fingerprint, key = make(cli, "release", monkeypatch), str(incomplete / "keys/release.pub")
    assert cli.json("show", "churn@1")["signatures"] == []
    made = cli.json("sign", "churn@1")
    assert cli.json("show", "churn@1")["signatures"] == [{name: made[name] for name in made if name != "file"}]
    assert fingerprint in cli.ok("show", "churn@1").out
    cli.ok("backup", "make", str(tmp_path / "place"))
    monkeypatch.chdir(tmp_path)
    cli.ok("backup", "restore", str(tmp_path / "place"), "again", "--reason", "the disk died")
    monkeypatch.chdir(tmp_path / "again")
    assert cli.json("verify", "churn@1", "--key", key)["keys"] == [fingerprint]
    assert cli.json("audit", "verify")["ok"]


@pytest.mark.thorough
def test_a_signature_that_a_remote_has_damaged_is_not_taken_in(
    cli: Cli, incomplete: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make(cli, "release", monkeypatch)
    cli.ok("remote", "add", "origin", str(tmp_path / "there"))
    cli.ok("sign", "churn@1")
    cli.ok("push")
    [file] = (tmp_path / "there/signatures/churn/000000000001").iterdir()
    good = json.loads(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    for count, wrong in enumerate(
        (
            {**good, "body": b64encode(b"none").decode()},
            {**good, "body": 1},
            {**good, "model": "other"},
            {**good, "number": 2},
            {**good, "format": "holdfast.ref"},
            {**good, "public_key": "none"},
            [good],
        )
    ):
        file.chmod(0o644)
        file.write_text(json.dumps(wrong))
        told = cli("clone", str(tmp_path / "there"), f"clone-{count}", "--json").error
        assert (told["code"], "is damaged" in told["message"]) == ("integrity", True)
