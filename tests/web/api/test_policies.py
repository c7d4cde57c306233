"""The registry's policy on a server that knows people: who sets it, and what its waivers and groups let through."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from holdfast.access import Grant, Role
from holdfast.canonical import JsonObject
from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.flow.gate import Policy
from holdfast.names import ModelName
from holdfast.registry import NewVersion
from holdfast.registry.sql import SqlRegistry
from holdfast.wire.people import asked_of_move
from tests.web.api.conftest import served
from tests.web.api.people import People
from tests.web.api.test_attacks import approve, code, move, verdict

pytestmark = pytest.mark.slow

RULES = ("completeness", "integrity", "latency", "groups", "approver")
BASE = f"[gate.production]\nrules = {list(RULES)}\nsecond_person = true\n".replace("'", '"')
TODAY = datetime.now(UTC).date()


def waiver(by: str, rule: str = "latency", until: date = TODAY + timedelta(days=30)) -> str:
    return f'[[gate.production.waive]]\nrule = "{rule}"\nby = "{by}"\nreason = "a slow month"\nuntil = {until}\n'


def told(by: str, rule: str = "latency", until: date = TODAY + timedelta(days=30)) -> JsonObject:
    return {"rule": rule, "by": by, "reason": "a slow month", "until": until.isoformat()}


@pytest.fixture
def churn(database: Database, embedded: SqlRegistry, tmp_path: Path) -> Iterator[People]:
    """churn@1 by `contributor`, @2 by `second`, on a server that reads the registry's policy as servers do."""
    embedded.ensure_model(ModelName("churn"), "root")
    for number, author in enumerate(("contributor", "second"), 1):
        embedded.register(NewVersion(ModelName("churn"), hash_bytes(f"churn {number}".encode()), complete=True), author)
    local = Policy.parse(BASE, where="holdfast.toml")
    with served(database, tmp_path, partial(asked_of_move, local, folder=tmp_path)) as found:
        yield found
        found.client.close()


def put(people: People, who: str, text: str, **more: Any) -> Any:
    return people.ask(who, "POST", "/policies", {"text": text, "reason": "why", **more})


def judged(people: People, number: int = 1, **outcomes: str) -> str:
    """A verdict that says `pass`, whatever its findings say, under the policy that is in force."""
    kept = people.ask("viewer", "GET", "/policies/in-force", params={"model": "churn"}).json()["policy"]
    findings = [{"rule": rule, "outcome": outcomes.get(rule, "pass")} for rule in RULES]
    return verdict(people, number, findings=findings, policy_origin={"digest": kept and kept["digest"]})


def promote(people: People, found: str, number: int = 1, waived: list[JsonObject] | None = None) -> Any:
    approval = approve(people, "approver", number).json()["id"]
    details = {} if waived is None else {"waived": waived}
    return move(people, "approver", number, verdict=found, approvals=[approval], details=details)


def test_only_an_admin_of_what_it_is_for_sets_a_policy(churn: People) -> None:
    for who in ("nobody", "viewer", "contributor", "approver", "of-churn", "machine"):
        assert put(churn, who, BASE).status_code == 403
    for who in ("approver", "of-fraud"):
        assert put(churn, who, BASE, model="churn").status_code == 403
    assert put(churn, "of-churn", BASE, model="churn").status_code == 201
    answer = put(churn, "admin", BASE)
    assert (answer.status_code, answer.json()["by"], answer.json()["number"]) == (201, "admin", 1)
    assert churn.ask("of-fraud", "GET", "/policies/in-force", params={"model": "churn"}).status_code == 403


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[gate.production", "is not TOML"),
        ("[gate.production]\nmargn = 1", "unknown key"),
        ("[gate.production]\nrules = []", "has no rules"),
        ("[retention]\nversions = 1", "no effect in a registry"),
        (BASE + waiver("admin", until=date(9999, 12, 31)), "more than 366 days ahead"),
        (BASE + waiver("admin", rule="integrity"), "which nobody can waive"),
        (BASE + waiver("admin\u202e"), "not valid"),
    ],
    ids=["no TOML", "misspelt", "no rules", "of a project", "for ever", "of integrity", "reversed"],
)
def test_a_server_takes_no_policy_that_cannot_be_in_force(churn: People, text: str, says: str) -> None:
    answer = put(churn, "admin", text)
    assert (answer.status_code, code(answer)) == (400, "usage"), answer.text
    assert says in answer.json()["error"]["message"]
    assert churn.ask("admin", "GET", "/policies").json() == {"policies": []}


def test_nobody_has_somebody_else_answer_for_a_version(churn: People) -> None:
    refused = put(churn, "admin", BASE + waiver("approver"))
    assert (refused.status_code, code(refused)) == (403, "permission_refused")
    assert put(churn, "admin", BASE + waiver("admin")).status_code == 201
    churn.access.grant("approver", Grant(Role.ADMIN), "root")
    assert put(churn, "approver", BASE + waiver("admin") + waiver("approver", "groups"), expect=1).status_code == 201
    changed = waiver("admin", until=TODAY + timedelta(days=31))
    assert put(churn, "approver", BASE + changed, expect=2).status_code == 403


