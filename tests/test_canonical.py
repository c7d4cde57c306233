"""Canonical JSON: one value, one form; and reading that neither loses nor guesses."""

import enum
import json
import struct
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import canonical
from holdfast.canonical import INTEGER_MAX, Reader, decode, encode, plain
from holdfast.errors import TooLarge, UnsupportedFormat, UsageError
from tests.laws.values import json_values


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("ffefffffffffffff", "-1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("c340000000000000", "-9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555554", "333333333.33333325"),
        ("41b3de4355555555", "333333333.3333333"),
        ("41b3de4355555556", "333333333.3333334"),
        ("41b3de4355555557", "333333333.33333343"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_numbers_are_written_as_rfc_8785_lists_them(bits: str, text: str) -> None:
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert encode(value) == text.encode()
    assert decode(text, what="a number") == value


@pytest.mark.parametrize("bits", ["7fffffffffffffff", "7ff0000000000000", "fff0000000000000"])
def test_what_is_no_number_is_not_written(bits: str) -> None:
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    with pytest.raises(UsageError, match="canonical JSON"):
        encode({"x": [value]})


def test_strings_keep_their_characters_and_escape_what_must_be() -> None:
    assert encode("\u20ac$\u000f\nA'\u0042\u0022\u005c\\\"/") == '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'.encode()
    assert encode("\u2028\x7f\U0001f600") == '"\u2028\x7f\U0001f600"'.encode()


def test_fields_are_sorted_by_utf_16_and_not_by_code_point() -> None:
    value = {"€": 5, "\r": 1, "\ufb33": 7, "1": 2, "\U0001f600": 6, "\x80": 3, "ö": 4}
    assert list(json.loads(encode(value)).values()) == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("value", [2**53, -(2**53), {"a": "\ud800"}, {1: 2}, {"\udfff": 1}, object(), {1, 2}, b"x"])
def test_what_canonical_json_cannot_carry_is_an_error_of_ours(value: Any) -> None:
    with pytest.raises(UsageError):
        encode(value)


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


def test_a_value_too_deep_for_python_is_an_error_of_ours() -> None:
    with pytest.raises(UsageError):
        encode(nested(100_000))


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "nul", "[1,]", "{'a':1}", '{"a":1,"a":1}', '{"a":{"b":1,"b":2}}', "NaN", "Infinity", "-Infinity",
        "[NaN]", "1e999", "-1e999", "[1E+400]", "1" * 400, "1" * 400 + ".5", "9" * 5000, "1 2", "\ufeff{}", "0x10",
        "01",
        "1.", ".5", '"\t"', "[" * 100_000 + "]" * 100_000, '{"a":' * 100_000,
    ],
    ids=lambda text: text[:12],
)  # fmt: skip
@pytest.mark.parametrize("exact", [True, False])
def test_what_is_no_json_is_refused_and_says_what_it_was(text: str, exact: bool) -> None:
    if exact and text.isdecimal() and len(text) == 400:
        assert decode(text, what="the rows", exact=True) == int(text)
        return
    with pytest.raises(UnsupportedFormat, match="the thing is not valid JSON"):
        decode(text, what="the thing", exact=exact)


@pytest.mark.parametrize(
    "data", [b"\xff\xfe{\x00}\x00", "{}".encode("utf-16"), "{}".encode("utf-32"), b"\xef\xbb\xbf{}", b"\xe9"]
)
def test_only_utf_8_is_read(data: bytes) -> None:
    with pytest.raises(UnsupportedFormat):
        decode(data, what="the thing")


def test_nesting_ends_where_no_value_of_ours_goes() -> None:
    assert decode(json.dumps(nested(64)), what="x") == nested(64)
    with pytest.raises(UnsupportedFormat, match="nests deeper"):
        decode(json.dumps(nested(66)), what="x")
    wide = [[[1]] * 3] * 100
    assert decode(json.dumps(wide), what="x") == wide


def test_large_whole_numbers_are_floats_unless_exact_ones_are_asked_for() -> None:
    assert decode(str(INTEGER_MAX), what="x") == INTEGER_MAX
    for text in ("9007199254740993", "-9007199254740993", "100000000000000000000"):
        found = decode(text, what="x")
        assert isinstance(found, float)
        assert found == float(text)
        assert decode(text, what="x", exact=True) == int(text)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_read_as_the_float_that_was_written(value: float) -> None:
    for exact in (True, False):
        assert float(decode(encode(value), what="x", exact=exact)) == value
    assert decode(json.dumps([value]), what="x", exact=True) == [value]


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Mixed(str, enum.Enum):  # noqa: UP042 - the older way, whose str() is another
    ONE = "one"


def clean(text: str) -> str:
    return text


