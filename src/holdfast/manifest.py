"""The manifest: the canonical JSON document that lists the parts, the evidence and the files of a version.

Its SHA-256 is the version's digest, and it names each file by digest, so a version's name covers every byte of it.

    manifest.digest                              what the version is called
    Manifest.parse(manifest.encode()) == manifest
    Manifest.parse(data).encode() == data        for every document that is accepted at all

The format is described in docs/FORMAT.md. A document of an unknown major format is refused; fields that a newer minor
format added are kept. Nothing here does any I/O.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from holdfast.canonical import INTEGER_MAX, Json, JsonObject, Reader, decode, encode
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import IntegrityError, NotFound, TooLarge, UnsupportedFormat, UsageError
from holdfast.evidence import Card, CodeState, Environment, Evidence, Holdout, RunReference
from holdfast.names import ModelName, RelativePath
from holdfast.parts import DataSlice, Missing, Parts, PreprocessingCode, Weights

__all__ = ["BUNDLE_FILES_MAX", "MANIFEST_BYTES_MAX", "MANIFEST_NAME", "FileEntry", "Manifest", "least_minor"]

FORMAT = "holdfast.manifest"
FORMAT_MAJOR = 1
FORMAT_MINOR = 0
"""What says most versions: a manifest is written in the least minor format that can say it, so that equal versions have
equal digests whichever Holdfast registers them."""

FORMAT_MINOR_OF_A_BASE = 1
"""What weights with a base need."""

FORMAT_MINOR_OF_WHEELS = 2
"""What an environment with wheels of its own needs."""

FORMAT_MINOR_OF_NO_SIDE_EFFECTS = 3
"""What a version needs of which somebody says that answering changes nothing."""

_MINOR = re.compile(r"(0|[1-9][0-9]{0,5})\Z")

_MLFLOW = "mlflow"
"""What begins the names of the loaders for its models, and what a run says that it tracked."""

MANIFEST_NAME = "holdfast.json"
"""The manifest's own file in a bundle directory; it is the one file that the manifest does not list."""

MANIFEST_BYTES_MAX = 32 << 20
"""Twenty times the largest manifest we make (10,000 files at 120 bytes, a wide schema); read whole."""

BUNDLE_FILES_MAX = 10_000
"""Weights come in at most hundreds of shards and code in hundreds of modules; data belongs in snapshots."""


