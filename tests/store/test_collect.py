"""Deleting: what is needed stays byte for byte, whatever happens; what nothing needs goes, but not at once."""

import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import HoldfastError, IntegrityError, NotFound, Unavailable
from holdfast.store import layout, local_writer
from holdfast.store.collect import claimed, collect, plan_collection
from holdfast.store.condemned import read_condemned
from holdfast.store.index import IndexFile
from holdfast.store.layout import Layout
from holdfast.store.local import LocalStore
from holdfast.store.turns import alone, sole_collector, undisturbed
from tests.effort import examples
from tests.store.collecting import DAY, LONG_AGO, NOW, age, plan_for, put, run, run_twice
from tests.store.faults import Failing, fail
from tests.store.fine import FINE
from tests.store.looking import exact_files, files, index_files, names, packs
from tests.store.spoiling import flip

HOUR = timedelta(hours=1)


def noise(seed: int, size: int) -> bytes:
    return Random(seed).randbytes(size)


def holds(root: Path, digest: Digest, data: bytes) -> bool:
    return LocalStore(root).read(digest, bytes_max=len(data)) == data


def condemned(root: Path) -> set[str]:
    return {segment.name for segment in read_condemned(Layout(root))[0]}


# What goes and what stays


def test_nothing_goes_before_it_was_condemned_for_a_day(root: Path) -> None:
    store = LocalStore(root)
    (dead,) = put(store, b"dead")
    (live,) = put(store, b"live")
    age(root)
    first = run(root, [live])
    assert (first.deleted, len(first.condemned)) == ((), 1)
    assert holds(root, dead, b"dead")
    assert run(root, [live], NOW + DAY - HOUR).deleted == ()
    last = run(root, [live], NOW + DAY)
    assert [segment.name for segment in last.deleted] == [first.condemned[0].name]
    assert last.bytes_freed == first.condemned[0].size
    with pytest.raises(NotFound):
        LocalStore(root).read(dead, bytes_max=100)
    assert holds(root, live, b"live")
    assert condemned(root) == set()


def test_what_is_young_is_not_condemned(root: Path) -> None:
    put(LocalStore(root), b"somebody may name this tomorrow")
    age(root, NOW - timedelta(days=29))
    assert run(root, []).condemned == ()
    plan = plan_for(root, [])
    assert (plan.doomed, plan.recent_bytes > 0) == ((), True)


def test_what_is_needed_again_is_pardoned(root: Path) -> None:
    (digest,) = put(LocalStore(root), b"back again")
    age(root)
    run(root, [])
    assert condemned(root)
    plan = plan_for(root, [digest], NOW + DAY)
    assert len(plan.pardoned) == 1
    assert collect(root, plan).deleted == ()
    assert condemned(root) == set()
    # A second sentence begins anew.
    assert run(root, [], NOW + 2 * DAY).deleted == ()
    assert holds(root, digest, b"back again")


def test_the_time_of_a_sentence_outlives_those_that_come_later(root: Path) -> None:
    store = LocalStore(root)
    put(store, b"one")
    age(root)
    run(root, [])
    (later,) = put(store, b"two")
    age(root)
    run(root, [], NOW + 12 * HOUR)
    assert len(run(root, [], NOW + DAY).deleted) == 1
    assert holds(root, later, b"two")
    assert len(run(root, [], NOW + DAY + 12 * HOUR).deleted) == 1


def test_what_lives_in_a_pack_that_is_mostly_dead_moves(root: Path) -> None:
    store = LocalStore(root)
    contents = [noise(seed, 5000) for seed in range(10)]
    digests = put(store, *contents)
    age(root)
    (old,) = packs(root)
    done = run_twice(root, digests[:3])
    assert [segment.name for segment in done.deleted] == [old.name]
    assert done.bytes_rewritten == 15000
    assert done.bytes_freed > 30000
    assert sum(path.stat().st_size for path in packs(root)) < 17000
    for digest, data in zip(digests[:3], contents, strict=False):
        assert holds(root, digest, data)
    assert set(LocalStore(root).digests()) == set(digests[:3])
    assert LocalStore(root).check().damaged == ()


