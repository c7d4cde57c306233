"""What stands on the stack of a pickle that is walked and not run: names, texts, numbers, and what would be made."""

import re
from dataclasses import dataclass
from math import prod

from holdfast.formats.limits import Refused

__all__ = ["DATA", "LIST", "SET", "Dtype", "Made", "Mapping", "Named", "Wrapper", "array_bytes"]


class Blank:
    """A value of which nothing needs to be known but that it is there."""


DATA, LIST, SET = Blank(), Blank(), Blank()
"""Bytes, floats and the like; a list; a set: what is in them decides nothing."""

_TRACKED_MAX = 64
"""Entries of a dictionary that are kept: the state of an array has six, the fields of its records a few."""


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """What an import brings."""

    module: str
    name: str


class Made:
    """What a call would give.

    Attributes:
        maker: what is called.
    """

    def __init__(self, maker: Named) -> None:
        self.maker = maker


class Mapping:
    """A dictionary that the pickle builds, as far as it is small and its keys are texts."""

    def __init__(self) -> None:
        self.items: dict[str, object] = {}
        self.whole = True

    def put(self, pairs: list[object]) -> None:
        """Add keys and values, which take turns."""
        if len(self.items) + len(pairs) // 2 > _TRACKED_MAX:
            self.whole = False
            return
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if type(key) is str:
                self.items[key] = value
            else:
                self.whole = False


class Wrapper(Made):
    """The place-holder that joblib reads an array for, from the bytes that follow."""

    def __init__(self, maker: Named) -> None:
        super().__init__(maker)
        self.read = False


_SIMPLE = re.compile(r"([biufcmMSUVO])(\d{1,10})\Z")
_BYTES_OF = {"S": 1, "V": 1, "U": 4}
_WIDTHS = {"b": {1}, "i": {1, 2, 4, 8}, "u": {1, 2, 4, 8}, "f": {2, 4, 8, 16}, "c": {8, 16, 32}, "m": {8}, "M": {8}}

_HAS_REFERENCES = 1
"""A bit of the flags in the state of a NumPy type: its values are references."""

_STATE_LENGTHS = {3: 8, 4: 9}
"""How long that state is, by the version that stands first in it."""


@dataclass(slots=True)
class _Of:
    """What is known of a type: the bytes of one value, and whether these are references."""

    item_bytes: int
    references: bool


class Dtype(Made):
    """A NumPy type, as `numpy.dtype(text, False, True)` and its state give it; others are refused in use."""

    def __init__(self, maker: Named, arguments: object) -> None:
        super().__init__(maker)
        self._text = arguments[0] if type(arguments) is tuple and arguments else None
        self._states = 0
        self._state: object = None

    def build(self, state: object) -> None:
        """Take the state that the pickle gives it."""
        self._states += 1
        self._state = state

    def known(self, depth: int = 0) -> _Of:
        """The size of one value.

        Raises:
            Refused: not what NumPy writes.
        """
        match = _SIMPLE.match(self._text) if type(self._text) is str else None
        if match is None or self._states > 1 or depth > _DTYPE_DEPTH_MAX:
            raise Refused("an array whose type is not written as NumPy writes it")
        kind, width = match[1], int(match[2])
        if kind == "O":
            simple = _Of(8, references=True)
        elif kind in _BYTES_OF:
            simple = _Of(width * _BYTES_OF[kind], references=False)
        elif width in _WIDTHS.get(kind, set()):
            simple = _Of(width, references=False)
        else:
            raise Refused("an array whose type is not written as NumPy writes it")
        return simple if self._states == 0 else self._with_state(kind, simple, depth)

    def _with_state(self, kind: str, simple: _Of, depth: int) -> _Of:
        """The same, if the state agrees: NumPy believes the state, and so it must say nothing else."""
        state = self._state
        if type(state) is not tuple or type(state[0]) is not int or len(state) != _STATE_LENGTHS.get(state[0], -1):
            raise Refused("an array whose type has a state that NumPy does not write")
        _, order, sub, names, fields, size, _, flags = state[:8]
        inner = [found.known(depth + 1) for found in _fields(sub, names, fields)]
        references = simple.references or any(one.references for one in inner)
        agrees = (
            order in ("<", ">", "|", "=")
            and type(flags) is int
            and bool(flags & _HAS_REFERENCES) == references
            and (size in {-1, simple.item_bytes})
            and (kind == "V" or not inner)
        )
        if not agrees:
            raise Refused("an array whose type contradicts itself")
        return _Of(simple.item_bytes, references)


_DTYPE_DEPTH_MAX = 8
"""Records in records; nobody nests them deeper."""


def _fields(sub: object, names: object, fields: object) -> list[Dtype]:
    found: list[object] = []
    if type(sub) is tuple and sub:
        found.append(sub[0])
    elif sub is not None:
        raise Refused("an array of arrays that NumPy does not write")
    if fields is not None:
        if type(fields) is not Mapping or not fields.whole or type(names) is not tuple:
            raise Refused("an array of records that NumPy does not write")
        entries = list(fields.items.values())
        if not entries or any(type(entry) is not tuple or not entry for entry in entries):
            raise Refused("an array of records that NumPy does not write")
        found += [entry[0] for entry in entries if type(entry) is tuple]
    if not all(isinstance(one, Dtype) for one in found):
        raise Refused("an array of records that NumPy does not write")
    return [one for one in found if isinstance(one, Dtype)]


_STATE = {"subclass", "shape", "order", "dtype", "allow_mmap"}
_ALIGNMENT = "numpy_array_alignment_bytes"
_ARRAYS = {("numpy", "ndarray"), ("numpy", "memmap"), ("numpy", "matrix"), ("numpy.matrixlib.defmatrix", "matrix")}
_SHAPE_MAX = 64
"""The dimensions that NumPy allows."""


def array_bytes(state: object) -> tuple[int | None, bool]:
    """How many bytes joblib reads for an array, None when it unpickles instead; and whether padding comes before them.

    Source: `NumpyArrayWrapper.read_array` of joblib 0.10 to 1.6.

    Raises:
        Refused: the state is not what joblib writes, so nobody knows where the pickle goes on.
    """
    if type(state) is not Mapping or not state.whole or state.items.keys() - {_ALIGNMENT} != _STATE:
        raise Refused("an array of joblib whose description is not one that joblib writes")
    items = state.items
    subclass, shape, dtype = items["subclass"], items["shape"], items["dtype"]
    alignment = items.get(_ALIGNMENT)
    if (
        not isinstance(subclass, Named)
        or (subclass.module, subclass.name) not in _ARRAYS
        or not isinstance(dtype, Dtype)
        or type(shape) is not tuple
        or len(shape) > _SHAPE_MAX
        or not all(type(size) is int and size >= 0 for size in shape)
        or not (alignment is None or (type(alignment) is int and alignment > 0))
    ):
        raise Refused("an array of joblib whose description is not one that joblib writes")
    known = dtype.known()
    if known.references:
        return None, False
    return prod(shape) * known.item_bytes, alignment is not None
