"""The members of a ZIP archive, read so that no reader could see others.

Readers of archives disagree: some believe the list at the end, some the headers before each member. Only an archive in
which both say the same, and which has nothing between its members, is read at all.

Source: APPNOTE.TXT of PKWARE, sections 4.3 and 4.5.3.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.formats.limits import ARCHIVE_MEMBERS_MAX, Budget, Refused

__all__ = ["ZIP_MAGIC", "members"]

ZIP_MAGIC = b"PK\x03\x04"
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_END_64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR_64 = struct.Struct("<4sIQI")
_CENTRAL_MAGIC, _END_MAGIC = b"PK\x01\x02", b"PK\x05\x06"
_END_64_MAGIC, _LOCATOR_64_MAGIC, _DESCRIPTOR_MAGIC = b"PK\x06\x06", b"PK\x06\x07", b"PK\x07\x08"
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _DESCRIPTOR_FOLLOWS = 0x0001, 0x0008
_SIXTEEN_ONES, _THIRTY_TWO_ONES = 0xFFFF, 0xFFFF_FFFF
_ZIP64_EXTRA = 0x0001
_DESCRIPTOR_SIZES = (0, 12, 16, 20, 24)
"""What may stand behind a member whose sizes were not known when it was begun."""


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    at: int


def members(data: bytes, budget: Budget) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each member, in the order of the file.

    Raises:
        Refused: damaged, too much, or such that two readers could see two things in it.
    """
    try:
        listed, begin = _listed(data)
        at, names = 0, set()
        for entry in sorted(listed, key=lambda entry: entry.at):
            if entry.name in names:
                raise Refused("it is an archive with two members of one name")
            names.add(entry.name)
            at, found = _member(data, at, entry, budget)
            yield entry.name, found
        if at != begin and not _is_descriptor(data, at, begin):
            raise Refused("it is an archive with something behind its members")
    except (struct.error, IndexError) as error:
        raise Refused("it is a damaged archive") from error


def _listed(data: bytes) -> tuple[list[_Entry], int]:
    """What the list at the end says, and where that begins."""
    end = len(data) - _END.size
    if end < 0 or data[end : end + 4] != _END_MAGIC:
        raise Refused("it is an archive without an end, or with something behind it")
    _, _, _, _, count, length, begin, _ = _END.unpack_from(data, end)
    behind = end
    locator = end - _LOCATOR_64.size
    if locator >= 0 and data[locator : locator + 4] == _LOCATOR_64_MAGIC:
        behind = _LOCATOR_64.unpack_from(data, locator)[2]
        magic, own, *_, count, length, begin = _END_64.unpack_from(data, behind)
        if magic != _END_64_MAGIC or behind + own + 12 != locator:
            raise Refused("it is a damaged archive")
    if count > ARCHIVE_MEMBERS_MAX or begin + length != behind:
        raise Refused("it is an archive with something before or behind its list")
    entries, at = [], begin
    for _ in range(count):
        entry, at = _entry(data, at)
        entries.append(entry)
    if at != behind:
        raise Refused("it is an archive with something behind its list")
    return entries, begin


def _entry(data: bytes, at: int) -> tuple[_Entry, int]:
    magic, _, _, flags, method, _, _, crc, packed, size, names, extras, comments, *_, where = _CENTRAL.unpack_from(
        data, at
    )
    if magic != _CENTRAL_MAGIC or flags & _ENCRYPTED or method not in (_STORED, _DEFLATED):
        raise Refused("it is an archive that is damaged, encrypted, or compressed in a way that is not read here")
    begin = at + _CENTRAL.size
    raw = data[begin : begin + names]
    extra = data[begin + names : begin + names + extras]
    size, packed, where = _wide(extra, size, packed, where)
    name = raw.decode("utf-8", "replace")
    return _Entry(name, raw, flags, method, crc, packed, size, where), begin + names + extras + comments


def _wide(extra: bytes, size: int, packed: int, where: int) -> tuple[int, int, int]:
    """The three numbers, from the extension for large archives where they do not fit."""
    found, at = [size, packed, where], 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == _ZIP64_EXTRA:
            inner = at + 4
            for place, value in enumerate(found):
                if value == _THIRTY_TWO_ONES:
                    (found[place],) = struct.unpack_from("<Q", extra, inner)
                    inner += 8
        at += 4 + length
    return found[0], found[1], found[2]


def _member(data: bytes, at: int, entry: _Entry, budget: Budget) -> tuple[int, bytes]:
    """Where the member ends, and its bytes."""
    if entry.at != at and not _is_descriptor(data, at, entry.at):
        raise Refused("it is an archive with something between its members")
    magic, _, flags, method, *_, names, extras = _LOCAL.unpack_from(data, entry.at)
    begin = entry.at + _LOCAL.size + names + extras
    end = begin + entry.packed
    if (
        magic != ZIP_MAGIC
        or flags != entry.flags
        or method != entry.method
        or data[entry.at + _LOCAL.size : begin - extras] != entry.raw_name
        or end > len(data)
    ):
        raise Refused("it is an archive whose list and members contradict each other")
    found = data[begin:end]
    if entry.method == _DEFLATED:
        if entry.size > budget.expanded_bytes:
            raise Refused("it unpacks to more bytes than any model needs")
        stream = zlib.decompressobj(wbits=-15)
        try:
            found = stream.decompress(found, entry.size + 1)
        except zlib.error as error:
            raise Refused("it is a damaged archive") from error
        if not stream.eof or stream.unused_data:
            raise Refused("it is an archive whose list and members contradict each other")
        budget.expand(len(found))
    if len(found) != entry.size or zlib.crc32(found) != entry.crc:
        raise Refused("it is an archive whose list and members contradict each other")
    return end, found


def _is_descriptor(data: bytes, at: int, until: int) -> bool:
    between = until - at
    if between not in _DESCRIPTOR_SIZES[1:]:
        return False
    return between in (12, 20) or data[at : at + 4] == _DESCRIPTOR_MAGIC
