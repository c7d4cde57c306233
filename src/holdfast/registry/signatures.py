"""Keeping signatures: looked at as far as a registry can, which has no bundle and trusts no key."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select

from holdfast.database.times import from_text, to_text
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import IntegrityError, TooLarge, UsageError
from holdfast.manifest import MANIFEST_NAME
from holdfast.names import ByNumber, ModelName, Reference, VersionNumber
from holdfast.registry.actions import Action
from holdfast.registry.as_written import as_bytes
from holdfast.registry.events import Entry, append
from holdfast.registry.keys import another_request, earlier
from holdfast.registry.tables import signatures
from holdfast.registry.values import Version
from holdfast.registry.versions import resolve
from holdfast.registry.vouching import NewSignature, Signature
from holdfast.signing import PublicKey, read_signature

__all__ = ["keep", "of_version"]

_SIGNATURES_MAX = 64
"""Of one version: each of a dozen people and machines, with a few keys in turn. All of them are read at every gate."""

_TOTAL_BYTES_MAX = 16 << 20
"""Of the files of one version's signatures together: what one answer of a server carries, in base 64, within the bound
of a request."""

_BY_DIGEST = select(signatures).where(signatures.c.digest == bindparam("digest"))

_OF_VERSION = (
    select(signatures)
    .where(signatures.c.model == bindparam("model"), signatures.c.number == bindparam("number"))
    .order_by(signatures.c.created_at, signatures.c.digest)
)


def keep(
    connection: Connection, new: NewSignature, now: datetime, actor: str, *, reason: str = "", key: str | None = None
) -> Signature:
    """Writes a signature down with its event; see `Vouching.put_signature`."""
    version = resolve(connection, Reference(new.model, ByNumber(new.number)))
    signer = _looked_at(new, version)
    said: dict[str, Any] = {
        "action": Action.VERSION_SIGN,
        "model": str(new.model),
        "to_number": new.number,
        "to_digest": str(version.digest),
        "reason": reason,
    }
    details = {"signature": str(new.digest), "key": str(signer.fingerprint)}
    before = earlier(connection, key, actor, **said)
    if before is not None and before.details != details:
        raise another_request(before)
    there = connection.execute(_BY_DIGEST, {"digest": str(new.digest)}).one_or_none()
    if there is not None:
        return _load(there)
    _refuse_too_many(connection, new)
    event = append(connection, Entry(**said, idempotency_key=key, details=details), now, actor)
    row = {
        "digest": str(new.digest),
        "model": str(new.model),
        "number": new.number,
        "key": str(signer.fingerprint),
        "public_key": signer.pem,
        "body": new.body,
        "created_at": to_text(event.time),
        "created_by": actor,
    }
    connection.execute(insert(signatures), row)
    return _load(connection.execute(_BY_DIGEST, {"digest": str(new.digest)}).one())


def _looked_at(new: NewSignature, version: Version) -> PublicKey:
    signer = PublicKey.parse(new.public_key.encode())
    try:
        signed = read_signature(new.body, signer).files.get(MANIFEST_NAME)
    except IntegrityError as error:  # of what was sent; nothing that is kept here is damaged
        raise UsageError(f"the signature is not kept: {error.message}", hint=error.hint, **error.details) from error
    if signed != version.digest:
        raise UsageError(
            f"the signature is of {signed or 'files without a manifest'}, and {version.model}@{version.number} "
            f"is {version.digest}",
            hint="Sign the bundle as it is: holdfast sign, or every file of a checkout.",
            digest=str(version.digest),
        )
    return signer


def _refuse_too_many(connection: Connection, new: NewSignature) -> None:
    held = select(func.count(), func.coalesce(func.sum(func.length(signatures.c.body)), 0)).where(
        signatures.c.model == str(new.model), signatures.c.number == new.number
    )
    count, size = connection.execute(held).one()
    if count >= _SIGNATURES_MAX or size + len(new.body) > _TOTAL_BYTES_MAX:
        raise TooLarge(
            f"{new.model}@{new.number} has {count} signatures of {size} bytes, and a version may have "
            f"{_SIGNATURES_MAX} of {_TOTAL_BYTES_MAX}",
            hint="One of each key that a policy asks for is enough.",
            limit=_SIGNATURES_MAX,
        )


def of_version(connection: Connection, model: ModelName, number: VersionNumber) -> tuple[Signature, ...]:
    """All signatures of a version; see `Vouching.signatures`."""
    resolve(connection, Reference(model, ByNumber(number)))
    rows = connection.execute(_OF_VERSION, {"model": str(model), "number": number})
    return tuple(map(_load, rows))


def _load(row: Row[Any]) -> Signature:
    body = as_bytes(row.body)
    found = hash_bytes(body)
    if str(found) != row.digest:
        raise IntegrityError(
            f"the signature {row.digest} holds bytes that hash to {found}",
            hint="Run: holdfast audit verify",
            expected=row.digest,
            found=str(found),
        )
    return Signature(
        digest=found,
        model=ModelName(row.model),
        number=VersionNumber(row.number),
        key=Digest.parse(row.key),
        public_key=row.public_key,
        body=body,
        by=row.created_by,
        at=from_text(row.created_at),
    )
