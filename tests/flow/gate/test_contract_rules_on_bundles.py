"""What the rules about promises look at is found on real bundles: the other manifest, the card, the scores."""

from dataclasses import replace

import pytest

from holdfast.flow.bundle.card import CARD_SECTIONS
from holdfast.flow.gate import Outcome, Policy, Workbench, gate
from holdfast.flow.gate.case import Case, examine
from holdfast.flow.promote import Promotion, promote
from holdfast.wire import Project
from tests.projects import CHURN, PRODUCTION, add_version, ask, blob, flip_bit, version

pytestmark = pytest.mark.slow

ASKED = Policy.parse(
    '[gate.production]\nrules = ["integrity", "schema", "semver", "threshold", "calibration", "card"]', where="policy"
)


def test_each_rule_is_given_what_it_asks_for(churn: Project, bench: Workbench) -> None:
    promote(Promotion(ask(1)), bench, churn.registry)
    verdict = gate(replace(ask(2, policy=ASKED), all_rules=True), bench, churn.registry)
    found = {finding.rule: finding for finding in verdict.findings}
    assert found["schema"].outcome is Outcome.PASS
    assert found["semver"].sentence == "version 2 has no semantic version"
    assert found["threshold"].values["rows"] == 180
    assert "(it moved: that of version 1, 0.5, would give 0." in found["threshold"].sentence
    assert found["calibration"].values["classes"][0]["baseline_error"] is not None
    assert found["card"].sentence == "the model card says nothing under: Intended use, Limits, Data, Contact"


def test_who_asks_for_nothing_of_it_reads_nothing_of_it(churn: Project, bench: Workbench) -> None:
    policy = Policy.parse('[gate.production]\nrules = ["integrity"]', where="policy").for_stage(CHURN, PRODUCTION)
    case = examine(Case(version(churn, 2), PRODUCTION, policy, "ana", baseline=version(churn, 1)), bench)
    assert (case.baseline_manifest, case.card, case.measured) == (None, None, None)


def test_a_manifest_that_is_damaged_is_told_by_the_rule_and_is_no_crash(churn: Project, bench: Workbench) -> None:
    promote(Promotion(ask(1)), bench, churn.registry)
    flip_bit(blob(churn, version(churn, 1).digest))
    policy = Policy.parse('[gate.production]\nrules = ["schema", "semver"]', where="policy")
    verdict = gate(ask(2, policy=policy), bench, churn.registry)
    assert verdict.findings[0].outcome is Outcome.INCONCLUSIVE
    assert "the manifest of version 1 cannot be read" in verdict.findings[0].sentence


def test_a_card_that_people_wrote_is_in_the_bundle_and_passes(churn: Project, bench: Workbench) -> None:
    text = "\n".join(f"## {name}\n\nThe team of ana says so.\n" for name in CARD_SECTIONS)
    added = add_version(churn, 3, card=f"# Churn\n\n{text}")
    verdict = gate(ask(added.number, policy=ASKED), bench, churn.registry)
    assert next(one for one in verdict.findings if one.rule == "card").outcome is Outcome.PASS
