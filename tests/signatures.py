"""Keys and signatures for tests, made anew in each run."""

from functools import lru_cache

from holdfast.digest import Digest
from holdfast.manifest import MANIFEST_NAME
from holdfast.names import ModelName, VersionNumber
from holdfast.registry import NewSignature
from holdfast.signing import PrivateKey, Statement, sign

__all__ = ["key_of", "signature_of"]


@lru_cache(maxsize=8)
def key_of(name: str) -> PrivateKey:
    """The key of a person; the same for the same name in one process."""
    return PrivateKey.make()


def signature_of(model: ModelName, number: VersionNumber, digest: Digest, by: str = "ana") -> NewSignature:
    """A person's signature of a version, as far as a registry without its bundle can tell."""
    return NewSignature(model, number, _signed(str(model), digest, by), key_of(by).public.pem)


@lru_cache(maxsize=64)
def _signed(name: str, digest: Digest, by: str) -> bytes:
    # Kept, for a key never makes the same signature twice.
    return sign(Statement(name, {MANIFEST_NAME: digest}), key_of(by))
