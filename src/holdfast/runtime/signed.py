"""Signing versions, and finding out who has: the registry keeps signatures, and trust is whoever asks's own.

sign_version(version, key, registry, store, "ana")
Vouched.of(version, manifest, registry, trusted).keys       fingerprints of trusted keys that sign exactly this
hashed(folder)                                              a bundle as any folder, to hold against a signature
"""

import os
import stat
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from holdfast.canonical import JsonObject, Reader, decode, encode
from holdfast.digest import Digest, hash_stream
from holdfast.errors import HoldfastError, IntegrityError, TooLarge, UnsupportedFormat, UsageError
from holdfast.manifest import BUNDLE_FILES_MAX, Manifest
from holdfast.names import RelativePath
from holdfast.registry.interface import Registry
from holdfast.registry.values import Version
from holdfast.registry.vouching import NewSignature, Signature
from holdfast.runtime.materialise import read_manifest
from holdfast.signing import PrivateKey, PublicKey, Statement, judge, sign
from holdfast.store.disk import place, refusing
from holdfast.store.interface import Store

__all__ = [
    "Looked",
    "Vouched",
    "hashed",
    "keep_signature",
    "kept_signature_holds",
    "require_signed",
    "sign_version",
    "take_in",
    "verified_folder",
]

_FILES_MAX = BUNDLE_FILES_MAX + 1
"""A bundle's files and its manifest: a folder with more is none that was signed."""


_KEPT_BYTES_MAX = 32 << 20
"""A signature names every file of its bundle: a hundred bytes for each of some hundred thousand."""

_SHOWN_MAX = 3
"""Signatures that do not count named in one sentence; documents hold them all."""


@dataclass(frozen=True, slots=True)
class Looked:
    """One signature, looked at.

    Attributes:
        signature: as it is kept.
        fault: why it counts for nothing; empty where a trusted key made it over exactly this version's files.
    """

    signature: Signature
    fault: str


@dataclass(frozen=True, slots=True)
class Vouched:
    """Who vouches for a version, among those who are trusted.

    Attributes:
        signatures: every signature that the registry has of it, oldest first.
    """

    signatures: tuple[Looked, ...]

    @property
    def keys(self) -> tuple[Digest, ...]:
        """The fingerprints of the trusted keys with a good signature, each once."""
        return tuple(sorted({one.signature.key for one in self.signatures if not one.fault}))

    def to_json(self) -> JsonObject:
        """What `verify` and a verdict say of them."""
        return {
            "keys": [str(key) for key in self.keys],
            "signatures": [{**one.signature.about(), "fault": one.fault or None} for one in self.signatures],
        }

    def why_no_more(self) -> str:
        """Why no further signature counts, in words that name the first of them."""
        faults = [f"signature {one.signature.digest.short}: {one.fault}" for one in self.signatures if one.fault]
        if not faults:
            return f"there is no {'other ' if self.keys else ''}signature"
        more = f"; and {len(faults) - _SHOWN_MAX} more" if len(faults) > _SHOWN_MAX else ""
        return "; ".join(faults[:_SHOWN_MAX]) + more

    @classmethod
    def of(cls, version: Version, manifest: Manifest, registry: Registry, trusted: Iterable[Digest]) -> "Vouched":
        """Looks at every signature of a version.

        Args:
            version: the version.
            manifest: its manifest, as the store has it under the version's digest.
            registry: keeps the signatures; nothing that it says of them is believed.
            trusted: fingerprints of keys.

        Raises:
            IntegrityError: the manifest is another version's; or the registry holds a signature whose bytes are not
                those that it is named by.
        """
        if manifest.digest != version.digest:
            raise IntegrityError(
                f"the manifest is that of {manifest.digest}, and {version.model}@{version.number} is {version.digest}",
                hint="Run: holdfast check",
            )
        files, keys = Statement.of(manifest).files, frozenset(trusted)
        found = registry.signatures(version.model, version.number)
        return cls(tuple(Looked(one, _fault(one, files, keys)) for one in found))


def _fault(signature: Signature, files: Mapping[str, Digest], trusted: frozenset[Digest]) -> str:
    try:
        key = PublicKey.parse(signature.public_key.encode(), "the key beside it")
    except (UnsupportedFormat, TooLarge) as error:
        return error.message
    if key.fingerprint != signature.key:
        return f"it is filed under the key {signature.key}, and the key beside it is {key.fingerprint}"
    if key.fingerprint not in trusted:
        return f"it is by the key {key.fingerprint}, which is not trusted here"
    return judge(signature.body, key, files).fault


def sign_version(
    version: Version, key: PrivateKey, registry: Registry, store: Store, *, actor: str, reason: str = ""
) -> Signature:
    """Signs every file of a version's bundle, and its manifest, and has the registry keep it.

    A version that this key has signed already keeps that signature, and nothing is written.

    Raises:
        NotFound, IntegrityError: the store lacks the manifest, or what it has is something else.
    """
    manifest = read_manifest(store, version.digest)
    known = Vouched.of(version, manifest, registry, {key.public.fingerprint})
    for one in known.signatures:
        if not one.fault:
            return one.signature
    body = sign(Statement.of(manifest), key)
    return registry.put_signature(NewSignature(version.model, version.number, body, key.public.pem), actor, reason)


