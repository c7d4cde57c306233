"""A checkout that was interrupted is continued; what it left is believed only as far as it hashes."""

import fcntl
import hashlib
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import NoSpace, NotFound, PermissionRefused, Unavailable, UnsupportedFormat
from holdfast.store.checkout import CheckedOut, checkout_snapshot, checkout_tree
from holdfast.store.interface import Sink
from holdfast.store.local import LocalStore
from holdfast.store.memory import MemoryStore
from holdfast.store.resuming import PREFIX
from holdfast.store.tree import Row, Tree
from holdfast.store.tree_stream import tree_pieces
from tests.patience import PATIENCE_SECONDS
from tests.store.looking import names

FILES = {
    **{f"a/{number:03}": b"%d" % number * 50 for number in range(300)},
    **{f"b/{number % 7}/x/{number:03}": b"%d" % -number * 50 for number in range(300)},
    "large": b"0123456789" * 300_000,
    "run.sh": b"#!/bin/sh\n",
}


class Counting(MemoryStore):
    """Counts what is asked for, and does something at the n-th."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.at = -1
        self.act: Callable[[], object] = lambda: None

    def write_to(self, digest: Digest, sink: Sink) -> int:
        self.asked += 1
        if self.asked == self.at:
            self.act()
        return super().write_to(digest, sink)


def rows(files: dict[str, bytes]) -> list[Row]:
    return [
        Row(path, 0o755 if path.endswith(".sh") else 0o644, len(data), hash_bytes(data).hex)
        for path, data in sorted(files.items())
    ]


def stored(store: MemoryStore | LocalStore, files: dict[str, bytes]) -> Digest:
    with store.writer() as writer:
        for data in files.values():
            writer.add_bytes(data)
        digest = writer.add_pieces(tree_pieces(rows(files))).digest
        writer.commit()
    return digest


@pytest.fixture
def store() -> Counting:
    return Counting()


@pytest.fixture
def digest(store: Counting) -> Digest:
    return stored(store, FILES)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def interrupt(
    store: Counting, digest: Digest, target: Path, at: int = 300, error: type[BaseException] = NoSpace
) -> Path:
    """What is left of a checkout that ended at the `at`-th file."""

    def fail() -> None:
        raise OSError(28, "No space left on device") if error is NoSpace else error

    store.asked, store.at, store.act = 0, at, fail
    with pytest.raises(error):
        checkout_snapshot(store, digest, target)
    store.asked, store.at = 0, -1
    (left,) = target.parent.glob(f"{PREFIX}*")
    return left / "tree"


def test_a_snapshot_is_written_out(store: Counting, digest: Digest, tmp_path: Path) -> None:
    done = checkout_snapshot(store, digest, tmp_path / "out")
    assert done == CheckedOut(len(FILES), sum(map(len, FILES.values())), 0)
    assert contents(tmp_path / "out") == FILES
    assert os.access(tmp_path / "out/run.sh", os.X_OK)
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("error", [NoSpace, KeyboardInterrupt])
def test_the_same_call_goes_on_where_the_other_stopped(
    store: Counting, digest: Digest, tmp_path: Path, error: type[BaseException]
) -> None:
    left = interrupt(store, digest, tmp_path / "out", error=error)
    assert not (tmp_path / "out").exists()
    there = sum(path.is_file() for path in left.rglob("*"))
    assert there > 100
    done = checkout_snapshot(store, digest, tmp_path / "out")
    assert store.asked <= len(FILES) - there + 4
    assert (done.files, done.bytes) == (len(FILES), sum(map(len, FILES.values())))
    assert contents(tmp_path / "out") == FILES
    assert names(tmp_path) == ["out"]


def test_progress_counts_what_was_there(store: Counting, digest: Digest, tmp_path: Path) -> None:
    interrupt(store, digest, tmp_path / "out")
    told: list[tuple[int, int]] = []
    checkout_snapshot(store, digest, tmp_path / "out", progress=lambda *sizes: told.append(sizes))
    total = sum(map(len, FILES.values()))
    assert told[-1] == (total, total)
    assert told == sorted(told)


def change(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def freed(path: Path) -> Path:
    path.unlink(missing_ok=True)
    return path


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda left: change(left / "a/005", b"5" * 49 + b"!"), id="other-bytes"),
        pytest.param(lambda left: change(left / "a/005", b"5"), id="cut-off"),
        pytest.param(lambda left: (left / "a/005").chmod(0o755), id="other-mode"),
        pytest.param(lambda left: (left / "a/005").unlink(), id="gone"),
        pytest.param(lambda left: (left / "a/zzz").write_bytes(b"not of this tree"), id="one-more"),
        pytest.param(lambda left: (left / "empty/deep").mkdir(parents=True), id="one-more-folder"),
        pytest.param(lambda left: (left / "a/zzz").symlink_to("/etc"), id="one-more-link"),
        pytest.param(lambda left: os.link(left / "a/005", left.parents[1] / "elsewhere"), id="linked-elsewhere"),
        pytest.param(lambda left: os.mkfifo(freed(left / "large")), id="a-pipe"),
        pytest.param(lambda left: freed(left / "large").mkdir(), id="a-folder-for-a-file"),
        pytest.param(lambda left: (left / "b").rename(left / "c") and (left / "b").touch(), id="a-file-for-a-folder"),
    ],
)
def test_what_was_left_is_believed_only_as_far_as_it_hashes(
    store: Counting, digest: Digest, tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    left = interrupt(store, digest, tmp_path / "out", at=450)
    spoil(left)
    checkout_snapshot(store, digest, tmp_path / "out")
    assert contents(tmp_path / "out") == FILES
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "b", "large", "run.sh"]
    assert not (tmp_path / "out/a/005").stat().st_mode & 0o111


@pytest.mark.parametrize("place", ["a", "large", "b/3"])
def test_a_link_that_was_planted_meanwhile_is_not_followed(
    store: Counting, digest: Digest, tmp_path: Path, place: str
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/mine").write_text("mine")
    left = interrupt(store, digest, tmp_path / "out", at=2)
    if (left / place).exists():
        (left / place).rename(tmp_path / "aside")
    (left / place).parent.mkdir(exist_ok=True)
    (left / place).symlink_to(tmp_path / "outside")
    checkout_snapshot(store, digest, tmp_path / "out")
    assert contents(tmp_path / "out") == FILES
    assert names(tmp_path / "outside") == ["mine"]


def test_what_another_tree_or_target_left_is_swept(store: Counting, digest: Digest, tmp_path: Path) -> None:
    interrupt(store, digest, tmp_path / "out")
    checkout_snapshot(store, digest, tmp_path / "elsewhere")
    assert names(tmp_path) == ["elsewhere"]
    interrupt(store, digest, tmp_path / "out")
    other = stored(store, {"a": b"other"})
    checkout_snapshot(store, other, tmp_path / "out")
    assert contents(tmp_path / "out") == {"a": b"other"}
    assert names(tmp_path) == ["elsewhere", "out"]


def test_what_another_process_is_writing_is_left_to_it(store: Counting, digest: Digest, tmp_path: Path) -> None:
    left = interrupt(store, digest, tmp_path / "out")
    owner = os.open(left.parent, os.O_RDONLY)
    fcntl.flock(owner, fcntl.LOCK_EX)
    with pytest.raises(Unavailable, match="another process"):
        checkout_snapshot(store, digest, tmp_path / "out")
    checkout_snapshot(store, digest, tmp_path / "other")
    assert left.exists()
    os.close(owner)
    checkout_snapshot(store, digest, tmp_path / "out")
    assert names(tmp_path) == ["other", "out"]


def test_a_folder_that_others_may_enter_is_not_ours(store: Counting, digest: Digest, tmp_path: Path) -> None:
    left = interrupt(store, digest, tmp_path / "out")
    left.parent.chmod(0o777)
    with pytest.raises(PermissionRefused, match="not made by us"):
        checkout_snapshot(store, digest, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_cured_by_repeating_leaves_nothing(store: Counting, digest: Digest, tmp_path: Path) -> None:
    freed(interrupt(store, digest, tmp_path / "out") / "large")
    del store._blobs[hash_bytes(FILES["large"])]
    with pytest.raises(NotFound):
        checkout_snapshot(store, digest, tmp_path / "out")
    with pytest.raises(UnsupportedFormat):
        checkout_snapshot(store, hash_bytes(FILES["run.sh"]), tmp_path / "out")
    assert names(tmp_path) == []


def test_a_tree_in_memory_and_its_snapshot_continue_each_other(store: Counting, digest: Digest, tmp_path: Path) -> None:
    interrupt(store, digest, tmp_path / "out", at=500)
    checkout_tree(store, Tree(tuple(row.entry() for row in rows(FILES))), tmp_path / "out")
    assert store.asked < 200
    assert contents(tmp_path / "out") == FILES


# A real disk, a real kill


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=False, capture_output=True)
    if done.returncode != 0:
        pytest.skip("only root mounts a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_disk_that_is_really_full_is_filled_on_when_it_has_grown(
    store: Counting, digest: Digest, small_disk: Path
) -> None:
    with pytest.raises(NoSpace):
        checkout_snapshot(store, digest, small_disk / "out")
    assert not (small_disk / "out").exists()
    subprocess.run(["mount", "-o", "remount,size=20m", small_disk], check=True)
    store.asked = 0
    checkout_snapshot(store, digest, small_disk / "out")
    assert store.asked < len(FILES)
    assert contents(small_disk / "out") == FILES


PROGRAM = """
import sys, time
from pathlib import Path
from holdfast.digest import Digest
from holdfast.store.checkout import checkout_snapshot
from holdfast.store.local import LocalStore

