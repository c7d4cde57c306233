"""Request and answer shapes: every way in gives the same table; nothing hostile gets further than an error."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import BundleFailed, HoldfastError, InvalidInput
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.rows import Table
from holdfast.runtime.shapes import INVOCATIONS, PREDICT, TABLE, V2, answer_body, table_in

STAMP = {"model": "churn", "version": 3, "digest": "sha256:" + "ab" * 32}

records = st.lists(
    st.tuples(st.floats(0, 100), st.integers(0, 9), st.text("xy", max_size=2)).map(
        lambda row: dict(zip(("age", "calls", "plan"), row, strict=True))
    ),
    min_size=1,
    max_size=5,
)


def read(shape: str, value: Any) -> Table:
    return table_in(shape, json.dumps(value).encode())[0]


@given(records)
def test_every_shape_gives_the_same_table(rows: list[dict[str, Any]]) -> None:
    expected = Table.of_records(rows)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    bare = [list(row.values()) for row in rows]
    kinds = {"age": "FP64", "calls": "INT64", "plan": "BYTES"}
    tensors = [{"name": n, "shape": [len(rows)], "datatype": kinds[n], "data": data} for n, data in columns.items()]
    assert read(TABLE, expected.to_json()) == expected
    assert read(INVOCATIONS, {"dataframe_records": rows}) == expected
    assert read(INVOCATIONS, {"dataframe_split": {"columns": list(columns), "data": bare}}) == expected
    assert read(INVOCATIONS, {"inputs": columns}) == expected
    assert read(INVOCATIONS, {"instances": rows}) == expected
    assert read(INVOCATIONS, {"instances": bare}).columns == expected.columns
    assert read(INVOCATIONS, rows) == read(PREDICT, rows) == read(PREDICT, {"rows": rows}) == expected
    assert read(PREDICT, {"columns": list(columns), "rows": bare}) == expected
    assert read(V2, {"inputs": tensors}) == expected


def test_one_matrix_is_rows_without_names_however_it_is_nested() -> None:
    for data in ([1, 2, 3, 4, 5, 6], [[1, 2, 3], [4, 5, 6]]):
        table = read(V2, {"inputs": [{"name": "x", "shape": [2, 3], "datatype": "INT64", "data": data}]})
        assert (table.names, table.columns) == (None, ([1, 4], [2, 5], [3, 6]))


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        (INVOCATIONS, "rows"),
        (INVOCATIONS, [{"age": 1}, [1]]),
        (INVOCATIONS, {"instances": [[1]], "params": {"temperature": 1}}),
        (PREDICT, {}),
        (PREDICT, {"rows": {"age": 1}}),
        (PREDICT, {"rows": [[1]], "columns": ["age", "plan"]}),
        (INVOCATIONS, {}),
        (INVOCATIONS, {"inputs": [], "instances": []}),
        (INVOCATIONS, {"inputs": 3}),
        (INVOCATIONS, {"instances": [1, 2]}),
        (INVOCATIONS, {"dataframe_records": {"age": 1}}),
        (INVOCATIONS, {"dataframe_records": [1]}),
        (INVOCATIONS, {"dataframe_split": []}),
        (INVOCATIONS, {"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}),
        (INVOCATIONS, {"dataframe_split": {"columns": 3, "data": [[1, 2]]}}),
        (INVOCATIONS, {"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}),
        (V2, {}),
        (V2, {"inputs": []}),
        (V2, {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64"}]}),
        (V2, {"inputs": [{"name": "x", "shape": [-1], "datatype": "FP64", "data": [1]}]}),
        (V2, {"inputs": [{"name": "x", "shape": [True], "datatype": "FP64", "data": [1]}]}),
        (V2, {"inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [1]}]}),
        (V2, {"inputs": [{"name": "x", "shape": [10**12, 0], "datatype": "FP64", "data": []}]}),
        (V2, {"inputs": [{"name": n, "shape": [1], "data": [1] * k} for n, k in (("a", 1), ("b", 2))]}),
        (V2, {"inputs": [{"name": "a", "shape": [1], "data": [1]}] * 2}),
    ],
)
def test_what_is_no_request_is_invalid_input(shape: str, value: Any) -> None:
    with pytest.raises(InvalidInput):
        read(shape, value)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["inputs", "instances", "data", "columns", "shape", "name", "dataframe_split"]), inner
        ),
    ),
)


@given(st.sampled_from([INVOCATIONS, PREDICT, V2]), json_values)
def test_any_json_is_a_table_or_an_error_of_ours(shape: str, value: Any) -> None:
    try:
        table = read(shape, value)
    except HoldfastError:
        return
    assert all(len(column) == table.count for column in table.columns)


@given(st.sampled_from([INVOCATIONS, PREDICT, V2]), st.binary(max_size=200))
def test_any_bytes_are_a_table_or_an_error_of_ours(shape: str, body: bytes) -> None:
    try:
        table_in(shape, body)
    except HoldfastError:
        return


def test_answers_carry_the_stamp_of_the_version_that_gave_them() -> None:
    answer = Answer([1, 0], [[0.2, 0.8], [0.7, 0.3]], [0, 1])
    said = json.loads(answer_body(INVOCATIONS, answer, {}, STAMP))
    assert said == {"predictions": [1, 0], **STAMP}
    said = json.loads(answer_body(V2, answer, {"id": "7"}, STAMP))
    assert (said["model_name"], said["model_version"], said["id"]) == ("churn", "3", "7")
    assert said["parameters"] == {"digest": STAMP["digest"]}
    assert said["outputs"] == [
        {"name": "predictions", "shape": [2], "datatype": "INT64", "data": [1, 0]},
        {"name": "scores", "shape": [2, 2], "datatype": "FP64", "data": [0.2, 0.8, 0.7, 0.3]},
    ]


@pytest.mark.parametrize(
    ("predictions", "datatype"), [([True], "BOOL"), ([1], "INT64"), ([1, 2.5], "FP64"), (["a"], "BYTES")]
)
def test_predictions_name_their_datatype(predictions: list[Any], datatype: str) -> None:
    said = json.loads(answer_body(V2, Answer(predictions, predictions, None), {}, STAMP))
    assert [tensor["datatype"] for tensor in said["outputs"]] == [datatype]


def test_a_score_that_json_cannot_carry_is_the_bundles_failure() -> None:
    with pytest.raises(BundleFailed):
        answer_body(INVOCATIONS, Answer([float("nan")], [1.0], None), {}, STAMP)
