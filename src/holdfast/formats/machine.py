r"""A pickle, walked and never run: what it would import, and what it would call.

A pickle is a program for a small machine with a stack and a memo. This is that machine, on values that say only what
they would be: a name, a text, the result of a call. So a name that is put together from the memo is known when it is
known to the unpickler, and one that is computed is seen to be computed. Whatever cannot be followed is refused.

    walk(b"cos\nsystem\n(S'ls'\ntR.", 0, Budget()).names     {("os", "system"): True}

joblib writes arrays as raw bytes between the instructions, which only its own unpickler steps over. `arrays=True` reads
as that one does; a file that could be read in both ways is walked in both.

Sources: `Lib/pickle.py` and `Modules/_pickle.c` of CPython 3.11 to 3.14, `joblib/numpy_pickle.py` of joblib 1.6.
"""

import pickletools
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable

from holdfast.formats.limits import IMPORTS_MAX, Broken, Budget, Refused
from holdfast.formats.stack import Stack, Walk
from holdfast.formats.values import DATA, LIST, SET, Dtype, Made, Mapping, Named, Wrapper, array_bytes

__all__ = ["PERSISTENT", "Walk", "walk"]

PERSISTENT = "it names something outside of itself (a persistent id), which only its own loader can find"
"""What is said of persistent ids; the reader of Torch files knows better, and takes it out."""

_PROTOCOL_MAX = 5
_MAPPED_BELOW = 3
"""Under older protocols, names of Python 2 are replaced by what they became."""

_WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")
_DTYPE = ("numpy", "dtype")
_PADDING_MAX = 16
"""What joblib pads an array with at most. No instruction has so small a number, so no other reader goes on there."""


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


