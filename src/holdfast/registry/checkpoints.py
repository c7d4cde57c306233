"""Checkpoints: what the log is, in three lines, signed. The formats are C2SP's, so that others' tools read them.

    churn-1f2e3d4c                                      the origin: the name of the log, chosen once
    42                                                  how many events
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=        the RFC 6962 root over them, in base 64

    — churn-1f2e3d4c Az3grlgtzPICa5OS8npVmf1Myq…        the signature of the log's key over the lines above

The text is a tlog-checkpoint (c2sp.org/tlog-checkpoint), the whole a signed note (c2sp.org/signed-note) with an Ed25519
signature (RFC 8032). Keys are written as Go's `sumdb/note` writes them.
"""

import hashlib
import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass, field

from holdfast.digest import Digest
from holdfast.errors import IntegrityError, UnsupportedFormat
from holdfast.registry.merkle import HASH_BYTES, Head

__all__ = ["NOTE_BYTES_MAX", "Checkpoint", "SignerKey", "VerifierKey", "proof_text"]

_ED25519 = b"\x01"
"""The kind of key in a signed note: Ed25519."""

_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_ID_BYTES = 4

_PRIVATE = "PRIVATE+KEY+"

_NAME = re.compile(r"[^\s+]+")
"""What a signed note allows as the name of a key: no blank, no plus."""

_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")

NOTE_BYTES_MAX = 1_000_000
"""As Go's tools have it: a checkpoint has a few hundred bytes, and room for many witnesses."""

