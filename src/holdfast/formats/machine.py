"""A pickle, walked and never run: what it would import, and what it would call.

A pickle is a program for a small machine with a stack and a memo. This is that machine, on values that say only what they
would be: a name, a text, the result of a call. So a name that is put together from the memo is known when it is known to
the unpickler, and one that is computed is seen to be computed. Whatever cannot be followed is refused.

    walk(b"cos\\nsystem\\n(S'ls'\\ntR.", 0, Budget()).names     {("os", "system"): True}

joblib writes arrays as raw bytes between the instructions, which only its own unpickler steps over. `arrays=True` reads
as that one does; a file that could be read in both ways is walked in both.

Sources: `Lib/pickle.py` and `Modules/_pickle.c` of CPython 3.11 to 3.14, `joblib/numpy_pickle.py` of joblib 1.6.
"""

import pickletools
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable
from dataclasses import dataclass, field

from holdfast.formats.limits import IMPORTS_MAX, MARKS_MAX, MEMO_MAX, Broken, Budget, Refused
from holdfast.formats.reading import Reader
from holdfast.formats.values import DATA, LIST, SET, Dtype, Made, Mapping, Named, Wrapper, array_bytes

__all__ = ["PERSISTENT", "Walk", "walk"]

PERSISTENT = "it names something outside of itself (a persistent id), which only its own loader can find"
"""What is said of persistent ids; the reader of Torch files knows better, and takes it out."""

_PROTOCOL_MAX = 5
_MAPPED_BELOW = 3
"""Under older protocols, names of Python 2 are replaced by what they became."""

_WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")
_DTYPE = ("numpy", "dtype")
_SEQUENCES = {("builtins", "list"), ("builtins", "set"), ("builtins", "bytearray"), ("collections", "deque")}
"""What may be appended to: others have an `append` that the pickle itself could have put there."""

_PADDING_MAX = 16
"""What joblib pads an array with at most. No instruction has so small a number, so no other reader goes on there."""

_LITERAL_BYTES_MIN = 8
"""A pickle that imports something takes more than this."""


@dataclass(slots=True)
class Walk:
    """What one pickle would do.

    Attributes:
        names: each module and name that it would import, and whether it would call it.
        reasons: what it would do besides, and should not.
        broken: why it could not be followed to its end; empty when it was.
        refused: whether an unpickler might have gone on there.
        end: offset behind its last byte, or where it broke.
        literals: where bytes stand in it that may be a pickle in their turn.
        ambiguous: whether other readers than joblib's would go on reading instructions in the numbers of an array.
    """

    names: dict[tuple[str, str], bool] = field(default_factory=dict)
    reasons: dict[str, None] = field(default_factory=dict)
    broken: str = ""
    refused: bool = False
    end: int = 0
    literals: list[tuple[int, int]] = field(default_factory=list)
    ambiguous: bool = False


def walk(data: bytes, at: int, budget: Budget, *, arrays: bool = False, end: int | None = None) -> Walk:
    """Follow the pickle that begins at `at`; never an exception, whatever the bytes are."""
    machine = _Machine(data, at, len(data) if end is None else end, budget, arrays=arrays)
    try:
        machine.run()
    except Broken as error:
        machine.found.broken = str(error)
        machine.found.refused = isinstance(error, Refused)
    machine.found.end = machine.at
    return machine.found


