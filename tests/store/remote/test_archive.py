"""Archives: weights that rest on others, as small as they get, and whole again wherever they are read."""

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from blake3 import blake3

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import IntegrityError, NotFound, Unavailable, UnsupportedFormat
from holdfast.store import layout, local_writer
from holdfast.store.codec import base_of, needs_base
from holdfast.store.cut import Cutting, Sizes
from holdfast.store.index import PACK, Place, Segment, index_bytes, row_bytes
from holdfast.store.local import LocalStore
from holdfast.store.pack import CHUNK, HEADER_BYTES, PACK_START, RECIPE, Record, directory, header
from holdfast.store.remote import archiving, incoming, intake, outgoing, reading
from holdfast.store.remote.direct import RemoteStore
from holdfast.store.remote.folder import FolderTransport
from holdfast.store.remote.persistent import Persistent
from holdfast.store.remote.remote import Remote, segment_key
from holdfast.store.remote.sending import Sent
from holdfast.store.remote.transport import Pieces, Transport
from tests.flaky import Flaky
from tests.store.remote.conftest import Sides
from tests.store.remote.families import added, chunk_rows, family, file_of, resting, tuned, weights
from tests.store.spoiling import flip, wipe

FINE = Cutting(large_bytes_min=2_000, plain=Sizes(64, 256, 1024), text=Sizes(64, 256, 1024), tensor_stride=4_096)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs, batches and windows of kilobytes, so that a few models fill many."""
    monkeypatch.setattr(layout, "CUTTING", FINE)
    monkeypatch.setattr(outgoing, "PACK_BYTES", 40_000)
    monkeypatch.setattr(intake, "PACK_BYTES", 40_000)
    monkeypatch.setattr(outgoing, "_BATCH_RECORDS", 3)
    monkeypatch.setattr(reading, "_RESTING_BYTES_MAX", 30_000)


def archived(sides: Sides, *contents: bytes) -> list[Digest]:
    digests = added(sides.here, *contents)
    sides.outgoing().send(digests, bases={})
    return digests


def is_whole(store: LocalStore, digests: list[Digest], contents: list[bytes]) -> None:
    """Bit by bit, with a check that finds nothing, and nothing that rests on a base."""
    for opened in (store, LocalStore(store.root)):
        for digest, data in zip(digests, contents, strict=True):
            assert opened.read(digest, bytes_max=1 << 20) == data
        assert opened.check().ok
        assert not [place for _, place in opened._catalog.all() if needs_base(place.codec)]


def stored(sides: Sides) -> int:
    return sum(one.size for one in sides.transport.list("packs/"))


def direct(sides: Sides, transport: Transport | None = None) -> RemoteStore:
    return RemoteStore(sides.remote(transport), cache_bytes_max=1 << 20)


# What is sent


@pytest.mark.thorough
def test_a_family_takes_little_more_than_its_base_and_comes_back_bit_by_bit(sides: Sides, tmp_path: Path) -> None:
    contents = family(1, 5)
    digests = archived(sides, *contents)
    plain = Sides(tmp_path / "plain", FolderTransport(tmp_path / "plain/remote"))
    added(plain.here, *contents)
    plain.outgoing().send(digests)
    assert stored(sides) < 0.6 * stored(plain)
    assert not resting(plain.remote())
    sides.incoming().fetch(digests)
    is_whole(sides.there, digests, contents)


def test_what_rests_on_a_base_rests_on_one_that_rests_on_nothing(sides: Sides) -> None:
    archived(sides, *family(1, 4))
    remote = sides.remote()
    rows = resting(remote)
    alone = {id_ for id_, place in chunk_rows(remote) if not needs_base(place.codec)}
    assert len(rows) > 20
    for id_, place in rows:
        base = base_of(place.codec, _stored(sides, place))
        assert base is not None
        assert base in alone
        assert base != id_


def _stored(sides: Sides, place: Place) -> bytes:
    return sides.transport.range(segment_key(place.segment), place.offset, place.stored)


def test_a_base_that_was_archived_before_is_found_where_the_caller_names_it(sides: Sides) -> None:
    base, one, other = family(1, 3)
    [first] = archived(sides, base)
    digests = added(sides.here, one, other)
    sides.outgoing().send(digests[:1], bases={})
    assert not resting(sides.remote())
    sides.outgoing().send(digests[1:], bases={digests[1]: [hash_bytes(b"nobody has this"), digests[0], first]})
    assert resting(sides.remote())
    sides.incoming().fetch(digests)
    is_whole(sides.there, digests, [one, other])


def test_a_base_that_is_only_in_the_archive_by_now_serves_as_well(sides: Sides, tmp_path: Path) -> None:
    base, one = family(1, 2)
    [first] = archived(sides, base)
    later = Sides(tmp_path / "later", sides.transport)
    [digest] = added(later.here, one)
    later.outgoing().send([digest], bases={digest: [first]})
    assert len(resting(sides.remote())) > 10
    later.incoming().fetch([digest])
    is_whole(later.there, [digest], [one])


def test_what_was_archived_before_serves_a_shipment_that_names_it_again(sides: Sides) -> None:
    base, one = family(1, 2)
    archived(sides, base)
    archived(sides, base, one)
    assert len(resting(sides.remote())) > 10


def test_a_base_may_stand_in_the_same_file_elsewhere(sides: Sides) -> None:
    data = weights(1)
    contents = [file_of({"w": data}), file_of({"w": tuned(data, 2), "of the base": data})]
    digests = archived(sides, *contents)
    assert resting(sides.remote())
    sides.incoming().fetch(digests)
    is_whole(sides.there, digests, contents)


@pytest.mark.parametrize("after", range(7))
def test_the_same_packs_are_made_where_a_base_leaves_with_the_file_itself(
    sides: Sides, tmp_path: Path, after: int
) -> None:
    """The base is named, but only this file brings it: whether it is there by now must make no difference."""
    data = [weights(seed) for seed in range(4)]
    base = file_of({f"w{number}": one for number, one in enumerate(data)})
    child = {f"of the base {number}": one for number, one in enumerate(data)}
    child |= {f"w{number}": tuned(one, 9) for number, one in enumerate(data)}
    named, digest = added(sides.here, base, file_of(child))
    with contextlib.suppress(Unavailable):
        sides.outgoing(Breaks(sides.transport, after)).send([digest], bases={digest: [named]})  # type: ignore[arg-type]
    sides.outgoing().send([digest], bases={digest: [named]})
    whole = Sides(tmp_path / "whole", FolderTransport(tmp_path / "whole/remote"))
    added(whole.here, base, file_of(child))
    whole.outgoing().send([digest], bases={digest: [named]})
    assert sides.listed() == whole.listed()


def test_of_several_bases_the_nearest_is_taken(sides: Sides) -> None:
    base = weights(1)
    far, near = tuned(tuned(tuned(base, 2), 3), 4), base
    files = [file_of({"w": data}) for data in (weights(9), far, near, tuned(base, 5))]
    *others, last = added(sides.here, *files)
    for one in others:
        sides.outgoing().send([one], bases={})
    assert not resting(sides.remote())
    sides.outgoing().send([last], bases={last: others})
    used = {base_of(place.codec, _stored(sides, place)) for _, place in resting(sides.remote())}
    assert used
    assert used <= {id_ for id_, _ in _chunks(sides, others[2])}


def _chunks(sides: Sides, digest: Digest) -> list[tuple[bytes, int]]:
    return sides.outgoing()._known.chunks(digest)


def test_what_gains_nothing_by_a_base_is_stored_by_itself_and_serves_the_next(sides: Sides) -> None:
    strangers = [file_of({"w": weights(seed)}) for seed in (1, 2)]
    child = file_of({"w": tuned(weights(2), 3)})
    digests = archived(sides, *strangers, child)
    bases = {base_of(place.codec, _stored(sides, place)) for _, place in resting(sides.remote())}
    assert bases
    assert bases <= {id_ for id_, _ in _chunks(sides, digests[1])}


@pytest.mark.parametrize(("dtype", "width"), [("U8", 1), ("BF16", 2), ("F32", 4), ("I64", 8)])
def test_numbers_of_every_width_rest_on_a_base(sides: Sides, dtype: str, width: int) -> None:
    contents = [file_of({"w": data}, dtype, width) for data in (weights(1), tuned(weights(1), 2))]
    digests = archived(sides, *contents)
    assert {place.codec for _, place in resting(sides.remote())} <= {16 + width, 17}
    assert resting(sides.remote())
    sides.incoming().fetch(digests)
    is_whole(sides.there, digests, contents)


def test_tensors_are_told_by_name_type_and_shape(sides: Sides) -> None:
    data = weights(1)
    archived(sides, file_of({"w": data}))
    for other in (file_of({"v": tuned(data, 2)}), file_of({"w": tuned(data, 3)}, "F16"), file_of({"w": data[:-2]})):
        archived(sides, other)
    assert not resting(sides.remote())


def test_small_blobs_and_text_are_archived_too(sides: Sides) -> None:
    text = b"".join(b"%d,%d\n" % (number, number * number) for number in range(3000))
    contents = [b"", b"small", text, text[:900]]
    digests = archived(sides, *contents)
    sides.incoming().fetch(digests)
    is_whole(sides.there, digests, contents)


def test_an_exact_file_is_archived_in_planes(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_writer, "deserves_exact_file", lambda *_: True)
    path = sides.folder / "file"
    path.write_bytes(family(1, 1)[0])
    with sides.here.writer() as writer:
        digest = writer.add_file(path).digest
        writer.commit()
    sides.outgoing().send([digest], bases={})
    assert not sides.listed("blobs/")
    assert stored(sides) < 0.8 * path.stat().st_size
    sides.incoming().fetch([digest])
    is_whole(sides.there, [digest], [path.read_bytes()])


def test_what_is_packed_wrongly_is_never_sent(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiving, "pack_bytes", lambda data, *_, **__: (0, bytes(len(data))))
    with pytest.raises(IntegrityError):
        archived(sides, *family(1, 2))
    assert not sides.listed()


class Recording:
    """Remembers what is created through it."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.keys: set[str] = set()

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def create_long(self, key: str, pieces: Pieces, size: int) -> bool:
        self.keys.add(key)
        return self._inner.create_long(key, pieces, size)


