"""`policy`: what is in force, what is set, and what a file would mean."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.commands import Cli

TODAY = datetime.now(UTC).date()
MARGIN = "[gate.production]\nmargin = 0.02\n"


def waiver(until: date, rule: str = "latency") -> str:
    return f'[[gate.production.waive]]\nrule = "{rule}"\nby = "ana"\nreason = "a slow month"\nuntil = {until}\n'


def test_without_a_policy_in_the_registry_the_file_is_in_force(cli: Cli, incomplete: Path) -> None:
    found = cli.json("policy", "show", "--stage", "production")
    assert found["origin"] == {"name": "holdfast.toml", "number": None, "model": None, "digest": None}
    assert (found["text"], list(found["stages"])) == (None, ["production"])
    assert found["stages"]["production"]["policy"]["margin"] == 0.0
    assert found["stages"]["production"]["digest"].startswith("sha256:")
    assert cli.ok("policy", "show").out.startswith("holdfast.toml  no policy is set in the registry\n")
    assert cli.json("policy", "history") == {"policies": []}
    said = cli.ok("policy", "show", "--stage", "production").out
    assert '  schema = "compatible"\n' in said
    assert "  second_person = false\n" in said
    assert "  metric = none\n" in said
    assert "archived" in cli.fails("not_found", "policy", "show", "--stage", "prod")["hint"]


@pytest.mark.thorough
def test_a_policy_is_set_with_a_reason_and_is_in_force_at_once(cli: Cli, incomplete: Path) -> None:
    file = incomplete / "all.toml"
    file.write_text(MARGIN)
    cli.fails("usage", "policy", "set", str(file))
    kept = cli.json("policy", "set", str(file), "--reason", "a little air")
    assert (kept["number"], kept["model"], kept["text"], kept["reason"]) == (1, None, MARGIN, "a little air")
    assert "policy 1 of the registry" in cli.ok("policy", "show").out
    assert cli.ok("policy", "show").out.endswith(MARGIN)
    assert cli.json("policy", "show", "--model", "churn")["stages"]["production"]["policy"]["margin"] == 0.02
    file.write_text(MARGIN.replace("0.02", "0.01"))
    cli.fails("already_exists", "policy", "set", str(file), "--reason", "less", "--expect", "0", expected=0, found=1)
    own = cli.json("policy", "set", str(file), "--reason", "it is large", "--model", "churn")
    assert (own["number"], own["model"]) == (1, "churn")
    assert [one["reason"] for one in cli.json("policy", "history", "--model", "churn")["policies"]] == ["it is large"]
    said = cli.ok("policy", "history").out
    assert "a little air" in said
    assert [one["action"] for one in cli.json("log", "--limit", "2")["events"]] == ["gate:policy:set"] * 2
    assert cli.json("audit", "verify")["ok"] is True


def test_a_file_that_asks_something_else_than_the_registry_is_refused(cli: Cli, incomplete: Path) -> None:
    file = incomplete / "all.toml"
    file.write_text(MARGIN)
    cli.ok("policy", "set", str(file), "--reason", "one for all")
    (incomplete / "holdfast.toml").write_text("[gate.production]\nmargin = 0.5\n")
    error = cli.fails("usage", "gate", "churn@1")
    assert error["message"].startswith("holdfast.toml asks margin = 0.5 of production, and policy 1 of the registry")
    cli.fails("usage", "policy", "check", "holdfast.toml")
    (incomplete / "holdfast.toml").write_text(MARGIN)
    assert cli("gate", "churn@1", "--json").value["outcome"] == "fail"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[gate.production]\nmargn = 1", "margn"),
        ("[retention]\nversions = 2", "no effect in a registry"),
        ("[model.fraud.gate.production]\nmargin = 0.1", "is for churn alone"),
        (waiver(date(9999, 12, 31)), "more than 366 days ahead"),
    ],
)
def test_what_cannot_be_in_force_is_not_set(cli: Cli, incomplete: Path, text: str, says: str) -> None:
    (incomplete / "p.toml").write_text(text)
    error = cli.fails("usage", "policy", "set", "p.toml", "--reason", "why", "--model", "churn")
    assert says in error["message"]
    assert cli.json("policy", "history", "--model", "churn") == {"policies": []}


def test_a_file_is_checked_and_its_waivers_are_told(cli: Cli, incomplete: Path) -> None:
    text = waiver(TODAY + timedelta(days=9)) + waiver(TODAY - timedelta(days=1), "groups")
    (incomplete / "p.toml").write_text(f"[retention]\nversions = 2\n{text}")
    said = cli.ok("policy", "check", "p.toml").out
    assert f"latency waived by ana, until {TODAY + timedelta(days=9)}" in said
    assert f"groups waived by ana, ended with {TODAY - timedelta(days=1)}: no effect" in said
    [stage] = [one for one in cli.json("policy", "check", "p.toml")["stages"] if one["table"] == "gate.production"]
    assert [one["stands"] for one in stage["waivers"]] == [True, False]
    (incomplete / "p.toml").write_text(waiver(TODAY + timedelta(days=999)))
    assert "[gate.production] waives latency" in cli.fails("usage", "policy", "check", "p.toml")["message"]
    (incomplete / "p.toml").write_bytes(b"\xff")
    assert "is not UTF-8" in cli.fails("usage", "policy", "check", "p.toml")["message"]
    cli.fails("not_found", "policy", "check", "nowhere.toml")


@pytest.mark.slow
def test_a_promotion_that_rests_on_a_waiver_says_so_everywhere(cli: Cli, moved: Path) -> None:
    rules = '[gate.production]\nrules = ["completeness", "integrity", "opens", "smoke", "not_worse", "approver"]\n'
    (moved / "holdfast.toml").write_text(rules + waiver(TODAY + timedelta(days=9), "not_worse"))
    assert cli.ok("gate", "churn@4").out.startswith("passed with 1 waiver: churn@4 for production\n")
    said = cli.ok("promote", "churn@4", "--reason", "the labels are wrong").out
    assert "passed with 1 waiver)" in said.splitlines()[0]
    assert f"waived by ana until {TODAY + timedelta(days=9)}: a slow month" in said
    for command in (["live", "churn"], ["history", "churn"], ["log", "churn"], ["show", "churn@4"]):
        assert "passed with 1 waiver" in cli.ok(*command).out
    [waived] = cli.json("live", "churn")["stages"]["production"]["waived"]
    assert (waived["rule"], waived["by"]) == ("not_worse", "ana")
    assert cli.json("history", "churn")["spells"][0]["waived"] == [waived]
    assert cli.json("show", "churn@4")["waived"] == {"production": [waived]}
    assert cli.json("log", "--limit", "1")["events"][0]["details"] == {"waived": [waived]}
