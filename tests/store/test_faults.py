"""The disk fails, or the process is killed, at each call in turn: nothing half is seen, and the next attempt
succeeds.

What is written here takes every path there is: small blobs and chunks in several packs, recipes, an exact file, and a
merge of index files.
"""

import errno
import io
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.digest import hash_bytes
from holdfast.errors import HoldfastError, IntegrityError, NoSpace, PermissionRefused, Unavailable
from holdfast.store import local_writer
from holdfast.store.interface import StoreWriter
from holdfast.store.local import LocalStore
from tests.store import paths as every_path
from tests.store.faults import Failing, fail
from tests.store.looking import exact_files, index_files, names, packs
from tests.store.paths import NEW, OLD, add_all, prepared, sources

CALLS_MIN = 40
"""Four packs, an exact file and two index files, each created, written, synced and renamed, and their folders: fewer
calls would mean that some are not seen."""


@pytest.fixture(autouse=True)
def every_path_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    every_path.patch(monkeypatch.setattr)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with eight index files, so that the next commit merges them."""
    with pytest.MonkeyPatch.context() as patch:
        every_path.patch(patch.setattr)
        return prepared(tmp_path_factory.mktemp("template") / "store").root


def copied(template: Path, target: Path) -> LocalStore:
    return LocalStore(Path(shutil.copytree(template, target)))


def is_sound(root: Path, *, old: bool = True, after: bool) -> None:
    """Every visible blob is whole, what was acknowledged is there, and nothing else is left."""
    store = LocalStore(root)
    assert not (root / "tmp").exists() or names(root / "tmp") == []
    for digest in store.digests():
        assert store.has(digest)
        store.verify(digest)
        with store.open(digest) as handle:
            assert hash_bytes(handle.read()) == digest
    if old:
        assert [store.read(hash_bytes(data), bytes_max=100) for data in OLD] == OLD
    if after:
        assert [store.read(hash_bytes(data), bytes_max=10_000) for data in NEW] == NEW
    found = store.check()
    assert found.damaged == ()
    if found.notes:  # the packs of a first commit that did not come to its end
        assert not old
        assert not after
        assert index_files(root) == []


def sweep(
    stores: Callable[[int], LocalStore],
    paths: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    expected: type[HoldfastError],
    *,
    old: bool = True,
) -> tuple[int, int]:
    """Let each call fail in turn; how many calls there are, and after how many the commit said so."""
    at = failed = 0
    while True:
        at += 1
        store = stores(at)
        with monkeypatch.context() as patch:
            failing = Failing(at, fail(number), all_opens=number in {errno.EIO, errno.EMFILE})
            failing.install(patch.setattr)
            failing.armed = True
            try:
                add_all(store, paths)
                acknowledged = True
            except expected:
                failed += 1
                acknowledged = False
            failing.armed = False
        if failing.count < at:
            return at - 1, failed
        is_sound(store.root, old=old, after=acknowledged)
        add_all(store, paths)
        is_sound(store.root, old=old, after=True)
        shutil.rmtree(store.root)


FAULTS = pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, NoSpace),
        (errno.EDQUOT, NoSpace),
        (errno.EROFS, PermissionRefused),
        (errno.EIO, IntegrityError),
        (errno.EMFILE, Unavailable),
    ],
    ids=errno.errorcode.get,
)


@FAULTS
def test_a_disk_that_fails_at_any_call_leaves_what_was(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, expected: type[HoldfastError]
) -> None:
    paths = sources(tmp_path / "sources")
    calls, failed = sweep(lambda at: copied(template, tmp_path / f"store-{at}"), paths, monkeypatch, number, expected)
    assert calls >= CALLS_MIN
    # Merging and cleaning up are all that may fail unseen: the scratch folder is swept later.
    assert failed >= CALLS_MIN * 2 // 3


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("number", "expected"), [(errno.ENOSPC, NoSpace), (errno.EIO, IntegrityError)], ids=errno.errorcode.get
)
def test_a_disk_that_fails_at_any_call_of_the_first_commit_leaves_an_empty_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, expected: type[HoldfastError]
) -> None:
    paths = sources(tmp_path / "sources")
    calls, failed = sweep(
        lambda at: LocalStore(tmp_path / f"store-{at}"), paths, monkeypatch, number, expected, old=False
    )
    assert calls >= CALLS_MIN
    assert failed >= CALLS_MIN * 2 // 3


def test_what_is_written_takes_every_path(template: Path, tmp_path: Path) -> None:
    store = copied(template, tmp_path / "store")
    before = index_files(store.root), packs(store.root)
    assert len(before[0]) == 8
    add_all(store, sources(tmp_path / "sources"))
    assert len(index_files(store.root)) == 2
    assert len(packs(store.root)) - len(before[1]) >= 3
    assert len(exact_files(store.root)) == 1


def test_bytes_are_durable_before_they_have_a_name_and_the_name_before_the_index(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = copied(template, tmp_path / "store")
    events: list[tuple[str, object]] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(descriptor: int) -> None:
        events.append(("sync", os.fstat(descriptor).st_ino))
        real_fsync(descriptor)

    def rename(
        source: str, target: str | Path, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
    ) -> None:
        inode = os.stat(source, dir_fd=src_dir_fd).st_ino
        assert ("sync", inode) in events, f"{target} got its name before its bytes were durable"
        real_rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        events.append(("name", Path(target)))

    paths = sources(tmp_path / "sources")
    with store.writer() as writer:
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "rename", rename)
        writer.add_files(paths)
        writer.commit()
    named = [(number, path) for number, (what, path) in enumerate(events) if what == "name" and isinstance(path, Path)]
    data = [(number, path) for number, path in named if path.parent.name != "index"]
    index = [(number, path) for number, path in named if path.parent.name == "index"]
    assert len(data) >= 4
    assert len(index) == 2
    between = {inode for what, inode in events[data[-1][0] : index[0][0]] if what == "sync"}
    for _, path in data:
        assert {path.parent.stat().st_ino, path.parent.parent.stat().st_ino} <= between
    for number, _ in index:
        assert ("sync", (store.root / "index").stat().st_ino) in events[number:]
    # Recipes come last: an index that is made from the packs finds none without its chunks.
    recipes = [number for number, (_, path) in enumerate(data) if recipe_in(path)]
    assert recipes == [len(data) - 1]


def recipe_in(path: Path) -> bool:
    return path.parts[-3] == "packs" and path.read_bytes()[12] == 3


def test_a_commit_of_what_is_known_makes_durable_what_it_builds_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who wrote it may have been interrupted between giving a name and syncing the folder."""
    store = prepared(tmp_path / "store")
    (path,) = sources(tmp_path / "sources")[-1:]
    digest = hash_bytes(path.read_bytes())
    exact = Path(store._layout.exact(digest))
    exact.parent.mkdir()
    exact.write_bytes(path.read_bytes())
    synced: set[int] = set()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with store.writer() as writer:
        assert not writer.add_bytes(OLD[0]).new
        writer.commit()
    assert (store.root / "index").stat().st_ino in synced
    synced.clear()
    with store.writer() as writer:
        assert not writer.add_file(path).new
        writer.commit()
    assert {exact.parent.stat().st_ino, (store.root / "blobs").stat().st_ino} <= synced


