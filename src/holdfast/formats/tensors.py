"""Tensors without any code: safetensors and GGUF, of which the header tells where everything is.

Sources: the description of the format in https://github.com/huggingface/safetensors; "GGUF", docs/gguf.md of
https://github.com/ggml-org/ggml.
"""

import json
import struct

from holdfast.formats.limits import HEADER_BYTES_MAX, Refused

__all__ = ["GGUF_MAGIC", "read_gguf", "read_safetensors", "seems_safetensors"]

GGUF_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_KEY_VALUE_BYTES_MIN = 13
_TENSOR_BYTES_MIN = 24
_TEMPLATE = b"tokenizer.chat_template"
_WIDTHS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip
"""The bits of one number, by its type."""


def seems_safetensors(data: bytes) -> bool:
    """Whether the file begins like one: a length, and then an object."""
    return len(data) > 9 and data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= HEADER_BYTES_MAX  # noqa: PLR2004


def read_safetensors(data: bytes, size: int) -> None:
    """Look whether the header is one, and its tensors fill the file without a gap.

    Raises:
        Refused: they do not.
    """
    end = 8 + int.from_bytes(data[:8], "little")
    if end > len(data):
        raise Refused("its header is cut off")
    try:
        header = json.loads(data[8:end])
    except (ValueError, RecursionError) as error:
        raise Refused("its header is damaged") from error
    header.pop("__metadata__", None)
    try:
        places = sorted((*tensor["data_offsets"], tensor["dtype"], *tensor["shape"]) for tensor in header.values())
    except (TypeError, KeyError) as error:
        raise Refused("its header does not describe tensors") from error
    at = 0
    for begin, until, dtype, *shape in places:
        bits = _WIDTHS.get(dtype)
        for length in shape:
            if type(length) is not int or length < 0:
                raise Refused("its header does not describe tensors")
            bits = None if bits is None else bits * length
        if begin != at or type(until) is not int or until < begin or (bits is not None and bits != 8 * (until - begin)):
            raise Refused("its tensors overlap, leave gaps, or have another size than they say")
        at = until
    if end + at != size:
        raise Refused("it is cut off, or something comes behind its tensors")


def read_gguf(data: bytes) -> tuple[str, ...]:
    """What is to be said about a GGUF file.

    Raises:
        Refused: its header cannot be one.
    """
    try:
        (version,) = struct.unpack_from("<I", data, 4)
        tensors, pairs = struct.unpack_from("<QQ", data, 8)
    except struct.error as error:
        raise Refused("its header is cut off") from error
    if version not in _VERSIONS or tensors * _TENSOR_BYTES_MIN + pairs * _KEY_VALUE_BYTES_MIN > len(data):
        raise Refused("its header is damaged, or of a version that is not known")
    if _TEMPLATE in data[:HEADER_BYTES_MAX]:
        return ("it brings a chat template, which is a program that its runtime must keep in a sandbox",)
    return ()
