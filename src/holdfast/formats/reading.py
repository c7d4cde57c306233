"""The arguments of a pickle's instructions, read as pickle reads them, from bytes that may be anything.

Source: the unpicklers of CPython, in C and in Python, and `pickletools`, which describes each instruction. Where the
two differ, what is read here is what either could read, or it is refused.
"""

import codecs
import re

from holdfast.formats.limits import Broken, Refused

__all__ = ["Reader"]

_NUMBER_DIGITS_MAX = 20
"""Longer numbers are read past: none of them is a size or a place."""


_NUMBER = re.compile(rb"\s*[+-]?[0-9a-fA-FxXoObB_]+L?\s*")
"""Whatever one of Python's readers of numbers may take."""


class Reader:
    """A place in some bytes that only moves forward."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data = data
        self.at = at
        self.end = end

    def skip(self, count: int) -> int:
        """Go past `count` bytes; where they begin."""
        begin = self.at
        if count < 0 or count > self.end - begin:
            raise Broken("it is cut off")
        self.at = begin + count
        return begin

    def unsigned(self, width: int) -> int:
        """A number of `width` bytes, little end first."""
        begin = self.skip(width)
        return int.from_bytes(self.data[begin : self.at], "little")

    def signed(self, width: int) -> int:
        """The same, with a sign."""
        begin = self.skip(width)
        return int.from_bytes(self.data[begin : self.at], "little", signed=True)

    def line(self) -> bytes:
        """A line without its end."""
        found = self.data.find(b"\n", self.at, self.end)
        if found < 0:
            raise Broken("it is cut off")
        begin, self.at = self.at, found + 1
        return self.data[begin:found]

    def last_line(self) -> tuple[bytes, bool]:
        """A line, or what there is before the end; and whether it was a line.

        The unpickler in Python takes the end of a file for the end of a line, and drops a character for it.
        """
        found = self.data.find(b"\n", self.at, self.end)
        begin, self.at = self.at, self.end if found < 0 else found + 1
        return (self.data[begin : self.end - 1], False) if found < 0 else (self.data[begin:found], True)

    def text(self, width: int) -> str:
        """A text whose length comes first, in `width` bytes."""
        begin = self.skip(self.unsigned(width))
        try:
            return self.data[begin : self.at].decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise Broken("it holds a text that is none") from error

    def escaped_text(self) -> str:
        """A text on a line of its own, with escapes."""
        try:
            return self.line().decode("raw-unicode-escape")
        except UnicodeDecodeError as error:
            raise Broken("it holds a text that is none") from error

    def quoted_text(self) -> str:
        """A text on a line of its own, in quotes."""
        line = self.line()
        if len(line) < 2 or line[0] != line[-1] or line[0] not in b"\"'":  # noqa: PLR2004 - two quotes
            raise Broken("it holds a text without quotes")
        try:
            return codecs.escape_decode(line[1:-1])[0].decode("ascii", "surrogateescape")
        except ValueError as error:
            raise Broken("it holds a text that is none") from error

    def number(self) -> int | bool | None:
        """A number on a line of its own; None for one too long to be a size."""
        line = self.line()
        if line in (b"00", b"01"):
            return line == b"01"
        if not _NUMBER.fullmatch(line):
            raise Broken("it holds a number that is none")
        return int(line) if line.isdigit() and len(line) <= _NUMBER_DIGITS_MAX else None

    def place(self) -> int:
        """A place in the memo, on a line of its own."""
        line = self.line()
        if not _NUMBER.fullmatch(line):
            raise Broken("it remembers something in a place that is none")
        if not line.isdigit() or len(line) > _NUMBER_DIGITS_MAX:
            raise Refused("it remembers something in a place that is written as nobody writes it")
        return int(line)
