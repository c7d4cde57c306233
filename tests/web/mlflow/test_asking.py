"""What a request says, and MLflow's own sentences where it says something else."""

import math

import pytest

from holdfast.errors import UsageError
from holdfast.web.mlflow.asking import Asked


def query(text: str) -> Asked:
    return Asked.of_query(text, {}, {})


def body(text: str, kind: str = "application/json; charset=utf-8") -> Asked:
    return Asked.of_body(text.encode(), {}, {"content-type": kind})


def test_a_query_gives_texts_and_lists_alike() -> None:
    asked = query("experiment_ids=1&experiment_ids=2&max_results=5&name=a%20b&empty=")
    assert asked.texts("experiment_ids") == ["1", "2"]
    assert asked.texts("name") == ["a b"]
    assert (asked.integer("max_results"), asked.text("name"), asked.maybe_integer("empty")) == (5, "a b", None)


def test_numbers_are_read_as_texts_too() -> None:
    asked = body('{"a": "12", "b": 12, "c": 12.0, "d": "NaN", "e": "-Infinity", "f": "1e3"}')
    assert [asked.integer(name) for name in "abc"] == [12, 12, 12]
    assert math.isnan(asked.number("d"))
    assert (asked.number("e"), asked.number("f")) == (-math.inf, 1000.0)


def test_unset_is_not_nought() -> None:
    asked = body('{"step": 0, "none": null}')
    assert asked.maybe_integer("step") == 0
    assert asked.maybe_integer("none") is None
    assert asked.integer("none", 7) == 7


@pytest.mark.parametrize(
    ("asked", "name", "sentence"),
    [
        ("{}", "name", "Missing value for required parameter 'name'."),
        ('{"name": ""}', "name", "Missing value for required parameter 'name'."),
        ('{"name": 123}', "name", "Invalid value 123 for parameter 'name' supplied:  Hint: Value was of type 'int'."),
    ],
)
def test_a_text_that_is_none_is_refused_in_the_words_of_mlflow(asked: str, name: str, sentence: str) -> None:
    with pytest.raises(UsageError) as raised:
        body(asked).text(name)
    assert raised.value.message.startswith(sentence)


@pytest.mark.parametrize("value", ["1.5", "x", str(2**63), "true"])
def test_what_is_no_whole_number_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="Invalid value"):
        query(f"version={value}").integer("version")


def test_a_flag_is_true_or_false() -> None:
    assert query("a=true&b=False").flag("a")
    assert not query("a=true&b=False").flag("b")
    with pytest.raises(UsageError, match="Invalid boolean value: yes, must be 'true' or 'false'"):
        query("a=yes").flag("a")


def test_a_body_needs_its_content_type() -> None:
    with pytest.raises(UsageError, match="Content-Type header is missing"):
        Asked.of_body(b"{}", {}, {})
    with pytest.raises(UsageError, match="Content-Type must be application/json"):
        body("{}", "text/plain")


@pytest.mark.parametrize("text", ["[1]", "{", "[" * 100_000, '"{"'])
def test_a_body_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="Malformed request body"):
        body(text)


def test_the_path_says_more_than_the_body() -> None:
    asked = Asked.of_body(b'{"model_id": "m-1"}', {"model_id": "m-2"}, {"content-type": "application/json"})
    assert asked.text("model_id") == "m-2"
