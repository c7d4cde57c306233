"""Laws of snapshot trees, and everything that is not one."""

import json
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from holdfast.canonical import INTEGER_MAX, encode
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import HoldfastError, TooLarge, UnsupportedFormat, UsageError
from holdfast.names import RelativePath
from holdfast.store import tree as module
from holdfast.store import tree_stream
from holdfast.store.interface import Entry
from holdfast.store.tree import Tree, parse_tree, write_tree

A, B = hash_bytes(b"a"), hash_bytes(b"b")
HEAD = b'{"format":"holdfast.tree","version":"1.0"}\n'


def line(path: str = "a", *, mode: str = "0644", size: str = "1", digest: Digest = A) -> bytes:
    return f'{{"digest":"{digest}","mode":"{mode}","path":{json.dumps(path)},"size":{size}}}\n'.encode()


def allowed(text: str) -> bool:
    try:
        RelativePath(text)
    except UsageError:
        return False
    return True


segments = st.text(min_size=1, max_size=8).filter(lambda text: "/" not in text and allowed(text))
paths = st.lists(segments, min_size=1, max_size=4).map("/".join)
digests = st.binary(max_size=4).map(hash_bytes)
extras = st.dictionaries(
    st.text(max_size=5).filter(lambda key: key not in {"path", "mode", "size", "digest", "format", "version"}),
    st.none() | st.integers(-INTEGER_MAX, INTEGER_MAX) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    max_size=2,
).filter(lambda value: all(key.isprintable() for key in value))


@st.composite
def entry_lists(draw: st.DrawFn) -> list[Entry]:
    names = draw(st.lists(paths, unique=True, max_size=8))
    taken = set(names)
    names = [name for name in names if not any(other.startswith(f"{name}/") for other in taken)]
    return [
        Entry(
            RelativePath(name),
            draw(st.sampled_from([0o644, 0o755])),
            draw(st.integers(0, INTEGER_MAX)),
            draw(digests),
            draw(extras),
        )
        for name in names
    ]


@given(entry_lists(), extras)
def test_what_is_written_is_read_back(entries: list[Entry], extra: dict[str, object]) -> None:
    tree = Tree(Tree.of(entries).entries, extra)
    assert parse_tree(tree.encode()) == tree


@given(entry_lists())
def test_what_is_read_is_written_back(entries: list[Entry]) -> None:
    data = write_tree(entries)
    assert parse_tree(data).encode() == data


@given(entry_lists(), st.randoms())
def test_the_order_in_which_entries_come_does_not_matter(entries: list[Entry], random: object) -> None:
    shuffled = list(entries)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert write_tree(shuffled) == write_tree(entries)


@given(entry_lists())
def test_every_line_is_canonical_json(entries: list[Entry]) -> None:
    for text in write_tree(entries).split(b"\n")[:-1]:
        assert encode(json.loads(text)) == text


@given(entry_lists())
def test_the_digest_is_that_of_the_stream(entries: list[Entry]) -> None:
    tree = Tree.of(entries)
    assert tree.digest == hash_bytes(tree.encode())
    assert tree.size == sum(entry.size for entry in entries)


@given(entry_lists(), entry_lists())
def test_different_trees_have_different_digests(one: list[Entry], other: list[Entry]) -> None:
    assume(sorted(one, key=str) != sorted(other, key=str))
    assert Tree.of(one).digest != Tree.of(other).digest


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda data: HEAD + data))
@example(b"")
@example(HEAD[:-1])
@example(HEAD + b'{"digest":"\\ud800"}\n')
@example(HEAD[:-2] + b',"x":"\\ud800"}\n')
@example(HEAD[:-2] + b',"x":1e400}\n')
def test_any_bytes_are_a_tree_or_an_error_of_ours(data: bytes) -> None:
    with suppress(HoldfastError):
        assert parse_tree(data).encode() == data


@given(entry_lists(), st.data())
def test_a_changed_byte_is_another_tree_or_none(entries: list[Entry], data: st.DataObject) -> None:
    stream = bytearray(write_tree(entries))
    place = data.draw(st.integers(0, len(stream) - 1))
    stream[place] ^= data.draw(st.integers(1, 255))
    try:
        changed = parse_tree(bytes(stream))
    except HoldfastError:
        return
    assert changed != Tree.of(entries)


