"""Where a large blob is cut into chunks: by what its bytes are, never by its name.

    cutter = cutter_for(head, CUTTING)
    for piece in pieces: cutter.feed(piece)      # -> the chunks that are certain by now
    cutter.finish()                              # -> the rest

The chunks joined are the bytes, and where the pieces began and ended makes no difference. docs/FORMAT.md, "Cutting", is
the description for everybody who does not read Python; its parameters stand in the config of each store.

Content-defined cutting: Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication Based Storage
Systems", IEEE TPDS 31(9), 2020.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from holdfast.canonical import JsonObject, Reader
from holdfast.errors import MissingExtra, UnsupportedFormat
from holdfast.store.codec import ZSTD
from holdfast.store.numpy_files import MEMBER_HEAD_BYTES, MEMBERS_MAX, NPZ, read_member
from holdfast.store.pack import RECORD_BYTES_MAX
from holdfast.store.tensors import GGUF, HEAD_BYTES, KINDS, SAFETENSORS, UNTIL_THE_END, read_head

__all__ = [
    "CUTTING",
    "HEAD_BYTES",
    "Chunk",
    "Cutter",
    "Cutting",
    "Plan",
    "Read",
    "Sizes",
    "Span",
    "content_cutter",
    "cutter_for",
    "plan_for",
]

_TEXT_HEAD_BYTES = 4096
"""Enough to meet a zero byte, or one that is not UTF-8, in nearly everything that is no text."""

_COLUMNAR = (b"PAR1", b"ARROW1")
"""Tables by columns: corrections are scattered over them, so small chunks keep more of them, as in text."""

_MINIMUM_MIN, _AVERAGE_MIN, _MAXIMUM_MIN = 64, 256, 1024
"""The finest that the native code cuts. A chunk can be as long as a record, and no longer."""

_NUMBER_BYTES = {
    "BF16": 2,
    "F16": 2,
    "F32": 4,
    "F64": 8,
    **{f"{order}{kind}{width}": width for order in "<>" for kind in "fiu" for width in (2, 4, 8)},
    **{f"{order}c{2 * width}": width for order in "<>" for width in (4, 8)},
}
"""Names of types as safetensors and GGUF spell them, and as NumPy does, and how wide the numbers are whose bytes are
worth splitting. A complex number is two."""

Span = tuple[int, int]
"""Bytes that are cut only by the stride, and the codec to try on them."""

Read = Callable[[int, int], bytes]
"""Bytes of a blob: from where, and how many; fewer where it ends."""


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
        tensors: the formats that are cut at their tensors, from `KINDS`.
    """

    large_bytes_min: int
    plain: Sizes
    text: Sizes
    tensor_stride: int
    tensors: tuple[str, ...] = KINDS

    def to_json(self) -> JsonObject:
        """What stands in the config of a store.

        A store that cuts only safetensors at its tensors has the form of `holdfast.store` 2.0. In the other form the
        stride stands elsewhere, so that a writer that knows only 2.0 misses it, and refuses.
        """
        known: JsonObject = {
            "large_bytes_min": self.large_bytes_min,
            "plain": _sizes_to_json(self.plain),
            "text": _sizes_to_json(self.text),
        }
        if self.tensors == (SAFETENSORS,):
            return {**known, "tensor_stride": self.tensor_stride}
        return {**known, "tensors": {"kinds": list(self.tensors), "stride": self.tensor_stride}}

    @classmethod
    def from_json(cls, document: Reader) -> "Cutting":
        """What `to_json` wrote.

        Raises:
            UnsupportedFormat: a field that is missing, or no integer; or sizes or formats that cannot be cut here.
        """
        kinds: tuple[str, ...] = (SAFETENSORS,)
        stride, name = document, "tensor_stride"
        if document.has("tensors"):
            stride, name = document.reader("tensors"), "stride"
            kinds = _kinds(stride)
        return cls(
            large_bytes_min=_bounded(document, "large_bytes_min", 1, RECORD_BYTES_MAX),
            plain=_sizes_from_json(document.reader("plain")),
            text=_sizes_from_json(document.reader("text")),
            tensor_stride=_bounded(stride, name, 1, RECORD_BYTES_MAX),
            tensors=kinds,
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


@dataclass(frozen=True, slots=True)
class Plan:
    """How a file of tensors is cut: into spans, and each of these by the stride.

    Attributes:
        kind: its format, from `KINDS`.
        begin: offset of the first tensor's first byte.
        ahead: bytes that have to be seen behind a span before the next one is known; fewer where the blob ends.
        spans: its spans in order, by what `Read` gives. What stands behind the last one is cut by the stride too.
    """

    kind: str
    begin: int
    ahead: int
    spans: Callable[[Read], Iterator[Span]]


def plan_for(head: bytes, cutting: Cutting) -> Plan | None:
    """How a blob that begins with `head` is cut at its tensors; None when it is not.

    Raises:
        MissingExtra: the native code that cuts by content is not installed, and the header needs it.
    """
    found = read_head(head, cutting.tensors)
    if found is not None:
        # A vocabulary of megabytes stands in front of GGUF's tensors, behind a name that changes.
        begins = _lengths(head[: found.begin], cutting.plain) if found.kind == GGUF else [found.begin]
        sizes = ((tensor.end - tensor.begin, _NUMBER_BYTES.get(tensor.dtype, ZSTD)) for tensor in found.tensors)
        spans = [*((size, ZSTD) for size in begins), *sizes]
        return Plan(found.kind, found.begin, 0, lambda _read: iter(spans))
    if NPZ in cutting.tensors:
        first = read_member(head[:MEMBER_HEAD_BYTES])
        if first is not None and first.is_array:
            return Plan(NPZ, first.header_bytes, MEMBER_HEAD_BYTES, _members)
    return None


def _members(read: Read) -> Iterator[Span]:
    """The header of each member of an archive, and its contents."""
    at = 0
    for _ in range(MEMBERS_MAX):
        found = read_member(read(at, MEMBER_HEAD_BYTES))
        if found is None:
            return
        yield found.header_bytes, ZSTD
        yield found.data_bytes, _NUMBER_BYTES.get(found.dtype, ZSTD)
        at += found.header_bytes + found.data_bytes


def cutter_for(head: bytes, cutting: Cutting) -> Cutter:
    """What cuts a blob that begins with `head`: its first `HEAD_BYTES`, or all of it when it is shorter.

    Raises:
        MissingExtra: the native code that cuts by content is not installed.
    """
    plan = plan_for(head, cutting)
    if plan is not None:
        return _TensorCutter(plan, cutting.tensor_stride)
    return content_cutter(head, cutting)


def content_cutter(head: bytes, cutting: Cutting) -> Cutter:
    """What cuts a blob by content that begins with `head` and has no tensors.

    Raises:
        MissingExtra: the native code that cuts by content is not installed.
    """
    return _ContentCutter(cutting.text if _is_text(head) else cutting.plain)


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

    def __init__(self, plan: Plan, stride: int) -> None:
        self._ahead = plan.ahead
        self._spans = plan.spans(self._look)
        self._stride = stride
        self._left, self._hint = 0, ZSTD
        self._at = 0
        self._held = b""

    def feed(self, piece: bytes) -> Iterator[Chunk]:
        self._held += piece
        return self._cut(self._ahead)

    def finish(self) -> Iterator[Chunk]:
        yield from self._cut(0)
        if self._held:
            yield Chunk(self._held, self._hint)
        self._held = b""

    def _cut(self, ahead: int) -> Iterator[Chunk]:
        data, begin, done = self._held, self._at, 0
        while True:
            while not self._left and len(data) - done >= max(ahead, 1):
                self._left, self._hint = next(self._spans, (UNTIL_THE_END, ZSTD))
            size = min(self._left, self._stride)
            if not 0 < size <= len(data) - done:
                break
            yield Chunk(data[done : done + size], self._hint)
            done += size
            self._left -= size
        self._held, self._at = data[done:], begin + done

    def _look(self, at: int, length: int) -> bytes:
        """What stands at the end of a span, while `_cut` is there."""
        start = at - self._at
        return self._held[start : start + length]


def _lengths(data: bytes, sizes: Sizes) -> list[int]:
    cutter = _ContentCutter(sizes)
    return [len(chunk.data) for chunk in (*cutter.feed(data), *cutter.finish())]


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


def _kinds(document: Reader) -> tuple[str, ...]:
    found = document.texts("kinds")
    if unknown := sorted(set(found) - set(KINDS)):
        raise UnsupportedFormat(
            f"{document.where}: this Holdfast does not know how to cut {unknown[0][:40]!r} at its tensors",
            hint="Use the Holdfast that wrote it, or a newer one.",
            found=unknown[0][:40],
        )
    return tuple(sorted(set(found)))


def _bounded(document: Reader, name: str, least: int, most: int) -> int:
    found = document.integer(name)
    if not least <= found <= most:
        raise UnsupportedFormat(
            f"{document.where}: {name} is {found}; this Holdfast cuts with {least} to {most}",
            hint="Use the Holdfast that wrote it, or a newer one.",
            found=found,
        )
    return found
