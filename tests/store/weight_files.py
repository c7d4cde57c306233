"""Files of tensors in every format, byte by byte."""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence

F32, F16, BF16, Q8_0 = 0, 1, 30, 8
"""Types of tensors by their numbers in GGUF; the last is one of blocks."""


def safetensors(tensors: Mapping[str, bytes], dtype: str = "F32") -> bytes:
    header, at = {}, 0
    for name, data in tensors.items():
        header[name] = {"dtype": dtype, "shape": [len(data)], "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"".join(tensors.values())


def gguf_text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def gguf_head(
    tensors: Sequence[tuple[str, int, int]],
    values: Sequence[bytes] = (),
    *,
    version: int = 3,
    alignment: int | None = None,
) -> bytes:
    """A header, padded: of each tensor its name, type and offset; of each key-value its bytes."""
    if alignment is not None:
        values = [*values, gguf_text("general.alignment") + struct.pack("<II", 4, alignment)]
    infos = b"".join(gguf_text(name) + struct.pack("<IQIQ", 1, 7, kind, at) for name, kind, at in tensors)
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values)) + b"".join(values) + infos
    return head + bytes(-len(head) % (alignment or 32))


def gguf(tensors: Mapping[str, bytes], name: str = "base", kind: int = F16, alignment: int | None = None) -> bytes:
    """A file as converters write it: some values of every type, a vocabulary, and tensors that are aligned."""
    step, infos, body = alignment or 32, [], b""
    for key, data in tensors.items():
        infos.append((key, kind, len(body)))
        body += data + bytes(-len(data) % step)
    words = [f"word{number}" for number in range(300)]
    values = [
        gguf_text("general.name") + struct.pack("<I", 8) + gguf_text(name),
        gguf_text("a.flag") + struct.pack("<IB", 7, 1),
        gguf_text("a.double") + struct.pack("<Id", 12, 0.5),
        gguf_text("vocabulary") + struct.pack("<IIQ", 9, 8, len(words)) + b"".join(map(gguf_text, words)),
        gguf_text("scores") + struct.pack("<IIQ", 9, 6, 300) + bytes(1200),
    ]
    return gguf_head(infos, values, alignment=alignment) + body


def npy(data: bytes, dtype: str = "<f4", count: int | None = None) -> bytes:
    shape = len(data) // int(dtype[2:]) if count is None else count
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({shape},), }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + data


def member(
    name: str, data: bytes, *, flags: int = 0, method: int = 0, packed: int | None = None, zip64: bool = True
) -> bytes:
    """A member as NumPy writes it: with the extension for large archives, used or not."""
    sizes = (0xFFFFFFFF, 0xFFFFFFFF) if zip64 else (len(data) if packed is None else packed, len(data))
    extra = struct.pack("<HHQQ", 1, 16, len(data), len(data) if packed is None else packed) if zip64 else b""
    head = struct.pack(
        "<4sHHHHHIIIHH", b"PK\x03\x04", 45, flags, method, 0, 33, zlib.crc32(data), *sizes, len(name), len(extra)
    )
    return head + name.encode() + extra + data


def npz(arrays: Mapping[str, bytes], dtype: str = "<f4") -> bytes:
    """Members, and in the place of the list at the end some bytes that are none."""
    return (
        b"".join(member(f"{name}.npy", npy(data, dtype)) for name, data in arrays.items()) + b"PK\x01\x02" + bytes(60)
    )
