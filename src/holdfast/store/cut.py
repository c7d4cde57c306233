"""Where a large blob is cut into chunks: by what its bytes are, never by its name.

    cutter = cutter_for(head, CUTTING)
    for piece in pieces: cutter.feed(piece)      # -> the chunks that are certain by now
    cutter.finish()                              # -> the rest

The chunks joined are the bytes, and where the pieces began and ended makes no difference. docs/FORMAT.md, "Cutting", is
the description for everybody who does not read Python; its parameters stand in the config of each store.

Content-defined cutting: Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication Based Storage
Systems", IEEE TPDS 31(9), 2020.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from holdfast.canonical import JsonObject, Reader
from holdfast.errors import MissingExtra, UnsupportedFormat
from holdfast.store.codec import ZSTD
from holdfast.store.pack import RECORD_BYTES_MAX
from holdfast.store.tensors import HEAD_BYTES, TensorFile, read_head

__all__ = ["CUTTING", "HEAD_BYTES", "Chunk", "Cutter", "Cutting", "Sizes", "cutter_for", "is_tensors"]

_TEXT_HEAD_BYTES = 4096
"""Enough to meet a zero byte, or one that is not UTF-8, in nearly everything that is no text."""

_COLUMNAR = (b"PAR1", b"ARROW1")
"""Tables by columns: corrections are scattered over them, so small chunks keep more of them, as in text."""

_MINIMUM_MIN, _AVERAGE_MIN, _MAXIMUM_MIN = 64, 256, 1024
"""The finest that the native code cuts. A chunk can be as long as a record, and no longer."""

_NUMBER_BYTES = {"BF16": 2, "F16": 2, "F32": 4, "F64": 8}
"""Names of types as safetensors spells them, and how wide the numbers are whose bytes are worth splitting."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bounds of chunks that are cut by content, in bytes."""

    minimum: int
    average: int
    maximum: int


@dataclass(frozen=True, slots=True)
class Cutting:
    """How a store cuts; written into its config when it is made.

    Attributes:
        large_bytes_min: a blob from this size on is cut.
        plain: for bytes of which nothing is known.
        text: for text and tables.
        tensor_stride: bytes between two cuts inside one tensor.
    """

    large_bytes_min: int
    plain: Sizes
    text: Sizes
    tensor_stride: int

    def to_json(self) -> JsonObject:
        """What stands in the config of a store."""
        return {
            "large_bytes_min": self.large_bytes_min,
            "plain": _sizes_to_json(self.plain),
            "tensor_stride": self.tensor_stride,
            "text": _sizes_to_json(self.text),
        }

    @classmethod
    def from_json(cls, document: Reader) -> "Cutting":
        """What `to_json` wrote.

        Raises:
            UnsupportedFormat: a field that is missing, or no integer; or sizes that cannot be cut here.
        """
        return cls(
            large_bytes_min=_bounded(document, "large_bytes_min", 1, RECORD_BYTES_MAX),
            plain=_sizes_from_json(document.reader("plain")),
            text=_sizes_from_json(document.reader("text")),
            tensor_stride=_bounded(document, "tensor_stride", 1, RECORD_BYTES_MAX),
        )


CUTTING = Cutting(
    large_bytes_min=1 << 20,
    plain=Sizes(16 << 10, 64 << 10, 256 << 10),
    text=Sizes(2 << 10, 8 << 10, 32 << 10),
    tensor_stride=4 << 20,
)
"""How new stores cut. 64 KiB costs one row of the index for each, a thousandth of the bytes; text and tables, in which
changes are scattered, repay eight times as many. A tensor changes as a whole or not at all."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a blob.

    Attributes:
        data: its bytes.
        hint: the codec to try on it.
    """

    data: bytes
    hint: int = ZSTD


class Cutter(Protocol):
    """Cuts one blob."""

    def feed(self, piece: bytes) -> Iterator[Chunk]:
        """Take the next bytes; the chunks whose ends are certain by now. To be exhausted before the next call."""
        ...

    def finish(self) -> Iterator[Chunk]:
        """The chunks that were left."""
        ...


def cutter_for(head: bytes, cutting: Cutting) -> Cutter:
    """What cuts a blob that begins with `head`: its first `HEAD_BYTES`, or all of it when it is shorter.

    Raises:
        MissingExtra: the native code that cuts by content is not installed.
    """
    found = read_head(head)
    if found is not None:
        return _TensorCutter(_spans(found), cutting.tensor_stride)
    return _ContentCutter(cutting.text if _is_text(head) else cutting.plain)


