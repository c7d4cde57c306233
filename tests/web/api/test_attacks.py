"""What people try who may do less than they would like: over HTTP, with no client of ours between."""

import json
from typing import Any

import pytest

from holdfast.access import Ceiling, Grant, NewToken, Pattern, Role
from holdfast.digest import hash_bytes
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import NewVerdict, NewVersion
from holdfast.registry.sql import SqlRegistry
from holdfast.web.auth import REMEMBERED_SECONDS
from tests.patience import until
from tests.web.api.people import People

pytestmark = pytest.mark.slow

PASS = [{"rule": rule, "outcome": "pass"} for rule in ("integrity", "smoke")]
PROMOTE = "stage:pointer:promote"


@pytest.fixture
def churn(people: People, embedded: SqlRegistry) -> People:
    """churn@1 and @2 by `contributor`, @3 by `approver`, fraud-cards@1 by `contributor`."""
    for model, authors in (("churn", ("contributor", "contributor", "approver")), ("fraud-cards", ("contributor",))):
        embedded.ensure_model(ModelName(model), "root")
        for number, author in enumerate(authors, 1):
            embedded.register(new_version(model, number), author)
    return people


def new_version(model: str, number: int) -> Any:
    return NewVersion(ModelName(model), digest(model, number), complete=True)


def digest(model: str, number: int) -> Any:
    return hash_bytes(f"{model} {number}".encode())


def verdict(
    people: People, number: int, stage: str = "production", model: str = "churn", outcome: str = "pass", **more: Any
) -> str:
    """A verdict, as a gate would have sent it."""
    body = {"outcome": outcome, "findings": PASS, "model": model, "version": number, "stage": stage, **more}
    new = NewVerdict(ModelName(model), VersionNumber(number), StageName(stage), outcome, body)
    sent = {"model": model, "version": number, "stage": stage, "outcome": outcome, "body": body}
    answer = people.ask("contributor", "PUT", f"/verdicts/{new.digest}", sent)
    assert answer.status_code == 200, answer.text
    return str(new.digest)


def approve(people: People, who: str, number: int, stage: str = "production", model: str = "churn", **more: Any) -> Any:
    body = {"digest": str(digest(model, number)), "stage": stage, **more}
    return people.ask(who, "POST", f"/models/{model}/versions/{number}/approvals", body)


def move(people: People, who: str, to: int, stage: str = "production", /, **more: Any) -> Any:
    body = {"to": to, "action": PROMOTE, **more}
    return people.ask(who, "POST", f"/models/churn/stages/{stage}/moves", body)


def code(answer: Any) -> str:
    return str(answer.json()["error"]["code"])


def test_a_promotion_with_all_that_is_asked_goes_through(churn: People) -> None:
    approval = approve(churn, "approver", 1).json()["id"]
    moved = move(churn, "approver", 1, verdict=verdict(churn, 1), approvals=[approval])
    assert moved.status_code == 201, moved.text
    (event,) = churn.ask("viewer", "GET", "/events", params={"limit": 1}).json()["events"]
    assert (event["actor"], event["approvals"][0]["approver"]) == ("approver", "approver")


def test_who_says_to_be_somebody_else_is_not_believed(churn: People) -> None:
    forged = {"holdfast-actor": "admin"}
    approval = approve(churn, "approver", 1).json()
    assert approval["approver"] == "approver"
    sent = {"digest": str(digest("churn", 1)), "stage": "production"}
    forged_one = churn.ask("second", "POST", "/models/churn/versions/1/approvals", sent, headers=forged).json()
    assert forged_one["approver"] == "second"
    run = churn.ask("contributor", "POST", "/runs", {"model": "churn"}, headers=forged).json()
    assert run["actor"] == "contributor"
    for more in ({"approver": "admin"}, {"created_by": "admin"}, {"actor": "admin"}, {"created_at": "2020"}):
        assert churn.ask("second", "POST", "/models/churn/versions/1/approvals", {**sent, **more}).status_code == 400


def test_a_contributor_moves_nothing(churn: People) -> None:
    approval = approve(churn, "approver", 1).json()["id"]
    ready = {"verdict": verdict(churn, 1), "approvals": [approval]}
    for action in (PROMOTE, "stage:pointer:rollback", "stage:pointer:adopt"):
        assert move(churn, "contributor", 1, action=action, **ready).status_code == 403
    for who in ("viewer", "nobody", "of-fraud", "staging"):
        assert move(churn, who, 1, **ready).status_code == 403
    assert approve(churn, "contributor", 1).status_code == 403
    assert approve(churn, "staging", 1).status_code == 403
    assert churn.ask("viewer", "GET", "/models/churn/stages/production").json()["version"] is None


