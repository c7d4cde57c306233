"""Files of weights that are like each other: a base, and what was tuned from it."""

import json
import random
from collections.abc import Mapping
from itertools import accumulate, pairwise

from holdfast.digest import Digest
from holdfast.store.codec import needs_base
from holdfast.store.index import Place
from holdfast.store.local import LocalStore
from holdfast.store.pack import CHUNK
from holdfast.store.remote.remote import Remote

TENSORS = 6
NUMBERS = 8_000
"""Of each tensor; of two bytes each."""


def weights(seed: int, numbers: int = NUMBERS) -> bytes:
    """Numbers of two bytes whose first one is chance and whose second one is one of a few."""
    chance = random.Random(seed)
    data = bytearray(chance.randbytes(2 * numbers))
    data[1::2] = bytes(chance.choices([0x3B, 0x3C, 0xBB, 0xBC], k=numbers))
    return bytes(data)


def tuned(data: bytes, seed: int) -> bytes:
    """The same, a few of the lowest bits turned over."""
    chance = random.Random(seed)
    moved = bytearray(data)
    moved[0::2] = bytes(byte ^ chance.choice((0, 0, 0, 1, 3)) for byte in data[0::2])
    return bytes(moved)


def file_of(tensors: Mapping[str, bytes], dtype: str = "BF16", width: int = 2) -> bytes:
    """A safetensors file."""
    ends = pairwise(accumulate([0, *map(len, tensors.values())]))
    header = {
        name: {"dtype": dtype, "shape": [len(data) // width], "data_offsets": [begin, end]}
        for (name, data), (begin, end) in zip(tensors.items(), ends, strict=True)
    }
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"".join(tensors.values())


def family(seed: int, models: int) -> list[bytes]:
    """A base, and models of which every tensor was tuned from it."""
    base = {f"layer.{number}": weights(100 * seed + number) for number in range(TENSORS)}
    later = [{name: tuned(data, 1000 * seed + model) for name, data in base.items()} for model in range(1, models)]
    return [file_of(base), *map(file_of, later)]


def added(store: LocalStore, *contents: bytes) -> list[Digest]:
    """These blobs, committed."""
    with store.writer() as writer:
        digests = [writer.add_bytes(data).digest for data in contents]
        writer.commit()
    return digests


def chunk_rows(remote: Remote) -> list[tuple[bytes, Place]]:
    """Every row of a chunk that the remote lists now."""
    remote.catalog.refresh()
    return [(id_, place) for id_, place in remote.catalog.all() if place.kind == CHUNK]


def resting(remote: Remote) -> list[tuple[bytes, Place]]:
    """Those of which the chunk rests on another."""
    return [(id_, place) for id_, place in chunk_rows(remote) if needs_base(place.codec)]