class Slow(LocalStore):
    def write_to(self, digest, sink):
        time.sleep(0.002)
        return super().write_to(digest, sink)

checkout_snapshot(Slow(Path(sys.argv[1])), Digest(sys.argv[2]), Path(sys.argv[3]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_checkout_is_continued(tmp_path: Path, number: signal.Signals) -> None:
    store, target = LocalStore(tmp_path / "store"), tmp_path / "x/out"
    digest = stored(store, FILES)
    for goal in (50, 250):
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, store.root, digest.hex, target],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, stderr=subprocess.DEVNULL,
        ) as child:  # fmt: skip
            end = time.monotonic() + PATIENCE_SECONDS
            while sum(len(files) for _, _, files in os.walk(tmp_path / "x")) < goal:
                assert child.poll() is None
                assert time.monotonic() < end
                time.sleep(0.005)
            child.send_signal(number)
        assert not target.exists()
    inodes = {path.stat().st_ino for path in (tmp_path / "x").rglob("*") if path.is_file()}
    checkout_snapshot(store, digest, target)
    assert contents(target) == FILES
    assert names(tmp_path / "x") == ["out"]
    kept = {path.stat().st_ino for path in target.rglob("*") if path.is_file()} & inodes
    assert len(kept) > 200


# Links


LARGE = {"data/large.bin": os.urandom(1 << 20), "small": b"small", "tool.sh": b"#!" + bytes(1 << 20)}


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def test_large_files_are_the_stores_own_where_that_was_asked_for(local: LocalStore, tmp_path: Path) -> None:
    done = checkout_snapshot(local, stored(local, LARGE), tmp_path / "out", link=True)
    own = local.exact(hash_bytes(LARGE["data/large.bin"]))
    assert contents(tmp_path / "out") == LARGE
    if own is None:
        pytest.skip("this store keeps no file of these bytes")
    assert done.linked == 1
    linked = (tmp_path / "out/data/large.bin").stat()
    assert os.path.samestat(linked, own.stat())
    assert stat.S_IMODE(linked.st_mode) == 0o444
    for path in ("small", "tool.sh"):
        assert (tmp_path / "out" / path).stat().st_nlink == 1
    assert os.access(tmp_path / "out/tool.sh", os.X_OK)


