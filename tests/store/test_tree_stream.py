"""Trees of any size: read and written line by line, refused as strictly as when they were held whole."""

import hashlib
import json
import re
import tracemalloc
from collections.abc import Iterable, Iterator, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.canonical import INTEGER_MAX
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import HoldfastError, IntegrityError, NotFound, TooLarge, UnsupportedFormat, UsageError
from holdfast.names import RelativePath
from holdfast.store import tree_stream
from holdfast.store.memory import MemoryStore
from holdfast.store.tree import Change, Row, diff_trees, tree_rows
from holdfast.store.tree_stream import TreeReader, in_order, tree_pieces

HEAD = b'{"format":"holdfast.tree","version":"1.0"}\n'
HEX = hash_bytes(b"a").hex


def allowed(text: str) -> bool:
    try:
        RelativePath(text)
    except UsageError:
        return False
    return True


names = st.text(st.sampled_from('ab-./ "\u00e9\U0001f600\ue000\x7f\\'), min_size=1, max_size=6)
segments = st.text(
    st.sampled_from('ab- "\u00e9\U0001f600\ue000'), min_size=1, max_size=3
)  # more of `.` would be refused
paths = st.lists(segments, min_size=1, max_size=3).map("/".join)
rows = st.builds(
    Row,
    paths,
    st.sampled_from([0o644, 0o755]),
    st.integers(0, INTEGER_MAX) | st.sampled_from([10**15 - 1, 10**15, INTEGER_MAX]),
    st.sampled_from([HEX, hash_bytes(b"b").hex]),
    st.none() | st.just({"owner": "ana"}),
)


def by_path(found: list[Row]) -> list[Row]:
    return sorted(found, key=lambda row: row.path)


def naive(rows: Sequence[Row]) -> bool:
    """Whether the rows can be one tree, told the slow way."""
    texts = [row.path for row in rows]
    folders = {"/".join(text.split("/")[:end]) for text in texts for end in range(1, len(text.split("/")))}
    return texts == sorted(texts, key=str.encode) and len(set(texts)) == len(texts) and folders.isdisjoint(texts)


def is_tree(rows: Iterable[Row]) -> bool:
    try:
        list(in_order(rows))
    except UsageError:
        return False
    return True


@given(st.lists(rows, max_size=8).map(by_path) | st.lists(rows, max_size=4))
@example([Row(path, 0o644, 0, HEX) for path in ("a", "a-b", "a/b")])
@example([Row(path, 0o644, 0, HEX) for path in ("a", "a b", "a b-c", "a b/x", "a/b")])
@example([Row(path, 0o644, 0, HEX) for path in ("a", "a-b", "a-b.c", "a.b", "a0")])
@example([Row(path, 0o644, 0, HEX) for path in ("a", "a-b", "a-b/c", "b")])
def test_what_can_stand_in_one_tree_is_told_without_holding_it(found: list[Row]) -> None:
    found = [row._replace(extra=None) for row in found]
    assert is_tree(found) == naive(found)


@given(st.lists(rows, max_size=8, unique_by=lambda row: row.path), st.integers(1, 40))
def test_what_is_written_is_read_back_however_it_is_cut(found: list[Row], step: int) -> None:
    found.sort(key=lambda row: row.path)
    if not naive(found):
        return
    data = b"".join(tree_pieces(found))
    assert list(TreeReader(data[start : start + step] for start in range(0, len(data), step))) == found


def line(path: str) -> bytes:
    quoted = json.dumps(path, ensure_ascii=False)
    return f'{{"digest":"sha256:{HEX}","mode":"0644","path":{quoted},"size":1}}\n'.encode(errors="surrogatepass")


def read(data: bytes) -> list[Row] | None:
    try:
        return list(TreeReader([data]))
    except HoldfastError:
        return None