@pytest.mark.parametrize("bases", [None, {}])
def test_data_goes_where_it_is_cold_and_recipes_stay_at_hand(sides: Sides, bases: dict[Digest, list[Digest]]) -> None:
    cold = Recording(sides.transport)
    remote = Remote(sides.transport, sides.folder / "cache", cold)  # type: ignore[arg-type]  # by its names
    digests = added(sides.here, *family(1, 2), b"small")
    outgoing.Outgoing(sides.here.root, remote).send(digests, bases=bases)
    rows = list(remote.catalog.all())
    data = {segment_key(place.segment) for _, place in rows if place.kind != RECIPE}
    recipes = {segment_key(place.segment) for _, place in rows if place.kind == RECIPE}
    assert recipes
    assert cold.keys == data
    assert not data & recipes


# What is an archive


def test_a_remote_that_others_read_as_an_ordinary_one_stays_one(sides: Sides) -> None:
    base, one = family(1, 2)
    sides.outgoing().send(added(sides.here, base))
    digests = archived(sides, one)
    assert not sides.remote().is_archive()
    assert not resting(sides.remote())
    sides.incoming().fetch(digests)
    is_whole(sides.there, digests, [one])


def test_an_archive_takes_what_is_pushed_to_it(sides: Sides) -> None:
    base, one = family(1, 2)
    archived(sides, base)
    assert sides.remote().is_archive()
    digests = added(sides.here, one)
    sides.outgoing().send(digests)
    assert not resting(sides.remote())
    with direct(sides).writer() as writer:
        digests.append(writer.add_bytes(b"directly").digest)
        writer.commit()
    sides.incoming().fetch(digests)
    is_whole(sides.there, digests, [one, b"directly"])


