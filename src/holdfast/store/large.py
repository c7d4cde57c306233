"""Taking in a large blob: read once, while one thread names the whole and another cuts it.

A large new file is kept as its exact bytes when nothing like it is in the store, so that it can be linked and mapped; a
later version of it stores only the chunks that are new. docs/FORMAT.md, "Exact files", says how the two are told apart.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

from blake3 import blake3

from holdfast.digest import Digest
from holdfast.store.codec import ZSTD, pack_bytes
from holdfast.store.cut import HEAD_BYTES, Chunk, Cutter, Cutting, Plan, content_cutter, cutter_for, plan_for
from holdfast.store.naming import Naming
from holdfast.store.tensors import SAFETENSORS, UNTIL_THE_END

__all__ = ["EXACT_BYTES_MIN", "Cut", "cut_pieces", "deserves_exact_file"]

EXACT_BYTES_MIN = 16 << 20
"""A blob that would fill a quarter of a pack by itself; below this a copy costs less than a file of its own."""

_SAMPLES = 16
_SAMPLE_CHUNKS = 8
"""Sixteen samples of eight average chunks meet a part that two versions share, if it is a fifth of them, in 97 of 100
cases."""

_UNSURE_CHUNKS = 2
"""Cutting that begins in the middle falls into step with cutting from the start after a chunk or two."""

_TENSOR_SAMPLE_BYTES = 16 << 20
_FAR_APART = 5
"""Of a file of tensors, chunks from all over it are hashed to find whether one like it is here, every fifth of them
first, as long as they have no more bytes than this: four of the largest chunks, or all of smaller ones."""

_SHRINKS_BELOW = 0.75
"""A file that loses a quarter by compression is kept compressed: space is worth more than a hard link then."""

_AHEAD = 4
"""Pieces read before the first of them has been cut: they keep all threads busy, and memory flat."""

Known = Callable[[Chunk], bool]


@dataclass(frozen=True, slots=True)
class Cut:
    """A blob that was cut.

    Attributes:
        digest: its name.
        size: bytes.
        chunks: id and length of each chunk.
        added: bytes of the chunks that were new.
    """

    digest: Digest
    size: int
    chunks: list[tuple[bytes, int]]
    added: int


def cut_pieces(pieces: Iterable[bytes], cutting: Cutting, take: Callable[[bytes, Chunk], bool]) -> Cut:
    """Name and cut the blob that consists of `pieces`.

    Args:
        pieces: its bytes in order; the first holds `HEAD_BYTES`, or all of it.
        cutting: how to cut.
        take: is given each chunk and its id, in order, by one thread; whether it was new.

    Raises:
        Whatever `pieces` or `take` raises.
    """
    size = 0
    knife = _Knife(cutting, take)
    with Naming() as name, ThreadPoolExecutor(1, "holdfast-cut") as cutting_up:
        running: deque[Future[None]] = deque()
        try:
            for piece in pieces:
                size += len(piece)
                name.update(piece)
                running.append(cutting_up.submit(knife.cut, piece))
                while len(running) > _AHEAD:
                    running.popleft().result()
            while running:
                running.popleft().result()
        except BaseException:
            for future in running:
                future.cancel()
            raise
        knife.finish()
        return Cut(name.digest(), size, knife.chunks, knife.added)


class _Knife:
    """Cuts one blob, names its chunks and gives them away."""

    def __init__(self, cutting: Cutting, take: Callable[[bytes, Chunk], bool]) -> None:
        self._cutting = cutting
        self._take = take
        self._cutter: Cutter | None = None
        self.chunks: list[tuple[bytes, int]] = []
        self.added = 0

    def cut(self, piece: bytes) -> None:
        if self._cutter is None:
            self._cutter = cutter_for(piece, self._cutting)
        self._keep(self._cutter.feed(piece))

    def finish(self) -> None:
        if self._cutter is not None:
            self._keep(self._cutter.finish())

    def _keep(self, chunks: Iterator[Chunk]) -> None:
        for chunk in chunks:
            id_ = blake3(chunk.data).digest()
            if self._take(id_, chunk):
                self.added += len(chunk.data)
            self.chunks.append((id_, len(chunk.data)))


def deserves_exact_file(descriptor: int, size: int, cutting: Cutting, known: Known) -> bool:
    """Whether nothing like the open file is in the store, and compressing it would gain little.

    Args:
        descriptor: the file; its position is left as it is.
        size: its bytes.
        cutting: how to cut.
        known: whether the store has a chunk.
    """
    if size < EXACT_BYTES_MIN:
        return False
    head = os.pread(descriptor, HEAD_BYTES, 0)
    plan = plan_for(head, cutting)
    if plan is not None and any(map(known, _tensor_chunks(descriptor, head, size, plan, cutting))):
        return False
    packed = sampled = 0
    for number in range(_SAMPLES):
        sample = os.pread(descriptor, _SAMPLE_CHUNKS * cutting.plain.average, number * (size // _SAMPLES))
        packed += len(pack_bytes(sample, ZSTD)[1])
        sampled += len(sample)
        if plan is None and any(map(known, _sure_chunks(head, sample, cutting))):
            return False
    return packed > sampled * _SHRINKS_BELOW


def _sure_chunks(head: bytes, sample: bytes, cutting: Cutting) -> list[Chunk]:
    """The chunks of a sample from the middle that are the same as those of the whole."""
    cutter = content_cutter(head, cutting)
    return list(cutter.feed(sample))[_UNSURE_CHUNKS:]


def _tensor_chunks(descriptor: int, head: bytes, size: int, plan: Plan, cutting: Cutting) -> Iterator[Chunk]:
    """Chunks of a file of tensors that a version like it would have too: its header, then some from all over it."""
    if plan.kind == SAFETENSORS:  # the names and shapes of all tensors; other headers say less, or what changes
        yield next(cutter_for(head, cutting).feed(head))
    places = list(dict.fromkeys(_places(descriptor, size, plan, cutting.tensor_stride)))
    left = _TENSOR_SAMPLE_BYTES
    for begin, end in chain.from_iterable(places[first::_FAR_APART] for first in range(_FAR_APART)):
        if left < end - begin:
            return
        left -= end - begin
        yield Chunk(os.pread(descriptor, end - begin, begin))


def _places(descriptor: int, size: int, plan: Plan, stride: int) -> Iterator[tuple[int, int]]:
    """Where the chunks begin and end that hold the first byte of each sixteenth of what follows the header."""
    wanted = deque(plan.begin + number * ((size - plan.begin) // _SAMPLES) for number in range(_SAMPLES))
    begin = 0
    for length, _ in chain(plan.spans(lambda at, count: os.pread(descriptor, count, at)), [(UNTIL_THE_END, ZSTD)]):
        end = min(begin + length, size)
        while wanted and wanted[0] < end:
            first = begin + (wanted.popleft() - begin) // stride * stride
            yield first, min(first + stride, end)
        begin = end
        if not wanted:
            return
