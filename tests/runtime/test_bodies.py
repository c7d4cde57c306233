"""The same rows in every kind of body give the same answer and the same errors; nothing hostile gets past an error."""

import csv
import io
import json
import struct
import sys
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.errors import HoldfastError, InvalidInput, TooLarge, UnsupportedMedia
from holdfast.evidence import Column, FeatureSchema
from holdfast.runtime import arrow_rows as arrow_module
from holdfast.runtime import rows as rows_module
from holdfast.runtime.memory import room
from holdfast.runtime.open_inference import TENSORS
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.rows import Table
from holdfast.runtime.schema import conform
from holdfast.runtime.sent import ARROW, CSV, JSON, JSON_LINES, PARQUET, Sent
from holdfast.runtime.shapes import INVOCATIONS, PREDICT, V2, answer_body, table_in

SCHEMA = FeatureSchema(
    "rows",
    (
        Column("age", "float64", minimum=0.0, maximum=150.0, enforce=True),
        Column("calls", "int8"),
        Column("plan", "string"),
        Column("member", "bool", nullable=True),
        Column("kind", "category", nullable=True, categories=("a", 7), enforce=True),
        Column("since", "datetime", nullable=True),
    ),
)
GOOD: list[dict[str, Any]] = [
    {"age": 41.5, "calls": 3, "plan": "basic, plus", "member": True, "kind": "a", "since": "2026-03-01T09:00:00"},
    {"age": 0.0, "calls": -128, "plan": "", "member": None, "kind": None, "since": None},
    {"age": 18.0, "calls": 127, "plan": '"x"\nü', "member": False, "kind": 7, "since": "2026-03-01T09:00:00"},
]
STAMP = {"model": "churn", "version": 3, "digest": "sha256:" + "ab" * 32}


def as_json(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps(rows).encode()


def as_lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    written = io.StringIO(newline="")
    names = list(rows[0])
    writer = csv.DictWriter(written, names)
    writer.writeheader()
    writer.writerows({name: "" if row[name] is None else row[name] for name in names} for row in rows)
    return written.getvalue().encode()


def as_table(rows: list[dict[str, Any]]) -> pa.Table:
    # A column of Arrow has one type: categories that are numbers and texts travel as text.
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return pa.table({name: pa.array([*values]) for name, values in columns.items()})


def as_arrow(rows: list[dict[str, Any]]) -> bytes:
    return stream(as_table(rows))


def stream(table: pa.Table, **options: Any) -> bytes:
    written = io.BytesIO()
    with pa.ipc.new_stream(written, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return written.getvalue()


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    written = io.BytesIO()
    pq.write_table(as_table(rows), written)
    return written.getvalue()


KINDS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    JSON: as_json,
    JSON_LINES: as_lines,
    CSV: as_csv,
    ARROW: as_arrow,
    PARQUET: as_parquet,
}
TYPED = {ARROW, PARQUET}


def read(kind: str, body: bytes, shape: str = PREDICT) -> Table:
    return conform(SCHEMA, table_in(shape, body, Sent(kind), SCHEMA)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_body_gives_the_same_rows(kind: str) -> None:
    rows = [dict(row, kind="a") for row in GOOD] if kind in TYPED else GOOD
    expected = conform(SCHEMA, Table.of_records(rows))
    for shape in (PREDICT, INVOCATIONS):
        assert read(kind, KINDS[kind](rows), shape) == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("age", "old", "column 'age', row 1: a number was expected, 'old' was sent"),
        ("age", None, "column 'age', row 1: a value was expected, none was sent"),
        ("age", 151.0, "column 'age', row 1: 151.0 is above 150.0"),
        ("calls", 128, "column 'calls', row 1: 128 does not fit into int8"),
        ("calls", 1.5, "column 'calls', row 1: a whole number was expected, 1.5 was sent"),
        ("member", "maybe", "column 'member', row 1: true or false was expected, 'maybe' was sent"),
        ("kind", "b", "column 'kind', row 1: 'b' is none of ['a', 7]"),
        ("since", "soon", "column 'since', row 1: a time such as 2026-03-01T09:00:00 was expected, 'soon' was sent"),
    ],
)
def test_an_error_names_column_and_row_in_one_form_for_every_kind(
    kind: str, column: str, value: Any, says: str
) -> None:
    rows = [dict(row, kind="a") for row in GOOD]
    rows[1][column] = value
    if kind in TYPED and len({type(row[column]) for row in rows} - {type(None)}) > 1:
        # A column of Arrow has one type, so that the other rows cannot be right where one is of the wrong type.
        rows, says = rows[1:2], says.replace("row 1", "row 0")
    with pytest.raises(InvalidInput) as refused:
        read(kind, KINDS[kind](rows))
    assert refused.value.message == says
    assert refused.value.details["column"] == column