class Anything:
    """Has the repr that Python gives, with an address in it."""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, None), (True, True), (3, 3), (0.5, 0.5), ("x", "x"),
        (2**53, str(2**53)), (-(2**60), str(-(2**60))), (float("nan"), "nan"), (float("-inf"), "-inf"),
        (np.float32(0.5), 0.5), (np.int64(7), 7), (np.int64(2**60), str(2**60)), (np.bool_(True), True),
        (np.float64("nan"), "nan"), (np.str_("x"), "x"), (np.array(3), 3),
        (np.array([1, 2]), [1, 2]), (np.array([[0.5], [1.5]]), [[0.5], [1.5]]), (np.array(["a"]), ["a"]),
        (np.datetime64("2026-03-01T09:00:00"), "2026-03-01T09:00:00"),
        (pd.Series([1, 2]), [1, 2]), (pd.Index(["a"]), ["a"]), (pd.NA, None), (pd.NaT, None),
        (pd.Timestamp("2026-03-01 09:00"), "2026-03-01T09:00:00"),
        (datetime(2026, 3, 1, 9, tzinfo=UTC), "2026-03-01T09:00:00+00:00"), (date(2026, 3, 1), "2026-03-01"),
        ((1, (2,)), [1, [2]]), ({2, 1}, [1, 2]), (frozenset({"b", "a"}), ["a", "b"]), (range(10**12),
        f"range(0, {10**12})"),
        (b"\x00", "b'\\x00'"), (bytearray(b"a"), "b'a'"), ({1: {"x": (1,)}}, {"1": {"x": [1]}}),
        (Colour.RED, "red"), (Mixed.ONE, "one"), (Level.HIGH, 3), (len, "builtins.len"), (clean, f"{__name__}.clean"),
        (Anything, f"{__name__}.Anything"), (np.log1p, "builtins.log1p"), (PurePosixPath("a/b"),
        "PurePosixPath('a/b')"),
        (Fraction(1, 3), "Fraction(1, 3)"), ("caf\udce9.csv", "caf\\udce9.csv"), ({"\ud800": 1}, {"\\ud800": 1}),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_any_value_has_a_plain_form(value: Any, said: Any) -> None:
    found = plain(value)
    if value is np.log1p:
        assert isinstance(found, str)
        assert found.endswith("log1p")
        return
    assert found == said
    assert type(found) is type(said)
    assert decode(encode(found), what="x") == found


def test_the_plain_form_of_a_value_holds_nothing_that_differs_between_processes() -> None:
    assert plain([Anything(), Anything()]) == [f"<{__name__}.Anything object>"] * 2
    mixed = {1, "1", 2.5, None, ("a",), False}
    again: set[Any] = set()
    for item in sorted(mixed, key=repr, reverse=True):
        again.add(item)
    assert encode(plain(mixed)) == encode(plain(again))


def test_a_long_array_is_named_by_its_bytes() -> None:
    first, second = np.arange(20_000.0), np.arange(20_000.0)
    assert plain(first) == plain(second)
    assert "sha256:" in plain(first)
    second[12_345] += 1e-9
    assert plain(first) != plain(second)
    assert plain(pd.Series(first)) != plain(pd.Series(second))
    assert plain(first.astype(object)) != plain(second.astype(object))


def test_a_value_that_holds_itself_is_refused() -> None:
    held: list[Any] = []
    held.append(held)
    with pytest.raises(TooLarge):
        plain(held)
    with pytest.raises(TooLarge):
        plain(nested(canonical._DEPTH_MAX + 2))


@given(json_values)
def test_a_json_value_is_plain_already(value: Any) -> None:
    assert plain(value) == value
    assert plain(plain(value)) == plain(value)


def test_a_reader_says_where_something_is_wrong() -> None:
    with pytest.raises(UnsupportedFormat, match="manifest: an object was expected, list found"):
        Reader([], "manifest")
    reader = Reader({"parts": {"weights": 3}}, "manifest").reader("parts")
    with pytest.raises(UnsupportedFormat, match=r"manifest\.parts\.weights: a string was expected, int found") as error:
        reader.text("weights")
    assert error.value.details == {"where": "manifest.parts.weights"}


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        ("text", [None, 1, ["x"]]), ("maybe_text", [1, True]), ("integer", [None, True, 1.0, "1"]),
        ("maybe_integer", [1.5, False]), ("number", [None, "1", True]), ("maybe_number", ["1", True]),
        ("flag", [None, 0, "true"]), ("items", [None, "ab", {}]), ("texts", [[1], "a", [None]]),
        ("mapping", [None, [], "a"]), ("reader", [None, [], "a"]), ("numbers", [{"a": "1"}, {"a": True}, [], None]),
        ("flags", [{"a": 1}, {"a": "yes"}]), ("words", [{"a": 1}, {"a": None}]),
    ],
)  # fmt: skip
def test_a_field_of_another_type_is_refused(method: str, wrong: list[Any]) -> None:
    for value in wrong:
        with pytest.raises(UnsupportedFormat, match=r"here\.field"):
            getattr(Reader({"field": value}, "here"), method)("field")


def test_a_required_field_is_asked_for_and_another_has_its_default() -> None:
    for method in ("text", "integer", "number", "reader", "any"):
        with pytest.raises(UnsupportedFormat, match=r"here\.field: missing"):
            getattr(Reader({}, "here"), method)("field")
    reader = Reader({}, "here")
    assert (reader.maybe_text("a"), reader.maybe_integer("a"), reader.maybe_number("a")) == (None, None, None)
    assert (reader.flag("a"), reader.flag("a", default=True), reader.items("a"), reader.texts("a")) == (
        False,
        True,
        [],
        (),
    )
    assert (reader.mapping("a"), reader.numbers("a"), reader.flags("a"), reader.words("a")) == ({}, {}, {}, {})


def test_what_nobody_took_is_left() -> None:
    value = {"a": 1, "b": None, "c": [1]}
    reader = Reader(value, "here")
    assert reader.has("a")
    assert not reader.has("b")
    assert reader.integer("a") == 1
    assert not reader.has("a")
    assert reader.rest() == {"b": None, "c": [1]}
    assert value == {"a": 1, "b": None, "c": [1]}
