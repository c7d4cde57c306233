"""A journal: decisions on the disk, one behind the other, until they become a page.

    8 bytes  "HFLEDJ" 0x01 0x0A
    frames   4 bytes length, 4 bytes CRC-32 of the rest, big-endian; then 4 bytes length of the head, the head,
             the input and the output

The head of the first frame says whose journal it is; the head of any other one is a decision without its bytes, or how
many were dropped. A journal is private to the machine that wrote it, and is no format that others may read.

A killed process leaves at most one frame that is not whole: reading ends there. A frame that could not be written is
cut off again.
"""

import json
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

from holdfast.canonical import Reader
from holdfast.errors import IntegrityError
from holdfast.names import ModelName, StageName
from holdfast.serving.ledger.breathing import breathing
from holdfast.serving.ledger.decision import Decision

__all__ = ["Head", "Journal", "Read", "read_journal"]

_MAGIC = b"HFLEDJ\x01\n"
_PREFIX = struct.Struct(">II")
_LENGTH = struct.Struct(">I")

_FRAME_BYTES_MAX = 512 << 20
"""More than a request and its answer may have; a longer one is damage."""

_BYTES = frozenset({"input", "output"})
_NAMES = tuple(item.name for item in fields(Decision))


@dataclass(frozen=True, slots=True)
class Head:
    """Whose journal it is.

    Attributes:
        model: whose decisions.
        stage: of the replica.
        replica: its id.
        sequence: the place of the page that it becomes.
        sample: the share that is kept.
        days_keep: for how long the page is kept; 0: for ever.
    """

    model: ModelName
    stage: StageName
    replica: str
    sequence: int
    sample: float
    days_keep: int


class Journal:
    """A journal that is being written, by one thread.

    Attributes:
        path: where it is.
        rows: decisions in it.
        bytes: of the file.
        dropped: how many it says were dropped.
        first_us: when its first decision was made; 0 before there is one.
    """

    def __init__(self, path: Path, head: Head) -> None:
        """Begins it.

        Raises:
            OSError: the operating system refused.
        """
        self.path = path
        self.rows = self.bytes = self.dropped = self.first_us = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            said = {**asdict(head), "model": str(head.model), "stage": str(head.stage)}
            self._write(_MAGIC + _frame(said))
        except BaseException:
            os.close(self._file)
            raise

    def append(self, decisions: Sequence[Decision], dropped: int) -> None:
        """Write decisions, and how many more were dropped; all of it, or nothing.

        Raises:
            OSError: the operating system refused.
        """
        frames = [_frame(_said(one), one.input, one.output) for one in breathing(decisions)]
        if dropped:
            frames.append(_frame({"dropped": dropped}))
        self._write(b"".join(frames))
        self.rows += len(decisions)
        self.dropped += dropped
        if decisions and not self.first_us:
            self.first_us = decisions[0].at_us

    def sync(self) -> None:
        """Make it survive a loss of power.

        Raises:
            OSError: the operating system refused.
        """
        os.fdatasync(self._file)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError:
            # Half a frame in the middle would hide what comes behind it.
            os.ftruncate(self._file, self.bytes)
            os.lseek(self._file, self.bytes, os.SEEK_SET)
            raise
        self.bytes += len(data)


def _said(decision: Decision) -> dict[str, Any]:
    said = {name: getattr(decision, name) for name in _NAMES if name not in _BYTES}
    return {**said, "salt": decision.salt.hex()}


def _frame(said: dict[str, Any], given: bytes | None = None, answer: bytes | None = None) -> bytes:
    lengths = {"input_bytes": None if given is None else len(given)}
    lengths["output_bytes"] = None if answer is None else len(answer)
    head = json.dumps({**said, **lengths}, separators=(",", ":")).encode()
    body = b"".join((_LENGTH.pack(len(head)), head, given or b"", answer or b""))
    return _PREFIX.pack(len(body), zlib.crc32(body)) + body


class Read:
    """A journal that is read again.

    Attributes:
        head: whose it is.
        dropped: how many decisions were dropped, known when all of it was read.
        whole: whether it was read to its end, known likewise: a journal that was cut off or damaged is not.
    """

    def __init__(self, head: Head, frames: Iterator[tuple[dict[str, Any], bytes]], left: Callable[[], bytes]) -> None:
        self.head = head
        self.dropped = 0
        self.whole = False
        self._frames = frames
        self._left = left

    def decisions(self) -> Iterator[Decision]:
        """The decisions in their order, up to the first frame that is not whole; once."""
        for said, body in self._frames:
            if "dropped" in said:
                self.dropped += int(said["dropped"])
                continue
            given, answer = said.pop("input_bytes"), said.pop("output_bytes")
            middle = given or 0
            said["salt"] = bytes.fromhex(said["salt"])
            yield Decision(
                **said,
                input=None if given is None else body[:middle],
                output=None if answer is None else body[middle : middle + answer],
            )
        self.whole = not self._left()


def read_journal(stream: BinaryIO, name: str) -> Read:
    """A journal in an open file, which it reads as its decisions are asked for.

    Raises:
        IntegrityError: not even its head is whole.
    """
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise _damaged(name)
    frames = _frames(stream)
    first = next(frames, None)
    if first is None:
        raise _damaged(name)
    found = Reader(first[0], "journal")
    head = Head(
        model=ModelName(found.text("model")),
        stage=StageName(found.text("stage")),
        replica=found.text("replica"),
        sequence=found.integer("sequence"),
        sample=found.number("sample"),
        days_keep=found.integer("days_keep"),
    )
    return Read(head, frames, lambda: stream.read(1))


def _frames(stream: BinaryIO) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Frame by frame; the stream stands behind the last one that is whole."""
    while prefix := stream.read(_PREFIX.size):
        if len(prefix) < _PREFIX.size:
            stream.seek(-len(prefix), os.SEEK_CUR)
            return
        length, checksum = _PREFIX.unpack(prefix)
        body = stream.read(length) if _LENGTH.size <= length <= _FRAME_BYTES_MAX else b""
        if len(body) != length or zlib.crc32(body) != checksum:
            stream.seek(-len(prefix) - len(body), os.SEEK_CUR)
            return
        (size,) = _LENGTH.unpack_from(body)
        end = _LENGTH.size + size
        yield json.loads(body[_LENGTH.size : end]), body[end:]


def _damaged(name: str) -> IntegrityError:
    return IntegrityError(
        f"{name} is no journal of the ledger", hint="A replica was killed while it began it; nothing was in it."
    )
