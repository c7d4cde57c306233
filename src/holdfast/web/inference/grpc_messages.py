"""The messages of the Open Inference Protocol over gRPC, built from a table: no generated code, and no compiler.

The names and numbers of the fields are the protocol's; whoever speaks it finds them here as in its own `.proto` file.
Specification: https://github.com/kserve/open-inference-protocol, namespace `inference`.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import DescriptorProto

__all__ = ["CONTENTS", "SERVICE", "messages"]

_NAMESPACE = "inference"
SERVICE = f"{_NAMESPACE}.GRPCInferenceService"

_TENSOR = "1 string name, 2 string datatype, 3 int64* shape"
_FULL_TENSOR = f"{_TENSOR}, 4 map parameters, 5 InferTensorContents contents"

_MESSAGES = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "1 bool live",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "1 bool ready",
    "ModelReadyRequest": "1 string name, 2 string version",
    "ModelReadyResponse": "1 bool ready",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": "1 string name, 2 string version, 3 string* extensions",
    "ModelMetadataRequest": "1 string name, 2 string version",
    "ModelMetadataResponse.TensorMetadata": _TENSOR,
    "ModelMetadataResponse": "1 string name, 2 string* versions, 3 string platform, "
    "4 ModelMetadataResponse.TensorMetadata* inputs, 5 ModelMetadataResponse.TensorMetadata* outputs",
    "InferParameter": "1 bool bool_param, 2 int64 int64_param, 3 string string_param, 4 double double_param, "
    "5 uint64 uint64_param",
    "InferTensorContents": "1 bool* bool_contents, 2 int32* int_contents, 3 int64* int64_contents, "
    "4 uint32* uint_contents, 5 uint64* uint64_contents, 6 float* fp32_contents, 7 double* fp64_contents, "
    "8 bytes* bytes_contents",
    "ModelInferRequest.InferInputTensor": _FULL_TENSOR,
    "ModelInferRequest.InferRequestedOutputTensor": "1 string name, 2 map parameters",
    "ModelInferRequest": "1 string model_name, 2 string model_version, 3 string id, 4 map parameters, "
    "5 ModelInferRequest.InferInputTensor* inputs, 6 ModelInferRequest.InferRequestedOutputTensor* outputs, "
    "7 bytes* raw_input_contents",
    "ModelInferResponse.InferOutputTensor": _FULL_TENSOR,
    "ModelInferResponse": "1 string model_name, 2 string model_version, 3 string id, 4 map parameters, "
    "5 ModelInferResponse.InferOutputTensor* outputs, 6 bytes* raw_output_contents",
}
"""Each message: number, type and name of its fields; `*` for repeated, `map` for parameters by name."""

_CHOICES = {"InferParameter": "parameter_choice"}
"""Messages of which one field at a time is set, and what their choice is called."""

CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Where the values of each datatype stand; FP16 has no place of its own, and comes in binary."""


@cache
def messages() -> dict[str, Any]:
    """The class of each message, by its name.

    They live in a pool of their own: a process may hold another library that brings the same messages.
    """
    from google.protobuf.descriptor_pb2 import FileDescriptorProto
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message_factory import GetMessageClass

    file = FileDescriptorProto(name="holdfast/open_inference.proto", package=_NAMESPACE, syntax="proto3")
    made: dict[str, DescriptorProto] = {}
    # Outer messages first, so that the inner ones have somewhere to stand.
    for path in sorted(_MESSAGES, key=lambda name: name.count(".")):
        outer, _, name = path.rpartition(".")
        made[path] = made[outer].nested_type.add() if outer else file.message_type.add()
        made[path].name = name
        _fill(made[path], path)
    pool = DescriptorPool()
    pool.Add(file)
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"{_NAMESPACE}.{name}")) for name in _MESSAGES}


def _fill(message: "DescriptorProto", path: str) -> None:
    for field in filter(None, _MESSAGES[path].split(", ")):
        number, kind, name = field.split()
        if kind == "map":
            _map(message)
            kind = f"{path}.ParametersEntry*"
        _field(message, int(number), kind, name)
    if path in _CHOICES:
        message.oneof_decl.add().name = _CHOICES[path]
        for one in message.field:
            one.oneof_index = 0


def _map(message: "DescriptorProto") -> None:
    """What a map is underneath: a message of key and value, marked as an entry."""
    entry = message.nested_type.add()
    entry.name = "ParametersEntry"
    entry.options.map_entry = True
    _field(entry, 1, "string", "key")
    _field(entry, 2, "InferParameter", "value")


def _field(message: "DescriptorProto", number: int, kind: str, name: str) -> None:
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto

    found = message.field.add()
    found.name, found.number = name, number
    found.label = FieldDescriptorProto.LABEL_REPEATED if kind.endswith("*") else FieldDescriptorProto.LABEL_OPTIONAL
    kind = kind.rstrip("*")
    if kind[0].isupper():
        found.type, found.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{_NAMESPACE}.{kind}"
    else:
        found.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")