class _Machine(Reader):
    def __init__(self, data: bytes, at: int, end: int, budget: Budget, *, arrays: bool) -> None:
        super().__init__(data, at, end)
        self.found = Walk()
        self._budget = budget
        self._arrays = arrays
        self._stack: list[object] = []
        self._below: list[list[object]] = []
        self._memo: dict[int, object] = {}
        self._named: dict[tuple[str, str], Named] = {}
        self._protocol = 0
        self._frame_end = 0
        self._wrapper: Named | None = None

    def run(self) -> None:
        """Follow one instruction after the other, to the one that ends the pickle."""
        methods, data = _BOUND, self.data
        while self._budget.opcodes > 0:
            if self.at >= self.end:
                raise Broken("it is cut off")
            code = data[self.at]
            self.at += 1
            if code == _STOP:
                self._pop()
                return
            method = methods.get(code)
            if method is None:
                raise Broken(f"it has an instruction that pickle does not know, 0x{code:02x}")
            self._budget.opcodes -= 1
            method(self)
        raise Refused("it has more instructions than any model needs")

    # -- the stack

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _pop(self) -> object:
        if not self._stack:
            raise Broken("it takes from an empty stack")
        return self._stack.pop()

    def _top(self) -> object:
        if not self._stack:
            raise Broken("it takes from an empty stack")
        return self._stack[-1]

    def _mark(self) -> None:
        if len(self._below) >= MARKS_MAX:
            raise Refused("it nests deeper than pickle can follow")
        self._below.append(self._stack)
        self._stack = []

    def _to_mark(self) -> list[object]:
        if not self._below:
            raise Broken("it looks for a mark that is not there")
        items, self._stack = self._stack, self._below.pop()
        self._keep(items)
        return items

    def _keep(self, items: list[object]) -> None:
        # joblib's place-holder is followed in one shape only: what else could be made of it reads bytes unseen.
        if self._wrapper is not None and self._wrapper in items:
            raise Refused("it passes on what joblib reads arrays with")

    def _pop_mark(self) -> None:
        self._to_mark()

    def _pop_one(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._to_mark()

    def _dup(self) -> None:
        self._push(self._top())

    # -- the memo

    def _remember(self, place: int) -> None:
        if len(self._memo) >= MEMO_MAX:
            raise Refused("it remembers more than any model needs")
        self._memo[place] = self._top()

    def _recall(self, place: int) -> None:
        if place not in self._memo:
            raise Broken("it recalls what it never remembered")
        self._push(self._memo[place])

    # -- names

    def _import(self, module: str, name: str) -> Named:
        if self._protocol < _MAPPED_BELOW:
            if (module, name) in NAME_MAPPING:
                module, name = NAME_MAPPING[module, name]
            elif module in IMPORT_MAPPING:
                module = IMPORT_MAPPING[module]
        if not module.partition(".")[0].isidentifier():
            raise Broken("it imports what cannot be a module")
        found = self._named.get((module, name))
        if found is None:
            if len(self._named) >= IMPORTS_MAX:
                raise Refused("it imports more than any model needs")
            found = self._named[module, name] = Named(module, name)
            self.found.names.setdefault((module, name), False)
            if self._arrays and (module, name) == _WRAPPER:
                self._wrapper = found
        return found

    def _global_on_lines(self) -> Named:
        module = self.line()
        name, whole = self.last_line()
        try:
            found = self._import(module.decode("utf-8"), name.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise Broken("it imports what cannot be a module") from error
        if not whole:
            raise Refused("it is cut off")
        return found

    def _global(self) -> None:
        self._push(self._global_on_lines())

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        if type(name) is not str or type(module) is not str:
            self._reason("it imports a name that it puts together itself")
            raise Refused("it imports a name that it puts together itself")
        self._push(self._import(module, name))

    def _extension(self, width: int) -> None:
        code = self.unsigned(width)
        self._reason(f"it imports what somebody registered as number {code}, whatever that is")
        self._push(DATA)

    def _persistent(self, value: object) -> None:
        del value
        self._reason(PERSISTENT)
        self._push(DATA)

    def _persistent_on_line(self) -> None:
        self.line()
        self._persistent(DATA)

    # -- calls

    def _reason(self, why: str) -> None:
        self.found.reasons[why] = None

    def _call(self, callee: object, arguments: object) -> object:
        if not isinstance(callee, Named):
            self._reason("it calls something that it made itself")
            return DATA
        if callee is self._wrapper:
            raise Refused("it passes on what joblib reads arrays with")
        self.found.names[callee.module, callee.name] = True
        return Dtype(callee, arguments) if (callee.module, callee.name) == _DTYPE else Made(callee)

    def _reduce(self) -> None:
        arguments, callee = self._pop(), self._pop()
        self._push(self._call(callee, arguments))

    def _new(self) -> None:
        arguments, callee = self._pop(), self._pop()
        if callee is self._wrapper and isinstance(callee, Named) and arguments == ():
            self.found.names[callee.module, callee.name] = True
            self._push(Wrapper(callee))
            return
        self._push(self._call(callee, arguments))

    def _new_with_keywords(self) -> None:
        self._pop()
        self._new()

    def _instance(self) -> None:
        callee = self._global_on_lines()
        arguments = self._to_mark()
        self._push(self._call(callee, tuple(arguments)))

    def _instance_of_first(self) -> None:
        items = self._to_mark()
        if not items:
            raise Broken("it makes an instance of nothing")
        self._push(self._call(items[0], tuple(items[1:])))

    def _build(self) -> None:
        state, target = self._pop(), self._top()
        if isinstance(target, Wrapper):
            self._read_array(target, state)
        elif isinstance(target, Dtype):
            target.build(state)
        elif isinstance(target, Named):
            self._reason(f"it changes {target.module}.{target.name} itself")
        elif not isinstance(target, Made):
            raise Refused("it gives a state to what has none")

    def _read_array(self, target: Wrapper, state: object) -> None:
        """Step over the bytes that joblib reads here, which are no instructions."""
        if target.read:
            raise Refused("an array of joblib that is read twice")
        target.read = True
        count, padded = array_bytes(state)
        if self.at < self._frame_end:
            raise Refused("an array of joblib that begins within a frame")
        self._stack[-1] = DATA
        if count is None:
            self._nested()
            return
        if padded:
            padding = self.unsigned(1)
            if padding > _PADDING_MAX:
                raise Refused("an array of joblib with more padding than it needs")
            self.skip(padding)
        else:
            self.found.ambiguous = True
        self.skip(count)

    def _nested(self) -> None:
        inner = walk(self.data, self.at, self._budget, end=self.end)
        for name, called in inner.names.items():
            self.found.names[name] = called or self.found.names.get(name, False)
        self.found.reasons |= inner.reasons
        self.found.literals += inner.literals
        self.at = inner.end
        if inner.broken:
            raise Refused(inner.broken)

    # -- containers

    def _list(self) -> None:
        self._to_mark()
        self._push(LIST)

    def _dict(self) -> None:
        items = self._to_mark()
        self._push(Mapping())
        self._put(items)

    def _frozen_set(self) -> None:
        self._to_mark()
        self._push(DATA)

    def _tuple(self) -> None:
        self._push(tuple(self._to_mark()))

    def _tuple_of(self, count: int) -> None:
        if len(self._stack) < count:
            raise Broken("it takes from an empty stack")
        items = self._stack[-count:]
        self._keep(items)
        self._stack[-count:] = [tuple(items)]

    def _append(self, items: list[object]) -> None:
        self._keep(items)
        target = self._top()
        if isinstance(target, Made) and (target.maker.module, target.maker.name) not in _SEQUENCES:
            self._reason(f"it appends to what {target.maker.module}.{target.maker.name} gave it")
        elif target is DATA:
            raise Refused("it appends to what is no list")
        elif target is not LIST and target is not SET and not isinstance(target, Made):
            raise Broken("it appends to what is no list")

    def _append_one(self) -> None:
        item = self._pop()
        self._append([item])

    def _put(self, items: list[object]) -> None:
        self._keep(items)
        if len(items) % 2:
            raise Broken("it puts a key without a value")
        target = self._top()
        if type(target) is Mapping:
            target.put(items)
        elif target is DATA:
            raise Refused("it puts a key into what is no dictionary")
        elif target is not LIST and not isinstance(target, Made):
            raise Broken("it puts a key into what is no dictionary")

    def _put_one(self) -> None:
        value, key = self._pop(), self._pop()
        self._put([key, value])

    # -- the rest

    def _set_protocol(self) -> None:
        self._protocol = self.unsigned(1)
        if self._protocol > _PROTOCOL_MAX:
            raise Broken("it is written in a protocol that pickle does not know")

    def _frame(self) -> None:
        length = self.unsigned(8)
        if length > self.end - self.at:
            raise Broken("it is cut off")
        if self.at < self._frame_end:
            raise Refused("it has a frame within a frame")
        self._frame_end = self.at + length

    def _literal(self, length: int) -> int:
        begin = self.skip(length)
        if length >= _LITERAL_BYTES_MIN:
            self.found.literals.append((begin, self.at))
        return begin

    def _bytes(self, width: int, value: object = DATA) -> None:
        self._literal(self.unsigned(width))
        self._push(value)

    def _old_bytes(self, length: int) -> None:
        begin = self._literal(length)
        try:
            self._push(self.data[begin : self.at].decode("ascii"))
        except UnicodeDecodeError:
            self._push(DATA)

    def _long(self, length: int) -> None:
        begin = self.skip(length)
        short = length <= 8  # noqa: PLR2004 - a word
        self._push(int.from_bytes(self.data[begin : self.at], "little", signed=True) if short else DATA)

    def _float_on_line(self) -> None:
        try:
            float(self.line())
        except ValueError as error:
            raise Broken("it holds a number that is none") from error
        self._push(DATA)

    def _binary_float(self) -> None:
        self.skip(8)
        self._push(DATA)

    def _out_of_band(self) -> None:
        raise Broken("it needs buffers that are kept outside of it")


_METHODS: dict[str, Callable[[_Machine], None]] = {
    "PROTO": _Machine._set_protocol,
    "FRAME": _Machine._frame,
    "MARK": _Machine._mark,
    "POP": _Machine._pop_one,
    "POP_MARK": _Machine._pop_mark,
    "DUP": _Machine._dup,
    "NONE": lambda m: m._push(None),
    "NEWTRUE": lambda m: m._push(value=True),
    "NEWFALSE": lambda m: m._push(value=False),
    "INT": lambda m: m._push(m.number()),
    "LONG": lambda m: m._push(m.number()),
    "BININT": lambda m: m._push(m.signed(4)),
    "BININT1": lambda m: m._push(m.unsigned(1)),
    "BININT2": lambda m: m._push(m.unsigned(2)),
    "LONG1": lambda m: m._long(m.unsigned(1)),
    "LONG4": lambda m: m._long(m.signed(4)),
    "FLOAT": _Machine._float_on_line,
    "BINFLOAT": _Machine._binary_float,
    "STRING": lambda m: m._push(m.quoted_text()),
    "BINSTRING": lambda m: m._old_bytes(m.signed(4)),
    "SHORT_BINSTRING": lambda m: m._old_bytes(m.unsigned(1)),
    "UNICODE": lambda m: m._push(m.escaped_text()),
    "SHORT_BINUNICODE": lambda m: m._push(m.text(1)),
    "BINUNICODE": lambda m: m._push(m.text(4)),
    "BINUNICODE8": lambda m: m._push(m.text(8)),
    "SHORT_BINBYTES": lambda m: m._bytes(1),
    "BINBYTES": lambda m: m._bytes(4),
    "BINBYTES8": lambda m: m._bytes(8),
    "BYTEARRAY8": lambda m: m._bytes(8, LIST),
    "NEXT_BUFFER": _Machine._out_of_band,
    "READONLY_BUFFER": _Machine._out_of_band,
    "EMPTY_LIST": lambda m: m._push(LIST),
    "EMPTY_TUPLE": lambda m: m._push(()),
    "EMPTY_DICT": lambda m: m._push(Mapping()),
    "EMPTY_SET": lambda m: m._push(SET),
    "LIST": _Machine._list,
    "DICT": _Machine._dict,
    "TUPLE": _Machine._tuple,
    "TUPLE1": lambda m: m._tuple_of(1),
    "TUPLE2": lambda m: m._tuple_of(2),
    "TUPLE3": lambda m: m._tuple_of(3),
    "FROZENSET": _Machine._frozen_set,
    "APPEND": _Machine._append_one,
    "APPENDS": lambda m: m._append(m._to_mark()),
    "ADDITEMS": lambda m: m._append(m._to_mark()),
    "SETITEM": _Machine._put_one,
    "SETITEMS": lambda m: m._put(m._to_mark()),
    "PUT": lambda m: m._remember(m.place()),
    "BINPUT": lambda m: m._remember(m.unsigned(1)),
    "LONG_BINPUT": lambda m: m._remember(m.unsigned(4)),
    "MEMOIZE": lambda m: m._remember(len(m._memo)),
    "GET": lambda m: m._recall(m.place()),
    "BINGET": lambda m: m._recall(m.unsigned(1)),
    "LONG_BINGET": lambda m: m._recall(m.unsigned(4)),
    "GLOBAL": _Machine._global,
    "STACK_GLOBAL": _Machine._stack_global,
    "EXT1": lambda m: m._extension(1),
    "EXT2": lambda m: m._extension(2),
    "EXT4": lambda m: m._extension(4),
    "PERSID": _Machine._persistent_on_line,
    "BINPERSID": lambda m: m._persistent(m._pop()),
    "REDUCE": _Machine._reduce,
    "NEWOBJ": _Machine._new,
    "NEWOBJ_EX": _Machine._new_with_keywords,
    "INST": _Machine._instance,
    "OBJ": _Machine._instance_of_first,
    "BUILD": _Machine._build,
}
"""What each instruction does, by the name that `pickletools` gives it."""

_CODES = {opcode.name: ord(opcode.code) for opcode in pickletools.opcodes}
_BOUND = {_CODES[name]: method for name, method in _METHODS.items()}
_STOP = _CODES["STOP"]