def test_a_commit_that_failed_is_not_repeated_by_the_same_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = prepared(tmp_path / "store")
    real, left = os.fsync, [True]

    def fsync(descriptor: int) -> None:
        if left:
            left.pop()
            raise OSError(errno.EIO, "the first one only: the kernel forgets")
        real(descriptor)

    with store.writer() as writer:
        writer.add_bytes(b"lost")
        monkeypatch.setattr(os, "fsync", fsync)
        with pytest.raises(IntegrityError):
            writer.commit()
        with pytest.raises(HoldfastError, match="commit failed"):
            writer.commit()
    assert not store.has(hash_bytes(b"lost"))


def unreadable(*_arguments: object) -> bytes:
    raise OSError(errno.EIO, "Input/output error")


class Unreadable(io.BytesIO):
    def __init__(self, *_args: object, **_named: object) -> None:
        super().__init__()

    def read(self, _size: int | None = -1, /) -> bytes:
        return unreadable()


def test_a_failing_read_is_damage_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = prepared(tmp_path / "store")
    add_all(store, sources(tmp_path / "sources"))
    for data in (OLD[0], NEW[-1]):
        digest = hash_bytes(data)
        with monkeypatch.context() as patch:
            patch.setattr(os, "pread", unreadable)
            patch.setattr(os, "fdopen", Unreadable)
            with pytest.raises(IntegrityError) as caught:
                store.verify(digest)
        assert caught.value.details["expected"] == str(digest)
        assert "Input/output" in caught.value.details["found"]
        assert not store.has(digest)
        assert store.verify(digest) == len(data)
        assert store.has(digest)


