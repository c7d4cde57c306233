"""Which chunks of two files of weights stand in the same place, so that one may be little else than the other.

    new = standings(chunks, head)       # of the file that is to be stored
    old = standings(chunks, head)       # of a file that it may be like
    [(one.id, other.id) for one in new for other in old if one.spot == other.spot]

Two chunks stand alike when they have the same length and begin at the same offset in tensors of the same name, type and
shape. Nothing is said of what is in them: whoever uses it looks whether anything is gained.
"""

from collections.abc import Iterable
from typing import NamedTuple

from holdfast.store.codec import PLANES, ZSTD
from holdfast.store.tensors import Tensor, tensors

__all__ = ["Spot", "Standing", "standings"]


class Spot(NamedTuple):
    """Where a chunk stands, apart from where its tensor is in the file.

    Attributes:
        tensor: the name of its tensor.
        dtype: the type of its numbers, as the format of the file spells it.
        shape: the tensor's dimensions.
        offset: of the chunk's first byte in the tensor.
        length: of the chunk, in bytes.
    """

    tensor: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    length: int


class Standing(NamedTuple):
    """A chunk of a file of weights.

    Attributes:
        id: its name.
        spot: where it stands.
        hint: the codec to try on it: the width of its numbers, where that is one.
    """

    id: bytes
    spot: Spot
    hint: int


def standings(chunks: Iterable[tuple[bytes, int]], head: bytes) -> list[Standing]:
    """Those chunks of a file that lie within one tensor; none when it is not a file of tensors.

    Args:
        chunks: id and length of each, in order.
        head: the first `HEAD_BYTES` of the file, or all of it when it is shorter.
    """
    listed = iter(tensors(head) or ())
    tensor = next(listed, None)
    found: list[Standing] = []
    begin = 0
    for id_, length in chunks:
        while tensor is not None and tensor.end <= begin:
            tensor = next(listed, None)
        if tensor is None:
            break
        if tensor.shape is not None and tensor.begin <= begin and begin + length <= tensor.end:
            spot = Spot(tensor.name, tensor.dtype, tensor.shape, begin - tensor.begin, length)
            found.append(Standing(id_, spot, _hint(tensor, tensor.shape)))
        begin += length
    return found


def _hint(tensor: Tensor, shape: tuple[int, ...]) -> int:
    """What the length and the count of its numbers say, whatever a format calls them."""
    size, count = tensor.end - tensor.begin, 1
    for side in shape:
        count *= side
        if not 0 < count <= size:
            return ZSTD  # no such numbers can be in there, however many sides are still to come
    return size // count if size % count == 0 and size // count in PLANES else ZSTD