def test_an_approver_of_one_stage_moves_that_one(churn: People) -> None:
    approval = approve(churn, "staging", 1, "staging").json()["id"]
    moved = move(churn, "staging", 1, "staging", verdict=verdict(churn, 1, "staging"), approvals=[approval])
    assert moved.status_code == 201, moved.text


def test_nobody_is_their_own_second_person(churn: People) -> None:
    own = approve(churn, "approver", 3).json()["id"]
    found = verdict(churn, 3)
    refused = move(churn, "approver", 3, verdict=found, approvals=[own])
    assert (refused.status_code, code(refused)) == (403, "approval_required")
    other = approve(churn, "second", 3).json()["id"]
    assert move(churn, "approver", 3, verdict=found, approvals=[own, other]).status_code == 201


def test_a_move_without_its_evidence_is_refused(churn: People) -> None:
    approval = approve(churn, "approver", 1).json()["id"]
    good = verdict(churn, 1)
    bad: list[tuple[dict[str, Any], str]] = [
        ({"approvals": [approval]}, "gate_refused"),
        ({"verdict": verdict(churn, 1, "staging"), "approvals": [approval]}, "gate_refused"),
        ({"verdict": verdict(churn, 1, outcome="fail"), "approvals": [approval]}, "gate_refused"),
        ({"verdict": verdict(churn, 1, findings=[]), "approvals": [approval]}, "gate_refused"),
        ({"verdict": verdict(churn, 1, findings=[{"rule": []}, 7]), "approvals": [approval]}, "gate_refused"),
        ({"verdict": verdict(churn, 1, findings=PASS[:1]), "approvals": [approval]}, "gate_refused"),
        ({"verdict": verdict(churn, 1, findings=[*PASS, {"rule": "x", "outcome": "fail"}]), "approvals": [approval]},
         "gate_refused"),
        ({"verdict": good}, "approval_required"),
        ({"verdict": good, "approvals": []}, "approval_required"),
        ({"verdict": verdict(churn, 2), "approvals": [approval]}, "usage"),
        ({"verdict": good, "approvals": [approve(churn, "approver", 2).json()["id"]]}, "usage"),
        ({"verdict": good, "approvals": [approve(churn, "approver", 1, "staging").json()["id"]]}, "usage"),
        ({"verdict": good, "approvals": [approve(churn, "of-fraud", 1, model="fraud-cards").json()["id"]]}, "usage"),
        ({"verdict": good, "approvals": [approve(churn, "approver", 1, meaning="reject").json()["id"]]}, "usage"),
    ]  # fmt: skip
    for more, expected in bad:
        refused = move(churn, "approver", 1, **more)
        assert (code(refused), refused.status_code >= 400) == (expected, True), (more, refused.text)
    assert churn.ask("viewer", "GET", "/models/churn/stages/production").json()["epoch"] == 0


def test_a_rejection_cannot_be_left_out(churn: People) -> None:
    approval = approve(churn, "approver", 1).json()["id"]
    approve(churn, "second", 1, meaning="reject")
    refused = move(churn, "approver", 1, verdict=verdict(churn, 1), approvals=[approval])
    assert (refused.status_code, refused.json()["error"]["rejected_by"]) == (403, ["second"])


def test_who_may_not_approve_any_more_has_not_approved(churn: People) -> None:
    approval, found = approve(churn, "second", 1).json()["id"], verdict(churn, 1)
    churn.access.grant("second", Grant(Role.CONTRIBUTOR), "root")
    refused = move(churn, "approver", 1, verdict=found, approvals=[approval])
    assert (refused.status_code, code(refused)) == (403, "approval_required")
    churn.access.grant("second", Grant(Role.APPROVER, Pattern("fraud-*")), "root")
    churn.access.revoke("second", Pattern("*"), "root")
    assert move(churn, "approver", 1, verdict=found, approvals=[approval]).status_code == 403


def test_a_machine_approves_nothing_and_may_roll_back(churn: People, embedded: SqlRegistry) -> None:
    refused = approve(churn, "machine", 1)
    assert (refused.status_code, code(refused)) == (403, "permission_refused")
    for number, expect in ((1, None), (2, 1)):
        approval = approve(churn, "approver", number).json()["id"]
        ready = {"verdict": verdict(churn, number), "approvals": [approval], "expect": expect}
        assert move(churn, "approver", number, **ready).status_code == 201
    back = move(churn, "machine", 1, action="stage:pointer:rollback", expect=2)
    assert back.status_code == 201, back.text
    assert move(churn, "machine", 3, action="stage:pointer:rollback", expect=1).status_code == 400
    assert embedded.audit_verify().ok


def test_adopting_a_stage_is_for_admins_and_only_while_it_is_empty(churn: People) -> None:
    adopt = "stage:pointer:adopt"
    assert move(churn, "approver", 1, action=adopt).status_code == 403
    assert move(churn, "of-churn", 1, action=adopt).status_code == 201
    refused = move(churn, "admin", 2, action=adopt, expect=1)
    assert (refused.status_code, code(refused)) == (403, "permission_refused")