def test_an_archive_is_no_local_store(sides: Sides) -> None:
    archived(sides, *family(1, 2))
    before = sorted(path for path in (sides.folder / "remote").rglob("*"))
    with pytest.raises(UnsupportedFormat) as caught:
        LocalStore(sides.folder / "remote")
    assert "archive" in caught.value.message
    assert sorted(path for path in (sides.folder / "remote").rglob("*")) == before


@pytest.mark.parametrize(("before", "after"), [(b'"3.0"', b'"4.0"'), (b'"archive"', b'"vault"')])
def test_a_remote_of_tomorrow_is_refused_before_anything_is_read(sides: Sides, before: bytes, after: bytes) -> None:
    digests = archived(sides, *family(1, 2))
    path = sides.folder / "remote/config.json"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(before, after))
    with pytest.raises(UnsupportedFormat):
        sides.incoming().fetch(digests)
    with pytest.raises(UnsupportedFormat):
        sides.outgoing().send(digests, bases={})
    assert list(sides.there.digests()) == []


# How it is read


def test_a_store_directly_on_an_archive_reads_and_checks_it(sides: Sides) -> None:
    contents = family(1, 3)
    digests = archived(sides, *contents)
    store = direct(sides)
    for digest, data in zip(digests, contents, strict=True):
        assert store.read(digest, bytes_max=1 << 20) == data
    with store.open(digests[2]) as handle:
        handle.seek(50_000)
        assert handle.read(10) == contents[2][50_000:50_010]
    assert store.check().ok


