"""Keys that sign versions: ECDSA (FIPS 186-5) over P-256, as new keys are, and over P-384 and P-521, which OMS has too.

    PublicKey.parse(key.pem.encode()) == key
    key.fingerprint                           sha256:…, of the key as SubjectPublicKeyInfo (RFC 5280, section 4.1)

The curve of the trusted key says which hash a signature is over; nothing that stands in a signature chooses it.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import PermissionRefused, TooLarge, UnsupportedFormat

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

__all__ = ["KEY_BYTES_MAX", "PrivateKey", "PublicKey"]

KEY_BYTES_MAX = 16 << 10
"""An encrypted private key of P-521 has half a kilobyte as PEM; what is longer is no key."""

_HASHES = {"secp256r1": "SHA256", "secp384r1": "SHA384", "secp521r1": "SHA512"}
"""Each curve with the hash that OMS signs by; other curves are refused."""

_PUBLIC = b"-----BEGIN PUBLIC KEY-----"

_CURVES = "a key of the curve P-256, P-384 or P-521"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What checks signatures.

    Attributes:
        pem: the key as SubjectPublicKeyInfo in PEM (RFC 7468), in the one form in which OpenSSL writes it.
        fingerprint: the SHA-256 of that SubjectPublicKeyInfo in DER.
    """

    pem: str
    fingerprint: Digest

    @classmethod
    def parse(cls, data: bytes, what: str = "the public key") -> "PublicKey":
        """The public key in a PEM file.

        Args:
            data: the file; blanks around the key do not count.
            what: what it is called in errors.

        Raises:
            TooLarge: more than `KEY_BYTES_MAX`.
            UnsupportedFormat: no public key, or one of another algorithm or curve.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        _bounded(data, what)
        text = data.strip()
        # A private key or a certificate holds a public key too; whoever trusts one by mistake should learn of it.
        if not text.startswith(_PUBLIC) or text.count(b"-----BEGIN") != 1:
            raise UnsupportedFormat(
                f"{what} is no public key in PEM", hint="Give the .pub file that stands beside the private key."
            )
        try:
            key = load_pem_public_key(text)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise UnsupportedFormat(f"{what} cannot be read", hint=f"Give {_CURVES}.") from error
        return cls.of(key, what)

    @classmethod
    def of(cls, key: object, what: str) -> "PublicKey":
        """The public key that a library holds; raises as `parse`."""
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        if not isinstance(key, EllipticCurvePublicKey) or key.curve.name not in _HASHES:
            raise UnsupportedFormat(
                f"{what} is of an algorithm or a curve that signs no versions",
                hint=f"Give {_CURVES}: holdfast key make",
            )
        form = PublicFormat.SubjectPublicKeyInfo
        return cls(key.public_bytes(Encoding.PEM, form).decode(), hash_bytes(key.public_bytes(Encoding.DER, form)))

    @property
    def hint(self) -> str:
        """What a signature says of the key that made it: the SHA-256 of its PEM, in hexadecimal digits."""
        return hash_bytes(self.pem.encode()).hex

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether the private key made this signature (DER, RFC 3279, section 2.2.3) over this message."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ec

        key = _loaded(self.pem)
        try:
            key.verify(signature, message, ec.ECDSA(_hash_of(key.curve.name)))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """What makes signatures.

    Attributes:
        public: what checks them.
    """

    public: PublicKey
    _key: "EllipticCurvePrivateKey"

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.fingerprint})"

    @classmethod
    def make(cls) -> "PrivateKey":
        """A new key of P-256."""
        from cryptography.hazmat.primitives.asymmetric import ec

        return cls.of(ec.generate_private_key(ec.SECP256R1()), "the new key")

    @classmethod
    def parse(cls, data: bytes, passphrase: str | None, what: str = "the private key") -> "PrivateKey":
        """The private key in a PEM file (PKCS #8, RFC 5958).

        Args:
            data: the file.
            passphrase: opens it; None where it is not encrypted.
            what: what it is called in errors.

        Raises:
            PermissionRefused: it is encrypted, and the passphrase is not the right one.
            TooLarge, UnsupportedFormat: as `PublicKey.parse`.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        _bounded(data, what)
        encrypted = cls.is_encrypted(data)
        try:
            key = load_pem_private_key(data, passphrase.encode() if passphrase is not None and encrypted else None)
        except TypeError as error:
            raise PermissionRefused(
                f"{what} is encrypted, and no passphrase was given", hint="Set HOLDFAST_SIGNING_PASSPHRASE, or type it."
            ) from error
        except (ValueError, UnsupportedAlgorithm) as error:
            if encrypted:
                raise PermissionRefused(f"the passphrase does not open {what}", hint="Give the right one.") from error
            raise UnsupportedFormat(f"{what} is no private key in PEM", hint="Make one: holdfast key make") from error
        return cls.of(key, what)

    @classmethod
    def of(cls, key: object, what: str) -> "PrivateKey":
        """The private key that a library holds; raises as `parse`."""
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

        if not isinstance(key, EllipticCurvePrivateKey):
            raise UnsupportedFormat(
                f"{what} is of an algorithm that signs no versions", hint=f"Give {_CURVES}: holdfast key make"
            )
        return cls(PublicKey.of(key.public_key(), what), key)

    @staticmethod
    def is_encrypted(data: bytes) -> bool:
        """Whether the PEM file says that a passphrase opens it."""
        return b"ENCRYPTED" in data

    def encode(self, passphrase: str | None) -> bytes:
        """The key as PKCS #8 in PEM; encrypted (PBES2) where there is a passphrase."""
        from cryptography.hazmat.primitives.serialization import (
            BestAvailableEncryption,
            Encoding,
            KeySerializationEncryption,
            NoEncryption,
            PrivateFormat,
        )

        lock: KeySerializationEncryption = NoEncryption()
        if passphrase:
            lock = BestAvailableEncryption(passphrase.encode())
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)

    def sign(self, message: bytes) -> bytes:
        """The signature over a message, in DER."""
        from cryptography.hazmat.primitives.asymmetric import ec

        return self._key.sign(message, ec.ECDSA(_hash_of(self._key.curve.name)))


def _bounded(data: bytes, what: str) -> None:
    if len(data) > KEY_BYTES_MAX:
        raise TooLarge(
            f"{what} has {len(data)} bytes, and a key has at most {KEY_BYTES_MAX}",
            hint="Give the file that holdfast key make wrote.",
            limit=KEY_BYTES_MAX,
        )


@lru_cache(maxsize=64)
def _loaded(pem: str) -> "EllipticCurvePublicKey":
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    return cast("EllipticCurvePublicKey", load_pem_public_key(pem.encode()))  # a `PublicKey` holds no other


def _hash_of(curve: str) -> "HashAlgorithm":
    from cryptography.hazmat.primitives import hashes

    found: HashAlgorithm = getattr(hashes, _HASHES[curve])()
    return found
