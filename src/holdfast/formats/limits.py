"""What a scan takes on, and the budget of one file: nothing may cost more than a gate can wait for."""

__all__ = [
    "ARCHIVE_MEMBERS_MAX",
    "DEPTH_MAX",
    "EXPANDED_BYTES_MAX",
    "HEADER_BYTES_MAX",
    "IMPORTS_MAX",
    "MARKS_MAX",
    "MEMO_MAX",
    "OPCODES_MAX",
    "SCAN_BYTES_MAX",
    "Broken",
    "Budget",
    "Refused",
]

SCAN_BYTES_MAX = 4 << 30
"""A pickle is scanned whole, as it is loaded. Larger weights come as tensors, whose header says it all."""

HEADER_BYTES_MAX = 100 << 20
"""What the safetensors format allows for its header; a vocabulary in a GGUF file takes a tenth of it."""

OPCODES_MAX = 10_000_000
"""A text vectoriser with two million terms has so many; walking them takes some ten seconds."""

MEMO_MAX = 5_000_000
"""Every second instruction of a pickle remembers its value at most."""

MARKS_MAX = 10_000
"""Pickle itself recurses for each level, and gives up at a thousand or so."""

IMPORTS_MAX = 2_000
"""A model with all of scikit-learn in it names three hundred."""

EXPANDED_BYTES_MAX = 2 << 30
"""What all layers of compression of one file may come to. Deflate can make a thousand bytes of one."""

ARCHIVE_MEMBERS_MAX = 65_535
"""What an archive may list without extensions."""

DEPTH_MAX = 6
"""Files in files: an archive that holds a compressed pickle that holds a pickle is three deep already."""


class Broken(Exception):
    """Bytes that cannot be read to their end; says why. Raised and caught in this folder, never shown."""


class Refused(Broken):
    """Bytes that are not followed any further, though what they are meant for might go on reading."""


class Budget:
    """What is left to be spent on one file, whatever is nested in it.

    Args:
        opcodes: instructions of pickles.
        expanded_bytes: bytes out of compression.
    """

    def __init__(self, opcodes: int = OPCODES_MAX, expanded_bytes: int = EXPANDED_BYTES_MAX) -> None:
        self.opcodes = opcodes
        self.expanded_bytes = expanded_bytes

    def expand(self, count: int) -> None:
        """Take `count` bytes out of compression.

        Raises:
            Broken: that is more than is left.
        """
        self.expanded_bytes -= count
        if self.expanded_bytes < 0:
            raise Refused("it unpacks to more bytes than any model needs")