def test_a_pack_that_is_a_little_dead_stays(root: Path) -> None:
    digests = put(LocalStore(root), *(noise(seed, 5000) for seed in range(10)))
    age(root)
    plan = plan_for(root, digests[:9])
    assert plan.doomed == ()
    assert 4000 < plan.tolerated_bytes < 6000
    assert plan_for(root, digests[:7]).doomed != ()


def test_a_pack_that_nobody_lists_goes_too(root: Path) -> None:
    store = LocalStore(root)
    (live,) = put(store, b"live")
    stray = root / "packs" / "ab" / ("ab" * 32)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"left by a crash")
    age(root)
    assert [segment.name for segment in run_twice(root, [live]).deleted] == ["ab" * 32]
    assert not stray.exists()


def test_an_exact_file_stays_with_all_its_chunks(exactly: None, root: Path, tmp_path: Path) -> None:
    base = noise(1, 40000)
    (tmp_path / "base").write_bytes(base)
    store = LocalStore(root)
    with store.writer() as writer:
        whole = writer.add_file(tmp_path / "base").digest
        writer.commit()
    changed = base[:30000] + noise(2, 10000)
    (other,) = put(store, changed)
    age(root)
    # Only the later version is needed: three quarters of the exact file are its chunks.
    done = run_twice(root, [other])
    assert exact_files(root) == []
    assert done.bytes_rewritten > 25000
    assert holds(root, other, changed)
    with pytest.raises(NotFound):
        LocalStore(root).read(whole, bytes_max=100000)
    assert LocalStore(root).check().damaged == ()


def test_an_exact_file_that_is_needed_is_never_rewritten(exactly: None, root: Path, tmp_path: Path) -> None:
    base = noise(1, 40000)
    (tmp_path / "base").write_bytes(base)
    store = LocalStore(root)
    with store.writer() as writer:
        whole = writer.add_file(tmp_path / "base").digest
        writer.commit()
    put(store, base[:30000] + noise(2, 10000))
    age(root)
    run_twice(root, [whole])
    assert [path.name for path in exact_files(root)] == [whole.hex]
    assert LocalStore(root).exact(whole) is not None
    assert holds(root, whole, base)
    assert LocalStore(root).check().damaged == ()


def test_an_exact_file_older_than_packs_is_kept_or_goes(root: Path) -> None:
    old = LocalStore(root)
    put(old, b"so that it is a store")
    digests = [hash_bytes(data) for data in (b"keep", b"drop")]
    for digest, data in zip(digests, (b"keep", b"drop"), strict=True):
        path = Path(Layout(root).exact(digest))
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(data)
    age(root)
    run_twice(root, digests[:1])
    assert [path.name for path in exact_files(root)] == [digests[0].hex]
    assert holds(root, digests[0], b"keep")


def test_an_empty_blob_is_kept(root: Path) -> None:
    (empty,) = put(LocalStore(root), b"")
    age(root)
    run_twice(root, [empty])
    assert holds(root, empty, b"")


def test_each_reason_says_what_it_keeps_and_the_first_one_counts(root: Path) -> None:
    one, two = put(LocalStore(root), noise(1, 1000), noise(2, 2000))
    age(root)
    plan = plan_collection(root, [(one, "churn@1"), (one, "churn@2"), (two, "churn@2")], NOW)
    assert {why: (kept.blobs, kept.bytes) for why, kept in plan.kept.items()} == {
        "churn@1": (1, 1000),
        "churn@2": (1, 2000),
    }


def test_looking_changes_nothing(root: Path) -> None:
    put(LocalStore(root), b"dead")
    age(root)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    plan_for(root, [])
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


# What must not be deleted by mistake


def test_a_store_that_has_lost_something_is_left_alone(root: Path) -> None:
    put(LocalStore(root), b"dead")
    age(root)
    plan = plan_for(root, [hash_bytes(b"never seen")])
    assert plan.lost == (hash_bytes(b"never seen"),)
    with pytest.raises(IntegrityError, match="lacks 1 blob"):
        collect(root, plan)
    assert condemned(root) == set()


