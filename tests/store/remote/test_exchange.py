"""Blobs to a remote and back: what travels, what does not, and what an interruption leaves."""

import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from blake3 import blake3

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import HoldfastError, IntegrityError, NotFound, Unavailable
from holdfast.store import layout, local_writer
from holdfast.store.cut import Cutting, Sizes
from holdfast.store.index import IndexFile, Segment, index_bytes, row_bytes
from holdfast.store.layout import Layout
from holdfast.store.local import LocalStore
from holdfast.store.pack import BLOB, CHUNK, RECIPE, Record
from holdfast.store.rebuild import rebuilt_index
from holdfast.store.remote import incoming, intake, outgoing
from holdfast.store.remote.folder import FolderTransport
from holdfast.store.remote.persistent import ATTEMPTS_MAX, Persistent
from holdfast.store.remote.sending import Sent
from holdfast.store.remote.transport import Pieces
from tests.flaky import Flaky
from tests.store.remote.conftest import Sides
from tests.store.spoiling import flip, spoil

FINE = Cutting(large_bytes_min=2_000, plain=Sizes(64, 256, 1024), text=Sizes(64, 256, 1024), tensor_stride=512)
"""Small blobs stay whole, larger ones are cut into many chunks."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs and batches of kilobytes, so that a few blobs fill many."""
    monkeypatch.setattr(layout, "CUTTING", FINE)
    monkeypatch.setattr(outgoing, "PACK_BYTES", 20_000)
    monkeypatch.setattr(intake, "PACK_BYTES", 20_000)
    monkeypatch.setattr(outgoing, "_BATCH_RECORDS", 3)
    monkeypatch.setattr(incoming, "_BLOBS_AT_ONCE", 40)


def blobs(seed: int = 0, count: int = 60) -> list[bytes]:
    chance = random.Random(seed)
    return [chance.randbytes(chance.choice([0, 10, 900, 1_500, 3_000, 9_000])) + bytes([n]) for n in range(count)]


def added(store: LocalStore, *contents: bytes) -> list[Digest]:
    with store.writer() as writer:
        digests = [writer.add_bytes(data).digest for data in contents]
        writer.commit()
    return digests


def holds(store: LocalStore, digests: list[Digest], contents: list[bytes]) -> None:
    for digest, data in zip(digests, contents, strict=True):
        assert store.read(digest, bytes_max=1 << 20) == data


def test_what_was_sent_is_fetched_byte_for_byte(sides: Sides) -> None:
    contents = blobs()
    digests = added(sides.here, *contents)
    sent = sides.outgoing().send(digests)
    assert sent.blobs == len(digests)
    assert len(sides.listed()) > 3
    assert sides.incoming().fetch(digests).blobs == len(digests)
    holds(LocalStore(sides.there.root), digests, contents)
    holds(sides.there, digests, contents)


def test_only_what_the_other_side_lacks_travels(sides: Sides) -> None:
    contents = blobs()
    digests = added(sides.here, *contents)
    sides.outgoing().send(digests[:-5])
    before = sides.listed()
    sent = sides.outgoing().send(digests)
    assert sent.blobs == 5
    assert sides.outgoing().send(digests) == Sent(0, 0)
    assert before < sides.listed()
    sides.incoming().fetch(digests[:-5])
    fetched = sides.incoming().fetch(digests)
    assert fetched.blobs == 5
    assert sides.incoming().fetch(digests) == incoming.Fetched(0, 0)


def test_a_later_version_of_a_file_sends_its_new_chunks_only(sides: Sides) -> None:
    first = random.Random(1).randbytes(100_000)
    second = first[:50_000] + b"a few new bytes" + first[50_000:]
    sides.outgoing().send(added(sides.here, first))
    digests = added(sides.here, second)
    sent = sides.outgoing().send(digests)
    assert sent.bytes < 20_000
    sides.incoming().fetch([hash_bytes(first)])
    assert sides.incoming().fetch(digests).bytes < 20_000
    holds(sides.there, digests, [second])


def test_packs_are_the_same_when_they_are_made_again(sides: Sides, tmp_path: Path) -> None:
    digests = added(sides.here, *blobs())
    sides.outgoing().send(digests)
    other = Sides(tmp_path / "other", FolderTransport(tmp_path / "other/remote"))
    added(other.here, *blobs())
    other.outgoing().send(digests)
    assert other.listed() == sides.listed()
    assert other.listed("index/") == sides.listed("index/")


