"""A bundle as a directory, of which no byte is believed; and its way out of the store into the cache."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.digest import hash_bytes
from holdfast.errors import AlreadyExists, HoldfastError, IntegrityError, NotFound, TooLarge, UnsupportedFormat
from holdfast.manifest import MANIFEST_BYTES_MAX, MANIFEST_NAME
from holdfast.names import RelativePath
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.materialise import checkout_bundle, materialise, read_manifest
from holdfast.store.local import LocalStore
from holdfast.store.memory import MemoryStore
from tests.runtime.conftest import Bundles
from tests.store.spoiling import alone

WEIGHTS, CODE = "weights/model.joblib", "code/features.py"


def flip(path: Path, place: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.chmod(0o644)
    path.write_bytes(bytes(data))


def kept(files: BundleFiles, store: LocalStore | MemoryStore) -> None:
    with store.writer() as writer:
        for entry in files.manifest.files:
            writer.add_bytes(files.read(entry.path))
        writer.add_bytes(files.manifest.encode())
        writer.commit()


def test_every_file_is_read_by_its_digest(bundles: Bundles) -> None:
    files = bundles()
    for entry in files.manifest.files:
        assert hash_bytes(files.read(entry.path)) == entry.digest


@pytest.mark.parametrize("name", [WEIGHTS, CODE, "requirements.lock", "holdout/rows.json"])
def test_one_flipped_bit_is_found_and_named(bundles: Bundles, name: str) -> None:
    files = bundles(lock="# a lock\n")
    flip(files.root / name, -1)
    with pytest.raises(IntegrityError) as error:
        files.read(RelativePath(name))
    assert error.value.details["path"] == name
    assert error.value.details["expected"] == str(files.manifest.file(RelativePath(name)).digest)
    assert error.value.details["found"] != error.value.details["expected"]


def test_one_flipped_bit_in_the_manifest_is_found(bundles: Bundles) -> None:
    files = bundles()
    flip(files.root / MANIFEST_NAME, 40)
    with pytest.raises(IntegrityError):
        BundleFiles.open(files.root, expected=files.digest)


def test_another_bundle_in_its_place_is_found(bundles: Bundles) -> None:
    first, second = bundles(), bundles("def featurise(rows):\n    return rows\n")
    shutil.rmtree(first.root)
    shutil.copytree(second.root, first.root)
    with pytest.raises(IntegrityError):
        BundleFiles.open(first.root, expected=first.digest)
    assert BundleFiles.open(first.root).digest == second.digest


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def link(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


SPOIL: dict[str, Callable[[Path], object]] = {
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "shorter": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path: path.write_bytes(b""),
    "a folder": folder,
    "a pipe": pipe,
    "a link": link,
    "a link to nothing": dangling,
    "a link to a device": device,
}


@pytest.mark.parametrize("how", SPOIL)
@pytest.mark.parametrize("name", [WEIGHTS, MANIFEST_NAME])
def test_what_stands_in_a_files_place_is_refused(bundles: Bundles, how: str, name: str) -> None:
    files = bundles()
    SPOIL[how](files.root / name)
    with pytest.raises((IntegrityError, UnsupportedFormat)):
        BundleFiles.open(files.root, expected=files.digest).read(RelativePath(WEIGHTS))


def test_what_is_not_there_and_what_is_not_listed(bundles: Bundles) -> None:
    files = bundles()
    (files.root / WEIGHTS).unlink()
    (files.root / "code" / "stray.py").write_text("x = 3\n")
    with pytest.raises(NotFound):
        files.read(RelativePath(WEIGHTS))
    with pytest.raises(NotFound, match=r"no file code/stray\.py"):
        files.read(RelativePath("code/stray.py"))
    with pytest.raises(NotFound):
        BundleFiles.open(files.root / "code")
    with pytest.raises(NotFound):
        BundleFiles.open(files.root / "nowhere")


def test_a_huge_file_in_the_manifests_place_is_not_read_whole(bundles: Bundles) -> None:
    files = bundles()
    with (files.root / MANIFEST_NAME).open("wb") as handle:
        handle.truncate(MANIFEST_BYTES_MAX * 100)
    with pytest.raises(TooLarge):
        BundleFiles.open(files.root)


# The cache


def test_a_version_is_checked_out_once_and_verified_every_time(bundles: Bundles, tmp_path: Path) -> None:
    made, store = bundles(), MemoryStore()
    kept(made, store)
    files = materialise(store, made.digest, tmp_path / "cache")
    assert files.manifest == made.manifest
    assert files.root == tmp_path / "cache" / "bundles" / made.digest.hex
    before = (files.root / WEIGHTS).stat().st_ino
    assert materialise(store, made.digest, tmp_path / "cache").root == files.root
    assert (files.root / WEIGHTS).stat().st_ino == before
    assert read_manifest(store, made.digest) == made.manifest
    assert files.root.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", [WEIGHTS, CODE, MANIFEST_NAME])
@pytest.mark.parametrize("how", ["flip", "remove", *SPOIL])
def test_a_damaged_copy_in_the_cache_heals_from_the_store(
    bundles: Bundles, tmp_path: Path, name: str, how: str
) -> None:
    made, store = bundles(), LocalStore(tmp_path / "store")
    kept(made, store)
    files = materialise(store, made.digest, tmp_path / "cache")
    path = files.root / name
    if how == "flip":
        flip(path)
    elif how == "remove":
        path.unlink()
    else:
        SPOIL[how](path)
    healed = materialise(store, made.digest, tmp_path / "cache")
    for entry in healed.manifest.files:
        assert healed.read(entry.path) == made.read(entry.path)
    assert not path.is_symlink()


def test_damage_in_the_store_is_never_handed_out(bundles: Bundles, tmp_path: Path) -> None:
    made, store = bundles(), LocalStore(tmp_path / "store")
    kept(made, store)
    digest = made.manifest.file(RelativePath(WEIGHTS)).digest
    flip(alone(tmp_path / "store", digest))
    with pytest.raises(IntegrityError):
        materialise(store, made.digest, tmp_path / "cache")
    assert list((tmp_path / "cache" / "bundles").iterdir()) == []
    with pytest.raises(IntegrityError):
        checkout_bundle(store, made.digest, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_checkout_goes_into_a_free_folder_only(bundles: Bundles, tmp_path: Path) -> None:
    made, store = bundles(), MemoryStore()
    kept(made, store)
    (tmp_path / "empty").mkdir()
    assert checkout_bundle(store, made.digest, tmp_path / "empty").digest == made.digest
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    for taken in ("empty", "file", "link"):
        with pytest.raises(AlreadyExists):
            checkout_bundle(store, made.digest, tmp_path / taken)
    assert (tmp_path / "file").read_text() == "mine"
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(bundles: Bundles, tmp_path: Path) -> None:
    made, store = bundles(), MemoryStore()
    kept(made, store)
    (tmp_path / "file").write_text("")
    for way_out, place in ((checkout_bundle, tmp_path / "file" / "out"), (materialise, tmp_path / "file")):
        with pytest.raises(HoldfastError) as error:
            way_out(store, made.digest, place)
        assert error.value.hint


def test_a_version_that_the_store_does_not_hold(bundles: Bundles, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        materialise(MemoryStore(), bundles().digest, tmp_path / "cache")
    store = MemoryStore()
    with store.writer() as writer:
        other = writer.add_bytes(b"no manifest").digest
        writer.commit()
    with pytest.raises(UnsupportedFormat):
        materialise(store, other, tmp_path / "cache")
