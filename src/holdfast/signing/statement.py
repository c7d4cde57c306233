"""What is signed: an in-toto statement (v1) with the predicate of OpenSSF Model Signing, which lists files by digest.

    Statement.parse(statement.encode()) == statement
    Statement.of(manifest).files            {"CARD.md": sha256:…, …, "holdfast.json": sha256:…}

The statement of a version lists every file of its bundle and the manifest itself. It therefore holds for the bundle
wherever it lies, as a folder without Holdfast too.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from holdfast.canonical import JsonObject, Reader, decode, encode
from holdfast.digest import Digest
from holdfast.errors import TooLarge, UnsupportedFormat, UsageError
from holdfast.manifest import BUNDLE_FILES_MAX, MANIFEST_NAME, Manifest
from holdfast.names import RelativePath

__all__ = ["Statement"]

_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://model_signing/signature/v1.0"

_FILES_MAX = BUNDLE_FILES_MAX + 1
"""Every file that a bundle may have, and its manifest."""

_HEX = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class Statement:
    """Files, each with its SHA-256.

    Attributes:
        name: what the signer calls the model; for people, and proves nothing.
        files: the digest of each file, by its path.
    """

    name: str
    files: Mapping[str, Digest]

    @classmethod
    def of(cls, manifest: Manifest) -> "Statement":
        """What vouches for a version: every file of its bundle, and the manifest."""
        files = {str(entry.path): entry.digest for entry in manifest.files}
        return cls(str(manifest.model), {**files, MANIFEST_NAME: manifest.digest})

    def encode(self) -> bytes:
        """The statement as OMS 1.0 has it.

        The files stand in the order of their paths' code points; the subject is the hash of their digests in a row.
        """
        ordered = sorted(self.files.items())
        value: JsonObject = {
            "_type": _STATEMENT,
            "predicate": {
                "resources": [{"algorithm": "sha256", "digest": digest.hex, "name": path} for path, digest in ordered],
                "serialization": {"allow_symlinks": False, "hash_type": "sha256", "method": "files"},
            },
            "predicateType": _PREDICATE,
            "subject": [{"digest": {"sha256": _root(digest for _, digest in ordered)}, "name": self.name}],
        }
        return encode(value)

    @classmethod
    def parse(cls, payload: bytes) -> "Statement":
        """The statement in a payload whose signature is known to be good.

        What it says of paths that were left out is not looked at: whoever compares wants these files and no others.

        Raises:
            UnsupportedFormat: no such statement; a key twice; no files, a file twice, a path that leads out; another
                hash than SHA-256, files in shards, or links followed; a subject that is not the hash of the digests.
            TooLarge: more files than a bundle may have.
        """
        said = Reader(decode(payload, what="the signed statement"), "statement")
        if said.text("_type") != _STATEMENT or said.text("predicateType") != _PREDICATE:
            raise _unread("it is no statement of OpenSSF Model Signing 1.0")
        predicate = said.reader("predicate")
        serialization = predicate.reader("serialization")
        method, kind = serialization.text("method"), serialization.text("hash_type")
        if (method, kind) != ("files", "sha256"):
            raise _unread(f"its files are hashed as {method[:20]} by {kind[:20]}; read are whole files by sha256")
        if serialization.flag("allow_symlinks"):
            raise _unread("it was made with links followed, so that its paths may be those of links")
        resources = predicate.items("resources")
        if len(resources) > _FILES_MAX:
            raise TooLarge(
                f"the statement lists {len(resources)} files, and a bundle has at most {_FILES_MAX}",
                hint="It is not the signature of a version.",
                limit=_FILES_MAX,
            )
        files: dict[str, Digest] = {}
        for item in resources:
            path, digest = _resource(Reader(item, "statement.predicate.resources"))
            if path in files:
                raise _unread(f"it lists {path[:80]!r} twice")
            files[path] = digest
        if not files:
            raise _unread("it lists no files")
        subjects = [Reader(one, "statement.subject") for one in said.items("subject")]
        if len(subjects) != 1 or subjects[0].words("digest") != {"sha256": _root(files.values())}:
            raise _unread("its subject is not the one hash of the digests that it lists")
        return cls(subjects[0].text("name"), files)


def _resource(found: Reader) -> tuple[str, Digest]:
    path, algorithm, digest = found.text("name"), found.text("algorithm"), found.text("digest")
    if algorithm != "sha256" or not _HEX.match(digest):
        raise _unread(f"it names {path[:80]!r} by something else than a sha256")
    try:
        return str(RelativePath(path)), Digest(digest)
    except UsageError as error:
        raise _unread(error.message) from error


def _root(digests: Iterable[Digest]) -> str:
    state = hashlib.sha256()
    for digest in digests:
        state.update(bytes.fromhex(digest.hex))
    return state.hexdigest()


def _unread(why: str) -> UnsupportedFormat:
    return UnsupportedFormat(
        f"the signed statement is not taken: {why}", hint="Sign with: holdfast sign, or model_signing sign key"
    )