def test_a_blob_that_has_lost_a_chunk_is_lost(fine: None, root: Path) -> None:
    store = LocalStore(root)
    base = noise(1, 9000)
    put(store, base)
    (later,) = put(store, base[:8000] + noise(2, 1000))
    max(packs(root), key=lambda path: path.stat().st_size).unlink()
    age(root)
    assert plan_for(root, [later]).lost == (later,)


def test_a_damaged_index_is_repaired_first(root: Path) -> None:
    put(LocalStore(root), b"dead")
    (index,) = index_files(root)
    index.chmod(0o644)
    flip(index, 50)
    with pytest.raises(IntegrityError) as refused:
        plan_for(root, [])
    assert "check --repair" in refused.value.hint


def test_a_lost_index_is_made_again_on_the_way(root: Path) -> None:
    store = LocalStore(root)
    contents = [noise(seed, 5000) for seed in range(4)]
    digests = put(store, *contents)
    [beside] = put(store, b"in a pack that stays as it is")
    age(root)
    for path in index_files(root):
        path.unlink()
    run_twice(root, [digests[0], beside])
    assert holds(root, digests[0], contents[0])
    assert set(LocalStore(root).digests()) == {digests[0], beside}


def test_a_needed_record_that_is_damaged_everywhere_keeps_its_segment(root: Path) -> None:
    digests = put(LocalStore(root), *(noise(seed, 5000) for seed in range(10)))
    age(root)
    (pack,) = packs(root)
    moment = pack.stat()
    flip(pack, 8 + 56 + 100)
    os.utime(pack, ns=(moment.st_atime_ns, moment.st_mtime_ns))
    done = run_twice(root, digests[:2])
    assert done.deleted == ()
    assert [segment.name for segment in done.stuck] == [pack.name]
    assert pack.exists()
    assert holds(root, digests[1], noise(1, 5000))


def test_a_second_copy_is_given_up_only_for_a_whole_one(root: Path) -> None:
    data = noise(1, 5000)
    digest, _ = put(LocalStore(root), data, noise(2, 5000))
    age(root)
    run(root, [])
    (first,) = packs(root)
    put(LocalStore(root), data)  # condemned, so written again
    (second,) = [path for path in packs(root) if path != first]
    age(root)
    flip(second, 8 + 56 + 100)
    done = run(root, [digest], NOW + DAY)
    assert [segment.name for segment in done.deleted] == [first.name]
    assert done.bytes_rewritten == 5000
    assert holds(root, digest, data)


@pytest.mark.parametrize("spoilt", [b"", b"not a list", b'{"format":"holdfast.condemned"}'])
def test_a_damaged_list_condemns_nothing(root: Path, spoilt: bytes) -> None:
    (digest,) = put(LocalStore(root), b"dead")
    age(root)
    run(root, [])
    (listed,) = files(root / "condemned")
    listed.chmod(0o644)
    listed.write_bytes(spoilt)
    assert run(root, [], NOW + DAY).deleted == ()
    assert holds(root, digest, b"dead")
    assert len(run(root, [], NOW + 2 * DAY).deleted) == 1
    assert names(root / "condemned") == []


def test_a_clock_that_was_set_back_deletes_nothing(root: Path) -> None:
    put(LocalStore(root), b"dead")
    age(root)
    run(root, [])
    assert run(root, [], NOW - 5 * DAY).deleted == ()


# Beside others


def test_a_writer_writes_again_what_is_condemned(root: Path) -> None:
    store = LocalStore(root)
    (digest,) = put(store, b"needed again")
    age(root)
    run(root, [])
    with store.writer() as writer:
        assert writer.add_bytes(b"needed again").new
        writer.commit()
    # Nothing refers to it yet, and still the copy that was just written stays.
    run(root, [], NOW + DAY)
    assert holds(root, digest, b"needed again")


