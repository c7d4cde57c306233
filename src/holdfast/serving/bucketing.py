"""Which keys a share of the requests is made of: the same ones on every replica, and never chosen by chance twice.

    taken(salt, "ana", 1_000)       whether `ana` is in a share of 10 %

A key's place is the first eight bytes of SHA-256 of `salt:key`, read as a number. A share takes the places from the
bottom, so that raising it only adds keys. The salt is of one rollout: another rollout takes other keys. What is done
here is public and conforms to vectors that a test holds, so that a service in front may know what will be chosen.
"""

from hashlib import sha256

from holdfast.names import ModelName

__all__ = ["WHOLE", "bucket", "salt_of", "taken"]

WHOLE = 10_000
"""Shares are counted in ten-thousandths: the smallest, 0.01 %, is one request a minute at 150 a second."""

_PLACES = 1 << 64


def salt_of(model: ModelName, rollout: int) -> str:
    """The salt of a rollout. The model is in it, since two registries begin to count their rollouts alike."""
    return f"{model}:{rollout}"


def bucket(salt: str, key: str) -> float:
    """The place of a key in [0, 1]."""
    return _place(salt, key) / _PLACES


def taken(salt: str, key: str, share: int) -> bool:
    """Whether a share of so many ten-thousandths takes a key; computed in whole numbers, so that all agree."""
    return _place(salt, key) * WHOLE < share * _PLACES


def _place(salt: str, key: str) -> int:
    return int.from_bytes(sha256(f"{salt}:{key}".encode("utf-8", "surrogatepass")).digest()[:8], "big")
