"""The key of a request: a header, the first row's column, or nothing."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import UsageError
from holdfast.runtime.sent import ARROW, CSV, JSON_LINES, Sent
from holdfast.runtime.shapes import INVOCATIONS, PREDICT, V2
from holdfast.serving.keys import KEY_CHARACTERS_MAX, KeySource, Origin

USER = KeySource(Origin.COLUMN, "user")


@pytest.mark.parametrize("text", ["request", "header:x-user", "column:user id", "column:a:b"])
def test_a_key_is_read_as_it_is_written(text: str) -> None:
    assert str(KeySource.parse(text)) == text


@pytest.mark.parametrize("text", ["", "x-user", "header:", "column: ", "header:a b", "cookie:a", "column:" + "a" * 300])
def test_what_names_no_place_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        KeySource.parse(text)


def test_a_header_is_found_whatever_its_letters() -> None:
    headers = [(b"host", b"a"), (b"x-user", b"ana"), (b"x-user", b"bo")]
    assert KeySource.parse("header:X-User").find(headers, INVOCATIONS, b"") == "ana"
    assert KeySource.parse("header:x-other").find(headers, INVOCATIONS, b"") is None
    assert KeySource().find(headers, INVOCATIONS, b'{"user": 1}') is None


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        (INVOCATIONS, {"dataframe_records": [{"age": 1, "user": 7}, {"age": 2, "user": 8}]}),
        (INVOCATIONS, {"instances": [{"user": 7.0}]}),
        (INVOCATIONS, {"inputs": {"user": [7, 8]}}),
        (INVOCATIONS, {"inputs": {"user": 7}}),
        (INVOCATIONS, {"dataframe_split": {"columns": ["age", "user"], "data": [[1, 7], [2, 8]]}}),
        (V2, {"inputs": [{"name": "age", "data": [1]}, {"name": "user", "data": [[7], [8]]}]}),
    ],
)
def test_the_first_row_speaks_for_a_batch(shape: str, body: dict[str, object]) -> None:
    assert USER.find([], shape, json.dumps(body).encode()) == "7"


@pytest.mark.parametrize(
    ("cell", "key"),
    [
        (True, "true"),
        ("ana", "ana"),
        (1.5, "1.5"),
        (-3, "-3"),
        (None, None),
        ("", None),
        ({}, None),
        ("a" * (KEY_CHARACTERS_MAX + 1), None),
        (10**2000, None),
    ],
)
def test_a_cell_is_a_key_or_none(cell: object, key: str | None) -> None:
    assert USER.find([], INVOCATIONS, json.dumps({"instances": [{"user": cell}]}).encode()) == key


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["inputs", "instances", "dataframe_split", "columns", "data", "user"]), inner)
    ),
    max_leaves=20,
)


@given(body=JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=50))
@pytest.mark.parametrize("shape", [INVOCATIONS, V2])
def test_no_body_is_an_error(shape: str, body: bytes) -> None:
    USER.find([], shape, body)


@pytest.mark.parametrize(
    ("kind", "shape", "body"),
    [
        ("json", PREDICT, b'{"rows": [{"user": 7}]}'),
        ("json", PREDICT, b'{"columns": ["age", "user"], "rows": [[1, 7]]}'),
        ("json", INVOCATIONS, b'[{"user": 7}]'),
        (JSON_LINES, PREDICT, b'\n{"user": 7}\n{"user": 8}\n'),
        (CSV, PREDICT, b"age,user\r\n41,7\r\n"),
    ],
)
def test_a_column_is_found_in_every_kind_of_body_that_the_router_reads(kind: str, shape: str, body: bytes) -> None:
    assert USER.find([], shape, body, Sent(kind)) == "7"


@given(st.sampled_from([CSV, JSON_LINES, ARROW, "json"]), st.binary(max_size=100))
def test_no_body_of_any_kind_stops_the_router(kind: str, body: bytes) -> None:
    USER.find([], PREDICT, body, Sent(kind))


def test_the_json_before_a_binary_tensor_is_read() -> None:
    head = b'{"inputs": [{"name": "user", "data": [7]}]}'
    assert USER.find([], V2, head + b"\xff\x00", Sent(head=len(head))) == "7"