_SIGNATURES_MAX = 100
"""Likewise."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log said it was.

    Attributes:
        origin: the name of the log.
        head: how many events, and the root over them.
    """

    origin: str
    head: Head

    def text(self) -> str:
        """The three lines that are signed."""
        return f"{self.origin}\n{self.head.size}\n{b64encode(bytes.fromhex(self.head.root.hex)).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """The checkpoint in a signed note, or in its text alone; signatures are not looked at.

        Raises:
            UnsupportedFormat: it is none.
        """
        origin, size, root, *_ = [*text.partition("\n\n")[0].split("\n"), "", "", ""]
        if not _NAME.fullmatch(origin) or not _SIZE.fullmatch(size):
            raise _no_checkpoint()
        return cls(origin, Head(int(size), Digest(_base64(root, HASH_BYTES).hex())))


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public half of a log's key: whoever has it can tell the log's checkpoints from others.

    Attributes:
        name: the origin of the log.
        key: the 32 bytes of an Ed25519 public key.
    """

    name: str
    key: bytes

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """The key that `str` wrote: name, id and key, between them a plus.

        Raises:
            UnsupportedFormat: it is none, or its id is not that of its name and key.
        """
        name, key_id, key = [*text.strip().split("+", 2), "", ""][:3]
        found = cls(name, _base64(key, 1 + _KEY_BYTES)[1:])
        if not _NAME.fullmatch(name) or str(found) != text.strip() or found.id.hex() != key_id:
            raise UnsupportedFormat(
                "this is not the key of a log", hint="Print it where the log is kept: holdfast audit key"
            )
        return found

    @property
    def id(self) -> bytes:
        """The four bytes by which a signature names the key."""
        return _key_id(self.name, self.key)

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{b64encode(_ED25519 + self.key).decode()}"

    def open(self, note: bytes) -> Checkpoint:
        """The checkpoint that a note holds, if this key has signed it.

        Raises:
            UnsupportedFormat: not a signed note with a checkpoint.
            IntegrityError: it was not signed by this key, or is not what was signed.
        """
        text, signatures = _note(note)
        checkpoint = Checkpoint.parse(text)
        ours = [signature for name, signature in signatures if (name, signature[:_ID_BYTES]) == (self.name, self.id)]
        if checkpoint.origin != self.name or not ours:
            raise IntegrityError(
                f"the checkpoint of {checkpoint.origin} was not signed by the key {self.name}+{self.id.hex()}",
                hint="Compare with the key that you were given: holdfast audit key",
                origin=checkpoint.origin,
            )
        if not all(self._signed(text, signature[_ID_BYTES:]) for signature in ours):
            raise IntegrityError(
                f"the signature under the checkpoint of {checkpoint.origin} is not of this text: it was edited",
                hint="Get the checkpoint again from whoever gave it to you.",
                origin=checkpoint.origin,
            )
        return checkpoint

    def _signed(self, text: str, signature: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SignerKey:
    """The private half of a log's key.

    Attributes:
        name: the origin of the log.
        seed: the 32 secret bytes of an Ed25519 key.
    """

    name: str
    seed: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "SignerKey":
        """The key that `secret` wrote.

        Raises:
            UnsupportedFormat: it is none.
        """
        name, _, seed = [*text.strip().removeprefix(_PRIVATE).split("+", 2), "", ""][:3]
        found = cls(name, _base64(seed, 1 + _KEY_BYTES)[1:])
        if not _NAME.fullmatch(name) or found.secret() != text.strip():
            raise UnsupportedFormat(
                "the file with the log's private key does not hold one", hint="Restore it from a backup."
            )
        return found

    def secret(self) -> str:
        """The private key as text; for the one file that holds it."""
        key_id = self.verifier().id.hex()
        return f"{_PRIVATE}{self.name}+{key_id}+{b64encode(_ED25519 + self.seed).decode()}"

    def verifier(self) -> VerifierKey:
        """The public half."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return VerifierKey(self.name, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())

    def sign(self, text: str) -> bytes:
        """The signed note over a text that ends with a line feed."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        signature = Ed25519PrivateKey.from_private_bytes(self.seed).sign(text.encode())
        return f"{text}\n— {self.name} {b64encode(self.verifier().id + signature).decode()}\n".encode()


def proof_text(index: int, path: tuple[bytes, ...], note: bytes) -> bytes:
    """A proof that an event is in the log, as a tlog-proof (c2sp.org/tlog-proof) has it."""
    lines = ["c2sp.org/tlog-proof@v1", f"index {index}", *(b64encode(node).decode() for node in path)]
    return "\n".join(lines).encode() + b"\n\n" + note


def _key_id(name: str, key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + key).digest()[:_ID_BYTES]


def _note(note: bytes) -> tuple[str, list[tuple[str, bytes]]]:
    """The text of a note, and its Ed25519 signatures, each with its key's name and behind its key's id."""
    try:
        whole = note.decode()
    except UnicodeDecodeError as error:
        raise _no_checkpoint() from error
    text, blank, below = whole.rpartition("\n\n")
    lines = below.split("\n")
    if len(note) > NOTE_BYTES_MAX or not blank or lines.pop() or not 0 < len(lines) <= _SIGNATURES_MAX:
        raise _no_checkpoint()
    signatures = []
    for line in lines:
        dash, name, signature = [*line.split(" "), "", ""][:3]
        if dash != "—" or not _NAME.fullmatch(name) or line.count(" ") != 2:  # noqa: PLR2004 - dash, name, signature
            raise _no_checkpoint()
        found = _base64(signature, None)
        # A witness may sign with keys of other kinds and other lengths; they are not ours to check.
        if len(found) == _ID_BYTES + _SIGNATURE_BYTES:
            signatures.append((name, found))
    return f"{text}\n", signatures


def _base64(text: str, size: int | None) -> bytes:
    try:
        found = b64decode(text, validate=True)
    except (NotBase64, ValueError) as error:
        raise _no_checkpoint() from error
    if b64encode(found).decode() != text or (size is not None and len(found) != size):
        raise _no_checkpoint()
    return found


def _no_checkpoint() -> UnsupportedFormat:
    return UnsupportedFormat(
        "this is neither a signed checkpoint of a log nor a key of one",
        hint="Print one where the log is kept: holdfast audit checkpoint",
    )