def test_a_pack_that_is_wanted_whole_travels_as_it_is(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_writer, "PACK_BYTES", 20_000)
    contents = [random.Random(number).randbytes(1_500) for number in range(60)]
    digests = added(sides.here, *contents)
    packs = {path.relative_to(sides.here.root).as_posix() for path in sides.here.root.glob("packs/*/*")}
    damaged, *whole = sorted(packs)
    sides.outgoing().send(digests[:1])
    assert not sides.listed() & packs
    flip(sides.here.root / damaged, 5_000)
    with pytest.raises(IntegrityError):
        sides.outgoing().send(digests)
    assert len(sides.listed() & packs) >= len(whole) - 1
    assert damaged not in sides.listed()
    flip(sides.here.root / damaged, 5_000)
    sides.outgoing().send(digests)
    sides.incoming().fetch(digests)
    holds(sides.there, digests, contents)


class Breaks:
    """A transport that is cut off for good after so many files were created."""

    def __init__(self, sides: Sides, after: int) -> None:
        self._left = after
        self._inner = sides.transport

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def create(self, key: str, data: bytes) -> bool:
        return self._count(lambda: self._inner.create(key, data))

    def create_long(self, key: str, pieces: Pieces, size: int) -> bool:
        return self._count(lambda: self._inner.create_long(key, pieces, size))

    def _count(self, create: Callable[[], bool]) -> bool:
        if self._left <= 0:
            raise Unavailable("the line was cut", hint="")
        self._left -= 1
        return create()


@pytest.mark.parametrize("after", [0, 1, 2, 3, 4, 7, 10])
def test_an_interrupted_push_goes_on_where_it_stopped(sides: Sides, tmp_path: Path, after: int) -> None:
    contents = blobs()
    digests = added(sides.here, *contents)
    with pytest.raises(Unavailable):
        sides.outgoing(Breaks(sides, after)).send(digests)  # type: ignore[arg-type]  # by its names
    before = sides.listed()
    sides.outgoing().send(digests)
    whole = Sides(tmp_path / "whole", FolderTransport(tmp_path / "whole/remote"))
    added(whole.here, *contents)
    whole.outgoing().send(digests)
    assert before <= sides.listed() == whole.listed()
    sides.incoming().fetch(digests)
    holds(sides.there, digests, contents)


