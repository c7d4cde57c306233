"""Signatures travel with their versions: beside the refs of a remote, one small file for each, never written over.

    signatures/churn/000000000004/ab12…      by model, number, and the SHA-256 of the signature's file

What comes is believed no more than anything else of a remote: it is kept when it is a signature by the key that it
brings, over a bundle with this version's manifest. Whether that key is trusted, each project's own policy says.
"""

from base64 import b64encode

from holdfast.canonical import Reader, decode, encode
from holdfast.errors import IntegrityError, TooLarge, UnsupportedFormat, UsageError
from holdfast.names import ModelName, VersionNumber
from holdfast.registry.interface import Registry
from holdfast.registry.vouching import NewSignature, file_in
from holdfast.signing import KEY_BYTES_MAX, SIGNATURE_BYTES_MAX
from holdfast.store.formats import accepted_version
from holdfast.store.remote.refs import VersionRef
from holdfast.store.remote.transport import Transport

__all__ = ["fetch_signatures", "send_signatures"]

_FORMAT = "holdfast.signature"
_VERSION = "1.0"

_FILE_BYTES_MAX = SIGNATURE_BYTES_MAX * 4 // 3 + KEY_BYTES_MAX + 1024
"""The largest signature in base 64, its key, and the few fields around them."""

_OF_A_VERSION_MAX = 256
"""Several registries may have pushed the 64 that each keeps; a remote with more is not one of ours."""


def send_signatures(transport: Transport, registry: Registry, ref: VersionRef) -> int:
    """Writes what a remote lacks of the signatures of a version; how many that were."""
    sent = 0
    for one in registry.signatures(ModelName(ref.model), VersionNumber(ref.number)):
        document = {
            "body": b64encode(one.body).decode(),
            "format": _FORMAT,
            "model": ref.model,
            "number": ref.number,
            "public_key": one.public_key,
            "version": _VERSION,
        }
        sent += transport.create(f"{_folder(ref)}{one.digest.hex}", encode(document) + b"\n")
    return sent


def fetch_signatures(transport: Transport, registry: Registry, ref: VersionRef, actor: str) -> int:
    """Has the registry keep the signatures of a version that a remote has; how many of them were new.

    Raises:
        IntegrityError: one of them is damaged, or of something else; those before it are kept.
        TooLarge: the remote has more than a version can have.
    """
    model, number = ModelName(ref.model), VersionNumber(ref.number)
    known = {one.digest for one in registry.signatures(model, number)}
    keys = []
    for listed in transport.list(_folder(ref)):
        keys.append(listed.key)
        if len(keys) > _OF_A_VERSION_MAX:
            raise TooLarge(
                f"{transport.name} has more than {_OF_A_VERSION_MAX} signatures of {model}@{number}",
                hint="Somebody else wrote them: look below signatures/ there.",
                limit=_OF_A_VERSION_MAX,
            )
    new = 0
    for key in sorted(keys):
        found = _read(transport, key, model, number)
        if found.digest not in known:
            try:
                registry.put_signature(found, actor, f"from {transport.name}")
            except (UnsupportedFormat, UsageError) as error:
                raise _damaged(transport, key, error.message) from error
            new += 1
    return new


def _read(transport: Transport, key: str, model: ModelName, number: VersionNumber) -> NewSignature:
    try:
        said = Reader(decode(transport.read(key, bytes_max=_FILE_BYTES_MAX), what=key), key)
        accepted_version(said, name=_FORMAT, major=1)
        of, body, public_key = (said.text("model"), said.integer("number")), file_in(said), said.text("public_key")
    except (UnsupportedFormat, TooLarge) as error:
        raise _damaged(transport, key, error.message) from error
    found = NewSignature(model, number, body, public_key)
    if of != (str(model), number) or found.digest.hex != key.rpartition("/")[2]:
        raise _damaged(transport, key, "it holds something else than what it is named by")
    return found


def _damaged(transport: Transport, key: str, why: str) -> IntegrityError:
    return IntegrityError(
        f"the signature {key} in {transport.name} is damaged: {why}",
        hint="Remove it there, and push it again from a project that has it.",
        key=key,
    )


def _folder(ref: VersionRef) -> str:
    return f"signatures/{ref.model}/{ref.number:012d}/"
