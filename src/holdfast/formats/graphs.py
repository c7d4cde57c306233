"""Models that are graphs of known operators: ONNX, and Keras by its configuration.

Sources: onnx.proto of https://github.com/onnx/onnx; "Protocol Buffers: Encoding", https://protobuf.dev; the saving
format of Keras 3, https://keras.io.
"""

import json
from collections.abc import Iterator

from holdfast.formats.limits import DEPTH_MAX, Refused
from holdfast.formats.listing import printable

__all__ = ["keras_faults", "read_onnx"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIELDS_MAX = 1_000_000
"""A graph of a hundred thousand nodes has so many fields."""

_IR_VERSION, _GRAPH, _OPSET, _FUNCTIONS = 1, 7, 8, 25
_NODE, _INITIALIZER, _SPARSE = 1, 5, 15
_ATTRIBUTE, _DOMAIN = 5, 7
_EXTERNAL_DATA = 13
_KNOWN_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training"}


class _Spent:
    def __init__(self) -> None:
        self.left = _FIELDS_MAX


def _fields(data: bytes, spent: _Spent) -> Iterator[tuple[int, int | bytes]]:
    at, end = 0, len(data)
    while at < end:
        spent.left -= 1
        if spent.left < 0:
            raise Refused("it has more fields than any graph needs")
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise Refused("it is no message")
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == _BYTES:
            length, at = _varint(data, at)
        else:
            length = {_FIXED64: 8, _FIXED32: 4}.get(kind, end + 1)
        if length > end - at:
            raise Refused("it is no message")
        yield number, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a number
            return value, at
    raise Refused("it is no message")


def read_onnx(data: bytes) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Why an ONNX model could reach beyond its folder, and what else is to be said; None when it is no ONNX model."""
    spent = _Spent()
    faults: dict[str, None] = {}
    notes: dict[str, None] = {}
    numbers: set[int] = set()
    try:
        for number, value in _fields(data, spent):
            numbers.add(number)
            if number == _OPSET and type(value) is bytes:
                _note_domain(value, 1, notes, spent)
            elif number in (_GRAPH, _FUNCTIONS) and type(value) is bytes:
                _look(value, faults, notes, spent, 0, {_NODE} if number == _GRAPH else {7})
    except Refused:
        return None
    if not {_IR_VERSION, _GRAPH, _OPSET} <= numbers:
        return None
    return tuple(faults), tuple(notes)


def _note_domain(value: bytes, field: int, notes: dict[str, None], spent: _Spent) -> None:
    for number, found in _fields(value, spent):
        if number == field and type(found) is bytes:
            domain = found.decode("utf-8", "replace")
            if domain not in _KNOWN_DOMAINS:
                notes[f"it uses operators of {printable(domain)}, which its runtime must bring"] = None


def _look(
    graph: bytes, faults: dict[str, None], notes: dict[str, None], spent: _Spent, depth: int, nodes: set[int]
) -> None:
    """The nodes and tensors of a graph, and of the graphs inside its nodes."""
    if depth > DEPTH_MAX:
        raise Refused("it nests deeper than anybody writes")
    for number, value in _fields(graph, spent):
        if type(value) is not bytes:
            continue
        if number in nodes:
            _note_domain(value, _DOMAIN, notes, spent)
            for inner, attribute in _fields(value, spent):
                if inner == _ATTRIBUTE and type(attribute) is bytes:
                    _look_into_attribute(attribute, faults, notes, spent, depth)
        elif number == _INITIALIZER and nodes == {_NODE}:
            _look_at_tensor(value, faults, spent)
        elif number == _SPARSE and nodes == {_NODE}:
            for _, tensor in _fields(value, spent):
                if type(tensor) is bytes:
                    _look_at_tensor(tensor, faults, spent)


def _look_into_attribute(
    attribute: bytes, faults: dict[str, None], notes: dict[str, None], spent: _Spent, depth: int
) -> None:
    for number, value in _fields(attribute, spent):
        if type(value) is bytes and number in (5, 10):  # AttributeProto: t, tensors
            _look_at_tensor(value, faults, spent)
        elif type(value) is bytes and number in (6, 11):  # AttributeProto: g, graphs
            _look(value, faults, notes, spent, depth + 1, {_NODE})


def _look_at_tensor(tensor: bytes, faults: dict[str, None], spent: _Spent) -> None:
    for number, value in _fields(tensor, spent):
        if number != _EXTERNAL_DATA or type(value) is not bytes:
            continue
        entry = {inner: found for inner, found in _fields(value, spent) if type(found) is bytes}
        if entry.get(1) == b"location":
            path = entry.get(2, b"").decode("utf-8", "replace")
            pieces = path.replace("\\", "/").split("/")
            if path.startswith(("/", "\\")) or ".." in pieces or ":" in pieces[0] or "\0" in path:
                faults[f"it reads {printable(path)}, which is outside of its folder"] = None


_KERAS = "keras"
_PLAIN = {None, "builtins"}
_LAMBDAS = {"Lambda", "TorchModuleWrapper", "TFSMLayer"}


def keras_faults(data: bytes) -> tuple[str, ...]:
    """What in a configuration of Keras would import or run something.

    Raises:
        Refused: it is no configuration.
    """
    try:
        config = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Refused("its configuration is damaged") from error
    faults: dict[str, None] = {}
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        if not isinstance(value, dict):
            continue
        waiting += value.values()
        name, module = value.get("class_name"), value.get("module")
        if isinstance(name, str) and name in (_LAMBDAS | {"__lambda__"}):
            faults[f"its configuration has a layer {name}, which runs what the file brings"] = None
        if not isinstance(module, str | None):
            faults["its configuration names a module that is no text"] = None
        elif module not in _PLAIN and (module or "").partition(".")[0] != _KERAS:
            faults[f"its configuration imports {printable(str(module))}"] = None
    return tuple(faults)
