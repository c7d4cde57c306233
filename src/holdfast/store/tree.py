"""Trees: what a snapshot consists of, as a stream with one canonical form whose SHA-256 is the snapshot's digest.

    for row in tree_rows(store, digest): ...             any number of files, in memory that does not grow
    for change in diff_trees(store, old, new): ...       the same

    tree = Tree.of([Entry(RelativePath("a.csv"), 0o644, 3, digest)])
    parse_tree(tree.encode()) == tree
    parse_tree(data).encode() == data                    for everything that parse_tree accepts
    Tree.of(reversed(tree.entries)) == tree

docs/FORMAT.md, "Snapshot tree stream", is the description for everybody who does not read Python.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from holdfast.canonical import JsonObject
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import TooLarge, UnsupportedFormat
from holdfast.store.interface import Entry, Store
from holdfast.store.tree_stream import (
    ENTRIES_MAX,
    TREE_FORMAT,
    TREE_VERSION,
    Row,
    TreeReader,
    in_order,
    tree_pieces,
)

__all__ = [
    "ENTRIES_MAX",
    "TREE_BYTES_MAX",
    "TREE_FORMAT",
    "Change",
    "Row",
    "Tree",
    "diff_trees",
    "load_tree",
    "parse_tree",
    "tree_rows",
    "write_tree",
]

TREE_BYTES_MAX = 1 << 30
"""The longest stream that is read into memory at once, by `parse_tree` and `load_tree`: some millions of files, at
about half a kilobyte each. `tree_rows` has no such bound."""


@dataclass(frozen=True, slots=True)
class Tree:
    """Files by their paths, in the order of the paths' UTF-8 bytes; all of them in memory.

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
    version: str = TREE_VERSION

    def __post_init__(self) -> None:
        for _ in in_order(map(Row.of, self.entries)):
            pass

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
        return b"".join(tree_pieces(map(Row.of, self.entries), self.extra, self.version))


def write_tree(entries: Iterable[Entry]) -> bytes:
    """The canonical stream of these entries, in whatever order they come.

    Raises:
        UsageError, TooLarge: as `Tree`.
    """
    return Tree.of(entries).encode()


def parse_tree(data: bytes) -> Tree:
    """The tree whose canonical stream is `data`, read strictly.

    Raises:
        UnsupportedFormat: as `TreeReader`.
        TooLarge: more than `TREE_BYTES_MAX` bytes or `ENTRIES_MAX` entries.
    """
    if len(data) > TREE_BYTES_MAX:
        raise TooLarge(
            f"a tree of {len(data)} bytes; at most {TREE_BYTES_MAX} are read at once",
            hint="This is probably not a tree; check which digest was given.",
            limit=TREE_BYTES_MAX,
            size=len(data),
        )
    reader = TreeReader([data])
    return Tree(tuple(row.entry() for row in reader), reader.extra, reader.version)


def load_tree(store: Store, digest: Digest) -> Tree:
    """The tree of the snapshot that `digest` names, in memory.

    Raises:
        NotFound: the store does not hold it.
        UnsupportedFormat: the digest names something that is not a tree.
        TooLarge: more than `TREE_BYTES_MAX` bytes.
        IntegrityError: its bytes are damaged.
    """
    return parse_tree(store.read(digest, bytes_max=TREE_BYTES_MAX))


def tree_rows(store: Store, digest: Digest) -> Iterator[Row]:
    """The files of the snapshot that `digest` names, in the order of their paths.

    The rows come before the last byte was verified: what was made of them counts only when the iteration has ended.

    Raises:
        NotFound, UnsupportedFormat, IntegrityError: as `load_tree`; while it is iterated over.
        TooLarge: more than `ENTRIES_MAX` entries.
    """
    pieces = store.pieces(digest)
    try:
        yield from TreeReader(pieces)
    except UnsupportedFormat:
        # Bytes that are no tree because they are damaged are damage, and that shows at their end.
        for _ in pieces:
            pass
        raise


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs between two trees.

    Attributes:
        path: where.
        before: the file in the old tree; None when it was added.
        after: the file in the new tree; None when it was removed.
    """

    path: str
    before: Row | None
    after: Row | None

    @property
    def kind(self) -> str:
        """`added`, `removed` or `changed`."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"


def diff_trees(store: Store, old: Digest, new: Digest) -> Iterator[Change]:
    """What differs between two snapshots: files that came, went, or have other bytes or modes, by their paths.

    A file that was renamed goes and comes; that both have one digest tells.

    Raises:
        As `tree_rows`, for either of them; what was handed out until then is to be discarded.
    """
    if old == new:
        return
    olds, news = tree_rows(store, old), tree_rows(store, new)
    before, after = next(olds, None), next(news, None)
    while before is not None or after is not None:
        if before == after:
            before, after = next(olds, None), next(news, None)
        elif after is None or (before is not None and before.path < after.path):
            yield Change(before.path, before, None)  # type: ignore[union-attr]
            before = next(olds, None)
        elif before is None or after.path < before.path:
            yield Change(after.path, None, after)
            after = next(news, None)
        else:
            yield Change(after.path, before, after)
            before, after = next(olds, None), next(news, None)


def _sort_key(entry: Entry) -> bytes:
    return entry.path.text.encode()
