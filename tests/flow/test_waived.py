"""Promotions that rest on waivers, on groups of rules, and on the policy of the registry."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.errors import GateRefused, UsageError
from holdfast.flow.explain import explain
from holdfast.flow.gate import GateRequest, Outcome, Policy, Workbench, gate
from holdfast.flow.promote import Promotion, promote
from holdfast.names import Reference
from holdfast.registry import NewPolicy
from holdfast.wire import Project
from tests.projects import CHURN, PRODUCTION, ask, moves_and_events_agree

pytestmark = pytest.mark.slow

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
RULES = '[gate.production]\nrules = ["completeness", "integrity", "opens", "smoke", "not_worse", "approver"]\n'
WAIVER = """
[[gate.production.waive]]
rule = "not_worse"
by = "ben"
reason = "the labels of March are known to be wrong"
until = 2026-03-31
"""
TOLD = {"by": "ben", "reason": "the labels of March are known to be wrong", "until": "2026-03-31"}


def asked(number: int, text: str, at: datetime = NOW) -> GateRequest:
    return replace(ask(number, policy=Policy.parse(text, where="holdfast.toml")), at=at)


def test_a_waived_rule_lets_a_version_through_and_is_told_wherever_one_looks(churn: Project, bench: Workbench) -> None:
    promote(Promotion(asked(1, RULES)), bench, churn.registry)
    with pytest.raises(GateRefused):
        promote(Promotion(asked(4, RULES)), bench, churn.registry)
    promoted = promote(Promotion(asked(4, RULES + WAIVER)), bench, churn.registry)
    waived = [{"rule": "not_worse", **TOLD}]
    assert promoted.to_json()["outcome"] == "pass"
    assert promoted.to_json()["waived"] == waived
    [finding] = [one for one in promoted.to_json()["findings"] if one["rule"] == "not_worse"]
    assert (finding["outcome"], finding["waived"]) == ("fail", TOLD)
    assert promoted.move.verdict is not None
    body = churn.registry.verdict(promoted.move.verdict).body
    assert (body["outcome"], body["waived"]) == ("pass", waived)
    assert body["policy"]["waive"] == [{"rule": "not_worse", **TOLD, "versions": []}]
    assert body["policy_digest"] == str(Policy.parse(RULES + WAIVER, where="").for_stage(CHURN, PRODUCTION).digest)
    assert body["policy_origin"] == {"name": "holdfast.toml", "number": None, "model": None, "digest": None}
    assert churn.registry.log(limit=1)[0].details == {"waived": waived}
    held = churn.registry.live(CHURN).stages["production"]
    assert held is not None
    assert list(held.waived) == waived
    assert [list(one.waived) for one in churn.registry.history(CHURN)] == [waived, []]
    shown = explain(Reference.parse("churn@production"), churn.registry, churn.store).to_json()
    assert shown["waived"] == {"production": waived}
    moves_and_events_agree(churn)


def test_a_waiver_that_has_ended_or_never_should_has_no_effect(churn: Project, bench: Workbench) -> None:
    promote(Promotion(asked(1, RULES)), bench, churn.registry)
    late = gate(asked(4, RULES + WAIVER, NOW + timedelta(days=31)), bench, churn.registry)
    assert late.outcome is Outcome.FAIL
    [finding] = [one for one in late.findings if one.rule == "not_worse"]
    assert "The waiver of ben ended with 2026-03-31 and has no effect." in finding.hint
    with pytest.raises(UsageError, match="more than 366 days ahead"):
        gate(asked(4, RULES + WAIVER.replace("2026-03-31", "9999-12-31")), bench, churn.registry)


def test_one_rule_stands_in_for_another_and_the_refusal_names_what_is_left(churn: Project, bench: Workbench) -> None:
    promote(Promotion(asked(1, RULES)), bench, churn.registry)
    text = RULES.replace('"smoke", "not_worse"', '"opens"') + 'any_of = [["smoke", "not_worse"]]\n'
    verdict = gate(asked(4, text), bench, churn.registry)
    assert verdict.outcome is Outcome.PASS
    assert verdict.to_json()["any_of"] == [{"rules": ["smoke", "not_worse"], "outcome": "pass"}]
    assert {one.rule: one.outcome for one in verdict.findings}["not_worse"] is Outcome.FAIL
    text = text.replace('["smoke", "not_worse"]', '["groups", "not_worse"]')
    with pytest.raises(GateRefused, match=r"not_worse: .*groups: |groups: .*not_worse: |not_worse: "):
        promote(Promotion(asked(4, text)), bench, churn.registry)


def test_the_policy_of_the_registry_is_what_a_promotion_rests_on(churn: Project, bench: Workbench) -> None:
    kept = churn.registry.set_policy(NewPolicy(RULES + "margin = 0.02\n", None, "one for all"), "ana")
    promoted = promote(Promotion(asked(1, "")), bench, churn.registry)
    assert promoted.move.verdict is not None
    body = churn.registry.verdict(promoted.move.verdict).body
    assert body["policy"]["margin"] == 0.02
    assert body["policy_origin"] == {
        "name": "policy 1 of the registry",
        "number": 1,
        "model": None,
        "digest": str(kept.digest),
    }
    assert promote(Promotion(asked(2, "[gate.production]\nmargin = 0.02")), bench, churn.registry).move.to_number == 2
    with pytest.raises(UsageError, match=r"asks margin = 0.5 of production, and policy 1 of the registry"):
        gate(asked(3, "[gate.production]\nmargin = 0.5"), bench, churn.registry)
    with pytest.raises(UsageError, match="asks waive = "):
        gate(asked(4, WAIVER), bench, churn.registry)
