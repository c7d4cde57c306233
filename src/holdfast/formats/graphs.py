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
_FUNCTION_NODE = 7
_TENSORS, _GRAPHS = (5, 10), (6, 11)
"""The numbers of fields, by the messages that they stand in."""

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
    model = _Onnx()
    try:
        numbers = model.look(data)
    except Refused:
        return None
    if not {_IR_VERSION, _GRAPH, _OPSET} <= numbers:
        return None
    return tuple(model.faults), tuple(model.notes)


class _Onnx:
    """What is found in the messages of one model."""

    def __init__(self) -> None:
        self.spent = _Spent()
        self.faults: dict[str, None] = {}
        self.notes: dict[str, None] = {}

    def messages(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The fields that are bytes."""
        return ((number, value) for number, value in _fields(data, self.spent) if type(value) is bytes)

    def look(self, data: bytes) -> set[int]:
        """Look at the whole model; the numbers of its fields."""
        numbers = set()
        for number, value in _fields(data, self.spent):
            numbers.add(number)
            if type(value) is not bytes:
                continue
            if number == _OPSET:
                self.domain(value, 1)
            elif number == _GRAPH:
                self.graph(value, 0)
            elif number == _FUNCTIONS:
                for inner, node in self.messages(value):
                    if inner == _FUNCTION_NODE:
                        self.node(node, 0)
        return numbers

    def graph(self, data: bytes, depth: int) -> None:
        """The nodes and tensors of a graph."""
        if depth > DEPTH_MAX:
            raise Refused("it nests deeper than anybody writes")
        for number, value in self.messages(data):
            if number == _NODE:
                self.node(value, depth)
            elif number == _INITIALIZER:
                self.tensor(value)
            elif number == _SPARSE:
                for _, tensor in self.messages(value):
                    self.tensor(tensor)

    def node(self, data: bytes, depth: int) -> None:
        """A node: whose operator it is, and the tensors and graphs in its attributes."""
        self.domain(data, _DOMAIN)
        for number, attribute in self.messages(data):
            if number != _ATTRIBUTE:
                continue
            for inner, value in self.messages(attribute):
                if inner in _TENSORS:
                    self.tensor(value)
                elif inner in _GRAPHS:
                    self.graph(value, depth + 1)

    def domain(self, data: bytes, field: int) -> None:
        """Note who defined these operators, when it is somebody else than ONNX."""
        for number, found in self.messages(data):
            name = found.decode("utf-8", "replace") if number == field else ""
            if name not in _KNOWN_DOMAINS:
                self.notes[f"it uses operators of {printable(name)}, which its runtime must bring"] = None

    def tensor(self, data: bytes) -> None:
        """Where a tensor's numbers are, when they are in another file."""
        for number, value in self.messages(data):
            entry = dict(self.messages(value)) if number == _EXTERNAL_DATA else {}
            if entry.get(1) == b"location":
                path = entry.get(2, b"").decode("utf-8", "replace")
                pieces = path.replace("\\", "/").split("/")
                if path.startswith(("/", "\\")) or ".." in pieces or ":" in pieces[0] or "\0" in path:
                    self.faults[f"it reads {printable(path)}, which is outside of its folder"] = None


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