def take_in(
    version: Version,
    signed: tuple[bytes, PublicKey],
    registry: Registry,
    store: Store,
    *,
    actor: str,
    reason: str = "",
) -> Signature:
    """Has the registry keep a signature that was made elsewhere, when it is over exactly this version's files.

    Args:
        version: what it is to be a signature of.
        signed: its file, and the key that made it.
        registry: keeps it.
        store: has the manifest.
        actor: who asks.
        reason: for the log.

    Raises:
        IntegrityError: it is not, or not by this key; the message says why.
        NotFound: the store lacks the manifest.
    """
    body, key = signed
    manifest = read_manifest(store, version.digest)
    fault = judge(body, key, Statement.of(manifest).files).fault
    if fault:
        raise IntegrityError(
            f"the signature is not one of {version.model}@{version.number}: {fault}",
            hint="Check the version out, and sign every file of that folder.",
        )
    return registry.put_signature(NewSignature(version.model, version.number, body, key.pem), actor, reason)


def require_signed(
    version: Version, manifest: Manifest, registry: Registry, trusted: Iterable[Digest], least: int = 1
) -> Vouched:
    """Who vouches for a version, when enough of those who are trusted do.

    Raises:
        IntegrityError: fewer do; the message says what is wrong with each signature.
    """
    vouched = Vouched.of(version, manifest, registry, trusted)
    if len(vouched.keys) < max(least, 1):
        raise IntegrityError(
            f"{version.model}@{version.number} is signed by {len(vouched.keys)} of {max(least, 1)} trusted keys: "
            f"{vouched.why_no_more()}",
            hint=f"Have it signed with one of these keys: holdfast sign {version.model}@{version.number}",
            digest=str(version.digest),
            keys=[str(key) for key in vouched.keys],
        )
    return vouched


def keep_signature(vouched: Vouched, path: Path) -> None:
    """Write down a good signature, and the key that made it; what cannot be written is not there next time."""
    found = next(one.signature for one in vouched.signatures if not one.fault)
    data = encode({"body": b64encode(found.body).decode(), "key": found.public_key})
    with suppress(HoldfastError), refusing(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        place(path, 0o600, lambda sink: sink.write(data))


def kept_signature_holds(manifest: Manifest, path: Path, trusted: Iterable[Digest]) -> bool:
    """Whether a signature was written down that a trusted key made over exactly these files."""
    try:
        with refusing(path), path.open("rb") as file:
            found = Reader(decode(file.read(_KEPT_BYTES_MAX), what=str(path)), "signature")
        key = PublicKey.parse(found.text("key").encode(), str(path))
        body = b64decode(found.text("body"), validate=True)
    except (HoldfastError, ValueError):
        return False
    return key.fingerprint in set(trusted) and not judge(body, key, Statement.of(manifest).files).fault


def verified_folder(folder: Path, body: bytes, keys: Iterable[PublicKey]) -> tuple[PublicKey, dict[str, Digest]]:
    """The first of the keys that signed exactly the files in a folder; and those files.

    Raises:
        As `hashed`.
        IntegrityError: none of the keys did; the message says why, key by key.
        UsageError: no keys.
    """
    files = hashed(folder)
    judged = [judge(body, key, files) for key in keys]
    if not judged:
        raise UsageError("no key to check with", hint="Name the public key: --key release.pub")
    for one in judged:
        if one.is_good:
            return one.key, files
    raise IntegrityError(
        f"the signature does not fit {folder}: {'; '.join(dict.fromkeys(one.fault for one in judged))}",
        hint="Do not use the folder. Take the version anew, with its signature, from where both are known to be good.",
        faults=[{"key": str(one.key.fingerprint), "fault": one.fault} for one in judged],
    )


def hashed(folder: Path) -> dict[str, Digest]:
    """Every file below a folder, with the digest of its bytes; folders without files do not count.

    Raises:
        NotFound, UsageError: no such folder.
        IntegrityError: a link, a pipe, a device, or a path that no bundle can have.
        TooLarge: more files than a bundle has.
        PermissionRefused: something cannot be read.
    """
    found: dict[str, Digest] = {}

    def refuse(error: OSError) -> None:
        raise error

    with refusing(folder):
        folder = folder.resolve()
        if not stat.S_ISDIR(folder.stat().st_mode):
            raise UsageError(f"{folder} is no folder", hint="Name the folder that holds the bundle.")
        # By the folders' descriptors: a link that somebody plants meanwhile is not followed.
        for root, folders, names, handle in os.fwalk(folder, onerror=refuse, follow_symlinks=False):
            within = Path(root).relative_to(folder)
            for name in folders:
                _require_plain(os.stat(name, dir_fd=handle, follow_symlinks=False), within / name)
            for name in names:
                path = _path(within / name)
                if len(found) == _FILES_MAX:
                    raise TooLarge(
                        f"{folder} holds more than {_FILES_MAX} files, and no bundle does",
                        hint="Name the folder of one version.",
                        limit=_FILES_MAX,
                    )
                _require_plain(os.stat(name, dir_fd=handle, follow_symlinks=False), within / name)
                flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
                with os.fdopen(os.open(name, flags, dir_fd=handle), "rb", buffering=0) as file:
                    found[path], _ = hash_stream(file)
    return found


def _require_plain(found: os.stat_result, path: Path) -> None:
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        kind = "a link" if stat.S_ISLNK(found.st_mode) else "no regular file"
        raise IntegrityError(
            f"{path} is {kind}, and a signature is over files", hint="Take it out of the folder.", path=str(path)
        )


def _path(path: Path) -> str:
    try:
        return str(RelativePath(path.as_posix()))
    except UsageError as error:
        raise IntegrityError(error.message, hint="No bundle holds such a file; take it out of the folder.") from error
