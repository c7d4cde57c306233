"""Reading ranges of packs and exact files: they are opened once, and neighbours are read together."""

import hashlib
import os
import threading
from collections import OrderedDict
from contextlib import suppress

from blake3 import blake3

from holdfast.errors import IntegrityError, NotFound
from holdfast.store.codec import unpack_bytes
from holdfast.store.disk import READ, refusing
from holdfast.store.faults import UNREADABLE
from holdfast.store.index import Place, Segment
from holdfast.store.layout import Layout
from holdfast.store.pack import BLOB, RECIPE, recipe_chunks

__all__ = ["Segments"]

_OPEN_MAX = 64
"""Files held open: a checkout reads a few packs at a time, and a process has a thousand descriptors or so."""

_WINDOW_BYTES = 1 << 20
"""Read at once where small records are read one after the other: large enough that the call costs nothing beside the
bytes, small enough to stay in the processor's cache until it is used."""


class _Opened:
    """An open file, closed when the last thread that reads from it has let go of it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __del__(self) -> None:
        with suppress(OSError):
            os.close(self.descriptor)


class _Window(threading.local):
    """What one thread read last."""

    def __init__(self) -> None:
        self.segment: Segment | None = None
        self.start = 0
        self.data = b""
        self.next = -1


class Segments:
    """The segments of one store. It may be used by several threads."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._lock = threading.Lock()
        self._opened: OrderedDict[Segment, _Opened] = OrderedDict()
        self._window = _Window()

    def read(self, segment: Segment, offset: int, length: int) -> bytes:
        """The bytes of a range.

        Raises:
            NotFound: the segment is not there.
            IntegrityError: it ends before the range does, or the disk could not read it.
        """
        window = self._window
        begin = offset - window.start
        if segment == window.segment and begin >= 0 and begin + length <= len(window.data):
            window.next = offset + length
            return window.data[begin : begin + length]
        # Small records are laid down in the order in which they are asked for again, a header between each two.
        follows = segment == window.segment and 0 <= offset - window.next <= _WINDOW_BYTES
        wanted = max(length, _WINDOW_BYTES) if follows and length < _WINDOW_BYTES else length
        data = self._read(segment, offset, wanted)
        if len(data) < length:
            raise IntegrityError(
                f"{self._layout.segment(segment)} ends before byte {offset + length}",
                hint="Run: holdfast check. Adding the same data again replaces what is lost.",
                path=self._layout.segment(segment),
            )
        window.segment, window.start, window.next = segment, offset, offset + length
        window.data = data if wanted > length else b""
        return data[:length]

    def forget(self, segment: Segment) -> None:
        """Open it anew when it is next read: another file may have taken its place."""
        self._window.segment = None
        with self._lock:
            self._opened.pop(segment, None)

    def whole(self, id_: bytes, place: Place) -> bytes | None:
        """The stored bytes of the record at `place`, if they are what `id_` says; else None, read or not.

        A recipe is held by a hash of its own: whether it puts `id_` together shows when it is followed.
        """
        try:
            stored = self.read(place.segment, place.offset, place.stored)
            if place.kind == RECIPE:
                recipe_chunks(stored)
                return stored
            data = unpack_bytes(place.codec, stored, place.length)
        except UNREADABLE:
            return None
        hashed = hashlib.sha256(data) if place.kind == BLOB else blake3(data)
        return stored if hashed.digest() == id_ else None

    def _read(self, segment: Segment, offset: int, length: int) -> bytes:
        opened = self._open(segment)
        with refusing(self._layout.root):
            data = os.pread(opened.descriptor, length, offset)
            while 0 < len(data) < min(length, segment.size - offset):
                more = os.pread(opened.descriptor, length - len(data), offset + len(data))
                if not more:
                    break
                data += more
        return data

    def _open(self, segment: Segment) -> _Opened:
        with self._lock:
            opened = self._opened.get(segment)
            if opened is not None:
                self._opened.move_to_end(segment)
                return opened
        path = self._layout.segment(segment)
        with refusing(self._layout.root):
            try:
                opened = _Opened(os.open(path, READ))
            except FileNotFoundError:
                raise NotFound(
                    f"{path} is not there", hint="Run: holdfast check. It says what was lost.", path=path
                ) from None
        with self._lock:
            self._opened[segment] = opened
            if len(self._opened) > _OPEN_MAX:
                self._opened.popitem(last=False)
        return opened