def slowly(data: bytes) -> list[Row] | None:
    """The same without the expression for usual lines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tree_stream, "_USUAL", re.compile(r"(?!)"))
        return read(data)


@given(st.text(max_size=6) | names | st.sampled_from(["a" * 1024, "a" * 1025, "é" * 512, "é" * 513, "a/" * 511 + "b"]))
def test_usual_lines_are_read_as_all_others_are(path: str) -> None:
    data = HEAD + line(path)
    assert read(data) == slowly(data)
    assert (read(data) is not None) == allowed(path)


@given(st.lists(st.sampled_from(["a", "b", "c", 'q"', "\\"]), max_size=4), st.data())
def test_a_changed_byte_is_read_alike_on_both_ways(found: list[str], data: st.DataObject) -> None:
    stream = bytearray(HEAD + b"".join(map(line, found)))
    place = data.draw(st.integers(0, len(stream) - 1))
    stream[place] = data.draw(st.integers(0, 255))
    assert read(bytes(stream)) == slowly(bytes(stream))


@pytest.mark.parametrize("size", ["00", "01", "1" * 16, str(INTEGER_MAX), str(INTEGER_MAX + 1), "-0", "1e3", "\u0661"])
def test_sizes_are_read_alike_on_both_ways(size: str) -> None:
    data = HEAD + line("a").replace(b'"size":1}', f'"size":{size}}}'.encode())
    assert read(data) == slowly(data)


def many(count: int) -> Iterator[Row]:
    for number in range(count):
        yield Row(f"{number // 100:04}/{number:08}", 0o644, number, hashlib.sha256(b"%d" % number).hexdigest())


def peak(count: int) -> int:
    tracemalloc.start()
    try:
        assert sum(1 for _ in TreeReader(tree_pieces(many(count)))) == count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.thorough
def test_memory_does_not_grow_with_the_number_of_files() -> None:
    peak(3_000)
    assert peak(20_000) < peak(5_000) + 200_000 < 4_000_000


def test_a_line_without_an_end_is_not_gathered() -> None:
    def endless() -> Iterator[bytes]:
        yield HEAD
        while True:
            yield b"x" * 100_000

    with pytest.raises(UnsupportedFormat, match="longer than"):
        list(TreeReader(endless()))


def test_too_many_files_are_refused_when_the_first_one_too_many_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_stream, "ENTRIES_MAX", 100)
    with pytest.raises(TooLarge):
        list(tree_pieces(many(101)))
    assert len(list(TreeReader(tree_pieces(many(100))))) == 100


# Of a store


def stored(store: MemoryStore, found: Iterable[Row]) -> Digest:
    with store.writer() as writer:
        digest = writer.add_pieces(tree_pieces(found)).digest
        writer.commit()
    return digest


def test_the_rows_of_a_snapshot_are_read_from_its_store() -> None:
    store = MemoryStore()
    assert list(tree_rows(store, stored(store, many(3000)))) == list(many(3000))


def test_damage_is_told_as_damage_even_where_it_breaks_a_line() -> None:
    store = MemoryStore()
    digest = stored(store, many(10))
    store._blobs[digest] = store._blobs[digest].replace(b'"mode"', b'"mo\xffe"')
    with pytest.raises(IntegrityError):
        list(tree_rows(store, digest))


def test_what_is_not_there_or_not_a_tree_is_refused() -> None:
    store = MemoryStore()
    with pytest.raises(NotFound):
        list(tree_rows(store, hash_bytes(b"absent")))
    with store.writer() as writer:
        digest = writer.add_bytes(b"not a tree").digest
        writer.commit()
    with pytest.raises(UnsupportedFormat):
        list(tree_rows(store, digest))


trees = st.dictionaries(st.sampled_from("abcdefgh"), rows).map(
    lambda found: sorted(row._replace(path=name) for name, row in found.items())
)


@given(trees, trees)
def test_a_diff_applied_to_the_old_tree_gives_the_new_one(old: list[Row], new: list[Row]) -> None:
    store = MemoryStore()
    changes = list(diff_trees(store, stored(store, old), stored(store, new)))
    held = {row.path: row for row in old}
    for change in changes:
        assert held.pop(change.path, None) == change.before
        assert change.before != change.after
        if change.after is not None:
            held[change.path] = change.after
    assert sorted(held.values(), key=lambda row: row.path) == new
    assert [change.path for change in changes] == sorted(change.path for change in changes)


def test_a_change_says_what_kind_it_is() -> None:
    store, (one, two, three) = MemoryStore(), many(3)
    found = diff_trees(store, stored(store, [one, two]), stored(store, [two._replace(size=99), three]))
    assert [change.kind for change in found] == ["removed", "changed", "added"]
    assert Change("a", one, None).kind == "removed"


def test_a_tree_does_not_differ_from_itself() -> None:
    assert list(diff_trees(MemoryStore(), hash_bytes(b"x"), hash_bytes(b"x"))) == []
