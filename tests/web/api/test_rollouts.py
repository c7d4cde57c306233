"""Who may begin a rollout over HTTP, who may end it, and who hears of it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from holdfast.canonical import encode
from holdfast.digest import hash_bytes
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import (
    Action,
    MoveStage,
    NewRollout,
    NewVersion,
    RolloutKind,
    RolloutState,
    RouteMark,
    Turn,
)
from holdfast.registry.http import HttpRegistry
from holdfast.registry.sql import SqlRegistry
from tests.web.api.people import People

pytestmark = pytest.mark.slow

CHURN, PRODUCTION = ModelName("churn"), StageName("production")
ONE, TWO = VersionNumber(1), VersionNumber(2)
CANARY = NewRollout(RolloutKind.CANARY, CHURN, PRODUCTION, TWO, ONE, {}, "why")
ROLLOUTS = "/models/churn/stages/production/rollouts"
LONG = 60.0
"""Far longer than an answer takes: one that comes was not the end of the wait."""

PASS = [{"rule": rule, "outcome": "pass"} for rule in ("integrity", "smoke")]


@pytest.fixture
def begun(embedded: SqlRegistry) -> SqlRegistry:
    embedded.ensure_model(CHURN, "ana")
    for text in (b"1", b"2"):
        embedded.register(NewVersion(CHURN, hash_bytes(text), complete=True), "ana")
    embedded.move_stage(MoveStage(CHURN, PRODUCTION, ONE, None, Action.STAGE_ADOPT), "ana")
    return embedded


def test_who_waits_hears_of_a_rollout_of_each_turn_and_of_a_move(registry: HttpRegistry, begun: SqlRegistry) -> None:
    known = registry.route_mark(CHURN, PRODUCTION)
    assert known == RouteMark(1, 0)
    with ThreadPoolExecutor(1) as waiting:

        def after(change: Any) -> tuple[RouteMark, Any]:
            asked = waiting.submit(registry.route_mark, CHURN, PRODUCTION, known=known, wait_seconds=LONG)
            made = change()  # by another process, as far as the server knows
            return asked.result(LONG / 2), made

        known, rollout = after(lambda: begun.begin_rollout(CANARY, "ana"))
        assert known == RouteMark(1, rollout.event)
        turn = Turn(rollout.id, rollout.event, RolloutState.ABORTED, 0, "why", {})
        known, rollout = after(lambda: begun.turn_rollout(turn, "ana"))
        assert known == RouteMark(1, rollout.event)
        move = MoveStage(CHURN, PRODUCTION, TWO, ONE, Action.STAGE_PROMOTE)
        known, _ = after(lambda: begun.move_stage(move, "ana"))
        assert known == RouteMark(2, rollout.event)


def test_a_mark_that_is_known_has_no_body(url: str, begun: SqlRegistry) -> None:
    where = f"{url}/api/v1/models/churn/stages/production/mark"
    first = httpx.get(where)
    assert first.json() == {"epoch": 1, "rollout": 0}
    again = httpx.get(where, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    begun.begin_rollout(CANARY, "ana")
    assert httpx.get(where, headers={"if-none-match": first.headers["etag"]}).status_code == 200


@pytest.fixture
def churn(people: People, embedded: SqlRegistry, begun: SqlRegistry) -> People:
    """A server that asks who one is."""
    assert begun is embedded
    return people


def verdict(people: People, findings: list[dict[str, str]], outcome: str = "pass") -> str:
    """As a gate of the contributor's would give it for version 2."""
    body = {
        "model": "churn",
        "version": 2,
        "stage": "production",
        "outcome": outcome,
        "findings": findings,
        "inputs": {"baseline": {"version": 1}},
    }
    about = {"model": "churn", "version": 2, "stage": "production", "outcome": outcome, "body": body}
    digest = str(hash_bytes(encode(body)))
    kept = people.ask("contributor", "PUT", f"/verdicts/{digest}", about)
    assert kept.status_code == 200, kept.text
    return digest


def begin(people: People, who: str, kind: str = "shadow", **more: Any) -> httpx.Response:
    return people.ask(who, "POST", ROLLOUTS, {"kind": kind, "version": 2, "expect": 1, "plan": {}, **more})