def test_a_writer_between_two_runs_is_safe_though_it_began_before(root: Path) -> None:
    store = LocalStore(root)
    (digest,) = put(store, b"relied on")
    age(root)
    with store.writer() as writer:
        assert not writer.add_bytes(b"relied on").new
        run(root, [])
        writer.commit()
    plan = plan_for(root, [], NOW + DAY)
    assert collect(root, plan).deleted == ()
    assert holds(root, digest, b"relied on")


def test_a_writer_that_relied_on_what_is_gone_records_nothing(root: Path) -> None:
    store = LocalStore(root)
    put(store, b"relied on")
    age(root)
    with store.writer() as writer:
        writer.add_bytes(b"relied on")
        new = writer.add_bytes(b"new beside it").digest
        run_twice(root, [])
        with pytest.raises(Unavailable, match="deleted meanwhile"):
            writer.commit()
    assert not LocalStore(root).has(new)
    assert put(store, b"relied on", b"new beside it")[1] == new


def test_a_commit_between_looking_and_deleting_saves_what_it_relies_on(root: Path) -> None:
    store = LocalStore(root)
    (digest,) = put(store, b"relied on")
    age(root)
    with store.writer() as writer:
        writer.add_bytes(b"relied on")
        run(root, [])
        plan = plan_for(root, [], NOW + DAY)
        assert len(plan.due) == 1
        writer.commit()
    assert collect(root, plan).deleted == ()
    assert holds(root, digest, b"relied on")


def test_the_same_pack_written_again_between_looking_and_deleting_stays(root: Path) -> None:
    store = LocalStore(root)
    (digest,) = put(store, b"the same again")
    age(root)
    run(root, [])
    plan = plan_for(root, [], NOW + DAY)
    before = packs(root)
    put(store, b"the same again")
    assert packs(root) == before, "the pack has another name, and the test shows nothing"
    assert collect(root, plan).deleted == ()
    assert holds(root, digest, b"the same again")


def test_a_claim_between_looking_and_deleting_stops_it(root: Path) -> None:
    store = LocalStore(root)
    (tree,) = put(store, b"a tree")
    age(root)
    run(root, [])
    plan = plan_for(root, [], NOW + DAY)
    store.claim(tree)
    with pytest.raises(Unavailable, match="begun to work"):
        collect(root, plan)
    assert holds(root, tree, b"a tree")


def test_claims_end(root: Path) -> None:
    store = LocalStore(root)
    store.claim(hash_bytes(b"a tree"))
    age(root)
    assert claimed(root, LONG_AGO + DAY) == (hash_bytes(b"a tree"),)
    assert claimed(root, NOW) == ()
    run(root, [])
    assert names(root / "claims") == []


def test_what_comes_to_be_needed_at_the_last_moment_stops_it(root: Path) -> None:
    put(LocalStore(root), b"dead")
    age(root)
    run(root, [])
    plan = plan_for(root, [], NOW + DAY)
    with pytest.raises(Unavailable, match="was added"):
        collect(root, plan, still_holds=lambda: False)
    assert len(packs(root)) == 1


def test_of_two_runs_at_once_one_is_refused(root: Path) -> None:
    put(LocalStore(root), b"dead")
    age(root)
    plan = plan_for(root, [])
    with sole_collector(Layout(root)), pytest.raises(Unavailable, match="another run"):
        collect(root, plan)
    assert condemned(root) == set()


def test_a_plan_that_another_run_has_overtaken_does_nothing(root: Path) -> None:
    put(LocalStore(root), b"dead")
    age(root)
    plan = plan_for(root, [])
    run(root, [])
    with pytest.raises(Unavailable, match="another run"):
        collect(root, plan)


def test_nothing_is_deleted_while_somebody_commits_or_checks(root: Path) -> None:
    put(LocalStore(root), b"dead")
    with undisturbed(Layout(root)), undisturbed(Layout(root)), pytest.raises(Unavailable):  # noqa: SIM117
        with alone(Layout(root), patience_seconds=0.1):
            pass
    with alone(Layout(root)):
        pass