def test_one_of_a_family_brings_nothing_of_its_base_but_what_they_share(sides: Sides) -> None:
    contents = family(1, 3)
    digests = archived(sides, *contents)
    sides.incoming().fetch(digests[2:])
    is_whole(sides.there, digests[2:], contents[2:])
    assert sides.there.missing(digests) == set(digests[:2])


def test_bases_are_asked_for_in_few_requests_and_only_where_they_are_not_here(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_RESTING_BYTES_MAX", 16 << 20)
    monkeypatch.setattr(intake, "PACK_BYTES", 1 << 20)
    contents = family(1, 2)
    digests = archived(sides, *contents)
    records = len(resting(sides.remote()))
    counted = Counting(sides.transport)
    apart = sides.incoming(counted).fetch(digests[1:])  # type: ignore[arg-type]  # by its names
    assert records > 20
    assert counted.ranges < 15
    other = LocalStore(sides.folder / "other")
    together = incoming.Incoming(other, sides.remote()).fetch(digests)
    only_base = incoming.Incoming(LocalStore(sides.folder / "third"), sides.remote()).fetch(digests[:1])
    assert together.bytes - only_base.bytes < apart.bytes / 1.5
    is_whole(other, digests, contents)


class Counting:
    """Counts the ranges of packs that are asked for."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.ranges = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def range(self, key: str, offset: int, length: int) -> bytes:
        self.ranges += key.startswith("packs/")
        return self._inner.range(key, offset, length)


# What can go wrong


def bases_of(sides: Sides, digest: Digest) -> set[bytes]:
    """The chunks that chunks of a blob rest on."""
    own = {id_ for id_, _ in _chunks(sides, digest)}
    found = {base_of(place.codec, _stored(sides, place)) for id_, place in resting(sides.remote()) if id_ in own}
    return {base for base in found if base is not None}


def spoil_base(sides: Sides, digest: Digest) -> bytes:
    """Wipe one chunk that the blob rests on."""
    base = min(bases_of(sides, digest))
    remote = sides.remote()
    remote.catalog.refresh()
    for place in remote.catalog.places(base):
        wipe(sides.folder / "remote" / segment_key(place.segment), place.offset, place.stored)
    return base


def test_a_damaged_base_is_damage_of_what_rests_on_it_and_is_named(sides: Sides) -> None:
    digests = archived(sides, *family(1, 2), b"something else")
    base = spoil_base(sides, digests[1])
    for digest in digests[:2]:
        with pytest.raises(IntegrityError) as caught:
            sides.incoming().fetch([digest])
        assert digest == digests[0] or f"its base b3:{base.hex()}" in caught.value.message
        assert not sides.there.has(digest)
    store = direct(sides)
    with pytest.raises(IntegrityError) as caught:
        store.read(digests[1], bytes_max=1 << 20)
    assert f"its base b3:{base.hex()}" in caught.value.message
    checked = {damage.digest: damage.found for damage in direct(sides).check().damaged}
    assert set(checked) == set(digests[:2])
    assert f"its base b3:{base.hex()}" in checked[digests[1]]
    sides.incoming().fetch(digests[2:])
    assert sides.there.check().ok


def test_a_base_that_is_here_makes_up_for_one_that_is_damaged_there(sides: Sides) -> None:
    contents = family(1, 2)
    digests = archived(sides, *contents)
    sides.incoming().fetch(digests[:1])
    spoil_base(sides, digests[1])
    sides.incoming().fetch(digests)
    is_whole(sides.there, digests, contents)


def test_a_base_in_another_place_makes_up_for_one_that_is_damaged(sides: Sides) -> None:
    contents = family(1, 2)
    digests = archived(sides, *contents)
    remote = sides.remote()
    remote.catalog.refresh()
    copies = [(base, place) for base in bases_of(sides, digests[1]) for place in remote.catalog.places(base)]
    whole = [(base, place.codec, place.length, _stored(sides, place)) for base, place in copies]
    spoil_base(sides, digests[1])
    write_pack(sides, whole)
    sides.incoming().fetch(digests)
    is_whole(sides.there, digests, contents)
    assert direct(sides).check().ok


def write_pack(sides: Sides, records: list[tuple[bytes, int, int, bytes]]) -> Segment:
    """A pack of chunks in the remote, each an id, a codec, a length and stored bytes, with its index."""
    body, listed = PACK_START, []
    for id_, codec, length, data in records:
        record = Record(len(body) + HEADER_BYTES, CHUNK, codec, length, len(data), id_)
        body += header(record) + data
        listed.append(record)
    body += directory(listed, len(body))
    segment = Segment(PACK, blake3(body).hexdigest(), len(body))
    sides.transport.create(segment_key(segment), body)
    index = index_bytes([segment], [row_bytes(record, 0) for record in listed])
    sides.transport.create(f"index/{blake3(index).hexdigest()}", index)
    return segment


@pytest.mark.thorough
def test_a_lost_base_is_named_and_the_next_archiver_sends_it_or_does_without(sides: Sides) -> None:
    contents = family(1, 3)
    [first] = archived(sides, contents[0])
    digests = added(sides.here, *contents)
    sides.outgoing().send(digests, bases={digests[1]: [first], digests[2]: [first]})
    remote = sides.remote()
    remote.catalog.refresh()
    own = {place.segment for id_, _ in _chunks(sides, digests[2]) for place in remote.catalog.places(id_)}
    bases = {place.segment for base in bases_of(sides, digests[2]) for place in remote.catalog.places(base)}
    (sides.folder / "remote" / segment_key(min(bases - own))).unlink()
    with pytest.raises(IntegrityError) as caught:
        sides.incoming().fetch(digests[2:])
    assert "its base b3:" in caught.value.message
    assert digests[2] in direct(sides).missing(digests)
    assert sides.outgoing().send(digests[2:], bases={}).blobs == 1
    assert digests[2] not in direct(sides).missing(digests)
    sides.incoming().fetch(digests[2:])
    is_whole(sides.there, digests[2:], contents[2:])
    sides.outgoing().send(digests, bases={})
    sides.incoming().fetch(digests)
    is_whole(sides.there, digests, contents)


def test_a_chain_of_bases_is_not_followed(sides: Sides) -> None:
    """A record that says it rests on one that rests on another is damaged, however often it comes round."""
    digests = archived(sides, *family(1, 2))
    remote = sides.remote()
    rows = resting(remote)
    for _, place in chunk_rows(remote):
        if not needs_base(place.codec):
            wipe(sides.folder / "remote" / segment_key(place.segment), place.offset, place.stored)
    for id_, place in rows:
        stored = _stored(sides, place)
        base = base_of(place.codec, stored)
        assert base is not None
        # What differs is the same from either side: with the one whole, this would be true.
        write_pack(sides, [(base, place.codec, place.length, id_ + stored[32:])])
    for digest in digests:
        with pytest.raises(IntegrityError):
            sides.incoming().fetch([digest])
        with pytest.raises(IntegrityError):
            direct(sides).read(digest, bytes_max=1 << 20)


def test_a_record_on_a_base_of_another_length_is_damaged(sides: Sides) -> None:
    [digest] = archived(sides, file_of({"w": weights(1)}))
    remote = sides.remote()
    short = min((place.length, id_) for id_, place in chunk_rows(remote))[1]
    [(id_, length), *_] = [one for one in _chunks(sides, digest) if one[0] != short and one[1] == 4_096]
    for _, place in [row for row in chunk_rows(remote) if row[0] == id_]:
        wipe(sides.folder / "remote" / segment_key(place.segment), place.offset, place.stored)
    write_pack(sides, [(id_, 18, length, short + b"no frame")])
    with pytest.raises(IntegrityError):
        sides.incoming().fetch([digest])
    with pytest.raises(IntegrityError):
        direct(sides).read(digest, bytes_max=1 << 20)


# Interruptions, and others at work


class Breaks:
    """A transport that is cut off for good after so many files were created."""

    def __init__(self, inner: Transport, after: int) -> None:
        self._left = after
        self._inner = inner

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


@pytest.mark.thorough
@pytest.mark.parametrize("after", [0, 1, 2, 3, 4, 6, 8, 11])
def test_an_interrupted_archiver_goes_on_where_it_stopped_with_the_same_packs(
    sides: Sides, tmp_path: Path, after: int
) -> None:
    contents = [*family(1, 3), *family(2, 2), b"small"]
    digests = added(sides.here, *contents)
    with pytest.raises(Unavailable):
        sides.outgoing(Breaks(sides.transport, after)).send(digests, bases={})  # type: ignore[arg-type]  # by its names
    before = sides.listed()
    sides.outgoing().send(digests, bases={})
    whole = Sides(tmp_path / "whole", FolderTransport(tmp_path / "whole/remote"))
    added(whole.here, *contents)
    whole.outgoing().send(digests, bases={})
    assert before <= sides.listed() == whole.listed()
    assert sides.outgoing().send(digests, bases={}) == Sent(0, 0)
    sides.incoming().fetch(digests)
    is_whole(sides.there, digests, contents)


@pytest.mark.thorough
def test_two_archivers_at_once_leave_an_archive_that_is_whole(sides: Sides, tmp_path: Path) -> None:
    contents = family(1, 6)
    shares = [contents[:4], [contents[0], *contents[3:]], contents[::-1]]
    everyone = [Sides(tmp_path / f"side-{number}", sides.transport) for number in range(3)]

    def work(number: int) -> list[Digest]:
        digests = added(everyone[number].here, *shares[number])
        everyone[number].outgoing().send(digests, bases={})
        return digests

    with ThreadPoolExecutor(3) as pool:
        archives = list(pool.map(work, range(3)))
    for digests, share in zip(archives, shares, strict=True):
        sides.incoming().fetch(digests)
        is_whole(sides.there, digests, share)
    assert direct(sides).check().ok


def test_a_bad_line_changes_nothing_but_the_time(sides: Sides) -> None:
    contents = family(1, 3)
    digests = added(sides.here, *contents)
    pauses: list[float] = []
    flaky = Flaky(sides.transport, 4)
    sides.outgoing(Persistent(flaky, pauses.append)).send(digests, bases={})
    sides.incoming(Persistent(flaky, pauses.append)).fetch(digests)
    is_whole(sides.there, digests, contents)
    assert flaky.failures > 3


def test_what_is_damaged_here_is_not_archived(sides: Sides) -> None:
    digests = added(sides.here, *family(1, 2))
    for path in (sides.here.root / "packs").glob("*/*"):
        flip(path, path.stat().st_size // 3)
    with pytest.raises((IntegrityError, NotFound)):
        sides.outgoing().send(digests, bases={})
    remote = sides.remote()
    remote.catalog.refresh()
    assert not {id_ for id_, _ in remote.catalog.all()} & {bytes.fromhex(one.hex) for one in digests}
