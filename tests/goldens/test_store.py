"""The bytes of a pack and of an index, and where a known sequence is cut: other versions of Holdfast rely on them."""

from collections.abc import Callable
from hashlib import sha256
from itertools import accumulate

import pytest
from blake3 import blake3

from holdfast.canonical import encode
from holdfast.store.cut import CUTTING, HEAD_BYTES, cutter_for
from holdfast.store.index import EXACT, PACK, Segment, index_bytes, row_bytes, rows_inside
from holdfast.store.pack import (
    BLOB,
    CHUNK,
    HEADER_BYTES,
    PACK_START,
    RECIPE,
    Record,
    directory,
    header,
    recipe_bytes,
)
from tests.store.weight_files import gguf, npy, npz, safetensors

Golden = Callable[[str, bytes], None]

LENGTH = 8 << 20


def sequence() -> bytes:
    """Eight mebibytes that everybody can make: the digests of 0, 1, 2 and so on, written in decimal."""
    return b"".join(sha256(b"%d" % number).digest() for number in range(LENGTH // 32))


def pack() -> tuple[bytes, list[Record]]:
    chunk = b"a chunk of another blob"
    recipe = recipe_bytes([(blake3(chunk).digest(), len(chunk))] * 2)
    records = [
        (BLOB, sha256(b"hello").digest(), b"hello"),
        (CHUNK, blake3(chunk).digest(), chunk),
        (RECIPE, sha256(chunk * 2).digest(), recipe),
        (BLOB, sha256(b"").digest(), b""),
    ]
    data, listed = PACK_START, []
    for kind, id_, stored in records:
        listed.append(Record(len(data) + HEADER_BYTES, kind, 0, len(stored), len(stored), id_))
        data += header(listed[-1]) + stored
    return data + directory(listed, len(data)), listed


def test_a_small_pack(golden: Golden) -> None:
    golden("small.pack", pack()[0])


def test_a_small_index(golden: Golden) -> None:
    data, records = pack()
    segments = [
        Segment(PACK, blake3(data).hexdigest(), len(data)),
        Segment(EXACT, sha256(b"x" * 300).hexdigest(), 300),
    ]
    # A recipe's row states the length of the blob that it puts together.
    rows = [row_bytes(record._replace(length=46) if record.kind == RECIPE else record, 0) for record in records]
    chunks = [(blake3(b"x" * 200).digest(), 200), (blake3(b"x" * 100).digest(), 100)]
    many = [Record(64, CHUNK, 1, 9, 5, blake3(b"%d" % number).digest()) for number in range(40)]
    golden("small.index", index_bytes(segments, [*rows, *rows_inside(chunks, 1)]))
    golden("fan-out.index", index_bytes(segments, [row_bytes(record, 0) for record in many]))


@pytest.mark.parametrize("kind", ["plain", "text"])
def test_where_a_known_sequence_is_cut(golden: Golden, kind: str) -> None:
    """What cuts is somebody else's: another version of it must not move a boundary unseen."""
    data = sequence() if kind == "plain" else sequence().hex().encode()[:LENGTH]
    cutter = cutter_for(data[:HEAD_BYTES], CUTTING)
    chunks = [*cutter.feed(data), *cutter.finish()]
    ends = accumulate(len(chunk.data) for chunk in chunks)
    golden(f"{kind}.cuts", "".join(f"{end}\n" for end in ends).encode())


@pytest.mark.parametrize("kind", ["safetensors", "gguf", "npy", "npz"])
def test_where_a_known_file_of_tensors_is_cut(golden: Golden, kind: str) -> None:
    data = sequence()
    tensors = {"embedding": data[: 5 << 20], "empty": b"", "layer": data[5 << 20 : 6 << 20], "bias": data[-1002:-2]}
    makers: dict[str, Callable[[dict[str, bytes]], bytes]] = {"safetensors": safetensors, "gguf": gguf, "npz": npz}
    file = makers[kind](tensors) if kind in makers else npy(data[: 6 << 20])
    cutter = cutter_for(file[:HEAD_BYTES], CUTTING)
    chunks = [*cutter.feed(file), *cutter.finish()]
    ends = accumulate(len(chunk.data) for chunk in chunks)
    lines = (f"{end} {chunk.hint} {blake3(chunk.data).hexdigest()}\n" for end, chunk in zip(ends, chunks, strict=True))
    golden(f"{kind}.cuts", "".join(lines).encode())


def test_how_new_stores_cut(golden: Golden) -> None:
    golden("cutting.json", encode(CUTTING.to_json()) + b"\n")
