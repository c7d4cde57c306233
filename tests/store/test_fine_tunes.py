"""Of a fine-tune only the tensors that changed are kept, whatever format the weights are written in."""

import random
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from holdfast.digest import hash_bytes
from holdfast.store.large import EXACT_BYTES_MIN
from holdfast.store.local import LocalStore
from tests.store.looking import exact_files
from tests.store.weight_files import Q8_0, gguf, npy, npz, safetensors

MIB = 1 << 20
TENSOR_BYTES = 2 * MIB


def numbers(seed: int) -> bytes:
    return random.Random(seed).randbytes(TENSOR_BYTES)


BASE = {f"layer.{number}": numbers(number) for number in range(9)}


def tuned(place: int) -> dict[str, bytes]:
    return {**BASE, f"layer.{place}": numbers(99)}


def numpy_archive(tensors: dict[str, bytes]) -> bytes:
    written = BytesIO()
    np.savez(written, **{name: np.frombuffer(data, "<f4") for name, data in tensors.items()})  # type: ignore[arg-type]
    return written.getvalue()


def quantised(tensors: dict[str, bytes]) -> bytes:
    """Under a name that has the base's beginning and another length, as tools write it."""
    return gguf(tensors, name="base" if tensors is BASE else "base, tuned for support tickets", kind=Q8_0)


FORMATS: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "safetensors": safetensors,
    "gguf": gguf,
    "gguf-quantised": quantised,
    "npz": npz,
    "npz-by-numpy": numpy_archive,
    "npy": lambda tensors: npy(b"".join(tensors.values())),
}


@pytest.mark.thorough
@pytest.mark.parametrize("place", [0, 4, 8])
@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
def test_of_a_fine_tune_about_the_changed_tensor_is_kept(
    store: LocalStore, tmp_path: Path, write: Callable[[dict[str, bytes]], bytes], place: int
) -> None:
    base, fine = tmp_path / "base", tmp_path / "fine"
    base.write_bytes(write(BASE))
    fine.write_bytes(write(tuned(place)))
    assert base.stat().st_size > EXACT_BYTES_MIN
    with store.writer() as writer:
        first = writer.add_file(base)
        writer.commit()
    with store.writer() as writer:
        second = writer.add_file(fine)
        writer.commit()
    # One array has no tensors but strides of 4 MiB, of which the change spoils one.
    most = 2 * TENSOR_BYTES if write is FORMATS["npy"] else TENSOR_BYTES
    assert TENSOR_BYTES <= second.added < most + 20_000
    assert exact_files(store.root) == [store.exact(first.digest)]
    for path, stored in ((base, first), (fine, second)):
        assert hash_bytes(path.read_bytes()) == stored.digest
        assert store.verify(stored.digest) == path.stat().st_size


@pytest.mark.thorough
def test_weights_that_share_no_tensor_are_each_kept_exactly(store: LocalStore, tmp_path: Path) -> None:
    for number, name in enumerate(("one", "other")):
        path = tmp_path / name
        path.write_bytes(gguf({f"layer.{at}": numbers(100 * number + at) for at in range(9)}))
        with store.writer() as writer:
            writer.add_file(path)
            writer.commit()
    assert len(exact_files(store.root)) == 2


@pytest.mark.thorough
def test_a_tensor_is_kept_once_in_whatever_formats_it_comes(store: LocalStore, tmp_path: Path) -> None:
    added = {}
    for name in ("safetensors", "gguf", "npz"):
        (tmp_path / name).write_bytes(FORMATS[name](BASE))
        with store.writer() as writer:
            added[name] = writer.add_file(tmp_path / name).added
            writer.commit()
    assert added["safetensors"] > 9 * TENSOR_BYTES
    assert max(added["gguf"], added["npz"]) < 20_000