@dataclass(frozen=True, order=True, slots=True)
class FileEntry:
    """One file of a bundle.

    Attributes:
        path: where it lies in the bundle.
        digest: the SHA-256 of its bytes.
        size: its length in bytes.
        extra: fields of a newer minor format.
    """

    path: RelativePath
    digest: Digest
    size: int
    extra: Mapping[str, Json] = field(default_factory=dict, hash=False)

    def to_json(self) -> JsonObject:
        """The entry as it stands in a manifest."""
        return {**self.extra, "path": str(self.path), "digest": str(self.digest), "size": self.size}

    @classmethod
    def from_json(cls, reader: Reader) -> "FileEntry":
        """The entry that `to_json` wrote."""
        return cls(
            path=RelativePath(reader.text("path")).portable(),
            digest=Digest.parse(reader.text("digest")),
            size=reader.integer("size"),
            extra=reader.rest(),
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a version is, whole.

    Attributes:
        model: the model this is a version of; inside the digest, so that a bundle cannot pass under another name.
        parts: the five.
        evidence: what stands beside them.
        files: every file of the bundle but the manifest, sorted by path.
        minor: the minor format it was written in; `least_minor` gives that of a new one.
        extra: fields of a newer minor format.
        side_effect_free: whether whoever registered it says that answering changes nothing outside of it, so that a
            request may be answered twice; False says nothing.
    """

    model: ModelName
    parts: Parts
    evidence: Evidence
    files: tuple[FileEntry, ...]
    minor: int = FORMAT_MINOR
    extra: Mapping[str, Json] = field(default_factory=dict)
    side_effect_free: bool = False

    def __post_init__(self) -> None:
        _check_files(self.files)
        listed = {entry.path for entry in self.files}
        for path in _named_files(self.parts, self.evidence):
            if path not in listed:
                raise UsageError(
                    f"the manifest names {path}, which is not among the bundle's files",
                    hint="The bundle was not put together by Holdfast, or has been edited.",
                )

    @property
    def complete(self) -> bool:
        """Whether all five parts and the required evidence are there."""
        return not self.missing()

    @property
    def logged_elsewhere(self) -> bool:
        """Whether it was made of a model that an MLflow client logged: what it lacks is then supplied there."""
        weights, run = self.parts.weights, self.evidence.run
        opened = isinstance(weights, Weights) and weights.loader.startswith(_MLFLOW)
        return opened or (isinstance(run, RunReference) and _MLFLOW in run.values)

    def missing(self) -> tuple[Missing, ...]:
        """The parts and the required evidence that are not there."""
        return self.parts.missing() + self.evidence.missing()

    def snapshots(self) -> tuple[Digest, ...]:
        """The snapshots that the version names and its bundle does not hold: its data, and its environment's wheels."""
        data, holdout = self.parts.data_slice, self.evidence.holdout
        named = [item.digest for item in data.inputs] if isinstance(data, DataSlice) else []
        if isinstance(holdout, Holdout) and holdout.snapshot is not None:
            named.append(holdout.snapshot)
        if isinstance(self.evidence.environment, Environment) and self.evidence.environment.wheels is not None:
            named.append(self.evidence.environment.wheels)
        return tuple(dict.fromkeys(named))

    def file(self, path: RelativePath) -> FileEntry:
        """The entry of the file at `path`.

        Raises:
            NotFound: the bundle has no such file.
        """
        place = bisect_left(self.files, path, key=lambda entry: entry.path)
        if place < len(self.files) and self.files[place].path == path:
            return self.files[place]
        raise NotFound(f"the bundle has no file {path}", hint=f"List its files with: holdfast show {self.model}@…")

    def encode(self) -> bytes:
        """The canonical bytes.

        Raises:
            TooLarge: more than `MANIFEST_BYTES_MAX`, which nobody would read again.
            UsageError: a value that canonical JSON cannot carry.
        """
        return _bounded(encode(self.to_json()))

    @property
    def digest(self) -> Digest:
        """The name of the version: the SHA-256 of the canonical bytes."""
        return hash_bytes(self.encode())

    def to_json(self) -> JsonObject:
        """The document as a JSON value."""
        return {
            **self.extra,
            **({"side_effect_free": True} if self.side_effect_free else {}),
            "format": FORMAT,
            "format_version": f"{FORMAT_MAJOR}.{self.minor}",
            "model": str(self.model),
            "parts": self.parts.to_json(),
            "evidence": self.evidence.to_json(),
            "files": [entry.to_json() for entry in self.files],
        }

    @classmethod
    def parse(cls, data: bytes, *, expected: Digest | None = None) -> "Manifest":
        """The manifest whose bytes are `data`.

        Args:
            data: the bytes, as they were stored.
            expected: the digest that names them; checked first when given.

        Raises:
            IntegrityError: the bytes do not match `expected`.
            UnsupportedFormat: not a manifest, an unknown major format, a value that cannot be (a path that leads out of
                the bundle, a digest that is none), or not in canonical form.
            TooLarge: more than `MANIFEST_BYTES_MAX`, or more files than `BUNDLE_FILES_MAX`.
        """
        _bounded(data)
        if expected is not None and (found := hash_bytes(data)) != expected:
            raise IntegrityError(
                f"the manifest named {expected} has the digest {found}",
                hint="Find what else is damaged with: holdfast check",
                expected=str(expected),
                found=str(found),
            )
        try:
            manifest = cls._from_json(Reader(decode(data, what="the manifest"), "manifest"))
            canonical = manifest.encode() == data
        except UsageError as error:
            raise UnsupportedFormat(
                f"the manifest cannot be: {error.message}",
                hint="It was not written by Holdfast, or has been edited.",
                **error.details,
            ) from error
        if not canonical:
            raise UnsupportedFormat(
                "the manifest is not in canonical form (RFC 8785)",
                hint="It has been edited or reformatted; take it from the store again with: holdfast checkout",
            )
        return manifest

    @classmethod
    def _from_json(cls, reader: Reader) -> "Manifest":
        minor = _minor(reader.text("format"), reader.text("format_version"))
        files = reader.items("files")
        if len(files) > BUNDLE_FILES_MAX:
            raise _too_many(len(files))
        return cls(
            model=ModelName(reader.text("model")),
            parts=Parts.from_json(reader.reader("parts")),
            evidence=Evidence.from_json(reader.reader("evidence")),
            files=tuple(FileEntry.from_json(Reader(item, f"manifest.files[{i}]")) for i, item in enumerate(files)),
            minor=minor,
            side_effect_free=_side_effect_free(reader),
            extra=reader.rest(),
        )


def _side_effect_free(reader: Reader) -> bool:
    """Present only where it is true: two ways to say the same would be two digests for one version."""
    if not reader.has("side_effect_free"):
        return False
    if not reader.flag("side_effect_free"):
        raise UsageError("side_effect_free is left out where it is not true", hint="Write the manifest with Holdfast.")
    return True


def least_minor(parts: Parts, evidence: Evidence, *, side_effect_free: bool = False) -> int:
    """The least minor format that can say these parts, this evidence, and whether there are side effects."""
    if side_effect_free:
        return FORMAT_MINOR_OF_NO_SIDE_EFFECTS
    if isinstance(evidence.environment, Environment) and evidence.environment.wheels is not None:
        return FORMAT_MINOR_OF_WHEELS
    has_base = isinstance(parts.weights, Weights) and parts.weights.base is not None
    return FORMAT_MINOR_OF_A_BASE if has_base else FORMAT_MINOR


def _bounded(data: bytes) -> bytes:
    if len(data) > MANIFEST_BYTES_MAX:
        raise TooLarge(
            f"a manifest of {len(data)} bytes passes the limit of {MANIFEST_BYTES_MAX}",
            hint="Keep data in snapshots and long lists in files of the bundle.",
            limit=MANIFEST_BYTES_MAX,
        )
    return data


def _minor(name: str, version: str) -> int:
    major, _, minor = version.partition(".")
    if name != FORMAT or major != str(FORMAT_MAJOR) or not _MINOR.match(minor):
        raise UnsupportedFormat(
            f"a document of format {name[:40]} {version[:20]}; this Holdfast reads {FORMAT} {FORMAT_MAJOR}.x",
            hint="Upgrade Holdfast: pip install --upgrade holdfast",
        )
    return int(minor)


def _too_many(count: int) -> TooLarge:
    return TooLarge(
        f"a bundle of {count} files passes the limit of {BUNDLE_FILES_MAX}",
        hint="Keep data in snapshots; a bundle holds what is served.",
        limit=BUNDLE_FILES_MAX,
    )


def _check_files(files: tuple[FileEntry, ...]) -> None:
    if len(files) > BUNDLE_FILES_MAX:
        raise _too_many(len(files))
    paths = [str(entry.path) for entry in files]
    if paths != sorted(set(paths)):
        raise UsageError(
            "the files of a bundle are sorted by path, each once", hint="Write the manifest with Holdfast."
        )
    folded: dict[str, str] = {MANIFEST_NAME: MANIFEST_NAME}
    folders: dict[str, str] = {}
    for entry in files:
        key = unicodedata.normalize("NFC", str(entry.path.portable())).casefold()
        if key in folded:
            raise UsageError(
                f"{entry.path} and {folded[key]} are one file where upper and lower case are alike",
                hint="Rename one of them.",
            )
        folded[key] = str(entry.path)
        steps = key.split("/")
        folders.update({"/".join(steps[:count]): str(entry.path) for count in range(1, len(steps))})
        if not 0 <= entry.size <= INTEGER_MAX:
            raise UsageError(f"{entry.path} has an impossible size", hint="Write the manifest with Holdfast.")
    for key in folders.keys() & folded.keys():
        raise UsageError(
            f"{folded[key]} is a file, and {folders[key]} wants it to be a folder", hint="Rename one of them."
        )


def _named_files(parts: Parts, evidence: Evidence) -> Iterator[RelativePath]:
    if isinstance(parts.weights, Weights):
        yield from parts.weights.files
        if parts.weights.base is not None:
            yield from parts.weights.base.files
    if isinstance(parts.preprocessing_code, PreprocessingCode):
        yield from parts.preprocessing_code.files
        if parts.preprocessing_code.state is not None:
            yield parts.preprocessing_code.state
    if isinstance(evidence.environment, Environment):
        yield evidence.environment.lock
    if isinstance(evidence.holdout, Holdout):
        yield from (evidence.holdout.rows, evidence.holdout.outputs)
    if isinstance(evidence.code, CodeState) and evidence.code.patch is not None:
        yield evidence.code.patch
    if isinstance(evidence.card, Card):
        yield evidence.card.file
