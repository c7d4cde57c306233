"""The lines of a tree, one after the other: what `holdfast.store.tree` is made of, in memory that does not grow.

    rows(tree_pieces(rows)) == rows
    b"".join(tree_pieces(TreeReader([data]))) == data        for everything that TreeReader accepts

A tree may have more files than fit into memory, so nothing here holds more than a slice of the stream: it is written
as pieces, read as pieces, and refused as soon as a line is wrong. Nearly every line has one shape; those are read by
one expression, many at a time. All others go through the JSON parser, and a test holds the two ways together.

docs/FORMAT.md, "Snapshot tree stream", says what is refused.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from holdfast.canonical import JsonObject, Reader, decode, encode
from holdfast.digest import Digest
from holdfast.errors import TooLarge, UnsupportedFormat, UsageError
from holdfast.names import RelativePath
from holdfast.store.formats import accepted_version
from holdfast.store.interface import Entry

__all__ = [
    "ENTRIES_MAX",
    "LINE_BYTES_MAX",
    "TREE_FORMAT",
    "TREE_VERSION",
    "Row",
    "TreeReader",
    "in_order",
    "tree_pieces",
]

TREE_FORMAT = "holdfast.tree"
TREE_VERSION = "1.0"
_MAJOR = 1

ENTRIES_MAX = 20_000_000
"""More than the largest collections of single files that people train on; a minute's work to scan. Nothing is held in
memory for it: it only keeps a mistake, such as freezing a whole disk, from running for hours."""

LINE_BYTES_MAX = 1 << 20
"""A path takes 2 KiB at most, so this leaves nearly all of a line to fields of newer formats; what is longer is not a
tree, and is not gathered in memory to find out."""

_SLICE_BYTES = 1 << 17
"""About a thousand lines at a time: the cost of a slice no longer shows, and neither does its memory."""

_LINES_AT_ONCE = 1024
"""The same for writing."""

_MODE_TEXTS = {0o644: "0644", 0o755: "0755"}
_MODES = {text: mode for mode, text in _MODE_TEXTS.items()}

_SEGMENT = r'(?!\.\.?[/"])[^"/\\\x00-\x1f\x7f]+'
_USUAL = re.compile(
    r'^\{"digest":"sha256:([0-9a-f]{64})","mode":"(0644|0755)",'
    rf'"path":"({_SEGMENT}(?:/{_SEGMENT})*)","size":(0|[1-9][0-9]{{0,14}})\}}\n',
    re.MULTILINE,
)
"""A line whose path needs no escapes and whose size surely fits: it is canonical as it stands. No quantifier is
possessive, for Python 3.11.2 takes `a/` for a path then; without, there is as little to go back to: no segment holds a
slash."""

_SHORT_CHARACTERS = 256
"""A path of so many characters or fewer has no more than 1024 bytes, whatever they are."""


class Row(NamedTuple):
    """One file of a tree, as `Entry` has it, but made a million times over: nothing is checked here.

    Attributes:
        path: where it stands below the tree's root; a `RelativePath`.
        mode: 0o644 or 0o755.
        size: bytes.
        hex: the digits of its digest.
        extra: fields of a newer minor format; None when there are none.
    """

    path: str
    mode: int
    size: int
    hex: str
    extra: JsonObject | None = None

    @classmethod
    def of(cls, entry: Entry) -> "Row":
        """The row of this entry."""
        return cls(entry.path.text, entry.mode, entry.size, entry.digest.hex, entry.extra or None)

    def entry(self) -> Entry:
        """The entry of this row.

        Raises:
            UsageError: it is not one that can stand in a tree.
        """
        return Entry(RelativePath(self.path), self.mode, self.size, Digest(self.hex), self.extra or {})


def in_order(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows as they come, as long as they can stand in one tree.

    Raises:
        UsageError: out of the order of their paths' UTF-8 bytes, a path twice, or a path that is a file and a folder.
        TooLarge: more than `ENTRIES_MAX`.
    """
    before = ""
    # A file `a` is in the way of `a/x`, and between the two only paths stand that begin with `a` and a byte before `/`:
    # `a-b`, `a.csv`. So the files that may still be in somebody's way are each a beginning of the next, and the last of
    # them is the first to be passed. Python compares text by code points, which is the order of the UTF-8 bytes.
    in_the_way: list[str] = []
    for count, row in enumerate(rows, 1):
        path = row.path
        if path <= before:
            raise _out_of_order(before, path)
        while in_the_way and path > in_the_way[-1]:
            if path.startswith(in_the_way[-1]):
                raise _file_and_folder(in_the_way[-1][:-1])
            in_the_way.pop()
        in_the_way.append(path + "/")
        before = path
        if count > ENTRIES_MAX:
            raise too_many()
        yield row


def tree_pieces(
    rows: Iterable[Row], extra: Mapping[str, Any] | None = None, version: str = TREE_VERSION
) -> Iterator[bytes]:
    """The canonical stream of a tree, piece by piece.

    Args:
        rows: its files, in order.
        extra: fields of the header that a newer minor format wrote.
        version: the version of the format that the stream states.

    Raises:
        UsageError, TooLarge: as `in_order`; what was handed out until then is to be discarded.
    """
    yield _header(extra or {}, version) + b"\n"
    lines: list[bytes] = []
    for row in in_order(rows):
        lines.append(_line(row))
        if len(lines) == _LINES_AT_ONCE:
            yield b"\n".join([*lines, b""])
            lines.clear()
    if lines:
        yield b"\n".join([*lines, b""])