BAD = {
    "cut": HEAD + line()[:-1],
    "no-end": HEAD[:-1],
    "blank-line": HEAD + b"\n" + line(),
    "blank": HEAD + line().replace(b",", b", "),
    "windows-lines": HEAD.replace(b"\n", b"\r\n") + line(),
    "fields-out-of-order": HEAD + b'{"mode":"0644","digest":"%s","path":"a","size":1}\n' % str(A).encode(),
    "entries-out-of-order": HEAD + line("b") + line("a"),
    "path-twice": HEAD + line("a") + line("a"),
    "file-and-folder": HEAD + line("a") + line("a-b") + line("a/b"),
    "file-and-folder-deeper": HEAD + line("a") + line("a/b/c/d"),
    "key-twice": HEAD + line().replace(b'"size":1', b'"size":1,"size":1'),
    "escaped": HEAD + line().replace(b'"path":"a"', b'"path":"\\u0061"'),
    "other-mode": HEAD + line(mode="0777"),
    "mode-as-number": HEAD + line().replace(b'"0644"', b"420"),
    "negative-size": HEAD + line(size="-1"),
    "size-too-large": HEAD + line(size=str(INTEGER_MAX + 1)),
    "size-as-fraction": HEAD + line(size="1.0"),
    "size-as-flag": HEAD + line(size="true"),
    "no-digest": HEAD + b'{"mode":"0644","path":"a","size":1}\n',
    "other-digest": HEAD + line().replace(b"sha256:", b"sha512:"),
    "upper-case-digest": HEAD + line(digest=A).replace(str(A).encode(), f"sha256:{A.hex.upper()}".encode()),
    "no-header": line(),
    "other-format": HEAD.replace(b"tree", b"wood") + line(),
    "next-major": HEAD.replace(b"1.0", b"2.0") + line(),
    "odd-version": HEAD.replace(b"1.0", b"1"),
    "not-json": HEAD + b"hello\n",
    "not-an-object": HEAD + b"[]\n",
    "not-utf8": HEAD + b"\xff\n",
    "utf16": HEAD.decode().encode("utf-16"),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_what_is_not_canonical_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedFormat):
        parse_tree(data)


@pytest.mark.parametrize(
    "path", ["../x", "/x", "a/../x", "a\\x", ".", "", "a//b", "a/", "x\x00", "x" * 1025, "\x1b[2J"]
)
def test_no_path_that_leads_out_is_ever_read(path: str) -> None:
    with pytest.raises(UnsupportedFormat):
        parse_tree(HEAD + line(path))


def test_fields_of_a_newer_minor_format_are_kept() -> None:
    data = (
        b'{"format":"holdfast.tree","made_by":"a newer one","version":"1.7"}\n'
        b'{"digest":"%s","mode":"0755","owner":{"name":"ana"},"path":"a","size":1}\n' % str(A).encode()
    )
    tree = parse_tree(data)
    assert tree.version == "1.7"
    assert tree.extra == {"made_by": "a newer one"}
    assert tree.entries[0].extra == {"owner": {"name": "ana"}}
    assert tree.encode() == data


def test_paths_are_sorted_by_their_bytes_and_not_by_locale_or_utf16() -> None:
    texts = ["b", "a/b", "a-b", "B", "é", "\U0001f600", "\uff5e", "a.b"]
    tree = Tree.of(Entry(RelativePath(text), 0o644, 1, A) for text in texts)
    assert [entry.path.text for entry in tree.entries] == sorted(texts, key=str.encode)


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([("a", A), ("a", B)], id="twice"),
        pytest.param([("a", A), ("a", A)], id="twice-the-same"),
        pytest.param([("a/b", A), ("a", A)], id="file-and-folder"),
    ],
)
def test_a_tree_that_no_folder_could_be_is_refused(entries: Sequence[tuple[str, Digest]]) -> None:
    with pytest.raises(UsageError):
        write_tree([Entry(RelativePath(path), 0o644, 1, digest) for path, digest in entries])


@pytest.mark.parametrize(("mode", "size"), [(0o600, 1), (0o100644, 1), (0o644, -1), (0o644, INTEGER_MAX + 1)])
def test_an_entry_that_cannot_be_is_refused(mode: int, size: int) -> None:
    with pytest.raises(UsageError):
        Entry(RelativePath("a"), mode, size, A)


def test_too_many_entries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = HEAD + line("a") + line("b") + line("c")
    monkeypatch.setattr(tree_stream, "ENTRIES_MAX", 3)
    entries = parse_tree(data).entries
    monkeypatch.setattr(tree_stream, "ENTRIES_MAX", 2)
    with pytest.raises(TooLarge):
        parse_tree(data)
    with pytest.raises(TooLarge):
        Tree(entries)


def test_too_many_bytes_are_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TREE_BYTES_MAX", 100)
    with pytest.raises(TooLarge):
        parse_tree(b"x" * 101)


def test_an_empty_tree_is_a_header() -> None:
    assert Tree(()).encode() == HEAD
    assert parse_tree(HEAD) == Tree(())
