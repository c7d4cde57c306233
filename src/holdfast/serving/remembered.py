"""What a stage said when it was last heard of, so that a replica that starts while its registry is away can answer.

One small file for each stage, beside the bundles of this machine: written whole whenever the stage was read, and used
only before the registry has answered for the first time. It names versions by number and digest and nothing else; the
bundles are verified against these digests as always. What is remembered is as old as the last contact: the stage is
followed as soon as its registry is back, and until then every report of the replica says that it is not.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from holdfast.canonical import JsonObject, Reader, decode, encode
from holdfast.digest import Digest
from holdfast.errors import HoldfastError, Unavailable, UnsupportedFormat
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Replica
from holdfast.registry.rollouts import RouteMark, Truth, Turn
from holdfast.serving.source import Pointer, Pointers, StageSource
from holdfast.store.disk import place, refusing

__all__ = ["Remembered"]

_LOG = logging.getLogger("holdfast.serving")

_BYTES_MAX = 64 << 10
"""Two versions and a few numbers; a file that is longer is not one of ours."""

_FORMAT = "holdfast.route"
_FORMAT_VERSION = "1.0"

_NEVER = RouteMark(-1, -1)
"""The mark of what is remembered: no registry gives it, so that whatever it says first is news."""


class Remembered:
    """A stage as its registry tells it; before that has ever answered, as it was told last time."""

    def __init__(self, source: StageSource, folder: Path, model: ModelName, stage: StageName) -> None:
        """Args: folder: where what is remembered lies; it is made when it is first needed."""
        self._source = source
        self._path = folder / f"{model}@{stage}.json"
        self._name = f"{model}@{stage}"
        self._heard = False

    @property
    def known(self) -> bool:
        """Whether anything is remembered of the stage."""
        return self._path.is_file()

    def mark(self, known: RouteMark | None) -> RouteMark:
        """See `StageSource.mark`; where nobody answers a replica that knows nothing yet, that of what is remembered.

        Raises:
            Unavailable: nobody answers, and the replica has been told what is remembered, or nothing is.
        """
        try:
            mark = self._source.mark(None if known == _NEVER else known)
        except Unavailable:
            if known is None and self.known:
                self._heard = False  # it went away again before it could be read
                return _NEVER
            raise
        self._heard = True
        return mark

    def read(self) -> Pointers:
        """See `StageSource.read`; before anybody has answered, what is remembered."""
        if self._heard:
            pointers = self._source.read()
            self._remember(pointers)
            return pointers
        found = self._recall()
        _LOG.warning("%s: the registry is away, so what it said last is served: epoch %s", self._name, found.epoch)
        return found

    def turn(self, turn: Turn) -> None:
        """See `StageSource.turn`."""
        self._source.turn(turn)

    def learn(self, truths: Sequence[Truth]) -> int:
        """See `StageSource.learn`."""
        return self._source.learn(truths)

    def report(self, replica: Replica) -> None:
        """See `StageSource.report`."""
        self._source.report(replica)

    def _remember(self, pointers: Pointers) -> None:
        document: JsonObject = {
            "format": _FORMAT,
            "format_version": _FORMAT_VERSION,
            "epoch": pointers.epoch,
            "current": _said(pointers.current),
            "last_known_good": _said(pointers.last_known_good),
        }
        data = encode(document)
        try:
            with refusing(self._path):
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                if not self._path.is_file() or self._path.read_bytes() != data:
                    place(self._path, 0o600, lambda sink: sink.write(data))
        except HoldfastError as error:
            _LOG.warning("%s: what holds the stage could not be written down: %s", self._name, error.message)

    def _recall(self) -> Pointers:
        """What was written down.

        Raises:
            UnsupportedFormat: the file is damaged, or a newer Holdfast wrote it.
        """
        with refusing(self._path), self._path.open("rb") as file:
            data = file.read(_BYTES_MAX)
        found = Reader(decode(data, what=str(self._path)), "route")
        name, version = found.text("format"), found.text("format_version")
        if name != _FORMAT or version.partition(".")[0] != _FORMAT_VERSION.partition(".")[0]:
            raise UnsupportedFormat(
                f"{self._path} is {name[:40]} {version[:20]}", hint="Remove it; it is written again."
            )
        return Pointers(found.integer("epoch"), _read(found, "current"), _read(found, "last_known_good"))


def _said(pointer: Pointer | None) -> JsonObject | None:
    return None if pointer is None else {"version": pointer.number, "digest": str(pointer.digest)}


def _read(found: Reader, key: str) -> Pointer | None:
    if not found.has(key):
        return None
    one = found.reader(key)
    return Pointer(VersionNumber(one.integer("version")), Digest.parse(one.text("digest")))
