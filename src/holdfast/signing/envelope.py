"""How a signature is wrapped: a Sigstore bundle v0.3 that holds a DSSE envelope (v1), as JSON.

    Envelope.parse(envelope.encode()) == envelope
    envelope.message                        what the signature is over: DSSE's pre-authentication encoding

Read are signatures that a key pair made. Those by certificates, keyless ones and entries of transparency logs need
roots of trust that nobody here has; they are refused, for half of their proof would go unchecked.
"""

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass

from holdfast.canonical import Reader, decode, encode
from holdfast.errors import TooLarge, UnsupportedFormat

__all__ = ["SIGNATURE_BYTES_MAX", "Envelope"]

SIGNATURE_BYTES_MAX = 8 << 20
"""Three times what the largest bundle needs, of 10,000 files with paths of usual length; read whole."""

_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD = "application/vnd.in-toto+json"

_HINT = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload, and the signature that a key made over it.

    Attributes:
        payload: what was signed.
        signature: over `message`.
        hint: the SHA-256 of the PEM of the key that is said to have made it; None in files from before OMS had it. It
            only says which key to try.
    """

    payload: bytes
    signature: bytes
    hint: str | None

    @property
    def message(self) -> bytes:
        """The bytes that the signature is over (DSSE 1.0, "PAE"): type and length bind what they stand for."""
        return pre_authentication(self.payload)

    def encode(self) -> bytes:
        """The file."""
        return encode(
            {
                "dsseEnvelope": {
                    "payload": b64encode(self.payload).decode(),
                    "payloadType": _PAYLOAD,
                    "signatures": [{"keyid": "", "sig": b64encode(self.signature).decode()}],
                },
                "mediaType": _BUNDLE,
                "verificationMaterial": {"publicKey": {"hint": self.hint}, "tlogEntries": []},
            }
        )

    @classmethod
    def parse(cls, body: bytes) -> "Envelope":
        """The envelope in a file; whether the signature is any good is not looked at.

        Raises:
            TooLarge: more than `SIGNATURE_BYTES_MAX`.
            UnsupportedFormat: no such file, or one with another kind of proof.
        """
        if len(body) > SIGNATURE_BYTES_MAX:
            raise TooLarge(
                f"a signature of {len(body)} bytes passes the limit of {SIGNATURE_BYTES_MAX}",
                hint="It is not the signature of a version.",
                limit=SIGNATURE_BYTES_MAX,
            )
        said = Reader(decode(body, what="the signature"), "signature")
        if said.text("mediaType") != _BUNDLE:
            raise _unread("it is no Sigstore bundle of version 0.3")
        hint = _hint(said.reader("verificationMaterial"))
        envelope = said.reader("dsseEnvelope")
        if said.has("messageSignature"):
            raise _unread("it holds two signatures of different kinds")
        if envelope.text("payloadType") != _PAYLOAD:
            raise _unread("its payload is no in-toto statement")
        payload = _bytes(envelope.text("payload"), "payload")
        signatures = envelope.items("signatures")
        if len(signatures) != 1:
            raise _unread(f"it holds {len(signatures)} signatures, and one is read")
        return cls(payload, _bytes(Reader(signatures[0], "signature").text("sig"), "signature"), hint)


def pre_authentication(payload: bytes) -> bytes:
    """What DSSE 1.0 signs for a payload."""
    return b"DSSEv1 %d %b %d %b" % (len(_PAYLOAD), _PAYLOAD.encode(), len(payload), payload)


def _hint(material: Reader) -> str | None:
    if not material.has("publicKey"):
        raise _unread("it was not made with a key pair; certificates and keyless signatures are not read")
    key = material.reader("publicKey")
    entries, stamps = material.items("tlogEntries"), material.mapping("timestampVerificationData")
    others = [name for name, value in material.rest().items() if value is not None]
    if entries or any(stamps.values()) or others:
        raise _unread("it brings further proofs beside a key, which would go unchecked")
    hint = key.maybe_text("hint")
    if hint is not None and not _HINT.match(hint):
        raise _unread("it names its key by something else than a SHA-256")
    return hint


def _bytes(text: str, what: str) -> bytes:
    try:
        data = b64decode(text, validate=True)
    except ValueError as error:
        raise _unread(f"its {what} is not base 64") from error
    if not data:
        raise _unread(f"its {what} is empty")
    return data


def _unread(why: str) -> UnsupportedFormat:
    return UnsupportedFormat(
        f"the signature is not taken: {why}", hint="Sign with: holdfast sign, or model_signing sign key"
    )
