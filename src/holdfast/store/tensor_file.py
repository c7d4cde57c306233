"""What the beginning of a file of weights says of its tensors: the values that every format is read into."""

from dataclasses import dataclass

__all__ = ["HEAD_BYTES", "UNTIL_THE_END", "Tensor", "TensorFile"]

HEAD_BYTES = 8 << 20
"""What has to be seen of a blob before it is known how to cut it: the header of a safetensors file with some ten
thousand tensors. A longer header is cut like any other bytes."""

UNTIL_THE_END = 1 << 62
"""The end of a tensor that goes on as long as the file does: no file is as long as this."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a file.

    Attributes:
        name: what the file calls it; empty in a `.npy` file, which holds one.
        dtype: the type of its numbers as the file's format spells it, such as `BF16` or `<f4`; empty when that is no
            text.
        shape: its dimensions, as the file orders them; None when it does not say them in a way that makes sense.
        begin: offset of its first byte in the file.
        end: offset behind its last byte and what pads it. The file may be shorter.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] | None
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class TensorFile:
    """What the beginning of a file of weights says.

    Attributes:
        kind: its format, such as `safetensors`.
        begin: offset of the first byte behind the header.
        tensors: by their place in the file; they follow one another without a gap.
    """

    kind: str
    begin: int
    tensors: tuple[Tensor, ...]