class TreeReader:
    """The rows of the tree whose stream is in `pieces`, read strictly, once.

    The header is read at once, the rows while they are iterated over; they count only when the iteration has ended.

    Attributes:
        extra: fields of the header that this Holdfast does not know.
        version: the version of the format that the stream states.

    Raises:
        UnsupportedFormat: anything that `tree_pieces` does not write: another format or major version, another order of
            entries or fields, a path twice, an unsafe path, a blank too many, a last line that was cut off. Raised here
            and by the iteration; so is what `pieces` raises.
        TooLarge: by the iteration: more than `ENTRIES_MAX` entries.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._blocks = _whole_lines(pieces)
        first = next(self._blocks, b"")
        head, end, self._rest = first.partition(b"\n")
        header = Reader(decode(head, what="tree"), "tree")
        self.version = accepted_version(header, name=TREE_FORMAT, major=_MAJOR)
        self.extra = header.rest()
        if not end:
            raise malformed("the last line is cut off")
        try:
            canonical = _header(self.extra, self.version) == head
        except (UsageError, ValueError) as error:  # ValueError: an unknown field that has no canonical form
            raise malformed(str(error)) from error
        if not canonical:
            raise malformed("its first line is not in canonical form")

    def __iter__(self) -> Iterator[Row]:
        try:
            yield from in_order(self._rows())
        except UsageError as error:
            raise malformed(str(error)) from error

    def _rows(self) -> Iterator[Row]:
        number, block = 2, self._rest
        while True:
            yield from _parsed(block, number)
            number += block.count(b"\n")
            try:
                block = next(self._blocks)
            except StopIteration:
                return


def _whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes again, in blocks of whole lines."""
    held = b""
    for piece in pieces:
        for start in range(0, len(piece), _SLICE_BYTES):
            held += piece[start : start + _SLICE_BYTES]
            end = held.rfind(b"\n") + 1
            if end:
                yield held[:end]
                held = held[end:]
            elif len(held) > LINE_BYTES_MAX:
                raise malformed(f"a line is longer than {LINE_BYTES_MAX} bytes")
    if held:
        raise malformed("the last line is cut off")


def _parsed(block: bytes, number: int) -> Iterator[Row]:
    """The rows of a block of whole lines; `number` is that of its first one."""
    try:
        found = _USUAL.findall(block.decode())
    except UnicodeDecodeError:
        found = []
    # Each match is one whole line, so as many matches as lines leave nothing unread.
    if len(found) == block.count(b"\n") and max(map(len, (line[2] for line in found)), default=0) <= _SHORT_CHARACTERS:
        for hexadecimal, mode, path, size in found:
            yield Row(path, _MODES[mode], int(size), hexadecimal)
        return
    for line in block.split(b"\n")[:-1]:
        yield _parsed_line(line, number)
        number += 1


def _parsed_line(line: bytes, number: int) -> Row:
    """The row of any line, whatever it holds."""
    where = f"tree line {number}"
    fields = Reader(decode(line, what=where), where)
    mode = _MODES.get(fields.text("mode"))
    if mode is None:
        raise malformed(f"line {number} has a mode other than {', '.join(_MODES)}")
    try:
        row = Row.of(
            Entry(
                path=RelativePath(fields.text("path")),
                mode=mode,
                size=fields.integer("size"),
                digest=Digest.parse(fields.text("digest")),
                extra=fields.rest(),
            )
        )
        again = _line(row)
    except (UsageError, ValueError) as error:
        raise malformed(str(error)) from error
    if again != line:
        raise malformed(f"line {number} is not in canonical form")
    return row


def _header(extra: Mapping[str, Any], version: str) -> bytes:
    return encode({**extra, "format": TREE_FORMAT, "version": version})


def _line(row: Row) -> bytes:
    path, mode, size, hexadecimal, extra = row
    if extra:
        known = {"digest": f"sha256:{hexadecimal}", "mode": _MODE_TEXTS[mode], "path": path, "size": size}
        return encode({**extra, **known})
    # The same bytes as `encode`, ten times faster: of what canonical JSON escapes, a path can hold only this.
    quoted = path.replace('"', '\\"')
    return f'{{"digest":"sha256:{hexadecimal}","mode":"{_MODE_TEXTS[mode]}","path":"{quoted}","size":{size}}}'.encode()


def _out_of_order(before: str, path: str) -> UsageError:
    if before == path:
        return UsageError(f"the path {path!r} appears twice", hint="Give every file of a tree its own path.", path=path)
    return UsageError(
        f"the path {path!r} stands after {before!r}",
        hint="Sort the entries by the UTF-8 bytes of their paths.",
        path=path,
    )


def _file_and_folder(path: str) -> UsageError:
    return UsageError(f"the path {path!r} is a file and a folder", hint="Rename one of the two.", path=path)


def too_many() -> TooLarge:
    """More files than a tree may hold."""
    return TooLarge(
        f"a tree of more than {ENTRIES_MAX} files",
        hint="Freeze the folder in several snapshots, or put small files together into larger ones.",
        limit=ENTRIES_MAX,
    )


def malformed(reason: str) -> UnsupportedFormat:
    """Not a tree, and why."""
    return UnsupportedFormat(
        f"not a snapshot tree: {reason}",
        hint="Check which digest was given; a tree that Holdfast wrote is read back as it stands.",
    )
