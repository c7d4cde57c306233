"""An index that was lost is made again from the packs, also from damaged ones."""

import random
from contextlib import suppress
from pathlib import Path

import pytest

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import IntegrityError, NotFound
from holdfast.store.layout import Layout
from holdfast.store.local import LocalStore
from holdfast.store.rebuild import pack_records, rebuilt_index
from holdfast.store.segments import Segments
from tests.store.looking import exact_files, index_files, packs
from tests.store.spoiling import flip

LARGE = random.Random(1).randbytes(1500)
CONTENTS = [b"hello", b"", b"world", LARGE]

pytestmark = pytest.mark.usefixtures("exactly")


@pytest.fixture
def filled(store: LocalStore, tmp_path: Path) -> LocalStore:
    """Small blobs, one that is kept exactly, and one that is cut into chunks of which it shares some."""
    (tmp_path / "large").write_bytes(LARGE)
    with store.writer() as writer:
        for data in CONTENTS[:3]:
            writer.add_bytes(data)
        writer.add_file(tmp_path / "large")
        writer.commit()
    with store.writer() as writer:
        writer.add_bytes(LARGE + LARGE[:700])
        writer.commit()
    return store


def without_index(store: LocalStore) -> LocalStore:
    for path in index_files(store.root):
        path.unlink()
    return LocalStore(store.root)


WANTED = {hash_bytes(data): data for data in [*CONTENTS, LARGE + LARGE[:700]]}


def test_the_index_that_is_made_says_what_the_lost_ones_said(filled: LocalStore) -> None:
    before = sorted(filled._catalog.all())
    again = without_index(filled)
    assert sorted(again._catalog.all()) == before
    assert {digest: again.read(digest, bytes_max=5000) for digest in again.digests()} == WANTED


@pytest.mark.thorough
def test_a_bit_that_is_flipped_outside_the_stored_bytes_costs_nothing(filled: LocalStore) -> None:
    """The directory and the headers say the same, and the bytes bear out one of them."""
    layout = Layout(filled.root)
    for pack in packs(filled.root):
        _, records = pack_records(layout, Segments(layout), pack.name)
        stored = {at for record in records for at in range(record.offset, record.offset + record.stored)}
        for at in range(pack.stat().st_size):
            flip(pack, at)
            again = without_index(filled)
            hurt = set()
            for digest, data in WANTED.items():
                try:
                    assert again.size(digest) == len(data)
                    assert again.read(digest, bytes_max=5000) == data
                except (IntegrityError, NotFound):
                    hurt.add(digest)
            assert at in stored or not hurt, f"byte {at} of {pack.name}"
            flip(pack, at)
            for name in layout.names(layout.damaged):
                layout.forget_damage(name)


@pytest.mark.thorough
def test_a_pack_that_ends_anywhere_gives_what_is_whole(filled: LocalStore) -> None:
    layout = Layout(filled.root)
    for pack in packs(filled.root):
        whole = pack.read_bytes()
        pack.chmod(0o644)
        for end in range(0, len(whole), 7):
            pack.write_bytes(whole[:end])
            again = without_index(filled)
            for digest, data in WANTED.items():
                with suppress(IntegrityError, NotFound):
                    assert again.read(digest, bytes_max=5000) == data
        pack.write_bytes(whole)
        for name in layout.names(layout.damaged):
            layout.forget_damage(name)
    assert {digest: without_index(filled).read(digest, bytes_max=5000) for digest in WANTED} == WANTED


def test_files_that_are_no_packs_are_named_and_passed_over(filled: LocalStore) -> None:
    strange = filled.root / "packs/ff" / ("f" * 64)
    strange.parent.mkdir(exist_ok=True)
    strange.write_bytes(b"not a pack, though it is named like one")
    assert list(rebuilt_index(Layout(filled.root)).unreadable) == [strange.name]
    assert set(without_index(filled).digests()) == set(WANTED)


def test_what_had_its_bytes_in_a_lost_exact_file_is_missing(filled: LocalStore) -> None:
    (exact,) = exact_files(filled.root)
    exact.unlink()
    again = without_index(filled)
    assert again.missing(WANTED) == set(WANTED) & {Digest(exact.name), hash_bytes(LARGE + LARGE[:700])}