class _Machine(Stack):
    def __init__(self, data: bytes, at: int, end: int, budget: Budget, *, arrays: bool) -> None:
        super().__init__(data, at, end)
        self._budget = budget
        self._arrays = arrays
        self._named: dict[tuple[str, str], Named] = {}
        self._protocol = 0
        self._frame_end = 0

    def run(self) -> None:
        """Follow one instruction after the other, to the one that ends the pickle."""
        methods, data = _BOUND, self.data
        while self._budget.opcodes > 0:
            if self.at >= self.end:
                raise Broken("it is cut off")
            code = data[self.at]
            self.at += 1
            if code == _STOP:
                self.pop()
                return
            method = methods.get(code)
            if method is None:
                raise Broken(f"it has an instruction that pickle does not know, 0x{code:02x}")
            self._budget.opcodes -= 1
            method(self)
        raise Refused("it has more instructions than any model needs")

    # -- names

    def load_module(self, module: str, name: str) -> Named:
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
                self.wrapper = found
        return found

    def global_on_lines(self) -> Named:
        module, _ = self.last_line()
        name, whole = self.last_line()
        try:
            found = self.load_module(module.decode("utf-8"), name.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise Broken("it imports what cannot be a module") from error
        if not whole:
            raise Refused("it is cut off")
        return found

    def load_global(self) -> None:
        self.push(self.global_on_lines())

    def stack_global(self) -> None:
        name, module = self.pop(), self.pop()
        if type(name) is not str or type(module) is not str:
            self.reason("it imports a name that it puts together itself")
            raise Refused("it imports a name that it puts together itself")
        self.push(self.load_module(module, name))

    def extension(self, width: int) -> None:
        code = self.unsigned(width)
        self.reason(f"it imports what somebody registered as number {code}, whatever that is")
        self.push(DATA)

    def persistent(self, value: object) -> None:
        del value
        self.reason(PERSISTENT)
        self.push(DATA)

    def persistent_on_line(self) -> None:
        self.line()
        self.persistent(DATA)

    # -- calls

    def call(self, callee: object, arguments: object) -> object:
        if not isinstance(callee, Named):
            self.reason("it calls something that it made itself")
            return DATA
        if callee is self.wrapper:
            raise Refused("it passes on what joblib reads arrays with")
        self.found.names[callee.module, callee.name] = True
        return Dtype(callee, arguments) if (callee.module, callee.name) == _DTYPE else Made(callee)

    def reduce(self) -> None:
        arguments, callee = self.pop(), self.pop()
        self.push(self.call(callee, arguments))

    def new(self) -> None:
        arguments, callee = self.pop(), self.pop()
        if callee is self.wrapper and isinstance(callee, Named) and arguments == ():
            self.found.names[callee.module, callee.name] = True
            self.push(Wrapper(callee))
            return
        self.push(self.call(callee, arguments))

    def new_with_keywords(self) -> None:
        self.pop()
        self.new()

    def make_instance(self) -> None:
        callee = self.global_on_lines()
        arguments = self.to_mark()
        self.push(self.call(callee, tuple(arguments)))

    def instance_of_first(self) -> None:
        items = self.to_mark()
        if not items:
            raise Broken("it makes an instance of nothing")
        self.push(self.call(items[0], tuple(items[1:])))

    def build(self) -> None:
        state, target = self.pop(), self.top()
        if isinstance(target, Wrapper):
            self.read_array(target, state)
        elif isinstance(target, Dtype):
            target.build(state)
        elif isinstance(target, Named):
            self.reason(f"it changes {target.module}.{target.name} itself")
        elif not isinstance(target, Made):
            raise Refused("it gives a state to what has none")

    def read_array(self, target: Wrapper, state: object) -> None:
        """Step over the bytes that joblib reads here, which are no instructions."""
        if target.read:
            raise Refused("an array of joblib that is read twice")
        target.read = True
        count, padded = array_bytes(state)
        if self.at < self._frame_end:
            raise Refused("an array of joblib that begins within a frame")
        self.stack[-1] = DATA
        if count is None:
            self.nested_pickle()
            return
        if padded:
            padding = self.unsigned(1)
            if padding > _PADDING_MAX:
                raise Refused("an array of joblib with more padding than it needs")
            self.skip(padding)
        else:
            self.found.ambiguous = True
        self.skip(count)

    def nested_pickle(self) -> None:
        inner = walk(self.data, self.at, self._budget, end=self.end)
        for name, called in inner.names.items():
            self.found.names[name] = called or self.found.names.get(name, False)
        self.found.reasons |= inner.reasons
        self.found.literals += inner.literals
        self.at = inner.end
        if inner.broken:
            raise Refused(inner.broken)

    # -- the rest

    def set_protocol(self) -> None:
        self._protocol = self.unsigned(1)
        if self._protocol > _PROTOCOL_MAX:
            raise Broken("it is written in a protocol that pickle does not know")

    def begin_frame(self) -> None:
        length = self.unsigned(8)
        if length > self.end - self.at:
            raise Broken("it is cut off")
        if self.at < self._frame_end:
            raise Refused("it has a frame within a frame")
        self._frame_end = self.at + length

    def load_long(self, length: int) -> None:
        begin = self.skip(length)
        short = length <= 8  # noqa: PLR2004 - a word
        self.push(int.from_bytes(self.data[begin : self.at], "little", signed=True) if short else DATA)

    def float_on_line(self) -> None:
        try:
            float(self.line())
        except ValueError as error:
            raise Broken("it holds a number that is none") from error
        self.push(DATA)

    def binary_float(self) -> None:
        self.skip(8)
        self.push(DATA)

    def out_of_band(self) -> None:
        raise Broken("it needs buffers that are kept outside of it")


_METHODS: dict[str, Callable[[_Machine], None]] = {
    "PROTO": _Machine.set_protocol,
    "FRAME": _Machine.begin_frame,
    "MARK": _Machine.mark,
    "POP": _Machine.pop_one,
    "POP_MARK": _Machine.pop_mark,
    "DUP": _Machine.dup,
    "NONE": lambda m: m.push(None),
    "NEWTRUE": lambda m: m.push(value=True),
    "NEWFALSE": lambda m: m.push(value=False),
    "INT": lambda m: m.push(m.number()),
    "LONG": lambda m: m.push(m.number()),
    "BININT": lambda m: m.push(m.signed(4)),
    "BININT1": lambda m: m.push(m.unsigned(1)),
    "BININT2": lambda m: m.push(m.unsigned(2)),
    "LONG1": lambda m: m.load_long(m.unsigned(1)),
    "LONG4": lambda m: m.load_long(m.signed(4)),
    "FLOAT": _Machine.float_on_line,
    "BINFLOAT": _Machine.binary_float,
    "STRING": lambda m: m.push(m.quoted_text()),
    "BINSTRING": lambda m: m.old_bytes(m.signed(4)),
    "SHORT_BINSTRING": lambda m: m.old_bytes(m.unsigned(1)),
    "UNICODE": lambda m: m.push(m.escaped_text()),
    "SHORT_BINUNICODE": lambda m: m.push(m.text(1)),
    "BINUNICODE": lambda m: m.push(m.text(4)),
    "BINUNICODE8": lambda m: m.push(m.text(8)),
    "SHORT_BINBYTES": lambda m: m.load_bytes(1),
    "BINBYTES": lambda m: m.load_bytes(4),
    "BINBYTES8": lambda m: m.load_bytes(8),
    "BYTEARRAY8": lambda m: m.load_bytes(8, LIST),
    "NEXT_BUFFER": _Machine.out_of_band,
    "READONLY_BUFFER": _Machine.out_of_band,
    "EMPTY_LIST": lambda m: m.push(LIST),
    "EMPTY_TUPLE": lambda m: m.push(()),
    "EMPTY_DICT": lambda m: m.push(Mapping()),
    "EMPTY_SET": lambda m: m.push(SET),
    "LIST": _Machine.make_list,
    "DICT": _Machine.make_dict,
    "TUPLE": _Machine.make_tuple,
    "TUPLE1": lambda m: m.tuple_of(1),
    "TUPLE2": lambda m: m.tuple_of(2),
    "TUPLE3": lambda m: m.tuple_of(3),
    "FROZENSET": _Machine.frozen_set,
    "APPEND": _Machine.append_one,
    "APPENDS": lambda m: m.append(m.to_mark()),
    "ADDITEMS": lambda m: m.append(m.to_mark()),
    "SETITEM": _Machine.put_one,
    "SETITEMS": lambda m: m.put(m.to_mark()),
    "PUT": lambda m: m.remember(m.place()),
    "BINPUT": lambda m: m.remember(m.unsigned(1)),
    "LONG_BINPUT": lambda m: m.remember(m.unsigned(4)),
    "MEMOIZE": lambda m: m.remember(len(m.memo)),
    "GET": lambda m: m.recall(m.place()),
    "BINGET": lambda m: m.recall(m.unsigned(1)),
    "LONG_BINGET": lambda m: m.recall(m.unsigned(4)),
    "GLOBAL": _Machine.load_global,
    "STACK_GLOBAL": _Machine.stack_global,
    "EXT1": lambda m: m.extension(1),
    "EXT2": lambda m: m.extension(2),
    "EXT4": lambda m: m.extension(4),
    "PERSID": _Machine.persistent_on_line,
    "BINPERSID": lambda m: m.persistent(m.pop()),
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.new,
    "NEWOBJ_EX": _Machine.new_with_keywords,
    "INST": _Machine.make_instance,
    "OBJ": _Machine.instance_of_first,
    "BUILD": _Machine.build,
}
"""What each instruction does, by the name that `pickletools` gives it."""

_CODES = {opcode.name: ord(opcode.code) for opcode in pickletools.opcodes}
_BOUND = {_CODES[name]: method for name, method in _METHODS.items()}
_STOP = _CODES["STOP"]