def test_a_reader_that_looked_before_finds_what_was_moved(fine: None, root: Path) -> None:
    store = LocalStore(root)
    contents = [noise(seed, 900) for seed in range(9)] + [noise(9, 20000)]
    digests = put(store, *contents)
    age(root)
    reader = LocalStore(root)
    assert reader.has(digests[0])
    handle = reader.open(digests[9])
    run_twice(root, [digests[0], digests[9]])
    reader._segments = type(reader._segments)(reader._layout)  # nothing is open any more
    assert reader.read(digests[0], bytes_max=900) == contents[0]
    assert handle.read() == contents[9]
    assert reader.check().damaged == ()
    assert names(root / "damaged") == [] if (root / "damaged").exists() else True


def test_a_reader_finds_what_was_moved_or_added_also_where_another_thread_looked_again_first(
    fine: None, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(root)
    contents = [noise(seed, 900) for seed in range(9)] + [noise(9, 20000)]
    digests = put(store, *contents)
    age(root)
    reader = LocalStore(root)
    handle = reader.open(digests[9])
    look = reader._catalog.refresh

    def beaten() -> bool:
        look()
        return look()  # the first one was the other thread's: nothing has changed since

    monkeypatch.setattr(reader._catalog, "refresh", beaten)
    run_twice(root, [digests[0], digests[9]])
    reader._segments = type(reader._segments)(reader._layout)  # nothing is open any more
    assert reader.read(digests[0], bytes_max=900) == contents[0]
    assert handle.read() == contents[9]
    [new] = put(store, b"new")
    assert reader.read(new, bytes_max=10) == b"new"


def test_merging_the_index_brings_nothing_back(root: Path) -> None:
    store = LocalStore(root)
    dead = [put(store, noise(seed, 100))[0] for seed in range(5)]
    live = [put(store, noise(seed, 100))[0] for seed in range(10, 13)]
    age(root)
    run_twice(root, live)
    for seed in range(20, 32):
        live += put(store, noise(seed, 100))
    assert len(index_files(root)) < 12, "nothing was merged, and the test shows nothing"
    assert set(LocalStore(root).digests()) == set(live)
    assert not any(LocalStore(root).has(digest) for digest in dead)
    assert LocalStore(root).check().damaged == ()


# The law


BLOBS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 6000), st.booleans()), min_size=1, max_size=8
)


@settings(max_examples=examples(40), deadline=None)
@example(blobs=[(0, 0, 1, False), (0, 0, 3, False), (0, 0, 1000, False)], cuts=[False] * 8, needed={0, 1})
@example(blobs=[(0, 3, 3, True), (0, 3, 1, False)], cuts=[True] + [False] * 7, needed={1})
@given(blobs=BLOBS, cuts=st.lists(st.booleans(), min_size=8, max_size=8), needed=st.sets(st.integers(0, 7)))
def test_what_is_needed_stays_and_dead_segments_go(
    blobs: list[tuple[int, int, int, bool]], cuts: list[bool], needed: set[int]
) -> None:
    """Blobs share beginnings and ends, and so chunks; some are exact files, some commits hold several."""
    kept_exactly = False
    with (
        TemporaryDirectory() as folder,
        patch.object(layout, "CUTTING", FINE),
        patch.object(local_writer, "deserves_exact_file", lambda *_: kept_exactly),
    ):
        root, source = Path(folder) / "store", Path(folder) / "source"
        store = LocalStore(root)
        contents: list[bytes] = []
        digests: list[Digest] = []
        with store.writer() as writer:
            for number, (front, back, size, is_exact) in enumerate(blobs):
                kept_exactly = is_exact
                data = noise(front, size) + noise(100 + back, 3000 if size % 2 else 0)
                source.write_bytes(data)
                contents.append(data)
                digests.append(writer.add_file(source).digest)
                if cuts[number]:
                    writer.commit()
            writer.commit()
        age(root)
        wanted = {digests[number]: contents[number] for number in needed if number < len(digests)}
        run_twice(root, wanted)
        after = LocalStore(root)
        for digest, data in wanted.items():
            assert after.read(digest, bytes_max=len(data)) == data
        plan = plan_for(root, wanted, NOW + 3 * DAY)
        # What is left is alive, but for what was written a moment ago, which is young.
        assert plan.doomed == ()
        assert plan.lost == ()
        assert plan.bytes - plan.recent_bytes <= 2 * sum(map(len, wanted.values())) + 1000 * len(packs(root))
        assert after.check().damaged == ()
        listed = {segment.name for path in index_files(root) for segment in IndexFile(path.read_bytes()).segments}
        assert listed == {path.name for path in [*packs(root), *exact_files(root)]}
        for path in index_files(root):
            path.unlink()
        for digest, data in wanted.items():
            assert holds(root, digest, data)


