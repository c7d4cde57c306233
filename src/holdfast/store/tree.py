"""Trees: what a snapshot consists of, as a stream with one canonical form whose SHA-256 is the snapshot's digest.

    tree = Tree.of([Entry(RelativePath("a.csv"), 0o644, 3, digest)])
    parse_tree(tree.encode()) == tree
    parse_tree(data).encode() == data                    for everything that parse_tree accepts
    Tree.of(reversed(tree.entries)) == tree

docs/FORMAT.md, "Snapshot tree stream", is the description for everybody who does not read Python.
"""

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from holdfast.canonical import JsonObject, Reader, decode, encode
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import TooLarge, UnsupportedFormat, UsageError
from holdfast.names import RelativePath
from holdfast.store.formats import accepted_version
from holdfast.store.interface import Entry, Store

__all__ = ["ENTRIES_MAX", "TREE_BYTES_MAX", "TREE_FORMAT", "Tree", "load_tree", "parse_tree", "write_tree"]

TREE_FORMAT = "holdfast.tree"
_MAJOR = 1
_VERSION = "1.0"

ENTRIES_MAX = 2_000_000
"""Twice the largest folder that this form is meant for: a tree is held in memory, at about half a kilobyte an entry."""

TREE_BYTES_MAX = 1 << 30
"""`ENTRIES_MAX` entries with long paths; a blob past this is not a tree, and is not read into memory to find out."""

_MODE_TEXTS = {0o644: "0644", 0o755: "0755"}
_MODES = {text: mode for mode, text in _MODE_TEXTS.items()}


@dataclass(frozen=True, slots=True)
class Tree:
    """Files by their paths, in the order of the paths' UTF-8 bytes.

    Attributes:
        entries: the files.
        extra: fields of the header that a newer minor format wrote and this Holdfast does not know.
        version: the version of the format that the stream states.

    Raises:
        UsageError: out of order, a path twice, or a path that is a file and a folder.
        TooLarge: more than `ENTRIES_MAX` entries.
    """

    entries: tuple[Entry, ...]
    extra: JsonObject = field(default_factory=dict, hash=False)
    version: str = _VERSION

    def __post_init__(self) -> None:
        if len(self.entries) > ENTRIES_MAX:
            raise _too_many()
        _check_order(self.entries)
        _check_folders(self.entries)

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> "Tree":
        """The tree of these entries, in whatever order they come."""
        return cls(tuple(sorted(entries, key=_sort_key)))

    @property
    def size(self) -> int:
        """The bytes of all files together."""
        return sum(entry.size for entry in self.entries)

    @property
    def digest(self) -> Digest:
        """The name of this tree, and of the snapshot that it is."""
        return hash_bytes(self.encode())

    def encode(self) -> bytes:
        """The canonical stream."""
        header = {**self.extra, "format": TREE_FORMAT, "version": self.version}
        return b"\n".join([encode(header), *map(_encode_entry, self.entries), b""])


def write_tree(entries: Iterable[Entry]) -> bytes:
    """The canonical stream of these entries, in whatever order they come.

    Raises:
        UsageError, TooLarge: as `Tree`.
    """
    return Tree.of(entries).encode()


def parse_tree(data: bytes) -> Tree:
    """The tree whose canonical stream is `data`, read strictly.

    Raises:
        UnsupportedFormat: anything that `Tree.encode` does not write: another format or major version, another order of
            entries or fields, a path twice, an unsafe path, a blank too many, a last line that was cut off.
        TooLarge: more than `TREE_BYTES_MAX` bytes or `ENTRIES_MAX` entries.
    """
    if len(data) > TREE_BYTES_MAX:
        raise TooLarge(
            f"a tree of {len(data)} bytes; at most {TREE_BYTES_MAX} are read",
            hint="This is probably not a tree; check which digest was given.",
            limit=TREE_BYTES_MAX,
            size=len(data),
        )
    head, *lines = data.split(b"\n", ENTRIES_MAX + 1)
    header = Reader(decode(head, what="tree"), "tree")
    version = accepted_version(header, name=TREE_FORMAT, major=_MAJOR)
    if lines and b"\n" in lines[-1]:
        raise _too_many()
    if not lines or lines[-1]:
        raise _malformed("the last line is cut off")
    try:
        tree = Tree(tuple(map(_parse_entry, lines[:-1], range(2, len(lines) + 1))), header.rest(), version)
        again = tree.encode()
    except (UsageError, ValueError) as error:  # ValueError: an unknown field that has no canonical form
        raise _malformed(str(error)) from error
    if again != data:
        raise _malformed("it is not in canonical form")
    return tree


def load_tree(store: Store, digest: Digest) -> Tree:
    """The tree of the snapshot that `digest` names.

    Raises:
        NotFound: the store does not hold it.
        UnsupportedFormat: the digest names something that is not a tree.
        IntegrityError: its bytes are damaged.
    """
    return parse_tree(store.read(digest, bytes_max=TREE_BYTES_MAX))


def _parse_entry(line: bytes, number: int) -> Entry:
    where = f"tree line {number}"
    fields = Reader(decode(line, what=where), where)
    mode = _MODES.get(fields.text("mode"))
    if mode is None:
        raise _malformed(f"line {number} has a mode other than {', '.join(_MODES)}")
    return Entry(
        path=RelativePath(fields.text("path")),
        mode=mode,
        size=fields.integer("size"),
        digest=Digest.parse(fields.text("digest")),
        extra=fields.rest(),
    )


def _encode_entry(entry: Entry) -> bytes:
    mode, path = _MODE_TEXTS[entry.mode], entry.path.text
    if entry.extra:
        known = {"digest": str(entry.digest), "mode": mode, "path": path, "size": entry.size}
        return encode({**entry.extra, **known})
    # The same bytes as `encode`, five times faster: a test holds the two together.
    quoted = json.dumps(path, ensure_ascii=False)
    return f'{{"digest":"{entry.digest}","mode":"{mode}","path":{quoted},"size":{entry.size}}}'.encode()


def _sort_key(entry: Entry) -> bytes:
    return entry.path.text.encode()


def _check_order(entries: Sequence[Entry]) -> None:
    for before, after in itertools.pairwise(entries):
        if before.path == after.path:
            raise UsageError(
                f"the path {after.path.text!r} appears twice",
                hint="Give every file of a tree its own path.",
                path=str(after.path),
            )
        if _sort_key(before) > _sort_key(after):
            raise UsageError(
                f"the path {after.path.text!r} stands after {before.path.text!r}",
                hint="Sort the entries by the UTF-8 bytes of their paths.",
                path=str(after.path),
            )


def _check_folders(entries: Sequence[Entry]) -> None:
    folders: set[str] = set()
    for entry in entries:
        folder = entry.path.text.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    for entry in entries:
        if entry.path.text in folders:
            raise UsageError(
                f"the path {entry.path.text!r} is a file and a folder",
                hint="Rename one of the two.",
                path=str(entry.path),
            )


def _too_many() -> TooLarge:
    return TooLarge(
        f"a tree of more than {ENTRIES_MAX} files",
        hint="Freeze the folder in several snapshots, or put small files together into larger ones.",
        limit=ENTRIES_MAX,
    )


def _malformed(reason: str) -> UnsupportedFormat:
    return UnsupportedFormat(
        f"not a snapshot tree: {reason}",
        hint="Check which digest was given; a tree that Holdfast wrote is read back as it stands.",
    )