def test_nothing_is_linked_unasked(local: LocalStore, tmp_path: Path) -> None:
    digest = stored(local, LARGE)
    assert checkout_snapshot(local, digest, tmp_path / "out").linked == 0
    assert {path.stat().st_nlink for path in (tmp_path / "out").rglob("*") if path.is_file()} == {1}
    (tmp_path / "out/data/large.bin").write_bytes(b"changed")
    assert local.verify(hash_bytes(LARGE["data/large.bin"])) == 1 << 20


def test_what_cannot_be_linked_is_copied(local: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = stored(local, LARGE)

    def other_disk(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", other_disk)
        assert checkout_snapshot(local, digest, tmp_path / "out", link=True).linked == 0
    assert contents(tmp_path / "out") == LARGE


def test_a_store_without_files_is_copied_from(store: Counting, tmp_path: Path) -> None:
    digest = stored(store, LARGE)
    assert checkout_snapshot(store, digest, tmp_path / "out", link=True).linked == 0
    assert contents(tmp_path / "out") == LARGE


def test_links_are_continued_as_links_and_counted(local: LocalStore, tmp_path: Path) -> None:
    files = {**LARGE, "z": b"the last"}
    digest = stored(local, files)
    if local.exact(hash_bytes(LARGE["data/large.bin"])) is None:
        pytest.skip("this store keeps no file of these bytes")
    with pytest.MonkeyPatch.context() as patch:
        real = LocalStore.write_to

        def full(self: LocalStore, digest: Digest, sink: Sink) -> int:
            if digest == hash_bytes(b"the last"):
                raise OSError(28, "No space left on device")
            return real(self, digest, sink)

        patch.setattr(LocalStore, "write_to", full)
        with pytest.raises(NoSpace):
            checkout_snapshot(local, digest, tmp_path / "out", link=True)
    assert checkout_snapshot(local, digest, tmp_path / "out", link=True).linked == 1
    assert contents(tmp_path / "out") == files
    assert hashlib.sha256((tmp_path / "out/z").read_bytes()).hexdigest() == hash_bytes(b"the last").hex