# Crashes


def prepared(root: Path) -> dict[Digest, bytes]:
    """A store of which a part was condemned long ago; what is needed of it."""
    store = LocalStore(root)
    contents = [noise(seed, 3000) for seed in range(6)]
    digests = put(store, *contents)
    put(store, noise(50, 3000))
    (alone_in_its_pack,) = put(store, noise(60, 3000))
    age(root)
    needed = {digests[0]: contents[0], digests[1]: contents[1], alone_in_its_pack: noise(60, 3000)}
    run(root, needed)
    return needed


def is_sound(root: Path, needed: dict[Digest, bytes]) -> None:
    store = LocalStore(root)
    for digest, data in needed.items():
        assert store.read(digest, bytes_max=len(data)) == data
    assert store.check().damaged == ()
    assert names(root / "tmp") == []


def went_on(root: Path, needed: dict[Digest, bytes]) -> None:
    run(root, needed, NOW + 2 * DAY)
    run(root, needed, NOW + 4 * DAY)
    is_sound(root, needed)
    assert set(LocalStore(root).digests()) == set(needed)
    assert condemned(root) == set()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[Digest, bytes]]:
    root = tmp_path_factory.mktemp("condemned") / "store"
    return root, prepared(root)


@pytest.mark.thorough
@pytest.mark.parametrize("number", [5, 28])
def test_a_disk_that_fails_at_any_call_loses_nothing(
    template: tuple[Path, dict[Digest, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    source, needed = template
    at, failed = 0, 0
    while True:
        at += 1
        root = tmp_path / f"store-{at}"
        shutil.copytree(source, root)
        age(root)
        with monkeypatch.context() as patched:
            failing = Failing(at, fail(number))
            failing.install(patched.setattr)
            failing.armed = True
            try:
                run(root, needed, NOW + DAY)
            except HoldfastError:
                failed += 1
            failing.armed = False
        if failing.count < at:
            break
        is_sound(root, needed)
        went_on(root, needed)
    assert failed > 10
    assert set(LocalStore(root).digests()) == set(needed)


KILLED = """
import sys
from pathlib import Path
from holdfast.digest import Digest
from tests.store.collecting import DAY, NOW, run
from tests.store.faults import Failing, kill
root, at, *needed = sys.argv[1:]
failing = Failing(int(at), kill)
failing.install(setattr)
failing.armed = True
run(Path(root), [Digest.parse(one) for one in needed], NOW + DAY)
"""


@pytest.mark.slow
def test_a_kill_at_any_call_loses_nothing(template: tuple[Path, dict[Digest, bytes]], tmp_path: Path) -> None:
    source, needed = template
    at = 0
    while True:
        at += 1
        root = tmp_path / f"store-{at}"
        shutil.copytree(source, root)
        age(root)
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(root), str(at), *map(str, needed)],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        is_sound(root, needed)
        went_on(root, needed)
    assert at > 10


def test_an_exact_file_that_others_need_chunks_of_keeps_the_recipe_that_says_what_is_in_it(
    exactly: None, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(noise(1, 60_000))
    store = LocalStore(root)
    with store.writer() as writer:
        first = writer.add_file(tmp_path / "file").digest
        writer.commit()
    with store.writer() as writer:
        second = writer.add_bytes(noise(1, 60_000) + b"a little more").digest
        writer.commit()
    age(root)
    run_twice(root, [second])
    assert [path.name for path in exact_files(root)] == [first.hex]
    for path in index_files(root):
        path.unlink()
    assert holds(root, second, noise(1, 60_000) + b"a little more")
