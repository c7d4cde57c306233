"""Digests: the names of bytes.

A digest always carries its algorithm, so that it can never be compared with one that was computed in another way:

    str(Digest.parse(text)) == text
    Digest.parse(str(digest)) == digest

SHA-256 (FIPS 180-4) names everything that people and other tools see: files, manifests, versions, events.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import BinaryIO

from holdfast.errors import UsageError

__all__ = ["READ_BYTES", "Digest", "hash_bytes", "hash_stream"]

READ_BYTES = 1 << 20
"""Bytes read at a time: SHA-256 runs at full speed without the GIL, and the piece stays in the processor's cache."""

_PATTERN = re.compile(r"sha256:[0-9a-f]{64}\Z")


@dataclass(frozen=True, order=True, slots=True)
class Digest:
    """The SHA-256 of some bytes.

    Attributes:
        hex: 64 lower-case hexadecimal digits.
    """

    hex: str

    def __post_init__(self) -> None:
        if not _PATTERN.match(f"sha256:{self.hex}"):
            raise _malformed(self.hex)

    @classmethod
    def parse(cls, text: str) -> "Digest":
        """The digest written as `sha256:` and 64 hexadecimal digits.

        Raises:
            UsageError: written in any other way.
        """
        if not _PATTERN.match(text):
            raise _malformed(text)
        return cls(text[7:])

    def __str__(self) -> str:
        return f"sha256:{self.hex}"

    @property
    def short(self) -> str:
        """The first 12 hexadecimal digits, for people; never for machines."""
        return self.hex[:12]


def _malformed(text: str) -> UsageError:
    return UsageError(
        f"{text[:100]!r} is not a digest",
        hint="A digest is written sha256: and 64 hexadecimal digits, lower case.",
    )


def hash_bytes(data: bytes) -> Digest:
    """The digest of `data`."""
    return Digest(hashlib.sha256(data).hexdigest())


def hash_stream(stream: BinaryIO) -> tuple[Digest, int]:
    """The digest and the number of the bytes from the stream's position to its end."""
    state, size = hashlib.sha256(), 0
    while piece := stream.read(READ_BYTES):
        state.update(piece)
        size += len(piece)
    return Digest(state.hexdigest()), size
