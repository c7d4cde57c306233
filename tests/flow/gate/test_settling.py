"""What needs no worker is judged first: a gate that is lost by then opens nothing, and says the same in the end."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import GateRefused
from holdfast.flow.gate import Outcome, Policy, Workbench, gate
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.composing import with_waivers
from holdfast.flow.gate.finding import overall
from holdfast.flow.gate.replay import Standing, replay
from holdfast.flow.gate.settling import finding_of, needs_worker, settled
from holdfast.flow.gate.stage_policy import StagePolicy
from holdfast.flow.gate.waivers import Waiver
from holdfast.flow.promote import Promotion, promote
from holdfast.parts import Missing
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.wire import Project
from tests.flow.gate.cases import case, manifest, without_answer, wrong_at
from tests.projects import ask

HALF = manifest(data_slice=Missing("data_slice", "nothing was frozen"))
"""Of a version that can be opened, and lacks a part all the same."""

RULES = ("completeness", "integrity", "semver", "not_worse", "metrics_min", "leakage", "card", "approver")

LOST = Policy.parse(
    '[gate.production]\nrules = ["completeness", "integrity", "opens", "smoke", "not_worse", "approver"]',
    where="policy",
)


def lacking(found: Case, **policy: Any) -> Case:
    """The case of a version without its data, before it is opened."""
    return replace(without_answer(found), manifest=HALF, policy=StagePolicy(**policy))


def waiver(rule: str) -> Waiver:
    return Waiver(rule, "ana", "she answers for it", case().at.date() + timedelta(days=5))


def outcome_of(found: Case) -> Outcome:
    findings = tuple(finding_of(rule, found) for rule in found.policy.rules)
    waived = with_waivers(findings, found.policy, found.candidate.number, found.at.date())
    return overall(waived, found.policy.any_of)


@settings(deadline=None)
@given(
    rules=st.sets(st.sampled_from(RULES), min_size=1),
    is_whole=st.booleans(),
    answers=st.sampled_from([None, wrong_at(), wrong_at(*range(60))]),
    waived=st.sets(st.sampled_from(["semver", "not_worse", "leakage", "card"])),
    grouped=st.sets(st.sampled_from(["semver", "not_worse", "metrics_min", "leakage", "card"])),
)
def test_what_is_decided_before_the_bundle_is_opened_is_what_every_rule_together_comes_to(
    rules: set[str], is_whole: bool, answers: Any, waived: set[str], grouped: set[str]
) -> None:
    group = tuple(rule for rule in RULES if rule in grouped & rules)
    policy = StagePolicy(
        rules=tuple(rule for rule in RULES if rule in rules),
        any_of=(group,) if len(group) > 1 else (),
        waive=tuple(waiver(rule) for rule in sorted(waived)),
        metrics_min={"accuracy": 0.9},
    )
    opened = replace(case(answers, wrong_at()), policy=policy, manifest=case().manifest if is_whole else HALF)
    early = settled(without_answer(opened))
    if early.settled:
        assert outcome_of(opened) is outcome_of(early) is Outcome.FAIL
        assert not any(needs_worker(rule) or rule == "approver" for rule in early.settled)
    assert ("completeness" in early.settled) == ("completeness" in rules and not is_whole)


def test_the_rules_that_were_not_asked_say_which_one_decided_and_how_to_ask_them() -> None:
    found = settled(lacking(case(), rules=("completeness", "opens", "card")))
    opens = finding_of("opens", found)
    assert opens.outcome is Outcome.INCONCLUSIVE
    assert opens.sentence == "not asked: completeness and card fail, and nothing outweighs that"
    assert opens.hint.endswith("holdfast gate churn@2 --to production --all-rules")
    assert finding_of("card", found).outcome is Outcome.FAIL


def test_a_comparison_that_was_not_made_does_not_pass_for_want_of_somebody_to_compare_with() -> None:
    found = settled(lacking(case(), rules=("completeness", "not_worse", "metrics_min")))
    assert {finding_of(rule, found).outcome for rule in ("not_worse", "metrics_min")} == {Outcome.INCONCLUSIVE}


@pytest.mark.parametrize("policy", [{"waive": (waiver("card"),)}, {"any_of": (("card", "latency"),)}])
def test_what_a_waiver_or_a_group_may_outweigh_decides_nothing_yet(policy: Any) -> None:
    found = without_answer(replace(case(), policy=StagePolicy(rules=("latency", "card"), **policy)))
    assert settled(replace(found, policy=StagePolicy(rules=("latency", "card")))).settled == ("card",)
    assert settled(found).settled == ()


def test_a_rejection_is_for_people_and_decides_nothing_early() -> None:
    rejected = without_answer(
        replace(case(), actor="", policy=StagePolicy(rules=("approver", "opens"), approvals_min=9))
    )
    assert finding_of("approver", rejected).outcome is Outcome.FAIL
    assert settled(rejected).settled == ()


def never(files: BundleFiles) -> Any:
    raise AssertionError(files)


@pytest.mark.slow
class TestOnBundles:
    def test_an_incomplete_version_is_refused_before_anything_is_opened(self, churn: Project, bench: Workbench) -> None:
        promote(Promotion(ask(1)), bench, churn.registry)
        idle = Workbench(churn.store, churn.settings.cache, never)
        with pytest.raises(GateRefused, match="eval_threshold") as caught:
            promote(Promotion(ask(5, policy=LOST)), idle, churn.registry)
        findings = {one["rule"]: one for one in caught.value.details["findings"]}
        assert findings["integrity"]["outcome"] == "pass"
        assert {findings[rule]["outcome"] for rule in ("opens", "smoke", "not_worse")} == {"inconclusive"}
        assert "not asked" not in caught.value.message
        body = churn.registry.verdict(gate(ask(5, policy=LOST), idle, churn.registry).digest).body
        assert (body["settled_by"], body["outcome"]) == (["completeness"], "fail")

    def test_every_rule_is_asked_where_somebody_asks_for_it(self, churn: Project, bench: Workbench) -> None:
        policy = Policy.parse('[gate.production]\nrules = ["opens", "card"]', where="policy")
        early, whole = (
            gate(replace(ask(1, policy=policy), all_rules=every), bench, churn.registry) for every in (False, True)
        )
        assert [one.outcome for one in early.findings] == [Outcome.INCONCLUSIVE, Outcome.FAIL]
        assert [one.outcome for one in whole.findings] == [Outcome.PASS, Outcome.FAIL]
        assert early.outcome is whole.outcome is Outcome.FAIL

    def test_a_verdict_is_replayed_with_as_many_rules_as_were_asked(self, churn: Project, bench: Workbench) -> None:
        idle = Workbench(churn.store, churn.settings.cache, never)
        asked = ask(5, policy=Policy())
        early, whole = (
            gate(asked, idle, churn.registry),
            gate(replace(ask(5, policy=LOST), all_rules=True), bench, churn.registry),
        )
        again = replay(early.digest, idle, churn.registry)
        assert (again.standing, again.answers) == (Standing.HOLDS, ())
        assert replay(whole.digest, bench, churn.registry).standing is Standing.HOLDS
        assert churn.registry.verdict(whole.digest).body["settled_by"] == []

    def test_a_rule_of_the_projects_own_is_not_run(self, churn: Project) -> None:
        own = '[rules.own]\nfile = "gates/none.py"\nfunction = "check"\n'
        policy = Policy.parse(f'{own}[gate.production]\nrules = ["completeness", "own"]', where="policy")
        idle = Workbench(churn.store, churn.settings.cache, never)
        verdict = gate(ask(5, policy=policy), idle, churn.registry)
        assert [one.rule for one in verdict.findings] == ["completeness", "own"]
        assert verdict.findings[1].sentence.startswith("not asked: completeness fails")
        assert replay(verdict.digest, idle, churn.registry).standing is Standing.HOLDS