def turn(people: People, who: str, found: dict[str, Any], state: str, step: int = 0) -> httpx.Response:
    body = {"expect": found["event"], "state": state, "step": step, "reason": "why"}
    return people.ask(who, "POST", f"/rollouts/{found['rollout']}/turns", body)


def test_a_canary_is_begun_by_a_person_who_may_promote_on_a_verdict_that_passed(churn: People) -> None:
    good = verdict(churn, PASS)
    for who in ("viewer", "contributor", "staging", "of-fraud", "machine"):
        assert begin(churn, who, "canary", verdict=good).status_code == 403, who
    for bad in (None, verdict(churn, PASS[:1]), verdict(churn, PASS, "fail")):
        refused = begin(churn, "approver", "canary", verdict=bad)
        assert refused.json()["error"]["code"] == "gate_refused"
    unapproved = verdict(churn, [*PASS, {"rule": "approver", "outcome": "fail"}], "fail")
    begun = begin(churn, "approver", "canary", verdict=unapproved)
    assert turn(churn, "contributor", begun.json(), "aborted").status_code == 201
    begun = begin(churn, "approver", "canary", verdict=good)
    assert (begun.status_code, begun.json()["changed_by"]) == (201, "approver"), begun.text
    assert turn(churn, "contributor", begun.json(), "aborted").status_code == 201
    against = {"digest": str(hash_bytes(b"2")), "stage": "production", "meaning": "reject", "reason": "too slow"}
    assert churn.ask("second", "POST", "/models/churn/versions/2/approvals", against).status_code == 201
    assert begin(churn, "approver", "canary", verdict=good).json()["error"]["code"] == "approval_required"
    assert begin(churn, "machine").status_code == 201  # nobody gets the answers of a shadow


def test_who_reports_as_a_replica_stops_a_rollout_where_it_stands_and_does_nothing_else_to_it(churn: People) -> None:
    found = begin(churn, "approver").json()
    for who in ("viewer", "nobody", "of-fraud"):
        assert turn(churn, who, found, "aborted").status_code == 403, who
    for state, step in (("running", 1), ("running", 0), ("passed", 0), ("stopped", 0), ("held", 1), ("aborted", 2)):
        for who in ("contributor", "staging"):
            assert turn(churn, who, found, state, step).status_code == 403, (who, state, step)
    held = turn(churn, "contributor", found, "held")
    assert (held.status_code, held.json()["changed_by"]) == (201, "contributor"), held.text
    assert turn(churn, "contributor", held.json(), "running").status_code == 403
    again = turn(churn, "machine", held.json(), "running", 1)
    assert (again.status_code, again.json()["step"]) == (201, 1)
    assert turn(churn, "contributor", found, "aborted", 1).json()["error"]["code"] == "stage_moved"
    assert turn(churn, "contributor", again.json(), "aborted", 1).status_code == 201


def test_what_was_right_is_not_for_every_viewer(churn: People) -> None:
    said = {"truths": [{"request": "a", "value": True}]}
    assert churn.ask("viewer", "POST", "/models/churn/truths", said).status_code == 403
    assert churn.ask("contributor", "POST", "/models/churn/truths", said).json() == {"index": 1}
    assert churn.ask("viewer", "GET", "/models/churn/truths").status_code == 403
    [one] = churn.ask("contributor", "GET", "/models/churn/truths").json()["truths"]
    assert one == {"request": "a", "place": 0, "value": True, "index": 1}


@pytest.mark.parametrize("rollout", ["x", "-1", "1e3", "9" * 40, "٣"])
def test_what_is_no_rollout_is_refused_as_what_it_is(churn: People, rollout: str) -> None:
    assert churn.ask("viewer", "GET", f"/rollouts/{rollout}").status_code in {400, 404}
    assert churn.ask("nobody", "GET", f"/rollouts/{rollout}").status_code in {403, 404}


@pytest.mark.parametrize(
    "value", [None, [1], {"a": 1}, 2**60], ids=["nothing", "a list", "a mapping", "past what JSON carries"]
)
def test_a_truth_that_is_no_class_and_no_number_is_refused(churn: People, value: Any) -> None:
    said = {"truths": [{"request": "a", "value": value}]}
    assert churn.ask("contributor", "POST", "/models/churn/truths", said).status_code == 400
