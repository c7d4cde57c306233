"""What the benchmarks of the store are fed with: a seed makes the same bytes, and they are what is said of them."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from _generate_files import change_small_files, checkpoint, hand_over, random_file, small_files, tiny_files
from _generate_tables import WRITERS, Growing
from _generate_tensors import MODELS, Family, Shape, rounded, widened
from _measuring import tree_digest


def write_small_files(folder: Path, seed: int) -> None:
    small_files(folder, 0.001, seed)


def write_changed_files(folder: Path, seed: int) -> None:
    small_files(folder, 0.001)
    change_small_files(folder, seed)


def write_tiny_files(folder: Path, seed: int) -> None:
    tiny_files(folder, 0.0005, seed)


def write_random_file(folder: Path, seed: int) -> None:
    random_file(folder / "large.bin", 100_000, seed)


def write_checkpoint(folder: Path, seed: int) -> None:
    checkpoint(folder / "checkpoint.pt", 100_000, 3, seed)


def write_tensors(folder: Path, seed: int) -> None:
    Family(hidden=16, vocabulary=64, seed=seed).write(2, folder / "model.safetensors")


def write_tables(folder: Path, seed: int) -> None:
    growing = Growing(2_000, seed)
    table = growing.next(growing.first(), 2)
    for kind, (name, write) in WRITERS.items():
        write(table, folder / f"{kind}-{name}")


@pytest.mark.parametrize(
    "write",
    [
        write_small_files,
        write_changed_files,
        write_tiny_files,
        write_random_file,
        write_checkpoint,
        write_tensors,
        write_tables,
    ],
)
def test_a_seed_stands_for_bytes(write: Callable[[Path, int], None], tmp_path: Path) -> None:
    digests = []
    for name, seed in (("once", 7), ("again", 7), ("other", 8)):
        (tmp_path / name).mkdir()
        write(tmp_path / name, seed)
        digests.append(tree_digest(tmp_path / name))
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


def test_small_files_have_the_sizes_that_are_said(tmp_path: Path) -> None:
    said = small_files(tmp_path, 0.004)
    sizes = [path.stat().st_size for path in tmp_path.rglob("*.*")]
    assert len(sizes) == 200
    assert abs(sum(sizes) - said) < said * 0.01
    assert abs(said - 814_000_000 * 0.004) < said * 0.01


def test_no_two_tiny_files_are_alike(tmp_path: Path) -> None:
    tiny_files(tmp_path, 0.001)
    contents = [path.read_bytes() for path in tmp_path.rglob("*.json")]
    assert len(set(contents)) == len(contents) == 1000
    assert max(map(len, contents)) <= 2_000


def test_a_change_leaves_files_alone_that_share_bytes_by_a_link(tmp_path: Path) -> None:
    small_files(tmp_path / "master", 0.004)
    before = tree_digest(tmp_path / "master")
    hand_over(tmp_path / "master", tmp_path / "data", copied=False)
    assert tree_digest(tmp_path / "data") == before
    assert change_small_files(tmp_path / "data") == (2, 2)
    assert tree_digest(tmp_path / "data") != before
    assert tree_digest(tmp_path / "master") == before
    names = [{path.name for path in (tmp_path / side / "00000").iterdir()} for side in ("master", "data")]
    assert names[0] <= names[1]


def test_versions_of_a_checkpoint_differ_in_their_last_twentieth(tmp_path: Path) -> None:
    for version in (1, 2):
        checkpoint(tmp_path / f"{version}", 200_000, version)
    one, two = ((tmp_path / name).read_bytes() for name in ("1", "2"))
    assert len(one) == len(two) == 200_000
    assert one[:190_000] == two[:190_000]
    assert one[190_000:] != two[190_000:]


def test_a_table_grows_and_is_corrected_in_a_few_rows() -> None:
    growing = Growing(10_000)
    first = growing.first()
    second = growing.next(first, 2)
    assert second.rows == first.rows + 200
    changed = {
        name: int((second.columns[name][: first.rows] != column).sum()) for name, column in first.columns.items()
    }
    assert 0 < changed.pop("price") <= growing.corrected
    assert 0 < changed.pop("status") <= growing.corrected
    assert set(changed.values()) == {0}


def tensors(path: Path) -> dict[str, bytes]:
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    assert header.pop("__metadata__") == {"format": "pt"}
    assert max(entry["data_offsets"][1] for entry in header.values()) == len(data) - 8 - length
    body = data[8 + length :]
    return {name: body[slice(*entry["data_offsets"])] for name, entry in header.items()}


def test_fine_tunes_differ_from_the_base_in_the_tensors_that_are_said(tmp_path: Path) -> None:
    family = Family(hidden=16, vocabulary=64)
    for model in range(1, MODELS + 1):
        family.write(model, tmp_path / f"{model}")
    base = tensors(tmp_path / "1")
    assert len(base) == 48
    for model in range(2, MODELS + 1):
        other = tensors(tmp_path / f"{model}")
        assert {name for name in base if other[name] != base[name]} == family.tuned(model)
    assert family.tuned(MODELS) == set(base)


@pytest.mark.thorough
def test_tensors_of_a_fine_tune_hold_a_tenth_of_the_bytes() -> None:
    family = Family()
    whole = sum(shape.size for shape in family.shapes())
    assert abs(whole - 200_000_000) < 1_000_000
    for model in range(2, 7):
        chosen = sum(shape.size for shape in family.shapes() if shape.name in family.tuned(model))
        assert 0.08 < chosen / whole < 0.11


def test_bfloat16_is_rounded_to_the_nearest_and_ties_to_even() -> None:
    exact = np.array([0.0, 1.0, -2.5, 0.02, 1.00390625, 1.01171875], dtype=np.float32)
    back = widened(rounded(exact))
    assert back.tolist()[:3] == [0.0, 1.0, -2.5]
    assert abs(float(back[3]) - 0.02) < 0.02 / 256
    assert back.tolist()[4:] == [1.0, 1.015625]


def test_a_tensor_takes_two_bytes_a_weight() -> None:
    assert Shape("weight", (3, 5)).size == 30