def test_a_source_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = sources(tmp_path / "sources")[:1]

    def read(_descriptor: int, _count: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with prepared(tmp_path / "store").writer() as writer:
        monkeypatch.setattr(os, "read", read)
        with pytest.raises(IntegrityError) as caught:
            writer.add_file(path)
    assert caught.value.details["path"] == str(path)


def test_a_write_that_is_taken_in_pieces_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    store = prepared(tmp_path / "store")
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data)[:3]))
    add_all(store, sources(tmp_path / "sources"))
    is_sound(store.root, after=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 1 MiB; where it cannot be mounted, the limit on the size of a file stands in for it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode == 0:
        try:
            yield folder
        finally:
            subprocess.run(["umount", folder], check=True)
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        yield folder
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def add_chance(writer: StoreWriter, path: Path, count: int, size: int) -> None:
    for number in range(count):
        path.write_bytes(random.Random(f"{count} {number}").randbytes(size))
        writer.add_file(path)
    writer.commit()


@pytest.mark.thorough
def test_a_disk_that_is_really_full_is_no_space(
    tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is large arrives in every way: whole, as a file that is cut, as one that is kept exactly, as many."""
    monkeypatch.setattr(local_writer, "PACK_BYTES", 400_000)
    store = prepared(small_disk / "store")
    for count, exactly in ((3, False), (3, True), (400, False)):
        monkeypatch.setattr(local_writer, "deserves_exact_file", lambda *_, answer=exactly: answer)
        size = 999 if count == 400 else 1_500_000
        with store.writer() as writer, pytest.raises(NoSpace):
            add_chance(writer, tmp_path / "large", count * 4, size)
        is_sound(store.root, after=False)
        with store.writer() as writer:
            small = writer.add_bytes(b"still fits %d" % count).digest
            writer.commit()
        assert store.has(small)
        is_sound(store.root, after=False)


def test_a_writer_that_met_a_full_disk_goes_on_with_what_fits(tmp_path: Path, small_disk: Path) -> None:
    store = prepared(small_disk / "store")
    (tmp_path / "large").write_bytes(random.Random(1).randbytes(1_500_000))
    with store.writer() as writer:
        with pytest.raises(NoSpace):
            writer.add_file(tmp_path / "large")
        small = writer.add_bytes(b"still fits").digest
        writer.commit()
    assert store.has(small)
    is_sound(store.root, after=False)


PROGRAM = """
import sys
from pathlib import Path
from holdfast.store.local import LocalStore
from tests.store import paths
from tests.store.faults import Failing, kill

paths.patch(setattr)
store = LocalStore(Path(sys.argv[1]))
failing = Failing(int(sys.argv[3]), kill)
failing.install(setattr)
failing.armed = True
paths.add_all(store, sorted(Path(sys.argv[2]).iterdir()))
"""

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}


def killed_at(at: int, store: LocalStore, folder: Path, program: str = PROGRAM) -> bool:
    ended = subprocess.run(
        [sys.executable, "-c", program, store.root, folder, str(at)], check=False, env=ENVIRONMENT, capture_output=True
    )
    assert ended.returncode in {0, -signal.SIGKILL}, ended.stderr.decode()
    return ended.returncode != 0


@pytest.mark.slow
@pytest.mark.parametrize("first", [False, True], ids=["later", "first"])
def test_a_kill_at_any_call_leaves_what_was(template: Path, tmp_path: Path, first: bool) -> None:
    """Every second call: the odd ones of a later commit, the even ones of a first one, which makes the same calls."""
    paths = sources(tmp_path / "sources")
    killed = 0
    for at in range(1 + first, 200, 2):
        target = tmp_path / f"store-{at}"
        store = LocalStore(target) if first else copied(template, target)
        if not killed_at(at, store, tmp_path / "sources"):
            is_sound(store.root, old=not first, after=True)
            break
        killed += 1
        is_sound(store.root, old=not first, after=False)
        add_all(LocalStore(target), paths)
        is_sound(store.root, old=not first, after=True)
    assert killed >= CALLS_MIN // 2


TRACED = ("openat", "write", "fsync", "rename", "renameat", "mkdir", "mkdirat", "unlink", "unlinkat")
TRACE_PROGRAM = """
import sys
from pathlib import Path
from holdfast.store.local import LocalStore
from tests.store import paths

paths.patch(setattr)
store = LocalStore(Path(sys.argv[1]))
list(store.digests())
sys.stdout.flush()
Path(sys.argv[3]).touch()
paths.add_all(store, sorted(Path(sys.argv[2]).iterdir()))
"""


def traced(store: LocalStore, folder: Path, ready: Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["strace", "-f", "-qq", *options, sys.executable, "-c", TRACE_PROGRAM, store.root, folder, ready],
        check=False, env={**ENVIRONMENT, "PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed: apt-get install strace")
def test_a_kill_at_any_system_call_leaves_what_was(template: Path, tmp_path: Path) -> None:
    """Killed by the kernel, in whichever thread it is, whatever Python calls the call.

    The first run counts the calls of each kind, and how many of them come before the commit begins (Python opens some
    hundred files to start). Of those that follow, so many of each kind are tried, evenly spread, that all of it takes
    less than a minute: a run takes half a second.
    """
    sources(tmp_path / "sources")
    log, ready = tmp_path / "log", tmp_path / "ready"
    counted = traced(copied(template, tmp_path / "counted"), tmp_path / "sources", ready, "-o", str(log),
                     "-e", f"trace={','.join(TRACED)}")  # fmt: skip
    if counted.returncode:
        pytest.skip(f"strace cannot trace here: {counted.stderr.decode()[-200:]}")
    calls = [line.split(maxsplit=1)[1].partition("(")[0] for line in log.read_text().splitlines() if "(" in line]
    begun = next(
        number for number, line in enumerate(log.read_text().splitlines()) if f'"{ready}"' in line
    )  # what touches this file comes just before the commit
    before = {name: calls[: begun + 1].count(name) for name in TRACED}
    total = {name: calls.count(name) for name in TRACED}
    killed = 0
    for name in TRACED:
        numbers = range(before[name] + 1, total[name] + 1)
        for when in numbers[:: max(1, len(numbers) // 8)]:
            store = copied(template, tmp_path / f"{name}-{when}")
            ended = traced(store, tmp_path / "sources", ready, "-o", "/dev/null", "-e", f"trace={name}",
                           "-e", f"inject={name}:signal=SIGKILL:when={when}")  # fmt: skip
            killed += ended.returncode in {-signal.SIGKILL, 128 + signal.SIGKILL}
            is_sound(store.root, after=ended.returncode == 0)
            add_all(LocalStore(store.root), sorted((tmp_path / "sources").iterdir()))
            is_sound(store.root, after=True)
            shutil.rmtree(store.root)
    assert killed >= 20


@pytest.mark.slow
def test_a_kill_in_the_middle_of_writing_on_all_threads_leaves_what_was(tmp_path: Path) -> None:
    store = prepared(tmp_path / "store")
    program = (
        "import sys, itertools; from pathlib import Path; from holdfast.store.local import LocalStore\n"
        "store = LocalStore(Path(sys.argv[1]))\n"
        "for n in itertools.count():\n"
        "    with store.writer() as writer:\n"
        "        told = [writer.add_bytes(b'%d-%d' % (n, m) * 500).digest for m in range(50)]\n"
        "        writer.commit()\n"
        "    print(*told, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, store.root],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as child:  # fmt: skip
        assert child.stdout is not None
        acknowledged = [child.stdout.readline() for _ in range(5)]
        child.kill()
        acknowledged += child.stdout.readlines()
    is_sound(store.root, after=False)
    digests = {str(digest) for digest in LocalStore(store.root).digests()}
    whole = [line.split() for line in acknowledged if line.endswith("\n")]
    assert len(whole) >= 5
    assert {text for line in whole for text in line} <= digests
