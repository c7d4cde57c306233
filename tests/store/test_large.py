"""Large files: which are kept exactly, what a later version adds, and what heals them."""

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import IntegrityError, SourceChanged
from holdfast.store.codec import ZSTD
from holdfast.store.index import EXACT
from holdfast.store.large import EXACT_BYTES_MIN
from holdfast.store.local import LocalStore
from holdfast.store.pack import CHUNK, RECIPE, recipe_bytes
from tests.store.looking import exact_files, names, packs
from tests.store.spoiling import flip, write_pack

MIB = 1 << 20


def chance(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def added(store: LocalStore, path: Path, data: bytes) -> Digest:
    path.write_bytes(data)
    with store.writer() as writer:
        digest = writer.add_file(path).digest
        writer.commit()
    assert digest == hash_bytes(data)
    return digest


def packed_bytes(store: LocalStore) -> int:
    return sum(path.stat().st_size for path in packs(store.root))


def held(store: LocalStore, digest: Digest) -> bool:
    """Whether every way of reading gives the bytes that the digest names."""
    size = store.size(digest)
    with store.open(digest) as handle:
        assert hash_bytes(handle.read()) == digest
        handle.seek(size // 2)
        assert len(handle.read()) == size - size // 2
    assert hash_bytes(store.read(digest, bytes_max=size)) == digest
    return store.verify(digest) == size and store.has(digest)


# Which are kept exactly


@pytest.mark.thorough
def test_a_large_new_file_is_kept_exactly(store: LocalStore, tmp_path: Path) -> None:
    data = chance(EXACT_BYTES_MIN)
    digest = added(store, tmp_path / "model", data)
    (exact,) = exact_files(store.root)
    assert store.exact(digest) == exact
    assert exact.read_bytes() == data
    assert packed_bytes(store) < len(data) / 500
    assert held(store, digest)


@pytest.mark.thorough
def test_one_byte_less_goes_into_a_pack(store: LocalStore, tmp_path: Path) -> None:
    digest = added(store, tmp_path / "model", chance(EXACT_BYTES_MIN - 1))
    assert exact_files(store.root) == []
    assert store.exact(digest) is None
    assert held(store, digest)


@pytest.mark.thorough
@pytest.mark.parametrize("of", ["model.bin", "text"])
def test_of_a_later_version_only_what_is_new_is_kept(store: LocalStore, tmp_path: Path, of: str) -> None:
    data = bytearray(chance(20 * MIB))
    first = added(store, tmp_path / "model", bytes(data))
    before = packed_bytes(store)
    at, changed = 7 * MIB + 12_345, len(data) // 20
    if of == "text":  # put in, so that all that follows moves
        data[at:at] = chance(changed, 2)
    else:
        data[at : at + changed] = chance(changed, 2)
    second = added(store, tmp_path / "model", bytes(data))
    assert exact_files(store.root) == [store.exact(first)]
    assert store.exact(second) is None
    assert changed < packed_bytes(store) - before < changed * 1.4 + 500_000
    assert held(store, first)
    assert held(store, second)


@pytest.mark.thorough
def test_what_shrinks_goes_into_packs(store: LocalStore, tmp_path: Path) -> None:
    numbers = random.Random(1)
    text = b"".join(b"%d,%d,%d\n" % (n, numbers.randrange(100), numbers.randrange(100)) for n in range(1_500_000))
    assert len(text) > EXACT_BYTES_MIN
    digest = added(store, tmp_path / "table.csv", text)
    assert exact_files(store.root) == []
    assert packed_bytes(store) < len(text) * 0.75
    assert held(store, digest)


def tensors(dtype: str, width: int, seed: int, size: int = 17 * MIB) -> bytes:
    """Weights as they are: their exponents alike, their other bytes chance."""
    body = bytearray(chance(size, seed))
    body[width - 1 :: width] = b"\x3c" * len(body[width - 1 :: width])
    header = b'{"a":{"dtype":"%s","shape":[],"data_offsets":[0,%d]}}' % (dtype.encode(), len(body))
    return len(header).to_bytes(8, "little") + header + body


@pytest.mark.thorough
@pytest.mark.parametrize(("dtype", "width"), [("BF16", 2), ("F32", 4)])
def test_fine_tunes_are_kept_in_packs_by_the_planes_of_their_numbers(
    store: LocalStore, tmp_path: Path, dtype: str, width: int
) -> None:
    base, tuned = tensors(dtype, width, 1), tensors(dtype, width, 2)
    first = added(store, tmp_path / "base.safetensors", base)
    second = added(store, tmp_path / "tuned.safetensors", tuned)
    assert store.exact(second) is None
    places = [place for _, place in store._catalog.all() if place.kind == CHUNK and place.segment.kind != EXACT]
    assert width in {place.codec for place in places}
    assert {place.codec for place in places} <= {width, 0, ZSTD}
    assert held(store, first)
    assert held(store, second)


@pytest.mark.thorough
def test_bytes_that_arrive_in_pieces_are_never_kept_exactly(store: LocalStore) -> None:
    data = chance(EXACT_BYTES_MIN)
    with store.writer() as writer:
        piecewise = writer.add_pieces(data[at : at + 1_000_003] for at in range(0, len(data), 1_000_003))
        assert piecewise.new
        assert not writer.add_bytes(data).new
        writer.commit()
    assert exact_files(store.root) == []
    assert held(store, piecewise.digest)


@pytest.mark.thorough
def test_the_same_large_file_twice_in_one_commit_is_kept_once(store: LocalStore, tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).write_bytes(chance(EXACT_BYTES_MIN))
    with store.writer() as writer:
        one, other = writer.add_files([tmp_path / "one", tmp_path / "other"])
        writer.commit()
    assert {one.new, other.new} == {True, False}  # two threads read them, and either may come first
    assert len(exact_files(store.root)) == 1
    assert held(store, one.digest)


def test_a_file_that_shrinks_before_it_is_sampled_is_refused(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model"
    path.write_bytes(chance(EXACT_BYTES_MIN))
    real = os.pread

    def pread(descriptor: int, length: int, offset: int) -> bytes:
        os.truncate(path, 100)
        return real(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", pread)
    with store.writer() as writer, pytest.raises(SourceChanged):
        writer.add_file(path)


def test_a_large_source_that_cannot_be_sampled_is_named(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model"
    path.write_bytes(chance(EXACT_BYTES_MIN))

    def pread(_descriptor: int, _length: int, _offset: int) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", pread)
    with store.writer() as writer, pytest.raises(IntegrityError) as caught:
        writer.add_file(path)
    assert caught.value.details["path"] == str(path)


@pytest.mark.thorough
def test_a_handle_asks_for_each_chunk_once(store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tensors("BF16", 2, 1)
    digest = added(store, tmp_path / "model", data)
    real, asked = LocalStore._chunk, []

    def chunk(of: LocalStore, id_: bytes, length: int) -> bytes:
        asked.append(length)
        return real(of, id_, length)

    monkeypatch.setattr(LocalStore, "_chunk", chunk)
    with store.open(digest) as handle:
        verified = len(asked)
        assert hash_bytes(handle.read()) == digest
    assert len(asked) - verified <= verified + 1


# What heals them

LARGE = b"".join(b"%d," % number for number in range(3000))


@pytest.mark.usefixtures("exactly")
@pytest.mark.parametrize("found_by", [LocalStore.verify, LocalStore.open, LocalStore.exact, None])
def test_a_damaged_chunk_in_an_exact_file_is_healed_by_adding_the_file_again(
    store: LocalStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    found_by: Callable[[LocalStore, Digest], object] | None,
) -> None:
    digest = added(store, tmp_path / "large", LARGE)
    (exact,) = exact_files(store.root)
    flip(exact, 5000)
    if found_by is not None:
        with pytest.raises(IntegrityError):
            found_by(store, digest)
    else:
        assert not store.check().ok
    monkeypatch.undo()  # it is no longer new, so that it is not kept exactly again
    assert not store.has(digest)
    assert added(store, tmp_path / "large", LARGE) == digest
    for opened in (store, LocalStore(store.root)):
        assert held(opened, digest)
        assert opened.exact(digest) is None
        assert opened.has(digest), "looking for an exact file has not made it missing"
        assert held(opened, digest)
        assert names(store.root / "damaged") == []
    before = packed_bytes(store)
    with store.writer() as writer:
        assert not writer.add_file(tmp_path / "large").new
        writer.commit()
    assert packed_bytes(store) == before


@pytest.mark.usefixtures("exactly")
def test_an_exact_file_that_is_lost_is_made_again(store: LocalStore, tmp_path: Path) -> None:
    digest = added(store, tmp_path / "large", LARGE)
    (exact,) = exact_files(store.root)
    exact.unlink()
    again = LocalStore(store.root)
    assert not again.has(digest)
    assert added(again, tmp_path / "large", LARGE) == digest
    assert again.exact(digest) == exact
    for opened in (store, again):
        assert held(opened, digest)


@pytest.mark.usefixtures("exactly")
def test_an_exact_file_that_is_damaged_all_over_is_made_again_and_nothing_stays_marked(
    store: LocalStore, tmp_path: Path
) -> None:
    digest = added(store, tmp_path / "large", LARGE)
    (exact,) = exact_files(store.root)
    exact.chmod(0o644)
    exact.write_bytes(bytes(len(LARGE)))
    assert not store.check().ok
    assert len(names(store.root / "damaged")) > 1
    assert added(store, tmp_path / "large", LARGE) == digest
    assert names(store.root / "damaged") == []
    assert store.exact(digest) == exact
    assert held(store, digest)


@pytest.mark.usefixtures("exactly")
def test_without_its_recipe_an_exact_file_is_still_read(store: LocalStore, tmp_path: Path) -> None:
    digest = added(store, tmp_path / "large", LARGE)
    for pack in packs(store.root):
        pack.unlink()
    again = LocalStore(store.root)
    assert again.exact(digest)
    assert held(again, digest)
    assert held(store, digest)


def test_a_recipe_of_more_than_it_says_is_not_read_to_its_end(store: LocalStore) -> None:
    """Whoever can write to the store could otherwise fill the memory of whoever asks for a small blob."""
    with store.writer():
        data = bytes(MIB)
    chunk = blake3(data).digest()
    digest = hash_bytes(b"small")
    recipe = recipe_bytes([(chunk, len(data))] * 4000)
    write_pack(store._layout, [(CHUNK, chunk, len(data), data), (RECIPE, bytes.fromhex(digest.hex), 5, recipe)])
    code = (
        "import sys; from pathlib import Path; from holdfast.store.local import LocalStore\n"
        "from holdfast.digest import Digest; from holdfast.errors import IntegrityError\n"
        "from tests.store.memory import peak_kilobytes\n"
        "try: LocalStore(Path(sys.argv[1])).read(Digest(sys.argv[2]), bytes_max=5)\n"
        "except IntegrityError: print(peak_kilobytes())\n"
    )
    assert int(run(code, store.root, digest.hex)) < 150_000


def run(code: str, *arguments: object) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    return ended.stdout


MEMORY = """
import sys
from pathlib import Path
from holdfast.store.local import LocalStore
from tests.store.memory import peak_kilobytes

store, source, target = LocalStore(Path(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3])
with store.writer() as writer:
    stored = writer.add_file(source)
    writer.commit()
store.copy_to(stored.digest, target, mode=0o644)
with store.open(stored.digest) as handle:
    handle.seek(stored.size // 2)
    assert handle.read(10)
assert store.verify(stored.digest) == stored.size == target.stat().st_size
assert store.check().ok
print(peak_kilobytes(), store.exact(stored.digest) is not None)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "size"), [("holes", 600 * MIB), ("chance", 300 * MIB)])
def test_memory_stays_flat_whatever_the_size_of_a_file(root: Path, tmp_path: Path, kind: str, size: int) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        if kind == "chance":
            for seed in range(size // (4 * MIB)):
                file.write(chance(4 * MIB, seed))
        else:
            file.truncate(size)
    peak, is_exact = run(MEMORY, root, path, tmp_path / "target").split()
    assert int(peak) < 250_000, "kilobytes"
    assert is_exact == str(kind == "chance")
