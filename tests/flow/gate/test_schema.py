"""`schema`: who sends rows and reads answers may go on, unless the version says by its number that something breaks."""

from dataclasses import replace
from typing import Any

import pytest

from holdfast.evidence import Column, FeatureSchema
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.finding import Outcome
from holdfast.flow.gate.schema import schema
from holdfast.parts import EvalThreshold, Missing
from tests.flow.gate.cases import CUT_OFF, RIGHT, case, manifest, said, without_baseline_answer

PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE

AGE = FeatureSchema("pandas", (Column("age", "int64"),))
WIDER = FeatureSchema("pandas", (Column("age", "float64"), Column("plan", "string", nullable=True)))
NARROWER = FeatureSchema("pandas", (Column("age", "int8"), Column("plan", "string")))


def following(old: FeatureSchema, new: FeatureSchema, **policy: Any) -> Case:
    """A case in which a version with the schema `new` follows one with the schema `old`."""
    found = case(RIGHT, RIGHT, **policy)
    return replace(found, manifest=manifest(schema=new), baseline_manifest=manifest(schema=old))


def numbered(found: Case, mine: str | None, theirs: str | None) -> Case:
    assert found.baseline is not None
    return replace(
        found, candidate=replace(found.candidate, semver=mine), baseline=replace(found.baseline, semver=theirs)
    )


def test_where_nothing_holds_the_stage_nobody_was_promised_anything() -> None:
    assert schema(case()).outcome is PASS


def test_the_same_schema_passes_and_a_wider_one_is_told() -> None:
    assert schema(following(AGE, AGE)).sentence == (
        "clients of version 1 go on unchanged; rows and answers are what they were"
    )
    finding = schema(following(AGE, WIDER))
    assert finding.outcome is PASS
    assert "column 'plan' (string) may be sent now" in finding.sentence


def test_each_change_that_breaks_is_named_and_the_hint_says_the_number() -> None:
    finding = schema(following(AGE, NARROWER))
    assert finding.outcome is FAIL
    assert finding.sentence == (
        "clients of version 1 break: column 'age' takes int8 now, and took int64; "
        "column 'plan' (string) must be sent now"
    )
    assert "--semver 2.0.0" in finding.hint
    assert [change["column"] for change in finding.values["breaking"]] == ["age", "plan"]


@pytest.mark.parametrize(
    ("mine", "theirs", "outcome"),
    [
        ("2.0.0", "1.4.2", PASS),
        ("1.5.0", "1.4.2", FAIL),
        ("1.0.0", "2.0.0", FAIL),
        ("2.0.0", None, PASS),
        ("1.0.0", None, FAIL),
        (None, "1.0.0", FAIL),
        ("1.0.0", "0.9.0", PASS),
    ],
)
def test_a_higher_major_says_that_something_breaks(mine: str | None, theirs: str | None, outcome: Outcome) -> None:
    finding = schema(numbered(following(AGE, NARROWER), mine, theirs))
    assert finding.outcome is outcome
    assert "column 'plan' (string) must be sent now" in finding.sentence


def test_policy_may_let_it_happen_and_the_finding_says_what_happened() -> None:
    finding = schema(following(AGE, NARROWER, schema="any"))
    assert finding.outcome is PASS
    assert "must be sent now; policy lets it happen" in finding.sentence


def test_answers_are_compared_on_the_same_rows_and_by_their_rules_where_nobody_answered() -> None:
    found = following(AGE, AGE)
    assert found.against is not None
    other = replace(found, against=replace(found.against, answer=said(RIGHT, [[0.5, 0.5]] * len(RIGHT))))
    assert "the scores of a row are one number now, and were a list of 2" in schema(other).sentence
    silent = without_baseline_answer(
        replace(found, baseline_manifest=manifest(eval_threshold=EvalThreshold("identity")))
    )
    assert schema(silent).outcome is FAIL
    assert "answers are labels now, and were numbers" in schema(silent).sentence


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"baseline_manifest": None}, "the manifest of version 1 cannot be read"),
        ({"baseline_manifest": manifest(schema=Missing("schema", "adopted"))}, "version 1 lacks schema"),
        ({"manifest": manifest(eval_threshold=Missing("eval_threshold", "-"))}, "version 2 lacks eval_threshold"),
    ],
)
def test_what_cannot_be_compared_is_not_taken_for_compatible(changes: dict[str, Any], why: str) -> None:
    finding = schema(replace(following(AGE, AGE), **changes))
    assert finding.outcome is INCONCLUSIVE
    assert why in finding.sentence


def test_another_cut_off_changes_nothing_for_clients() -> None:
    found = replace(
        following(AGE, AGE), baseline_manifest=manifest(schema=AGE, eval_threshold=replace(CUT_OFF, value=0.3))
    )
    assert schema(found).outcome is PASS
