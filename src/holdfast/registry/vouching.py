"""Signatures of versions, as a registry keeps and gives them; what one is worth, whoever trusts its key decides.

registry.put_signature(NewSignature(model, number, body, key.pem), "ana")
registry.signatures(model, number)
"""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from holdfast.canonical import JsonObject, Reader
from holdfast.database.times import from_text, to_text
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import UnsupportedFormat
from holdfast.names import ModelName, VersionNumber

__all__ = ["NewSignature", "Signature", "Vouching", "file_in"]


@dataclass(frozen=True, slots=True)
class NewSignature:
    """A signature about to be kept.

    Attributes:
        model, number: of the version.
        body: the file, as OpenSSF Model Signing has it.
        public_key: in PEM, what checks it.
    """

    model: ModelName
    number: VersionNumber
    body: bytes
    public_key: str

    @property
    def digest(self) -> Digest:
        """The name that it will have."""
        return hash_bytes(self.body)

    def to_json(self) -> JsonObject:
        """What asks a server for it to be kept; model and number are in the path."""
        return {"body": b64encode(self.body).decode(), "public_key": self.public_key}


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature that is kept.

    Attributes:
        digest: of its file.
        model, number: of the version.
        key: the fingerprint of the key that made it.
        public_key: that key, in PEM.
        body: the file.
        by: who had it kept.
        at: when.
    """

    digest: Digest
    model: ModelName
    number: VersionNumber
    key: Digest
    public_key: str
    body: bytes
    by: str
    at: datetime

    def to_json(self) -> JsonObject:
        """Whose it is, and all of it."""
        return {**self.about(), "public_key": self.public_key, "body": b64encode(self.body).decode()}

    def about(self) -> JsonObject:
        """Whose it is, for people."""
        return {
            "signature": str(self.digest),
            "model": str(self.model),
            "version": self.number,
            "key": str(self.key),
            "by": self.by,
            "at": to_text(self.at),
        }

    @classmethod
    def from_json(cls, found: Reader) -> "Signature":
        """The signature that `to_json` wrote; whether it is any good is not looked at.

        Raises:
            UnsupportedFormat: something else.
        """
        return cls(
            digest=Digest.parse(found.text("signature")),
            model=ModelName(found.text("model")),
            number=VersionNumber(found.integer("version")),
            key=Digest.parse(found.text("key")),
            public_key=found.text("public_key"),
            body=file_in(found),
            by=found.text("by"),
            at=from_text(found.text("at")),
        )


class Vouching(Protocol):
    """Who vouches for the versions of a registry."""

    def put_signature(self, new: NewSignature, actor: str, reason: str = "", *, key: str | None = None) -> Signature:
        """Keeps a signature, with its event; what is kept already is answered as it is, and nothing is written.

        It is looked at as far as that goes without the bundle: its form, that it is by the key that it comes with, and
        that it is of a bundle with this version's manifest.

        Raises:
            NotFound: no such model or version.
            UnsupportedFormat: no signature, or no public key, that is read here.
            UsageError: it is damaged, not by that key, or of another version.
            TooLarge: it, or all of the version together, are past what is kept.
        """

    def signatures(self, model: ModelName, number: VersionNumber) -> tuple[Signature, ...]:
        """The signatures of a version, oldest first.

        Raises:
            NotFound: no such model or version.
            IntegrityError: one of them is not what it is named by.
        """


def file_in(found: Reader) -> bytes:
    """The file of a signature in base 64, as documents carry it.

    Raises:
        UnsupportedFormat: something else.
    """
    try:
        return b64decode(found.text("body"), validate=True)
    except ValueError as error:
        raise UnsupportedFormat(
            f"{found.where}.body is not base 64", hint="The document was not written by Holdfast."
        ) from error