def test_a_promotion_rests_on_the_waivers_of_the_policy_and_its_event_says_so(churn: People) -> None:
    assert put(churn, "admin", BASE + waiver("admin")).status_code == 201
    found = judged(churn, latency="fail")
    for named in (None, [], [told("ana")], [told("admin"), told("admin", "groups")]):
        assert code(promote(churn, found, waived=named)) == "gate_refused"
    assert promote(churn, found, waived=[told("admin")]).status_code == 201
    held = churn.ask("viewer", "GET", "/models/churn/live").json()["stages"]["production"]
    assert held["waived"] == [told("admin")]


def test_what_the_policy_does_not_waive_or_group_is_no_pass_whatever_a_verdict_says(churn: People) -> None:
    before = judged(churn, latency="fail")
    for waived in (None, [told("approver")]):
        assert code(promote(churn, before, waived=waived)) == "gate_refused"
    assert put(churn, "admin", BASE + waiver("admin")).status_code == 201
    for bad in (before, judged(churn, groups="fail"), judged(churn, latency="fail", groups="inconclusive")):
        assert code(promote(churn, bad, waived=[told("admin")])) == "gate_refused"
    grouped = BASE.replace('"latency", "groups", ', "") + 'any_of = [["latency", "groups"]]\n'
    assert put(churn, "admin", grouped, expect=1).status_code == 201
    assert code(promote(churn, judged(churn, latency="fail", groups="inconclusive"))) == "gate_refused"
    assert promote(churn, judged(churn, latency="fail")).status_code == 201


def test_who_registered_a_version_or_may_not_approve_it_waives_nothing_of_it(churn: People) -> None:
    churn.access.grant("second", Grant(Role.ADMIN), "root")
    assert put(churn, "second", BASE + waiver("second")).status_code == 201
    own = promote(churn, judged(churn, 2, latency="fail"), 2, [told("second")])
    assert (code(own), own.json()["error"]["waived_by"]) == ("approval_required", "second")
    churn.access.grant("second", Grant(Role.CONTRIBUTOR), "root")
    gone = promote(churn, judged(churn, 1, latency="fail"), 1, [told("second")])
    assert (code(gone), gone.json()["error"]["waived_by"]) == ("approval_required", "second")
    churn.access.grant("second", Grant(Role.APPROVER), "root")
    assert promote(churn, judged(churn, 1, latency="fail"), 1, [told("second")]).status_code == 201


def test_a_verdict_without_a_rule_of_the_policy_is_refused_even_where_one_person_is_enough(churn: People) -> None:
    assert put(churn, "admin", BASE.replace("true", "false")).status_code == 201
    kept = churn.ask("viewer", "GET", "/policies/in-force").json()["policy"]["digest"]
    findings = [{"rule": rule, "outcome": "pass"} for rule in ("integrity", "approver")]
    bare = verdict(churn, 1, findings=findings, policy_origin={"digest": kept})
    refused = promote(churn, bare)
    assert (code(refused), refused.json()["error"]["lacking"]) == (
        "gate_refused",
        ["completeness", "groups", "latency"],
    )


def test_a_verdict_against_a_version_that_no_longer_holds_the_stage_lets_nothing_through(churn: People) -> None:
    findings = [{"rule": rule, "outcome": "pass"} for rule in RULES]
    stale = verdict(churn, 1, findings=findings, inputs={"baseline": {"version": 2, "digest": "sha256:…"}})
    refused = promote(churn, stale)
    assert (code(refused), refused.json()["error"]["verdict"]) == ("gate_refused", stale)
    assert promote(churn, verdict(churn, 1, findings=findings, inputs={"baseline": None})).status_code == 201


def test_groups_that_hold_do_not_stand_in_for_one_between_them(churn: People) -> None:
    groups = '[["latency", "groups"], ["groups", "holdout"], ["holdout", "card"]]'
    text = f'[gate.production]\nrules = ["completeness", "approver"]\nsecond_person = true\nany_of = {groups}\n'
    assert put(churn, "admin", text).status_code == 201
    kept = churn.ask("viewer", "GET", "/policies/in-force").json()["policy"]["digest"]

    def judged_so(**outcomes: str) -> str:
        rules = ("completeness", "latency", "groups", "holdout", "card", "approver")
        findings = [{"rule": rule, "outcome": outcomes.get(rule, "pass")} for rule in rules]
        return verdict(churn, 1, findings=findings, policy_origin={"digest": kept})

    assert code(promote(churn, judged_so(groups="fail", holdout="fail"))) == "gate_refused"
    assert promote(churn, judged_so(latency="fail", holdout="fail")).status_code == 201
