"""The disk fails, or the process is killed, at each call in turn: nothing half is seen, and the next attempt
succeeds."""

import errno
import io
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.digest import hash_bytes
from holdfast.errors import HoldfastError, IntegrityError, NoSpace, PermissionRefused, Unavailable
from holdfast.store import local_writer
from holdfast.store.local import LocalStore
from tests.store.faults import Failing, fail
from tests.store.looking import names

OLD = b"acknowledged before"
NEW = [b"small", b"another", b"L" * 5000]
CALLS_MIN = 14
"""Three files created, written and synced, three names, the folders: fewer calls would mean that some are not seen."""


@pytest.fixture(autouse=True)
def one_thread_and_both_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls come in one order, and the large file takes the streaming path."""
    monkeypatch.setattr(local_writer, "SMALL_BYTES_MAX", 1000)
    monkeypatch.setattr(local_writer, "on_all_workers", lambda work, items: [work(item) for item in items])


def sources(folder: Path) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for number, data in enumerate(NEW):
        (folder / str(number)).write_bytes(data)
    return sorted(folder.iterdir())


def add_all(store: LocalStore, paths: list[Path]) -> None:
    with store.writer() as writer:
        writer.add_files(paths)
        writer.commit()


def is_sound(root: Path, *, after: bool) -> None:
    """Every visible blob is whole, what was acknowledged is there, and nothing else is left."""
    store = LocalStore(root)
    for digest in store.digests():
        store.verify(digest)
    assert store.read(hash_bytes(OLD), bytes_max=100) == OLD
    assert names(root / "tmp") == []
    if after:
        assert store.missing(map(hash_bytes, NEW)) == set()


def prepared(root: Path) -> LocalStore:
    store = LocalStore(root)
    with store.writer() as writer:
        writer.add_bytes(OLD)
        writer.commit()
    return store


@pytest.mark.parametrize(
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
def test_a_disk_that_fails_at_any_call_leaves_what_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, expected: type[HoldfastError]
) -> None:
    paths, at, failed = sources(tmp_path / "sources"), 0, 0
    while True:
        at += 1
        store = prepared(tmp_path / f"store-{at}")
        with monkeypatch.context() as patch:
            failing = Failing(at, fail(number))
            failing.install(patch.setattr)
            failing.armed = True
            try:
                add_all(store, paths)
            except expected:
                failed += 1
            failing.armed = False
        if failing.count < at:
            break
        is_sound(store.root, after=False)
        add_all(store, paths)
        is_sound(store.root, after=True)
    assert at > CALLS_MIN
    # Cleaning up is the only thing that may fail unseen: the scratch folder is swept later.
    assert failed >= CALLS_MIN


def test_bytes_are_durable_before_they_have_a_name_and_the_name_before_commit_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = prepared(tmp_path / "store")
    known = store._layout.shard(hash_bytes(OLD))
    synced: list[int] = []
    named: list[tuple[int, bool, Path]] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        real_fsync(descriptor)

    def rename(
        source: str, target: str | Path, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
    ) -> None:
        inode = os.stat(source, dir_fd=src_dir_fd).st_ino
        real_rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        if dst_dir_fd is None:
            named.append((len(synced), inode in synced, Path(target).parent))

    paths = sources(tmp_path / "sources")
    with store.writer() as writer:
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "rename", rename)
        writer.add_files(paths)
        writer.add_bytes(OLD)
        writer.commit()
    assert len(named) == len(NEW)
    assert all(durable for _, durable, _ in named)
    after = set(synced[max(count for count, _, _ in named) :])
    # The folder of the blob that was known is synced too: who wrote it may not have come so far.
    folders = {folder for _, _, folder in named} | {known, store.root / "blobs"}
    assert {folder.stat().st_ino for folder in folders} <= after


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


def test_a_failing_read_is_damage_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = prepared(tmp_path / "store")

    class Unreadable(io.BytesIO):
        def __init__(self, *_args: object, **_named: object) -> None:
            super().__init__()

        def read(self, _size: int | None = -1, /) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdopen", Unreadable)
    with pytest.raises(IntegrityError) as caught:
        store.verify(hash_bytes(OLD))
    assert caught.value.details["expected"] == str(hash_bytes(OLD))
    assert "Input/output" in caught.value.details["found"]
    assert not store.has(hash_bytes(OLD))


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


@pytest.fixture(params=[1_500_000, 9_000_000], ids=["whole", "streamed"])
def large(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file of holes: large to read, nothing to keep. It is made before the disk gets small."""
    path = tmp_path / "large"
    path.touch()
    os.truncate(path, request.param)
    return path


def test_a_disk_that_is_really_full_is_no_space(large: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_writer, "SMALL_BYTES_MAX", 4 << 20)
    store = prepared(small_disk / "store")
    with store.writer() as writer:
        with pytest.raises(NoSpace):
            writer.add_files([large] * 3)
        small = writer.add_bytes(b"still fits").digest
        writer.commit()
    assert store.has(small)
    is_sound(store.root, after=False)


PROGRAM = """
import os, sys
from pathlib import Path
from holdfast.store import local_writer
from holdfast.store.local import LocalStore
from tests.store.faults import Failing, kill
from tests.store.looking import names

local_writer.SMALL_BYTES_MAX = 1000
local_writer.on_all_workers = lambda work, items: [work(item) for item in items]
store = LocalStore(Path(sys.argv[1]))
failing = Failing(int(sys.argv[3]), kill)
failing.install(setattr)
failing.armed = True
with store.writer() as writer:
    writer.add_files(sorted(Path(sys.argv[2]).iterdir()))
    writer.commit()
"""


@pytest.mark.slow
def test_a_kill_at_any_call_leaves_what_was(tmp_path: Path) -> None:
    sources(tmp_path / "sources")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    killed = 0
    for at in range(1, 60):
        store = prepared(tmp_path / f"store-{at}")
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM, store.root, tmp_path / "sources", str(at)],
            check=False, env=environment, capture_output=True,
        )  # fmt: skip
        if ended.returncode == 0:
            is_sound(store.root, after=True)
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
        killed += 1
        is_sound(store.root, after=False)
        add_all(store, sorted((tmp_path / "sources").iterdir()))
        is_sound(store.root, after=True)
    assert killed > CALLS_MIN


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
