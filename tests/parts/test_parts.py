"""The five parts: present or stated to be missing, and never anything between."""

from typing import Any

import pytest

from holdfast.canonical import Reader
from holdfast.errors import HoldfastError, UnsupportedFormat, UsageError
from holdfast.parts import PART_NAMES, DataSlice, Missing, Parts, PreprocessingCode, Weights, how_to_add
from tests.laws.samples import complete, incomplete, path


def test_there_are_five_and_each_says_how_to_add_it() -> None:
    parts = complete().parts
    assert tuple(parts.by_name()) == PART_NAMES
    assert len(PART_NAMES) == 5
    for name in PART_NAMES:
        assert how_to_add(name)
    assert parts.missing() == ()


def test_what_is_missing_is_named_in_order_with_its_reason() -> None:
    missing = incomplete().parts.missing()
    assert [part.name for part in missing] == ["data_slice", "preprocessing_code", "hyperparameters", "eval_threshold"]
    assert missing[3].why == "the eval_threshold was not given"


def test_an_absence_is_an_object_with_its_reason_and_keeps_what_it_does_not_know() -> None:
    document = {"missing": "nobody knows", "asked": ["ana"]}
    parts = complete().parts.to_json() | {"weights": document}
    found = Parts.from_json(Reader(parts, "parts"))
    assert found.weights == Missing("weights", "nobody knows", {"asked": ["ana"]})
    assert found.to_json()["weights"] == document


def test_an_absence_without_a_reason_is_none() -> None:
    wrong: Any
    for wrong in ({}, {"missing": None}, {"missing": 3}, None, "missing", []):
        with pytest.raises(UnsupportedFormat):
            Parts.from_json(Reader(complete().parts.to_json() | {"weights": wrong}, "parts"))


def test_a_part_cannot_be_left_out_silently() -> None:
    for name in PART_NAMES:
        document = complete().parts.to_json()
        del document[name]
        with pytest.raises(UnsupportedFormat, match=name):
            Parts.from_json(Reader(document, "parts"))


def test_weights_without_a_file_and_a_slice_without_data_are_refused() -> None:
    with pytest.raises(UsageError, match="weights"):
        Weights("joblib", "sklearn", "x", True, ())
    with pytest.raises(UsageError, match="data"):
        DataSlice(())


def test_what_may_run_code_says_so_unless_the_document_says_otherwise() -> None:
    weights = complete().parts.to_json()["weights"]
    del weights["executes_code"]
    assert Weights.from_json(Reader(weights, "weights")).executes_code
    code = PreprocessingCode("transformer", state=path("code/t.joblib")).to_json()
    del code["executes_code"]
    assert PreprocessingCode.from_json(Reader(code, "code")).executes_code


@pytest.mark.parametrize("wrong", ["../../etc/passwd", "/etc/passwd", "a/../b", "", ".", "a\\b"])
def test_no_part_can_name_a_file_outside_its_bundle(wrong: str) -> None:
    for name, field in (("weights", "files"), ("preprocessing_code", "files"), ("preprocessing_code", "state")):
        document = complete().parts.to_json()
        document[name][field] = [wrong] if field == "files" else wrong
        with pytest.raises(HoldfastError):
            Parts.from_json(Reader(document, "parts"))
