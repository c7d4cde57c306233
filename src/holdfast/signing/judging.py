"""Whether a signature is by a key, over exactly these files; and if not, why, in a sentence.

    judge(body, key, files).fault == ""       it is
    judge(body, key, files).fault             "it was made with another key …", "it is over other files: …"

Whatever cannot be read, is not understood or does not fit is a fault. There is no third answer.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from holdfast.digest import Digest
from holdfast.errors import IntegrityError, TooLarge, UnsupportedFormat
from holdfast.signing.envelope import Envelope, pre_authentication
from holdfast.signing.keys import PrivateKey, PublicKey
from holdfast.signing.statement import Statement

__all__ = ["Judgement", "judge", "read_signature", "sign"]

_NAMED_MAX = 3
"""Paths that a sentence names; further ones are counted."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one signature proves.

    Attributes:
        key: whose signature it was to be.
        fault: why it proves nothing; empty where it is good.
    """

    key: PublicKey
    fault: str

    @property
    def is_good(self) -> bool:
        """Whether the key vouches for exactly the files that were asked about."""
        return not self.fault


def sign(statement: Statement, key: PrivateKey) -> bytes:
    """The signature over a statement, as a file of OpenSSF Model Signing."""
    payload = statement.encode()
    return Envelope(payload, key.sign(pre_authentication(payload)), key.public.hint).encode()


def read_signature(body: bytes, key: PublicKey) -> Statement:
    """What a key signed. The signature is checked before anything of the statement is read.

    Raises:
        UnsupportedFormat, TooLarge: the file, or what was signed, is not understood.
        IntegrityError: it is not by this key, or damaged.
    """
    envelope = Envelope.parse(body)
    if envelope.hint not in {None, key.hint}:
        raise _not_by(f"it was made with another key than {key.fingerprint}, as it says itself", key)
    if not key.verifies(envelope.signature, envelope.message):
        raise _not_by(f"it is damaged, or not by the key {key.fingerprint}", key)
    return Statement.parse(envelope.payload)


def judge(body: bytes, key: PublicKey, files: Mapping[str, Digest]) -> Judgement:
    """Whether `body` is a signature that `key` made over exactly these files.

    Args:
        body: the file of the signature.
        key: whose it must be.
        files: every file by its path, with its digest: the statement must have none more and none less.
    """
    try:
        statement = read_signature(body, key)
    except (UnsupportedFormat, TooLarge, IntegrityError) as error:
        return Judgement(key, error.message)
    return Judgement(key, "; ".join(_differences(statement.files, files)))


def _differences(signed: Mapping[str, Digest], found: Mapping[str, Digest]) -> Iterator[str]:
    other = sorted(path for path in signed.keys() & found.keys() if signed[path] != found[path])
    for said, paths in (
        ("it is over other bytes of", other),
        ("it says nothing of", sorted(found.keys() - signed.keys())),
        ("it is over files that are not there:", sorted(signed.keys() - found.keys())),
    ):
        if paths:
            more = f" and {len(paths) - _NAMED_MAX} more" if len(paths) > _NAMED_MAX else ""
            yield f"{said} {', '.join(paths[:_NAMED_MAX])}{more}"


def _not_by(why: str, key: PublicKey) -> IntegrityError:
    return IntegrityError(
        why, hint="Check with the key that made it, or have it signed again: holdfast sign", key=str(key.fingerprint)
    )