def is_tensors(head: bytes) -> bool:
    """Whether a blob that begins with `head` is cut at its tensors."""
    return read_head(head) is not None


class _ContentCutter:
    """FastCDC. A cut depends on what follows the one before, up to the maximal size; so far ahead it must be seen."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes
        self._native = _native(sizes)
        self._held = b""

    def feed(self, piece: bytes) -> Iterator[Chunk]:
        return self._cut(self._held + piece, self._sizes.maximum)

    def finish(self) -> Iterator[Chunk]:
        return self._cut(self._held, 0)

    def _cut(self, data: bytes, ahead: int) -> Iterator[Chunk]:
        certain, done = len(data) - ahead, 0
        for found in self._native.cut_buf(data):
            if found.offset > certain or found.length == 0:
                break
            done = found.offset + found.length
            yield Chunk(bytes(found.data))
        self._held = data[done:]


class _TensorCutter:
    """At the ends of spans, and inside a span at every stride."""

    def __init__(self, spans: list[tuple[int, int]], stride: int) -> None:
        self._spans = iter(spans)
        self._stride = stride
        self._left, self._hint = next(self._spans)
        self._held = b""

    def feed(self, piece: bytes) -> Iterator[Chunk]:
        data, done = self._held + piece, 0
        while len(data) - done >= (size := min(self._left, self._stride)):
            yield Chunk(data[done : done + size], self._hint)
            done += size
            self._advance(size)
        self._held = data[done:]

    def finish(self) -> Iterator[Chunk]:
        if self._held:
            yield Chunk(self._held, self._hint)
        self._held = b""

    def _advance(self, size: int) -> None:
        self._left -= size
        if not self._left:
            # Past the last tensor there should be nothing; what is there all the same is cut by strides.
            self._left, self._hint = next(self._spans, (1 << 62, ZSTD))


def _spans(found: TensorFile) -> list[tuple[int, int]]:
    """Length and codec of the header and of each tensor in turn."""
    sizes = ((tensor.end - tensor.begin, _NUMBER_BYTES.get(tensor.dtype, ZSTD)) for tensor in found.tensors)
    return [(found.begin, ZSTD), *((size, hint) for size, hint in sizes if size > 0)]


def _is_text(head: bytes) -> bool:
    start = head[:_TEXT_HEAD_BYTES]
    if start.startswith(_COLUMNAR):
        return True
    if b"\0" in start:
        return False
    try:
        start.decode()
    except UnicodeDecodeError as error:
        # A character may be cut off where the sample ends.
        return len(start) == _TEXT_HEAD_BYTES and error.start >= len(start) - 3 and "end of data" in error.reason
    return True


def _native(sizes: Sizes) -> Any:
    try:
        import pyfastcdc

        is_native = pyfastcdc.FastCDC.__module__.startswith("pyfastcdc.cy")
    except ImportError:
        is_native = False
    if not is_native:
        raise MissingExtra(
            "the native code of pyfastcdc is not installed, and without it cutting is two hundred times slower",
            hint="Install a wheel of pyfastcdc for this machine: pip install --only-binary :all: pyfastcdc",
        )
    return pyfastcdc.FastCDC(
        sizes.average, min_size=sizes.minimum, max_size=sizes.maximum, normalized_chunking=1, seed=0
    )


def _sizes_to_json(sizes: Sizes) -> JsonObject:
    return {"average": sizes.average, "maximum": sizes.maximum, "minimum": sizes.minimum}


def _sizes_from_json(document: Reader) -> Sizes:
    maximum = _bounded(document, "maximum", _MAXIMUM_MIN, RECORD_BYTES_MAX)
    average = _bounded(document, "average", _AVERAGE_MIN, maximum)
    return Sizes(_bounded(document, "minimum", _MINIMUM_MIN, average), average, maximum)


def _bounded(document: Reader, name: str, least: int, most: int) -> int:
    found = document.integer(name)
    if not least <= found <= most:
        raise UnsupportedFormat(
            f"{document.where}: {name} is {found}; this Holdfast cuts with {least} to {most}",
            hint="Use the Holdfast that wrote it, or a newer one.",
            found=found,
        )
    return found
