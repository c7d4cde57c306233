"""Evidence: what makes the five parts checkable."""

import math

import pytest

from holdfast.canonical import Reader, encode
from holdfast.errors import NotFound, UnsupportedFormat, UsageError
from holdfast.evidence import EVIDENCE_NAMES, REQUIRED, Column, Evidence, FeatureSchema, Metrics, how_to_add
from tests.laws.samples import complete, incomplete


def test_each_piece_says_how_to_add_it_and_four_are_required() -> None:
    for name in EVIDENCE_NAMES:
        assert how_to_add(name)
    assert set(REQUIRED) <= set(EVIDENCE_NAMES)
    assert complete().evidence.missing() == ()
    assert [piece.name for piece in incomplete().evidence.missing()] == list(REQUIRED)


def test_no_piece_can_be_left_out_silently() -> None:
    for name in EVIDENCE_NAMES:
        document = complete().evidence.to_json()
        del document[name]
        with pytest.raises(UnsupportedFormat, match=name):
            Evidence.from_json(Reader(document, "evidence"))


def test_a_schema_is_edited_by_name() -> None:
    schema = FeatureSchema("pandas", (Column("age", "float64"), Column("plan", "category")))
    edited = schema.with_column("age", minimum=0, maximum=120, enforce=True)
    assert edited.column("age") == Column("age", "float64", minimum=0, maximum=120, enforce=True)
    assert edited.column("plan") == schema.column("plan")
    assert schema.column("age").enforce is False
    with pytest.raises(NotFound, match="'agee'") as error:
        schema.with_column("agee", enforce=True)
    assert "age, plan" in error.value.hint


def test_a_schema_names_each_column_once() -> None:
    with pytest.raises(UsageError, match="age twice"):
        FeatureSchema("pandas", (Column("age", "float64"), Column("age", "int64")))


def test_a_column_without_a_native_dtype_is_written_as_it_always_was() -> None:
    assert "native" not in Column("age", "float64").to_json()
    assert Column("age", "int64", native="Int64").to_json()["native"] == "Int64"


@pytest.mark.parametrize("wrong", [{"f1": "0.9"}, {"f1": True}, {"f1": None}, {"f1": []}, ["f1"], None])
def test_a_metric_is_a_number(wrong: object) -> None:
    document = Metrics("f1", {"f1": 0.9}, {"f1": True}, 10).to_json() | {"values": wrong}
    with pytest.raises(UnsupportedFormat, match=r"metrics\.values"):
        Metrics.from_json(Reader(document, "metrics"))


def test_a_metric_that_is_no_number_is_never_written() -> None:
    with pytest.raises(UsageError):
        encode(Metrics("f1", {"f1": math.nan}, {"f1": True}, 10).to_json())
