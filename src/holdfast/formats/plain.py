"""What holds data and nothing else, and what is a program: by the first bytes, and by whether it is text throughout."""

import json
import struct
from pathlib import PurePosixPath

from holdfast.formats.limits import Refused

__all__ = ["data_kind", "is_source", "program_kind", "text_kind", "ubjson_ends"]

_PROGRAMS = (
    (b"\x7fELF", "elf"),
    (b"MZ", "pe"),
    (b"\xfe\xed\xfa\xce", "mach-o"),
    (b"\xfe\xed\xfa\xcf", "mach-o"),
    (b"\xce\xfa\xed\xfe", "mach-o"),
    (b"\xcf\xfa\xed\xfe", "mach-o"),
    (b"\xca\xfe\xba\xbe", "mach-o or class"),
    (b"\x00asm", "wasm"),
    (b"!<arch>\n", "ar"),
    (b"#!", "script"),
)
"""Programs, by their beginnings."""

_PYC_MAGIC_END = b"\r\n"
"""What stands at bytes 2 and 3 of every compiled Python module; the first two count up with Python."""

_SOURCES = {".py", ".pyc", ".pyo", ".pyd", ".pyw", ".pth", ".so", ".dll", ".dylib", ".exe", ".sh", ".bat", ".ps1"}
"""Endings by which an interpreter or a loader takes a file for a program, whatever is in it."""

_DATA = (
    (b"PAR1", "parquet", b"PAR1"),
    (b"ARROW1\0\0", "arrow", b"ARROW1"),
    (b"\x89PNG\r\n\x1a\n", "png", b"IEND\xaeB`\x82"),
    (b"\xff\xd8\xff", "jpeg", b""),
    (b"GIF87a", "gif", b";"),
    (b"GIF89a", "gif", b";"),
    (b"CBM1", "catboost", b""),
)
"""Data, by how it begins and how it ends."""

_LIGHTGBM = ("tree\n", "version=")
_CONTROLS = {chr(code) for code in range(32)} - {"\t", "\n", "\r", "\f"}


def program_kind(data: bytes, name: str) -> str | None:
    """The kind of program that this is; None when it is none."""
    for magic, kind in _PROGRAMS:
        if data.startswith(magic):
            return kind
    if data[2:4] == _PYC_MAGIC_END and PurePosixPath(name).suffix != ".csv" and b"\0" in data[:16]:
        return "compiled python"
    return None


def is_source(name: str) -> bool:
    """Whether its ending alone has it run."""
    return PurePosixPath(name).suffix.lower() in _SOURCES


def data_kind(data: bytes) -> str | None:
    """The kind of data that this is; None when it is none that is known."""
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    for magic, kind, ending in _DATA:
        if data.startswith(magic) and len(data) >= len(magic) + len(ending) and data.endswith(ending):
            return kind
    return None


def text_kind(data: bytes) -> str | None:
    """`json`, `lightgbm` or `text`; None when it is no text."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if not _CONTROLS.isdisjoint(text):
        return None
    if text.startswith(_LIGHTGBM[0]) and text[len(_LIGHTGBM[0]) :].lstrip().startswith(_LIGHTGBM[1]):
        return "lightgbm"
    if text.lstrip()[:1] in ("{", "["):
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return "text"
        return "json"
    return "text"


_FIXED = {"Z": 0, "N": 0, "T": 0, "F": 0, "i": 1, "U": 1, "C": 1, "I": 2, "l": 4, "d": 4, "L": 8, "D": 8}
_INTEGERS = {"i": ">b", "U": ">B", "I": ">h", "l": ">i", "L": ">q"}
_UBJSON_DEPTH_MAX = 64
"""XGBoost nests its trees eight deep."""

_UBJSON_VALUES_MAX = 50_000_000
"""A model of XGBoost with a hundred thousand trees; its numbers stand in typed lists, which count as one."""


class _Ubjson:
    """A walk over Universal Binary JSON, as XGBoost writes it (https://ubjson.org, draft 12)."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.left = _UBJSON_VALUES_MAX

    def marker(self) -> str:
        if self.at >= len(self.data):
            raise Refused("it is cut off")
        self.at += 1
        return chr(self.data[self.at - 1])

    def skip(self, count: int) -> None:
        if count < 0 or count > len(self.data) - self.at:
            raise Refused("it is cut off")
        self.at += count

    def integer(self) -> int:
        form = _INTEGERS.get(self.marker())
        if form is None:
            raise Refused("it is damaged")
        begin = self.at
        self.skip(struct.calcsize(form))
        return int(struct.unpack_from(form, self.data, begin)[0])

    def value(self, kind: str, depth: int) -> None:
        self.left -= 1
        if depth > _UBJSON_DEPTH_MAX or self.left < 0:
            raise Refused("it is larger than any model needs")
        if kind in _FIXED:
            self.skip(_FIXED[kind])
        elif kind in "SH":
            self.skip(self.integer())
        elif kind in "[{":
            self._container(kind, depth)
        else:
            raise Refused("it is damaged")

    def _container(self, kind: str, depth: int) -> None:
        item, count = None, None
        if self.data[self.at : self.at + 1] == b"$":
            self.skip(1)
            item = self.marker()
        if self.data[self.at : self.at + 1] == b"#":
            self.skip(1)
            count = self.integer()
        if item is not None and count is not None and kind == "[" and item in _FIXED:
            self.skip(count * _FIXED[item])
            return
        closing = ord("]" if kind == "[" else "}")
        while count != 0:
            if count is None and self.data[self.at : self.at + 1] == bytes((closing,)):
                self.skip(1)
                return
            if kind == "{":
                self.skip(self.integer())
            self.value(self.marker() if item is None else item, depth + 1)
            count = None if count is None else count - 1


def ubjson_ends(data: bytes) -> bool:
    """Whether these bytes are one object in Universal Binary JSON, from their beginning to their end."""
    walk = _Ubjson(data)
    try:
        walk.value(walk.marker(), 0)
    except (Refused, struct.error):
        return False
    return walk.at == len(data)
