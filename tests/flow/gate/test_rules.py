"""Each rule is a function of a case: it passes, it fails, and it says when it cannot decide."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.canonical import encode, plain
from holdfast.errors import BundleFailed, HoldfastError, InvalidInput, MissingExtra, NoSpace, Unavailable
from holdfast.evidence import Metrics
from holdfast.flow.gate.case import Case, Measured
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.rules import RULES
from holdfast.formats import Ground, Import, Listing, Standing
from holdfast.manifest import Manifest
from holdfast.names import RelativePath
from holdfast.parts import PART_NAMES, Missing, PreprocessingCode, Weights
from holdfast.runtime.pipeline import Answer
from tests.effort import examples
from tests.flow.gate.cases import (
    NUMBERS,
    RIGHT,
    case,
    manifest,
    said,
    without_answer,
    without_baseline_answer,
    wrong_at,
)

PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE
TROUBLE = BundleFailed("the preprocessing code raised KeyError: 'age'", hint="Run it where it was trained.")


def judge(rule: str, found: Case) -> Finding:
    """The finding, which a verdict must be able to carry, and whose hint must say what to do unless all is well."""
    finding = RULES[rule](found)
    assert finding.rule == rule
    encode(plain(finding.to_json()))
    assert finding.sentence
    assert bool(finding.hint) == (finding.outcome is not PASS)
    return finding


def lacking_only(name: str) -> Manifest:
    given: dict[str, Any] = {name: Missing(name, "nobody gave one")}
    return manifest(**given)


def damaged(found: Case) -> Case:
    return replace(without_answer(found), damage=("weights/model.bin: blob sha256:12 is damaged",))


class TestCompleteness:
    def test_a_whole_version_passes(self) -> None:
        assert judge("completeness", case()).outcome is PASS

    @pytest.mark.parametrize("name", [*PART_NAMES, "environment", "schema", "metrics", "holdout"])
    def test_what_is_missing_is_named_with_its_reason_and_how_to_add_it(self, name: str) -> None:
        lacking = lacking_only(name)
        finding = judge("completeness", replace(case(), manifest=lacking))
        assert finding.outcome is FAIL
        assert f"{name} (nobody gave one)" in finding.sentence
        assert f"{name}: " in finding.hint
        assert finding.values["missing"] == [{"name": name, "why": "nobody gave one"}]

    def test_the_hint_for_a_threshold_shows_both_ways_to_give_one(self) -> None:
        lacking = manifest(eval_threshold=Missing("eval_threshold", "none"))
        hint = judge("completeness", replace(case(), manifest=lacking)).hint
        assert "threshold=0.42" in hint
        assert "--threshold 0.42" in hint

    @pytest.mark.parametrize("name", ["run", "code", "card"])
    def test_evidence_that_no_gate_needs_may_be_missing(self, name: str) -> None:
        assert judge("completeness", replace(case(), manifest=lacking_only(name))).outcome is PASS

    def test_a_manifest_that_cannot_be_read_decides_nothing(self) -> None:
        assert judge("completeness", replace(damaged(case()), manifest=None)).outcome is INCONCLUSIVE


class TestIntegrity:
    def test_whole_bytes_pass_and_are_counted(self) -> None:
        finding = judge("integrity", case())
        assert (finding.outcome, finding.values) == (PASS, {"files": 5})

    def test_every_damaged_file_is_in_the_values_and_the_first_ones_in_the_sentence(self) -> None:
        damage = tuple(f"weights/{place}: blob is damaged" for place in range(8))
        finding = judge("integrity", replace(without_answer(case()), damage=damage))
        assert finding.outcome is FAIL
        assert finding.sentence.startswith("8 of the bundle's files damaged")
        assert "weights/0" in finding.sentence
        assert "weights/7" not in finding.sentence
        assert finding.values["damaged"] == list(damage)


CODE = RelativePath("code/features.py")
MODEL = "weights/model.bin"
SYSTEM = Import("os.system", called=True, ground=Ground.REFUSED)
TREE = Import("sklearn.tree._tree.Tree", called=True, ground=Ground.LISTED)


def listed(found: Case, *, model: Listing) -> Case:
    return replace(found, listings={**found.listings, MODEL: model})


class TestFormats:
    data_only = manifest()
    pickled_weights = manifest(weights=Weights("joblib", "sklearn", "m.Model", True, (RelativePath(MODEL),)))
    pickled_state = manifest(preprocessing_code=PreprocessingCode("transformer", state=CODE, executes_code=True))
    model = Listing("pickle", Standing.ALLOWED, (TREE,), pickled=True)
    attack = Listing("pickle", Standing.CODE, (SYSTEM, TREE), pickled=True)
    broken = Listing("pickle", Standing.UNREADABLE, (), ("as a pickle, it is cut off",), pickled=True)

    def test_data_only_passes_where_code_is_denied(self) -> None:
        assert judge("formats", replace(case(executes_code="deny"), manifest=self.data_only)).outcome is PASS

    @pytest.mark.parametrize(("bundle", "named"), [(pickled_weights, "weights"), (pickled_state, "preprocessing_code")])
    def test_what_says_that_it_unpickles_is_refused_where_code_is_denied(self, bundle: Any, named: str) -> None:
        denied = judge("formats", replace(case(executes_code="deny"), manifest=bundle))
        allowed = judge("formats", replace(case(), manifest=bundle))
        assert (denied.outcome, allowed.outcome) == (FAIL, PASS)
        assert named in denied.sentence

    def test_a_pickle_that_imports_only_what_is_listed_passes_unless_code_is_denied(self) -> None:
        finding = judge("formats", listed(case(), model=self.model))
        assert finding.outcome is PASS
        assert f"{MODEL} would import only what models of known libraries need" in finding.sentence
        assert judge("formats", listed(case(executes_code="deny"), model=self.model)).outcome is FAIL

    def test_the_file_and_the_name_that_it_would_import_are_told_and_the_verdict_keeps_all(self) -> None:
        finding = judge("formats", listed(case(), model=self.attack))
        assert (finding.outcome, finding.sentence) == (FAIL, f"{MODEL} would import os.system")
        files: Any = finding.values["files"]
        assert [one["name"] for one in files[MODEL]["imports"]] == ["os.system", "sklearn.tree._tree.Tree"]
        assert len(files) == 5
        assert "what these names do, add them to formats_allow." in finding.hint

    def test_a_file_that_is_a_program_is_allowed_by_the_digest_that_the_hint_tells(self) -> None:
        program = Listing("python", Standing.CODE, (), ("it is a program",))
        finding = judge("formats", listed(case(), model=program))
        assert (finding.outcome, finding.sentence) == (FAIL, f"{MODEL}: it is a program")
        assert f"add its digest to formats_allow: {manifest().file(RelativePath(MODEL)).digest}." in finding.hint
        assert "names" not in finding.hint

    def test_what_cannot_be_read_is_not_decided(self) -> None:
        finding = judge("formats", listed(case(), model=self.broken))
        assert finding.outcome is INCONCLUSIVE
        assert f"{MODEL}: as a pickle, it is cut off" in finding.sentence

    def test_a_file_that_nobody_looked_at_is_not_decided(self) -> None:
        assert judge("formats", replace(case(), listings={})).outcome is INCONCLUSIVE

    def test_a_file_that_a_person_looked_at_passes_by_its_digest_unless_code_is_denied(self) -> None:
        digest = str(manifest().file(RelativePath(MODEL)).digest)
        for listing in (self.attack, self.broken):
            assert judge("formats", listed(case(formats_allow=(digest,)), model=listing)).outcome is PASS
        denied = case(formats_allow=(digest,), executes_code="deny")
        assert judge("formats", listed(denied, model=self.attack)).outcome is FAIL

    def test_the_bundles_own_code_passes_and_is_named(self) -> None:
        own = {**case().listings, str(CODE): Listing("python", Standing.CODE, own=True)}
        finding = judge("formats", replace(case(), listings=own))
        assert finding.outcome is PASS
        assert "code/features.py is the bundle's own code" in finding.sentence

    def test_a_manifest_that_cannot_be_read_decides_nothing(self) -> None:
        assert judge("formats", replace(damaged(case()), manifest=None)).outcome is INCONCLUSIVE

    def test_what_was_not_opened_because_of_its_formats_says_so(self) -> None:
        finding = judge("smoke", without_answer(replace(case(), unopened=True)))
        assert "because of its formats" in finding.sentence


class TestOpens:
    def test_an_answer_passes(self) -> None:
        assert judge("opens", case()).outcome is PASS

    def test_weights_that_another_version_of_their_library_wrote_are_not_trusted_to_answer_as_before(self) -> None:
        found = case()
        assert found.measured is not None
        foreign = replace(found.measured, foreign="saved by scikit-learn 1.9.1, opened by 1.3.2")
        finding = judge("opens", replace(found, measured=foreign))
        assert finding.outcome is FAIL
        assert "saved by scikit-learn 1.9.1, opened by 1.3.2" in finding.sentence

    def test_what_the_bundle_raised_fails_in_its_own_words(self) -> None:
        finding = judge("opens", without_answer(case(), TROUBLE))
        assert (finding.outcome, finding.sentence, finding.hint) == (FAIL, TROUBLE.message, TROUBLE.hint)
        assert finding.values == {"code": "bundle_failed"}

    def test_a_bundle_that_answers_rows_together_but_not_one_by_one_fails(self) -> None:
        assert judge("opens", replace(case(), trouble=TROUBLE)).outcome is FAIL

    @pytest.mark.parametrize(
        "trouble",
        [
            NoSpace("the disk is full", hint="Make room."),
            Unavailable("it did not answer in time", hint="Try again."),
            MissingExtra("it needs pandas", hint="Install it."),
        ],
    )
    def test_what_this_machine_lacks_says_nothing_against_the_bundle(self, trouble: HoldfastError) -> None:
        assert judge("opens", without_answer(case(), trouble)).outcome is INCONCLUSIVE

    def test_a_damaged_bundle_is_not_opened(self) -> None:
        finding = judge("opens", damaged(case()))
        assert finding.outcome is INCONCLUSIVE
        assert "damaged" in finding.sentence


class TestSmoke:
    def test_the_same_answers_pass(self) -> None:
        assert judge("smoke", case()).outcome is PASS

    def test_scores_may_differ_in_the_last_digits(self) -> None:
        found = case()
        almost = said(RIGHT, [label + 1e-9 for label in RIGHT])
        assert judge("smoke", replace(found, recorded=almost)).outcome is PASS

    def test_another_score_or_prediction_or_number_of_rows_fails(self) -> None:
        found = case()
        for recorded in (
            said(RIGHT, [label + 1e-3 for label in RIGHT]),
            said(wrong_at(7), [float(label) for label in RIGHT]),
            said(RIGHT[:-1]),
            Answer(RIGHT, [float(label) for label in RIGHT], [0, 1]),
        ):
            assert judge("smoke", replace(found, recorded=recorded)).outcome is FAIL

    def test_a_metric_that_came_out_differently_fails_and_is_named(self) -> None:
        recorded = Metrics("accuracy", {"accuracy": 0.9, "f1": 1.0}, {"accuracy": True, "f1": True}, len(RIGHT))
        finding = judge("smoke", replace(case(), manifest=manifest(metrics=recorded)))
        assert finding.outcome is FAIL
        assert finding.values["metrics_changed"] == ["accuracy"]

    @pytest.mark.parametrize("now", [math.nan, math.inf])
    def test_a_metric_that_is_no_number_any_more_fails(self, now: float) -> None:
        found = case()
        assert found.measured is not None
        assert found.measured.metrics is not None
        values = {**found.measured.metrics.values, "accuracy": now}
        broken = replace(found.measured, metrics=replace(found.measured.metrics, values=values))
        assert judge("smoke", replace(found, measured=broken)).outcome is FAIL

    def test_a_large_metric_may_differ_in_its_last_digits_too(self) -> None:
        targets = [1e9 * place for place in range(40)]
        found = case([value + 1e6 for value in targets], targets=targets, threshold=NUMBERS, primary=None)
        assert found.measured is not None
        assert found.measured.metrics is not None
        known = found.measured.metrics
        shifted = replace(known, values={name: value * (1 + 1e-12) for name, value in known.values.items()})
        assert (
            judge("smoke", replace(found, manifest=manifest(eval_threshold=NUMBERS, metrics=shifted))).outcome is PASS
        )

    def test_metrics_that_cannot_be_measured_any_more_decide_nothing(self) -> None:
        found = case()
        assert found.measured is not None
        blind = Measured(found.measured.answer, None, MissingExtra("metrics need scikit-learn", hint="Install it."))
        finding = judge("smoke", replace(found, measured=blind))
        assert finding.outcome is INCONCLUSIVE
        assert "scikit-learn" in finding.sentence

    def test_rows_without_targets_are_compared_by_their_answers(self) -> None:
        found = case()
        assert found.measured is not None
        bare = replace(found, targets=None, measured=Measured(found.measured.answer, None))
        assert judge("smoke", replace(bare, manifest=manifest(metrics=Missing("metrics", "none")))).outcome is PASS

    def test_without_an_answer_nothing_is_decided(self) -> None:
        assert judge("smoke", without_answer(case(), TROUBLE)).outcome is INCONCLUSIVE


class TestNotWorse:
    def test_nothing_holds_the_stage(self) -> None:
        assert judge("not_worse", case()).outcome is PASS

    def test_equal_and_better_pass(self) -> None:
        assert judge("not_worse", case(wrong_at(1), wrong_at(1))).outcome is PASS
        assert judge("not_worse", case(RIGHT, wrong_at(1))).outcome is PASS

    def test_worse_beyond_chance_fails_and_says_by_how_much(self) -> None:
        finding = judge("not_worse", case(wrong_at(*range(1, 13)), wrong_at(1)))
        assert finding.outcome is FAIL
        assert "accuracy 0.8800 against 0.9900 of version 1 on the same 100 rows" in finding.sentence
        assert "worse by 0.1100, and 0 is allowed" in finding.sentence

    def test_worse_by_what_may_be_chance_does_not_pass_and_says_how_many_rows_would_tell(self) -> None:
        finding = judge("not_worse", case(wrong_at(1, 2, 3), wrong_at(1)))
        assert finding.outcome is INCONCLUSIVE
        assert "worse by 0.0200 and 0 is allowed, but it may be chance" in finding.sentence
        assert finding.hint.startswith(f"About {finding.values['rows_needed']} rows would tell.")

    def test_a_margin_allows_exactly_so_much(self) -> None:
        # 0.90 - 0.85 is 0.050000000000000044 in floating point, and the policy said 0.05.
        worse, better = wrong_at(*range(15)), wrong_at(*range(10))
        assert judge("not_worse", case(worse, better, margin=0.05, harm_margin=0.1)).outcome is PASS
        assert judge("not_worse", case(worse, better, margin=0.049, harm_margin=0.1)).outcome is INCONCLUSIVE

    def test_where_lower_is_better_less_error_passes_and_more_fails(self) -> None:
        targets = [float(place) for place in range(40)]
        near, far = [value + 1.0 for value in targets], [value + 2.0 for value in targets]
        assert judge("not_worse", case(near, far, targets=targets, threshold=NUMBERS, primary=None)).outcome is PASS
        finding = judge("not_worse", case(far, near, targets=targets, threshold=NUMBERS, primary=None))
        assert finding.outcome is FAIL
        assert finding.values["metric"] == "root_mean_squared_error"
        assert finding.values["gain"] == pytest.approx(-1.0)

    def test_too_few_rows_decide_nothing_even_when_better(self) -> None:
        finding = judge("not_worse", case([1] * 10, [0] * 10, targets=[1] * 10))
        assert finding.outcome is INCONCLUSIVE
        assert "too few" in finding.sentence
        assert judge("not_worse", case([1] * 10, [0] * 10, targets=[1] * 10, rows_min=10)).outcome is PASS

    def test_a_baseline_that_cannot_answer_these_rows_decides_nothing(self) -> None:
        why = InvalidInput("column 'plan' is missing", hint="Send it.")
        finding = judge("not_worse", without_baseline_answer(case(RIGHT, RIGHT), why))
        assert finding.outcome is INCONCLUSIVE
        assert "column 'plan' is missing" in finding.sentence

    def test_a_baseline_that_answers_another_question_decides_nothing(self) -> None:
        found = case(RIGHT, RIGHT)
        why = InvalidInput("labels are compared, and 0.3 is none", hint="Compare like with like.")
        finding = judge("not_worse", replace(found, against=Measured(said(RIGHT), None, why)))
        assert finding.outcome is INCONCLUSIVE
        assert why.message in finding.sentence

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_a_metric_that_is_no_number_decides_nothing(self, value: float) -> None:
        found = case(RIGHT, RIGHT)
        assert found.measured is not None
        assert found.measured.metrics is not None
        metrics = replace(found.measured.metrics, values={"accuracy": value})
        assert (
            judge("not_worse", replace(found, measured=replace(found.measured, metrics=metrics))).outcome
            is INCONCLUSIVE
        )

    def test_without_an_answer_nothing_is_decided(self) -> None:
        assert judge("not_worse", without_answer(case(RIGHT, RIGHT), TROUBLE)).outcome is INCONCLUSIVE

    @settings(max_examples=examples(30), deadline=None)
    @given(st.sets(st.integers(0, 99)), st.sets(st.integers(0, 99)))
    def test_it_passes_only_when_no_more_rows_are_wrong(self, mine: set[int], theirs: set[int]) -> None:
        finding = judge("not_worse", case(wrong_at(*mine), wrong_at(*theirs)))
        if finding.outcome is PASS:
            assert len(mine) <= len(theirs)
        if finding.outcome is FAIL:
            assert len(mine) > len(theirs)

    @settings(max_examples=examples(30), deadline=None)
    @given(st.sets(st.integers(0, 99)), st.sets(st.integers(0, 99)), st.sampled_from(["default", "strict"]))
    def test_it_says_of_the_difference_taken_the_other_way_what_is_left(
        self, mine: set[int], theirs: set[int], policy: str
    ) -> None:
        """Of two versions never both are shown to be worse."""
        outcomes = [
            judge("not_worse", case(wrong_at(*one), wrong_at(*other), policy=policy)).outcome
            for one, other in ((mine, theirs), (theirs, mine))
        ]
        assert outcomes != [FAIL, FAIL]


class TestMetricsMin:
    def test_no_floors_pass(self) -> None:
        assert judge("metrics_min", without_answer(case())).outcome is PASS

    def test_a_floor_is_reached_by_its_own_value_and_missed_below(self) -> None:
        mine = wrong_at(*range(10))
        assert judge("metrics_min", case(mine, metrics_min={"accuracy": 0.9})).outcome is PASS
        finding = judge("metrics_min", case(mine, metrics_min={"accuracy": 0.91, "recall": 0.1}))
        assert finding.outcome is FAIL
        assert "accuracy 0.9000, at least 0.91 asked" in finding.sentence

    def test_where_lower_is_better_the_bound_is_a_ceiling(self) -> None:
        targets = [float(place) for place in range(40)]
        mine = [value + 1.0 for value in targets]

        def judged(ceiling: float) -> Finding:
            floors = {"mean_absolute_error": ceiling}
            return judge(
                "metrics_min", case(mine, targets=targets, threshold=NUMBERS, primary=None, metrics_min=floors)
            )

        assert judged(1.0).outcome is PASS
        assert judged(0.9).outcome is FAIL
        assert "at most 0.9 asked" in judged(0.9).sentence

    def test_a_metric_that_was_not_measured_decides_nothing_and_is_named(self) -> None:
        finding = judge("metrics_min", case(metrics_min={"r2": 0.5}))
        assert finding.outcome is INCONCLUSIVE
        assert "r2" in finding.sentence
        assert "accuracy" in finding.hint

    def test_a_metric_that_is_no_number_does_not_reach_a_floor(self) -> None:
        found = case(metrics_min={"accuracy": 0.5})
        assert found.measured is not None
        assert found.measured.metrics is not None
        metrics = replace(found.measured.metrics, values={"accuracy": math.nan})
        broken = replace(found, measured=replace(found.measured, metrics=metrics))
        assert judge("metrics_min", broken).outcome is INCONCLUSIVE

    def test_without_an_answer_nothing_is_decided(self) -> None:
        assert judge("metrics_min", without_answer(case(metrics_min={"f1": 0.1}), TROUBLE)).outcome is INCONCLUSIVE


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "emptied",
    [
        lambda found: replace(found, manifest=None, measured=None, against=None, rows=None, targets=None),
        without_answer,
        lambda found: without_answer(found, TROUBLE),
        lambda found: replace(found, targets=None, measured=Measured(said(RIGHT), None)),
        damaged,
    ],
)
def test_no_rule_raises_or_passes_for_what_could_not_be_looked_at(rule: str, emptied: Callable[[Case], Case]) -> None:
    found = emptied(case(RIGHT, RIGHT, metrics_min={"accuracy": 0.5}, second_person=True))
    looks_elsewhere = {"completeness", "integrity", "formats"}
    if found.measured is not None:
        looks_elsewhere |= {"opens", "smoke"}
    if rule not in looks_elsewhere:
        assert judge(rule, found).outcome is not PASS
    else:
        judge(rule, found)
