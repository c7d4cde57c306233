"""Reading ranges of a remote's packs and exact files, with the blocks that were read last kept on this machine.

A block is kept with its BLAKE3 in front, so that damage on this machine's disk is met by asking the remote again and
never mistaken for damage there. What the remote gave is proved by whoever reads a record from it.
"""

import os
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from threading import Lock

from blake3 import blake3

from holdfast.errors import HoldfastError, IntegrityError
from holdfast.store.disk import place, refusing
from holdfast.store.index import Segment
from holdfast.store.layout import Layout
from holdfast.store.remote.remote import segment_key
from holdfast.store.remote.transport import Transport
from holdfast.store.segments import Segments

__all__ = ["BLOCK_BYTES", "RangeCache", "Windows"]

BLOCK_BYTES = 2 << 20
"""Asked for at once: a line carries it in about the time of one way there and back."""

_BLOCKS_HELD = 16
"""In memory, so that neighbouring small records cost one look at the disk: 32 MiB."""

_KEEP_SHARE = 0.9
"""What stays when the cache is full: clearing away a tenth at a time, it looks through its files seldom."""

_NAME_BYTES = 32


class RangeCache(Segments):
    """The segments of a remote; see `Segments`. It may be used by several threads and processes.

    Args:
        transport: where they are.
        root: a folder for blocks; it may be removed at any time.
        bytes_max: how much is kept there; the blocks that were not used for longest go first.
    """

    def __init__(self, transport: Transport, root: Path, bytes_max: int) -> None:
        super().__init__(Layout(root))
        self._transport = transport
        self._root = root
        self._bytes_max = bytes_max
        self._held: OrderedDict[tuple[Segment, int], bytes] = OrderedDict()
        self._held_lock = Lock()
        self._kept: int | None = None

    def read(self, segment: Segment, offset: int, length: int) -> bytes:
        """The bytes of a range.

        Raises:
            NotFound: the segment is not there.
            IntegrityError: it ends before the range does.
            Unavailable, PermissionRefused: the remote did not answer, or refused.
        """
        end = offset + length
        blocks = range(offset // BLOCK_BYTES, -(-end // BLOCK_BYTES))
        data = b"".join([self._block(segment, number) for number in blocks])
        begin = offset - blocks.start * BLOCK_BYTES
        if len(data) < begin + length:
            raise IntegrityError(
                f"{segment_key(segment)} in {self._transport.name} ends before byte {end}",
                hint="Push the data again from where it is whole.",
                path=segment_key(segment),
            )
        return data[begin : begin + length]

    def forget(self, segment: Segment) -> None:
        """Let go of every block of a segment: what the remote gave was damaged, and may be whole by now."""
        with self._held_lock:
            for key in [key for key in self._held if key[0] == segment]:
                del self._held[key]
        for path in (self._root / segment.name[:2]).glob(f"{segment.name}-*"):
            with suppress(OSError):
                path.unlink()

    def _block(self, segment: Segment, number: int) -> bytes:
        key = (segment, number)
        with self._held_lock:
            data = self._held.get(key)
            if data is not None:
                self._held.move_to_end(key)
                return data
        data = self._kept_block(segment, number)
        if data is None:
            start = number * BLOCK_BYTES
            data = self._transport.range(segment_key(segment), start, min(BLOCK_BYTES, segment.size - start))
            self._keep(segment, number, data)
        with self._held_lock:
            self._held[key] = data
            if len(self._held) > _BLOCKS_HELD:
                self._held.popitem(last=False)
        return data

    def _path(self, segment: Segment, number: int) -> Path:
        return self._root / segment.name[:2] / f"{segment.name}-{number}"

    def _kept_block(self, segment: Segment, number: int) -> bytes | None:
        path = self._path(segment, number)
        try:
            kept = path.read_bytes()
            os.utime(path)  # so that it counts as used just now
        except OSError:
            return None
        data = kept[_NAME_BYTES:]
        return data if blake3(data).digest() == kept[:_NAME_BYTES] else None

    def _keep(self, segment: Segment, number: int, data: bytes) -> None:
        path = self._path(segment, number)
        with suppress(HoldfastError):  # a full disk costs the next reader a request, and nothing else
            with refusing(path):
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            place(path, 0o600, lambda sink: sink.writelines((blake3(data).digest(), data)))
            with self._held_lock:
                self._kept = self._all_kept() if self._kept is None else self._kept + len(data) + _NAME_BYTES
                if self._kept > self._bytes_max:
                    self._kept = self._clear_away()

    def _all_kept(self) -> int:
        return sum(size for _, size, _ in self._files())

    def _files(self) -> list[tuple[float, int, Path]]:
        found = []
        for path in self._root.glob("*/*"):
            with suppress(OSError):
                status = path.lstat()
                found.append((status.st_mtime, status.st_size, path))
        return found

    def _clear_away(self) -> int:
        """Remove what was not used for longest; the bytes that are left. Other processes keep their blocks here too."""
        files = sorted(self._files())
        left = sum(size for _, size, _ in files)
        for _, size, path in files:
            if left <= self._bytes_max * _KEEP_SHARE:
                break
            with suppress(OSError):
                path.unlink()
            left -= size
        return left


class Windows(RangeCache):
    """The same without a cache on disk: for whoever wants to know what the remote itself holds."""

    def __init__(self, transport: Transport, root: Path) -> None:
        super().__init__(transport, root, 0)

    def _kept_block(self, segment: Segment, number: int) -> bytes | None:
        del segment, number
        return None

    def _keep(self, segment: Segment, number: int, data: bytes) -> None:
        """Nowhere."""
