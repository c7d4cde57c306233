"""Refs: the documents in a remote that say what was pushed. docs/FORMAT.md, "Remotes", has their fields.

ref = VersionRef(...)
read_ref(ref.encode(), ref.key) == ref
"""

import re
from dataclasses import dataclass, field

from holdfast.canonical import JsonObject, Reader, decode, encode
from holdfast.digest import Digest
from holdfast.errors import UnsupportedFormat
from holdfast.names import ModelName, VersionNumber
from holdfast.store.formats import accepted_version

__all__ = [
    "REFS",
    "REF_BYTES_MAX",
    "SnapshotRef",
    "VersionRef",
    "read_ref",
    "snapshot_key",
    "version_key",
    "versions_of",
]

REFS = "refs/"
REF_BYTES_MAX = 512 << 10
"""A version's row: a summary of 64 KiB and a lineage of some hundred edges at most, several times over."""

_FORMAT = "holdfast.ref"
_VERSION = "1.0"
_SNAPSHOTS = f"{REFS}snapshots/"
_VERSIONS = f"{REFS}versions/"
_SNAPSHOT_KEY = re.compile(rf"{_SNAPSHOTS}([0-9a-f]{{64}})\Z")
_VERSION_KEY = re.compile(rf"{_VERSIONS}([a-z0-9][a-z0-9._-]{{0,127}})/([0-9]{{12}})\Z")


@dataclass(frozen=True, slots=True)
class SnapshotRef:
    """A snapshot that was pushed."""

    digest: Digest

    @property
    def key(self) -> str:
        """Where the ref stands."""
        return snapshot_key(self.digest)

    def encode(self) -> bytes:
        """The document."""
        return _document("snapshot", {"digest": str(self.digest)})


@dataclass(frozen=True, slots=True)
class VersionRef:
    """A version that was pushed, as the registry of whoever pushed it had it.

    The store knows no models: here they are words, and whoever takes the version in compares them with its manifest.

    Attributes:
        model: the line's name.
        number: the number in that line, 1 and up.
        digest: of the manifest.
        row: the other fields of its row.
    """

    model: str
    number: int
    digest: Digest
    row: JsonObject = field(default_factory=dict, hash=False)

    @property
    def key(self) -> str:
        """Where the ref stands."""
        return version_key(self.model, self.number)

    def encode(self) -> bytes:
        """The document."""
        said = {"model": self.model, "number": self.number, "digest": str(self.digest)}
        return _document("version", {**self.row, **said})


def snapshot_key(digest: Digest) -> str:
    """Where the ref of a snapshot stands."""
    return f"{_SNAPSHOTS}{digest.hex}"


def version_key(model: str, number: int) -> str:
    """Where the ref of a version stands."""
    return f"{versions_of(model)}{number:012d}"


def versions_of(model: str) -> str:
    """Where the refs of a model's versions stand."""
    return f"{_VERSIONS}{model}/"


def read_ref(data: bytes, key: str) -> SnapshotRef | VersionRef | None:
    """The ref that stands at `key`; None for a name that no ref of this format has.

    Raises:
        UnsupportedFormat: another format, or a ref that says something else than its name.
    """
    snapshot, version = _SNAPSHOT_KEY.match(key), _VERSION_KEY.match(key)
    if snapshot is None and version is None:
        return None
    document = Reader(decode(data, what=key), key)
    accepted_version(document, name=_FORMAT, major=1)
    kind, digest = document.text("kind"), Digest.parse(document.text("digest"))
    ref: SnapshotRef | VersionRef
    if kind == "snapshot":
        ref = SnapshotRef(digest)
    else:
        model, number = ModelName(document.text("model")), VersionNumber(document.integer("number"))
        ref = VersionRef(str(model), number, digest, document.rest())
    if ref.key != key:
        raise UnsupportedFormat(
            f"the ref {key} says something else than its name", hint="Somebody changed it; push it to a new remote."
        )
    return ref


def _document(kind: str, fields: JsonObject) -> bytes:
    return encode({**fields, "format": _FORMAT, "kind": kind, "version": _VERSION}) + b"\n"
