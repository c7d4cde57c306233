"""What two versions answered, row by row, as bytes that a verdict can name.

    lines = row_digests(answer)                 one line for each row, in the order of the rows
    root_of(lines)                              the one hash over all of them, which stands in the verdict
    rows_that_differ(lines, row_digests(now))   which rows are answered otherwise today

Each line is the leaf hash of RFC 6962 over the canonical JSON (RFC 8785) of `[prediction, score]`, in hexadecimal
digits. So `diff` names the row that changed, and an inclusion proof shows how one row was answered without the others.
"""

from collections.abc import Sequence
from itertools import zip_longest

from holdfast.canonical import encode
from holdfast.digest import Digest
from holdfast.errors import UnsupportedFormat
from holdfast.registry.merkle import folded, join, leaf
from holdfast.runtime.pipeline import Answer

__all__ = ["ROW_DIGESTS_BYTES_MAX", "read_row_digests", "root_of", "row_digests", "rows_that_differ"]

_LINE_BYTES = 65
"""Sixty-four hexadecimal digits and the end of the line."""

ROW_DIGESTS_BYTES_MAX = 16_000_000 * _LINE_BYTES
"""A gigabyte: a holdout of more rows than that is scored nowhere in one answer."""


def row_digests(answer: Answer) -> bytes:
    """One line for each row of the answer."""
    pairs = zip(answer.predictions, answer.scores, strict=True)
    return b"".join(leaf(encode([prediction, score])).hex().encode() + b"\n" for prediction, score in pairs)


def read_row_digests(data: bytes) -> tuple[str, ...]:
    """The digests of the rows, as hexadecimal digits.

    Raises:
        UnsupportedFormat: these are no lines that `row_digests` wrote.
    """
    lines = data.decode("ascii", errors="replace").splitlines()
    whole = len(lines) * _LINE_BYTES == len(data)
    if not whole or not all(len(line) == _LINE_BYTES - 1 and set(line) <= set("0123456789abcdef") for line in lines):
        raise UnsupportedFormat(
            "these are no digests of rows: each line has 64 hexadecimal digits",
            hint="Look at what names them: holdfast gate show",
        )
    return tuple(lines)


def root_of(lines: bytes) -> Digest:
    """The root of RFC 6962 over the lines, whose hashes are its leaves."""
    edge: list[bytes] = []
    for size, line in enumerate(read_row_digests(lines), start=1):
        node = bytes.fromhex(line)
        for _ in range((size & -size).bit_length() - 1):
            node = join(edge.pop(), node)
        edge.append(node)
    return Digest(folded(edge).hex())


def rows_that_differ(kept: Sequence[str], now: Sequence[str]) -> tuple[int, ...]:
    """The places, from 0, whose digests are not the same, or that only one of the two has."""
    return tuple(place for place, (a, b) in enumerate(zip_longest(kept, now)) if a != b)