def test_a_narrowed_token_does_no_more_than_it_was_narrowed_to(churn: People) -> None:
    def of(ceiling: Ceiling) -> str:
        return churn.access.issue(NewToken("admin", "narrow", ceiling), "root").secret

    reader, churner = of(Ceiling(Role.VIEWER)), of(Ceiling(Role.ADMIN, Pattern("churn")))
    assert churn.ask(reader, "GET", "/models/churn/stages").status_code == 200
    assert churn.ask(reader, "POST", "/models", {"model": "x"}).status_code == 403
    assert churn.ask(reader, "GET", "/users").status_code == 403
    assert churn.ask(churner, "GET", "/models/fraud-cards/stages").status_code == 403
    assert [one["model"] for one in churn.ask(churner, "GET", "/models").json()["models"]] == ["churn"]
    # ... and makes no token that does more, for itself or for others.
    for wider in ({}, {"role_max": "contributor"}, {"role_max": "viewer", "user": "second"}):
        assert churn.ask(reader, "POST", "/tokens", {"name": "wide", **wider}).status_code == 403, wider
    made = churn.ask(reader, "POST", "/tokens", {"name": "same", "role_max": "viewer", "days": 366}).json()
    mother = churn.ask(reader, "GET", "/whoami").json()
    assert made["expires_at"] == mother["expires_at"]
    assert churn.ask(made["token"], "GET", "/users").status_code == 403


def test_tokens_of_others_are_not_seen_made_or_revoked(churn: People) -> None:
    (theirs,) = churn.access.tokens("second")
    for path in ("/tokens", "/tokens?user=second"):
        assert churn.ask("approver", "GET", path).status_code == 403
    assert churn.ask("approver", "POST", "/tokens", {"name": "x", "user": "admin"}).status_code == 403
    assert churn.ask("approver", "POST", f"/tokens/{theirs.id}/revoke", {}).status_code == 403
    assert churn.ask("approver", "POST", "/tokens/none/revoke", {}).status_code == 403
    assert churn.ask("second", "POST", f"/tokens/{theirs.id}/revoke", {}).status_code == 200
    assert REMEMBERED_SECONDS < 1.0, "a revoked token is refused within a second"
    until(lambda: churn.ask("second", "GET", "/whoami").status_code == 401)


def test_an_admin_of_some_models_grants_those_and_no_others(churn: People) -> None:
    def granted(pattern: str, role: str = "admin", who: str = "of-churn") -> int:
        body = {"role": role, "pattern": pattern}
        return churn.ask(who, "POST", "/users/nobody/grants", body).status_code

    assert granted("churn") == granted("churn-eu*") == 200
    assert granted("*") == granted("fraud-cards") == granted("c*") == granted("chur*") == 403
    assert churn.ask("of-churn", "POST", "/users/nobody/grants/revoke", {"pattern": "churn"}).status_code == 200
    assert churn.ask("of-churn", "POST", "/users/admin/grants/revoke", {"pattern": "*"}).status_code == 403
    assert churn.ask("of-churn", "POST", "/users", {"user": "mine"}).status_code == 403
    assert churn.ask("of-churn", "POST", "/users/nobody/grants", {"role": "admin"}).status_code == 403
    assert (
        churn.ask("of-churn", "POST", "/users/nobody/grants", {"role": "admin", "pattern": ["churn"]}).status_code
        == 403
    )


@pytest.mark.parametrize(
    "name",
    [
        *("fraud-cards", "fraud-cards%20", "fraud-cards%00", "FRAUD-CARDS", "churn%2F..%2Ffraud-cards"),
        *("churn/../fraud-cards", "./fraud-cards", "%66raud-cards", "fraud-cards;x", "fraud-cards%0a"),
        *("*", "fraud-*", "churn%23", "fraud%2dcards"),
    ],
)
def test_no_way_of_writing_a_name_leads_past_its_grant(churn: People, name: str) -> None:
    for place in ("stages", "versions", "versions/1", "stages/production", "live", "versions/1/approvals"):
        answer = churn.ask("of-churn", "GET", f"/models/{name}/{place}")
        assert answer.status_code in {400, 403, 404}, answer.text
        assert str(digest("fraud-cards", 1)) not in answer.text


