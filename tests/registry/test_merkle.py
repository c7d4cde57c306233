import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.digest import Digest
from holdfast.registry.merkle import (
    Head,
    Node,
    Span,
    Tree,
    consistency_path,
    consistent,
    hash_of,
    inclusion_path,
    leaf,
    left_of,
    root,
    root_by_inclusion,
)
from tests.effort import examples

# The leaves and roots that Certificate Transparency's implementations test themselves with.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def definition(entries: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return hashlib.sha256(b"\x01" + definition(entries[:split]) + definition(entries[split:])).digest()


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_of_the_known_vectors(size: int) -> None:
    assert root(LEAVES[:size]) == Digest(ROOTS[size])


@given(st.lists(st.binary(max_size=8), max_size=70))
def test_the_root_is_that_of_the_definition_at_every_size(entries: list[bytes]) -> None:
    tree = Tree()
    for count, entry in enumerate(entries):
        assert tree.root().hex == definition(entries[:count]).hex()
        tree.append(entry)
    assert tree.size == len(entries)
    assert tree.root().hex == definition(entries).hex()


def path_of(place: int, entries: list[bytes]) -> list[bytes]:
    """RFC 6962, section 2.1.1, word for word."""
    if len(entries) == 1:
        return []
    split = 1
    while split * 2 < len(entries):
        split *= 2
    if place < split:
        return [*path_of(place, entries[:split]), definition(entries[split:])]
    return [*path_of(place - split, entries[split:]), definition(entries[:split])]


def proof_of(old: int, entries: list[bytes], *, known: bool = True) -> list[bytes]:
    """RFC 6962, section 2.1.2, word for word."""
    if old == len(entries):
        return [] if known else [definition(entries)]
    split = 1
    while split * 2 < len(entries):
        split *= 2
    if old <= split:
        return [*proof_of(old, entries[:split], known=known), definition(entries[split:])]
    return [*proof_of(old - split, entries[split:], known=False), definition(entries[:split])]


def grown(entries: list[bytes]) -> dict[Node, bytes]:
    """All full subtrees, as they are kept: each with the entry that closes it."""
    tree, known = Tree(), {}
    for place, entry in enumerate(entries):
        closed = tree.append(entry)
        hashes = [closed[start : start + 32] for start in range(0, len(closed), 32)]
        assert len(hashes) == len(left_of(place)) + 1
        for level, node in enumerate(hashes):
            known[Node(level, (place + 1 >> level) - 1)] = node
            assert Node(level, (place + 1 >> level) - 1).closed_by == place
    return known


def hashes(path: list[Span], known: dict[Node, bytes]) -> list[bytes]:
    return [hash_of(span, known) for span in path]


@pytest.mark.parametrize("size", range(9))
def test_the_known_vectors_are_proven_as_the_definition_proves_them(size: int) -> None:
    entries, known = LEAVES[:size], grown(LEAVES[:size])
    for place in range(size):
        path = hashes(inclusion_path(place, size), known)
        assert path == path_of(place, entries)
        assert root_by_inclusion(entries[place], place, size, path) == Digest(ROOTS[size])
    for old in range(1, size):
        path = hashes(consistency_path(old, size), known)
        assert path == proof_of(old, entries)
        assert consistent(Head(old, Digest(ROOTS[old])), Head(size, Digest(ROOTS[size])), path)


def test_the_proofs_of_seven_entries_are_those_of_the_example_in_the_rfc() -> None:
    known = grown(LEAVES[:7])
    a, b, c, d, e, f = (leaf(entry) for entry in LEAVES[:6])
    g, h, i, j = known[Node(1, 0)], known[Node(1, 1)], known[Node(1, 2)], leaf(LEAVES[6])
    k, joined = known[Node(2, 0)], hash_of(Span(4, 7), known)
    assert hashes(inclusion_path(0, 7), known) == [b, h, joined]
    assert hashes(inclusion_path(3, 7), known) == [c, g, joined]
    assert hashes(inclusion_path(4, 7), known) == [f, j, k]
    assert hashes(inclusion_path(6, 7), known) == [i, k]
    assert hashes(consistency_path(3, 7), known) == [c, d, g, joined]
    assert hashes(consistency_path(4, 7), known) == [joined]
    assert hashes(consistency_path(6, 7), known) == [i, j, k]
    assert (a, e) == (known[Node(0, 0)], known[Node(0, 4)])


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.binary(max_size=4), min_size=1, max_size=140), st.data())
def test_any_event_is_proven_to_be_in_any_tree_that_has_it(entries: list[bytes], data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(entries)))
    place = data.draw(st.integers(0, size - 1))
    path = hashes(inclusion_path(place, size), grown(entries))
    assert path == path_of(place, entries[:size])
    assert len(path) <= (size - 1).bit_length()
    assert root_by_inclusion(entries[place], place, size, path) == root(entries[:size])
    assert root_by_inclusion(entries[place] + b"x", place, size, path) != root(entries[:size])
    for wrong in (path[:-1], [*path, b"0" * 32], path[1:]):
        if wrong != path:
            assert root_by_inclusion(entries[place], place, size, wrong) != root(entries[:size])
    assert root_by_inclusion(entries[place], size, size, path) is None


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.binary(max_size=4), min_size=2, max_size=140), st.data())
def test_any_tree_is_proven_to_begin_with_any_smaller_one(entries: list[bytes], data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(entries)))
    old = data.draw(st.integers(1, size))
    before, after = Head(old, root(entries[:old])), Head(size, root(entries[:size]))
    path = hashes(consistency_path(old, size), grown(entries))
    assert path == proof_of(old, entries[:size])
    assert consistent(before, after, path)
    other = Head(old, root([*entries[: old - 1], entries[old - 1] + b"x"]))
    assert not consistent(other, after, path)
    assert not consistent(before, Head(size, other.root), path)
    assert not consistent(after, Head(old - 1, before.root), path)
    if old < size:
        for wrong in (path[:-1], [*path, b"0" * 32], path[1:], path[::-1] if path[::-1] != path else []):
            assert not consistent(before, after, wrong)


def test_every_tree_begins_with_the_empty_one() -> None:
    empty, one = Head(0, root([])), Head(1, root([b"a"]))
    assert consistent(empty, one, [])
    assert consistent(empty, empty, [])
    assert not consistent(Head(0, one.root), one, [])
    assert not consistent(empty, one, [b"0" * 32])


def test_a_proof_in_a_log_of_a_million_events_has_at_most_twenty_hashes() -> None:
    million = 1_000_000
    for place in (0, 1, 524_287, 524_288, 777_777, million - 1):
        spans = inclusion_path(place, million)
        assert len(spans) <= 20
        assert len({node for span in spans for node in span.nodes()}) <= 40
    assert len(consistency_path(777_777, million)) <= 21  # one more than the height: PROOF begins inside the old tree
