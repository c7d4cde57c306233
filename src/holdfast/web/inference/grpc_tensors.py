"""Messages of gRPC as the bytes that a worker reads, and its answer as a message: the same tensors as over REST.

Typed contents become JSON; raw contents are what REST calls binary tensors, and follow the JSON as they came. The
answer is raw where the request was, and typed where it was typed: some clients read only what they write.
"""

import json
from typing import Any

from holdfast.canonical import JsonObject
from holdfast.errors import InvalidInput
from holdfast.runtime.open_inference import BYTES, packed
from holdfast.runtime.sent import Sent
from holdfast.runtime.shapes import V2
from holdfast.web.inference.answering import Asked
from holdfast.web.inference.grpc_messages import CONTENTS, messages

__all__ = ["answer_message", "asked_of", "tensors"]


def asked_of(request: Any) -> Asked:
    """What a ModelInferRequest asks.

    Raises:
        InvalidInput: raw contents that do not match the tensors, or text that is not UTF-8.
    """
    raw = list(request.raw_input_contents)
    if raw and len(raw) != len(request.inputs):
        raise InvalidInput(
            f"{len(request.inputs)} tensors have {len(raw)} raw contents", hint="Send one for each tensor, or none."
        )
    said: JsonObject = {"inputs": [_input(one, raw[at] if raw else None) for at, one in enumerate(request.inputs)]}
    if request.id:
        said["id"] = request.id
    if request.outputs:
        said["outputs"] = [{"name": one.name} for one in request.outputs]
    head = json.dumps(said, separators=(",", ":")).encode()
    if not raw:
        return Asked(V2, head, Sent())
    return Asked(V2, b"".join((head, *raw)), Sent(head=len(head)))


def _input(tensor: Any, raw: bytes | None) -> JsonObject:
    said: JsonObject = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
    if raw is not None:
        if tensor.HasField("contents"):
            raise InvalidInput(
                f"column {tensor.name!r:.200}: contents were expected once, raw and typed ones were sent",
                hint="Send either.",
            )
        return {**said, "parameters": {"binary_data_size": len(raw)}}
    place = CONTENTS.get(tensor.datatype)
    if place is None:
        raise InvalidInput(
            f"column {tensor.name!r:.200}: {tensor.datatype!r:.40} has no typed contents",
            hint=f"Send it as raw contents, or as one of {', '.join(CONTENTS)}.",
        )
    values = list(getattr(tensor.contents, place))
    if place != "bytes_contents":
        return {**said, "data": values}
    try:
        return {**said, "data": [value.decode() for value in values]}
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"column {tensor.name!r:.200}: UTF-8 was expected, other bytes were sent", hint="Send text."
        ) from error


def answer_message(answer: bytes, *, raw: bool) -> Any:
    """The ModelInferResponse of a worker's answer, with raw or typed contents."""
    said = json.loads(answer)
    message = messages()["ModelInferResponse"](
        model_name=said["model_name"], model_version=said["model_version"], id=said.get("id", "")
    )
    for name, value in said["parameters"].items():
        message.parameters[name].string_param = str(value)
    for tensor in said["outputs"]:
        datatype, values = tensor["datatype"], tensor["data"]
        found = message.outputs.add(name=tensor["name"], datatype=datatype, shape=tensor["shape"])
        if datatype == BYTES:
            values = [(value if isinstance(value, str) else json.dumps(value)).encode() for value in values]
        if raw:
            message.raw_output_contents.append(packed(datatype, values))
        else:
            getattr(found.contents, CONTENTS[datatype]).extend(values)
    return message


def tensors(described: JsonObject, message: Any) -> Any:
    """The ModelMetadataResponse with the tensors that REST would describe."""
    for place in ("inputs", "outputs"):
        for one in described[place]:
            getattr(message, place).add(name=one["name"], datatype=one["datatype"], shape=one["shape"])
    return message
