"""Data slice: what the model was trained and evaluated on, frozen and named by digest."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.canonical import Json, JsonObject, Reader
from holdfast.digest import Digest
from holdfast.errors import UsageError

__all__ = ["HOLDOUT", "TRAIN", "UNANSWERED", "DataInput", "DataSlice"]

TRAIN = "train"
HOLDOUT = "holdout"

UNANSWERED = "eval"
"""Rows that the model was asked about, and whose true answers nobody gave: no training data, and no holdout."""


@dataclass(frozen=True, slots=True)
class DataInput:
    """One snapshot that the run read.

    Attributes:
        role: `train`, `holdout`, `eval`, or a word of the project's own.
        name: what people call it; the file's or folder's name by default.
        digest: the snapshot's digest.
        files: how many files it holds.
        bytes: their size.
        source: where it lay when it was frozen, relative to the project where possible; None for a table in memory.
        extra: fields of a newer minor format.
    """

    role: str
    name: str
    digest: Digest
    files: int
    bytes: int
    source: str | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """The input as it stands in a manifest."""
        return {
            **self.extra,
            "role": self.role,
            "name": self.name,
            "digest": str(self.digest),
            "files": self.files,
            "bytes": self.bytes,
            "source": self.source,
        }

    @classmethod
    def from_json(cls, reader: Reader) -> "DataInput":
        """The input that `to_json` wrote."""
        return cls(
            role=reader.text("role"),
            name=reader.text("name"),
            digest=Digest.parse(reader.text("digest")),
            files=reader.integer("files"),
            bytes=reader.integer("bytes"),
            source=reader.maybe_text("source"),
            extra=reader.rest(),
        )


@dataclass(frozen=True, slots=True)
class DataSlice:
    """The frozen inputs of a version; never empty, and at least one of them was trained on.

    Attributes:
        inputs: the snapshots, in the order in which they were read.
        extra: fields of a newer minor format.
    """

    inputs: tuple[DataInput, ...]
    extra: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.inputs:
            raise UsageError(
                "a data slice without data is none", hint="Freeze what was trained on, or say it is missing."
            )

    def to_json(self) -> JsonObject:
        """The part as it stands in a manifest."""
        return {**self.extra, "inputs": [item.to_json() for item in self.inputs]}

    @classmethod
    def from_json(cls, reader: Reader) -> "DataSlice":
        """The part that `to_json` wrote."""
        inputs = reader.items("inputs")
        return cls(
            inputs=tuple(
                DataInput.from_json(Reader(item, f"{reader.where}.inputs[{index}]"))
                for index, item in enumerate(inputs)
            ),
            extra=reader.rest(),
        )