def test_a_name_is_read_once_and_by_the_route_and_its_guard_alike(churn: People) -> None:
    said = '{"model": "churn", "model": "fraud-new"}'
    kind = {"content-type": "application/json"}
    answer = churn.ask("of-churn", "POST", "/models", content=said, headers=kind)
    assert answer.status_code == 403
    twice = churn.ask("of-churn", "GET", "/events?model=churn&model=fraud-cards")
    assert twice.status_code == 403
    assert churn.ask("of-churn", "GET", "/lineage?kind=version&kind=run&name=churn@1").status_code == 403
    assert churn.ask("of-churn", "GET", "/lineage?kind=version&name=churn@1&name=fraud-cards@1").status_code == 403


def test_lists_hold_what_the_caller_may_see(churn: People, embedded: SqlRegistry) -> None:
    def models(path: str, key: str) -> set[str]:
        return {one["model"] for one in churn.ask("of-churn", "GET", path).json()[key]}

    churn.ask("of-fraud", "POST", "/runs", {"model": "fraud-cards"})
    churn.ask("of-churn", "POST", "/runs", {"model": "churn"})
    embedded.hold(digest("fraud-cards", 1), "why", "root")
    assert models("/models", "models") == models("/versions", "versions") == models("/runs", "runs") == {"churn"}
    assert models("/tenures", "tenures") <= {"churn"}
    assert churn.ask("of-churn", "GET", "/events").status_code == 403
    assert churn.ask("of-churn", "GET", "/events?model=churn").status_code == 200
    page = churn.ask("of-fraud", "GET", "/models?limit=1").json()
    assert (page["models"], page["next"]) == ([], "churn")
    kept = verdict(churn, 1, model="fraud-cards")
    assert churn.ask("of-churn", "GET", f"/verdicts/{kept}").status_code == 403
    assert churn.ask("of-fraud", "GET", f"/verdicts/{kept}").status_code == 200


def test_a_run_without_a_model_is_its_starters(churn: People) -> None:
    run = churn.ask("of-churn", "POST", "/runs", {}).json()["id"]
    for who, may in (("of-churn", 204), ("of-fraud", 403), ("viewer", 403), ("contributor", 204)):
        assert churn.ask(who, "POST", f"/runs/{run}/params", {"params": {}}).status_code == may, who
    assert churn.ask("of-fraud", "GET", f"/runs/{run}").status_code == 403
    assert churn.ask("of-fraud", "GET", "/runs").json()["runs"] == []
    assert churn.ask("of-churn", "POST", "/runs", {"model": "fraud-cards"}).status_code == 403


def test_bytes_are_for_all_who_may_read_anything_and_each_step_of_adding_is_looked_at(churn: People) -> None:
    key = f"/store/files/blobs/{str(hash_bytes(b'x'))[7:9]}/{str(hash_bytes(b'x'))[7:]}"
    for who, expected in (("nobody", 403), ("viewer", 403), ("of-churn", 201)):
        assert churn.ask(who, "PUT", key, content=b"x").status_code == expected
    assert churn.ask("viewer", "GET", key).content == b"x"
    assert churn.ask("nobody", "GET", key).status_code == churn.ask("nobody", "HEAD", key).status_code == 403
    assert churn.ask("viewer", "DELETE", key).status_code == 403
    sent = {"digest": str(hash_bytes(b"x")), "complete": True}
    assert churn.ask("viewer", "POST", "/models/churn/versions", sent).status_code == 403
    assert churn.ask("of-fraud", "POST", "/models/churn/versions", sent).status_code == 403


def test_the_key_of_somebody_elses_move_tells_nothing(churn: People) -> None:
    approval = approve(churn, "of-fraud", 1, model="fraud-cards").json()["id"]
    ready = {"verdict": verdict(churn, 1, model="fraud-cards"), "approvals": [approval]}
    done = churn.ask(
        "of-fraud", "POST", "/models/fraud-cards/stages/production/moves",
        {"to": 1, "action": PROMOTE, **ready}, headers={"idempotency-key": "k"},
    )  # fmt: skip
    assert done.status_code == 201, done.text
    assert churn.ask("of-churn", "GET", "/moves?idempotency_key=k").json() == {"move": None}
    assert churn.ask("of-fraud", "GET", "/moves?idempotency_key=k").json()["move"]["to"] == 1
    # Nor is it a way to have somebody else's move as one's own.
    again = churn.ask(
        "approver", "POST", "/models/fraud-cards/stages/production/moves",
        {"to": 1, "action": PROMOTE, **ready}, headers={"idempotency-key": "k"},
    )  # fmt: skip
    assert again.status_code == 400


def test_no_answer_and_no_event_holds_a_secret(churn: People) -> None:
    said = "".join(
        churn.ask("admin", "GET", path).text
        for path in ("/tokens", "/users", "/whoami", "/log/bodies?since=0&size=1000")
    )
    for secret in churn.secrets.values():
        assert secret[9:] not in said
    refused = churn.ask(churn.secrets["admin"][:-1] + "x", "GET", "/users")
    assert churn.secrets["admin"][9:40] not in json.dumps(refused.json())
