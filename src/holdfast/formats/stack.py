"""The stack and the memo of the machine that a pickle is a program for, on values that say only what they would be."""

from dataclasses import dataclass, field

from holdfast.formats.limits import MARKS_MAX, MEMO_MAX, Broken, Refused
from holdfast.formats.reading import Reader
from holdfast.formats.values import DATA, LIST, SET, Made, Mapping, Named

__all__ = ["Stack", "Walk"]

_SEQUENCES = {("builtins", "list"), ("builtins", "set"), ("builtins", "bytearray"), ("collections", "deque")}
"""What may be appended to: others have an `append` that the pickle itself could have put there."""


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


class Stack(Reader):
    """A place in a pickle, with what the instructions before it have left.

    Attributes:
        found: what is known of the pickle.
        stack: the values since the last mark.
        below: those before it, segment by segment.
        memo: the values that it remembers.
        wrapper: what joblib reads arrays with, once it is imported; None when it is not.
    """

    def __init__(self, data: bytes, at: int, end: int) -> None:
        super().__init__(data, at, end)
        self.found = Walk()
        self.stack: list[object] = []
        self.below: list[list[object]] = []
        self.memo: dict[int, object] = {}
        self.wrapper: Named | None = None

    def reason(self, why: str) -> None:
        """Say what it would do, and should not."""
        self.found.reasons[why] = None

    # -- the stack

    def push(self, value: object) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def pop(self) -> object:
        """Take the value on top."""
        if not self.stack:
            raise Broken("it takes from an empty stack")
        return self.stack.pop()

    def top(self) -> object:
        """The value on top."""
        if not self.stack:
            raise Broken("it takes from an empty stack")
        return self.stack[-1]

    def mark(self) -> None:
        """Begin a segment of the stack."""
        if len(self.below) >= MARKS_MAX:
            raise Refused("it nests deeper than pickle can follow")
        self.below.append(self.stack)
        self.stack = []

    def to_mark(self) -> list[object]:
        """End the segment: its values."""
        if not self.below:
            raise Broken("it looks for a mark that is not there")
        items, self.stack = self.stack, self.below.pop()
        self.check_kept(items)
        return items

    def check_kept(self, items: list[object]) -> None:
        """Refuse what would carry joblib's place-holder out of sight."""
        # joblib's place-holder is followed in one shape only: what else could be made of it reads bytes unseen.
        if self.wrapper is not None and self.wrapper in items:
            raise Refused("it passes on what joblib reads arrays with")

    def pop_mark(self) -> None:
        """End the segment, and forget it."""
        self.to_mark()

    def pop_one(self) -> None:
        """Forget the value on top, or the mark."""
        if self.stack:
            self.stack.pop()
        else:
            self.to_mark()

    def dup(self) -> None:
        """The value on top once more."""
        self.push(self.top())

    # -- the memo

    def remember(self, place: int) -> None:
        """Keep the value on top at this place."""
        if len(self.memo) >= MEMO_MAX:
            raise Refused("it remembers more than any model needs")
        self.memo[place] = self.top()

    def recall(self, place: int) -> None:
        """The value that was kept at this place."""
        if place not in self.memo:
            raise Broken("it recalls what it never remembered")
        self.push(self.memo[place])

    # -- containers

    def make_list(self) -> None:
        """A list of the segment."""
        self.to_mark()
        self.push(LIST)

    def make_dict(self) -> None:
        """A dictionary of the segment."""
        items = self.to_mark()
        self.push(Mapping())
        self.put(items)

    def frozen_set(self) -> None:
        """A set of the segment."""
        self.to_mark()
        self.push(DATA)

    def make_tuple(self) -> None:
        """A tuple of the segment."""
        self.push(tuple(self.to_mark()))

    def tuple_of(self, count: int) -> None:
        """A tuple of the last values."""
        if len(self.stack) < count:
            raise Broken("it takes from an empty stack")
        items = self.stack[-count:]
        self.check_kept(items)
        self.stack[-count:] = [tuple(items)]

    def append(self, items: list[object]) -> None:
        """Add values to the list, set or the like on top."""
        self.check_kept(items)
        target = self.top()
        if isinstance(target, Made) and (target.maker.module, target.maker.name) not in _SEQUENCES:
            self.reason(f"it appends to what {target.maker.module}.{target.maker.name} gave it")
        elif target is DATA:
            raise Refused("it appends to what is no list")
        elif target is not LIST and target is not SET and not isinstance(target, Made):
            raise Broken("it appends to what is no list")

    def append_one(self) -> None:
        """Add one value."""
        item = self.pop()
        self.append([item])

    def put(self, items: list[object]) -> None:
        """Add keys and values, which take turns, to the dictionary or the like on top."""
        self.check_kept(items)
        if len(items) % 2:
            raise Broken("it puts a key without a value")
        target = self.top()
        if type(target) is Mapping:
            target.put(items)
        elif target is DATA:
            raise Refused("it puts a key into what is no dictionary")
        elif target is not LIST and not isinstance(target, Made):
            raise Broken("it puts a key into what is no dictionary")

    def put_one(self) -> None:
        """Add one key and its value."""
        value, key = self.pop(), self.pop()
        self.put([key, value])

    def literal(self, length: int) -> int:
        """Step over bytes that the pickle holds; where they begin."""
        begin = self.skip(length)
        if length >= _LITERAL_BYTES_MIN:
            self.found.literals.append((begin, self.at))
        return begin

    def load_bytes(self, width: int, value: object = DATA) -> None:
        """Bytes, after their length."""
        self.literal(self.unsigned(width))
        self.push(value)

    def old_bytes(self, length: int) -> None:
        """A text of Python 2, which may be bytes."""
        begin = self.literal(length)
        try:
            self.push(self.data[begin : self.at].decode("ascii"))
        except UnicodeDecodeError:
            self.push(DATA)
