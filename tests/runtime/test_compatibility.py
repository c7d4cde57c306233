"""What breaks clients: held to the validator itself, which is what a client meets."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from holdfast.canonical import Json
from holdfast.errors import InvalidInput
from holdfast.evidence import Column, FeatureSchema
from holdfast.parts import EvalThreshold
from holdfast.runtime.compatibility import answer_changes, changes
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.rows import Table
from holdfast.runtime.schema import conform
from tests.effort import examples

DTYPES = ["float64", "float32", "int64", "int8", "uint8", "bool", "string", "category", "datetime"]
NAMES = ["age", "plan", "since"]

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([-129, 127, 255, 256, 2**53 + 1, 2**63 - 1, 2**63]),
    st.sampled_from([-2.0, -0.5, 0.0, 0.5, 1.0, 2.5, 1e39]),
    st.sampled_from(["basic", "plus", "2026-03-01", "2026-03-01T09:00:00+01:00"]),
)
CATEGORIES = st.lists(
    st.sampled_from([False, True, 0, 1, 2, 0.5, "basic", "plus", "2026-03-01"]), max_size=3, unique_by=repr
)


@st.composite
def columns(draw: Any, name: str) -> Column:
    dtype = draw(st.sampled_from(DTYPES))
    zones = [None, "datetime64[us]", "datetime64[us, UTC]"] if dtype == "datetime" else [None]
    return Column(
        name,
        dtype,
        nullable=draw(st.booleans()),
        minimum=draw(st.sampled_from([None, -1.0, 0.0, 0.5])),
        maximum=draw(st.sampled_from([None, 0.5, 1.0, 2.0])),
        categories=tuple(draw(CATEGORIES)),
        enforce=draw(st.booleans()),
        native=draw(st.sampled_from(zones)),
    )


@st.composite
def schemas(draw: Any) -> FeatureSchema:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    return FeatureSchema(draw(st.sampled_from(["pandas", "numpy"])), tuple(draw(columns(name)) for name in names))


@st.composite
def successors(draw: Any, schema: FeatureSchema) -> FeatureSchema:
    """A schema that differs from another one in few places: of two independent ones hardly any are compatible."""
    kept = [column for column in schema.columns if draw(st.integers(0, 5))]
    changed = [draw(columns(column.name)) if draw(st.integers(0, 2)) == 0 else column for column in kept]
    added = [
        draw(columns(name)) for name in NAMES if name not in {c.name for c in schema.columns} and draw(st.booleans())
    ]
    return replace(schema, columns=tuple(changed + added) or schema.columns)


def breaks(old: FeatureSchema, new: FeatureSchema) -> bool:
    return any(change.breaks for change in changes(old, new))


def accepted(schema: FeatureSchema, table: Table) -> bool:
    try:
        conform(schema, table)
    except InvalidInput:
        return False
    return True


@given(schemas())
def test_nothing_changes_from_a_schema_to_itself(schema: FeatureSchema) -> None:
    assert changes(schema, schema) == ()


@settings(max_examples=examples(200))
@given(st.data())
def test_whom_two_steps_do_not_break_both_together_do_not(data: st.DataObject) -> None:
    first = data.draw(schemas())
    second = data.draw(successors(first))
    third = data.draw(successors(second))
    assume(not breaks(first, second) and not breaks(second, third))
    # What a step took away another may bring back as something else: the rows in between no longer had it.
    gone = {c.name for c in first.columns} - {c.name for c in second.columns}
    assume(not gone & {c.name for c in third.columns})
    assert not breaks(first, third)


@settings(max_examples=examples(250))
@given(st.data())
def test_where_nothing_breaks_every_row_that_was_accepted_still_is(data: st.DataObject) -> None:
    old = data.draw(schemas())
    new = data.draw(successors(old))
    assume(not breaks(old, new))
    rows = data.draw(st.integers(1, 3))
    sent = [column.name for column in old.columns if data.draw(st.integers(0, 4))]
    values = [data.draw(st.lists(VALUES, min_size=rows, max_size=rows)) for _ in sent]
    table = Table.of_columns(tuple(sent), values)
    assume(accepted(old, table))
    assert accepted(new, table)
    if old.container == "numpy":
        unnamed = Table(None, table.columns, table.count)
        assert not accepted(old, unnamed) or accepted(new, unnamed)


@settings(max_examples=examples(200))
@given(columns("age"), columns("age"), VALUES)
def test_one_column_that_breaks_nobody_refuses_no_value_that_it_took(old: Column, new: Column, value: Json) -> None:
    before, now = FeatureSchema("pandas", (old,)), FeatureSchema("pandas", (new,))
    table = Table.of_columns(("age",), [[value]])
    assume(accepted(before, table) and not accepted(now, table))
    assert breaks(before, now)


AGE = Column("age", "float64")
PLAN = Column("plan", "category", categories=("basic", "plus"))


@pytest.mark.parametrize(
    ("old", "new", "sentence", "refused"),
    [
        (AGE, replace(AGE, dtype="int64"), "takes int64 now, and took float64", 0.5),
        (AGE, replace(AGE, dtype="float32"), "takes float32 now, and took float64", 1e300),
        (AGE, replace(AGE, minimum=0.0, enforce=True), "refuses values outside 0 to any", -1.0),
        (PLAN, replace(PLAN, enforce=True), "refuses all but 'basic', 'plus' now", "gold"),
        (PLAN, replace(PLAN, categories=("basic",), enforce=True), "refuses 'plus' now", "plus"),
        (replace(AGE, nullable=True), AGE, "must have a value in each row now", None),
        (
            Column("age", "datetime", native="datetime64[us]"),
            Column("age", "datetime", native="datetime64[us, UTC]"),
            "takes times with a zone now, and took times without a zone",
            "2026-03-01",
        ),
        (Column("age", "bool"), Column("age", "bool", categories=(True,), enforce=True), "refuses False, 0 now", False),
    ],
)
def test_what_breaks_is_told_and_the_validator_agrees(old: Column, new: Column, sentence: str, refused: Json) -> None:
    before, now = FeatureSchema("pandas", (old,)), FeatureSchema("pandas", (new,))
    assert any(change.breaks and sentence in change.sentence for change in changes(before, now))
    table = Table.of_columns((old.name,), [[refused]])
    assert accepted(before, table)
    assert not accepted(now, table)


def test_what_is_wider_or_optional_breaks_nobody_and_is_told() -> None:
    old = FeatureSchema("pandas", (Column("age", "int64"), PLAN, Column("note", "string")))
    new = FeatureSchema(
        "pandas", (AGE, replace(PLAN, categories=("plus",)), Column("since", "datetime", nullable=True))
    )
    assert [(change.sentence, change.breaks) for change in changes(old, new)] == [
        ("column 'age' takes more values now (float64, and int64 before)", False),
        ("column 'plan': 'basic' counts as missing now", False),
        ("column 'note' is gone; rows that send it are taken without it", False),
        ("column 'since' (datetime) may be sent now", False),
        ("rows sent without names do not fit: in another order now", False),
    ]


def test_rows_without_names_are_broken_by_another_order() -> None:
    old = FeatureSchema("numpy", (AGE, Column("income", "float64")))
    assert breaks(old, replace(old, columns=old.columns[::-1]))
    assert not breaks(replace(old, container="pandas"), replace(old, columns=old.columns[::-1]))


CUT = EvalThreshold("cut_off", 0.5, "yes", "no")
ARGMAX = EvalThreshold("argmax")
NUMBERS = EvalThreshold("identity")
SAID = Answer(["no", "yes"], [0.1, 0.9], None)
CLASSES = Answer(["no", "yes"], [[0.9, 0.1], [0.1, 0.9]], ["no", "yes"])


@pytest.mark.parametrize(
    ("old", "new", "before", "now", "sentence"),
    [
        (CUT, NUMBERS, SAID, SAID, "answers are numbers now, and were labels"),
        (NUMBERS, CUT, None, None, "answers are labels now, and were numbers"),
        (CUT, replace(CUT, positive="Yes"), SAID, SAID, "'Yes' is answered now, which it never was"),
        (ARGMAX, CUT, replace(CLASSES, classes=["no", "yes", "maybe"]), CLASSES, "'maybe' is never answered now"),
        (ARGMAX, replace(ARGMAX, value=0.6), CLASSES, CLASSES, "None is answered now"),
        (CUT, CUT, SAID, CLASSES, "the scores of a row are a list of 2 now, and were one number"),
        (ARGMAX, ARGMAX, CLASSES, replace(CLASSES, classes=["yes", "no"]), "stand in the order 'yes', 'no' now"),
        (CUT, CUT, SAID, replace(SAID, scores=[-3.0, 7.0]), "scores are numbers of any size now"),
        (NUMBERS, NUMBERS, Answer([1, 2.0], [1, 2.0], None), Answer([1.5], [1.5], None), "answers have fractions now"),
        (NUMBERS, NUMBERS, Answer([1.0], [1.0], None), Answer([[1.0]], [[1.0]], None), "each answer is a list of 1"),
    ],
)
def test_answers_of_another_kind_break_who_reads_them(
    old: EvalThreshold, new: EvalThreshold, before: Answer | None, now: Answer | None, sentence: str
) -> None:
    found = answer_changes(old, new, before, now)
    assert any(change.breaks and sentence in change.sentence for change in found)


def test_another_threshold_and_other_scores_are_no_change_of_kind() -> None:
    assert answer_changes(CUT, replace(CUT, value=0.3), SAID, replace(SAID, scores=[0.2, 0.7])) == ()
    assert answer_changes(CUT, ARGMAX, None, None) == ()
    assert answer_changes(NUMBERS, NUMBERS, Answer([1.5], [1.5], None), Answer([2], [2], None)) == ()


def test_one_and_true_are_different_labels_and_one_and_one_point_nought_are_not() -> None:
    assert answer_changes(replace(CUT, positive=1), replace(CUT, positive=True), None, None) != ()
    assert answer_changes(replace(CUT, positive=1), replace(CUT, positive=1.0), None, None) == ()