@pytest.mark.parametrize("after", [3, 10, 20])
def test_an_interrupted_pull_goes_on_where_it_stopped(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr(incoming, "WINDOW_BYTES", 4_000)
    contents = blobs()
    digests = added(sides.here, *contents)
    sides.outgoing().send(digests)
    cut = Flaky(sides.transport, 0, share=1e-9)
    real = cut.range

    def ranged(key: str, offset: int, length: int) -> bytes:
        cut.down = cut.down or (cut.calls > after and key.startswith("packs/"))
        return real(key, offset, length)

    monkeypatch.setattr(cut, "range", ranged)
    with pytest.raises(Unavailable):
        sides.incoming(cut).fetch(digests)
    left = sides.there.missing(digests)
    for digest in set(digests) - left:
        sides.there.verify(digest)
    assert sides.incoming().fetch(digests).blobs == len(left)
    holds(sides.there, digests, contents)


@pytest.mark.parametrize("kept_exactly", [False, True])
@pytest.mark.parametrize("size", [1_000, 60_000])
def test_what_is_damaged_here_is_never_sent(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, size: int, kept_exactly: bool
) -> None:
    monkeypatch.setattr(local_writer, "deserves_exact_file", lambda *_: kept_exactly)
    path = sides.folder / "file"
    path.write_bytes(os.urandom(size))
    with sides.here.writer() as writer:
        digest = writer.add_file(path).digest
        writer.commit()
    for place in sorted([*sides.here.root.glob("packs/*/*"), *sides.here.root.glob("blobs/*/*")]):
        flip(place, place.stat().st_size // 3)
    with pytest.raises(IntegrityError):
        sides.outgoing().send([digest])
    for key in sides.listed() | sides.listed("blobs/"):
        assert hash_bytes(sides.transport.read(key, bytes_max=1 << 20)).hex != digest.hex or size == 0
    assert digest not in set(_listed(sides))


def _listed(sides: Sides) -> list[Digest]:
    remote = sides.remote()
    remote.catalog.refresh()
    return [Digest(id_.hex()) for id_, place in remote.catalog.all() if place.kind != 2]


@pytest.mark.parametrize("what", ["packs", "index", "blobs"])
def test_what_is_damaged_there_never_becomes_visible_here(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(local_writer, "deserves_exact_file", lambda *_: True)
    path = sides.folder / "file"
    path.write_bytes(os.urandom(60_000))
    with sides.here.writer() as writer:
        digests = [writer.add_file(path).digest, *(writer.add_bytes(data).digest for data in blobs(3, 5))]
        writer.commit()
    sides.outgoing().send(digests)
    damaged = sorted((sides.folder / "remote" / what).rglob("*"))
    for place in damaged:
        if place.is_file():
            flip(place, place.stat().st_size // 2)
    with pytest.raises((IntegrityError, NotFound)):
        sides.incoming().fetch(digests)
    for digest in sides.there.digests():
        assert sides.there.verify(digest) >= 0


def test_a_damaged_index_file_is_exchanged_by_whoever_sends_the_same(sides: Sides) -> None:
    contents = blobs()
    digests = added(sides.here, *contents)
    sides.outgoing().send(digests)
    before = sides.listed("index/")
    for path in (sides.folder / "remote/index").iterdir():
        flip(path, path.stat().st_size // 2)
    sides.outgoing().send(digests)
    assert sides.listed("index/") == before
    sides.incoming().fetch(digests)
    holds(sides.there, digests, contents)


@pytest.mark.parametrize("size", [1_000, 60_000])
def test_what_a_pull_has_found_damaged_is_sent_again_from_there(sides: Sides, size: int) -> None:
    data = random.Random(size).randbytes(size)
    [digest] = added(sides.here, data)
    remote = sides.remote()
    outgoing.Outgoing(sides.here.root, remote).send([digest])
    spoilt = max((sides.folder / "remote/packs").glob("*/*"), key=lambda path: path.stat().st_size)
    for at in range(200, spoilt.stat().st_size // 2, 2_000):
        flip(spoilt, at)
    with pytest.raises(IntegrityError):
        incoming.Incoming(sides.there, remote).fetch([digest])
    assert outgoing.Outgoing(sides.here.root, remote).send([digest]).bytes > 0
    assert outgoing.Outgoing(sides.here.root, remote).send([digest]).bytes == 0
    sides.incoming().fetch([digest])
    holds(sides.there, [digest], [data])


def test_a_damaged_exact_file_is_put_together_from_chunks_that_stand_elsewhere(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(60_000)
    added(sides.here, data + b"sent in chunks before")
    sides.outgoing().send(list(sides.here.digests()))
    path = sides.folder / "file"
    path.write_bytes(data)
    monkeypatch.setattr(local_writer, "deserves_exact_file", lambda *_: True)
    with sides.there.writer() as writer:
        digest = writer.add_file(path).digest
        writer.commit()
    monkeypatch.setattr(outgoing, "_WHOLE_FROM", -1)
    outgoing.Outgoing(sides.there.root, sides.remote()).send([digest])
    [exact] = (sides.folder / "remote/blobs").glob("*/*")
    flip(exact, 30_000)
    third = LocalStore(sides.folder / "third")
    incoming.Incoming(third, sides.remote()).fetch([digest])
    holds(third, [digest], [data])


def test_a_chunk_that_is_damaged_here_is_fetched_though_it_seemed_to_be_known(sides: Sides) -> None:
    first = random.Random(1).randbytes(60_000)
    second = first + b"a few new bytes"
    sides.outgoing().send(added(sides.here, first, second))
    added(sides.there, first)
    flip(max(sides.there.root.glob("packs/*/*"), key=lambda path: path.stat().st_size), 10_000)
    sides.incoming().fetch([hash_bytes(second)])
    holds(sides.there, [hash_bytes(first), hash_bytes(second)], [first, second])
    assert not (sides.there.root / "damaged").exists() or not list((sides.there.root / "damaged").iterdir())


def kept_twice(sides: Sides, monkeypatch: pytest.MonkeyPatch, data: bytes) -> tuple[Digest, Path]:
    """A blob here, in chunks and as an exact file; where the latter is."""
    added(sides.here, data)
    path = sides.folder / "file"
    path.write_bytes(data)
    with monkeypatch.context() as patched, sides.here.writer() as writer:
        patched.setattr(local_writer, "deserves_exact_file", lambda *_: True)
        digest = writer.add_file(path).digest
        writer.commit()
    [exact] = sides.here.root.glob("blobs/*/*")
    return digest, exact


def test_a_blob_whose_exact_file_is_damaged_here_is_sent_in_chunks(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(60_000)
    digest, exact = kept_twice(sides, monkeypatch, data)
    flip(exact, 30_000)
    sides.outgoing().send([digest])
    assert sides.listed("blobs/") == set()
    sides.incoming().fetch([digest])
    holds(sides.there, [digest], [data])


def test_nothing_is_taken_from_a_remote_for_what_is_damaged_here(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    digest, exact = kept_twice(sides, monkeypatch, os.urandom(60_000))
    sides.outgoing().send([digest])
    [there] = (sides.folder / "remote/blobs").glob("*/*")
    flip(exact, 30_000)
    flip(there, 40_000)
    for path in (sides.folder / "remote/index").iterdir():
        path.unlink()
    sides.outgoing().send([digest])
    assert there.exists()


def test_an_exact_file_that_no_index_lists_is_sent_where_the_chunks_are_damaged(sides: Sides) -> None:
    data = os.urandom(60_000)
    [digest] = added(sides.here, data)
    exact = sides.here.root / "blobs" / digest.hex[:2] / digest.hex
    exact.parent.mkdir(parents=True)
    exact.write_bytes(data)
    flip(max(sides.here.root.glob("packs/*/*"), key=lambda path: path.stat().st_size), 30_000)
    holds(LocalStore(sides.here.root), [digest], [data])
    sides.outgoing().send([digest])
    sides.incoming().fetch([digest])
    holds(sides.there, [digest], [data])


def test_a_pull_into_a_store_whose_index_is_lost_leaves_everything_to_be_found(sides: Sides) -> None:
    before, contents = added(sides.there, b"from before"), blobs()
    digests = added(sides.here, *contents)
    sides.outgoing().send(digests)
    for path in (sides.there.root / "index").iterdir():
        path.unlink()
    sides.incoming().fetch(digests)
    assert LocalStore(sides.there.root).missing([*before, *digests]) == set()


def test_a_recipe_that_puts_together_something_else_is_refused(sides: Sides) -> None:
    [digest] = added(sides.here, os.urandom(10_000))
    spoil(sides.here, digest, os.urandom(10_000))
    sides.outgoing().send([digest])
    with pytest.raises(IntegrityError):
        sides.incoming().fetch([digest])
    assert not sides.there.has(digest)


def test_a_row_that_asks_for_too_much_memory_does_not_count(sides: Sides) -> None:
    [digest] = added(sides.here, b"small")
    sides.outgoing().send([digest])
    id_, [segment] = bytes.fromhex(digest.hex), _segments(sides)
    for length, stored in ((1 << 40, 10), (5 << 20, 10)):
        data = index_bytes([segment], [row_bytes(Record(100, BLOB, 1, length, stored, id_), 0)])
        for key in sides.listed("index/"):
            sides.transport.remove(key)
        sides.transport.create(f"index/{blake3(data).hexdigest()}", data)
        with pytest.raises(NotFound):
            sides.incoming().fetch([digest])


def _segments(sides: Sides) -> list[Segment]:
    remote = sides.remote()
    remote.catalog.refresh()
    return [segment for file in remote.catalog.files.values() for segment in file.segments]


def test_a_pack_that_was_lost_there_is_sent_again(sides: Sides) -> None:
    contents = blobs()
    digests = added(sides.here, *contents)
    sides.outgoing().send(digests)
    lost, cut, *_ = sorted((sides.folder / "remote/packs").glob("*/*"))
    lost.unlink()
    cut.chmod(0o644)
    cut.write_bytes(cut.read_bytes()[:-1])
    with pytest.raises(NotFound):
        sides.incoming().fetch(digests)
    sides.outgoing().send(digests)
    sides.incoming().fetch(digests)
    holds(sides.there, digests, contents)


def test_a_large_file_travels_as_it_is(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_writer, "deserves_exact_file", lambda *_: True)
    path = sides.folder / "file"
    path.write_bytes(os.urandom(100_000))
    with sides.here.writer() as writer:
        digest = writer.add_file(path).digest
        writer.commit()
    sides.outgoing().send([digest])
    assert sides.listed("blobs/") == {f"blobs/{digest.hex[:2]}/{digest.hex}"}
    sides.incoming().fetch([digest])
    exact = sides.there.exact(digest)
    assert exact is not None
    assert exact.read_bytes() == path.read_bytes()


def test_an_exact_file_comes_together_with_the_recipe_that_says_what_is_in_it(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_writer, "deserves_exact_file", lambda *_: True)
    path = sides.folder / "file"
    path.write_bytes(os.urandom(60_000))
    with sides.here.writer() as writer:
        digests = [writer.add_file(path).digest, writer.add_bytes(b"something more").digest]
        writer.commit()
    sides.outgoing().send(digests)
    real = intake.Intake.commit

    def once(writer: intake.Intake) -> None:
        real(writer)
        raise Unavailable("the line was cut", hint="")

    monkeypatch.setattr(intake.Intake, "commit", once)
    with pytest.raises(Unavailable):
        sides.incoming().fetch(digests)
    assert {RECIPE, CHUNK} == {place.kind for _, place in IndexFile(rebuilt_index(Layout(sides.there.root)).data).all()}


def test_a_store_of_single_files_is_sent_too(sides: Sides, tmp_path: Path) -> None:
    contents = [b"", b"small", os.urandom(5_000_000)]
    root = tmp_path / "old"
    (root / "blobs").mkdir(parents=True)
    (root / "config.json").write_text('{"format":"holdfast.store","layout":"files","version":"1.0"}\n')
    for data in contents:
        hex_ = hash_bytes(data).hex
        (root / f"blobs/{hex_[:2]}").mkdir(exist_ok=True)
        (root / f"blobs/{hex_[:2]}/{hex_}").write_bytes(data)
    digests = [hash_bytes(data) for data in contents]
    outgoing.Outgoing(root, sides.remote()).send(digests)
    sides.incoming().fetch(digests)
    for digest, data in zip(digests, contents, strict=True):
        assert sides.there.read(digest, bytes_max=len(data)) == data


def test_what_nobody_has_is_not_found(sides: Sides) -> None:
    sides.outgoing().send(added(sides.here, b"something"))
    with pytest.raises(NotFound) as caught:
        sides.outgoing().send([hash_bytes(b"nothing")])
    assert caught.value.details["digest"] == str(hash_bytes(b"nothing"))
    with pytest.raises(NotFound) as caught:
        sides.incoming().fetch([hash_bytes(b"nothing")])
    assert caught.value.details["digest"] == str(hash_bytes(b"nothing"))


def test_many_may_push_at_once(sides: Sides, tmp_path: Path) -> None:
    contents = blobs()
    everyone = [Sides(tmp_path / f"side-{number}", sides.transport) for number in range(4)]
    shares = [contents[number * 10 : number * 10 + 30] for number in range(4)]

    def work(number: int) -> list[Digest]:
        digests = added(everyone[number].here, *shares[number])
        everyone[number].outgoing().send(digests)
        return digests

    with ThreadPoolExecutor(4) as pool:
        pushed = list(pool.map(work, range(4)))
    for digests, share in zip(pushed, shares, strict=True):
        sides.incoming().fetch(digests)
        holds(sides.there, digests, share)


def test_progress_goes_up_to_the_end(sides: Sides) -> None:
    contents = blobs()
    digests = added(sides.here, *contents)
    total = sum(map(len, contents))
    told: list[tuple[int, int]] = []
    sides.outgoing().send(digests, lambda done, all_: told.append((done, all_)))
    assert told == sorted(told)
    assert told[-1] == (total, total)
    told.clear()
    sides.incoming().fetch(digests, lambda done, all_: told.append((done, all_)))
    assert told == sorted(told)
    assert told[-1][1] == total


@pytest.mark.parametrize("seed", range(6))
def test_a_bad_line_changes_nothing_but_the_time(sides: Sides, seed: int) -> None:
    contents = blobs(seed, 40)
    digests = added(sides.here, *contents)
    pauses: list[float] = []
    flaky = Flaky(sides.transport, seed)
    sides.outgoing(Persistent(flaky, pauses.append)).send(digests)
    sides.incoming(Persistent(flaky, pauses.append)).fetch(digests)
    holds(sides.there, digests, contents)
    assert flaky.failures > 3
    assert len(pauses) == flaky.failures


def test_a_line_that_is_dead_is_told_of_and_leaves_what_was_there(sides: Sides) -> None:
    digests = added(sides.here, *blobs())
    flaky = Flaky(sides.transport, 1)
    flaky.down = True
    pauses: list[float] = []
    for attempt in (sides.outgoing(Persistent(flaky, pauses.append)), sides.incoming(Persistent(flaky, pauses.append))):
        calls: list[Callable[[], object]] = [
            lambda: attempt.send(digests) if isinstance(attempt, outgoing.Outgoing) else attempt.fetch(digests)  # noqa: B023
        ]
        for call in calls:
            with pytest.raises(HoldfastError) as caught:
                call()
            assert caught.value.code == "unavailable"
            assert caught.value.hint
    assert len(pauses) == 2 * (ATTEMPTS_MAX - 1)
    assert list(sides.there.digests()) == []
