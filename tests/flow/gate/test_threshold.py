"""`threshold`: the pinned cut-off is still a good one, on the frozen rows and without their chance."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from holdfast.flow.bundle.metrics import measure
from holdfast.flow.gate.case import Case, Measured
from holdfast.flow.gate.costs import Costs
from holdfast.flow.gate.finding import Outcome
from holdfast.flow.gate.threshold import threshold
from holdfast.parts import EvalThreshold
from holdfast.runtime.pipeline import Answer
from tests.flow.gate.cases import CUT_OFF, case, manifest, without_answer

PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE


def scored(scores: Any, targets: Any, rule: EvalThreshold = CUT_OFF, **policy: Any) -> Case:
    """A case of a version that cuts these scores by this rule."""
    truth, given = [int(one) for one in targets], [float(one) for one in scores]
    answer = Answer(rule.decide(given, None), given, None)
    said = Measured(answer, measure(truth, answer, rule, primary=policy.pop("primary", "f1")))
    found = case(truth, targets=truth, **policy)
    return replace(found, manifest=manifest(eval_threshold=rule, metrics=said.metrics), measured=said)


def drawn(rows: int, seed: int = 1) -> tuple[Any, Any]:
    """Scores that are right, of two kinds of rows that overlap."""
    chance = np.random.default_rng(seed)
    scores = 1 / (1 + np.exp(-3 * chance.normal(size=rows)))
    return scores, chance.random(rows) < scores


def test_a_good_cut_off_passes_and_one_far_off_fails_with_the_better_one() -> None:
    scores, targets = drawn(1000)
    assert threshold(scored(scores, targets, replace(CUT_OFF, value=0.42))).outcome is PASS
    finding = threshold(scored(scores, targets, replace(CUT_OFF, value=0.95)))
    assert finding.outcome is FAIL
    assert finding.hint.startswith("Cut at about 0.")
    assert finding.values["loss"]["low"] > 0.02
    assert "0.02 is allowed" in finding.sentence


def test_what_the_best_cut_off_owes_to_chance_does_not_fail_the_pinned_one() -> None:
    """On 60 rows the best cut-off leads by several hundredths, though the pinned one is truly the best."""
    for seed in range(8):
        finding = threshold(scored(*drawn(60, seed)))
        assert finding.outcome is not FAIL
        assert finding.values["loss"]["value"] <= finding.values["best_value"] - finding.values["value"]


def test_few_rows_decide_nothing_and_the_finding_says_how_many_would() -> None:
    finding = threshold(scored(*drawn(100), policy="strict"))
    assert finding.outcome is INCONCLUSIVE
    assert finding.values["rows_needed"] > 100
    assert f"About {finding.values['rows_needed']} rows would tell" in finding.hint
    assert "too few to judge" in threshold(scored(*drawn(20))).sentence
    alike = scored([0.4, 0.6] * 50, [0] * 100, primary="accuracy", threshold_metric="f1")
    assert "all rows are of one kind" in threshold(alike).sentence


def test_strict_asks_for_proof_where_default_asks_that_harm_is_unlikely() -> None:
    scores, targets = drawn(400)
    assert threshold(scored(scores, targets)).outcome is PASS
    assert threshold(scored(scores, targets, policy="strict")).outcome is INCONCLUSIVE
    assert threshold(scored(scores, targets, policy="strict", threshold_loss_max=0.2)).outcome is PASS


def test_a_cut_off_that_moved_is_told_with_what_the_old_one_would_give() -> None:
    scores, targets = drawn(500)
    found = scored(scores, targets)
    before = case([1, 0] * 50, [1, 0] * 50).baseline
    moved = replace(found, baseline=before, baseline_manifest=manifest(eval_threshold=replace(CUT_OFF, value=0.9)))
    finding = threshold(moved)
    assert "(it moved: that of version 1, 0.9, would give 0." in finding.sentence
    said = [int(score >= 0.9) for score in scores]
    answer = Answer(said, [float(score) for score in scores], None)
    expected = measure([int(one) for one in targets], answer, CUT_OFF, primary="f1").values["f1"]
    assert finding.values["value_at_baseline_cut"] == pytest.approx(expected)
    same = replace(moved, baseline_manifest=manifest())
    assert "at the cut-off 0.5, as that of version 1" in threshold(same).sentence


def test_the_metric_is_the_one_it_was_chosen_by_and_recall_alone_is_none() -> None:
    scores, targets = drawn(300)
    chosen = replace(CUT_OFF, metric="accuracy")
    assert threshold(scored(scores, targets, chosen)).values["metric"] == "accuracy"
    assert threshold(scored(scores, targets)).values["metric"] == "f1"
    blind = threshold(scored(scores, targets, replace(CUT_OFF, metric="recall"), primary="recall"))
    assert blind.outcome is INCONCLUSIVE
    assert "by recall alone no cut-off is best" in blind.sentence
    named = scored(scores, targets, primary="recall", threshold_metric="balanced_accuracy")
    assert threshold(named).values["metric"] == "balanced_accuracy"


def test_costs_move_the_best_cut_off_and_a_loss_is_a_share_of_them() -> None:
    scores, targets = drawn(1000)
    kinds = {"false_positive": 1.0, "false_negative": 20.0}
    finding = threshold(scored(scores, targets, threshold_metric="cost", cost=Costs(by_kind=kinds)))
    assert finding.outcome is FAIL
    assert finding.values["best_cut"] < 0.2
    wrong = [(score >= 0.5, bool(target)) for score, target in zip(scores, targets, strict=True)]
    paid = sum(20.0 if target else 1.0 for said, target in wrong if said != target) / 1000
    assert finding.values["value"] == pytest.approx(paid)
    assert finding.values["best_value"] < paid
    share = 1 - finding.values["best_value"] / paid - finding.values["optimism"]
    assert finding.values["loss"]["value"] == pytest.approx(share)
    euros = {name: 100 * cost for name, cost in kinds.items()}
    dear = threshold(scored(scores, targets, threshold_metric="cost", cost=Costs(by_kind=euros)))
    assert dear.values["loss"]["value"] == pytest.approx(share)
    cheap = replace(CUT_OFF, value=round(1 / 21, 3))
    assert (
        threshold(scored(scores, targets, cheap, threshold_metric="cost", cost=Costs(by_kind=kinds))).outcome
        is not FAIL
    )
    other = scored(scores, targets, threshold_metric="cost", cost=Costs(matrix={"1": {"0": 20.0}}))
    assert "does not say what each kind of mistake" in threshold(other).sentence


def test_rows_that_belong_together_are_drawn_together() -> None:
    scores, targets = drawn(80)
    found = scored(np.repeat(scores, 5), np.repeat(targets, 5))
    rows = case(
        columns={"customer": [place // 5 for place in range(400)]}, targets=[int(t) for t in np.repeat(targets, 5)]
    )
    clustered = replace(found, rows=rows.rows, policy=replace(found.policy, cluster="customer"))
    assert threshold(clustered).values["loss"]["rows"] == 80
    assert threshold(clustered).values["loss"]["high"] > threshold(found).values["loss"]["high"]


def test_where_nothing_is_cut_there_is_nothing_to_judge() -> None:
    for rule in ("argmax", "identity"):
        found = replace(case(), manifest=manifest(eval_threshold=EvalThreshold(rule)))
        assert threshold(found).outcome is PASS
    least = replace(case(), manifest=manifest(eval_threshold=EvalThreshold("argmax", 0.6)))
    assert threshold(least).outcome is INCONCLUSIVE
    assert threshold(without_answer(case())).outcome is INCONCLUSIVE


@pytest.mark.thorough
def test_a_real_model_of_rare_rows_is_not_best_cut_in_the_middle() -> None:
    rows, targets = make_classification(6000, weights=[0.93], flip_y=0.03, class_sep=0.7, random_state=2)
    model = LogisticRegression().fit(rows[:3000], targets[:3000])
    scores = model.predict_proba(rows[3000:])[:, 1]
    middle = threshold(scored(scores, targets[3000:]))
    assert middle.outcome is FAIL
    better = replace(CUT_OFF, value=round(middle.values["best_cut"], 2))
    assert threshold(scored(scores, targets[3000:], better)).outcome is PASS
