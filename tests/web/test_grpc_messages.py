"""The messages are the protocol's: the same names, numbers and types as another implementation's."""

import struct
from typing import Any

import pytest
from tritonclient.grpc import service_pb2

from holdfast.errors import InvalidInput
from holdfast.runtime.sent import Sent
from holdfast.runtime.shapes import V2, table_in
from holdfast.web.inference.grpc_messages import messages
from holdfast.web.inference.grpc_tensors import answer_message, asked_of


def fields(descriptor: Any) -> dict[str, tuple[object, ...]]:
    return {
        one.name: (
            one.number,
            one.type,
            one.is_repeated,
            one.message_type.full_name if one.message_type else None,
            one.containing_oneof.name if one.containing_oneof else None,
        )
        for one in descriptor.fields
    }


@pytest.mark.parametrize("name", list(messages()))
def test_every_field_has_the_number_and_the_type_of_the_protocol(name: str) -> None:
    outer, *inner = name.split(".")
    other = service_pb2.DESCRIPTOR.message_types_by_name[outer]
    for one in inner:
        other = other.nested_types_by_name[one]
    assert fields(messages()[name].DESCRIPTOR) == fields(other)


def request(**more: Any) -> Any:
    return messages()["ModelInferRequest"](model_name="churn", **more)


def tensor(datatype: str, **contents: Any) -> dict[str, Any]:
    count = len(next(iter(contents.values()))) if contents else 1
    typed = {"contents": contents} if contents else {}
    return {"name": "x", "datatype": datatype, "shape": [count], **typed}


@pytest.mark.parametrize(
    ("datatype", "place", "values"),
    [
        ("BOOL", "bool_contents", [True, False]),
        ("INT8", "int_contents", [-128, 127]),
        ("INT64", "int64_contents", [-(2**63), 2**63 - 1]),
        ("UINT16", "uint_contents", [0, 65535]),
        ("UINT64", "uint64_contents", [0, 2**64 - 1]),
        ("FP32", "fp32_contents", [0.5, -1.0]),
        ("FP64", "fp64_contents", [0.1, 1e300]),
        ("BYTES", "bytes_contents", [b"basic", "ü".encode()]),
    ],
)
def test_typed_contents_are_the_rows_of_the_same_tensors_over_rest(
    datatype: str, place: str, values: list[Any]
) -> None:
    asked = asked_of(request(id="7", inputs=[tensor(datatype, **{place: values})], outputs=[{"name": "scores"}]))
    table, said = table_in(V2, asked.body, asked.sent)
    assert table.columns == ([one.decode() if isinstance(one, bytes) else one for one in values],)
    assert said == {"id": "7", "outputs": [{"name": "scores"}]}


def test_raw_contents_follow_the_json_as_they_came() -> None:
    asked = asked_of(request(inputs=[tensor("FP16") | {"shape": [2]}], raw_input_contents=[b"\0\x3c\0\x40"]))
    assert asked.body.endswith(b"\0\x3c\0\x40")
    assert table_in(V2, asked.body, asked.sent)[0].columns == ([1.0, 2.0],)


@pytest.mark.parametrize(
    "broken",
    [
        {"inputs": [tensor("FP64", fp64_contents=[1.0])], "raw_input_contents": [b"12345678"]},
        {"inputs": [tensor("FP64")], "raw_input_contents": [b"", b""]},
        {"inputs": [tensor("FP16")]},
        {"inputs": [tensor("nothing")]},
        {"inputs": [tensor("BYTES", bytes_contents=[b"\xff"])]},
    ],
)
def test_contents_that_do_not_match_their_tensor_are_invalid_input(broken: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        asked_of(request(**broken))


def test_an_answer_is_typed_contents_and_names_its_version() -> None:
    answer = (
        b'{"model_name":"churn","model_version":"3","parameters":{"digest":"sha256:ab"},"id":"7","outputs":['
        b'{"name":"predictions","shape":[2],"datatype":"BYTES","data":["no",1]},'
        b'{"name":"scores","shape":[2,1],"datatype":"FP64","data":[0.5,1]}]}'
    )
    found = answer_message(answer, raw=False)
    assert (found.model_name, found.model_version, found.id) == ("churn", "3", "7")
    assert found.parameters["digest"].string_param == "sha256:ab"
    assert list(found.outputs[0].contents.bytes_contents) == [b"no", b"1"]
    assert list(found.outputs[1].contents.fp64_contents) == [0.5, 1.0]
    assert list(found.outputs[1].shape) == [2, 1]
    found = answer_message(answer, raw=True)
    assert not found.outputs[0].HasField("contents")
    assert list(found.raw_output_contents) == [b"\2\0\0\0no\1\0\0\x001", struct.pack("<2d", 0.5, 1.0)]


def test_a_request_without_raw_contents_is_plain_json() -> None:
    assert asked_of(request(inputs=[tensor("BOOL", bool_contents=[True])])).sent == Sent()