@pytest.mark.parametrize("kind", KINDS)
def test_columns_that_lack_and_columns_that_nobody_knows_are_named_together(kind: str) -> None:
    rows = [{("Age" if name == "age" else name): value for name, value in row.items()} for row in GOOD[:1]]
    with pytest.raises(InvalidInput, match="the rows lack age; sent and not known: Age") as refused:
        read(kind, KINDS[kind](rows))
    assert (refused.value.details["missing"], refused.value.details["unknown"]) == (["age"], ["Age"])


@pytest.mark.parametrize(
    ("kind", "body", "says"),
    [
        (CSV, b"", "no header"),
        (CSV, b"age,calls\r\n1,2\r\n3\r\n", "row 1: 2 values were expected, 1 were sent"),
        (CSV, b"age\r\n\xff\r\n", "not UTF-8"),
        (CSV, b'age\r\n"1', "row 0 is no CSV"),
        (CSV, b"age,age\r\n1,2\r\n", "names do not match"),
        (JSON_LINES, b'{"age": 1}\n{"age"', "row 1 is not JSON"),
        (JSON_LINES, b'{"age": 1}\n[1]\n', "row 1: a JSON object was expected, a list was sent"),
        (JSON, b'[{"age": 1}, 2]', "row 1: a JSON object was expected, a number was sent"),
        (JSON, b"[[1, 2], [1]]", "row 1: 2 values, as in row 0, was expected, 1 values was sent"),
        (JSON, b"[" * 100_000, "not JSON"),
        (ARROW, b"", "not an Arrow stream"),
        (PARQUET, b"PAR1PAR1", "not a Parquet file"),
    ],
)
def test_a_damaged_body_is_invalid_input(kind: str, body: bytes, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        read(kind, body)


def test_numbers_of_a_csv_are_those_that_people_write() -> None:
    schema = FeatureSchema("rows", (Column("x", "float64", nullable=True), Column("note", "string", nullable=True)))
    body = b"\xef\xbb\xbfx,note,other\r\n1,,a\r\n\r\n-1.5e3,nan,\r\nNaN,1,2\r\n,,\r\n"
    table = conform(schema, table_in(PREDICT, body, Sent(CSV), schema)[0])
    assert table.columns == ([1.0, -1500.0, None, None], [None, "nan", "1", None])
    for text in ("1_000", "0x10", "1 2", "\u0661"):
        with pytest.raises(InvalidInput, match="column 'x', row 0: a number was expected"):
            conform(schema, table_in(PREDICT, f"x\n{text}\n".encode(), Sent(CSV), schema)[0])


def test_a_text_that_many_rows_point_to_is_held_once() -> None:
    text = "x" * 100_000
    indices = pa.array([0] * 100_000, pa.int8())
    dictionary = pa.DictionaryArray.from_arrays(indices, pa.array([text]))
    table = pa.table({"plan": dictionary})
    written = io.BytesIO()
    pq.write_table(pa.table({"plan": pa.array([text] * 100)}), written)
    for kind, body in ((ARROW, stream(table)), (PARQUET, written.getvalue())):
        (values,) = table_in(PREDICT, body, Sent(kind), SCHEMA)[0].columns
        assert len({id(value) for value in values}) == 1


@pytest.mark.thorough
@pytest.mark.parametrize("kind", [ARROW, PARQUET])
def test_what_unpacks_to_more_than_the_room_is_too_large(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_module, "ROOM_BYTES_MAX", 64 << 20)
    table = pa.table({"age": pa.array([0.0]).take(pa.array([0] * 20_000_000, pa.int32()))})
    written = io.BytesIO()
    pq.write_table(table, written, compression="zstd", use_dictionary=False)
    body = stream(table, compression="zstd") if kind == ARROW else written.getvalue()
    assert len(body) < 1 << 20
    with pytest.raises(TooLarge):
        read(kind, body)
    with room(256 << 20):
        assert len([0] * 1000) == 1000


@pytest.mark.parametrize("kind", KINDS)
def test_too_many_rows_are_too_large(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("rows", "json_rows", "csv_rows", "arrow_rows"):
        monkeypatch.setattr(sys.modules[f"holdfast.runtime.{name}"], "ROWS_MAX", 5)
    with pytest.raises(TooLarge):
        read(kind, KINDS[kind]([dict(GOOD[0])] * 6))


def test_rows_that_each_have_a_name_of_their_own_are_too_large_before_they_are_laid_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rows_module, "CELLS_MAX", 100)
    with pytest.raises(TooLarge, match="rows times columns"):
        read(JSON, json.dumps([{f"x{place}": 1} for place in range(11)]).encode())


def test_nested_columns_are_refused_by_name() -> None:
    table = pa.table({"age": pa.array([[1.0]])})
    with pytest.raises(InvalidInput, match="column 'age': flat values were expected, list"):
        read(ARROW, stream(table))


def test_an_environment_without_pyarrow_says_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for kind in (ARROW, PARQUET):
        with pytest.raises(UnsupportedMedia) as refused:
            read(kind, b"")
        assert refused.value.details["takes"] == ["application/json", "application/jsonl", "text/csv"]
    with pytest.raises(UnsupportedMedia):
        answer_body(PREDICT, Answer([1], [0.5], None), {}, STAMP, ARROW)


def test_answers_come_in_the_kind_that_is_wanted() -> None:
    answer = Answer(["no", "yes"], [[0.9, 0.1], [0.2, 0.8]], ["no", "yes"])
    said = json.loads(answer_body(PREDICT, answer, {}, STAMP))
    assert said == {"predictions": ["no", "yes"], "scores": answer.scores, "classes": ["no", "yes"], **STAMP}
    written = answer_body(PREDICT, answer, {}, STAMP, CSV).decode()
    assert written == "prediction,score_no,score_yes\r\nno,0.9,0.1\r\nyes,0.2,0.8\r\n"
    assert answer_body(INVOCATIONS, Answer([True], [0.7], None), {}, STAMP, CSV) == b"prediction\r\ntrue\r\n"
    table = pa.ipc.open_stream(answer_body(PREDICT, answer, {}, STAMP, ARROW)).read_all()
    assert table.to_pydict() == {"prediction": ["no", "yes"], "score_no": [0.9, 0.2], "score_yes": [0.1, 0.8]}
    assert table.schema.metadata == {b"model": b"churn", b"version": b"3", b"digest": b"sha256:" + b"ab" * 32}


def tensor(name: str, datatype: str, values: list[Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(values)], "data": values, **more}


@pytest.mark.parametrize("datatype", [name for name in TENSORS if name != "BYTES"])
def test_binary_tensors_of_each_datatype_are_read_as_their_values(datatype: str) -> None:
    values = [True, False] if datatype == "BOOL" else [0, 1]
    packed = struct.pack(f"<2{TENSORS[datatype][1]}", *values)
    said = {"name": "x", "datatype": datatype, "shape": [2, 1], "parameters": {"binary_data_size": len(packed)}}
    head = json.dumps({"inputs": [said]}).encode()
    table, _ = table_in(V2, head + packed, Sent(head=len(head)))
    assert table.columns == (values,)


def test_binary_text_and_json_tensors_stand_in_one_request() -> None:
    packed = b"".join(struct.pack("<I", len(text)) + text for text in (b"basic", "ü".encode()))
    plan = {"name": "plan", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": len(packed)}}
    head = json.dumps({"inputs": [tensor("age", "FP64", [1, None]), plan]}).encode()
    table, _ = table_in(V2, head + packed, Sent(head=len(head)))
    assert (table.names, table.columns) == (("age", "plan"), ([1, None], ["basic", "ü"]))


@pytest.mark.parametrize(
    ("inputs", "tail", "says"),
    [
        ([tensor("age", "FP64", [1], shape=[2])], b"", r"column 'age': 2 values were expected for the shape \[2\]"),
        ([tensor("age", "INT8", [1, 128])], b"", "column 'age', row 1: INT8 was expected, 128 was sent"),
        ([tensor("age", "FP32", ["x"])], b"", "column 'age', row 0: FP32 was expected, 'x' was sent"),
        ([tensor("age", "BYTES", [1])], b"", "column 'age', row 0: BYTES was expected, 1 was sent"),
        ([tensor("age", "FP8", [1])], b"", "column 'age': a datatype of BOOL"),
        ([tensor("age", "FP64", [1], shape=[1] * 9)], b"", "at most 8 sizes"),
        ([tensor("age", "FP64", [[[[[[[[[1]]]]]]]]], shape=[1])], b"", "at most 8 dimensions"),
        ([tensor("a", "FP64", [1, 2], shape=[1, 2]), tensor("b", "FP64", [1])], b"", "one value a row was expected"),
        ([tensor("a", "FP64", [], parameters={"shared_memory_region": "x"})], b"", "shared memory"),
        ([tensor("a", "FP64", [], parameters={"binary_data_size": 9})], b"12345678", "9 bytes were announced"),
        ([tensor("a", "FP64", [], parameters={"binary_data_size": 7})], b"1234567", "values of 8 bytes"),
        ([tensor("a", "BYTES", [], parameters={"binary_data_size": 3})], b"123", "a length of four bytes"),
        ([tensor("a", "BYTES", [], parameters={"binary_data_size": 5})], b"\2\0\0\0x", "fewer were sent"),
        ([tensor("a", "BYTES", [], parameters={"binary_data_size": 5})], b"\1\0\0\0\xff", "UTF-8 was expected"),
        ([tensor("a", "FP64", [1])], b"1", "1 bytes follow the last tensor"),
    ],
)
def test_tensors_that_do_not_fit_are_told_by_name(inputs: list[Any], tail: bytes, says: str) -> None:
    head = json.dumps({"inputs": inputs}).encode()
    with pytest.raises(InvalidInput, match=says):
        table_in(V2, head + tail, Sent(head=len(head)))


def test_outputs_are_those_that_were_asked_for() -> None:
    answer = Answer([1, 0], [1, 0], None)
    inputs = [tensor("age", "FP64", [1, 2])]

    def asked(**more: Any) -> list[str]:
        body = json.dumps({"inputs": inputs, **more}).encode()
        _, request = table_in(V2, body)
        return [one["name"] for one in json.loads(answer_body(V2, answer, request, STAMP))["outputs"]]

    assert asked() == ["predictions"]
    assert asked(outputs=[{"name": "scores"}]) == ["scores"]
    assert asked(outputs=[{"name": "scores"}, {"name": "predictions"}]) == ["scores", "predictions"]
    for outputs in ("scores", [{"name": "logits"}], [{"name": "scores", "parameters": {"classification": 2}}]):
        with pytest.raises(InvalidInput):
            asked(outputs=outputs)


def test_an_id_that_no_answer_could_carry_is_left_out() -> None:
    body = b'{"id": "\\ud800", "inputs": [{"name": "a", "shape": [1], "datatype": "FP64", "data": [1]}]}'
    _, request = table_in(V2, body)
    assert "id" not in json.loads(answer_body(V2, Answer([1], [1], None), request, STAMP))


WRITTEN = [write(GOOD[:1]) for write in KINDS.values()]
bodies = st.one_of(
    st.binary(max_size=300),
    st.sampled_from(WRITTEN),
    st.tuples(
        st.sampled_from([write(GOOD[:1]) for write in KINDS.values()]), st.integers(0, 4000), st.binary(max_size=4)
    ).map(lambda case: case[0][: case[1]] + case[2] + case[0][case[1] + len(case[2]) :]),
)


@given(st.sampled_from([PREDICT, INVOCATIONS]), st.sampled_from(list(KINDS)), bodies)
@example(PREDICT, JSON, b'[{"age": "\\ud800"}]')
@example(PREDICT, JSON, b'[{"\\ud800": 1}]')
@example(PREDICT, JSON, b'[{"age": ' + b"9" * 4000 + b"}]")
def test_any_bytes_of_any_kind_are_rows_or_an_error_of_ours_that_can_be_told(
    shape: str, kind: str, body: bytes
) -> None:
    told: dict[str, Any] = {}
    try:
        table = read(kind, body, shape)
    except HoldfastError as error:
        told = error.to_json()
    else:
        assert all(len(column) == table.count for column in table.columns)
    assert isinstance(json.dumps(told, ensure_ascii=False).encode(), bytes)


@given(st.binary(max_size=60), st.integers(0, 80), st.sampled_from(list(TENSORS)), st.integers(-1, 40))
def test_any_binary_tail_is_tensors_or_an_error_of_ours(tail: bytes, cut: int, datatype: str, size: int) -> None:
    said = {"name": "x", "datatype": datatype, "shape": [2], "parameters": {"binary_data_size": size}}
    head = json.dumps({"inputs": [said]}).encode()
    try:
        table_in(V2, (head + tail), Sent(head=len(head) - cut if cut > 70 else len(head)))
    except HoldfastError:
        return
