"""Filling packs: records are gathered in memory and go to the disk in large pieces."""

import os
from concurrent.futures import Executor, Future
from contextlib import suppress

from blake3 import blake3

from holdfast.store.disk import CREATE, refusing, write_all
from holdfast.store.index import PACK, Segment
from holdfast.store.pack import HEADER_BYTES, PACK_START, Record, directory, header
from holdfast.store.scratch import Scratch

__all__ = ["PACK_BYTES", "Packing"]

PACK_BYTES = 64 << 20
"""Where a pack ends: large enough that a million small files are some thirty files and some thirty syncs, small enough
to be sent again when a transfer breaks."""

_FLUSH_BYTES = 4 << 20
"""Written at once: past this the disk gains nothing, and memory is held for longer."""


class Packing:
    """One pack being written in a writer's scratch folder. It is filled by one thread at a time.

    Args:
        scratch: the folder.
        name: its name there.
        pen: the thread that writes: the disk takes one piece while the next is gathered.

    Attributes:
        name: its name in the scratch folder.
        size: how long it is so far.
    """

    def __init__(self, scratch: Scratch, name: str, pen: Executor) -> None:
        self.name = name
        self.size = len(PACK_START)
        self._path = scratch.path / name
        self._pen = pen
        self._held = [PACK_START]
        self._held_bytes = len(PACK_START)
        self._unwritten = b""
        self._writing: Future[None] | None = None
        self._written = 0
        self._state = blake3()
        self._records: list[Record] = []
        with refusing(self._path):
            self._descriptor = os.open(name, CREATE, 0o444, dir_fd=scratch.descriptor)

    def append(self, id_: bytes, kind: int, length: int, packed: tuple[int, bytes]) -> Record:
        """Add a record, given its codec and stored bytes; where it is.

        Raises:
            NoSpace, PermissionRefused: the operating system refused; the record is not in the pack, and what was is.
        """
        codec, stored = packed
        size = HEADER_BYTES + len(stored)
        record = Record(self.size + HEADER_BYTES, kind, codec, length, len(stored), id_)
        if self._held_bytes + size >= _FLUSH_BYTES:
            self._hand_over()
        self._records.append(record)
        self._held += (header(record), stored)
        self._held_bytes += size
        self.size += size
        return record

    def finish(self) -> "Future[Segment]":
        """Have what is held and the directory written and made durable; what the pack is then.

        Raises:
            NoSpace, PermissionRefused: the operating system refused, here or in the answer.
        """
        self._hand_over()
        end = directory(self._records, self.size)
        self.size += len(end)
        return self._pen.submit(self._end, end)

    def close(self) -> None:
        """Let go of the file; safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _hand_over(self) -> None:
        """Give what is held to the thread that writes, once it is done with what it was given before."""
        if self._writing is not None and self._writing.exception() is not None:
            self._write(self._unwritten)  # there may be space by now; if not, this says so
        self._unwritten = b"".join(self._held)
        self._held = []
        self._held_bytes = 0
        self._writing = self._pen.submit(self._write, self._unwritten)

    def _end(self, end: bytes) -> Segment:
        try:
            if self._writing is not None and self._writing.exception() is not None:
                self._write(self._unwritten)
            self._write(end)
            with refusing(self._path):
                os.fsync(self._descriptor)
        finally:
            self.close()
        return Segment(PACK, self._state.hexdigest(), self.size)

    def _write(self, data: bytes) -> None:
        with refusing(self._path):
            try:
                write_all(self._descriptor, data)
            except OSError:
                with suppress(OSError):  # what was half written is written over, or never referred to
                    os.lseek(self._descriptor, self._written, os.SEEK_SET)
                    os.ftruncate(self._descriptor, self._written)
                raise
        self._state.update(data)
        self._written += len(data)
