"""The secret of a token: `holdfast_`, 32 random bytes in base 62, and a checksum.

The beginning lets scanners find one that was committed by mistake, and the checksum lets them, and a server, tell it
from a text that only looks like one. A server keeps its SHA-256 alone: with 256 bits of chance in it, nothing slower is
needed.
"""

import hashlib
import re
import secrets
import zlib

__all__ = ["PREFIX", "fingerprint", "is_secret", "mint"]

PREFIX = "holdfast_"

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_CHANCE_BYTES = 32
_CHANCE_DIGITS = 43
"""62 ** 43 is more than 2 ** 256."""

_CHECK_DIGITS = 6
"""62 ** 6 is more than 2 ** 32, which is what CRC-32 gives."""

_SECRET = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_CHANCE_DIGITS + _CHECK_DIGITS}}}\Z")


def mint() -> str:
    """A secret that nobody has had."""
    chance = _in_base_62(int.from_bytes(secrets.token_bytes(_CHANCE_BYTES)), _CHANCE_DIGITS)
    return PREFIX + chance + _check(chance)


def is_secret(text: str) -> bool:
    """Whether the text was minted, as far as its checksum tells."""
    if not _SECRET.match(text):
        return False
    chance = text[len(PREFIX) : -_CHECK_DIGITS]
    return text[-_CHECK_DIGITS:] == _check(chance)


def fingerprint(secret: str) -> str:
    """What is kept of a secret, and what it is found by."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _check(chance: str) -> str:
    return _in_base_62(zlib.crc32(chance.encode()), _CHECK_DIGITS)


def _in_base_62(number: int, digits: int) -> str:
    said = []
    for _ in range(digits):
        number, digit = divmod(number, len(_DIGITS))
        said.append(_DIGITS[digit])
    return "".join(reversed(said))
